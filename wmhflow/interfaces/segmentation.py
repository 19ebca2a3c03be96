"""Template priors, brain extraction, tissue classes, ventricles and WMH as nipype interfaces."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel as nib
import numpy as np
from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)
from scipy import ndimage

from wmhflow.core import brain as brain_core
from wmhflow.core import templates, tissue, wmh
from wmhflow.core.affine import align_template
from wmhflow.core.grids import Grid3D, box_around, box_of, cropped, robust_range, uncropped
from wmhflow.core.lesion_edges import LEAST_LESION_MM3, agreeing, keep_large
from wmhflow.core.lesion_model import LesionModel
from wmhflow.core.masks import refine_brain_mask, within
from wmhflow.core.sanity import flattest_share
from wmhflow.errors import InputError, MissingProgramError
from wmhflow.interfaces.anatomy import PRIORS_MARGIN_MM, template_x
from wmhflow.interfaces.itk import (
    ants_image,
    average_through,
    correct_bias,
    load_grid,
    save_like,
    single_threaded_ants,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

TEMPLATE_FILE = "mni_icbm152_{}_tal_nlin_sym_09a_converted.nii.gz"
MASK_PRIORS = ("brain_mask", "ventricles", "infratentorial")
# Scalp, eyes and neck lie further than this from the brain; dura and partial volume do not.
FAR_MM = 8.0
STRIPPED_SHARE = 0.03
# The affine leaves the gyri of some people just outside of the template's brain.
MARGIN_MM = 2.0
# Another image's brain is believed if it leaves at least this share of what was found without it.
LEAST_SHARED = 0.9
# ... and if its largest flat face is not larger by more than this share of the surface.
MOST_FLATTER = 0.02
T1W_PRIOR_WEIGHT = 0.25
FLAIR_PRIOR_WEIGHT = 0.5


# --- the template -------------------------------------------------------------------------------


def template_path(kind: str) -> Path:
    """Find an image of the symmetric ICBM152 template in nilearn's package.

    Parameters
    ----------
    kind
        ``t1``, ``gm`` or ``wm``.

    Returns
    -------
    Path
        The image.

    Raises
    ------
    MissingProgramError
        If nilearn, or the file in it, is not there.
    """
    spec = importlib.util.find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise MissingProgramError("nilearn is not installed; the template lies in its package.")
    path = Path(spec.origin).parent / "datasets" / "data" / TEMPLATE_FILE.format(kind)
    if not path.is_file():
        raise MissingProgramError(f"{path} is not in nilearn's package; install nilearn 0.14.")
    return path


def write_template_priors(out_dir: Path, resolution: int) -> dict[str, str]:
    """Write the template and every prior drawn on it.

    Parameters
    ----------
    out_dir
        Folder to write into.
    resolution
        Voxel size in mm, 1 or 2.

    Returns
    -------
    dict
        Paths by name: ``t1w`` and the fields of ``TemplatePriors``.
    """
    image: Any = nib.load(template_path("t1"))
    arrays = [np.asanyarray(nib.load(template_path(k)).dataobj) for k in ("t1", "gm", "wm")]
    priors = dataclasses.asdict(templates.make_priors(*arrays, image.affine))
    affine = image.affine @ np.diag([resolution, resolution, resolution, 1.0])
    written = {}
    for name, values in {"t1w": arrays[0].astype(np.float32), **priors}.items():
        coarse = templates.coarsen(values.astype(np.float32), resolution)
        coarse, dtype = (coarse > 0.5, np.uint8) if name in MASK_PRIORS else (coarse, np.float32)
        saved = nib.Nifti1Image(coarse.astype(dtype), affine)
        saved.set_sform(affine, code="mni")
        saved.set_qform(affine, code="mni")
        saved.header.set_xyzt_units("mm")
        nib.save(saved, out_dir / f"{name}.nii.gz")
        written[name] = str((out_dir / f"{name}.nii.gz").absolute())
    return written


class _PriorsInput(BaseInterfaceInputSpec):
    resolution = traits.Enum(1, 2, usedefault=True, desc="voxel size in mm")


class _PriorsOutput(TraitedSpec):
    t1w = File(exists=True, desc="skull-stripped template")
    brain_mask = File(exists=True, desc="its brain")
    csf = File(exists=True, desc="probability of CSF")
    cortex = File(exists=True, desc="probability of cortical grey matter")
    deep_grey = File(exists=True, desc="probability of basal ganglia and thalamus")
    white = File(exists=True, desc="probability of white matter")
    ventricles = File(exists=True, desc="generous region of the lateral ventricles")
    infratentorial = File(exists=True, desc="cerebellum and brain stem")


class TemplatePriors(SimpleInterface):
    """Write the packaged template and the priors drawn on it into the working folder."""

    input_spec = _PriorsInput
    output_spec = _PriorsOutput

    def _run_interface(self, runtime: Any) -> Any:
        self._results.update(write_template_priors(Path(runtime.cwd), self.inputs.resolution))
        return runtime


# --- brain --------------------------------------------------------------------------------------


def extract_brain(
    head: Grid3D,
    template: Grid3D,
    template_mask: NDArray[np.bool_],
    seed: int,
    other: NDArray[np.bool_] | None = None,
    other_voxel_mm: float | None = None,
) -> NDArray[np.bool_]:
    """Find the brain in a whole head or in a skull-stripped image.

    Programs that take the skull off leave scraps of it, each image its own: eyes and bone in a T1w
    with contrast agent, where the FLAIR ends at the brain. Left in, they pull the warp to the
    template. So two images without skulls have as brain what they share.

    Parameters
    ----------
    head
        T1w or FLAIR.
    template
        Skull-stripped template.
    template_mask
        Its brain.
    seed
        Seed of everything random.
    other
        Brain of a skull-stripped image of the same person, on the head's grid; true where that
        image does not reach.
    other_voxel_mm
        Longest edge of that image's voxels; the head's if None.

    Returns
    -------
    ndarray
        Brain mask.
    """
    mask = _brain_of(head, template, template_mask, seed)
    if other is None or not brain_core.stands_free(head.data, head.voxel_mm3):
        return mask
    body, sizes = brain_core.filled_foreground(head.data), head.voxel_sizes_mm
    shared = body & other
    if np.count_nonzero(shared & mask) < LEAST_SHARED * np.count_nonzero(mask):
        return mask
    # an image that ends in the brain leaves a plane there, further in than slices are flat anyway
    nearly = body & within(other, (other_voxel_mm or max(sizes)) / 2, sizes)
    flatter = flattest_share(nearly, sizes) - flattest_share(mask, sizes)
    return mask if flatter > MOST_FLATTER else shared


def _brain_of(
    head: Grid3D, template: Grid3D, template_mask: NDArray[np.bool_], seed: int
) -> NDArray[np.bool_]:
    """Find the brain in one image."""
    if brain_core.looks_skull_stripped(head.data, head.voxel_mm3):
        return brain_core.filled_foreground(head.data)
    rough = lay_template_mask(head, template, template_mask, seed)
    body = brain_core.filled_foreground(head.data)
    far = body & ~within(rough, FAR_MM, head.voxel_sizes_mm)
    stripped = bool(body.any()) and far.sum() < STRIPPED_SHARE * body.sum()
    corrected = correct_bias(head, rough, seed) if rough.any() else head.data
    refined = refine_brain_mask(corrected, rough, head.voxel_sizes_mm)
    return refined & body if stripped else refined


def lay_template_mask(
    head: Grid3D, template: Grid3D, template_mask: NDArray[np.bool_], seed: int
) -> NDArray[np.bool_]:
    """Lay the template's brain mask over a head, a little too large.

    Parameters
    ----------
    head
        T1w or FLAIR.
    template
        Skull-stripped template.
    template_mask
        Its brain.
    seed
        Seed of the points that are compared.

    Returns
    -------
    ndarray
        Mask on the head's grid.
    """
    scaled = [Grid3D(robust_range(grid.data), grid.affine) for grid in (template, head)]
    matrix, _ = align_template(scaled[0], template_mask, scaled[1], seed)
    to_template = np.linalg.inv(matrix @ template.affine) @ head.affine
    laid = ndimage.affine_transform(
        template_mask.astype(np.float32),
        to_template[:3, :3],
        to_template[:3, 3],
        head.data.shape,
        order=1,
    )
    return within(laid > 0.5, MARGIN_MM, head.voxel_sizes_mm)


class _BrainInput(BaseInterfaceInputSpec):
    image = File(exists=True, mandatory=True, desc="T1w or FLAIR, whole head or skull-stripped")
    template_t1w = File(exists=True, mandatory=True, desc="skull-stripped template")
    template_mask = File(exists=True, mandatory=True, desc="its brain")
    other = File(exists=True, desc="another image of the person, in its own space")
    other_transform = File(exists=True, desc="image points to points of the other image")
    seed = traits.Int(42, usedefault=True, desc="seed of everything random")


class _BrainOutput(TraitedSpec):
    brain_mask = File(exists=True, desc="brain on the image's grid")


class BrainExtraction(SimpleInterface):
    """Find the brain."""

    input_spec = _BrainInput
    output_spec = _BrainOutput

    def _run_interface(self, runtime: Any) -> Any:
        head = load_grid(self.inputs.image)
        other = load_grid(self.inputs.other) if self.inputs.other else None
        mask = extract_brain(
            head,
            load_grid(self.inputs.template_t1w),
            load_grid(self.inputs.template_mask).data > 0,
            self.inputs.seed,
            self._brain_of_other(head, other) if other is not None else None,
            max(other.voxel_sizes_mm) if other is not None else None,
        )
        out = Path(runtime.cwd) / "brain_mask.nii.gz"
        self._results["brain_mask"] = save_like(mask, self.inputs.image, out, np.uint8)
        return runtime

    def _brain_of_other(self, head: Grid3D, other: Grid3D) -> NDArray[np.bool_] | None:
        """Bring the brain of the other image, if it is skull-stripped, to the head's grid."""
        if not brain_core.looks_skull_stripped(other.data, other.voxel_mm3):
            return None
        transforms = [self.inputs.other_transform]
        inside = brain_core.filled_foreground(other.data)
        body, reached = (
            average_through(Grid3D(values.astype(np.float32), other.affine), head, transforms) > 0.5
            for values in (inside, np.ones_like(inside))
        )
        return body | ~reached


