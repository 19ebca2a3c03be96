"""Slices are read in the plane of thick slices and in voxels of about 1 mm."""

import numpy as np
import pytest
from numpy.typing import NDArray

from wmhflow.core.arrays.blocks import block_factors
from wmhflow.core.wmh.evidence import CHANNELS, READ_MM, depth_in, read_slices
from wmhflow.core.wmh.network import BLOCKS, Network

WIDTH = 1


def passing(channel: str, factor: float = 10.0) -> Network:
    """A network whose logit is `factor` times one channel, less half of it."""
    sides = ((len(CHANNELS), 1), (1, 1), (1, 1), (2, 1), (2, 1))
    arrays: dict[str, NDArray[np.float32]] = {}
    for name, (first, second) in zip(BLOCKS, sides, strict=True):
        for number, channels in enumerate((first, second)):
            arrays[f"{name}_{number}_weight"] = np.zeros((second, channels, 3, 3), np.float32)
            arrays[f"{name}_{number}_offset"] = np.zeros(second, np.float32)
    arrays["down1_0_weight"][0, list(CHANNELS).index(channel), 1, 1] = 1
    arrays["down1_1_weight"][0, 0, 1, 1] = 1
    arrays["up1_0_weight"][0, 1, 1, 1] = 1
    arrays["up1_1_weight"][0, 0, 1, 1] = 1
    arrays["last_weight"] = np.full((1, 1, 1, 1), factor, np.float32)
    arrays["last_offset"] = np.array([-factor / 2], np.float32)
    return Network.of(arrays)


def channels_of(
    shape: tuple[int, ...], lesion: NDArray[np.bool_]
) -> dict[str, NDArray[np.float32]]:
    found = {name: np.zeros(shape, np.float32) for name in CHANNELS}
    found["probability"] = lesion.astype(np.float32)
    return found


@pytest.mark.parametrize(
    "sizes", [(1.0, 1.0, 1.0), (0.47, 0.47, 8.0), (5.0, 0.9, 0.9), (0.9, 6.0, 0.9)]
)
def test_what_the_network_says_lies_where_the_slice_shows_it(sizes: tuple[float, ...]) -> None:
    shape = tuple(round(48 / size) for size in sizes)
    places = [(np.arange(n) + 0.5) * size for n, size in zip(shape, sizes, strict=True)]
    x, y, z = np.meshgrid(*places, indexing="ij")
    lesion = (abs(x - 20) < 8) & (abs(y - 26) < 8) & (abs(z - 24) < 8)
    brain = np.ones(shape, bool)
    brain[: shape[0] // 4] = False
    found = read_slices(passing("probability"), channels_of(shape, lesion), brain, sizes)
    assert (found[~brain] == 0).all()
    kept = lesion & brain
    assert ((found > 0.5) ^ kept).sum() < 0.1 * kept.sum()


def test_an_answer_that_is_no_number_is_refused() -> None:
    shape = (12, 12, 4)
    channels = channels_of(shape, np.zeros(shape, bool))
    channels["probability"][3, 3, 2] = np.inf
    with pytest.raises(ValueError, match="no number"):
        read_slices(passing("probability"), channels, np.ones(shape, bool), (1, 1, 1))


@pytest.mark.parametrize(
    ("sizes", "axes"),
    [((1, 1, 1), "xyz"), ((1.2, 0.9, 0.9), "xyz"), ((5, 1, 1), "x"), ((1, 4, 1), "y"),
     ((0.5, 0.5, 8), "z")],
)  # fmt: skip
def test_slices_lie_across_thick_voxels_and_across_each_axis_of_cubes(
    monkeypatch: pytest.MonkeyPatch, sizes: tuple[float, ...], axes: str
) -> None:
    """The mean of what each direction says counts: one that stands alone makes no lesion."""
    shape = (8, 12, 16)
    read: list[tuple[int, ...]] = []

    def logits(self: Network, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        read.append(slices.shape)
        return np.full((len(slices), *slices.shape[2:]), -20 if read[1:] else 20, np.float32)

    monkeypatch.setattr(Network, "logits", logits)
    none = channels_of(shape, np.zeros(shape, bool))
    found = read_slices(passing("probability"), none, np.ones(shape, bool), sizes)
    assert found.shape == shape
    np.testing.assert_allclose(found, 1 / len(axes), atol=1e-6)
    factors = block_factors(sizes, READ_MM)
    blocks = [-(-side // n) for side, n in zip(shape, factors, strict=True)]
    assert [one[0] for one in read] == [blocks["xyz".index(axis)] for axis in axes]


def test_depth_counts_from_the_border_of_the_array_too() -> None:
    depth = depth_in(np.ones((9, 9, 3), bool), (1.0, 1.0, 5.0))
    assert depth[4, 4, 1] == 5
    assert depth[0, 4, 1] == 1
    assert depth_in(np.ones((60, 60, 60), bool), (1, 1, 1)).max() == 12
