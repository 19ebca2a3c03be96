"""Normal tissue is told whatever share of the white matter is lesion."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from wmhflow.core.wmh.model import LesionModel
from wmhflow.core.wmh.normal import TISSUES, normal_tissue
from wmhflow.core.wmh.segmentation import TissuePriors, segment_wmh

BRIGHT = {"FLAIR": (100.0, 116.0, 108.0, 25.0), "T1w": (100.0, 66.0, 80.0, 22.0)}
LESION = {"FLAIR": 150.0, "T1w": 72.0}


def head(sizes_mm: tuple[float, ...], contrast: str = "FLAIR", load: float = 0.0, seed: int = 0):
    """A ball: ventricle, white matter with deep grey in it, folded cortex; lesions inmost."""
    shape = [round(140 / size) for size in sizes_mm]
    x, y, z = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, sizes_mm, strict=True)],
        indexing="ij",
    )
    radius = np.sqrt(x**2 + y**2 + z**2)
    folded = radius + 5 * np.sin(x / 5) * np.sin(y / 6)
    brain = radius < 64
    csf = brain & ((radius < 14) | (folded > 62))
    deep = brain & (np.hypot(radius - 22, z / 2) < 5)
    cortex = brain & (folded > 54) & ~csf
    white = brain & ~csf & ~deep & ~cortex
    masks = dict(zip(TISSUES, (white, cortex, deep, csf), strict=True))
    values = np.select(list(masks.values()), BRIGHT[contrast], 0.0)
    # the innermost white matter falls ill first
    order = np.argsort(np.where(white, radius, np.inf), axis=None, kind="stable")
    lesion = np.zeros(white.shape, bool)
    lesion.flat[order[: round(load * white.sum())]] = True
    values[lesion] = LESION[contrast]
    rng = np.random.default_rng(seed)
    values = values * (1 + 0.05 * rng.standard_normal(shape)) * np.exp(0.15 * x / 64 - 0.1 * y / 64)
    blur = [1.5 / size for size in sizes_mm]
    priors = {n: ndimage.gaussian_filter(m.astype(np.float32), blur) for n, m in masks.items()}
    return values.astype(np.float32), priors, brain, white, lesion


def white_error(values, found, white, lesion) -> float:
    normal = white & ~lesion
    rest = np.log(values[normal]) - found.field[normal] - found.means["white"]
    return float(abs(np.median(rest)))


@pytest.mark.parametrize(
    "load", [0.0, *(pytest.param(one, marks=pytest.mark.slow) for one in (0.02, 0.2)), 0.5]
)
@pytest.mark.parametrize("sizes_mm", [(2.0, 2.0, 2.0), (1.0, 1.0, 6.0), (5.0, 1.2, 1.2)])
def test_white_matter_keeps_its_brightness_however_much_of_it_is_lesion(sizes_mm, load) -> None:
    values, priors, brain, white, lesion = head(sizes_mm, load=load)
    found = normal_tissue(values, priors, brain, sizes_mm)
    assert white_error(values, found, white, lesion) < 0.03
    assert found.means["cortex"] > found.means["white"] + 0.05
    assert found.lesion_share == pytest.approx(load, abs=0.08)
    inside = np.log(values[lesion]) - found.field[lesion] - found.means["white"]
    assert not load or np.median(inside) > 0.8 * np.log(1.5)


@pytest.mark.parametrize("load", [0.0, 0.3])
def test_a_t1w_is_fitted_without_what_is_known_to_be_lesion(load: float) -> None:
    values, priors, brain, white, lesion = head((2.0, 2.0, 2.0), "T1w", load)
    found = normal_tissue(values, priors, brain, (2.0, 2.0, 2.0), lesion)
    assert white_error(values, found, white, lesion) < 0.03
    assert found.means["cortex"] < found.means["white"] - 0.2
    assert found.lesion_share == 0


@pytest.mark.slow
def test_the_unit_of_the_image_does_not_matter_and_air_is_not_asked() -> None:
    values, priors, brain, *_ = head((2.0, 2.0, 2.0), load=0.1)
    one = normal_tissue(values, priors, brain, (2.0, 2.0, 2.0))
    other = normal_tissue(values * 1e4, priors, brain, (2.0, 2.0, 2.0))
    assert other.means["white"] == pytest.approx(one.means["white"] + np.log(1e4), abs=1e-3)
    assert other.sds["white"] == pytest.approx(one.sds["white"], abs=1e-3)
    around = np.where(brain, values, 1e5).astype(np.float32)
    again = normal_tissue(around, priors, brain, (2.0, 2.0, 2.0))
    assert again.means == pytest.approx(one.means, abs=1e-6)


@pytest.mark.parametrize("missing", ["white", "cortex"])
def test_a_brain_without_a_tissue_is_an_error(missing: str) -> None:
    values, priors, brain, *_ = head((4.0, 4.0, 4.0))
    priors[missing] = np.zeros_like(priors[missing])
    with pytest.raises(ValueError, match="look at brain mask and registration"):
        normal_tissue(values, priors, brain, (4.0, 4.0, 4.0))


def lesion_priors(priors, brain, sizes_mm) -> TissuePriors:
    x = (np.arange(brain.shape[0]) - (brain.shape[0] - 1) / 2) * sizes_mm[0]
    return TissuePriors(
        **priors,
        ventricles=ndimage.binary_dilation((priors["csf"] > 0.5) & (priors["cortex"] < 0.1)),
        midline_mm=np.broadcast_to(np.abs(x)[:, None, None], brain.shape).astype(np.float32),
    )


@pytest.mark.parametrize(
    ("load", "with_t1w"),
    [
        pytest.param(0.2, False, marks=pytest.mark.slow),
        pytest.param(0.2, True, marks=pytest.mark.slow),
        pytest.param(0.5, True, marks=pytest.mark.slow),
        (0.5, False),
    ],
)
def test_lesions_are_found_where_they_are_half_of_the_white_matter(load, with_t1w) -> None:
    sizes = (2.0, 2.0, 2.0)
    values, priors, brain, _, lesion = head(sizes, load=load)
    t1w = head(sizes, "T1w", load)[0] if with_t1w else None
    found = segment_wmh(values, t1w, lesion_priors(priors, brain, sizes), brain, sizes).mask
    assert 2 * (found & lesion).sum() / (found.sum() + lesion.sum()) > 0.85


@pytest.mark.slow
def test_a_mask_that_misses_what_the_tissues_call_lesion_is_refused() -> None:
    sizes = (2.0, 2.0, 2.0)
    values, priors, brain, *_ = head(sizes, load=0.4)
    nothing = LesionModel(least_z=50.0)
    with pytest.raises(ValueError, match="hardly any of it was found"):
        segment_wmh(values, None, lesion_priors(priors, brain, sizes), brain, sizes, nothing)
