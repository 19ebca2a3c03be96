"""The files that describe the output dataset as a whole; all jobs end with the same ones."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Set
from contextlib import contextmanager
from pathlib import Path

import wmhflow
from wmhflow.bids.writer import (
    read_object,
    remove_leftovers,
    table_text,
    write_json,
    write_text,
)
from wmhflow.files.locks import HeldError, Lock
from wmhflow.products.anatomy import PREPROC
from wmhflow.products.look_up import look_up_table
from wmhflow.products.methods import citation_files, methods_text
from wmhflow.products.regions import DISTANCES
from wmhflow.products.rows import in_images, possible_images
from wmhflow.products.tables import all_tables
from wmhflow.registries.maps import load_maps
from wmhflow.settings import Settings

log = logging.getLogger("wmhflow")
# these files are written in an instant; a thousand jobs of an array may begin at once
LOCK_S = 120.0
BIDS_VERSION = "1.11.0"
# which methods the text in logs/ names
METHODS = "methods.json"
IGNORED = (
    "*.html",
    # without a slash at the end: with one, the validator does not see the folder itself
    "sub-*/figures",
    "logs",
    "group",
    "*_xfm.*",
    "*_distance.*",
    "*_regions.*",
    "*_lesions.*",
    "*_profiles.*",
    "*_penumbra.*",
    "*_curves.*",
    "*_qc.*",
    "*_dwimap.*",
    "*_metabolites.*",
    "*_mimap.*",
    "*_T1wT2w.*",
)
README = """# wmhflow derivatives

White matter hyperintensities, the zones and shells around them, and quantitative maps sampled in
them, made by wmhflow {version} from the BIDS dataset linked as `raw`.

- `sub-*.html`: a report per person; open it in a browser.
- `sub-*/…/anat`: images on the grid of the reference image, tables, transforms.
- `seg-*_dseg.tsv`: what the numbers in the label images mean; images of atlases
  (`atlas-*_dseg`) have such a table beside them. Numbers from 10 on name one side;
  the tables also hold both sides together (hemisphere B), whose numbers do not occur in images.
- `logs/CITATION.md`: a methods text with the parameters of this run, and its references.

Every table of numbers has a `.json` file that says what its columns mean. `n/a` is missing: an
empty region has no mean, which is not a mean of 0.
"""


def write_dataset_files(settings: Settings) -> None:
    """Write dataset_description.json, look-up tables, README and .bidsignore.

    Parameters
    ----------
    settings
        The run's settings. The files depend on nothing else, so that jobs that run side by side
        write the same bytes.
    """
    out = settings.output_dir
    with _alone(out) as is_alone:
        # nobody else writes these now
        names = ("dataset_description.json", ".bidsignore", "README", "descriptions", "seg-")
        for name in names if is_alone else ():
            remove_leftovers(out, name)
        if is_alone:
            remove_leftovers(out / "logs")
        _write_dataset_files(settings)


@contextmanager
def _alone(out: Path) -> Iterator[bool]:
    """Hold the lock of the dataset's files; say so, and go on, where another has it for long."""
    path = out / "logs" / ".lock"
    try:
        lock = Lock(path).take(wait_s=LOCK_S)
    except HeldError as error:
        log.warning("%s has held %s for long; going on without.", error, path)
        yield False
        return
    with lock:
        yield True


def write_methods(settings: Settings, methods: Set[str] | None, *, is_all: bool) -> None:
    """Write the methods text and its references, with the methods that were used.

    Parameters
    ----------
    settings
        The run's settings.
    methods
        Those of the persons of this run; None for all that the settings allow.
    is_all
        Whether these are all persons. Else methods of earlier runs with the same settings are
        told, too: jobs of a person each, one after the other, end with the text of all of them.
    """
    out = settings.output_dir
    with _alone(out):
        told = None if methods is None else sorted(methods)
        # whatever the text tells of the settings; with others, earlier methods are none of these
        key = hashlib.sha256(methods_text(settings).encode()).hexdigest()
        if told is not None and not is_all:
            told = sorted({*told, *_earlier_methods(out, key)})
        if told is not None:
            write_json(out / "logs" / METHODS, {"Settings": key, "Methods": told})
        for name, text in citation_files(settings, None if told is None else set(told)).items():
            write_text(out / "logs" / name, text)


def _earlier_methods(out: Path, key: str) -> list[str]:
    """Return the methods of earlier runs with these settings; what is damaged is none."""
    held = read_object(out / "logs" / METHODS)
    names = held.get("Methods")
    if held.get("Settings") != key or not isinstance(names, list):
        return []
    return [name for name in names if isinstance(name, str)]


def _write_dataset_files(settings: Settings) -> None:
    out = settings.output_dir
    write_json(out / "dataset_description.json", _description(settings))
    write_text(out / ".bidsignore", "".join(f"{line}\n" for line in IGNORED))
    write_text(out / "README", README.format(version=wmhflow.__version__))
    rows = [{"desc_id": f"desc-{key}", "description": text} for key, text in described(settings)]
    write_text(out / "descriptions.tsv", table_text(["desc_id", "description"], rows))
    for seg in possible_images(settings.regions):
        write_text(out / f"seg-{seg}_dseg.tsv", look_up_table(in_images(seg, settings.regions)))


def described(settings: Settings) -> Iterator[tuple[str, str]]:
    """Go through the values of ``desc`` in the names of products, with what each means.

    Parameters
    ----------
    settings
        The run's settings.
    """
    yield "preproc", PREPROC.format("The image")
    yield from DISTANCES.items()
    told = {table.ending: table.caption for table in all_tables(settings.regions.zones)}
    for value in dict.fromkeys(ending.partition("_")[0] for ending in told):
        if value.startswith("desc-"):
            of = [text for ending, text in told.items() if ending.startswith(f"{value}_")]
            yield value.removeprefix("desc-"), "; ".join(of)
    for definition in load_maps(settings.inputs.maps).values():
        if definition.computed is not None:
            yield definition.name, f"{definition.description or definition.name}, computed here"


def _description(settings: Settings) -> dict[str, object]:
    out = settings.output_dir.resolve()
    datasets = {"raw": settings.bids_dir}
    datasets |= {named.name: named.path for named in settings.inputs.derivatives}
    datasets |= {one.dataset: one.folder for one in settings.inputs.transform}
    links = _earlier_links(out)
    links |= {name: _relative(path.resolve(), out) for name, path in datasets.items()}
    links = dict(sorted(links.items(), key=lambda link: (link[0] != "raw", link[0])))
    return {
        "Name": "wmhflow: white matter hyperintensities and what surrounds them",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": "wmhflow",
                "Version": wmhflow.__version__,
                "Description": "Zones, shells and samples of quantitative maps around "
                "white matter hyperintensities",
            }
        ],
        "SourceDatasets": [{"URL": link} for link in links.values()],
        "DatasetLinks": links,
        "HowToAcknowledge": "Please cite the references in logs/CITATION.md.",
        "License": "n/a",
    }


def _earlier_links(out: Path) -> dict[str, str]:
    """Return the links that earlier runs made: their sidecars still name those datasets."""
    links = read_object(out / "dataset_description.json").get("DatasetLinks")
    pairs = links.items() if isinstance(links, dict) else ()
    return {name: link for name, link in pairs if isinstance(link, str)}


def _relative(path: Path, start: Path) -> str:
    # a relative link stays true when the study's folder is moved, and gives the same bytes
    return Path(os.path.relpath(path, start)).as_posix()
