"""Every table is the same however a head is stored, turned in space, or its atlas numbered."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.builders import made_atlases
from tests.coarse import Coarse, coarse_dataset
from tests.inprocess import succeed
from wmhflow.bids.naming import TEMPLATE
from wmhflow.bids.writer import read_table
from wmhflow.files.itk import read_itk_affine, write_itk_affine

ANAT = Path("sub-01/anat")
START = "sub-01_"
CHOSEN = ("--bullseye-layers", "5", "--zones", "jv3-pv13-jc4", "pv4-14")
MORE = ("--cross", "zones:lobes", "zones:halves")
# from a rotation about no axis of the grid
TURN = nib.eulerangles.euler2mat(0.35, -0.2, 0.3)
LEAST_COMPARED = 15_000


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    made = coarse_dataset(tmp_path_factory.mktemp("plain"), every=2)
    # off the common lattice: where voxels lie on voxels, the last bit decides a median where half
    # lies below a value, and a point's voxel halfway between two
    aside = np.eye(4)
    aside[:3, 3] = 1.1, 0.7, 0.4
    for ending in ("dwi_to-T1w", "asl_to-T1w", f"T1w_to-{TEMPLATE}"):
        path = made.find(f"from-{ending}_mode-image_xfm.txt")
        write_itk_affine(read_itk_affine(path) @ aside, path)
    back = np.linalg.inv(read_itk_affine(path))
    write_itk_affine(back, made.find(f"from-{TEMPLATE}_to-T1w_mode-image_xfm.txt"))
    return made


def changed(
    coarse: Coarse,
    folder: Path,
    change: Callable[[nib.Nifti1Image], nib.Nifti1Image],
    turn: np.ndarray,
) -> Coarse:
    """Copy the dataset with every image changed, and its world turned."""
    made = Coarse(folder)
    for root in (coarse.raw, coarse.given):
        shutil.copytree(root, folder / root.name)
    for path in folder.rglob("*.nii.gz"):
        image = change(nib.load(path))
        image.set_sform(image.affine, code=1)
        image.set_qform(image.affine, code=1)
        nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), image.affine, image.header), path)
    for path in folder.rglob("*_xfm.txt"):
        # the template stays where it is
        before = np.eye(4) if f"from-{TEMPLATE}" in path.name else turn
        after = np.eye(4) if f"to-{TEMPLATE}" in path.name else turn
        write_itk_affine(before @ read_itk_affine(path) @ np.linalg.inv(after), path)
    return made


def stored_as(codes: str) -> Callable[[nib.Nifti1Image], nib.Nifti1Image]:
    def reoriented(image: nib.Nifti1Image) -> nib.Nifti1Image:
        axes = [nib.orientations.axcodes2ornt(c) for c in (nib.aff2axcodes(image.affine), codes)]
        return image.as_reoriented(nib.orientations.ornt_transform(*axes))

    return reoriented


def turned(image: nib.Nifti1Image) -> nib.Nifti1Image:
    """Turn the world: the header says another place for the same voxels."""
    return nib.Nifti1Image(np.asanyarray(image.dataobj), WORLD @ image.affine, image.header)


WORLD = np.eye(4)
WORLD[:3, :3] = TURN


def run(coarse: Coarse, atlases: list[str], out: Path) -> Path:
    succeed(coarse.words(*CHOSEN, *MORE, *atlases, out=out))
    return out


@pytest.fixture(scope="module")
def plain(coarse: Coarse) -> Path:
    return run(coarse, made_atlases(coarse.folder / "atlases"), coarse.out)


def tables(out: Path) -> dict[str, list[dict[str, str]]]:
    return {path.name.removeprefix(START): read_table(path) for path in (out / ANAT).glob("*.tsv")}


ASYMMETRY = "desc-asymmetry_regions.tsv"


def assert_same(
    one: Path, two: Path, *, apart_from: tuple[str, ...] = (), skipped: tuple[str, ...] = ()
) -> int:
    """Compare every cell of every table; how many were compared."""
    compared = 0
    first, second = tables(one), tables(two)
    assert first.keys() == second.keys()
    for name, rows in first.items():
        if name.endswith("qc.tsv") or name in skipped:
            # quality judges computed registrations of the FLAIR, which hang on the grid
            continue
        assert len(rows) == len(second[name]), name
        for row, other in zip(rows, second[name], strict=True):
            for column, text in row.items():
                if column in apart_from:
                    continue
                if text != other[column]:
                    # a voxel of a map that a region just touches counts for n and weighs nothing
                    exact = 2 if column == "n" else 2e-6
                    number = pytest.approx(float(other[column]), rel=2e-4, abs=exact)
                    assert float(text) == number, (name, row, column, other[column])
                compared += 1
    return compared


@pytest.mark.parametrize(
    "codes", [*(pytest.param(one, marks=pytest.mark.slow) for one in ("RAS", "LPS", "LIA")), "PSR"]
)
def test_the_order_of_voxels_changes_no_table(
    coarse: Coarse, plain: Path, tmp_path: Path, codes: str
) -> None:
    dataset = changed(coarse, tmp_path, stored_as(codes), np.eye(4))
    out = run(dataset, made_atlases(tmp_path / "atlases"), dataset.out)
    image = nib.load(out / ANAT / f"{START}space-T1w_seg-bullseye_dseg.nii.gz")
    assert "".join(nib.aff2axcodes(image.affine)) == codes
    assert assert_same(plain, out) > LEAST_COMPARED


def test_a_turned_head_changes_no_table_but_the_lesions_places(
    coarse: Coarse, plain: Path, tmp_path: Path
) -> None:
    dataset = changed(coarse, tmp_path, turned, WORLD)
    out = run(dataset, made_atlases(tmp_path / "atlases"), dataset.out)
    lesions_move = ("x", "y", "z", "index")
    assert assert_same(plain, out, apart_from=lesions_move, skipped=(ASYMMETRY,)) > LEAST_COMPARED
    # a point that falls between two voxels on the way to the other side and back may take either
    for row, other in zip(tables(plain)[ASYMMETRY], tables(out)[ASYMMETRY], strict=True):
        for side in ("", "opposite_"):
            if row[f"{side}n"] != "n/a" and int(row[f"{side}n"]) > 100:
                for column in ("n", "volume_mm3", "value"):
                    mine, theirs = (float(one[side + column]) for one in (row, other))
                    assert mine == pytest.approx(theirs, rel=0.01), (row, side, column)
    places = [
        sorted(
            (row["volume_mm3"], *np.round([float(row[axis]) for axis in "xyz"] @ turn, 2))
            for row in tables(folder)["lesions.tsv"]
        )
        for folder, turn in ((plain, np.eye(3)), (out, TURN))
    ]
    for one, two in zip(*places, strict=True):
        assert one[0] == two[0]
        assert one[1:] == pytest.approx(two[1:], abs=0.02)


@pytest.mark.slow
def test_the_numbers_of_an_atlas_change_nothing_but_themselves(
    coarse: Coarse, plain: Path, tmp_path: Path
) -> None:
    words = made_atlases(tmp_path / "atlases")
    path = tmp_path / "atlases" / "h.nii.gz"
    image = nib.load(path)
    data = np.asanyarray(image.dataobj)
    nib.save(nib.Nifti1Image(np.where(data == 7, 250, 11).astype(np.int16), image.affine), path)
    path.with_name("h.txt").write_text("250|HL|half left\n11|HR|half right\n")
    out = run(coarse, words, tmp_path / "out")
    names = "space-T1w_atlas-halves_dseg.tsv"
    compared = assert_same(plain, out, apart_from=("index",), skipped=(names,))
    assert compared > LEAST_COMPARED
    found = {row["name"]: row["index"] for row in tables(out)["desc-volumes_regions.tsv"]}
    assert (found["half left"], found["half right"]) == ("250", "11")


@pytest.mark.parametrize("seg", ["zones", "lobes", "bullseye", "continuity", "majority", "shells"])
def test_left_lies_left_in_every_label_image(plain: Path, seg: str) -> None:
    image = nib.load(plain / ANAT / f"{START}space-T1w_seg-{seg}_dseg.nii.gz")
    labels = np.asanyarray(image.dataobj)
    side = {"bullseye": 100, "shells": 1000}.get(seg, 10)
    homologues = [n for n in np.unique(labels) if n // side == 1 and (labels == n + side).any()]
    assert homologues
    for n in homologues:
        left, right = (
            (image.affine @ [*np.argwhere(labels == m).mean(axis=0), 1])[0] for m in (n, n + side)
        )
        assert left < right, n
