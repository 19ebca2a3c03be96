"""Priors on the template: symmetric, complete, and where anatomy has them."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from wmhflow.core.tissue import template as templates
from wmhflow.files.template import PRIORS, cached_template, template_path


@pytest.fixture(scope="module")
def image():
    return nib.load(template_path("t1"))


@pytest.fixture(scope="module")
def priors(image):
    """The priors as this code draws them: the cache's name has a hash of the code in it."""
    drawn = cached_template()
    return templates.TemplatePriors(
        **{name: drawn.grid(name).data for name in ("brain_mask", *PRIORS)}
    )


def at(image, values, *points):
    inverse = np.linalg.inv(image.affine)
    return [
        values[tuple(np.rint(nib.affines.apply_affine(inverse, p)).astype(int))] for p in points
    ]


@pytest.mark.parametrize(
    "name", ["brain_mask", "csf", "cortex", "deep_grey", "white", "ventricles", "infratentorial"]
)
def test_every_prior_is_its_own_mirror_image(priors, name) -> None:
    values = getattr(priors, name)
    assert values.any()
    assert np.array_equal(values, values[::-1])


def test_ventricles_hold_horns_and_leave_out_other_csf(image, priors) -> None:
    inside = [(-10, 10, 12), (12, -16, 23), (-26, -48, 8), (33, -15, -17), (-35, -30, -9)]
    outside = [(0, -8, 2), (0, -22, 4), (0, -46, -30), (-40, 0, 2), (44, -20, 8), (0, -36, -4)]
    assert at(image, priors.ventricles, *inside) == [1] * len(inside)
    assert at(image, priors.ventricles, *outside) == [0] * len(outside)


def test_infratentorial_is_cerebellum_and_brain_stem(image, priors) -> None:
    inside = [(-25, -60, -40), (25, -70, -30), (0, -28, -34), (0, -60, -20)]
    outside = [(-30, -90, 0), (30, -30, -16), (-11, -19, 7), (-45, -50, -12)]
    assert at(image, priors.infratentorial, *inside) == [1] * len(inside)
    assert at(image, priors.infratentorial, *outside) == [0] * len(outside)


def test_probabilities_sum_to_one_inside_the_brain(priors) -> None:
    total = priors.csf + priors.cortex + priors.deep_grey + priors.white
    inside = priors.brain_mask > 0
    assert np.abs(total[inside] - 1).max() < 0.01
    assert total[~inside].max() == 0
