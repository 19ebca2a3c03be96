"""Images of which left and right were exchanged, as by a conversion that drops a sign."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from tests.builders import DATA
from tests.coarse import MOTIONS, anatomical, head, planted
from wmhflow.core.align.mirrored import MOST_MIRRORED, mirrored_fit
from wmhflow.core.space.grids import Grid3D, robust_range
from wmhflow.errors import InputError
from wmhflow.files.itk import write_itk_affine
from wmhflow.registries.quality import find_measure
from wmhflow.steps.alignment import judge_alignment


def grid(values: Any, affine: Any = None, *, turned: bool = False) -> Grid3D:
    data = values[::-1] if turned else values
    place = head().affine if affine is None else affine
    return Grid3D(robust_range(np.ascontiguousarray(data, np.float32)), place)


def seen_by(suffix: str) -> Any:
    """The head, which is the same on both sides, with what no two sides of a head have alike."""
    values = planted("FA") if suffix == "FA" else anatomical(suffix)
    bumps = ndimage.gaussian_filter(np.random.default_rng(5).normal(0, 1, values.shape), 2)
    return values * (1 + 0.1 * bumps / bumps.std())


SEEN = {name: partial(seen_by, name) for name in ("FLAIR", "FA")}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("seen", SEEN.values(), ids=SEEN)
def test_a_turned_image_fits_better_when_it_is_turned_back(seen: Any, turned: bool) -> None:
    found = mirrored_fit(grid(seen_by("T1w")), grid(seen(), turned=turned), np.eye(4))
    assert found is not None
    assert (found > MOST_MIRRORED) == turned
    assert (found < 0.9) == (not turned)


def test_it_is_found_through_a_transform(tmp_path: Path, caplog: Any) -> None:
    """By all other numbers it was aligned well, and every left was a right."""
    way = Path(write_itk_affine(MOTIONS["FLAIR"], tmp_path / "way.txt"))
    fixed, place = grid(seen_by("T1w")), MOTIONS["FLAIR"] @ head().affine
    args = ("flag", "f.nii", "t.nii", 1, way, "way.txt")
    for turned in (False, True):
        caplog.clear()
        moving = grid(seen_by("FLAIR"), place, turned=turned)
        facts = judge_alignment(fixed, moving, *args).metrics
        assert (facts["mirrored_fit"] > MOST_MIRRORED) == turned
        said = "f.nii or t.nii has left and right exchanged: their mutual information is"
        assert (said in caplog.text) == turned
    with pytest.raises(InputError, match="has left and right exchanged"):
        judge_alignment(fixed, grid(seen_by("FLAIR"), place, turned=True), "fail", *args[1:])


@pytest.mark.parametrize("turned", [False, True])
def test_lesions_alone_tell_no_side_for_certain(turned: bool) -> None:
    """The template is symmetric, and no head is: what lies near 1 is not marked."""
    moving = grid(anatomical("FLAIR"), turned=turned)
    found = mirrored_fit(grid(anatomical("T1w")), moving, np.eye(4))
    assert found is not None
    assert (found > 1) == turned


def test_what_shows_nothing_has_no_sides() -> None:
    blank = Grid3D(np.zeros((20, 20, 20), np.float32), np.diag([4.0, 4, 4, 1]))
    ball = Grid3D(
        (np.linalg.norm(np.indices((20, 20, 20)) - 9.5, axis=0) < 8).astype(np.float32),
        blank.affine,
    )
    assert mirrored_fit(blank, ball, np.eye(4)) is None
    assert mirrored_fit(ball, blank, np.eye(4)) is None
    known = mirrored_fit(ball, ball, np.eye(4))
    assert known is None or known < MOST_MIRRORED


def test_the_bound_is_that_of_the_table() -> None:
    measure = find_measure("map_FA_registration_mirrored_fit")
    assert measure is not None
    assert measure.high == MOST_MIRRORED


REAL = DATA / "lesions"


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="needs the real scans")
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "name",
    ["openms_patient07/patient07", "openms_patient19/patient19", "mslesseg_P14/tp1/P14_tp1"],
)
def test_real_heads_are_no_mirrors_of_themselves(name: str, turned: bool) -> None:
    from wmhflow.files.images import load_volume

    t1w, flair = (load_volume(REAL / f"{name}_{suffix}.nii.gz") for suffix in ("T1w", "FLAIR"))
    fixed = grid(np.nan_to_num(t1w[0]), t1w[1])
    found = mirrored_fit(fixed, grid(np.nan_to_num(flair[0]), flair[1], turned=turned), np.eye(4))
    assert found is not None
    assert (found > MOST_MIRRORED) == turned
