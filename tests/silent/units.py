"""A unit whose outputs are written by hand, for tests of what its record says of them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from tests.workflows.sums import add
from wmhflow.bids.query import FoundFile
from wmhflow.bids.writer import Column
from wmhflow.products.product import Image, Place, Recipe, Table, Transform
from wmhflow.products.record import made_from, visit_record_path, write_record
from wmhflow.products.unit import Unit

PLACE = Place("01", "1")
FOLDER = PurePosixPath("sub-01/ses-1/anat")


def make_unit(root: Path, *more: Table, **choices: Any) -> Unit:
    """Declare a unit with an image, a table, a transform and one input."""
    source = root / "in.txt"
    if not source.exists():
        source.parent.mkdir(parents=True, exist_ok=True)
        source.write_text("1")
    products = {
        "image": Image("image", "dseg", {"seg": "zones"}, "Zones", look_up="index\tname\n"),
        "table": Table("table", "desc-volumes_regions", "Volumes", (Column("a", "A"),)),
        "transform": Transform("transform", "FLAIR", "T1w", ".txt"),
        **{one.key: one for one in more},
    }
    return Unit(
        "sub-01 ses-1",
        ("sub_01_wf",),
        PLACE,
        (Recipe("make", add, products),),
        inputs=(FoundFile(source, {}, "raw", root),),
        choices=lambda: choices,
        record=visit_record_path(PLACE),
    )


def finish(unit: Unit, out: Path) -> list[Path]:
    """Write a unit's outputs and its record; return the outputs."""
    paths = [out / path for path in unit.files]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{path.name} holds this")
    write_record(unit, out, made_from(unit))
    return paths
