"""Acute lesions by rule through the command line: planted ones stand in the table of given ones."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.builders import describe
from tests.coarse import MOTIONS, VOXEL_MM, Coarse, coarse_dataset, head, save
from tests.inprocess import run, succeed
from wmhflow.bids.writer import read_table

pytestmark = pytest.mark.slow
WITHOUT = ("fa_dwimap.nii.gz", "cbf.nii.gz")
FLUID = (4, 43, 24)


def places() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A haemorrhage, and acute lesions of eight voxels near it and far from it, in white matter."""
    made = head()
    white = np.isin(made.codes, (2, 41)) & ~made.lesions
    inside = np.argwhere(white[:-1, :-1, :-1])
    corners = [tuple(one) for one in inside if white[tuple(slice(i, i + 2) for i in one)].all()]
    start = np.array(max(corners))
    far = next(c for c in corners if abs(np.array(c) - start).max() * VOXEL_MM > 40)
    near = next(c for c in corners if 9 <= np.linalg.norm((np.array(c) - start) * VOXEL_MM) < 15)
    return tuple(_cube(one) for one in (tuple(start), near, far))  # type: ignore[return-value]


def _cube(corner: tuple[int, ...]) -> np.ndarray:
    found = np.zeros(head().codes.shape, bool)
    found[tuple(slice(i, i + 2) for i in corner)] = True
    return found


def write_series(made: Coarse, *, inverted: bool = False) -> None:
    """A series of one volume without weighting and a trace image, whose table lies in the root."""
    rng = np.random.default_rng(3)
    codes, (bleed, near, far) = head().codes, places()
    s0 = np.where(np.isin(codes, FLUID), 900.0, 300) * (1 + 0.03 * rng.standard_normal(codes.shape))
    adc = np.where(np.isin(codes, FLUID), 3e-3, 0.8e-3)
    adc[near | far], s0[bleed] = 0.4e-3, 60
    data = np.stack([s0, s0 * np.exp(-1000 * adc)], axis=3)
    if inverted:
        data[..., 1] = data[..., 1].max() + 1 - data[..., 1]
    data[codes == 0] = 0
    root = describe(made.folder / "prep", DatasetType="derivative", GeneratedBy=[{"Name": "x"}])
    path = root / "sub-01" / "dwi" / "sub-01_dwi.nii"
    save(path, data.astype(np.float32), MOTIONS["dwi"] @ head().affine)
    (root / "dwi.bval").write_text("0 1000")
    for path in [*made.given.rglob("*from-dwi_to-*")]:
        target = root / path.relative_to(made.given)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    anat = made.given / "sub-01" / "anat" / "sub-01_space-T1w_label-ICH_mask.nii.gz"
    save(anat, bleed.astype(np.uint8), head().affine)


def write_trace(made: Coarse) -> None:
    """The scanner's own trace image and ADC, in µm²/ms, in the place of the series."""
    path = made.folder / "prep" / "sub-01" / "dwi" / "sub-01_dwi.nii"
    image = nib.load(path)
    plain, weighted = np.moveaxis(image.get_fdata(), 3, 0)
    inside = plain > 0
    adc = np.zeros(plain.shape, np.float32)
    adc[inside] = np.log(plain[inside] / weighted[inside])
    save(path.with_name("sub-01_trace.nii"), weighted.astype(np.float32), image.affine)
    save(path.with_name("sub-01_ADC.nii"), adc, image.affine)
    path.with_name("sub-01_ADC.json").write_text(json.dumps({"Units": "um^2/ms"}))
    path.unlink()


