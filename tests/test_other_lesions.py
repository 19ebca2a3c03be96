"""Lesions beside other lesions that are given: planted distances come back, and chance is told."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests import inprocess
from tests.coarse import VOXEL_MM, Coarse, coarse_dataset, head, save
from wmhflow.bids.writer import read_table
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans
from wmhflow.core.space.grids import Grid3D
from wmhflow.products.visit import visit_unit
from wmhflow.steps.kinds import LabelImage, MaskImage
from wmhflow.steps.others import tabulate_acute, tabulate_adjacency

WITHOUT = ("fa_dwimap.nii.gz", "cbf.nii.gz")
SHAPE, AFFINE = (40, 30, 20), np.diag([1.0, 1.0, 2.0, 1.0])


def mask(*boxes: tuple[slice, slice, slice]) -> MaskImage:
    data = np.zeros(SHAPE, bool)
    for box in boxes:
        data[box] = True
    return MaskImage(data, AFFINE)


def grid(value: float) -> Grid3D:
    return Grid3D(np.full(SHAPE, value, np.float32), AFFINE)


ACUTE = mask(np.s_[2:4, 5:7, 5:7], np.s_[30:33, 5:7, 5:7])
BLEED = mask(np.s_[8:12, 5:7, 5:7])
WHITE = LabelImage(np.full(SHAPE, 15, np.uint8), AFFINE)
ZONES = LabelImage(np.full(SHAPE, 13, np.uint8), AFFINE)


def acute(bleed: MaskImage | None, wmh: MaskImage = BLEED, remote_mm: float = 20.0, **more):
    near = {"depth": grid(0.25), "ventricle_distance": grid(9), "cortex_distance": grid(27)}
    return tabulate_acute(
        ACUTE, wmh, WHITE, ZONES, **near, remote_mm=remote_mm, haemorrhage=bleed, **more
    )


@pytest.mark.parametrize(("remote_mm", "remote"), [(20, [False, False]), (19, [False, True]),
                                                   (5, [True, True])])  # fmt: skip
def test_an_acute_lesion_is_remote_from_its_distance_on(remote_mm: float, remote: list) -> None:
    found = acute(BLEED, remote_mm=remote_mm)
    assert [row["haemorrhage_distance"] for row in found.table] == [5, 19]
    assert [row["is_remote"] for row in found.table] == remote
    assert found.facts == {"lesions": 2, "remote_lesions": sum(remote)}


def test_an_acute_lesion_has_its_place_and_the_load_of_wmh() -> None:
    (first, _) = acute(BLEED).table
    assert first["volume_mm3"] == 2 * 2 * 2 * 2
    assert (first["zone"], first["hemisphere"]) == ("D", "L")
    assert first["depth"] == pytest.approx(0.25)
    assert first["wmh_distance"] == 5
    assert first["wmh_volume_mm3"] == 4 * 2 * 2 * 2


def test_distances_from_the_oedema_stand_beside_those_from_the_haemorrhage() -> None:
    # three voxels of oedema on the right of the haemorrhage, without the haemorrhage in its mask
    found = acute(BLEED, oedema=mask(np.s_[12:15, 5:7, 5:7])).table
    assert [row["haemorrhage_distance"] for row in found] == [5, 19]
    assert [row["oedema_distance"] for row in found] == [5, 16]
    assert [row["is_remote_from_oedema"] for row in found] == [False, False]
    near = acute(BLEED, oedema=mask(np.s_[12:15, 5:7, 5:7]), remote_mm=16).table
    assert [row["is_remote"] for row in near] == [False, True]
    assert [row["is_remote_from_oedema"] for row in near] == [False, True]
    for without in (None, mask()):
        (first, _) = acute(BLEED, oedema=without).table
        assert (first["oedema_distance"], first["is_remote_from_oedema"]) == (None, None)


def test_where_the_rule_was_refused_the_number_of_lesions_is_not_known() -> None:
    for refused, expected in ((1, (0, None)), (0, (2, 2))):
        found = acute(BLEED, rule={"refused": refused})
        assert (len(found.table), found.facts["lesions"]) == expected


def test_without_haemorrhage_or_wmh_a_distance_is_missing_and_no_number() -> None:
    found = acute(None, mask())
    assert {row["haemorrhage_distance"] for row in found.table} == {None}
    assert {row["is_remote"] for row in found.table} == {None}
    assert {row["wmh_distance"] for row in found.table} == {None}
    assert acute(mask()).table[0]["haemorrhage_distance"] is None


def test_lesions_beside_spaces_are_counted_beside_chance() -> None:
    lesions = np.zeros(SHAPE, np.int32)
    lesions[5, 5, 5], lesions[30, 20, 10], lesions[20, 10, 15] = 1, 2, 3
    spaces = mask(np.s_[5, 7:9, 5], np.s_[30, 24:26, 10])
    found = tabulate_adjacency(
        spaces, LabelImage(lesions, AFFINE), WHITE, grid(9), [True, False, False], seed=1
    )
    assert [row["perivascular_distance"] for row in found.table][:2] == [2, 4]
    assert [row["perivascular_volume_2mm"] for row in found.table] == [2, 0, 0]
    assert [row["perivascular_volume_5mm"] for row in found.table] == [4, 4, 0]
    assert [row["is_adjacent"] for row in found.table] == [True, False, False]
    every, near, deep = found.summary
    assert (every["n_lesions"], near["n_lesions"], deep["n_lesions"]) == (3, 1, 2)
    assert (every["share"], near["share"], deep["share"]) == (pytest.approx(1 / 3), 1, 0)
    # few places of so large a volume are near
    assert every["chance"] < 0.05
    assert every["n_movable"] == 3


# ---- through the command line --------------------------------------------------------------------


def label(made: Coarse, name: str, values: np.ndarray) -> Path:
    path = made.given / "sub-01" / "anat" / f"sub-01_space-T1w_label-{name}_mask.nii.gz"
    return save(path, values.astype(np.uint8), head().affine)


def balls(*centres: tuple[int, int, int]) -> np.ndarray:
    found = np.zeros(head().codes.shape, bool)
    for i, j, k in centres:
        found[i : i + 2, j : j + 2, k : k + 2] = True
    return found


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    made = coarse_dataset(tmp_path_factory.mktemp("others"), without=WITHOUT)
    i, j, k = (int(n) for n in np.argwhere(head().lesions).mean(axis=0))
    label(made, "acute", balls((i - 8, j, k), (i + 8, j, k)))
    label(made, "ICH", balls((i + 12, j, k)))
    # a ring around every lesion
    label(made, "PVS", (head().distance > 0) & (head().distance <= VOXEL_MM))
    return made


def test_given_masks_are_found_by_their_labels(dataset: Coarse) -> None:
    visit = next(iter(make_plans(parse_settings(dataset.words())))).visits[0]
    assert set(visit.others) == {"acute", "haemorrhage", "perivascular"}
    paths = {file.path for file in visit.sources}
    assert {given.file.path for given in visit.others.values()} <= paths
    assert visit.infarct is None


@pytest.mark.acts("--remote-mm")
@pytest.mark.parametrize(("words", "remote_mm"), [((), 20), (("--remote-mm", "9"), 9)])
def test_the_distance_that_makes_lesions_remote_can_be_set(dataset, words, remote_mm) -> None:
    settings = parse_settings(dataset.words(*words))
    unit = visit_unit(next(iter(make_plans(settings))).visits[0], settings)
    unit.check()
    assert unit.makers["table_acute"].options["remote_mm"] == remote_mm


@pytest.mark.slow
def test_tables_of_other_lesions_are_written_with_their_dictionaries(dataset: Coarse) -> None:
    inprocess.succeed(dataset.words("--remote-mm", "9"))
    start = dataset.anat() / "sub-01_desc-"
    rows = read_table(Path(f"{start}acute_lesions.tsv"))
    assert [float(row["haemorrhage_distance"]) for row in rows] == [
        (12 + 8 - 1) * VOXEL_MM, (12 - 8 - 1) * VOXEL_MM
    ]  # fmt: skip
    assert [row["is_remote"] for row in rows] == ["true", "true"]
    assert "is_remote" in json.loads(Path(f"{start}acute_lesions.json").read_text())
    every = read_table(Path(f"{start}perivascular_profiles.tsv"))[0]
    # spaces lie 3 mm from every lesion, which is more than the 2 mm that make it adjacent
    assert every["n_adjacent"] == "0"
    near = read_table(Path(f"{start}perivascular_lesions.tsv"))
    assert {float(row["perivascular_distance"]) for row in near} == {VOXEL_MM}
    for name in ("acute", "haemorrhage", "PVS"):
        assert (dataset.anat() / f"sub-01_space-T1w_label-{name}_mask.json").is_file()


@pytest.mark.slow
def test_where_masks_lie_is_told_by_the_table_of_quality(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = coarse_dataset(tmp_path, without=["cbf.nii.gz"])
    fa = made.find("fa_dwimap.nii.gz")
    i, j, k = (int(n) for n in np.argwhere(head().lesions).mean(axis=0))
    acute = balls(*((i - 8 + 2 * a, j + 2 * b, k + 2 * c) for a, b, c in np.ndindex(2, 2, 2)))
    md = np.where(acute, 0.4e-3, 0.8e-3) + 1e-6 * np.random.default_rng(0).random(acute.shape)
    save(fa.with_name(fa.name.replace("fa_", "md_")), md.astype(np.float32), nib.load(fa).affine)
    label(made, "acute", np.roll(acute, 7, 1))
    label(made, "PVS", (head().distance > 0) & (head().distance <= VOXEL_MM))
    inprocess.succeed(made.words("--registration-qc", "flag"))
    rows = read_table(made.anat() / "sub-01_desc-wmhflow_qc.tsv")
    found = {row["metric"]: row for row in rows}
    # 21 mm beside the lesions that the MD shows
    assert found["acute_local_darkness"]["verdict"] == "check"
    assert "label-acute_mask.nii.gz seems not to lie on acute lesions" in caplog.text
    assert float(found["perivascular_in_tissue"]["value"]) > 0.5
    assert "perivascular_local_darkness" in found
