"""Train the network that weighs the search for WMH.

``python -m benchmarks.training.train FOLDER WEIGHTS.npz [STEPS [START.npz]]``, once
``benchmarks.training.cases`` and ``benchmarks.training.wide`` have filled the folder. With START
it goes on from these weights, in smaller steps. It needs PyTorch (BSD-3), which nothing else here
does: ``pip install torch``.
Seeds are set; PyTorch gives the same weights on one machine with one thread.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from wmhflow.core.wmh.evidence import CHANNELS
from wmhflow.core.wmh.network import BLOCKS

if TYPE_CHECKING:
    from collections.abc import Mapping

SEED, WIDTH, STEPS = 1, 12, 1800
# Cases that are not learnt from, to choose by.
KEPT_OUT = ("0012", "0025", "0038", "0051")
RATE, TUNING_RATE, LEAST_RATE, DECAY = 3e-3, 6e-4, 0.02, 1e-4
CASES, CROPS, CROP = 6, 2, 112
# Half of the slices have lesions; Dice counts beside the cross-entropy.
WITH_LESIONS, ENTROPY = 0.5, 3.0
# A quarter have what the outlier model takes for lesions and is none, such as rims of cavities: as
# many blocks of it and more.
WITH_MIMICS, MIMIC_BLOCKS = 0.25, 10
# Voxels of 1 mm that are added to both sides of a Dice, so that it does not jump with few.
FEW = 5
Crop = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


class Case:
    """What is learnt from one person, and which slices across each axis show what."""

    def __init__(self, arrays: dict[str, NDArray[np.generic]]) -> None:
        self.arrays, self.axis = arrays, int(arrays["axis"])
        likely = np.asarray(arrays["read"][list(CHANNELS).index("probability")] > 0.5)
        ill, mimics = arrays["lesion"] > 0.3, likely & (arrays["lesion"] < 0.1)
        self.slices = []
        for axis in range(3):
            others = tuple(other for other in range(3) if other != axis)
            shown = arrays["counted"].any(axis=others)
            kinds = (shown, ill.any(axis=others), mimics.sum(axis=others) >= MIMIC_BLOCKS)
            self.slices.append([np.flatnonzero(kind) for kind in kinds])


class UNet(nn.Module):
    """Three levels of two convolutions each; the fields are named in the order of ``BLOCKS``."""

    def __init__(self, n_channels: int, width: int = WIDTH) -> None:
        super().__init__()
        sides = (
            (n_channels, width), (width, 2 * width), (2 * width, 4 * width),
            (6 * width, 2 * width), (3 * width, width),
        )  # fmt: skip
        self.blocks = nn.ModuleList([_block(first, second) for first, second in sides])
        self.last = nn.Conv2d(width, 1, 1)
        nn.init.constant_(self.last.bias, -3.0)

    def forward(self, slices: torch.Tensor) -> torch.Tensor:
        """Give the logit of each voxel."""
        first = self.blocks[0](slices)
        second = self.blocks[1](functional.max_pool2d(first, 2))
        up = self.blocks[2](functional.max_pool2d(second, 2))
        for block, beside in ((3, second), (4, first)):
            up = functional.interpolate(up, scale_factor=2.0, mode="nearest")
            up = self.blocks[block](torch.cat([up, beside], 1))
        return self.last(up)[:, 0]

    def start_from(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Take weights that `arrays` gave; what normalises stays as it is in them from then on."""
        for name, block in zip(BLOCKS, self.blocks, strict=True):
            for number in range(2):
                convolution, norm = block[3 * number], block[3 * number + 1]
                convolution.weight.data = torch.from_numpy(arrays[f"{name}_{number}_weight"])
                norm.bias.data = torch.from_numpy(arrays[f"{name}_{number}_offset"])
                norm.running_var.fill_(1 - norm.eps)
        self.last.weight.data = torch.from_numpy(arrays["last_weight"]).reshape(1, -1, 1, 1)
        self.last.bias.data = torch.from_numpy(arrays["last_offset"]).reshape(1)
        self.eval()

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Give the weights with what normalises them put into them."""
        found = {}
        for name, block in zip(BLOCKS, self.blocks, strict=True):
            for number in range(2):
                convolution, norm = block[3 * number], block[3 * number + 1]
                scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
                weight = convolution.weight * scale[:, None, None, None]
                found[f"{name}_{number}_weight"] = weight.detach().numpy()
                offset = norm.bias - norm.running_mean * scale
                found[f"{name}_{number}_offset"] = offset.detach().numpy()
        found["last_weight"] = self.last.weight.detach().numpy()
        found["last_offset"] = self.last.bias.detach().numpy()
        return found


def _block(first: int, second: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (first, second):
        layers += [nn.Conv2d(channels, second, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(second), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def main() -> None:
    """Train, and write the weights."""
    folder, target = Path(sys.argv[1]), Path(sys.argv[2])
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else STEPS
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    files = [path for path in sorted(folder.glob("*.npz")) if path.stem not in KEPT_OUT]
    cases = [Case(dict(np.load(path))) for path in files]
    network, rate = UNet(len(CHANNELS)), RATE
    if len(sys.argv) > 4:
        network.start_from(dict(np.load(sys.argv[4])))
        rate = TUNING_RATE
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=DECAY)
    total = 0.0
    for step in range(1, steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = rate * max(LEAST_RATE, 1 - step / steps)
        chosen = [cases[number] for number in rng.integers(0, len(cases), CASES)]
        crops = [crop(case, rng) for case in chosen for _ in range(CROPS)]
        read, lesion, counted = (
            torch.from_numpy(np.stack([one[part] for one in crops])) for part in range(3)
        )
        loss, dice_loss = losses(network(read), lesion, counted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += float(dice_loss.detach())
        if step % 50 == 0:
            print(f"{step} of {steps}: 1 - Dice {total / 50:.3f}", flush=True)
            total = 0.0
    network.eval()
    np.savez(target, **network.arrays())


def losses(
    logit: torch.Tensor, lesion: torch.Tensor, counted: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give the loss, and its part of 1 - Dice."""
    entropy = functional.binary_cross_entropy_with_logits(logit, lesion, reduction="none")
    entropy = (entropy * counted).sum() / counted.sum()
    found, planted = torch.sigmoid(logit) * counted, lesion * counted
    both, sides = (found * planted).sum(), found.sum() + planted.sum()
    dice_loss = 1 - (2 * both + FEW) / (sides + FEW)
    return ENTROPY * entropy + dice_loss, dice_loss