# --- tissue -------------------------------------------------------------------------------------


def classify(
    image: Grid3D,
    brain: NDArray[np.bool_],
    class_priors: NDArray[np.float32],
    counted: NDArray[np.bool_],
    seed: int,
    prior_weight: float = T1W_PRIOR_WEIGHT,
) -> NDArray[np.float32]:
    """Classify the brain with Atropos, started from and held by the priors.

    Parameters
    ----------
    image
        Bias-corrected image of any contrast.
    brain
        Brain mask.
    class_priors
        Prior of each class, (n, x, y, z).
    counted
        Voxels of the brain that the intensity model is fitted to; the others keep their prior.
    seed
        Seed of everything random in ANTs.
    prior_weight
        Weight of the priors against intensity.

    Returns
    -------
    ndarray, (n, x, y, z)
        Posterior of each class.

    Raises
    ------
    InputError
        If there is nothing to classify.

    References
    ----------
    Avants BB et al. An open source multivariate framework for n-tissue segmentation with
    evaluation on public data. Neuroinformatics 2011. doi:10.1007/s12021-011-9109-y
    """
    ants = single_threaded_ants(seed)
    fitted = brain & counted
    if not fitted.any():
        raise InputError("the brain mask is empty, or all of it is lesion; look at the mask.")
    box = box_of(fitted)
    # Atropos needs neither orientation nor origin, and priors pass through files: leave them out.
    plain = np.diag([*image.voxel_sizes_mm, 1.0])
    images = [
        ants_image(Grid3D(values[box], plain), seed)
        for values in (robust_range(image.data), fitted, *class_priors)
    ]
    with temporary_files_in_scratch():
        result = ants.atropos(
            a=images[0],
            x=images[1],
            i=images[2:],
            m="[0.1,1x1x1]",
            c="[5,0]",
            priorweight=prior_weight,
            **{"use-random-seed": 0},
        )
    posteriors = class_priors.copy()
    for index, probability in enumerate(result["probabilityimages"]):
        inner = posteriors[index][box]
        inner[fitted[box]] = probability.numpy()[fitted[box]]
    return posteriors


