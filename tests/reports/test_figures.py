"""What the pictures show, read from their pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from wmhflow.reports.figures import (
    GAP_MM,
    PIXELS_PER_MM,
    Fill,
    Outline,
    ProfilePoint,
    Underlay,
    arrange,
    edge_segments,
    mark_places,
    profile_figure,
    slice_figure,
)
from wmhflow.reports.volumes import Volume, to_ras

AFFINE = np.array([[2.0, 0, 0, -40], [0, 2.0, 0, -40], [0, 0, 5.0, -40], [0, 0, 0, 1]])
BOX = (slice(0, 40), slice(0, 40), slice(0, 16))


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def volume_with(where: tuple[slice, slice, slice]) -> Volume:
    data = np.zeros((40, 40, 16), dtype=np.float32)
    data[where] = 1.0
    return Volume(data, AFFINE)


def mirrored_storage(volume: Volume) -> Volume:
    affine = volume.affine.copy()
    affine[0, 3] += affine[0, 0] * (volume.data.shape[0] - 1)
    affine[0, 0] *= -1
    return Volume(volume.data[::-1], affine)


def coloured(image: np.ndarray, red: int, green: int, blue: int) -> np.ndarray:
    return np.argwhere(np.abs(image - (red, green, blue)).sum(axis=2) < 60)


def one_axial(volume: Volume, **more) -> bytes:
    return slice_figure(volume, BOX, [(0, (("axial", 8),))], [Underlay(volume)], **more)


def test_a_left_lesion_is_on_the_left_however_it_is_stored():
    ras = volume_with((slice(4, 10), slice(10, 20), slice(0, 16)))
    las = to_ras(mirrored_storage(ras))
    drawn = one_axial(ras, outlines=[Outline(ras.data > 0, "#00ff00", "WMH")])
    image = pixels(drawn)
    half = image.shape[1] / 2
    legend = image.shape[0] - 45
    green = coloured(image, 0, 255, 0)
    assert (green[green[:, 0] < legend, 1] < half).all()
    assert drawn == one_axial(las, outlines=[Outline(las.data > 0, "#00ff00", "WMH")])


def test_nothing_is_drawn_over_a_bare_image_and_its_greys_are_the_same():
    volume = volume_with((slice(4, 10), slice(10, 20), slice(0, 16)))
    volume.data[20:30, 10:20], volume.data[20:30, 25:35] = 0.5, 0.1
    item = (("axial", 8),)
    image = pixels(
        slice_figure(
            volume,
            BOX,
            [(1, item), (0, (*item, ("coronal", 15)))],
            [Underlay(volume), Underlay(volume, is_bare=True)],
            [Outline(volume.data == 1, "#00ff00", "WMH")],
        )
    )
    above = image[: image.shape[0] // 2 - 30]
    below = image[image.shape[0] // 2 : image.shape[0] - 45]
    assert not coloured(above, 0, 255, 0).size
    assert coloured(below, 0, 255, 0).size

    # the half-bright block has one grey in both
    found = [np.bincount(part[..., 0].ravel())[90:140] for part in (above, below)]
    assert min(counts.max() for counts in found) > 100
    assert found[0].argmax() == found[1].argmax()


def test_the_letter_l_stands_where_x_is_small():
    canvas = arrange([(0, (("axial", 3), ("coronal", 3)))], np.array([2.0, 2.0, 5.0]), BOX)
    for panel in canvas.panels:
        (left, x_left, _), (right, x_right, _) = mark_places(panel, ("L", "R"))
        assert (left, right) == ("L", "R")
        assert panel.left < x_left < x_right < panel.left + panel.width


def test_a_cube_of_the_world_is_a_square_of_pixels():
    cube = volume_with((slice(10, 30), slice(10, 30), slice(4, 12)))  # 40 mm each way
    png = slice_figure(
        cube,
        BOX,
        [(0, (("coronal", 20), ("axial", 8)))],
        [Underlay(Volume(np.zeros((40, 40, 16), np.float32), AFFINE))],
        fill=Fill(cube.data.astype(int), ((1, "#ff0000", "cube"),), 1.0),
    )
    image = pixels(png)
    red = coloured(image[: image.shape[0] - 40], 255, 0, 0)
    split = image.shape[1] / 2
    for part in (red[red[:, 1] < split], red[red[:, 1] >= split]):
        height, width = np.ptp(part, axis=0) + 1
        assert abs(height - 40 * PIXELS_PER_MM) <= 2
        assert abs(width - 40 * PIXELS_PER_MM) <= 2


def test_panels_have_the_size_of_the_world_and_do_not_overlap():
    rows = [(0, (("axial", 1), ("axial", 2))), (0, (("sagittal", 1), ("coronal", 1)))]
    canvas = arrange(rows, np.array([2.0, 3.0, 5.0]), (slice(0, 10), slice(0, 20), slice(0, 8)))
    sizes = {(panel.plane, panel.width, panel.height) for panel in canvas.panels}
    assert sizes == {("axial", 20, 60), ("sagittal", 60, 40), ("coronal", 20, 40)}
    for one in canvas.panels:
        assert one.left >= GAP_MM
        assert one.bottom >= GAP_MM - 1e-9
        assert one.left + one.width <= canvas.width
        for other in canvas.panels:
            apart = one.left + one.width <= other.left or other.left + other.width <= one.left
            above = (
                one.bottom >= other.bottom + other.height or other.bottom >= one.bottom + one.height
            )
            assert one is other or apart or above


def test_the_border_of_a_mask_runs_along_pixel_edges():
    mask = np.zeros((5, 6), dtype=bool)
    mask[1, 2] = True
    corners = edge_segments(mask).reshape(-1, 2)
    assert {tuple(corner) for corner in corners} == {(2, 1), (3, 1), (2, 2), (3, 2)}


def test_a_border_at_the_rim_of_the_picture_is_closed():
    assert len(edge_segments(np.ones((3, 4), dtype=bool))) == 2 * (3 + 4)


@pytest.mark.parametrize("unit", ["1", "$x_$ mm^2/s", "ml/100 g/min"])
def test_profiles_are_the_same_bytes_each_time_and_take_any_unit(unit):
    points = [ProfilePoint(d, 0.4 + d / 50, 0.1, 50.0) for d in (-1.0, 1.0, 3.0)]
    points.append(ProfilePoint(20.0, 0.5, 0.1, 500.0, is_rest=True))
    missing = [ProfilePoint(1.0, float("nan"), float("nan"), float("nan"))]
    profiles = {"all": points, "PV": missing, "deep": []}
    drawn = profile_figure("FA", unit, profiles, {"all": 4.0})
    assert drawn == profile_figure("FA", unit, profiles, {"all": 4.0})
    assert drawn.startswith(b"\x89PNG")


def test_pictures_hold_no_date_and_no_version():
    volume = volume_with((slice(4, 10), slice(10, 20), slice(0, 16)))
    info = Image.open(io.BytesIO(one_axial(volume))).info
    assert set(info) <= {"dpi"}


def test_the_interval_needs_two_voxels():
    assert np.isnan(ProfilePoint(1.0, 0.5, 0.1, 1.0).half_interval)
    assert ProfilePoint(1.0, 0.5, 0.1, 100.0).half_interval == pytest.approx(0.0196)
