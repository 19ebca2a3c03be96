"""Kernels: the exact volumes that voxels of one grid share with voxels of another.

By hand, as no library has them: by points or by the nearest label, which pandas, nilearn and ITK
offer, regions are wrong at every edge (the figures stand in `docs/benchmarks.md`), and a general
intersection of polyhedra, as scipy's by half-spaces, is the tests' reference and far too slow for
millions of voxels. Polyhedra are cut only where labels change, and map voxels on grids that are
turned about one axis are taken as upright prisms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

# Polygons are named by their row of one array, as views of it would cost more than the work: two
# for what is left of a face, two for a slab, one for a column and one for its part below a wall.
SLAB, COLUMN, BELOW = 2, 4, 5


@njit(cache=True, nogil=True)
def _reach(to_labels, half, axis, i, j, k):  # type: ignore[no-untyped-def]
    """Return a map voxel's centre along a label axis and the range of label voxels it meets."""
    centre = (
        to_labels[axis, 0] * i
        + to_labels[axis, 1] * j
        + to_labels[axis, 2] * k
        + to_labels[axis, 3]
    )
    # A hair's breadth over the wall of a label voxel is rounding.
    first = np.int64(np.floor(centre - half[axis] + 0.5 + 1e-6))
    last = np.int64(np.ceil(centre + half[axis] + 0.5 - 1e-6))
    return centre, first, last


