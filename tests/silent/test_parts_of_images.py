"""Images of complex values that are stored in parts: the magnitude shows a head, and no other.

A phase alone was taken for the FLAIR in silence, and beside its magnitude it stopped the person.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.builders import cube, describe, save_image
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.plan.visit import Computed, VisitPlan

PARTS = ("phase", "real", "imag")


def plan(folder: Path, *names: str) -> VisitPlan:
    """Plan a person who has a T1w and a FLAIR, or these in their places, and other raw images."""
    raw = describe(folder / "raw")
    own = [one for one in ("T1w", "FLAIR") if not any(one in name for name in names)]
    for number, name in enumerate((*names, *own)):
        kind = "dwi" if name.endswith("dwi") else "anat"
        data = cube(70 + 10 * number)
        if kind == "dwi":
            data = np.stack([data] * 7, axis=-1)
            beside = raw / "sub-01" / kind / f"sub-01_{name}.bval"
            beside.parent.mkdir(parents=True, exist_ok=True)
            beside.write_text("0 1000 1000 1000 1000 1000 1000\n")
            rows = ("0 1 0 0 .7071 .7071 0", "0 0 1 0 .7071 0 .7071", "0 0 0 1 0 .7071 .7071")
            beside.with_suffix(".bvec").write_text("\n".join(rows))
        save_image(raw / "sub-01" / kind / f"sub-01_{name}.nii.gz", data)
    words = [str(raw), str(folder / "out"), "participant", "--allow-raw-dwi"]
    return next(iter(make_plans(parse_settings(words)))).visits[0]


@pytest.mark.parametrize("suffix", ["T1w", "FLAIR"])
def test_the_magnitude_is_taken_beside_its_other_parts(tmp_path: Path, suffix: str) -> None:
    visit = plan(tmp_path, *(f"part-{part}_{suffix}" for part in ("mag", *PARTS)))
    assert visit.problem is None
    chosen = {"T1w": visit.t1w, "FLAIR": visit.flair}[suffix]
    assert chosen is not None
    assert chosen.path.name == f"sub-01_part-mag_{suffix}.nii.gz"


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("suffix", ["T1w", "FLAIR"])
def test_what_holds_no_magnitudes_is_not_the_image(tmp_path: Path, suffix: str, part: str) -> None:
    visit = plan(tmp_path, f"part-{part}_{suffix}")
    assert {"T1w": visit.t1w, "FLAIR": visit.flair}[suffix] is None
    said = " ".join(one.why for one in visit.decisions if one.what == suffix)
    assert f"sub-01_part-{part}_{suffix}.nii.gz holds no magnitudes" in said


OF_SERIES = {
    "T1wT2w": ["part-{}_T2w"],
    "MTRmap": ["mt-on_part-{}_MTR", "mt-off_part-{}_MTR"],
    "FA": ["part-{}_dwi"],
}


@pytest.mark.parametrize(("name", "stored"), OF_SERIES.items(), ids=OF_SERIES)
def test_no_map_is_computed_from_what_holds_no_magnitudes(
    tmp_path: Path, name: str, stored: list[str]
) -> None:
    def is_computed(*parts: str) -> bool:
        images = [one.format(part) for one in stored for part in parts]
        maps = {one.name: one.values for one in plan(tmp_path / "-".join(parts), *images).maps}
        return isinstance(maps.get(name), Computed)

    assert is_computed("mag", "phase")
    assert not is_computed("phase")
