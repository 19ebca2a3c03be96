"""What a file is called: names from entities in the order of the BIDS schema."""

from __future__ import annotations

from functools import cache
from pathlib import PurePosixPath

TEMPLATE = "MNI152NLin2009aSym"
# entities of transform files, which the schema does not know; they follow all others
_TRANSFORM_ENTITIES = ("from", "to", "mode")


@cache
def entity_order() -> tuple[str, ...]:
    """Return the short names of all entities in the order in which BIDS writes them."""
    from bidsschematools.schema import load_schema

    schema = load_schema()
    known = [schema.objects.entities[key].name for key in schema.rules.entities]
    return (*known[: known.index("desc")], *_TRANSFORM_ENTITIES, *known[known.index("desc") :])


def visit_label(subject: str, session: str | None) -> str:
    """Return how a visit is named in messages, e.g. ``sub-01 ses-2``."""
    return f"sub-{subject}" + (f" ses-{session}" if session else "")


def visit_folder(subject: str, session: str | None) -> PurePosixPath:
    """Return a visit's folder, relative to a dataset."""
    folder = PurePosixPath(f"sub-{subject}")
    return folder / f"ses-{session}" if session else folder


def derivative_path(
    subject: str,
    session: str | None,
    suffix: str,
    extension: str,
    datatype: str = "anat",
    **entities: str,
) -> PurePosixPath:
    """Build the path of a derivative, relative to its dataset.

    Parameters
    ----------
    subject, session
        Labels without prefix; ``session`` may be None.
    suffix, extension
        The end of the name, the extension with its dot.
    datatype
        The folder.
    **entities
        Short names of entities and their values; ``from_`` stands for ``from``.

    Raises
    ------
    ValueError
        If BIDS has no such entity, or forbids the two together.

    Examples
    --------
    >>> str(derivative_path("01", None, "mask", ".nii.gz", space="T1w", label="WMH"))
    'sub-01/anat/sub-01_space-T1w_label-WMH_mask.nii.gz'
    """
    chosen = {"sub": subject, **{name.rstrip("_"): value for name, value in entities.items()}}
    if session:
        chosen["ses"] = session
    order = entity_order()
    unknown = sorted(set(chosen) - set(order))
    if unknown:
        raise ValueError(f"BIDS has no entity '{unknown[0]}'")
    if "seg" in chosen and "label" in chosen:
        raise ValueError("BIDS allows seg- or label- in a name, not both")
    parts = [f"{name}-{chosen[name]}" for name in order if name in chosen]
    return visit_folder(subject, session) / datatype / f"{'_'.join(parts)}_{suffix}{extension}"
