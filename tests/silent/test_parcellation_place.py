"""A parcellation that lies elsewhere than the tissues of the image that it is laid over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import save_image
from tests.coarse import anatomical, head
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.registries.quality import find_measure
from wmhflow.steps.tissue import MOST_PARCELLATION_MM, painted_tissues, read_parcellation


@pytest.mark.parametrize("suffix", ["T1w", "FLAIR"])
@pytest.mark.parametrize("moved_mm", [0, 3, 6])
def test_how_far_it_lies_from_the_tissues_is_measured_and_said(
    tmp_path: Path, suffix: str, moved_mm: int, caplog: Any
) -> None:
    """Zones, NAWM and every sample lay beside the tissue that they were named after."""
    away = np.eye(4)
    away[1, 3] = moved_mm
    path = save_image(tmp_path / "dseg.nii.gz", head().codes, away @ head().affine)
    found = read_parcellation(path, Grid3D(anatomical(suffix), head().affine))
    apart = found.facts["parcellation_apart_mm"]
    assert apart == pytest.approx(moved_mm, abs=0.5)
    assert (apart > MOST_PARCELLATION_MM) == (moved_mm > 0)
    said = "dseg.nii.gz lies "
    assert (said in caplog.text) == (moved_mm > 0)
    measure = find_measure("parcellation_apart_mm")
    assert measure is not None
    assert measure.high == MOST_PARCELLATION_MM


def test_one_beside_the_brain_is_not_called_blank(tmp_path: Path) -> None:
    """The message had named the parcellation as the image that shows no brain."""
    away = np.eye(4)
    away[:3, 3] = 40, 40, 0
    path = save_image(tmp_path / "dseg.nii.gz", head().codes, away @ head().affine)
    with pytest.raises(InputError, match=r"dseg\.nii\.gz lies beside the brain of the reference"):
        read_parcellation(path, Grid3D(anatomical("T1w"), head().affine))


def test_tissues_have_the_brightness_of_most_of_them() -> None:
    tissue = np.array([[[0, 5, 5, 5, 3]]])
    image = np.array([[[9.0, 1, 2, 90, 7]]])
    assert painted_tissues(tissue, image).tolist() == [[[0, 2, 2, 2, 7]]]
