"""The tables that are made of all visits: for each a function and a row here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from wmhflow.bids.writer import Column, dictionary_of, table_text, write_json, write_text
from wmhflow.group.layers import layer_columns, widths_by_layers
from wmhflow.group.phenotype import volumes_columns, volumes_of_persons
from wmhflow.group.study import Study
from wmhflow.products.columns import names


class StudyTable(NamedTuple):
    """A table that is made of all visits.

    Attributes
    ----------
    name
        Its place in the output folder, without an ending.
    make
        Makes its rows. The visits' tables have been gathered by then.
    columns
        Gives its columns.
    about
        What its dictionary says before the columns.
    is_wanted
        Tells whether it is made at all.
    """

    name: str
    make: Callable[[Study], Iterable[Mapping[str, Any]]]
    columns: Callable[[Study], tuple[Column, ...]]
    about: Mapping[str, Any]
    is_wanted: Callable[[Study], bool] = lambda _: True


STUDY_TABLES = (
    StudyTable(
        "phenotype/wmhflow_volumes",
        volumes_of_persons,
        volumes_columns,
        {
            "MeasurementToolMetadata": {
                "Description": "Volumes of regions and of white matter hyperintensities in them"
            }
        },
    ),
    StudyTable(
        "group/desc-layers_penumbra",
        widths_by_layers,
        layer_columns,
        {},
        lambda study: study.layers_p is not None,
    ),
)


def write_study_table(study: Study, table: StudyTable) -> None:
    """Write one table of the study and its dictionary."""
    columns = table.columns(study)
    path = study.folder / f"{table.name}.tsv"
    write_text(path, table_text(names(columns), table.make(study)))
    write_json(path.with_suffix(".json"), {**table.about, **dictionary_of(columns)})
