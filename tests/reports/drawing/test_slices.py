"""What pictures of slices show, read from their pixels."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from tests.reports.pixels import coloured, letter_in, panel_of, pixels, slices_of
from wmhflow.reports.drawing.common import COARSE, DPI, FINE, png_bytes
from wmhflow.reports.drawing.layout import GAP_MM, Canvas, arrange
from wmhflow.reports.drawing.overlays import (
    LEGEND_ROW_MM,
    Fill,
    Legend,
    Mark,
    Outline,
    legend_entries,
)
from wmhflow.reports.drawing.slices import PIXELS_PER_MM, Underlay, slice_png, slice_title
from wmhflow.reports.drawing.volumes import Volume, to_ras

AFFINE = np.array([[2.0, 0, 0, -40], [0, 2.0, 0, -40], [0, 0, 5.0, -40], [0, 0, 0, 1]])
BOX = (slice(0, 40), slice(0, 40), slice(0, 16))
SHAPE = (40, 40, 16)
DARK = Volume(np.zeros(SHAPE, np.float32), AFFINE)
GREEN = "#00ff00"
ROWS = [(0, (("axial", 8), ("coronal", 20), ("sagittal", 20)))]


def volume_with(where: tuple[slice, slice, slice]) -> Volume:
    data = np.zeros(SHAPE, dtype=np.float32)
    data[where] = 1.0
    return Volume(data, AFFINE)


def mirrored_storage(volume: Volume) -> Volume:
    affine = volume.affine.copy()
    affine[0, 3] += affine[0, 0] * (volume.data.shape[0] - 1)
    affine[0, 0] *= -1
    return Volume(volume.data[::-1], affine)


def drawn(volume: Volume, rows=ROWS, **more) -> tuple[bytes, np.ndarray, Canvas]:
    png = slice_png(volume, BOX, rows, [Underlay(volume)], **more)
    return png, pixels(png), arrange(rows, volume.spacing, BOX)


def edges_mm(mask: np.ndarray, width: float, height: float) -> list[tuple[float, float]]:
    """Middles of the edges between a mask and what is not the mask, counted voxel by voxel."""
    found = []
    columns, rows = mask.shape
    for column in range(columns):
        for row in range(rows):
            for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                beside = (column + dx, row + dy)
                inside = 0 <= beside[0] < columns and 0 <= beside[1] < rows
                if mask[column, row] and not (inside and mask[beside]):
                    place = (column + 0.5 + dx / 2, row + 0.5 + dy / 2)
                    found.append((place[0] * width, place[1] * height))
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_contour_is_where_the_mask_ends_and_nowhere_else(seed):
    mask = np.random.default_rng(seed).random(SHAPE) < 0.02
    _, image, canvas = drawn(DARK, outlines=[Outline(mask, GREEN, "WMH")])
    cuts = {"axial": mask[:, :, 8], "coronal": mask[:, 20, :], "sagittal": mask[20]}
    sizes = {"axial": (2.0, 2.0), "coronal": (2.0, 5.0), "sagittal": (2.0, 5.0)}
    for panel in canvas.panels:
        middles = np.array(edges_mm(cuts[panel.plane], *sizes[panel.plane])) * PIXELS_PER_MM
        part = panel_of(image, canvas, panel)
        # half green at least: the rims of a line are blended with what it lies on
        green = np.argwhere((part[..., 1] > 120) & (part[..., [0, 2]] < 120).all(axis=2))
        places = np.column_stack([green[:, 1] + 0.5, len(part) - green[:, 0] - 0.5])
        apart = np.abs(places[:, None, :] - middles[None])
        # from the middle of an edge a line runs half a voxel along it, and is about a pixel wide
        half = np.array(sizes[panel.plane]) * PIXELS_PER_MM / 2
        near = (apart <= (half[0] + 2, 2)).all(2) | (apart <= (2, half[1] + 2)).all(2)
        assert near.any(axis=1).all()
        assert (apart.max(axis=2) <= 1.5).any(axis=0).all()


def test_an_empty_mask_has_no_contour():
    empty = np.zeros(SHAPE, dtype=bool)
    _, image, canvas = drawn(DARK, outlines=[Outline(empty, GREEN, "WMH")])
    assert not coloured(slices_of(image, canvas), GREEN).size
    # the legend still says what the colour would mean
    assert coloured(image, GREEN).size


def test_a_left_lesion_is_on_the_side_marked_l_however_it_is_stored():
    ras = volume_with((slice(4, 10), slice(10, 25), slice(0, 16)))
    las = to_ras(mirrored_storage(ras))
    png, image, canvas = drawn(ras, outlines=[Outline(ras.data > 0, GREEN, "WMH")])
    for panel in canvas.panels[:2]:
        part = panel_of(image, canvas, panel)
        height, width, _ = part.shape
        assert letter_in(part[: height // 4, : width // 8]) == "L"
        assert letter_in(part[: height // 4, -width // 8 :]) == "R"
        green = coloured(part, GREEN)
        assert green.size
        assert (green[:, 1] < width / 2).all()
    assert png == drawn(las, outlines=[Outline(las.data > 0, GREEN, "WMH")])[0]


def test_letters_change_sides_with_a_volume_that_runs_to_the_left():
    las = mirrored_storage(volume_with((slice(20, 21), slice(20, 21), slice(0, 1))))
    _, image, canvas = drawn(las)
    part = panel_of(image, canvas, canvas.panels[0])
    height, width, _ = part.shape
    assert letter_in(part[: height // 4, : width // 8]) == "R"
    assert letter_in(part[: height // 4, -width // 8 :]) == "L"


def test_nothing_is_drawn_over_a_bare_image_and_its_greys_are_the_same():
    volume = volume_with((slice(4, 10), slice(10, 20), slice(0, 16)))
    volume.data[20:30, 10:20], volume.data[20:30, 25:35] = 0.5, 0.1
    item = (("axial", 8),)
    rows = [(1, item), (0, (*item, ("coronal", 15)))]
    underlays = [Underlay(volume), Underlay(volume, is_bare=True)]
    outlines = [Outline(volume.data == 1, GREEN, "WMH")]
    image = pixels(slice_png(volume, BOX, rows, underlays, outlines))
    canvas = arrange(rows, volume.spacing, BOX)
    bare, lined, _ = (panel_of(image, canvas, panel) for panel in canvas.panels)
    assert not coloured(bare, GREEN).size
    assert coloured(lined, GREEN).size
    # away from the lines, the two are alike: one range of greys
    untouched = np.ptp(lined, axis=2) == 0
    assert untouched.mean() > 0.8
    np.testing.assert_array_equal(bare[untouched], lined[untouched])


def test_a_cube_of_the_world_is_a_square_of_pixels():
    cube = volume_with((slice(10, 30), slice(10, 30), slice(4, 12)))  # 40 mm each way
    fill = Fill(cube.data.astype(int), ((1, "#ff0000", "cube"),), 1.0)
    _, image, canvas = drawn(DARK, fill=fill)
    for panel in canvas.panels:
        red = coloured(panel_of(image, canvas, panel), "#ff0000")
        height, width = np.ptp(red, axis=0) + 1
        assert abs(height - 40 * PIXELS_PER_MM) <= 2
        assert abs(width - 40 * PIXELS_PER_MM) <= 2


@pytest.mark.parametrize("opacity", [0.45, 0.85, 1.0])
@pytest.mark.parametrize("grey", [0.0, 0.4, 0.8])
def test_the_legend_has_the_colours_that_are_seen(grey, opacity):
    """A translucent colour on a grey image is another colour."""
    volume = Volume(np.full(SHAPE, grey, np.float32), AFFINE)
    # black and white, so that the greys between are drawn as they are
    volume.data[:, :4], volume.data[:, 36:] = 0.0, 1.0
    volume.data[0, 0] = 1e-9
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[8:16, 8:30], labels[20:30, 8:30] = 1, 2
    entries = ((1, "#d62828", "one"), (2, "#2a6fdb", "two"), (3, "#00ff00", "nowhere"))
    fill = Fill(labels, entries, opacity)
    _, image, canvas = drawn(volume, rows=[(0, (("axial", 8),))], fill=fill)
    part = panel_of(image, canvas, canvas.panels[0])
    legend = Legend(legend_entries((), fill), canvas.width)
    for number, column in enumerate((12, 25)):
        painted = part[round(part.shape[0] / 2), round((column + 0.5) * 2 * PIXELS_PER_MM)]
        row, place = divmod(number, legend.per_row)
        x = (GAP_MM + place * legend.entry_mm + 4.5) * PIXELS_PER_MM
        y = (canvas.height + LEGEND_ROW_MM * (row + 0.6)) * PIXELS_PER_MM
        # shades are drawn in steps of 5
        assert np.abs(image[round(y), round(x)] - painted).max() <= 5
        raw = np.array(to_rgb(entries[number][1])) * 255
        assert (np.abs(painted - raw).max() > 20) == (opacity < 1)


def test_numbers_stand_beside_their_voxels_in_their_slice_alone():
    marks = [Mark("8", (10, 20, 8), "axial"), Mark("8", (10, 20, 9), "axial")]
    marks += [Mark("8", (10, 30, 8), "coronal")]
    plain, marked = (drawn(DARK, marks=some)[1] for some in ((), marks))
    _, _, canvas = drawn(DARK)
    changed = [
        np.argwhere((panel_of(marked, canvas, p) != panel_of(plain, canvas, p)).any(axis=2))
        for p in canvas.panels
    ]
    assert [len(part) > 0 for part in changed] == [True, False, False]
    rows, columns = changed[0].T
    # right of the voxel (its right edge is 22 mm from the left), at its height
    assert 22 * PIXELS_PER_MM <= columns.min() < columns.max() < 34 * PIXELS_PER_MM
    assert abs(rows.mean() - (80 - 41) * PIXELS_PER_MM) < 3


@pytest.mark.parametrize("scale", [0.75, 1.25])
def test_a_picture_of_another_scale_shows_the_same_at_the_same_places(scale):
    volume = volume_with((slice(4, 10), slice(10, 25), slice(0, 16)))
    outlines = [Outline(volume.data > 0, GREEN, "WMH")]
    whole = drawn(volume, outlines=outlines)[1]
    scaled = pixels(slice_png(volume, BOX, ROWS, [Underlay(volume)], outlines, scale=scale))
    np.testing.assert_allclose(scaled.shape[:2], np.array(whole.shape[:2]) * scale, atol=1.5)
    ends = [
        np.array([edge(places, axis=0) for edge in (np.min, np.max)])
        for places in (coloured(image, GREEN, 200) for image in (whole, scaled))
    ]
    np.testing.assert_allclose(ends[1], ends[0] * scale, atol=3)


def test_every_voxel_of_a_label_has_the_label_s_colour():
    colours = {1: "#ff0000", 2: "#0000ff", 3: GREEN}
    labels = np.random.default_rng(3).integers(0, 4, SHAPE)
    fill = Fill(labels, tuple((k, colour, f"region {k}") for k, colour in colours.items()), 1.0)
    _, image, canvas = drawn(DARK, rows=[(0, (("axial", 8),))], fill=fill)
    part = panel_of(image, canvas, canvas.panels[0])
    middles = (2 * np.arange(40) + 1) * PIXELS_PER_MM
    at_voxels = part[::-1][np.ix_(middles.astype(int), middles.astype(int))].transpose(1, 0, 2)
    # letters and the slice's edge lie over the uppermost rows
    shown = (slice(None), slice(0, 30))
    for label, colour in colours.items():
        found = np.zeros((40, 40), dtype=bool)
        found[tuple(coloured(at_voxels, colour).T)] = True
        np.testing.assert_array_equal(found[shown], (labels[:, :, 8] == label)[shown])


def test_what_a_map_does_not_cover_is_neither_black_nor_grey():
    small = Volume(np.ones((20, 40, 16), np.float32), AFFINE)
    rows = [(0, (("axial", 8),))]
    image = pixels(slice_png(DARK, BOX, rows, [Underlay(small)]))
    canvas = arrange(rows, DARK.spacing, BOX)
    outside = coloured(panel_of(image, canvas, canvas.panels[0]), "#23232b", within=6)
    assert outside.size
    assert outside[:, 1].min() >= 20 * 2 * PIXELS_PER_MM - 2


@pytest.mark.parametrize(("index", "side"), [(4, "left"), (34, "right"), (20, "near the middle")])
def test_sagittal_slices_name_their_side(index, side):
    assert slice_title(DARK, "sagittal", index, BOX).endswith(f"({side})")


def test_pictures_hold_no_date_and_no_version():
    info = Image.open(io.BytesIO(drawn(DARK)[0])).info
    assert set(info) <= {"dpi"}


def test_scans_are_drawn_in_fewer_shades_and_all_else_in_its_own_colours() -> None:
    noise = np.random.default_rng(0).random((40, 40, 3))
    made = {}
    for step in (FINE, COARSE):
        figure = Figure(figsize=(0.4, 0.4), dpi=DPI)
        figure.figimage(noise)
        made[step] = png_bytes(figure, step)
    full, fewer = (pixels(made[step]) for step in (FINE, COARSE))
    assert full.shape == noise.shape
    assert np.unique(full).size > 200
    assert np.abs(full - fewer).max() <= 2
    assert np.unique(fewer).size == 52
    assert {0, 255} <= set(np.unique(fewer).tolist())
    assert len(made[COARSE]) < 0.95 * len(made[FINE])
    assert made[COARSE] == png_bytes(figure, COARSE)