@contextlib.contextmanager
def temporary_files_in_scratch() -> Iterator[None]:
    """Give what makes temporary files and leaves them there (Atropos) a folder that goes away."""
    before = tempfile.tempdir
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        try:
            yield
        finally:
            tempfile.tempdir = before


def segment_tissue(
    image: Grid3D,
    brain: NDArray[np.bool_],
    priors: tissue.WarpedPriors,
    lesions: NDArray[np.bool_],
    seed: int,
    infarcts: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float32]]:
    """Correct the bias, classify, and label.

    Parameters
    ----------
    image
        T1w, or FLAIR if there is no T1w.
    brain
        Brain mask.
    priors
        The template's priors on the image's grid.
    lesions
        Lesions; empty if unknown.
    seed
        Seed of everything random in ANTs.
    infarcts
        Where nothing is learnt from brightness, and the priors alone say what tissue there was.

    Returns
    -------
    tuple of ndarray
        Tissue labels, ventricles, bias-corrected image.
    """
    grey = priors.cortex + priors.deep_grey
    tamed = tissue.tame_outliers(image.data, priors.white, grey, brain)
    gone = np.zeros(brain.shape, bool) if infarcts is None else infarcts & ~lesions
    unusual = lesions | gone | (tamed < image.data)
    corrected = correct_bias(image, brain, seed, weight=~unusual)
    sizes = image.voxel_sizes_mm
    stack = tissue.class_priors(priors, brain, lesions)
    tamed = tissue.tame_outliers(corrected, priors.white, grey, brain)
    # On FLAIR the edge between cortex and CSF is as bright as white matter: trust the priors more.
    inverted = tissue.grey_is_brighter(corrected, priors.white, grey, brain)
    weight = FLAIR_PRIOR_WEIGHT if inverted else T1W_PRIOR_WEIGHT
    posteriors = classify(
        Grid3D(tamed, image.affine), brain, stack, ~(lesions | gone), seed, weight
    )
    labels, ventricles = tissue.label_tissue(posteriors, priors, brain, lesions, sizes, gone)
    return labels, ventricles, corrected


