"""The bullseye of a visit shows what its tables hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wmhflow.reports.pictures.bullseye import bullseye, bullseye_plots


def cells(layers: int) -> list[int]:
    return [100 * side + 10 * k + n for side in (1, 2) for k in range(1, 6)
            for n in range(1, layers + 1)]  # fmt: skip


def with_bullseye(world, layers: int):
    world.visit = replace(world.visit, maps=(), lobes="parcellation")
    world.more_volumes = [
        {"seg": "bullseye", "index": cell, "wmh_fraction": cell / 1000} for cell in cells(layers)
    ]
    return world.saved()


@pytest.mark.parametrize("layers", [1, 4, 8])
def test_it_has_the_layers_and_values_of_the_table(world, layers):
    (plot,) = bullseye_plots(with_bullseye(world, layers))
    assert plot.n_layers == layers
    assert plot.values == {cell: cell / 1000 for cell in cells(layers)}


def test_its_words_name_the_extremes(world):
    picture = bullseye(with_bullseye(world, 4))
    assert picture.alt.startswith("WMH volume fraction is highest (0.254) in the right basal")
