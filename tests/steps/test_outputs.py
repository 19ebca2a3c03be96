"""How images are stored: what 16 bits hold, and what they do not."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from wmhflow.files.images import image_bytes, make_image, save_work_image
from wmhflow.steps.outputs import final_image

RNG = np.random.default_rng(7)
SHAPE = (6, 7, 8)
FAR = RNG.uniform(-9, 190, SHAPE).astype(np.float32)
SHARES = RNG.uniform(0, 1, SHAPE).astype(np.float32)
SCAN = (1000 * RNG.random(SHAPE)).astype(np.float32)
SCAN[:2] = 0


# a scanner's whole numbers
WHOLE = np.rint(30 * SCAN)
# half a thousandth of what is bright
LEAST = 1.01 * np.percentile(SCAN[SCAN > 0], 90) / 2000


def stored(tmp_path, kind, data, brain=None, threshold=None):
    work = tmp_path / "work.packed"
    save_work_image(work, data, np.diag([1, 2, 3, 1.0]), np.float32)
    image = final_image(kind, work, brain, threshold)
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
        ("probability", SHARES, 0.000062),
        ("scan", SCAN, LEAST),
        ("scan", 1e-6 * SCAN, 1e-6 * LEAST),
        ("scan", -SCAN, LEAST),
        ("scan", with_one(SCAN, 20_000), LEAST),
        ("scan", WHOLE, 0.0),
        ("scan", -WHOLE, 0.0),
        ("scan", with_one(WHOLE, 32_767), 0.0),
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
        ("probability", with_one(SHARES, np.nan)),
        ("probability", with_one(SHARES, 1.01)),
        ("probability", with_one(SHARES, -0.01)),
        ("scan", with_one(SCAN, 1e6)),
        ("scan", np.zeros(SHAPE, np.float32)),
        ("scalars", FAR),
    ],
)
def test_single_precision_holds_what_16_bits_do_not(tmp_path, kind, data):
    dtype, values = stored(tmp_path, kind, data)
    assert dtype == np.float32
    np.testing.assert_array_equal(values.astype(np.float32), data)


BRAIN = np.zeros(SHAPE, bool)
BRAIN[2:5, 2:6, 1:7] = True


@pytest.mark.parametrize(
    ("kind", "data", "most_error", "outside"),
    [
        ("distance", FAR, 0.00501, 327.67),
        ("distance", np.where(BRAIN, FAR, np.inf).astype(np.float32), 0.00501, 327.67),
        ("distance", np.where(BRAIN, -FAR, np.nan).astype(np.float32), 0.00501, 327.67),
        ("distance", np.where(BRAIN, FAR, 900).astype(np.float32), 0.00501, 327.67),
        ("depth", SHARES, 0.0000501, 3.2767),
    ],
)
def test_outside_of_the_brain_nothing_is_measured(tmp_path, kind, data, most_error, outside):
    dtype, values = stored(tmp_path, kind, data, BRAIN)
    assert dtype == np.int16
    assert np.abs(values - data)[BRAIN].max() <= most_error
    np.testing.assert_allclose(values[~BRAIN], outside, rtol=1e-6)


@pytest.mark.parametrize(
    "data",
    [
        with_one(FAR, 327.67),
        with_one(FAR, np.nan),
        with_one(FAR, np.inf),
        np.full(SHAPE, np.inf, np.float32),
    ],
)
def test_no_distance_in_the_brain_looks_like_none(tmp_path, data):
    dtype, values = stored(tmp_path, "distance", data, BRAIN)
    assert dtype == np.float32
    np.testing.assert_array_equal(values.astype(np.float32)[BRAIN], data[BRAIN])
    assert np.isposinf(values[~BRAIN]).all()


def test_compression_is_the_same_every_time_and_hides_nothing():
    image = make_image(WHOLE, np.eye(4), np.int16)
    one, other = image_bytes(image), image_bytes(make_image(WHOLE, np.eye(4), np.int16))
    assert one == other
    assert gzip.decompress(one) == image.to_bytes()


@pytest.mark.parametrize("threshold", [0.05, 0.4, 0.45, 0.5, 0.99])
def test_a_stored_probability_stays_on_its_side_of_the_threshold(tmp_path, threshold):
    edge = np.float32(threshold)
    near = [edge, np.nextafter(edge, np.float32(0)), np.nextafter(edge, np.float32(1)), 0, 1]
    data = np.resize(np.array(near, np.float32), SHAPE)
    data[3:] = SHARES[3:]
    dtype, values = stored(tmp_path, "probability", data, threshold=threshold)
    assert dtype == np.int16
    assert np.array_equal(values >= threshold, data >= edge)
    assert np.abs(values - data).max() < 2.0**-13
    assert values.min() == 0
    assert values.max() == 1