class _TissueInput(BaseInterfaceInputSpec):
    image = File(exists=True, mandatory=True, desc="T1w, or FLAIR if there is none")
    brain_mask = File(exists=True, mandatory=True, desc="brain")
    csf = File(exists=True, mandatory=True, desc="warped prior")
    cortex = File(exists=True, mandatory=True, desc="warped prior")
    deep_grey = File(exists=True, mandatory=True, desc="warped prior")
    white = File(exists=True, mandatory=True, desc="warped prior")
    ventricles = File(exists=True, mandatory=True, desc="warped region of the ventricles")
    infratentorial = File(exists=True, mandatory=True, desc="warped mask")
    hemispheres = File(exists=True, mandatory=True, desc="a side for every voxel")
    lesion_mask = File(exists=True, desc="lesions, on the image's grid")
    infarct_mask = File(exists=True, desc="infarcts, on the image's grid")
    seed = traits.Int(42, usedefault=True, desc="seed of everything random")


class _TissueOutput(TraitedSpec):
    tissue = File(exists=True, desc="labels, 10 + k left and 20 + k right")
    ventricles = File(exists=True, desc="lateral ventricles")
    bias_corrected = File(exists=True, desc="the image without its bias field")


class TissueSegmentation(SimpleInterface):
    """Label the tissues of the brain and find the lateral ventricles."""

    input_spec = _TissueInput
    output_spec = _TissueOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs, out = self.inputs, Path(runtime.cwd)
        image = load_grid(inputs.image)
        labels, ventricles, corrected = segment_tissue(
            image,
            _load_on_grid(inputs.brain_mask, image) > 0,
            _load_priors(inputs, image),
            _load_on_grid(inputs.lesion_mask, image) > 0,
            inputs.seed,
            _load_on_grid(inputs.infarct_mask, image) > 0,
        )
        for name, data, dtype in (
            ("tissue", labels, np.uint8),
            ("ventricles", ventricles, np.uint8),
            ("bias_corrected", corrected, np.float32),
        ):
            self._results[name] = save_like(data, inputs.image, out / f"{name}.nii.gz", dtype)
        return runtime


