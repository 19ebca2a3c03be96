"""A small convolutional network that reads slices, compiled: the same to the bit on any threads.

Each slice is worked through by one thread, every sum in the same order. The network is a U-Net of
three levels [1]_ with two convolutions of 3 × 3 voxels at each; its weights are data.

References
----------
.. [1] Ronneberger O, Fischer P, Brox T. U-Net: convolutional networks for biomedical image
   segmentation. MICCAI 2015;234-241. doi:10.1007/978-3-319-24574-4_28
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from wmhflow.core.arrays.threads import over_ranges

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

BLOCKS = ("down1", "down2", "deep", "up2", "up1")
CONVOLUTIONS = 2
# Sides of slices are filled up to a multiple of this: they are halved twice.
MULTIPLE = 4
# Voxels whose sums are kept at hand: with 1000 to 2000 it is fastest.
AT_ONCE = 2048


@dataclass(frozen=True)
class Network:
    """Weights of the convolutions, in the order in which they are used.

    `weights` are of shape (channels out, channels in, 3, 3), `offsets` of (channels out); the last
    pair, of shape (1, channels) and (1,), makes the logit of every voxel.
    """

    weights: tuple[NDArray[np.float32], ...]
    offsets: tuple[NDArray[np.float32], ...]

    @property
    def n_channels(self) -> int:
        """Number of channels that a slice must have."""
        return int(self.weights[0].shape[1])

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[np.float32]]) -> Network:
        """Take the weights from named arrays, such as an ``.npz`` file holds.

        Parameters
        ----------
        arrays
            ``down1_0_weight``, ``down1_0_offset`` and so on, and ``last_weight``, ``last_offset``.

        Returns
        -------
        Network
            Ready to read slices.

        Raises
        ------
        ValueError
            If an array is missing, or its shape does not fit what comes before it.
        """
        names = [f"{block}_{number}" for block in BLOCKS for number in range(CONVOLUTIONS)]
        names.append("last")
        missing = [name for name in names if f"{name}_weight" not in arrays]
        if missing:
            raise ValueError(f"the network's weights lack {', '.join(missing)}")
        weights = tuple(
            np.ascontiguousarray(arrays[f"{name}_weight"], np.float32) for name in names
        )
        offsets = tuple(
            np.ascontiguousarray(arrays[f"{name}_offset"], np.float32) for name in names
        )
        wide, _, deep = (len(offsets[n]) for n in (1, 3, 5))
        middle = len(offsets[3])
        expected = {2: wide, 4: middle, 6: deep + middle, 8: len(offsets[7]) + wide}
        for number, channels in expected.items():
            if weights[number].shape[1] != channels:
                raise ValueError(f"the network's weights {names[number]} do not fit the others")
        return cls(weights, offsets)

    def logits(self, slices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Read slices.

        Parameters
        ----------
        slices
            Array of shape (slices, channels, x, y).

        Returns
        -------
        ndarray, (slices, x, y)
            The logit of each voxel.

        Raises
        ------
        ValueError
            If the number of channels is another than the weights were made for.
        """
        if slices.ndim != 4 or slices.shape[1] != self.n_channels:
            raise ValueError(f"slices of shape {slices.shape} have not {self.n_channels} channels")
        before = [side % MULTIPLE and MULTIPLE - side % MULTIPLE for side in slices.shape[2:]]
        padded = np.pad(slices, ((0, 0), (0, 0), (0, before[0]), (0, before[1])))
        padded = np.ascontiguousarray(padded, np.float32)
        found = np.empty((len(padded), *padded.shape[2:]), np.float32)

        def read(start: int, stop: int) -> None:
            for number in range(start, stop):
                found[number] = self._logit(padded[number])

        over_ranges(read, len(padded), padded.size)
        return np.ascontiguousarray(found[:, : slices.shape[2], : slices.shape[3]])

    def _logit(self, channels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Read one slice whose sides can be halved twice."""
        first = self._block(0, channels)
        second = self._block(1, _halved(first))
        third = self._block(2, _halved(second))
        up = self._block(3, np.concatenate((_doubled(third), second)))
        up = self._block(4, np.concatenate((_doubled(up), first)))
        found: NDArray[np.float32] = _weighed(up, self.weights[-1].reshape(-1), self.offsets[-1][0])
        return found

    def _block(self, number: int, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convolve twice, leaving out what is negative."""
        for one in range(CONVOLUTIONS * number, CONVOLUTIONS * (number + 1)):
            planes = _convolved(planes, self.weights[one], self.offsets[one])
        return planes


@njit(cache=True, nogil=True)
def _convolved(
    planes: NDArray[np.float32], weights: NDArray[np.float32], offsets: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Convolve planes with 3 × 3 weights, zeros around them; negative values become 0."""
    n_in, height, width = planes.shape
    n_out = weights.shape[0]
    # with zeros around it a plane is one line, in which the next row lies `wide` further on; two
    # voxels more than a row has are computed as well, and dropped
    wide = width + 2
    lines = np.zeros((n_in, (height + 2) * wide + 2), np.float32)
    for channel in range(n_in):
        for row in range(height):
            first = (row + 1) * wide + 1
            lines[channel, first : first + width] = planes[channel, row]
    total = np.empty((n_out, height * wide), np.float32)
    for begin in range(0, height * wide, AT_ONCE):
        end = min(begin + AT_ONCE, height * wide)
        for number in range(n_out):
            part = total[number, begin:end]
            part[:] = offsets[number]
            for channel in range(n_in):
                _add(part, lines[channel, begin:], wide, weights[number, channel])
    found = np.empty((n_out, height, width), np.float32)
    for number in range(n_out):
        for row in range(height):
            for column in range(width):
                value = total[number, row * wide + column]
                found[number, row, column] = max(value, np.float32(0))
    return found


@njit(cache=True, nogil=True)
def _add(
    total: NDArray[np.float32],
    line: NDArray[np.float32],
    wide: int,
    weights: NDArray[np.float32],
) -> None:
    """Add the share of a channel: three voxels of each of three rows."""
    size = total.size
    # three pieces and plain numbers, from which the compiler sees what it can compute side by side
    upper, here, lower = line[: size + 2], line[wide : wide + size + 2], line[2 * wide :]
    a, b, c = weights[0, 0], weights[0, 1], weights[0, 2]
    d, e, f = weights[1, 0], weights[1, 1], weights[1, 2]
    g, h, k = weights[2, 0], weights[2, 1], weights[2, 2]
    for place in range(size):
        value = total[place]
        value += a * upper[place] + b * upper[place + 1] + c * upper[place + 2]
        value += d * here[place] + e * here[place + 1] + f * here[place + 2]
        value += g * lower[place] + h * lower[place + 1] + k * lower[place + 2]
        total[place] = value


@njit(cache=True, nogil=True)
def _halved(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take the largest of each 2 × 2 voxels."""
    n_planes, height, width = planes.shape
    found = np.empty((n_planes, height // 2, width // 2), np.float32)
    for plane in range(n_planes):
        for row in range(height // 2):
            for column in range(width // 2):
                upper = planes[plane, 2 * row, 2 * column : 2 * column + 2]
                lower = planes[plane, 2 * row + 1, 2 * column : 2 * column + 2]
                found[plane, row, column] = max(upper[0], upper[1], lower[0], lower[1])
    return found


def _doubled(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Repeat each voxel 2 × 2 times."""
    return planes.repeat(2, axis=1).repeat(2, axis=2)


@njit(cache=True, nogil=True)
def _weighed(
    planes: NDArray[np.float32], weights: NDArray[np.float32], offset: np.float32
) -> NDArray[np.float32]:
    """Add planes up by their weights."""
    found = np.full(planes.shape[1:], offset, np.float32)
    for plane in range(len(planes)):
        found += weights[plane] * planes[plane]
    return found
