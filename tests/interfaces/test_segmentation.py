"""Segmentation from files: the template segments itself, and real people come out sane."""

from __future__ import annotations

import os

os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from wmhflow.ants.brain import extract_brain
from wmhflow.ants.priors import brought_to_brain
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.space.geometry import world_coordinates
from wmhflow.core.space.grids import Grid3D, resample_isotropic
from wmhflow.core.wmh.segmentation import WMHResult
from wmhflow.files.grids import load_grid
from wmhflow.files.itk import write_itk_affine
from wmhflow.interfaces.segmentation import (
    BrainExtraction,
    TemplatePriors,
    TissueSegmentation,
    WMHSegmentation,
)

PRIORS = ("csf", "cortex", "deep_grey", "white", "ventricles", "infratentorial")
RAW = (
    Path(__file__).parents[3] / "shared" / "data" / "raw_longitudinal" / "openms_patient01" / "raw"
)


@pytest.fixture(scope="module")
def priors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("priors")
    return TemplatePriors(resolution=2).run(cwd=folder).outputs


@pytest.fixture(scope="module")
def small(priors, tmp_path_factory):
    """The priors at 4 mm, as if warped to a person."""
    folder = tmp_path_factory.mktemp("small")
    paths = {}
    for name in ("t1w", "brain_mask", *PRIORS):
        grid = load_grid(getattr(priors, name))
        coarse = resample_isotropic(grid, 4.0)
        paths[name] = str(folder / f"{name}.nii.gz")
        if name == "brain_mask":
            coarse = Grid3D(coarse.data > 0.5, coarse.affine)
        nib.save(nib.Nifti1Image(coarse.data.astype(np.float32), coarse.affine), paths[name])
    places = world_coordinates(np.moveaxis(np.indices(coarse.data.shape), 0, -1), coarse.affine)
    sides = np.where(places[..., 0] < 0, 1, 2).astype(np.uint8)
    paths["hemispheres"] = str(folder / "hemispheres.nii.gz")
    nib.save(nib.Nifti1Image(sides, coarse.affine), paths["hemispheres"])
    return paths


def segment(small, image, folder):
    folder.mkdir(exist_ok=True)
    given = {name: small[name] for name in (*PRIORS, "hemispheres")}
    node = TissueSegmentation(image=image, brain_mask=small["brain_mask"], seed=1, **given)
    return node.run(cwd=folder).outputs


