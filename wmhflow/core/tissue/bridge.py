"""The anatomy that an atlas labels and the one that the template's priors state, drawn alike."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wmhflow.labels.digits import CORTEX, DEEP_GREY, INFRATENTORIAL, VENTRICLES

# Atlases of cortex and nuclei leave white matter and CSF without a label; so do these drawings.
# Ventricles stand out most: what is next to them, white matter, is 0.
BRIGHTNESS: Mapping[int, float] = {
    VENTRICLES: 1.0,
    CORTEX: 0.4,
    INFRATENTORIAL: 0.6,
    DEEP_GREY: 0.8,
}


def drawn_labels(tissue: ArrayLike) -> NDArray[np.float32]:
    """Draw the tissues that an atlas labels.

    Parameters
    ----------
    tissue : (I, J, K) integer array
        Tissue classes, 0 without a label.

    Returns
    -------
    (I, J, K) float32 array
        0..1; 0 for white matter, CSF outside the ventricles, and everything else.

    Raises
    ------
    ValueError
        If there is no cortex.

    Examples
    --------
    >>> drawn_labels([[[0, 3, 5, 4]]]).ravel().tolist()
    [0.0, 0.4000000059604645, 0.0, 0.800000011920929]
    """
    classes = np.asarray(tissue)
    if not (classes == CORTEX).any():
        raise ValueError("no cortex is labelled")
    lookup = np.zeros(max(int(classes.max()), *BRIGHTNESS) + 1, dtype=np.float32)
    lookup[list(BRIGHTNESS)] = list(BRIGHTNESS.values())
    return lookup[classes]


def drawn_priors(
    cortex: NDArray[np.floating],
    deep_grey: NDArray[np.floating],
    csf: NDArray[np.floating],
    ventricles: NDArray[np.bool_],
    infratentorial: NDArray[np.bool_],
) -> NDArray[np.float32]:
    """Draw the template as :func:`drawn_labels` draws an atlas.

    Parameters
    ----------
    cortex, deep_grey, csf : (I, J, K) arrays
        Probabilities.
    ventricles, infratentorial : (I, J, K) arrays of booleans
        Where the lateral ventricles may be; cerebellum and brain stem.

    Returns
    -------
    (I, J, K) float32 array
        0..1.
    """
    drawn = BRIGHTNESS[CORTEX] * cortex + BRIGHTNESS[DEEP_GREY] * deep_grey
    drawn = np.where(infratentorial, BRIGHTNESS[INFRATENTORIAL] * (1 - csf), drawn)
    return np.asarray(np.where(ventricles, BRIGHTNESS[VENTRICLES] * csf, drawn), dtype=np.float32)
