"""Atlases that do not lie on their template, whatever their names say of left and right.

Regions were laid where the affine said, in every person: by a header in cm all of them within the
middle of the brain, and by one that was never filled in within its right front.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from wmhflow.errors import InputError
from wmhflow.plan.atlases import PlannedAtlases
from wmhflow.settings import NamedPath, Regions
from wmhflow.steps.atlases import lay_atlas
from wmhflow.steps.kinds import Columns

TEMPLATE = "MNI152NLin2009aSym"
SPACING_MM = 4.0
SHAPE = (50, 59, 48)
PLACE = np.array([[-4.0, 0, 0, 98], [0, 4, 0, -134], [0, 0, 4, -72], [0, 0, 0, 1]])


def ball() -> Any:
    """Labels of about the size and place of a brain, in front and behind."""
    x, y, z = np.moveaxis(np.moveaxis(np.indices(SHAPE), 0, -1) @ PLACE[:3, :3].T + PLACE[:3, 3],
                          -1, 0)  # fmt: skip
    inside = (x / 68) ** 2 + ((y + 18) / 88) ** 2 + ((z - 8) / 72) ** 2 <= 1
    return np.where(inside, np.where(y > 0, 1, 2), 0).astype(np.int16)


def write(folder: Path, data: Any, affine: Any) -> str:
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, 1)
    nib.save(image, folder / "own.nii.gz")
    (folder / "own.txt").write_text("1|F|in front\n2|B|behind\n", encoding="utf-8")
    return f"own={folder / 'own.nii.gz'}"


def scaled(by: float) -> Any:
    return np.diag([by, by, by, 1]) @ PLACE


HEADERS: dict[str, tuple[Any, Any, str]] = {
    "in cm": (ball(), scaled(0.1), "spans 20×23.6×19.2 mm"),
    "in m": (ball(), scaled(1e-3), "spans 0.2×"),
    "in µm": (ball(), scaled(1e3), "which no template does"),
    "a slice": (ball()[:, :, 20:21], PLACE, "is a single slice"),
    "never filled in": (ball(), np.diag([4.0, 4, 4, 1]), "at a corner"),
    "the identity": (ball(), np.eye(4), "at a corner"),
    "from the far corner": (ball(), [[-4, 0, 0, 196], *np.diag([0, 4.0, 4, 1])[1:]], "at a corner"),
    "half a voxel off": (ball(), [[4, 0, 0, 2], [0, 4, 0, 2], [0, 0, 4, 2], [0, 0, 0, 1]],
                         "at a corner"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "affine", "said"), HEADERS.values(), ids=HEADERS)
def test_what_no_template_can_have_is_refused_in_the_plan(
    tmp_path: Path, data: Any, affine: Any, said: str
) -> None:
    given = write(tmp_path, data, np.asarray(affine, float))
    regions = Regions(atlas=(given,), atlas_template=(NamedPath("own", Path(TEMPLATE)),))
    with pytest.raises(InputError, match=said):
        PlannedAtlases(regions)


@pytest.mark.parametrize("which", ["atlas", "template"])
def test_two_sizes_of_a_voxel_are_refused(tmp_path: Path, which: str) -> None:
    """Regions were laid by the sform, whichever was right; of other images it is refused, too."""
    given = write(tmp_path, ball(), PLACE)
    image = nib.Nifti1Image(ball(), PLACE)
    image.set_qform(scaled(0.9), 1)
    image.set_sform(PLACE, 1)
    other = Path(TEMPLATE)
    if which == "template":
        other = tmp_path / "t1w.nii.gz"
    nib.save(image, tmp_path / ("own.nii.gz" if which == "atlas" else "t1w.nii.gz"))
    regions = Regions(atlas=(given,), atlas_template=(NamedPath("own", other),))
    with pytest.raises(InputError, match=r"4×4×4 mm by its sform and of 3.6×3.6×3.6 mm"):
        PlannedAtlases(regions)


def test_an_atlas_on_its_template_is_planned(tmp_path: Path) -> None:
    given = write(tmp_path, ball(), PLACE)
    regions = Regions(atlas=(given,), atlas_template=(NamedPath("own", Path(TEMPLATE)),))
    assert [one.name for one in PlannedAtlases(regions).asked] == ["own"]


def test_another_template_than_the_files_name_says_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, ball(), PLACE)
    for ending in (".nii.gz", ".txt"):
        (tmp_path / f"own{ending}").rename(tmp_path / f"tpl-MNI152NLin6Asym_own{ending}")
    given = f"own={tmp_path / 'tpl-MNI152NLin6Asym_own.nii.gz'}"
    PlannedAtlases(Regions(atlas=(given,), atlas_template=(NamedPath("own", Path(TEMPLATE)),)))
    assert "own.nii.gz says that it lies on MNI152NLin6Asym; the option is followed" in caplog.text


# ---- where the brain is --------------------------------------------------------------------------


def laid(folder: Path, data: Any, affine: Any) -> Any:
    """Lay an atlas over a brain that fills the template's."""
    places = np.argwhere(ball() > 0) @ PLACE[:3, :3].T + PLACE[:3, 3]
    points = Columns(places.astype(np.float32), ball() > 0, PLACE)
    return lay_atlas(write(folder, data, affine), True, folder / "own.nii.gz", points, 0.5)


def moved(*mm: float) -> Any:
    affine = PLACE.copy()
    affine[:3, 3] += mm
    return affine


@pytest.mark.parametrize("mm", [(100, 0, 0), (0, 120, 0), (70, 70, 40), (0, 0, -90)])
def test_an_atlas_that_lies_beside_the_brain_is_refused(tmp_path: Path, mm: Any) -> None:
    with pytest.raises(InputError, match=r"% of the atlas own .* lies outside the brain"):
        laid(tmp_path, ball(), moved(*mm))


BESIDE: dict[str, tuple[Any, Any]] = {
    "on it": (ball(), PLACE),
    "a little off": (ball(), moved(8, -8, 8)),
    "of the whole head": (np.where(ball() > 0, ball(), 2).astype(np.int16), PLACE),
    "a small part": (
        np.where(np.arange(SHAPE[1])[:, None] == 30, ball(), 0).astype(np.int16),
        PLACE,
    ),
    "half of all space": (
        (np.indices(SHAPE)[0] < SHAPE[0] // 2).astype(np.int16),
        PLACE,
    ),
    "shares of a head": (np.stack([ball() == 1, np.ones(SHAPE)], -1).astype(np.float32), PLACE),
}


@pytest.mark.parametrize(("data", "affine"), BESIDE.values(), ids=BESIDE)
def test_one_on_the_brain_is_laid(tmp_path: Path, data: Any, affine: Any) -> None:
    assert laid(tmp_path, data, affine).labels.data.any()
