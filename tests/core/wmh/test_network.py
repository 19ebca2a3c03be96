"""The network's kernels do what convolutions are, on any number of threads."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from wmhflow.core.wmh.network import BLOCKS, Network


def drawn(n_channels: int = 3, width: int = 5, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    sides = ((n_channels, width), (width, 2 * width), (2 * width, 4 * width))
    sides += ((6 * width, 2 * width), (3 * width, width))
    found = {}
    for name, (first, second) in zip(BLOCKS, sides, strict=True):
        for number, channels in enumerate((first, second)):
            weights = rng.normal(size=(second, channels, 3, 3)) / np.sqrt(9 * channels)
            found[f"{name}_{number}_weight"] = weights.astype(np.float32)
            found[f"{name}_{number}_offset"] = rng.normal(size=second).astype(np.float32)
    found["last_weight"] = rng.normal(size=(1, width, 1, 1)).astype(np.float32)
    found["last_offset"] = rng.normal(size=1).astype(np.float32)
    return found


def by_hand(
    arrays: dict[str, NDArray[np.float32]], planes: NDArray[np.float64]
) -> NDArray[np.float64]:
    def block(name: str, planes: NDArray[np.float64]) -> NDArray[np.float64]:
        for number in range(2):
            weights, offsets = arrays[f"{name}_{number}_weight"], arrays[f"{name}_{number}_offset"]
            planes = np.stack([
                offset + sum(
                    ndimage.correlate(plane, kernel.astype(float), mode="constant")
                    for plane, kernel in zip(planes, kernels, strict=True)
                )
                for kernels, offset in zip(weights, offsets, strict=True)
            ])  # fmt: skip
            planes = np.maximum(planes, 0)
        return planes

    def halved(planes: NDArray[np.float64]) -> NDArray[np.float64]:
        n, x, y = planes.shape
        return planes.reshape(n, x // 2, 2, y // 2, 2).max(axis=(2, 4))

    first = block("down1", planes)
    second = block("down2", halved(first))
    up = block("deep", halved(second))
    up = block("up2", np.concatenate([np.kron(up, np.ones((1, 2, 2))), second]))
    up = block("up1", np.concatenate([np.kron(up, np.ones((1, 2, 2))), first]))
    return np.tensordot(arrays["last_weight"].ravel(), up, 1) + arrays["last_offset"][0]


def test_logits_are_those_of_the_convolutions_by_hand() -> None:
    arrays = drawn()
    slices = np.random.default_rng(1).normal(size=(2, 3, 12, 8)).astype(np.float32)
    found = Network.of(arrays).logits(slices)
    for number, planes in enumerate(slices):
        expected = by_hand(arrays, planes.astype(float))
        np.testing.assert_allclose(found[number], expected, rtol=1e-4, atol=1e-4)


def test_odd_sides_are_read_as_if_zeros_lay_behind_them() -> None:
    network = Network.of(drawn())
    slices = np.random.default_rng(2).normal(size=(1, 3, 9, 6)).astype(np.float32)
    padded = np.pad(slices, ((0, 0), (0, 0), (0, 3), (0, 2)))
    assert np.array_equal(network.logits(slices), network.logits(padded)[:, :9, :6])


def test_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network.of(drawn())
    slices = np.random.default_rng(3).normal(size=(9, 3, 40, 40)).astype(np.float32)
    found = []
    for threads in ("1", "2"):
        monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
        found.append(network.logits(slices))
    assert np.array_equal(*found)


def test_weights_that_lack_something_or_do_not_fit_are_refused() -> None:
    arrays = drawn()
    with pytest.raises(ValueError, match="lack up1_1"):
        Network.of({name: value for name, value in arrays.items() if name != "up1_1_weight"})
    arrays["up2_0_weight"] = arrays["up2_0_weight"][:, :-1]
    with pytest.raises(ValueError, match="up2_0 do not fit"):
        Network.of(arrays)


def test_slices_of_other_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="3 channels"):
        Network.of(drawn()).logits(np.zeros((1, 4, 8, 8), np.float32))
