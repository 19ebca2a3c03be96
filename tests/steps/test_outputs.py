"""How images are stored: what 16 bits hold, and what they do not."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.files.images import save_work_image
from wmhflow.steps.outputs import final_image

RNG = np.random.default_rng(7)
SHAPE = (6, 7, 8)
FAR = RNG.uniform(-9, 190, SHAPE).astype(np.float32)
SHARES = RNG.uniform(0, 1, SHAPE).astype(np.float32)
SCAN = (1000 * RNG.random(SHAPE)).astype(np.float32)
SCAN[:2] = 0


def stored(tmp_path, kind, data):
    work = tmp_path / "work.nii"
    save_work_image(work, data, np.diag([1, 2, 3, 1.0]), np.float32)
    image = final_image(kind, work)
    (tmp_path / "out.nii.gz").write_bytes(image.to_bytes())
    return image.get_data_dtype(), type(image).from_bytes(image.to_bytes()).get_fdata()


def with_one(data, value):
    changed = data.copy()
    changed[3, 3, 3] = value
    return changed


@pytest.mark.parametrize(
    ("kind", "data", "most_error"),
    [
        ("distance", FAR, 0.00501),
        ("distance", with_one(FAR, 327.6), 0.00501),
        ("distance", np.zeros(SHAPE, np.float32), 0.0),
        ("depth", SHARES, 0.0000501),
        ("scan", SCAN, 0.016),
        ("scan", 1e-6 * SCAN, 1.6e-8),
        ("scan", -SCAN, 0.016),
        ("scan", with_one(SCAN, 20_000), 0.31),
    ],
)
def test_16_bits_hold_it(tmp_path, kind, data, most_error):
    dtype, values = stored(tmp_path, kind, data)
    assert dtype == np.int16
    assert np.abs(values - data).max() <= most_error
    assert ((values == 0) | (data != 0)).all()


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("distance", np.full(SHAPE, np.inf, np.float32)),
        ("distance", with_one(FAR, np.nan)),
        ("distance", with_one(FAR, 400)),
        ("distance", with_one(FAR, -400)),
        ("depth", with_one(SHARES, np.nan)),
        ("scan", with_one(SCAN, 1e6)),
        ("scan", np.zeros(SHAPE, np.float32)),
        ("scalars", FAR),
    ],
)
def test_single_precision_holds_what_16_bits_do_not(tmp_path, kind, data):
    dtype, values = stored(tmp_path, kind, data)
    assert dtype == np.float32
    np.testing.assert_array_equal(values.astype(np.float32), data)
