"""An anisotropy that cannot be that of the diffusivities of its own fit.

Half of every FA, its square, or one of another series each looked like tissue's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.measure.anisotropy import anisotropy_range, outside_range
from wmhflow.registries.quality import find_measure
from wmhflow.steps.eigenvalues import MOST_OFF, eigenvalue_facts
from wmhflow.steps.measures import MapOptions, fitted_with_fa

Values = np.ndarray[Any, Any]
SHAPE = (24, 22, 20)


def anisotropy(eigenvalues: Values) -> Values:
    mean = eigenvalues.mean(-1, keepdims=True)
    spread = ((eigenvalues - mean) ** 2).sum(-1) / (eigenvalues**2).sum(-1)
    return np.asarray(np.sqrt(1.5 * spread))


def tensors(seed: int = 1) -> dict[str, Values]:
    """Eigenvalues of tissue as smooth as tissue is, with the noise of a fit."""
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.standard_normal((3, *SHAPE)), (0, 2, 2, 2))
    smooth = np.moveaxis(smooth / smooth.std(), 0, -1)
    noise = rng.normal(0, 0.05e-3, (*SHAPE, 3))
    values = np.array([1.1e-3, 0.65e-3, 0.5e-3]) * np.exp(0.12 * smooth) + noise
    values = np.sort(np.maximum(values, 1e-5), axis=-1)[..., ::-1]
    axial, radial = values[..., 0], values[..., 1:].mean(-1)
    return {
        "FA": anisotropy(values), "AD": axial, "RD": radial, "MD": (axial + 2 * radial) / 3
    }  # fmt: skip


def off(maps: dict[str, Values], *names: str) -> float:
    chosen = {name: maps[name] for name in names or ("FA", "AD", "RD")}
    found = eigenvalue_facts(
        {name: Path(f"{name}.nii") for name in chosen},
        {name: (values, np.ones(SHAPE, bool)) for name, values in chosen.items()},
        np.arange(np.prod(SHAPE)),
        np.full(int(np.prod(SHAPE)), 0.5),
    )
    return float(found["map_FA_nawm_off_eigenvalues"])


@pytest.mark.parametrize("seed", range(5))
def test_eigenvalues_allow_their_own_anisotropy_and_bounds_are_met(seed: int) -> None:
    values = np.sort(np.random.default_rng(seed).uniform(0.05, 2, (4000, 3)), axis=-1)[:, ::-1]
    low, high = anisotropy_range(values[:, 0], values[:, 1:].mean(-1))
    truth = anisotropy(values)
    assert outside_range(truth, low, high).max() < 1e-9
    alike = values.copy()
    alike[:, 1:] = values[:, 1:].mean(-1, keepdims=True)
    assert np.allclose(anisotropy(alike), low)
    # the second is the first, or the third is nothing
    total = 2 * values[:, 1:].mean(-1)
    second = np.minimum(values[:, 0], total)
    most = np.stack([values[:, 0], second, total - second], axis=-1)
    assert np.allclose(anisotropy(most), high)


def test_what_are_no_eigenvalues_allow_nothing() -> None:
    for pair in ((0.5, 1.0), (0.0, 0.0), (1.0, -0.1), (np.nan, 1.0)):
        assert np.isnan(anisotropy_range(*np.array(pair)[:, None])).all()


@pytest.mark.parametrize("names", [("FA", "AD", "RD"), ("FA", "AD", "MD"), ("FA", "RD", "MD")])
def test_maps_of_one_fit_go_together(names: tuple[str, ...]) -> None:
    assert off(tensors(), *names) < 1e-9
    finer = {name: ndimage.zoom(one, 2, order=1)[:24, :22, :20] for name, one in tensors().items()}
    assert off(finer, *names) < MOST_OFF / 2
    percent = tensors() | {"AD": tensors()["AD"] * 1e3, "RD": tensors()["RD"] * 1e3}
    assert off(percent, "FA", "AD", "RD") < 1e-9


WRONG: dict[str, Any] = {
    "half of it": lambda maps: maps | {"FA": maps["FA"] / 2},
    "its square": lambda maps: maps | {"FA": maps["FA"] ** 2},
    "one minus it": lambda maps: maps | {"FA": 1 - maps["FA"]},
    "mirrored": lambda maps: maps | {"FA": maps["FA"][::-1]},
    "of another visit": lambda maps: maps | {"FA": tensors(2)["FA"]},
    "beside an AD of another unit": lambda maps: maps | {"AD": maps["AD"] * 1.4},
    "beside an RD that was multiplied": lambda maps: maps | {"RD": 0.7 * maps["RD"]},
}


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_another_anisotropy_is_marked(change: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert off(change(tensors())) > MOST_OFF
    (line,) = caplog.messages
    assert line.startswith("FA.nii cannot be the anisotropy of AD.nii and RD.nii: in NAWM it lies")


def test_where_too_little_is_known_nothing_is_said() -> None:
    maps = {name: (one, np.zeros(SHAPE, bool)) for name, one in tensors().items()}
    files = {name: Path(f"{name}.nii") for name in maps}
    every = np.arange(np.prod(SHAPE)), np.ones(int(np.prod(SHAPE)))
    assert eigenvalue_facts(files, maps, *every) == {"map_FA_nawm_off_eigenvalues": None}
    for names in ((), ("FA", "MD"), ("AD", "RD", "MD")):
        assert eigenvalue_facts({name: Path("x") for name in names}, maps, *every) == {}


def test_only_maps_of_one_fit_and_one_unit_are_compared() -> None:
    def options(name: str, fit: str = "a", unit: str = "mm^2/s") -> MapOptions:
        return MapOptions(name, "1" if name == "FA" else unit, 0.0, 1.0, fit=fit)

    own = [options("FA"), options("AD"), options("RD")]
    other = options("MD", "b")
    assert fitted_with_fa([*own, other]) == own
    assert fitted_with_fa([options("FA", ""), options("AD", ""), options("RD", "")]) == []
    assert fitted_with_fa([*own[:2], options("RD", unit="um^2/ms")]) == []
    assert fitted_with_fa(own[1:]) == []


def test_the_bound_is_that_of_the_table() -> None:
    measure = find_measure("map_FA_nawm_off_eigenvalues")
    assert measure is not None
    assert measure.high == MOST_OFF