def words(made: Coarse, *more: str) -> list[str]:
    given = made.words("--acute-source", "dwi", *more)
    place = given.index("-d") + 1
    return [*given[:place], f"prep={made.folder / 'prep'}", *given[place:]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    coarse = coarse_dataset(tmp_path_factory.mktemp("acute"), without=WITHOUT)
    write_series(coarse)
    succeed(words(coarse))
    return coarse


def test_planted_lesions_come_back_with_their_distances(made: Coarse) -> None:
    bleed, near, far = places()
    image = nib.load(made.anat() / "sub-01_space-T1w_label-acute_mask.nii.gz")
    # the image is interpolated, the transform turned: a lesion's outermost voxels may miss
    found = image.get_fdata() > 0
    assert found[~(near | far)].sum() == 0
    assert all(found[one].sum() >= 4 for one in (near, far))
    rows = read_table(made.anat() / "sub-01_desc-acute_lesions.tsv")
    assert sorted(row["is_remote"] for row in rows) == ["false", "true"]
    spots = np.argwhere(bleed)
    for row in rows:
        centre = np.array([float(row[name]) for name in "xyz"])
        world = spots @ image.affine[:3, :3].T + image.affine[:3, 3]
        apart = np.linalg.norm(world - centre, axis=1).min()
        assert float(row["haemorrhage_distance"]) == pytest.approx(apart, abs=2 * VOXEL_MM)


def test_the_numbers_of_the_rule_stand_beside_the_mask_and_in_the_texts(made: Coarse) -> None:
    sidecar = json.loads((made.anat() / "sub-01_space-T1w_label-acute_mask.json").read_text())
    told = sidecar["Parameters"]
    assert (told["largest_adc"], told["least_spreads"], told["rim_mm"]) == (0.62e-3, 6, 5)
    assert told["refused"] == 0
    assert told["shells"] == [1000]
    sources = {uri.rsplit("/", 1)[-1] for uri in sidecar["Sources"]}
    assert sources >= {"sub-01_dwi.nii", "bids:prep:dwi.bval"}
    assert any(name.startswith("sub-01_desc-ADC") for name in sources)
    assert "0.62 × 10⁻³" in (made.out / "logs" / "CITATION.md").read_text()
    qc = {row["metric"]: row for row in read_table(made.anat() / "sub-01_desc-wmhflow_qc.tsv")}
    assert qc["acute_refused"]["verdict"] == "ok"
    assert float(qc["acute_lesions"]["value"]) == 2
    assert float(qc["acute_white_adc"]["value"]) == pytest.approx(0.8e-3, rel=0.02)


def test_the_computed_adc_is_the_planted_one(made: Coarse) -> None:
    (path,) = made.anat().glob("sub-01_desc-ADC_*.nii.gz")
    found = nib.load(path).get_fdata()
    white = np.isin(head().codes, (2, 41)) & ~places()[1] & ~places()[2] & ~places()[0]
    assert np.allclose(found[white], 0.8e-3, rtol=1e-4)
    assert np.allclose(found[places()[2]], 0.4e-3, rtol=1e-4)


def test_a_scanners_trace_and_adc_give_the_same(made: Coarse, tmp_path: Path) -> None:
    other = coarse_dataset(tmp_path, without=WITHOUT)
    write_series(other)
    write_trace(other)
    succeed(words(other, "--units", "ADC=um^2/s"))
    masks = [
        nib.load(one.anat() / "sub-01_space-T1w_label-acute_mask.nii.gz") for one in (made, other)
    ]
    assert np.array_equal(masks[0].get_fdata(), masks[1].get_fdata())
    sidecar = json.loads((other.anat() / "sub-01_space-T1w_label-acute_mask.json").read_text())
    names = {uri.rsplit("/", 1)[-1] for uri in sidecar["Sources"]}
    assert {"sub-01_trace.nii", "sub-01_ADC.nii"} <= names


def test_an_inverted_image_costs_these_lesions_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = coarse_dataset(tmp_path, without=WITHOUT)
    write_series(made, inverted=True)
    done = run(words(made))
    assert done.code == 0
    qc = {row["metric"]: row for row in read_table(made.anat() / "sub-01_desc-wmhflow_qc.tsv")}
    assert qc["acute_refused"]["verdict"] == "check"
    assert qc["acute_lesions"]["value"] == "n/a"
    assert read_table(made.anat() / "sub-01_desc-acute_lesions.tsv") == []
    assert "acute lesions are not looked for" in caplog.text
