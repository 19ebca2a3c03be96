"""The tissue image: every voxel of the brain labelled once, sides from the priors."""

from __future__ import annotations

import dataclasses

import numpy as np

from wmhflow.core.tissue import labelling as tissue
from wmhflow.labels.digits import CORTEX, VENTRICLES, WHITE_MATTER, class_of

SHAPE = (20, 20, 20)


def scene():
    zero = np.zeros(SHAPE, np.float32)
    cortex, white, deep, csf = zero.copy(), zero + 1, zero.copy(), zero.copy()
    cortex[:, :4], white[:, :4] = 1, 0
    deep[8:12, 10:14, 8:12], white[8:12, 10:14, 8:12] = 1, 0
    infratentorial = np.zeros(SHAPE, bool)
    infratentorial[:, :, :3] = True
    sides = np.where(np.arange(20)[:, None, None] < 10, 1, 2) * np.ones(SHAPE, int)
    priors = tissue.WarpedPriors(
        csf, cortex, deep, white, infratentorial & False, infratentorial, sides.astype(np.uint8)
    )
    posteriors = np.stack([csf, cortex, white + deep]).astype(np.float32)
    return posteriors, priors, np.ones(SHAPE, bool), np.zeros(SHAPE, bool)


def test_labels_are_what_priors_and_posteriors_say() -> None:
    posteriors, priors, brain, lesions = scene()
    labels, _ = tissue.label_tissue(posteriors, priors, brain, lesions, (1, 1, 1))
    assert labels[2, 1, 10] == 13
    assert labels[17, 1, 10] == 23
    assert labels[9, 12, 10] == 14  # as bright as white matter, and still deep grey
    assert labels[15, 15, 10] == 25
    assert labels[15, 15, 1] == 27
    assert (labels > 0).all()


