"""A mask of infarcts or of another lesion that lies elsewhere than its name and header say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from tests.builders import save_image
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.itk import write_itk_affine
from wmhflow.labels.digits import WHITE_MATTER
from wmhflow.registries.quality import find_measure
from wmhflow.steps.kinds import LabelImage
from wmhflow.steps.other_placement import LEAST_STANDING_OUT, judge_other_placement, standing_out

SHAPE = (44, 40, 32)
AFFINE = np.eye(4)


def lesion() -> Any:
    mask = np.zeros(SHAPE, bool)
    mask[6:16, 8:18, 8:18] = True
    return mask


def images(flair: float, t1w: float) -> list[Grid3D]:
    """Draw the lesion, with noise that is as smooth as tissue's."""
    rng = np.random.default_rng(2)
    return [
        Grid3D(
            (100 + by * lesion() + 12 * ndimage.gaussian_filter(rng.normal(0, 1, SHAPE), 1)).astype(
                np.float32
            ),
            AFFINE,
        )
        for by in (t1w, flair)
    ]


# brightness of the lesion on FLAIR and T1w beside white matter
AGES = {
    "fresh": (40.0, 0.0),
    "old, a cavity": (-50.0, -60.0),
    "of any age, on T1w alone": (0.0, -30.0),
}


def judged(folder: Path, mask: Any, seen: list[Grid3D], quality: str = "flag", **more: Any) -> Any:
    far = np.eye(4)
    far[0, 3] = 400
    tissue = np.full(SHAPE, WHITE_MATTER, np.uint8)
    natives = {"T1w": save_image(folder / "t1w.nii.gz", seen[0].data, AFFINE)}
    natives["FLAIR"] = save_image(folder / "flair.nii.gz", seen[1].data, moved(7))
    to_flair = moved(7)
    return judge_other_placement(
        save_image(folder / "infarct.nii.gz", mask, more.pop("affine", AFFINE)),
        seen,
        LabelImage(tissue, AFFINE),
        {name: str(path) for name, path in natives.items()},
        "T1w",
        more.pop("space", "T1w"),
        Path(write_itk_affine(far, folder / "inverse.txt")),
        quality,
        "infarct",
        Path(write_itk_affine(to_flair, folder / "other.txt")),
        **more,
    ).facts


def moved(mm: float) -> Any:
    affine = np.eye(4)
    affine[0, 3] = mm
    return affine


@pytest.mark.parametrize("seen", AGES.values(), ids=AGES)
def test_a_mask_on_its_lesion_is_right(tmp_path: Path, seen: tuple[float, float]) -> None:
    facts = judged(tmp_path, lesion(), images(*seen))
    assert set(facts) == {"infarct_standing_out"}
    assert facts["infarct_standing_out"] > 0.95


WRONG: dict[str, tuple[Any, dict[str, Any], str | None]] = {
    "mirrored": (lesion()[::-1], {}, "mirrored"),
    "front to back": (lesion()[:, ::-1], {}, "front_to_back"),
    "on the FLAIR's place, named T1w": (lesion(), {"affine": moved(7)}, "in_FLAIR_space"),
    "on the FLAIR's voxels": (lesion(), {"affine": moved(-9), "space": "FLAIR"}, "on_FLAIR_grid"),
    "moved": (np.roll(lesion(), 18, 0), {}, None),
}


@pytest.mark.parametrize(("mask", "how", "better"), WRONG.values(), ids=WRONG)
def test_a_mask_that_lies_elsewhere_is_marked_and_the_better_reading_named(
    tmp_path: Path, mask: Any, how: dict[str, Any], better: str | None, caplog: Any
) -> None:
    """Healthy tissue was left out of NAWM, and the infarct counted as WMH or as NAWM."""
    facts = judged(tmp_path, np.ascontiguousarray(mask), images(40, -30), **how)
    named = {name.removeprefix("infarct_fits_better_") for name in facts if "better" in name}
    assert named == ({better} if better else set())
    # nothing of it may lie in the image
    found = facts["infarct_standing_out"] or 0.0
    assert found < (LEAST_STANDING_OUT if better is None else 0.9)
    assert "infarct.nii.gz seems not to lie on a lesion" in caplog.text
    with pytest.raises(InputError, match="seems not to lie on a lesion"):
        judged(tmp_path, np.ascontiguousarray(mask), images(40, -30), "fail", **how)


def test_labels_of_the_mask_of_wmh_are_judged_too(tmp_path: Path) -> None:
    both = 2 * lesion() + np.roll(lesion(), 18, 0)
    facts = judged(tmp_path, both, images(40, 0), labels=(2,), others=(1,))
    assert facts["infarct_standing_out"] > 0.95


def test_cortex_in_a_mask_tells_nothing() -> None:
    """It is darker than white matter on any T1w, wherever the mask lies."""
    white = np.ones(SHAPE, bool)
    white[10:] = False
    seen = Grid3D(np.where(white, 100, 60).astype(np.float32), AFFINE)
    assert standing_out([seen], lesion(), white) == 0.5
    assert np.isnan(standing_out([seen], lesion(), np.zeros(SHAPE, bool)))


def test_the_bound_is_that_of_the_table() -> None:
    measure = find_measure("infarct_standing_out")
    assert measure is not None
    assert measure.low == LEAST_STANDING_OUT
    better = find_measure("haemorrhage_fits_better_mirrored")
    assert better is not None
    assert better.high == 0
