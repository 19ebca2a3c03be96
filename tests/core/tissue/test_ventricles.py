"""Lateral ventricles: CSF in the region, with plexus and without sulci."""

from __future__ import annotations

import numpy as np

from wmhflow.core.tissue.ventricles import lateral_ventricles

SHAPE = (60, 60, 60)


def scene():
    region, csf = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    region[10:30, 10:50, 10:30] = True
    csf[15:25, 15:45, 15:25] = True
    return csf, region, np.zeros(SHAPE, np.float32)


def test_csf_in_the_region_is_ventricle_and_csf_elsewhere_is_not() -> None:
    csf, region, cortex = scene()
    truth = csf.copy()
    csf[45:55, 15:45, 15:25] = True
    assert np.array_equal(lateral_ventricles(csf, region, cortex, (1, 1, 1)), truth)


def test_choroid_plexus_is_filled_in() -> None:
    csf, region, cortex = scene()
    truth = csf.copy()
    csf[19:22, 28:32, 18:22] = False
    assert np.array_equal(lateral_ventricles(csf, region, cortex, (1, 1, 1)), truth)


def test_a_dark_lesion_at_the_rim_is_no_ventricle() -> None:
    csf, region, cortex = scene()
    truth = csf.copy()
    csf[28:30, 15:45, 12:14] = True
    assert np.array_equal(lateral_ventricles(csf, region, cortex, (1, 1, 1)), truth)


def test_nothing_dark_gives_an_empty_mask() -> None:
    csf, region, cortex = scene()
    assert not lateral_ventricles(csf & False, region, cortex, (1, 1, 1)).any()