def _load_priors(inputs: Any, image: Grid3D) -> tissue.WarpedPriors:
    loaded = {
        field.name: _load_on_grid(getattr(inputs, field.name), image)
        for field in dataclasses.fields(tissue.WarpedPriors)
    }
    for name in ("ventricles", "infratentorial"):
        loaded[name] = loaded[name] > 0.5
    loaded["hemispheres"] = np.rint(loaded["hemispheres"]).astype(np.uint8)
    return tissue.WarpedPriors(**loaded)


def _load_on_grid(path: Any, image: Grid3D) -> NDArray[np.float32]:
    """Load an image that must lie on a grid; nothing given is an image of zeros."""
    if not path:
        return np.zeros(image.data.shape, np.float32)
    data = load_grid(path).data
    if data.shape != image.data.shape:
        raise InputError(f"{path} is not on the grid of its image; resample it first.")
    return data


# --- WMH ----------------------------------------------------------------------------------------


def wmh_priors(
    flair: Grid3D, paths: dict[str, str], transforms: list[str], invert: list[bool]
) -> wmh.TissuePriors:
    """Bring the template's priors to the FLAIR's own grid, once.

    Parameters
    ----------
    flair
        FLAIR in its own space.
    paths
        Template images by the names of ``wmh.TissuePriors``; ``midline_mm`` is not needed.
    transforms
        From points of the FLAIR to points of the template, the first applied first.
    invert
        For each transform, whether its inverse is meant.

    Returns
    -------
    TissuePriors
        On the FLAIR's grid.
    """
    grids = {name: load_grid(path) for name, path in paths.items()}
    white = grids["white"]
    # nothing of the template lies where this stays 0: far from the midline, so no septum
    offset = 1000.0
    x = template_x(white.data.shape, white.affine) + offset
    grids["midline_mm"] = Grid3D(x.astype(np.float32), white.affine)
    placed = {
        name: average_through(grid, flair, transforms, invert) for name, grid in grids.items()
    }
    placed["midline_mm"] = np.abs(placed["midline_mm"] - offset)
    return wmh.TissuePriors(**(placed | {"ventricles": placed["ventricles"] > 0.5}))


