"""A whole run in which a field of displacements leads the maps of a scan to the reference."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.builders import made_atlases
from tests.coarse import MOTIONS, PLACE, Coarse, coarse_dataset, head
from tests.files.test_composites import field_of
from tests.files.test_fields import field_image
from tests.inprocess import succeed
from wmhflow.bids.naming import TEMPLATE
from wmhflow.bids.writer import read_table

LINEAR = "from-dwi_to-T1w_mode-image_xfm.txt"
THROUGH_FLAIR = "from-dwi_to-FLAIR_mode-image_xfm.txt"
STEP_MM = 6.0


def bend(dataset: Coarse, by_mm: float, ending: str = ".h5", *, back: bool = False) -> Path:
    """Give the way of the diffusion scan as a field that moves as it did, and bends by so much.

    It may lead the other way, from the T1w to the scan.
    """
    linear = dataset.find(LINEAR)
    name = linear.name.replace(".txt", ending)
    if back:
        name = name.replace("from-dwi_to-T1w", "from-T1w_to-dwi")
    linear.unlink()
    motion = np.linalg.inv(MOTIONS["dwi"]) if back else MOTIONS["dwi"]
    return written(linear.with_name(name), motion, by_mm)


def written(path: Path, motion: np.ndarray, by_mm: float = 0.0) -> Path:
    """Write a rigid motion, and how it bends, as a field around the head in voxels of 6 mm."""
    corners = nib.affines.apply_affine(
        head().affine, np.array([*np.ndindex(2, 2, 2)]) * (np.array(head().codes.shape) - 1)
    )
    # headers of images hold single precision
    low = np.floor(corners.min(axis=0)) - 30
    shape = tuple(np.ceil((corners.max(axis=0) + 30 - low) / STEP_MM).astype(int))
    affine = np.diag([STEP_MM, STEP_MM, STEP_MM, 1.0])
    affine[:3, 3] = low
    places = nib.affines.apply_affine(affine, np.moveaxis(np.indices(shape), 0, -1))
    vectors = nib.affines.apply_affine(motion, places) - places
    vectors[..., 1] += by_mm * np.sin(places[..., 0] / 25)
    write = field_of if path.suffix == ".h5" else field_image
    return write(path, vectors.astype(np.float32), affine)


def medians(dataset: Coarse) -> dict[tuple[str, ...], float]:
    rows = read_table(dataset.anat() / "sub-01_desc-maps_regions.tsv")
    keys = ("map", "seg", "index", "tissue")
    return {
        tuple(row[key] for key in keys): float(row["median"])
        for row in rows
        if row["median"] != "n/a" and float(row["volume_mm3"]) > 3000
    }


@pytest.mark.slow
def test_an_image_gives_the_tables_of_the_file_with_the_same_field(tmp_path: Path) -> None:
    tables: list[dict[str, bytes]] = []
    for ending in (".h5", ".nii.gz"):
        dataset = coarse_dataset(tmp_path / ending, without=[THROUGH_FLAIR])
        bend(dataset, 6.0, ending)
        succeed(dataset.words())
        tables.append({path.name: path.read_bytes() for path in dataset.anat().glob("*.tsv")})
        assert any(b"FA" in table for table in tables[-1].values())
    assert len(tables[0]) > 5
    assert tables[0] == tables[1]


@pytest.mark.slow
@pytest.mark.parametrize("given", [2, 1], ids=["both", "the way there alone"])
def test_fields_to_the_template_give_what_matrices_give(tmp_path: Path, given: int) -> None:
    """Regions of the template's atlas lie where they lay; the way back may be an inverse."""
    straight, bent = (coarse_dataset(tmp_path / name) for name in ("straight", "bent"))
    motions = [PLACE, np.linalg.inv(PLACE)]
    ends = [f"from-T1w_to-{TEMPLATE}", f"from-{TEMPLATE}_to-T1w"]
    for number, (name, motion) in enumerate(zip(ends, motions, strict=True)):
        (linear,) = bent.given.rglob(f"*{name}_mode-image_xfm.*")
        linear.unlink()
        if number < given:
            written(linear.with_name(linear.name.partition(".")[0] + ".nii.gz"), motion)
    atlas = made_atlases(tmp_path / "atlases")
    for dataset in (straight, bent):
        assert "FAILED" not in succeed(dataset.words(*atlas, "--registration-qc", "flag")).err
    found, expected = (
        {
            (row["seg"], row["index"]): float(row["volume_mm3"])
            for row in read_table(dataset.anat() / "sub-01_desc-volumes_regions.tsv")
        }
        for dataset in (bent, straight)
    )
    assert set(found) == set(expected)
    total = sum(expected.values())
    assert sum(abs(found[key] - expected[key]) for key in found) < 0.005 * total
    rows = read_table(bent.anat() / "sub-01_desc-wmhflow_qc.tsv")
    metrics = {row["metric"]: row for row in rows}
    assert float(metrics["template_registration_round_trip_mm"]["value"]) < 0.1
    assert ("template_registration_inverse_error_mm" in metrics) == (given == 1)


@pytest.mark.slow
def test_a_field_of_the_other_direction_gives_what_the_direct_one_gives(tmp_path: Path) -> None:
    straight, turned = (
        coarse_dataset(tmp_path / name, without=[THROUGH_FLAIR]) for name in ("straight", "turned")
    )
    field = bend(turned, 0.0, ".nii.gz", back=True)
    succeed(straight.words())
    done = succeed(turned.words())
    assert "FAILED" not in done.err
    expected, found = medians(straight), medians(turned)
    apart = [abs(found[key] - expected[key]) for key in expected if key[0] == "FA"]
    assert len(apart) > 100
    assert np.median(apart) < 0.01
    assert max(apart) < 0.03
    plan = succeed(turned.words("--dry-run")).out
    told = " ".join(plan.split())
    assert f"aligned by the inverse of {field.name}" in told
    assert "a field of displacements, inverted here by iteration" in told
    rows = read_table(turned.anat() / "sub-01_desc-wmhflow_qc.tsv")
    (row,) = (row for row in rows if row["metric"].endswith("_registration_inverse_error_mm"))
    assert float(row["value"]) < 0.1
    assert row["verdict"] == "ok"


@pytest.mark.slow
@pytest.mark.parametrize("by_mm", [0.0, 10.0])
def test_maps_come_to_the_reference_through_a_field(tmp_path: Path, by_mm: float) -> None:
    """A field that moves as the matrix did gives its numbers; one that bends gives others."""
    # a linear way through the FLAIR would go before the field
    straight, bent = (
        coarse_dataset(tmp_path / name, without=[THROUGH_FLAIR]) for name in ("straight", "bent")
    )
    field = bend(bent, by_mm)
    succeed(straight.words())
    done = succeed(bent.words())
    assert "FAILED" not in done.err
    expected, found = medians(straight), medians(bent)
    fa = [key for key in expected if key[0] == "FA"]
    assert len(fa) > 100
    apart = np.array([abs(found[key] - expected[key]) for key in fa])
    # resampled once, and not measured in its own grid
    assert np.median(apart) < 0.01
    assert (apart.max() < 0.03) == (by_mm == 0)
    others = [key for key in expected if key[0] == "CBF"]
    assert all(found[key] == expected[key] for key in others)
    plan = succeed(bent.words("--dry-run")).out
    assert f"aligned by {field.name}" in plan
    assert "which bends it: it is resampled onto the reference once" in plan
    written = next(bent.anat().glob("*_from-FA_to-T1w_mode-image_xfm.h5"))
    assert written.stat().st_size > 1000
