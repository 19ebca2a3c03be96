"""An atlas and the template are drawn alike."""

from __future__ import annotations

import numpy as np
import pytest

from wmhflow.core.tissue.bridge import BRIGHTNESS, drawn_labels, drawn_priors


def test_labels_and_priors_of_the_same_anatomy_are_drawn_the_same() -> None:
    tissue = np.random.default_rng(4).choice([0, 1, 2, 3, 4, 5, 7], (6, 5, 4))
    drawn = drawn_labels(tissue)
    shares = [(tissue == k).astype(np.float32) for k in (3, 4)]
    csf = np.isin(tissue, (1, 2)).astype(np.float32)
    assert np.array_equal(drawn, drawn_priors(*shares, csf, tissue == 2, tissue == 7))
    for tissue_class, brightness in BRIGHTNESS.items():
        assert np.allclose(drawn[tissue == tissue_class], brightness)
    assert (drawn[np.isin(tissue, (0, 1, 5))] == 0).all()


def test_what_stands_for_an_anatomy_has_cortex() -> None:
    with pytest.raises(ValueError, match="no cortex"):
        drawn_labels(np.full((3, 3, 3), 4))
