"""The tables of a visit, each declared once; the group level gathers the same ones."""

from __future__ import annotations

from wmhflow.bids.writer import Column
from wmhflow.labels.schemes import DEFAULT_SCHEME
from wmhflow.products.columns import (
    ACUTE,
    ADJACENCY,
    ALPS,
    ASYMMETRY,
    CONTRASTS,
    CURVES,
    LESION_MAPS,
    LOAD,
    MAPS,
    METABOLITES,
    PENUMBRA,
    PROFILES,
    QC,
    SPACES,
    SPECTRA,
    VOLUMES,
    WEIGHTED,
    lesion_columns,
)
from wmhflow.products.product import Table

VOLUMES_TABLE = Table(
    "table_volumes",
    "desc-volumes_regions",
    "Volume of every region and of the lesions in it",
    VOLUMES,
)
WEIGHTED_TABLE = Table(
    "table_weighted",
    "desc-weighted_regions",
    "Lesions in regions that may overlap, weighted by probability",
    WEIGHTED,
)
LOAD_TABLE = Table(
    "table_load",
    "desc-load_profiles",
    "Share of white matter that is hyperintense, by depth and by distance",
    LOAD,
)
ASYMMETRY_TABLE = Table(
    "table_asymmetry",
    "desc-asymmetry_regions",
    "Every region of one side beside the place opposite to it",
    ASYMMETRY,
)
MAPS_TABLE = Table(
    "table_maps",
    "desc-maps_regions",
    "Quantitative maps sampled in every region, in their own grids",
    MAPS,
)
CONTRASTS_TABLE = Table(
    "table_contrasts",
    "desc-contrasts_regions",
    "Quantitative maps in every region, beside far white matter and the place opposite to it",
    CONTRASTS,
)
LESION_MAPS_TABLE = Table(
    "table_lesionmaps",
    "desc-maps_lesions",
    "Quantitative maps in each lesion, beside far white matter and the place opposite to it",
    LESION_MAPS,
)
PROFILES_TABLE = Table(
    "table_profiles",
    "desc-maps_profiles",
    "Quantitative maps against the distance from the lesions",
    PROFILES,
)
PENUMBRA_TABLE = Table(
    "table_penumbra",
    "desc-maps_penumbra",
    "Width of the perilesional penumbra in every quantitative map",
    PENUMBRA,
)
CURVES_TABLE = Table(
    "table_curves",
    "desc-maps_curves",
    "Quantitative maps against the distance from the lesions, in bins of 0.5 mm, with a band",
    CURVES,
)
ACUTE_TABLE = Table(
    "table_acute",
    "desc-acute_lesions",
    "Every acute lesion, its place, and how far it lies from a haemorrhage and from WMH",
    ACUTE,
)
SPACES_TABLE = Table(
    "table_perivascular",
    "desc-perivascular_lesions",
    "Every lesion beside perivascular spaces",
    SPACES,
)
ADJACENCY_TABLE = Table(
    "table_adjacency",
    "desc-perivascular_profiles",
    "Share of lesions beside perivascular spaces, and the share expected by chance",
    ADJACENCY,
)
ALPS_TABLE = Table(
    "table_alps",
    "desc-alps_regions",
    "Diffusion along the perivascular space (DTI-ALPS), with and without WMH",
    ALPS,
)
SPECTRA_TABLE = Table(
    "table_mrs",
    "desc-mrs_regions",
    "How much of each single voxel of spectroscopy lies in each region",
    SPECTRA,
)
METABOLITES_TABLE = Table(
    "table_metabolites",
    "desc-mrs_metabolites",
    "Metabolites of each single voxel of spectroscopy, as they were given, beside its tissues",
    METABOLITES,
)
QC_TABLE = Table("table_qc", "desc-wmhflow_qc", "Quality control of the whole run", QC)


def lesion_table(schemes: tuple[str, ...]) -> Table:
    """Declare the table of lesions in a run with these zone schemes."""
    columns = lesion_columns(schemes)
    return Table("table_lesions", "lesions", "Every lesion, its size, place and class", columns)


def all_tables(schemes: tuple[str, ...]) -> tuple[Table, ...]:
    """Return every table that a visit may have, in a run with these zone schemes.

    Parameters
    ----------
    schemes
        Names, as ``--zones`` takes them.
    """
    return (
        lesion_table(schemes),
        VOLUMES_TABLE,
        WEIGHTED_TABLE,
        LOAD_TABLE,
        ASYMMETRY_TABLE,
        MAPS_TABLE,
        CONTRASTS_TABLE,
        LESION_MAPS_TABLE,
        PROFILES_TABLE,
        PENUMBRA_TABLE,
        CURVES_TABLE,
        ACUTE_TABLE,
        SPACES_TABLE,
        ADJACENCY_TABLE,
        ALPS_TABLE,
        SPECTRA_TABLE,
        METABOLITES_TABLE,
        QC_TABLE,
    )


TABLES: dict[str, Table] = {
    table.key.removeprefix("table_"): table for table in all_tables((DEFAULT_SCHEME,))
}


def table_columns(kind: str, schemes: tuple[str, ...]) -> tuple[Column, ...]:
    """Return the columns of a kind of table in a run with these zone schemes."""
    return lesion_columns(schemes) if kind == "lesions" else TABLES[kind].columns


def columns_tables() -> str:
    """Return the columns of every table as Markdown for the documentation."""
    parts = []
    for table in TABLES.values():
        rows = [
            f"| `{one.name}` | {one.kind} | {one.unit or ''} | {one.description} |"
            for one in table.columns
        ]
        head = f"**`_{table.ending}.tsv`**\n\n| column | kind | unit | meaning |\n"
        head += "| --- | --- | --- | --- |\n"
        parts.append(head + "\n".join(rows) + "\n")
    return "\n".join(parts)
