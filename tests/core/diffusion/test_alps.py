"""DTI-ALPS: a planted index comes back however the head lies, and noise does not raise it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.core.diffusion.series import table, turn
from wmhflow.core.diffusion import (
    Gradients,
    TensorField,
    as_matrices,
    fit_tensor,
    head_rotation,
    measure_side,
    middles_of,
)

# along left and right, and the other axis across fibres, mm²/s
SIDEWAYS, OTHER, ALONG = 0.6e-3, 0.4e-3, 1.5e-3
SPACING = 2.0


def planted(sideways: float = SIDEWAYS, rotation: np.ndarray | None = None, **change):
    """Fibres up within 32 mm, and to the front beyond, on the right, in a head that is turned."""
    rotation = np.eye(3) if rotation is None else rotation
    axis = np.arange(16, 50, SPACING), np.arange(-28, -4, SPACING), np.arange(15, 40, SPACING)
    places = np.stack(np.meshgrid(*axis, indexing="ij"), axis=-1).reshape(-1, 3)
    up = places[:, 0] < 32
    tensors = np.zeros((len(places), 3, 3))
    tensors[:, 0, 0] = sideways
    tensors[:, 1, 1] = np.where(up, OTHER, ALONG)
    tensors[:, 2, 2] = np.where(up, ALONG, OTHER)
    tensors = rotation @ tensors @ rotation.T
    flat = tensors[:, [0, 0, 1, 0, 1, 2], [0, 1, 1, 2, 2, 2]]
    told = {
        "is_white": np.ones(len(places), bool),
        "is_lesion": np.zeros(len(places), bool),
    } | change
    return TensorField(flat, places @ rotation.T, SPACING**3, **told)


def measured(field: TensorField, rotation: np.ndarray | None = None):
    rotation = np.eye(3) if rotation is None else rotation
    middles = {name: rotation @ one for name, one in middles_of("R").items()}
    return measure_side(field, middles, rotation)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("degrees", [-20, -10, 0, 5, 15, 20])
def test_a_planted_index_of_one_and_a_half_comes_back_however_the_head_lies(axis, degrees) -> None:
    rotation = turn(degrees, axis)
    found = measured(planted(rotation=rotation), rotation)
    assert found.index == pytest.approx(1.5, abs=0.005)
    assert found.local == pytest.approx(1.5, abs=0.005)
    assert found.without_lesions == pytest.approx(1.5, abs=0.005)
    assert found.reason is None
    for one in found.regions.values():
        assert one.angle_deg == pytest.approx(0, abs=1e-3)
        assert one.moved_mm <= 4
        assert one.n >= 4


def test_noise_does_not_raise_an_index_of_one() -> None:
    """Sorted eigenvalues of single voxels would give 1.1 to 1.3 (at a ratio of signal of 15)."""
    bvals, vectors = table((1000, 30), n_b0=4)
    field = planted(sideways=OTHER)
    clean = np.exp(
        -bvals * np.einsum("gi,nij,gj->ng", vectors, as_matrices(field.tensors), vectors)
    )
    rng, found = np.random.default_rng(0), []
    for _ in range(12):
        real, imaginary = rng.normal(0, 1 / 15, (2, *clean.shape))
        signals = np.hypot(clean + real, imaginary).astype(np.float32)
        fit = fit_tensor(signals, Gradients(bvals, vectors))
        noisy_field = TensorField(
            fit.tensors, field.places, field.voxel_mm3, field.is_white, field.is_lesion
        )
        found.append(measured(noisy_field).index)
    assert np.mean(found) == pytest.approx(1.0, abs=0.02)


def test_lesion_voxels_are_counted_and_left_out() -> None:
    field = planted()
    lesion = np.linalg.norm(field.places - middles_of("R")["projection"], axis=1) < 1.9
    tensors = field.tensors.copy()
    tensors[lesion, 0] *= 2
    whole = planted(is_lesion=lesion)
    changed = TensorField(tensors, whole.places, whole.voxel_mm3, whole.is_white, lesion)
    found = measured(changed)
    assert 0 < found.regions["projection"].wmh_fraction < 1
    assert found.regions["association"].wmh_fraction == 0
    assert found.without_lesions == pytest.approx(1.5, abs=0.005)
    assert found.index > 1.51


def test_a_region_of_other_fibres_or_of_no_white_matter_has_no_index() -> None:
    field = planted()
    turned_field = planted(rotation=turn(90, 0))
    assert "association" in (measured(
        TensorField(turned_field.tensors, field.places, field.voxel_mm3, field.is_white,
                    field.is_lesion)).reason or "")  # fmt: skip
    found = measured(planted(is_white=np.zeros(len(field.places), bool)))
    assert np.isnan([found.index, found.local, found.without_lesions]).all()
    assert "projection: 0 voxels" in found.reason


def test_a_region_is_found_again_where_the_middle_misses_it() -> None:
    """The middle lies 3 mm beside fibres that begin further out."""
    field = planted()
    beside = field.places[:, 0] < 36
    tensors = field.tensors.copy()
    tensors[(field.places[:, 0] >= 32) & beside] = [7e-4, 0, 7e-4, 0, 0, 7e-4]
    found = measured(TensorField(tensors, field.places, field.voxel_mm3, field.is_white,
                                 field.is_lesion))  # fmt: skip
    assert found.index == pytest.approx(1.5, abs=0.005)


def test_the_rotation_of_a_head_has_neither_size_nor_shear() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform(-50, 50, (200, 3))
    rotation = turn(17, 0) @ turn(-8, 2)
    moved = points * [1.1, 1.1, 1.1] @ rotation.T + [5, -3, 8]
    assert np.allclose(head_rotation(points, moved), rotation, atol=1e-9)
    sheared = points @ np.array([[1, 0.05, 0], [0.05, 1, 0], [0, 0, 1]]) @ rotation.T
    assert np.allclose(head_rotation(points, sheared), rotation, atol=0.02)
    assert np.linalg.det(head_rotation(points, sheared)) == pytest.approx(1)