@njit(cache=True, nogil=True)
def shared_areas(
    label_shape: tuple[int, ...],
    grid: tuple[NDArray[Any], ...],
    along: int,
    start: int,
    stop: int,
    areas: NDArray[np.float64],
) -> None:
    """Fill places `start` to `stop` of the areas that prisms share with columns of label voxels."""
    to_labels, half, low, _ = grid
    first_axis, second_axis = (1 if along == 0 else 0), (1 if along == 2 else 2)
    index = low.copy()
    polygon, part, slab, cell = 0, 1, 2, 3
    scratch = np.zeros((4, 16, 3))
    for p in range(start, stop):
        for q in range(areas.shape[1]):
            index[first_axis], index[second_axis] = low[first_axis] + p, low[second_axis] + q
            x, a0, a1 = _reach(to_labels, half, 0, index[0], index[1], index[2])
            y, b0, b1 = _reach(to_labels, half, 1, index[0], index[1], index[2])
            a0, a1, b0, b1 = (
                max(a0, 0),
                min(a1, label_shape[0]),
                max(b0, 0),
                min(b1, label_shape[1]),
            )
            for corner in range(4):
                u, v = 0.5 - (corner // 2), 0.5 - ((corner + 1) // 2 % 2)
                for axis, centre, begin in ((0, x, a0), (1, y, b0)):
                    scratch[polygon, corner, axis] = (
                        u * to_labels[axis, first_axis]
                        + v * to_labels[axis, second_axis]
                        + centre - begin + 0.5
                    )  # fmt: skip
            for a in range(a1 - a0):
                size = _clip(scratch, polygon, 4, 0, float(a), -1.0, part)
                size = _clip(scratch, part, size, 0, a + 1.0, 1.0, slab)
                for b in range(b1 - b0):
                    if size == 0:
                        break
                    cell_size = _clip(scratch, slab, size, 1, float(b), -1.0, part)
                    cell_size = _clip(scratch, part, cell_size, 1, b + 1.0, 1.0, cell)
                    if cell_size >= 3:
                        areas[p, q, a, b] = abs(_integral(scratch, cell, cell_size)[0])


@njit(cache=True, nogil=True)
def shared_heights(
    label_shape: tuple[int, ...],
    grid: tuple[NDArray[Any], ...],
    along: int,
    heights: NDArray[np.float64],
) -> None:
    """Fill the heights that prisms share with label voxels."""
    to_labels, half, low, _ = grid
    index = low.copy()
    for p in range(heights.shape[0]):
        index[along] = low[along] + p
        z, c0, c1 = _reach(to_labels, half, 2, index[0], index[1], index[2])
        c0, c1 = max(c0, 0), min(c1, label_shape[2])
        for c in range(c0, c1):
            shared = min(z + half[2], c + 0.5) - max(z - half[2], c - 0.5)
            heights[p, c - c0] = max(shared, 0.0)


@njit(cache=True, nogil=True)
def _grown(array, needed):  # type: ignore[no-untyped-def]
    """Return `array`, copied to twice its length if it is shorter than `needed`."""
    if array.size >= needed:
        return array
    longer = np.empty(max(2 * array.size, needed), dtype=array.dtype)
    longer[: array.size] = array
    return longer


@njit(cache=True, nogil=True)
def covered_fractions(
    joint: NDArray[np.integer],
    places: NDArray[np.integer],
    grid: tuple[NDArray[Any], ...],
    faces: NDArray[np.float64],
    prisms: tuple[NDArray[np.float64], NDArray[np.float64]],
    along: int,
    start: int,
    stop: int,
    map_shape: tuple[int, ...],
    volume: float,
    smallest: float,
    n_regions: int,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return voxels, entries per voxel and image, regions and fractions, of a range of axis 0.

    The range is `start` to `stop`. `places` holds several label images, and `joint` differs between
    voxels where any of them does: a map voxel is cut once for all. No image has more regions than
    `n_regions`.
    """
    to_labels, half, low, high = grid
    n_images = places.shape[0]
    voxels, sizes = np.empty(1024, dtype=np.int64), np.empty((1024, n_images), dtype=np.int32)
    regions, fractions = np.empty(1024, dtype=np.int32), np.empty(1024)
    n_voxels, n_entries = 0, 0
    # As many label voxels as a map voxel can reach over.
    boxes = np.empty((int(2 * half[0]) + 3, int(2 * half[1]) + 3, int(2 * half[2]) + 3))
    scratch = np.empty((6, 16, 3))
    walls = (np.empty(boxes.shape[0], np.bool_), np.empty(boxes.shape[:2], np.bool_))
    sums = np.zeros(n_regions + 1)
    first, last = np.empty(3, dtype=np.int64), np.empty(3, dtype=np.int64)
    centre = np.empty(3)
    most = n_images * min(boxes.size, n_regions)
    for i in range(start, stop):
        for j in range(low[1], high[1]):
            for k in range(low[2], high[2]):
                inside, whole = True, True
                for axis in range(3):
                    centre[axis], begin, end = _reach(to_labels, half, axis, i, j, k)
                    whole = whole and begin >= 0 and end <= joint.shape[axis]
                    first[axis], last[axis] = max(begin, 0), min(end, joint.shape[axis])
                    inside = inside and first[axis] < last[axis]
                if not inside:
                    continue
                alike = _uniform(joint, first, last)
                if alike == 0:
                    continue
                before = n_entries
                regions = _grown(regions, n_entries + most)
                fractions = _grown(fractions, n_entries + most)
                if voxels.size == n_voxels:
                    voxels, sizes = _grown(voxels, n_voxels + 1), _longer(sizes)
                if alike < 0 or not whole:
                    _fill_boxes(
                        joint, faces, prisms, along, (i - low[0], j - low[1], k - low[2]),
                        centre, first, last, walls, scratch, boxes,
                    )  # fmt: skip
                for image in range(n_images):
                    began = n_entries
                    n_entries = _added(
                        places, image, alike, whole, first, last, boxes, volume, smallest, sums,
                        regions, fractions, n_entries,
                    )  # fmt: skip
                    sizes[n_voxels, image] = n_entries - began
                if n_entries > before:
                    voxels[n_voxels] = (i * map_shape[1] + j) * map_shape[2] + k
                    n_voxels += 1
    return voxels[:n_voxels], sizes[:n_voxels], regions[:n_entries], fractions[:n_entries]


@njit(cache=True, nogil=True)
def _longer(rows):  # type: ignore[no-untyped-def]
    """Return an array of twice as many rows that begins with these."""
    longer = np.empty((2 * rows.shape[0], rows.shape[1]), dtype=rows.dtype)
    longer[: rows.shape[0]] = rows
    return longer


@njit(cache=True, nogil=True)
def _added(  # type: ignore[no-untyped-def]
    places, image, alike, whole, first, last, boxes, volume, smallest, sums,
    regions, fractions, n_entries,
):  # fmt: skip
    """Add what the regions of one image cover of a map voxel; return the end of the entries."""
    one = places[image]
    place = one[first[0], first[1], first[2]] if alike > 0 else _uniform(one, first, last)
    if place == 0:
        return n_entries
    if place > 0 and whole:
        regions[n_entries], fractions[n_entries] = place - 1, 1.0
        return n_entries + 1
    return _collected(
        one, first, last, boxes, volume, smallest, sums, regions, fractions, n_entries
    )


@njit(cache=True, nogil=True)
def entries_of(
    image: int,
    voxels: NDArray[np.int64],
    sizes: NDArray[np.int32],
    regions: NDArray[np.int32],
    fractions: NDArray[np.float64],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return what `covered_fractions` gives, of one image, and where entries of voxels begin."""
    n_voxels, n_entries = 0, 0
    for place in range(voxels.size):
        n_voxels += sizes[place, image] > 0
        n_entries += sizes[place, image]
    own_voxels, starts = np.empty(n_voxels, np.int64), np.zeros(n_voxels + 1, np.int64)
    own_regions, own_fractions = np.empty(n_entries, np.int32), np.empty(n_entries)
    n_voxels, n_entries, begin = 0, 0, 0
    for place in range(voxels.size):
        for other in range(sizes.shape[1]):
            size = sizes[place, other]
            if other == image and size > 0:
                for entry in range(begin, begin + size):
                    own_regions[n_entries] = regions[entry]
                    own_fractions[n_entries] = fractions[entry]
                    n_entries += 1
                own_voxels[n_voxels] = voxels[place]
                n_voxels += 1
                starts[n_voxels] = n_entries
            begin += size
    return own_voxels, starts, own_regions, own_fractions


@njit(cache=True, nogil=True)
def numbered(codes: NDArray[np.int64]) -> NDArray[np.int32]:
    """Give equal codes, which are not below 0, equal numbers from 1 on, and 0 the number 0."""
    numbers = np.empty(codes.size, np.int32)
    keys, values = np.full(1 << 12, -1, np.int64), np.empty(1 << 12, np.int32)
    n_known, before, number = 0, np.int64(0), np.int32(0)
    for place in range(codes.size):
        code = codes[place]
        # along a line the same code follows itself
        if code != before:
            before, number = code, np.int32(0)
            if code != 0:
                slot = _slot(keys, code)
                if keys[slot] < 0:
                    n_known += 1
                    keys[slot], values[slot] = code, n_known
                    if 2 * n_known > keys.size:
                        keys, values = _wider(keys, values)
                        slot = _slot(keys, code)
                number = values[slot]
        numbers[place] = number
    return numbers


@njit(cache=True, nogil=True)
def _slot(keys, code):  # type: ignore[no-untyped-def]
    """Return where a code stands in a table, or the free place where it belongs."""
    mixed = np.uint64(code) * np.uint64(0x9E3779B97F4A7C15)
    slot = np.int64(mixed >> np.uint64(32)) & (keys.size - 1)
    while keys[slot] >= 0 and keys[slot] != code:
        slot = (slot + 1) & (keys.size - 1)
    return slot


@njit(cache=True, nogil=True)
def _wider(keys, values):  # type: ignore[no-untyped-def]
    """Return a table of four times the places that holds the same."""
    wide_keys, wide_values = np.full(4 * keys.size, -1, np.int64), np.empty(4 * keys.size, np.int32)
    for place in range(keys.size):
        if keys[place] >= 0:
            slot = _slot(wide_keys, keys[place])
            wide_keys[slot], wide_values[slot] = keys[place], values[place]
    return wide_keys, wide_values


@njit(cache=True, nogil=True)
def _fill_boxes(  # type: ignore[no-untyped-def]
    places, faces, prisms, along, voxel, centre, first, last, walls, scratch, boxes
):
    """Fill `boxes` with the volumes of a map voxel inside the label voxels of a box."""
    if along >= 0:
        _prism(prisms, along, voxel, first, last, boxes)
    else:
        _intersections(places, faces, centre, first, last, walls, scratch, boxes)


@njit(cache=True, nogil=True)
def _prism(prisms, along, voxel, first, last, boxes):  # type: ignore[no-untyped-def]
    """Fill `boxes` with the volume of an upright map voxel inside each label voxel of a box."""
    areas, heights = prisms
    i, j, k = voxel
    p, q, height = (j, k, i) if along == 0 else ((i, k, j) if along == 1 else (i, j, k))
    for a in range(last[0] - first[0]):
        for b in range(last[1] - first[1]):
            for c in range(last[2] - first[2]):
                boxes[a, b, c] = areas[p, q, a, b] * heights[height, c]


@njit(cache=True, nogil=True)
def _uniform(places, first, last):  # type: ignore[no-untyped-def]
    """Return the place that all voxels of a box have, or -1 if they differ."""
    place = places[first[0], first[1], first[2]]
    for a in range(first[0], last[0]):
        for b in range(first[1], last[1]):
            for c in range(first[2], last[2]):
                if places[a, b, c] != place:
                    return -1
    return place


@njit(cache=True, nogil=True)
def _find_walls(places, first, last, slab_walls, column_walls):  # type: ignore[no-untyped-def]
    """Tell after which slabs of a box, and columns of a slab, another arrangement follows."""
    for a in range(first[0], last[0]):
        slab_differs = a + 1 == last[0]
        for b in range(first[1], last[1]):
            column_differs = b + 1 == last[1]
            for c in range(first[2], last[2]):
                place = places[a, b, c]
                slab_differs = slab_differs or places[a + 1, b, c] != place
                column_differs = column_differs or places[a, b + 1, c] != place
            column_walls[a - first[0], b - first[1]] = column_differs
        slab_walls[a - first[0]] = slab_differs


@njit(cache=True, nogil=True)
def _intersections(  # type: ignore[no-untyped-def]
    places, faces, centre, first, last, walls, scratch, boxes
):
    """Fill `boxes` with the signed volumes of the map voxel inside the label voxels of a box.

    Column by column along the third axis: below the wall at height c, the voxel's volume is the
    integral over its faces of min(z, c), up to a constant; differences between walls follow. Slabs
    and columns that are the same, and label voxels of one place in a column, are taken together:
    the last of them has the volume of all, the others 0.
    """
    n0, n1, n2 = last[0] - first[0], last[1] - first[1], last[2] - first[2]
    slab_walls, column_walls = walls
    _find_walls(places, first, last, slab_walls, column_walls)
    for a in range(n0):
        for b in range(n1):
            for c in range(n2):
                boxes[a, b, c] = 0.0
    for face in range(6):
        # Coordinates from the lower corner of the box of label voxels.
        for corner in range(4):
            for axis in range(3):
                scratch[0, corner, axis] = (
                    faces[face, corner, axis] + centre[axis] - first[axis] + 0.5
                )
        _add_face(places, first, scratch, walls, boxes, (n0, n1, n2))


@njit(cache=True, nogil=True)
def _add_face(places, first, scratch, walls, boxes, sizes):  # type: ignore[no-untyped-def]
    """Add one face's part of the volume, the face being in row 0, to the label voxels of a box."""
    slab_walls, column_walls = walls
    n0, n1, n2 = sizes
    rest, other, size = 0, 1, 4
    low, high = _extent(scratch, rest, size, 0)
    if low < 0.0:
        size = _clip(scratch, rest, size, 0, 0.0, -1.0, other)
        rest, other = other, rest
    for a in range(n0):
        if size == 0:
            break
        if not slab_walls[a]:
            continue
        low, high = _extent(scratch, rest, size, 0)
        if low > a + 1.0:
            continue
        if high < a + 1.0:
            # what is left of the face ends before this wall
            _add_slab(places, first, scratch, rest, size, column_walls, boxes, a, n1, n2)
            break
        slab_size, size = _split(scratch, rest, size, 0, a + 1.0, SLAB, other)
        rest, other = other, rest
        _add_slab(places, first, scratch, SLAB, slab_size, column_walls, boxes, a, n1, n2)


@njit(cache=True, nogil=True)
def _add_slab(  # type: ignore[no-untyped-def]
    places, first, scratch, slab, size, column_walls, boxes, a, n1, n2
):
    """Add one clipped face's part of the volume, in row `slab`, to the label voxels of a slab."""
    if size == 0:
        return
    rest, other = slab, SLAB + 1
    low, high = _extent(scratch, rest, size, 1)
    if low < 0.0:
        size = _clip(scratch, rest, size, 1, 0.0, -1.0, other)
        rest, other = other, rest
    for b in range(n1):
        if size == 0:
            break
        if not column_walls[a, b]:
            continue
        low, high = _extent(scratch, rest, size, 1)
        if low > b + 1.0:
            continue
        if high < b + 1.0:
            _add_column(places, first, scratch, rest, size, boxes, a, b, n2)
            break
        column_size, size = _split(scratch, rest, size, 1, b + 1.0, COLUMN, other)
        rest, other = other, rest
        if column_size >= 3:
            _add_column(places, first, scratch, COLUMN, column_size, boxes, a, b, n2)


@njit(cache=True, nogil=True)
def _add_column(  # type: ignore[no-untyped-def]
    places, first, scratch, column, size, boxes, a, b, n
):
    """Add one clipped face's part of the volume to the label voxels of a column."""
    lowest, highest = _extent(scratch, column, size, 2)
    area, integral = _integral(scratch, column, size)
    previous = _below_wall(scratch, column, size, 0, lowest, highest, area, integral)
    for wall in range(1, n + 1):
        if wall < n:
            place = places[first[0] + a, first[1] + b, first[2] + wall]
            if place == places[first[0] + a, first[1] + b, first[2] + wall - 1]:
                continue
        value = _below_wall(scratch, column, size, wall, lowest, highest, area, integral)
        boxes[a, b, wall - 1] += value - previous
        previous = value


@njit(cache=True, nogil=True)
def _extent(scratch, polygon, size, axis):  # type: ignore[no-untyped-def]
    """Return the lowest and the highest place of a polygon's corners along an axis."""
    low = high = scratch[polygon, 0, axis]
    for corner in range(1, size):
        low = min(low, scratch[polygon, corner, axis])
        high = max(high, scratch[polygon, corner, axis])
    return low, high


@njit(cache=True, nogil=True)
def _below_wall(  # type: ignore[no-untyped-def]
    scratch, column, size, wall, lowest, highest, area, integral
):
    """Return the integral of min(z, wall) over a face's part in a column."""
    if wall <= lowest:
        return wall * area
    if wall >= highest:
        return integral
    part = _clip(scratch, column, size, 2, float(wall), 1.0, BELOW)
    part_area, part_integral = _integral(scratch, BELOW, part)
    return part_integral + wall * (area - part_area)


@njit(cache=True, nogil=True)
def _clip(scratch, polygon, size, axis, wall, side, clipped):  # type: ignore[no-untyped-def]
    """Keep the part of a convex polygon below (`side` 1) or above (-1) a wall; return its size.

    Both polygons are rows of `scratch`.
    """
    kept, previous = 0, size - 1
    before = side * (wall - scratch[polygon, previous, axis]) if size > 0 else 0.0
    for corner in range(size):
        here = side * (wall - scratch[polygon, corner, axis])
        if (before > 0 and here < 0) or (before < 0 and here > 0):
            share = before / (before - here)
            for c in range(3):
                start = scratch[polygon, previous, c]
                scratch[clipped, kept, c] = start + share * (scratch[polygon, corner, c] - start)
            scratch[clipped, kept, axis] = wall
            kept += 1
        if here >= 0:
            for c in range(3):
                scratch[clipped, kept, c] = scratch[polygon, corner, c]
            kept += 1
        before, previous = here, corner
    return kept if kept >= 3 else 0


@njit(cache=True, nogil=True)
def _split(scratch, polygon, size, axis, wall, below, above):  # type: ignore[no-untyped-def]
    """Do what `_clip` does for both sides of a wall at once; return both sizes."""
    n_below = n_above = 0
    previous = size - 1
    before = wall - scratch[polygon, previous, axis]
    for corner in range(size):
        here = wall - scratch[polygon, corner, axis]
        if (before > 0 and here < 0) or (before < 0 and here > 0):
            share = before / (before - here)
            for c in range(3):
                start = scratch[polygon, previous, c]
                cut = start + share * (scratch[polygon, corner, c] - start)
                if c == axis:
                    cut = wall
                scratch[below, n_below, c] = cut
                scratch[above, n_above, c] = cut
            n_below += 1
            n_above += 1
        if here >= 0:
            for c in range(3):
                scratch[below, n_below, c] = scratch[polygon, corner, c]
            n_below += 1
        if here <= 0:
            for c in range(3):
                scratch[above, n_above, c] = scratch[polygon, corner, c]
            n_above += 1
        before, previous = here, corner
    return (n_below if n_below >= 3 else 0), (n_above if n_above >= 3 else 0)


@njit(cache=True, nogil=True)
def _integral(scratch, polygon, size):  # type: ignore[no-untyped-def]
    """Return the signed area of a polygon seen along the third axis, and the integral of z."""
    area, integral = 0.0, 0.0
    x, y, z = scratch[polygon, 0, 0], scratch[polygon, 0, 1], scratch[polygon, 0, 2]
    for corner in range(1, size - 1):
        triangle = 0.5 * (
            (scratch[polygon, corner, 0] - x) * (scratch[polygon, corner + 1, 1] - y)
            - (scratch[polygon, corner + 1, 0] - x) * (scratch[polygon, corner, 1] - y)
        )
        area += triangle
        heights = z + scratch[polygon, corner, 2] + scratch[polygon, corner + 1, 2]
        integral += triangle * heights / 3.0
    return area, integral


@njit(cache=True, nogil=True)
def _collected(  # type: ignore[no-untyped-def]
    places, first, last, boxes, volume, smallest, sums, regions, fractions, n_entries
):
    """Add up the boxes per region, write the entries by rising region and return their end."""
    touched = n_entries
    for a in range(first[0], last[0]):
        for b in range(first[1], last[1]):
            for c in range(first[2], last[2]):
                place = places[a, b, c]
                if place == 0:
                    continue
                share = abs(boxes[a - first[0], b - first[1], c - first[2]]) / volume
                if share == 0.0:
                    continue
                if sums[place] == 0.0:
                    regions[touched] = place - 1
                    touched += 1
                sums[place] += share
    sort_entries(regions, n_entries, touched)
    kept = n_entries
    for entry in range(n_entries, touched):
        place = regions[entry] + 1
        if sums[place] >= smallest:
            regions[kept], fractions[kept] = place - 1, min(sums[place], 1.0)
            kept += 1
        sums[place] = 0.0
    return kept


@njit(cache=True, nogil=True)
def sort_entries(array: NDArray[np.integer], start: int, stop: int) -> None:
    """Sort a few entries in place."""
    for place in range(start + 1, stop):
        value, slot = array[place], place
        while slot > start and array[slot - 1] > value:
            array[slot] = array[slot - 1]
            slot -= 1
        array[slot] = value