def brought_to_brain(
    found: wmh.WMHResult,
    affine: NDArray[np.float64],
    brain: Grid3D,
    transforms: list[str],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bring share and probability of WMH from the FLAIR's grid to the reference's.

    Parameters
    ----------
    found
        WMH on the FLAIR's grid.
    affine
        Of the FLAIR.
    brain
        Brain mask on the reference's grid; nothing is brought further than 10 mm from it.
    transforms
        From points of the reference to points of the FLAIR.

    Returns
    -------
    tuple of ndarray
        Share and probability on the reference's grid, 0..1.
    """
    box = box_around(brain, PRIORS_MARGIN_MM)
    part = cropped(brain, box)
    # a straight line between voxels cuts the tops off: small lesions would shrink
    share, probability = (
        average_through(Grid3D(values, affine), part, transforms, interpolation=how)
        for values, how in ((found.share, "bspline"), (found.probability, "linear"))
    )
    whole = brain.data.shape
    return uncropped(share.clip(0, 1), box, whole), uncropped(probability, box, whole)


class _WMHInput(BaseInterfaceInputSpec):
    flair = File(exists=True, mandatory=True, desc="FLAIR in its own space")
    t1w = File(exists=True, desc="T1w in its own space")
    reference = File(exists=True, mandatory=True, desc="the one of the two that is the reference")
    brain_mask = File(exists=True, mandatory=True, desc="brain on the reference grid")
    other_transform = File(exists=True, desc="reference points to points of the other image")
    reference_name = traits.Enum("T1w", "FLAIR", mandatory=True)
    inverse = File(exists=True, mandatory=True, desc="template to reference")
    csf = File(exists=True, mandatory=True, desc="template's probability")
    cortex = File(exists=True, mandatory=True, desc="template's probability")
    deep_grey = File(exists=True, mandatory=True, desc="template's probability")
    white = File(exists=True, mandatory=True, desc="template's probability")
    ventricles = File(exists=True, mandatory=True, desc="template's region of the ventricles")


class _WMHOutput(TraitedSpec):
    mask = File(exists=True, desc="WMH on the reference grid")
    probseg = File(exists=True, desc="probability of WMH on the reference grid")
    numbers = traits.Dict(desc="the numbers that the mask rests on")


class WMHSegmentation(SimpleInterface):
    """Segment white matter hyperintensities on the FLAIR's grid; bring them to the reference."""

    input_spec = _WMHInput
    output_spec = _WMHOutput

    def _run_interface(self, runtime: Any) -> Any:
        inputs, out = self.inputs, Path(runtime.cwd)
        flair, reference = load_grid(inputs.flair), load_grid(inputs.reference)
        moved = inputs.reference_name == "T1w"
        to_reference = [inputs.other_transform] if moved else []
        found = self._segment(flair, to_reference)
        # half of a voxel covered is a voxel of lesion; the probability follows the mask
        share, probability = found.share, found.probability
        if moved:
            brain = load_grid(inputs.brain_mask)
            share, probability = brought_to_brain(found, flair.affine, brain, to_reference)
        sizes = reference.voxel_sizes_mm
        mask = keep_large(share >= 0.5, LEAST_LESION_MM3, sizes)
        probability = agreeing(probability, mask, LesionModel().threshold)
        files = out / "wmh_mask.nii.gz", out / "wmh_probseg.nii.gz"
        self._results["mask"] = save_like(mask, inputs.reference, files[0], np.uint8)
        self._results["probseg"] = save_like(probability, inputs.reference, files[1], np.float32)
        self._results["numbers"] = found.numbers()
        return runtime

    def _segment(self, flair: Grid3D, to_reference: list[str]) -> wmh.WMHResult:
        """Bring brain, priors and T1w to the FLAIR, in the brain's box, and segment."""
        inverse = [True for _ in to_reference]
        brain = average_through(load_grid(self.inputs.brain_mask), flair, to_reference, inverse)
        brain = brain > 0.5
        if not brain.any():
            raise InputError(f"{self.inputs.brain_mask} holds nothing of {self.inputs.flair}.")
        box = box_of(brain)
        part = cropped(flair, box)
        names = ("csf", "cortex", "deep_grey", "white", "ventricles")
        priors = wmh_priors(
            part,
            {name: getattr(self.inputs, name) for name in names},
            [*to_reference, self.inputs.inverse],
            [*inverse, False],
        )
        t1w = None
        if self.inputs.t1w:
            # with a FLAIR for a reference the transform leads from it to the T1w already
            chain = to_reference or [self.inputs.other_transform]
            t1w = average_through(load_grid(self.inputs.t1w), part, chain, inverse or [False])
        found = wmh.segment_wmh(part.data, t1w, priors, brain[box], flair.voxel_sizes_mm)
        whole = {
            name: uncropped(getattr(found, name), box, flair.data.shape)
            for name in ("mask", "probability", "share")
        }
        return dataclasses.replace(found, **whole)
