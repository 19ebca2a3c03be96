"""A truly mirrored head swaps L and R and changes nothing else; two runs give the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.coarse import Coarse, coarse_dataset
from tests.inprocess import succeed
from tests.runs import outputs
from wmhflow.bids.writer import read_table

MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])
SWAPPED = str.maketrans("LR", "RL")
# FreeSurfer codes and their homologues in the coarse head's parcellation
PAIRS = {2: 41, 3: 42, 4: 43, 5: 44, 7: 46, 8: 47, 10: 49, 11: 50, 12: 51, 13: 52}
PAIRS |= {17: 53, 18: 54, 26: 58, 28: 60, 31: 63}


def mirrored_codes(codes: np.ndarray) -> np.ndarray:
    swapped = codes.copy()
    for left, right in PAIRS.items():
        swapped[codes == left], swapped[codes == right] = right, left
    cortex = (codes >= 1000) & (codes < 3000)
    swapped[cortex] = np.where(codes[cortex] < 2000, codes[cortex] + 1000, codes[cortex] - 1000)
    return swapped


def mirror_transform(text: str) -> str:
    """Mirror an ITK affine: F M F, which flips the signs that couple x with y and z."""
    lines = []
    for line in text.splitlines():
        name, _, values = line.partition(": ")
        if name == "Parameters":
            numbers = np.array(values.split(), dtype=float)
            numbers[[1, 2, 3, 6, 9]] *= -1
            values = " ".join(repr(float(number)) for number in numbers)
        if name == "FixedParameters":
            numbers = np.array(values.split(), dtype=float)
            numbers[0] *= -1
            values = " ".join(repr(float(number)) for number in numbers)
        lines.append(f"{name}: {values}" if values else name)
    return "\n".join(lines) + "\n"


def mirrored(coarse: Coarse, target: Path) -> Coarse:
    """Copy a dataset with its anatomy mirrored: same voxels, mirrored affine, swapped codes."""
    for root in (coarse.raw, coarse.given):
        shutil.copytree(root, target / root.name)
    for path in target.rglob("*.nii.gz"):
        image = nib.load(path)
        data = np.asanyarray(image.dataobj)
        if "aparcaseg" in path.name:
            data = mirrored_codes(data)
        affine = MIRROR @ image.affine
        copy = nib.Nifti1Image(data, affine)
        copy.set_sform(affine, code=1)
        copy.set_qform(affine, code=1)
        nib.save(copy, path)
    for path in target.rglob("*_xfm.txt"):
        path.write_text(mirror_transform(path.read_text()))
    return Coarse(target)


def keyed(
    rows: list[dict[str, str]], keys: tuple[str, ...], *, swap: bool
) -> dict[tuple[str, ...], dict[str, str]]:
    """Index rows by what they describe, with the sides swapped if asked."""
    found = {}
    for row in rows:
        key = tuple(row[name] for name in keys)
        side = row["hemisphere"].translate(SWAPPED) if swap else row["hemisphere"]
        values = {k: v for k, v in row.items() if k not in (*keys, "index", "hemisphere", "name")}
        plain = row["name"].removeprefix("left ").removeprefix("right ")
        found[(*key, plain, side)] = values
    return found


def load_rows(path: Path) -> list[dict[str, str]]:
    """Read the rows of a table of asymmetry that no registration had a part in."""
    return [row for row in read_table(path) if row["measure"] == "wmh_fraction"]


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    return coarse_dataset(tmp_path_factory.mktemp("coarse"))


@pytest.fixture(scope="module")
def plain(coarse: Coarse) -> Path:
    succeed(coarse.words())
    return coarse.out


def test_a_mirrored_head_swaps_the_sides_and_nothing_else(
    coarse: Coarse, plain: Path, tmp_path: Path
) -> None:
    turned = mirrored(coarse, tmp_path / "mirrored")
    succeed(turned.words())
    other = turned.out
    anat = Path("sub-01/anat")
    for ending, keys in (
        ("desc-volumes_regions", ("seg",)),
        ("desc-maps_regions", ("seg", "tissue", "map")),
    ):
        name = anat / f"sub-01_{ending}.tsv"
        one = keyed(read_table(plain / name), keys, swap=True)
        two = keyed(read_table(other / name), keys, swap=False)
        assert one.keys() == two.keys()
        for key, values in one.items():
            for column, text in values.items():
                if "n/a" in (text, two[key][column]):
                    assert text == two[key][column], (key, column)
                    continue
                try:
                    number = float(text)
                except ValueError:
                    assert text == two[key][column], (key, column)
                    continue
                # the template's own mirror plane lies beside, not on, the middle of a voxel
                rel = 1e-2 if column.endswith("_icv") else 2e-5
                assert float(two[key][column]) == pytest.approx(number, rel=rel, abs=1e-9), (
                    key,
                    column,
                )
    name = anat / "sub-01_desc-asymmetry_regions.tsv"
    one, two = (
        keyed(load_rows(folder / name), ("seg",), swap=swap)
        for folder, swap in ((plain, True), (other, False))
    )
    assert one.keys() == two.keys()
    for key, values in one.items():
        for column in ("value", "opposite_value"):
            assert two[key][column] == values[column], (key, column)
        for column in ("difference", "asymmetry"):
            if "n/a" in (values[column], two[key][column]):
                assert two[key][column] == values[column], (key, column)
            else:
                assert float(two[key][column]) == -float(values[column]), (key, column)


@pytest.mark.slow
@pytest.mark.usefixtures("few_turns")
def test_a_mirrored_head_swaps_the_sides_of_what_is_computed(tmp_path: Path) -> None:
    """Neither tissues nor lesions are given; the ways to the template and to the FLAIR are."""
    left_out = ["aparcaseg_dseg.nii.gz", "WMH_mask.nii.gz", "cbf.nii.gz"]
    coarse = coarse_dataset(tmp_path / "plain", without=left_out)
    found = []
    for one in (coarse, mirrored(coarse, tmp_path / "mirrored")):
        succeed(one.words())
        rows = read_table(one.anat() / "sub-01_desc-volumes_regions.tsv")
        found.append(keyed(rows, ("seg",), swap=one is coarse))
    compared = 0
    for key, values in found[0].items():
        if key[0] in ("tissue", "zones"):
            volume = float(values["volume_mm3"])
            assert float(found[1][key]["volume_mm3"]) == pytest.approx(volume, rel=0.05, abs=300), (
                key
            )
            compared += volume > 1000
    assert compared > 20


def test_two_runs_give_the_same_bytes(coarse: Coarse, plain: Path) -> None:
    """Pages and pictures: tests/reports; that processes beside change nothing: whole runs."""
    # beside the first, since links to the datasets are relative
    again = coarse.folder / "again"
    succeed(coarse.words(out=again))
    one, two = outputs(plain), outputs(again)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
