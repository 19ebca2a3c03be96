"""Single regions of a parcellation on the wrong side, and lesions on both sides of the midline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import save_image
from tests.coarse import head
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.measure.regional import region_volumes
from wmhflow.core.regions.nawm import combine_tissues
from wmhflow.core.regions.partition import IN_WMH, Row, partition
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.values import check_sides, read_labels
from wmhflow.labels.digits import LEFT, RIGHT, WHITE_MATTER, WMH, with_side
from wmhflow.labels.freesurfer import homologous_codes, load_freesurfer_codes
from wmhflow.steps.kinds import LabelImage, MaskImage
from wmhflow.steps.lesions import number_lesions


def exchanged(codes: Any, *pairs: tuple[int, int]) -> Any:
    made = codes.copy()
    for one, other in pairs:
        made[codes == one], made[codes == other] = other, one
    return made


def test_every_code_of_a_side_has_its_homologue() -> None:
    known = load_freesurfer_codes()
    sided = {code for code, entry in known.items() if entry.hemisphere in "LR"}
    assert {code for pair in homologous_codes() for code in pair} == sided
    assert all(known[one].hemisphere == "L" for one, _ in homologous_codes())
    assert all(known[other].hemisphere == "R" for _, other in homologous_codes())


# what is exchanged, and which codes a message names
PARTS: dict[str, tuple[tuple[tuple[int, int], ...], str]] = {
    "nothing": ((), ""),
    "one parcel": (((1028, 2028),), r"1028 \(ctx-lh-superiorfrontal\) by .* 2028 \(ctx-rh-super"),
    "the ventricles": (((4, 43),), r"4 \(Left-Lateral-Ventricle\) by .* mm, 43 \(Right"),
    "two parcels and a nucleus": (((1029, 2029), (1030, 2030), (10, 49)), "and 2 more"),
    "all": (tuple(homologous_codes()), "has left and right exchanged"),
}


@pytest.mark.parametrize("turn", [(0, 0, 0), (8, -6, 20)])
@pytest.mark.parametrize(("pairs", "said"), PARTS.values(), ids=PARTS)
def test_regions_that_lie_where_their_homologues_should_are_named(
    tmp_path: Path, pairs: tuple[tuple[int, int], ...], said: str, turn: tuple[float, ...]
) -> None:
    """A parcel of the other side changed lobes and bullseye of both sides, and nothing said so."""
    affine = rigid_matrix((*turn, 3, 8, -6), np.zeros(3)) @ head().affine
    path = save_image(tmp_path / "dseg.nii.gz", exchanged(head().codes, *pairs), affine)
    if not said:
        check_sides(path, *read_labels(path))
        return
    with pytest.raises(InputError, match=said):
        check_sides(path, *read_labels(path))


def test_a_region_without_its_homologue_lies_beyond_the_middle(tmp_path: Path) -> None:
    codes = np.where(head().codes == 2011, 1011, np.where(head().codes == 1011, 3, head().codes))
    path = save_image(tmp_path / "dseg.nii.gz", codes, head().affine)
    with pytest.raises(InputError, match=r"1011 \(ctx-lh-lateraloccipital\) by"):
        check_sides(path, *read_labels(path))


def test_small_regions_have_no_side(tmp_path: Path) -> None:
    codes = head().codes.copy()
    right = np.argwhere(codes == 41)
    codes[tuple(right[0])] = 77 - 47  # Left-vessel, of one voxel of 27 mm3
    path = save_image(tmp_path / "dseg.nii.gz", codes, head().affine)
    check_sides(path, *read_labels(path))


def test_a_lesion_on_both_sides_is_one_row_and_its_volume_counts_by_voxel() -> None:
    """Its row has the side of most of it; who adds up volumes by side takes the table of these."""
    shape, affine = (20, 9, 9), np.eye(4)
    wmh = np.zeros(shape, bool)
    wmh[7:12, 3:6, 3:6] = True  # 3 of 5 columns lie on the left
    sides = np.where(np.arange(20)[:, None, None] < 10, 1, 2) * np.ones(shape, np.uint8)
    tissue = combine_tissues(np.full(shape, WHITE_MATTER, np.uint8), sides, wmh)
    near = Grid3D(np.ones(shape, np.float32), affine)
    zones = [LabelImage(np.full(shape, 11, np.uint8), affine)]
    found = number_lesions(
        MaskImage(wmh, affine), LabelImage(tissue, affine), near, near, zones, ["majority"],
        "continuity",
    )  # fmt: skip
    (row,) = found.table
    assert (row["hemisphere"], row["volume_mm3"]) == ("L", 45.0)
    regions = [Row([("tissue", [int(with_side(WMH, side))])]) for side in (LEFT, RIGHT)]
    divided = partition({"tissue": tissue, IN_WMH: wmh})
    by_side = region_volumes(divided, regions, found.lesions.data, np.array([[9, 4, 4]]), 1.0)
    assert [one["wmh_volume_mm3"] for one in by_side] == [27.0, 18.0]
    assert [one["n_lesions"] for one in by_side] == [1, 1]
