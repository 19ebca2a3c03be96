"""A truly mirrored head swaps L and R and changes nothing else; two runs give the same bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.builders import PHANTOM
from tests.runs import outputs, phantom_words, wmhflow
from wmhflow.bids.writer import read_table

pytestmark = pytest.mark.slow
MIRROR = np.diag([-1.0, 1.0, 1.0, 1.0])
SWAPPED = str.maketrans("LR", "RL")
# FreeSurfer codes and their homologues in the phantom's parcellation
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


def mirrored_phantom(target: Path) -> Path:
    """Copy the phantom with its anatomy mirrored: same voxels, mirrored affine, swapped codes."""
    shutil.copytree(PHANTOM, target)
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
    return target


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


def run(dataset: Path, folder: Path, *more: str) -> Path:
    done = wmhflow([*phantom_words(folder / "out", folder / "work", dataset=dataset), *more])
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out"


FIRST = ("--participant-label", "01", "--session-label", "1")
SECOND = ("--participant-label", "02")


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(PHANTOM, tmp_path_factory.mktemp("second"), *SECOND, "--nprocs", "2")


def test_a_mirrored_head_swaps_the_sides_and_nothing_else(tmp_path: Path) -> None:
    plain = run(PHANTOM, tmp_path / "plain", *FIRST)
    other = run(mirrored_phantom(tmp_path / "mirrored"), tmp_path / "mirror", *FIRST)
    anat = Path("sub-01/ses-1/anat")
    for ending, keys in (
        ("desc-volumes_regions", ("seg",)),
        ("desc-maps_regions", ("seg", "tissue", "map")),
    ):
        name = anat / f"sub-01_ses-1_{ending}.tsv"
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
                # the intracranial volume comes from a registration, which mirrors to a voxel or so
                rel = 1e-2 if column.endswith("_icv") else 2e-5
                assert float(two[key][column]) == pytest.approx(number, rel=rel, abs=1e-9), (
                    key,
                    column,
                )
    name = anat / "sub-01_ses-1_desc-asymmetry_regions.tsv"
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


def test_a_mirrored_head_swaps_the_sides_of_what_is_computed(second: Path, tmp_path: Path) -> None:
    other = run(mirrored_phantom(tmp_path / "m"), tmp_path / "mirror", *SECOND)
    name = Path("sub-02/anat/sub-02_desc-volumes_regions.tsv")
    one = keyed(read_table(second / name), ("seg",), swap=True)
    two = keyed(read_table(other / name), ("seg",), swap=False)
    for key, values in one.items():
        if key[0] in ("tissue", "zones"):
            volume = float(values["volume_mm3"])
            # a registration of the mirrored head is not the mirrored registration to the last bit
            assert float(two[key]["volume_mm3"]) == pytest.approx(volume, rel=0.05, abs=300), key


def test_two_runs_give_the_same_bytes_whatever_runs_beside(second: Path, tmp_path: Path) -> None:
    one = outputs(run(PHANTOM, tmp_path, *SECOND, "--nprocs", "1"))
    two = outputs(second)
    assert one.keys() == two.keys()
    different = [name for name in one if one[name] != two[name]]
    assert different == []