def test_mirroring_swaps_the_sides_and_nothing_else() -> None:
    posteriors, priors, brain, lesions = scene()
    posteriors[:, 3, 10:15, 10] = np.array([1, 0, 0])[:, None]
    labels, _ = tissue.label_tissue(posteriors, priors, brain, lesions, (1, 1, 1))
    flipped = tissue.WarpedPriors(*(v[::-1] for v in vars(priors).values()))
    flipped = tissue.WarpedPriors(**{**vars(flipped), "hemispheres": priors.hemispheres})
    mirror, _ = tissue.label_tissue(posteriors[:, ::-1], flipped, brain, lesions, (1, 1, 1))
    assert np.array_equal(class_of(mirror), class_of(labels)[::-1])
    assert np.array_equal(mirror // 10, labels[::-1] // 10 % 2 + 1)


def test_dark_holes_in_white_matter_and_lesions_are_white_matter() -> None:
    posteriors, priors, brain, lesions = scene()
    posteriors[:, 15, 15, 15] = [1, 0, 0]
    posteriors[:, 16, 15, 15] = [0, 1, 0]
    lesions[2, 2, 10] = True
    labels, _ = tissue.label_tissue(posteriors, priors, brain, lesions, (1, 1, 1))
    assert class_of(labels)[15, 15, 15] == WHITE_MATTER
    assert class_of(labels)[16, 15, 15] == WHITE_MATTER
    assert class_of(labels)[2, 2, 10] == WHITE_MATTER


def test_a_loose_piece_of_cortex_takes_the_tissue_around_it() -> None:
    posteriors, priors, brain, lesions = scene()
    # where the template may have either: the brightness decides
    priors.cortex[:, 4:] = priors.white[:, 4:] = 0.5
    priors.deep_grey[:] = 0
    posteriors[:, 14:16, 14:16, 14:16] = np.array([0, 1, 0])[:, None, None, None]
    posteriors[:, 5:7, 4:9, 14:16] = np.array([0, 1, 0])[:, None, None, None]
    posteriors[:, 2, 1, 8:10] = np.array([0, 0, 1])[:, None]
    lesions[3, 2, 14] = True
    posteriors[:, 3, 2, 14] = 0, 0, 1
    found = class_of(tissue.label_tissue(posteriors, priors, brain, lesions, (1, 1, 1))[0])
    assert (found[14:16, 14:16, 14:16] == WHITE_MATTER).all()
    assert (found[2, 1, 8:10] == CORTEX).all()
    assert (found[5:7, 4:9, 14:16] == CORTEX).all()  # hangs together with the rest
    assert found[3, 2, 14] == WHITE_MATTER  # a lesion stays what it is
    small = [part[..., 4:8] for part in (posteriors, *vars(priors).values(), brain, lesions)]
    labels, _ = tissue.label_tissue(
        small[0], tissue.WarpedPriors(*small[1:8]), small[8], small[9], (0.5, 0.5, 0.5)
    )
    assert (labels > 0).all()  # a brain without any large piece keeps all


def test_a_loose_piece_beside_a_ventricle_is_no_ventricle() -> None:
    posteriors, priors, brain, lesions = scene()
    region = np.zeros(SHAPE, bool)
    region[4:8, 8:16, 6:14] = True
    posteriors[:, region] = np.array([1, 0, 0])[:, None]
    # as a hippocampus cut loose
    posteriors[:, 8:11, 8:14, 6:12] = np.array([0, 1, 0])[:, None, None, None]
    priors.cortex[8:11, 8:14, 6:12], priors.white[8:11, 8:14, 6:12] = 0.8, 0.2
    priors.deep_grey[8:11] = 0
    priors = dataclasses.replace(priors, ventricles=region)
    labels, ventricles = tissue.label_tissue(posteriors, priors, brain, lesions, (1, 1, 1))
    assert ventricles.any()
    assert ((class_of(labels) == VENTRICLES) == ventricles).all()
    assert not (class_of(labels) == CORTEX)[8:11, 8:14, 6:12].any()
    infarct = np.zeros(SHAPE, bool)
    infarct[8:11, 8:14, 6:12] = True
    labels, _ = tissue.label_tissue(posteriors, priors, brain, lesions, (1, 1, 1), infarct)
    assert (class_of(labels)[infarct] == CORTEX).all()


def test_class_priors_sum_to_one_and_know_lesions() -> None:
    _, priors, brain, lesions = scene()
    brain[0] = False
    lesions[10, 1, 10] = True
    stack = tissue.class_priors(priors, brain, lesions)
    assert np.allclose(stack.sum(axis=0)[brain], 1)
    assert not stack[:, ~brain].any()
    assert stack[3, 10, 1, 10] == 1


def test_bright_outliers_are_clipped_and_tissue_is_not() -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(100, 5, SHAPE).astype(np.float32)
    image[3, 3, 3] = 900
    white, grey = np.ones(SHAPE, np.float32), np.zeros(SHAPE, np.float32)
    tamed = tissue.tame_outliers(image, white, grey, np.ones(SHAPE, bool))
    assert tamed.max() < 125
    assert np.mean(tamed == image) > 0.99
    white[:10], grey[:10], image[:10] = 0, 1, image[:10] + 40
    brighter_grey = tissue.tame_outliers(image, white, grey, np.ones(SHAPE, bool))
    assert np.mean(brighter_grey == image) > 0.99


def test_an_infarct_as_dark_as_csf_is_no_ventricle() -> None:
    posteriors, priors, brain, lesions = scene()
    region = np.zeros(SHAPE, bool)
    region[4:8, 8:14, 6:14] = True
    priors = dataclasses.replace(priors, ventricles=region)
    posteriors[:, region] = np.array([1, 0, 0])[:, None]
    infarct = np.zeros(SHAPE, bool)
    infarct[6:8, 8:14, 6:14] = True
    labels, ventricles = tissue.label_tissue(posteriors, priors, brain, lesions, (1, 1, 1), infarct)
    assert ventricles[4:6, 9:13, 7:13].all()
    assert not ventricles[infarct].any()
    assert not (labels[infarct] % 10 == VENTRICLES).any()


def test_the_wall_of_a_ventricle_is_no_cortex_unless_the_template_has_cortex_there() -> None:
    posteriors, priors, brain, lesions = scene()
    region = np.zeros(SHAPE, bool)
    region[4:8, 8:16, 6:14] = True
    posteriors[:, 4:8, 8:16, 6:14] = np.array([1, 0, 0])[:, None, None, None]
    # a rim as bright as cortex; on one side the template has cortex, as the hippocampus
    posteriors[:, 3, 4:16, 6:14] = posteriors[:, 8, 4:16, 6:14] = np.array([0, 1, 0])[:, None, None]
    priors.cortex[8, 4:16, 6:14], priors.white[8, 4:16, 6:14] = 0.8, 0.2
    priors.deep_grey[8] = 0
    priors = dataclasses.replace(priors, ventricles=region)
    labels, ventricles = tissue.label_tissue(posteriors, priors, brain, lesions, (1, 1, 1))
    found = class_of(labels)
    assert ventricles[5, 12, 10]
    assert (found[3, 8:16, 6:14] == WHITE_MATTER).all()
    assert (found[8, 8:16, 6:14] == CORTEX).all()