def crop(case: Case, rng: np.random.Generator) -> Crop:
    """Draw a part of a slice, turned and mirrored by chance, its brightness a little off."""
    axis = case.axis if case.axis >= 0 else int(rng.integers(3))
    shown, ill, mimics = case.slices[axis]
    drawn = rng.random()
    wanted = mimics if drawn >= 1 - WITH_MIMICS else ill
    wanted = shown if WITH_LESIONS <= drawn < 1 - WITH_MIMICS or not len(wanted) else wanted
    number = int(rng.choice(wanted))
    parts = [
        np.take(case.arrays["read"], number, axis + 1).astype(np.float32),
        np.take(case.arrays["lesion"], number, axis)[None].astype(np.float32),
        np.take(case.arrays["counted"], number, axis)[None].astype(np.float32),
    ]
    whole = np.concatenate(parts)
    missing = [max(CROP - side, 0) for side in whole.shape[1:]]
    whole = np.pad(whole, ((0, 0), (0, missing[0]), (0, missing[1])))
    x, y = (int(rng.integers(0, side - CROP + 1)) for side in whole.shape[1:])
    whole = whole[:, x : x + CROP, y : y + CROP]
    if rng.random() < 0.5:
        whole = whole.transpose(0, 2, 1)
    for side in (1, 2):
        whole = np.flip(whole, side) if rng.random() < 0.5 else whole
    whole = np.ascontiguousarray(whole)
    read, lesion, counted = whole[:-2], whole[-2], whole[-1]
    inside = read[list(CHANNELS).index("depth")] > 0
    scale, shift = np.exp(rng.normal(0, 0.08)), rng.normal(0, 0.06)
    read[0] = (read[0] * scale + shift) * inside
    read[1] = (read[1] * scale + shift / 2 + rng.normal(0, 0.05)) * inside
    read[2] = (read[2] * np.exp(rng.normal(0, 0.08)) + rng.normal(0, 0.03)) * inside
    return read.astype(np.float32), lesion, counted


if __name__ == "__main__":
    main()
