"""A fraction that was computed here is 0 where its fit says so, and NaN where nothing is known."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.builders import save_image
from wmhflow.core.diffusion.ivim import fit_ivim
from wmhflow.plan.visit import Computed, Given
from wmhflow.products.brought import map_options
from wmhflow.registries.maps import load_maps as load_registry
from wmhflow.steps.measures import MapOptions, load_maps

AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])


def fraction() -> np.ndarray:
    """A CSF-like fraction of 0 in white matter, which reaches the edge of what was fitted."""
    values = np.full((16, 16, 16), np.nan, np.float32)
    values[2:14, 2:14, 2:14] = 0.2
    values[2:12, 4:12, 4:12] = 0
    return values


@pytest.mark.parametrize(
    ("writes_nan", "zeros", "kept"),
    [(True, "auto", True), (True, "missing", False), (False, "auto", False), (False, "data", True)],
)
def test_zeros_of_a_fit_made_here_are_measurements(
    tmp_path: Path, writes_nan: bool, zeros: str, kept: bool
) -> None:
    """They had been taken for the outside of a mask, and the fraction's mean was too high."""
    path = save_image(tmp_path / "fluid.nii", fraction(), AFFINE)
    options = MapOptions("CSFlike", "1", 0, 1, can_be_zero=True, writes_nan=writes_nan)
    loaded = load_maps([path], [options], None, zeros)
    _, valid = loaded.maps["CSFlike"]
    assert valid[2:12, 4:12, 4:12].all() == kept
    assert valid[2:14, 2:14, 12:14].all()
    assert not valid[0].any()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (Computed("fractions", takes={}), True),
        (Computed("ivim", takes={}), True),
        # what a PET does not show is 0 in it
        (Computed("uptake", takes={}), False),
        (Computed("component", takes={}), False),
        (SimpleNamespace(spec=Given), False),
    ],
)
def test_maps_of_given_zeros_are_looked_at(values: Any, expected: bool) -> None:
    entry = SimpleNamespace(
        name="CSFlike", definition=load_registry()["CSFlike"], values=values, read_as=None,
        file=SimpleNamespace(path=Path("x.nii.gz"), entities={}, root=Path()), transform=None,
    )  # fmt: skip
    found = map_options(entry)  # type: ignore[arg-type]
    assert found.writes_nan == expected


@pytest.mark.parametrize("fraction", [0.03, 0.06, 0.12])
def test_the_mean_of_a_small_perfusion_fraction_is_not_raised_by_noise(fraction: float) -> None:
    """Values below 0 had not counted: 0.03 had been 0.036 at this signal over noise."""
    b = np.repeat([0.0, 10, 20, 50, 100, 200, 400, 600, 800], 3)
    signal = (1 - fraction) * np.exp(-0.7e-3 * b) + fraction * np.exp(-0.05 * b)
    noise = np.random.default_rng(3).normal(0, 1 / 40, (20000, b.size))
    found = fit_ivim((signal + noise).astype(np.float32), b).fraction
    low, high = load_registry()["IVIMf"].valid_range
    counted = found[(found >= low) & (found <= high)]
    assert counted.mean() == pytest.approx(fraction, abs=0.003)
