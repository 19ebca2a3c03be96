"""What voxels tell is counted right, whatever type they are stored in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import save_image
from wmhflow.errors import InputError
from wmhflow.files.values import (
    check_contrast,
    check_range,
    inspect_values,
    present_codes,
)


def test_nonfinite_and_nonzero_voxels_are_counted(tmp_path: Path) -> None:
    data = np.zeros((4, 4, 4))
    data[0, 0, :3] = [np.nan, np.inf, 7]
    values = inspect_values(save_image(tmp_path / "a.nii.gz", data))
    assert (values.n_nonfinite, values.n_nonzero, values.low, values.high) == (2, 1, 0, 7)
    assert not values.is_empty


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_one_value_everywhere_is_no_image(tmp_path: Path, dtype: Any) -> None:
    path = save_image(tmp_path / "a.nii.gz", np.full((8, 9, 10), 7), dtype=dtype)
    with pytest.raises(InputError, match="holds the one value 7"):
        check_contrast(inspect_values(path))


def test_codes_near_whole_numbers_are_rounded_and_others_refused(tmp_path: Path) -> None:
    data = np.array([-3.0, 2.01, 40.9999, np.nan] * 2).reshape(2, 2, 2)
    assert present_codes(save_image(tmp_path / "a.nii.gz", data)) == {-3, 0, 2, 41}
    data[0, 0, 0] = 41.5
    with pytest.raises(InputError, match="between whole numbers"):
        present_codes(save_image(tmp_path / "c.nii.gz", data))
    signed = np.array([-3, 2, 41, 0] * 2).reshape(2, 2, 2)
    path = save_image(tmp_path / "b.nii.gz", signed, dtype=np.int16)
    assert present_codes(path) == {-3, 0, 2, 41}


@pytest.mark.parametrize(("value", "fits"), [(0.5, True), (1.0, True), (1.1, False), (0, False)])
def test_one_true_value_is_enough_for_a_map(tmp_path: Path, value: float, fits: bool) -> None:
    data = np.full((3, 3, 3), np.nan)
    data[0] = 0
    data[1, 1, 1] = value
    path = save_image(tmp_path / "a.nii.gz", data)
    if fits:
        check_range(path, "FA", "1", (0.0, 1.0))
    else:
        with pytest.raises(InputError, match=r"no value of FA .* valid range 0 to 1;"):
            check_range(path, "FA", "1", (0.0, 1.0))
