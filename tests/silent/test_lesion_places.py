"""Masks of acute lesions and of perivascular spaces that lie elsewhere than their names say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from tests.builders import describe, save_image
from tests.plan.test_participant import mask as given_mask
from tests.plan.test_participant import plan_one
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.itk import write_itk_affine
from wmhflow.labels.digits import CORTEX, CSF, DEEP_GREY, VENTRICLES, WHITE_MATTER
from wmhflow.products.visit import visit_unit
from wmhflow.registries.quality import find_measure
from wmhflow.settings import Settings
from wmhflow.steps.kinds import LabelImage
from wmhflow.steps.lesion_places import (
    LEAST_DARKNESS,
    LEAST_IN_TISSUE,
    judge_acute_placement,
    judge_spaces_placement,
)

SHAPE = (64, 60, 48)
AFFINE = np.eye(4)
# the ADC's own grid: 2 mm, and turned by its transform
TURN = np.array([[0.0, -1, 0, 60], [1, 0, 0, -4], [0, 0, 1, 3], [0, 0, 0, 1]])


def moved(mm: float) -> Any:
    affine = np.eye(4)
    affine[0, 3] = mm
    return affine


def tissue() -> Any:
    """A box of white matter with deep grey matter, a ventricle, cortex around, fluid outside."""
    made = np.full(SHAPE, CSF, np.uint8)
    made[2:62, 2:58, 2:46] = CORTEX
    made[5:59, 5:55, 5:43] = WHITE_MATTER
    made[28:36, 12:48, 18:30] = VENTRICLES
    made[14:24, 24:36, 18:28] = DEEP_GREY
    return made


BRIGHTNESS = {CSF: 20, CORTEX: 70, WHITE_MATTER: 110, VENTRICLES: 20, DEEP_GREY: 90}
DIFFUSIVITY = {CSF: 3.0, CORTEX: 0.85, WHITE_MATTER: 0.75, VENTRICLES: 3.0, DEEP_GREY: 0.75}


def painted(values: dict[int, float], spread: float, seed: int = 2) -> Any:
    drawn = np.zeros(SHAPE)
    for code, value in values.items():
        drawn[tissue() == code] = value
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, SHAPE), 0.7)
    return drawn * (1 + spread * noise / noise.std())


def acute() -> Any:
    made = np.zeros(SHAPE, bool)
    made[8:18, 38:48, 10:18] = made[40:48, 8:16, 32:40] = True
    return made


def spaces(seed: int = 5) -> Any:
    """Thin lines in white and deep grey matter, of the left side more than of the right."""
    rng = np.random.default_rng(seed)
    room = ndimage.binary_erosion(np.isin(tissue(), (WHITE_MATTER, DEEP_GREY)), iterations=2)
    made = np.zeros(SHAPE, bool)
    for x, y, z in rng.choice(np.argwhere(room), 40):
        made[x : x + 8, y, z] = True
    return made & room


def natives_in(folder: Path) -> dict[str, Path]:
    """Write what is read for its header alone."""
    nothing = np.zeros(SHAPE, np.uint8)
    return {
        "T1w": save_image(folder / "t1w.nii.gz", nothing, AFFINE),
        "FLAIR": save_image(folder / "flair.nii.gz", nothing, moved(7)),
    }


def placed_acute(folder: Path, mask: Any, quality: str = "flag", **more: Any) -> Any:
    adc = painted(DIFFUSIVITY, 0.08)
    adc[acute()] *= 0.6
    in_place = np.linalg.inv(TURN) @ AFFINE
    natives = natives_in(folder)
    return judge_acute_placement(
        save_image(folder / "acute.nii.gz", mask, more.pop("affine", AFFINE)),
        save_image(folder / "adc.nii.gz", adc.astype(np.float32), TURN),
        LabelImage(tissue(), AFFINE),
        {name: str(path) for name, path in natives.items()},
        "T1w",
        more.pop("space", "T1w"),
        Path(write_itk_affine(moved(400), folder / "inverse.txt")),
        quality,
        "ADC",
        Path(write_itk_affine(np.linalg.inv(in_place), folder / "adc.txt")),
        Path(write_itk_affine(moved(7), folder / "other.txt")),
        **more,
    ).facts


def placed_spaces(folder: Path, mask: Any, quality: str = "flag", **more: Any) -> Any:
    t1w = painted(BRIGHTNESS, 0.05)
    t1w[spaces()] *= 0.6
    natives = natives_in(folder)
    return judge_spaces_placement(
        save_image(folder / "spaces.nii.gz", mask, more.pop("affine", AFFINE)),
        Grid3D(t1w.astype(np.float32), AFFINE),
        "T1w",
        LabelImage(tissue(), AFFINE),
        {name: str(path) for name, path in natives.items()},
        "T1w",
        more.pop("space", "T1w"),
        Path(write_itk_affine(moved(400), folder / "inverse.txt")),
        quality,
        Path(write_itk_affine(moved(7), folder / "other.txt")),
        **more,
    ).facts


KINDS = {
    "acute": (placed_acute, acute, "acute lesions"),
    "perivascular": (placed_spaces, spaces, "perivascular spaces"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_mask_in_its_place_is_right(tmp_path: Path, kind: str, caplog: Any) -> None:
    judge, draw, _ = KINDS[kind]
    for quality in ("flag", "fail"):
        facts = judge(tmp_path, draw(), quality)
        assert facts[f"{kind}_local_darkness"] > 0.9
        assert not any("better" in name for name in facts)
    if kind == "perivascular":
        assert facts["perivascular_in_tissue"] > 0.99
    assert not caplog.records


# how a mask is wrong; its reading that fits
WRONG: dict[str, tuple[Any, dict[str, Any], str | None]] = {
    "mirrored": (lambda m: m[::-1], {}, "mirrored"),
    "upside down": (lambda m: m[:, :, ::-1], {}, "upside_down"),
    "moved by 20 mm along x": (lambda m: np.roll(m, 20, 0), {}, None),
    "moved by 20 mm along y": (lambda m: np.roll(m, -20, 1), {}, None),
    "moved by 20 mm along z": (lambda m: np.roll(m, -20, 2), {}, None),
    "of the FLAIR's place, named T1w": (lambda m: m, {"affine": moved(7)}, "in_FLAIR_space"),
    "on the FLAIR's voxels": (
        lambda m: m, {"affine": moved(-9), "space": "FLAIR"}, "on_FLAIR_grid"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("change", "how", "better"), WRONG.values(), ids=WRONG)
def test_a_mask_that_lies_elsewhere_is_marked_or_refused(
    tmp_path: Path, kind: str, change: Any, how: dict[str, Any], better: str | None, caplog: Any
) -> None:
    judge, draw, words = KINDS[kind]
    mask = np.ascontiguousarray(change(draw()))
    facts = judge(tmp_path, mask, **how)
    named = {name.removeprefix(f"{kind}_fits_better_") for name in facts if "_fits_better_" in name}
    assert named == ({better} if better else set())
    assert f"{kind if kind == 'acute' else 'spaces'}.nii.gz seems not to lie on {words}" in (
        caplog.text
    )
    with pytest.raises(InputError, match=f"seems not to lie on {words}"):
        judge(tmp_path, mask, "fail", **how)


def test_spaces_of_another_person_are_marked(tmp_path: Path, caplog: Any) -> None:
    """They lie in white matter as well, and the image is no darker there."""
    facts = placed_spaces(tmp_path, spaces(11))
    assert facts["perivascular_in_tissue"] > 0.99
    assert facts["perivascular_local_darkness"] < LEAST_DARKNESS
    assert "seems not to lie on perivascular spaces" in caplog.text


@pytest.mark.parametrize(
    "place", [np.s_[30:34, 14:46, 20:28], np.s_[3:5, 6:50, 6:40], np.s_[0:2, 0:50, 0:40]]
)
def test_spaces_in_ventricles_cortex_or_outside_are_marked_although_they_are_dark(
    tmp_path: Path, place: Any, caplog: Any
) -> None:
    mask = np.zeros(SHAPE, bool)
    mask[place] = True
    facts = placed_spaces(tmp_path, mask)
    assert facts["perivascular_in_tissue"] < LEAST_IN_TISSUE
    assert "of it lies in white matter or deep grey matter" in caplog.text


def test_too_little_or_a_map_that_cannot_be_used_tells_nothing(tmp_path: Path, caplog: Any) -> None:
    little = np.zeros(SHAPE, bool)
    little[40:44, 30:34, 20:24] = True
    assert placed_acute(tmp_path, little) == {"acute_local_darkness": None}
    assert placed_acute(tmp_path, acute()[::-1], without=["ADC"]) == {"acute_local_darkness": None}
    few = np.zeros(SHAPE, bool)
    few[40:43, 30, 20] = True
    facts = placed_spaces(tmp_path, few)
    assert facts == {"perivascular_in_tissue": None, "perivascular_local_darkness": None}
    assert placed_spaces(tmp_path, np.zeros(SHAPE, bool)) == facts
    assert not caplog.records


def test_the_bounds_are_those_of_the_table() -> None:
    for name, bound in (
        ("acute_local_darkness", LEAST_DARKNESS),
        ("perivascular_local_darkness", LEAST_DARKNESS),
        ("perivascular_in_tissue", LEAST_IN_TISSUE),
    ):
        measure = find_measure(name)
        assert measure is not None
        assert measure.low == bound
    better = find_measure("perivascular_fits_better_mirrored")
    assert better is not None
    assert better.high == 0


# the map's name beside the mask; by what the mask is tested
SHOWN = {
    "ADC": ("ADC", ["ADC"]),
    "MD": ("model-tensor_param-md_dwimap", ["MD"]),
    "neither": (None, []),
}


@pytest.mark.parametrize("more", [(), ("--registration-qc", "off")])
@pytest.mark.parametrize(("name", "tested"), SHOWN.values(), ids=SHOWN)
def test_the_plan_says_where_nothing_shows_acute_lesions(
    raw: Path, tmp_path: Path, name: str | None, tested: list[str], more: tuple[str, ...]
) -> None:
    dataset = describe(tmp_path / "d")
    given_mask(dataset)
    given_mask(dataset, "sub-01_space-T1w_label-acute_mask")
    given_mask(dataset, "sub-01_space-T1w_label-PVS_mask")
    if name is not None:
        file = dataset / "sub-01" / "dwi" / f"sub-01_space-T1w_{name}.nii.gz"
        save_image(file, np.full((8, 9, 10), 0.8e-3))
    visit = plan_one(raw, dataset, more=more)
    assert visit.problem is None
    said = " ".join(line.why for line in visit.decisions if line.what == "acute")
    assert ("there is neither ADC nor MD" in said) == (not tested and not more)
    options = ("out", "participant", *more)
    settings = Settings(Path("raw"), Path("out"), "participant")
    if more:
        from wmhflow.cli.parser import parse_settings

        settings = parse_settings(["raw", *options])
    steps = {one.name: one for one in visit_unit(visit, settings).recipes}
    found = steps.get("placement_acute")
    assert ([found.options["map_name"]] if found else []) == (tested if not more else [])
    assert ("placement_perivascular" in steps) == (not more)
