"""WMH: planted ones are found, bright cortex, septum and specks are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from tests.core.wmh.test_evidence import passing
from wmhflow.core.arrays.components import keep_large
from wmhflow.core.arrays.masks import deeper, within
from wmhflow.core.arrays.validation import UnfitImageError
from wmhflow.core.wmh import segmentation as wmh
from wmhflow.core.wmh.brightness import cortex_nearby, white_matter_field
from wmhflow.core.wmh.edges import sure_somewhere
from wmhflow.core.wmh.model import LesionModel
from wmhflow.core.wmh.network import Network
from wmhflow.files.network import wmh_network

SHAPE = (60, 60, 40)


def priors_of(labels: np.ndarray) -> wmh.TissuePriors:
    """Priors as sure as a perfect template would make them."""
    kind = labels % 10
    x = np.abs(np.arange(SHAPE[0]) - (SHAPE[0] - 1) / 2)[:, None, None]
    return wmh.TissuePriors(
        csf=(kind == 2).astype(np.float32),
        cortex=(kind == 3).astype(np.float32),
        deep_grey=np.zeros(SHAPE, np.float32),
        white=(kind == 5).astype(np.float32),
        ventricles=ndimage.binary_dilation(kind == 2, iterations=4),
        midline_mm=np.broadcast_to(x, SHAPE).astype(np.float32),
    )


def segment(
    flair: np.ndarray,
    labels: np.ndarray,
    t1w: np.ndarray | None = None,
    network: Network | None = None,
) -> wmh.WMHResult:
    brain = labels > 0
    return wmh.segment_wmh(flair, t1w, priors_of(labels), brain, (1, 1, 1), network=network)


def person(seed: int = 0, lesion: float = 150):
    """White matter with a ventricle, inside a ribbon of brighter cortex, under a bias field."""
    labels = np.full(SHAPE, 13, np.uint8)
    labels[5:-5, 5:-5, 5:-5] = 15
    labels[22:38, 25:45, 15:28] = 12
    labels[29:31, 25:45, 15:28] = 15
    labels[30:] += 10
    flair = np.select([labels % 10 == 3, labels % 10 == 2], [112.0, 20.0], 100.0)
    flair += np.random.default_rng(seed).normal(0, 3, SHAPE)
    truth = np.zeros(SHAPE, bool)
    truth[12:18, 20:30, 15:25] = True
    truth[42:50, 40:44, 18:22] = True
    flair[truth] = lesion
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, n) for n in SHAPE), indexing="ij")
    return (flair * np.exp(0.2 * x - 0.1 * y**2)).astype(np.float32), labels, truth


def test_planted_lesions_are_found_and_nothing_else() -> None:
    flair, labels, truth = person()
    found = segment(flair, labels)
    dice = 2 * (found.mask & truth).sum() / (found.mask.sum() + truth.sum())
    assert dice > 0.95
    assert not found.mask[~np.isin(labels % 10, [5])].any()


def test_mask_is_the_probability_above_the_threshold_and_scale_does_not_matter() -> None:
    flair, labels, _ = person()
    found = segment(flair, labels)
    assert np.array_equal(found.mask, found.probability >= LesionModel().threshold)
    again = segment(flair * 37, labels)
    assert np.array_equal(found.mask, again.mask)


def test_the_network_decides_what_is_a_lesion() -> None:
    flair, labels, truth = person()
    alone = segment(flair, labels)
    agreed = segment(flair, labels, network=passing("probability", 20))
    assert 2 * (agreed.mask & alone.mask).sum() / (agreed.mask.sum() + alone.mask.sum()) > 0.98
    assert not segment(flair, labels, network=passing("csf", 20)).mask[truth].any()


def test_the_network_that_ships_finds_planted_lesions_on_both_sides() -> None:
    flair, labels, truth = person()
    found = segment(flair, labels, network=wmh_network())
    assert 2 * (found.mask & truth).sum() / (found.mask.sum() + truth.sum()) > 0.9
    swapped = np.where(labels // 10 == 1, labels + 10, labels - 10)[::-1].astype(np.uint8)
    mirror = segment(flair[::-1].copy(), swapped, network=wmh_network()).mask
    assert 2 * (found.mask & mirror[::-1]).sum() / (found.mask.sum() + mirror.sum()) > 0.95


@pytest.mark.parametrize("grown_mm", [5, 7, 9])
def test_a_rim_is_found_beside_a_ventricle_far_wider_than_the_priors_have_it(grown_mm: int) -> None:
    """Its fluid in white matter is no infarct, whose rim would be none."""
    flair, labels, _ = person(lesion=100)
    white, ventricle = labels % 10 == 5, labels % 10 == 2
    fluid = ventricle | (white & within(ventricle, grown_mm, (1, 1, 1)))
    rim = within(fluid, 3, (1, 1, 1)) & ~fluid & white
    rim[:, :30] = False
    flair[fluid], flair[rim] = 20, 160
    found = segment(flair, labels, network=wmh_network()).mask
    assert 2 * (found & rim).sum() / (found.sum() + rim.sum()) > 0.9
    assert not (found & fluid).any()


def test_priors_change_only_where_a_wide_place_lies_in_the_ventricles_and_beyond() -> None:
    _, labels, _ = person()
    priors, white = priors_of(labels), labels % 10 == 5
    ventricle = labels % 10 == 2
    lacune = np.zeros(SHAPE, bool)
    lacune[9:20, 10:20, 8:20] = True
    for fluid in (ventricle, ventricle | lacune, ventricle & False):
        assert wmh.with_wide_ventricles(priors, fluid, (1, 1, 1)) is priors
    wide = ventricle | (white & within(ventricle, 8, (1, 1, 1)))
    found = wmh.with_wide_ventricles(priors, wide, (1, 1, 1))
    inner = deeper(wide, 3, (1, 1, 1))
    assert (found.csf[inner] > 0.99).all()
    assert (found.white[inner] < 0.01).all()
    assert found.ventricles[wide].all()
    far = ~within(wide, 8, (1, 1, 1))
    for name in ("csf", "white", "cortex", "deep_grey", "ventricles"):
        assert np.array_equal(getattr(found, name)[far], getattr(priors, name)[far])


def test_a_mask_that_holds_the_cortex_is_refused() -> None:
    flair, labels, _ = person()
    everywhere = passing("brightness", 1.0)
    everywhere.offsets[-1][:] = 9
    with pytest.raises(
        UnfitImageError, match="of where the template has cortex came out as lesion"
    ):
        segment(
            np.where(labels % 10 == 3, 160, flair).astype(np.float32), labels, network=everywhere
        )


def test_mirrored_person_has_mirrored_lesions() -> None:
    flair, labels, _ = person()
    swapped = np.where(labels // 10 == 1, labels + 10, labels - 10)[::-1].astype(np.uint8)
    found = segment(flair, labels).mask
    mirror = segment(flair[::-1].copy(), swapped).mask
    assert 2 * (found & mirror[::-1]).sum() / (found.sum() + mirror.sum()) > 0.99


def test_septum_and_single_voxels_are_no_lesions() -> None:
    flair, labels, truth = person()
    flair[29:31, 25:45, 15:28] = 160
    flair[10, 50, 30] = 250
    found = segment(flair, labels)
    assert not found.mask[29:31, 27:43, 15:28].any()
    assert (found.mask & ~truth).sum() < 0.03 * truth.sum()


def test_lesions_have_no_holes() -> None:
    flair, labels, _ = person()
    flair[14, 25, 20] = 60
    found = segment(flair, labels)
    assert found.mask[14, 25, 20]


def test_a_filled_hole_is_whole_lesion_and_what_is_excluded_none() -> None:
    flair, labels, _ = person()
    flair[14:16, 24:26, 19:21] = 60
    flair[29:31, 25:45, 15:28] = 160
    flair[24:36, 28:40, 28:35] = 150
    found = segment(flair, labels)
    assert (found.share[14:16, 24:26, 19:21] == 1).all()
    # no half share in the septum beside the lesion above it, which would draw the edge into it
    assert found.mask[[26, 27, 32, 33], 30:38, 29].all()
    assert not found.share[29:31, 30:38, 15:31].any()


@pytest.mark.parametrize("sizes", [(1.0, 1.0, 1.0), (0.99999994, 1.0, 1.0)])
def test_sizes_of_an_oblique_grid_decide_nothing(sizes) -> None:
    lesion = np.zeros((9, 9, 9), bool)
    lesion[2:7, 4, 4] = True
    assert keep_large(lesion, 5.0, sizes).any()
    cube = np.zeros((9, 9, 9), bool)
    cube[2:7, 2:7, 2:7] = True
    assert deeper(cube, min(sizes), sizes).sum() == 27
    assert within(lesion, min(sizes), sizes).sum() == 5 + 2 + 4 * 5


def test_what_is_cut_off_a_sure_lesion_is_sure_itself_or_gone() -> None:
    probability = np.zeros((16, 5, 5), np.float32)
    probability[1:5, 1:4, 1:4], probability[5:7, 2, 2] = 0.95, 0.45
    probability[7:12, 1:4, 1:4] = 0.7
    kept = sure_somewhere(probability > 0.5, probability, 0.8)
    assert kept[1:5, 1:4, 1:4].all()
    assert not kept[7:].any()


def test_no_lesions_gives_an_empty_mask() -> None:
    flair, labels, _ = person(lesion=100)
    assert segment(flair, labels).mask.sum() < 30


def test_the_field_of_normal_white_matter_ignores_lesions() -> None:
    x = np.linspace(-1, 1, 40)[:, None, None] * np.ones((40, 40, 40))
    truth = 100 * np.exp(0.3 * x)
    image = truth.copy()
    image[5:15, 5:20, 5:20] *= 1.6
    field = white_matter_field(image.astype(np.float32), np.ones(image.shape, bool))
    assert np.abs(field / truth - 1).max() < 0.01


@pytest.mark.slow
def test_volume_in_thick_slices_does_not_depend_on_how_bright_a_lesion_is() -> None:
    _, labels, _ = person()
    cover = np.zeros(SHAPE, np.float32)
    cover[10:20, 18:36, 11:27] = 1  # four fifths of its first slice, two fifths of its last
    cover = cover.reshape(60, 60, 8, 5).mean(axis=3).repeat(5, axis=2)
    volumes = []
    for brightness in (30, 60, 120):
        flair = np.select([labels % 10 == 3, labels % 10 == 2], [112, 20], 100)
        flair = flair + np.random.default_rng(1).normal(0, 2, SHAPE) + brightness * cover
        found = segment(flair.astype(np.float32), labels)
        volumes.append(found.mask.sum())
    assert max(volumes) < 1.1 * min(volumes)
    assert volumes == pytest.approx([10 * 18 * 16] * 3, rel=0.1)


@pytest.mark.parametrize(("halo", "drawn"), [(106, False), (114, False), (135, True)])
def test_around_a_core_only_what_is_brighter_than_cortex_is_drawn(halo, drawn) -> None:
    _, labels, _ = person()
    flair = np.select([labels % 10 == 3, labels % 10 == 2], [112.0, 20.0], 100.0)
    flair += np.random.default_rng(2).normal(0, 3, SHAPE)
    core, around = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    around[9:20, 20:34, 13:26] = True
    core[12:17, 23:31, 16:23] = True
    flair[around] += halo - 100
    flair[core] += 135 - halo
    found = segment(flair.astype(np.float32), labels).mask
    assert found[ndimage.binary_erosion(core)].all()
    assert found[around & ~core].mean() == pytest.approx(float(drawn), abs=0.1)


def test_a_flair_without_white_matter_is_an_error() -> None:
    labels = np.full(SHAPE, 15, np.uint8)
    with pytest.raises(ValueError, match="white matter"):
        segment(np.zeros(SHAPE, np.float32), labels)


def test_choroid_plexus_is_no_lesion_and_t1w_tells_it() -> None:
    flair, labels, truth = person()
    plexus = np.zeros(SHAPE, bool)
    plexus[24:27, 30:38, 18:24] = True
    flair[plexus] = 150
    t1w = np.select([labels % 10 == 3, (labels % 10 == 2) & ~plexus], [70.0, 30.0], 100.0)
    t1w = t1w + np.random.default_rng(3).normal(0, 3, SHAPE)
    t1w[truth] = 75
    for image in (None, t1w.astype(np.float32)):
        found = segment(flair, labels, image)
        assert not (found.mask & plexus).any()
        assert 2 * (found.mask & truth).sum() / (found.mask.sum() + truth.sum()) > 0.95


def test_near_the_cortex_a_lesion_must_be_brighter_than_in_deep_white_matter() -> None:
    flair, labels, _ = person(lesion=100)
    sides = {"deep": np.s_[14:18, 28:32, 18:22], "edge": np.s_[14:18, 5:7, 18:22]}
    level = 111.0  # as bright as the cortex
    for place in sides.values():
        flair[place] = level
    found = segment(flair, labels)
    assert found.mask[sides["deep"]].mean() > 0.5
    assert found.mask[sides["edge"]].mean() < found.mask[sides["deep"]].mean()


def test_an_empty_brain_is_an_error() -> None:
    labels = np.zeros(SHAPE, np.uint8)
    with pytest.raises(ValueError, match="brain mask"):
        segment(np.ones(SHAPE, np.float32), labels)


def test_cortex_that_is_bright_in_one_place_is_no_lesion_there(monkeypatch) -> None:
    flair, labels, truth = person()
    gyri = np.zeros(SHAPE, bool)
    gyri[:, :12] = True
    gyri &= labels % 10 == 3
    bright = np.where(gyri, flair * 1.1, flair).astype(np.float32)
    # there the template is not sure of cortex, as where the warp is wrong
    priors = priors_of(labels)
    priors.white[gyri], priors.cortex[gyri] = 0.35, 0.65
    found = wmh.segment_wmh(bright, None, priors, labels > 0, (1, 1, 1)).mask & ~truth
    monkeypatch.setattr(wmh, "cortex_nearby", lambda z, median, *_: np.full(z.shape, median))
    without = wmh.segment_wmh(bright, None, priors, labels > 0, (1, 1, 1)).mask & ~truth
    assert without.sum() > 1000
    assert found.sum() < 0.2 * without.sum()


def test_brightness_of_cortex_follows_the_place_and_ends_at_the_median() -> None:
    z = np.full((60, 20, 20), 2.0, np.float32)
    z[:20] = 5.0
    cortex = np.ones(z.shape, np.float32)
    inside = np.ones(z.shape, bool)
    near = cortex_nearby(z, 2.0, cortex, inside, (1, 1, 1), 4.0)
    assert near[2, 10, 10] - near[57, 10, 10] == pytest.approx(3.0, abs=0.2)
    none = cortex_nearby(z, 2.0, np.zeros_like(cortex), inside, (1, 1, 1), 4.0)
    assert (none == 2.0).all()


def test_what_is_bright_at_the_surface_is_no_lesion() -> None:
    brain = np.zeros(SHAPE, bool)
    brain[5:-5, 5:-5, 5:-5] = True
    white = np.zeros(SHAPE, np.float32)
    white[30:] = 0.5
    rim = wmh.surface(white, brain, (1, 1, 1))
    assert rim[5:8, 20, 20].all()
    assert not rim[8:-5, 20, 20].any()
    assert not rim[-8:, 20, 20].any()


def test_the_share_agrees_with_the_mask_and_refines_it() -> None:
    flair, labels, _ = person()
    found = segment(flair, labels)
    np.testing.assert_array_equal(found.share >= 0.5, found.mask)
    assert found.mask.any()
    assert (found.share[~ndimage.binary_dilation(found.mask, np.ones((3, 3, 3)))] == 0).all()


def test_an_island_of_ventricle_inside_a_lesion_stays_ventricle() -> None:
    flair, labels, truth = person()
    fluid = np.zeros(SHAPE, bool)
    fluid[13:17, 23:27, 18:22] = True
    assert truth[fluid].all()
    labels[fluid] = labels[fluid] - labels[fluid] % 10 + 2
    found = segment(np.where(fluid, 20, flair).astype(np.float32), labels)
    assert found.mask[truth & ~ndimage.binary_dilation(fluid, iterations=3)].any()
    assert not found.mask[fluid].any()


def test_the_surface_is_seen_where_the_brain_ends_and_where_the_image_does() -> None:
    flair, labels, _ = person()
    flair[20:30, 20:40, :2] = 250
    assert not segment(flair, labels).mask[:, :, :3].any()


def test_a_mask_drawn_between_voxels_keeps_its_volume() -> None:
    flair, labels, _ = person()
    # a scanner's edges are no steps; of these, half of a voxel could fall on either side
    flair = ndimage.gaussian_filter(flair, 0.5) + np.random.default_rng(5).normal(0, 3, SHAPE)
    found = segment(flair.astype(np.float32), labels)
    # but for the corners of the boxes that the lesions are here
    for shift in (0.1, 0.25, 0.5):
        drawn = ndimage.shift(found.share, (shift, shift, shift), order=1) >= 0.5
        assert drawn.sum() == pytest.approx(found.mask.sum(), rel=0.1)


def test_nan_outside_the_brain_changes_nothing_and_z_scores_are_refused() -> None:
    flair, labels, _ = person()
    labels[:2] = 0
    expected = segment(flair, labels).mask
    broken = flair.copy()
    broken[0, 0, 0] = np.nan
    assert np.array_equal(segment(broken, labels).mask, expected)
    scores = (flair - flair.mean()) / flair.std()
    with pytest.raises(ValueError, match="no signal"):
        segment(scores, labels)
    # of a whole head with its air, so that fluid alone is below 0
    labels[5:-5, 5:-5, 5:9], flair[5:-5, 5:-5, 5:9] = 12, 20
    with pytest.raises(ValueError, match="no signal"):
        segment((flair - 60) / 30, labels)


FRONT, BACK, LOW, HIGH = slice(5, 25), slice(35, 55), slice(5, 20), slice(20, 35)


@pytest.mark.parametrize("with_t1w", [False, True])
@pytest.mark.parametrize(
    "where",
    [
        (slice(5, 22), BACK, slice(5, 35)),
        pytest.param((slice(38, 55), BACK, slice(5, 35)), marks=pytest.mark.slow),
        pytest.param((slice(5, 22), FRONT, slice(5, 35)), marks=pytest.mark.slow),
        pytest.param((slice(38, 55), slice(5, 55), HIGH), marks=pytest.mark.slow),
        (slice(5, 55), BACK, LOW),
    ],
)
def test_fluid_where_the_template_has_white_matter_makes_no_lesion_beside_it(
    where: tuple[slice, slice, slice], with_t1w: bool
) -> None:
    flair, labels, truth = person()
    fluid = np.zeros(SHAPE, bool)
    fluid[where] = True
    fluid &= (labels % 10 == 5) & ~ndimage.binary_dilation(truth, iterations=4)
    assert fluid.sum() > 2000
    wide = np.where(fluid, 0.25 * flair, flair).astype(np.float32)
    t1w = np.where(labels % 10 == 2, 30.0, np.where(labels % 10 == 3, 70.0, 100.0))
    t1w = np.where(fluid, 30.0, t1w) + np.random.default_rng(2).normal(0, 2, SHAPE)
    found = segment(wide, labels, t1w.astype(np.float32) if with_t1w else None)
    false = found.mask & ~ndimage.binary_dilation(truth, iterations=2)
    assert false.sum() < 0.05 * truth.sum()
    assert (found.mask & truth).sum() > 0.85 * truth.sum()