def test_temporary_files_are_gone_afterwards(small, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    segment(small, small["t1w"], tmp_path / "node")
    assert not list(scratch.iterdir())


def dice(first, second):
    return 2 * (first & second).sum() / (first.sum() + second.sum())


@pytest.mark.parametrize("contrast", ["T1w", "FLAIR"])
def test_the_template_segments_itself(small, contrast, tmp_path) -> None:
    truth = {name: load_grid(small[name]).data for name in PRIORS}
    t1w = load_grid(small["t1w"])
    values = {"T1w": (40, 150, 210), "FLAIR": (30, 130, 100)}[contrast]
    grey = truth["cortex"] + truth["deep_grey"]
    image = values[0] * truth["csf"] + values[1] * grey + values[2] * truth["white"]
    image += np.random.default_rng(0).normal(0, 2, image.shape) * (image > 0)
    path = str(tmp_path / "image.nii.gz")
    nib.save(nib.Nifti1Image(image.astype(np.float32), t1w.affine), path)
    found = segment(small, path, tmp_path / "a")
    labels = load_grid(found.tissue).data.astype(int)
    inside = (truth["infratentorial"] <= 0.5) & (load_grid(small["brain_mask"]).data > 0)
    assert dice(labels % 10 == 5, (truth["white"] > 0.5) & inside) > 0.85
    assert dice(labels % 10 == 3, (truth["cortex"] > 0.5) & inside) > 0.8
    assert load_grid(found.ventricles).data.sum() * 64 > 5000
    x = nib.affines.apply_affine(t1w.affine, np.argwhere(labels // 10 == 1))[:, 0]
    assert x.max() <= 2.0
    assert set(np.unique(labels)) <= {0, *(10 * s + k for s in (1, 2) for k in (1, 2, 3, 4, 5, 7))}
    if contrast == "FLAIR":
        return
    again = segment(small, path, tmp_path / "b")
    for name in ("tissue", "ventricles", "bias_corrected"):
        first, second = (Path(getattr(run, name)).read_bytes() for run in (found, again))
        assert first == second, name


def test_priors_at_two_millimetres_are_symmetric_and_plausible(priors) -> None:
    for name in ("t1w", "brain_mask", *PRIORS):
        data = load_grid(getattr(priors, name)).data
        assert np.array_equal(data, data[::-1]) or np.allclose(data, data[::-1], atol=1e-4), name
    image = nib.load(priors.ventricles)
    assert 40_000 < load_grid(priors.ventricles).data.sum() * 8 < 120_000
    assert nib.affines.apply_affine(image.affine, [49, 0, 0])[0] == 0


def test_a_stripped_image_is_its_own_mask(small, tmp_path) -> None:
    t1w, mask = (load_grid(small[name]) for name in ("t1w", "brain_mask"))
    image = str(tmp_path / "stripped.nii.gz")
    nib.save(nib.Nifti1Image(t1w.data * (mask.data > 0.5), t1w.affine), image)
    node = BrainExtraction(
        image=image, template_t1w=small["t1w"], template_mask=small["brain_mask"], seed=1
    )
    found = node.run(cwd=tmp_path).outputs
    assert dice(load_grid(found.brain_mask).data > 0, mask.data > 0.5) > 0.98


def test_what_two_stripped_images_share_is_the_brain(small, tmp_path) -> None:
    t1w, mask = (load_grid(small[name]) for name in ("t1w", "brain_mask"))
    inner = mask.data > 0.5
    first, last = (int(edge) for edge in np.flatnonzero(inner.any(axis=(0, 2)))[[0, -1]])
    # eyes and bone, left on one of the two images, the other one 4 mm away
    scraps = t1w.data * inner
    eyes = np.zeros(inner.shape, bool)
    eyes[12:-12, last - 4 : last + 1, 12:-12] = True
    scraps[eyes & ~inner] = scraps.max()
    moved = t1w.affine.copy()
    moved[0, 3] += 4
    halved = inner.copy()
    halved[:, : (first + last) // 2] = False
    top = int(np.flatnonzero(inner.any(axis=(0, 1)))[-1])
    others = {
        "stripped": t1w.data * inner,
        "short": t1w.data[:, :, : top - 1] * inner[:, :, : top - 1],
        "whole": t1w.data + 20,
        "half": t1w.data * halved,
    }
    image = str(tmp_path / "scraps.nii.gz")
    nib.save(nib.Nifti1Image(scraps.astype(np.float32), t1w.affine), image)
    shift = np.eye(4)
    shift[0, 3] = 4
    found = {}
    for name, data in others.items():
        other = str(tmp_path / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(data.astype(np.float32), moved), other)
        node = BrainExtraction(
            image=image, template_t1w=small["t1w"], template_mask=small["brain_mask"], seed=1,
            other=other, other_transform=write_itk_affine(shift, tmp_path / "x.txt"),
        )  # fmt: skip
        found[name] = load_grid(node.run(cwd=tmp_path).outputs.brain_mask).data > 0
    assert dice(found["stripped"], inner) > 0.98
    alone = BrainExtraction(
        image=image, template_t1w=small["t1w"], template_mask=small["brain_mask"], seed=1
    )
    by_itself = load_grid(alone.run(cwd=tmp_path).outputs.brain_mask).data > 0
    assert by_itself.sum() > 1.02 * inner.sum()
    # what ends in the brain takes nothing from it
    assert not (inner & ~found["short"])[:, :, top - 1 :].any()
    # a whole head says nothing, half a brain is not believed
    assert (found["whole"] == by_itself).all()
    assert (found["half"] == by_itself).all()


def test_a_blank_slab_of_one_image_takes_nothing_from_the_brain(small) -> None:
    t1w, mask = (load_grid(small[name]) for name in ("t1w", "brain_mask"))
    inner = mask.data > 0.5
    head = Grid3D(t1w.data * inner, t1w.affine)
    blank = inner.copy()
    blank[:, :, int(np.flatnonzero(inner.any(axis=(0, 1)))[-1]) - 3 :] = False
    for voxel_mm in (None, 12.0):
        found = extract_brain(head, t1w, inner, 1, other=blank, other_voxel_mm=voxel_mm)
        assert np.array_equal(found, extract_brain(head, t1w, inner, 1))
    assert (inner & ~blank).sum() > 200


def test_flat_ends_of_thick_slices_are_no_end_in_the_brain(small) -> None:
    """A brain in slices of 16 mm has a flat top, and still tells scraps of the other image."""
    t1w, mask = (load_grid(small[name]) for name in ("t1w", "brain_mask"))
    inner = mask.data > 0.5
    n_slices = inner.shape[2] // 4
    slices = inner[:, :, : 4 * n_slices].reshape(*inner.shape[:2], n_slices, 4).mean(axis=3)
    thick = np.zeros(inner.shape, bool)
    thick[:, :, : 4 * n_slices] = np.repeat(slices > 0.5, 4, axis=2)
    found = [
        extract_brain(Grid3D(t1w.data * inner, t1w.affine), t1w, inner, 1, thick, voxel_mm)
        for voxel_mm in (4.0, 16.0)
    ]
    assert np.array_equal(found[0], inner)
    assert np.array_equal(found[1], inner & thick)


@pytest.mark.parametrize("reference_name", ["T1w", "FLAIR"])
def test_wmh_are_found_on_the_flair_and_lie_on_the_reference(reference_name, tmp_path) -> None:
    affine = np.diag([-1.0, 1, 1, 1])
    inner = np.zeros((40, 40, 40), bool)
    inner[3:-3, 3:-3, 3:-3] = True
    noise = np.random.default_rng(0).normal(1, 0.04, inner.shape)
    lesion = np.zeros(inner.shape, bool)
    lesion[10:16, 10:16, 10:16] = True
    # The head moved by 4 mm between the two scans: the FLAIR's voxels lie at other places.
    moved = affine.copy()
    moved[:3, 3] = [4, 0, 0]
    images = {
        "flair": (np.where(lesion, 160, 100) * noise * inner, moved),
        "t1w": (np.where(lesion, 80, 100) * inner, affine),
        "white": (inner, affine),
        "empty": (np.zeros(inner.shape), affine),
        "mask": (inner, affine if reference_name == "T1w" else moved),
    }
    paths = {}
    for name, (data, grid) in images.items():
        paths[name] = str(tmp_path / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(data.astype(np.float32), grid), paths[name])
    shift = np.eye(4)
    shift[0, 3] = 4.0 if reference_name == "T1w" else -4.0
    rigid = write_itk_affine(shift, tmp_path / "rigid.txt")
    # the template's images lie where the T1w does
    to_template = write_itk_affine(
        np.eye(4) if reference_name == "T1w" else shift, tmp_path / "template.txt"
    )
    found = (
        WMHSegmentation(
            flair=paths["flair"],
            t1w=paths["t1w"],
            reference=paths["t1w" if reference_name == "T1w" else "flair"],
            reference_name=reference_name,
            other_transform=rigid,
            inverse=to_template,
            brain_mask=paths["mask"],
            white=paths["white"],
            **dict.fromkeys(("csf", "cortex", "deep_grey", "ventricles"), paths["empty"]),
        )
        .run(cwd=tmp_path)
        .outputs
    )
    mask = load_grid(found.mask)
    assert dice(mask.data > 0, lesion) > 0.9
    assert np.array_equal(mask.data > 0, load_grid(found.probseg).data >= 0.5)
    assert np.array_equal(mask.affine, affine if reference_name == "T1w" else moved)
    assert set(found.numbers) == {"white_matter_sd", "cortex_z", "cortex_spread_z", "lesion_z"}


# linear interpolation loses 8 % of balls of 3 mm, and more of smaller ones
@pytest.mark.parametrize(("radius_mm", "lost"), [(2.0, 0.16), (3.0, 0.05), (5.0, 0.02)])
def test_lesions_keep_their_size_on_a_turned_grid(radius_mm, lost, tmp_path) -> None:
    turned = rigid_matrix(np.array([8.0, -6.0, 10.0, 0.4, 0.3, -0.5]), np.full(3, 12.0))
    transform = write_itk_affine(turned, tmp_path / "turned.txt")
    brain = Grid3D(np.ones((25, 25, 25), np.float32), np.eye(4))
    voxels, parts, drawn_voxels = np.indices((25, 25, 25)), 5, 0
    places = (np.indices((25 * parts,) * 3) + 0.5) / parts - 0.5
    centres = np.random.default_rng(1).uniform(11.5, 12.5, (5, 3))
    for centre in centres:
        there = turned[:3, :3] @ centre + turned[:3, 3]
        inside = np.sum((places.T - there).T ** 2, axis=0) <= radius_mm**2
        # what share of each voxel of the FLAIR a ball fills
        share = inside.reshape(25, parts, 25, parts, 25, parts).mean(axis=(1, 3, 5))
        share = share.astype(np.float32)
        found = WMHResult(share >= 0.5, share, share, 0.1, 1.0, 1.0, 5.0)
        brought, _ = brought_to_brain(found, np.eye(4), brain, [transform])
        truth = np.sum((voxels.T - centre).T ** 2, axis=0) <= radius_mm**2
        drawn = (brought >= 0.5) & (brought <= 1)
        drawn_voxels += drawn.sum()
        assert 2 * (drawn & truth).sum() / (drawn.sum() + truth.sum()) > 0.85
    assert abs(drawn_voxels / len(centres) / (4 / 3 * np.pi * radius_mm**3) - 1) < lost


@pytest.mark.slow
@pytest.mark.skipif(not RAW.is_dir(), reason="the shared raw heads are not there")
@pytest.mark.parametrize("name", ["study1_T1W", "study1_FLAIR"])
def test_raw_heads_give_a_brain(priors, name, tmp_path) -> None:
    node = BrainExtraction(
        image=RAW / f"{name}.nii.gz",
        template_t1w=priors.t1w,
        template_mask=priors.brain_mask,
        seed=1,
    )
    found = node.run(cwd=tmp_path).outputs
    grid: Grid3D = load_grid(found.brain_mask)
    litres = grid.data.sum() * abs(np.linalg.det(grid.affine[:3, :3])) / 1e6
    assert 1.0 < litres < 1.6
