"""Lobes and layers are painted in the registry's colours, as the legend has them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from matplotlib.colors import to_rgb

from tests.reports.pixels import coloured, pixels
from wmhflow.reports.drawing.layout import INK
from wmhflow.reports.pictures.regions import layers, lobes
from wmhflow.reports.pictures.views import registry_entries


def with_lobes(world):
    brain = world.arrays["mask_brain"]
    half = np.arange(brain.shape[1])[None, :, None] < 24
    world.arrays["seg_lobes"] = np.where(brain, np.where(half, 14, 11), 0).astype(np.uint8)
    world.arrays["seg_bullseye"] = np.where(brain, np.where(half, 143, 111), 0).astype(np.uint8)
    world.visit = replace(world.visit, lobes="parcellation")
    return world


def test_without_a_parcellation_there_are_no_such_pictures(world):
    context = world.saved()
    assert lobes(context) is None
    assert layers(context) is None


def test_the_legend_has_the_colours_of_the_labels_that_there_are(world):
    context = with_lobes(world).saved()
    for picture, seg, labels in (
        (lobes(context), "lobes", context.scene.lobes),
        (layers(context), "bullseye", context.scene.layers),
    ):
        entries = registry_entries(seg, labels)
        assert {index for index, _, _ in entries} == set(np.unique(labels)) - {0}
        assert len(entries) == 2
        image = pixels(picture.png)
        below, slices = image[-25:], image[:-25]
        for _, colour, _ in entries:
            # the registry's colour on half of some grey, as most of the region is seen
            greys = 2 * below - 255 * np.array(to_rgb(colour))
            legend = below[(np.ptp(greys, axis=2) < 15) & (np.ptp(below, axis=2) > 20)]
            assert len(legend) > 100
            assert (slices == legend[0]).all(axis=2).sum() > 500
        assert coloured(below, INK).size
