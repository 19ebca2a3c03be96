"""A head of 3 mm voxels with everything given, made in a second: what a whole visit can be run on.

It is the template itself, coarsened, so that its anatomy is a brain's and lies where the template's
lies. White matter holds lesions, larger and more of them on the left. Every other image holds the
same voxels in another place of the world, which a given transform (a known rigid motion) leads to:
so what a map says of a voxel is known exactly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import nibabel as nib
import numpy as np
from scipy import ndimage

from tests.builders import describe
from wmhflow.bids.naming import TEMPLATE
from wmhflow.core.align.search import rigid_matrix
from wmhflow.core.tissue.template import draw_ventricle_core
from wmhflow.files.itk import write_itk_affine
from wmhflow.files.template import cached_template

# so that voxels beside the ventricles lie within the 3 mm that make a lesion periventricular
VOXEL_MM = 3
# angles in degrees and shifts in mm, about the origin: where each image lies beside the T1w
MOTIONS = {
    name: rigid_matrix(numbers, np.zeros(3))
    for name, numbers in {
        "FLAIR": (3, -2, 4, 2, -3, 1),
        "dwi": (-2, 4, 1, -5, 2, 3),
        "asl": (1, 2, -5, 4, 0, -6),
    }.items()
}
# from points of the template to points of the T1w
PLACE = rigid_matrix((4, -3, 5, 3, 8, -6), np.zeros(3))
# centres (in the template, mm) and radii of lesions: one on each side reaches the ventricles
LESIONS = (((-24, 22, 20), 7.0), ((-24, -34, 24), 10.0), ((-28, -8, 32), 6.0), ((26, 22, 20), 7.0),
           ((30, -20, 30), 5.0))  # fmt: skip
CODES = {"csf": (24, 24), "deep_grey": (10, 49), "white": (2, 41), "infratentorial": (8, 47)}
# superior frontal, superior parietal, lateral occipital and superior temporal cortex
PARCELS = {"frontal": 28, "parietal": 29, "occipital": 11, "temporal": 30}
BRIGHTNESS = {
    "T1w": {"csf": 90, "cortex": 300, "deep_grey": 360, "white": 480, "infratentorial": 400},
    "FLAIR": {"csf": 60, "cortex": 330, "deep_grey": 300, "white": 260, "infratentorial": 290},
}
FLAIR_TRANSFORM = "from-FLAIR_to-T1w_mode-image_xfm.txt"
# without both, the FLAIR is registered: the inverse of one stands for it
BETWEEN_IMAGES = (FLAIR_TRANSFORM, "from-T1w_to-FLAIR_mode-image_xfm.txt")
LESION_BRIGHTNESS = {"T1w": 330, "FLAIR": 600}
# values by distance from the lesions: inside, and at 0, 6 and 12 mm, with lines between these
PROFILES = {"FA": (0.2, 0.3, 0.42, 0.42), "CBF": (15.0, 20.0, 30.0, 40.0)}


def coarsen(values: np.ndarray, factor: int) -> np.ndarray:
    """Smooth, and keep every n-th voxel, the first one included."""
    return ndimage.gaussian_filter(values, 0.42 * factor)[::factor, ::factor, ::factor]


class Head(NamedTuple):
    """The anatomy on the coarse grid, in the T1w's world."""

    affine: np.ndarray
    shares: Mapping[str, np.ndarray]
    codes: np.ndarray
    lesions: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True)
class Coarse:
    """A dataset that was made, and the words that process it."""

    folder: Path

    @property
    def raw(self) -> Path:
        """The raw dataset."""
        return self.folder / "raw"

    @property
    def given(self) -> Path:
        """The derivative dataset."""
        return self.folder / "given"

    @property
    def out(self) -> Path:
        """The outputs."""
        return self.folder / "out"

    def words(self, *more: str, out: Path | None = None) -> list[str]:
        """Return the arguments of a run with all that is given.

        Where nothing has to be registered, alignments are not judged unless a word asks for it: the
        maps that are planted hold no anatomy by which they could be.
        """
        into = out or self.out
        words = [str(self.raw), str(into), "participant", "-w", str(into.with_name("work"))]
        is_given = list(self.given.rglob(f"*{FLAIR_TRANSFORM}"))
        quality = ["--registration-qc", "off"] if is_given else []
        return [*words, "-d", f"given={self.given}", *quality, *more]

    def find(self, ending: str) -> Path:
        """Return the one input file whose name ends so."""
        (found,) = [path for root in (self.raw, self.given) for path in root.rglob(f"*{ending}")]
        return found

    def anat(self, out: Path | None = None) -> Path:
        """Return the folder of the tables of the first person, who has no sessions."""
        return (out or self.out) / "sub-01" / "anat"


@cache
def head() -> Head:
    """Make the anatomy: shares of the tissues, FreeSurfer codes, and lesions."""
    template = cached_template()
    grids = {name: template.grid(name) for name in (*CODES, "cortex")}
    fine = template.grid("t1w").affine
    affine = fine @ np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    # cerebellum and brain stem have priors of grey and white matter as well
    lower = coarsen(grids["infratentorial"].data.astype(np.float32), VOXEL_MM)
    shares = {name: coarsen(grid.data.astype(np.float32), VOXEL_MM) for name, grid in grids.items()}
    for name in ("cortex", "deep_grey", "white"):
        shares[name] = shares[name] * (1 - lower)
    brain = coarsen(template.grid("brain_mask").data.astype(np.float32), VOXEL_MM) > 0.5
    core = draw_ventricle_core(grids["csf"].data, fine).astype(np.float32)
    ventricles = (coarsen(core, VOXEL_MM) > 0.4) & brain
    places = np.moveaxis(np.indices(brain.shape), 0, -1) @ affine[:3, :3].T + affine[:3, 3]
    codes = np.where(brain, _codes(shares, places), 0)
    codes[ventricles] = np.where(places[ventricles, 0] < 0, 4, 43)
    white = (codes == 2) | (codes == 41)
    lesions = white & np.any([np.linalg.norm(places - centre, axis=-1) <= radius
                              for centre, radius in LESIONS], axis=0)  # fmt: skip
    distance = ndimage.distance_transform_edt(~lesions, sampling=[VOXEL_MM] * 3)
    return Head(PLACE @ affine, shares, codes.astype(np.int16), lesions, distance)


def _codes(shares: Mapping[str, np.ndarray], places: np.ndarray) -> np.ndarray:
    """Give every voxel the FreeSurfer code of the tissue that it holds most of."""
    most = np.argmax([shares[name] for name in (*CODES, "cortex")], axis=0)
    x, y, z = np.moveaxis(places, -1, 0)
    right = x > 0
    codes = np.choose(most, [np.where(right, r, le) for le, r in CODES.values()] + [0])
    lobe = np.where(y > -18, PARCELS["frontal"], PARCELS["parietal"])
    lobe[(z < 4) & (y <= 30)] = PARCELS["temporal"]
    lobe[y < -70] = PARCELS["occipital"]
    return np.where(most == len(CODES), np.where(right, 2000, 1000) + lobe, codes)


def anatomical(suffix: str, lesions: bool = True) -> np.ndarray:
    """Paint an image of the head; air is 0."""
    made = head()
    values = sum(share * BRIGHTNESS[suffix][name] for name, share in made.shares.items())
    # what no two scanners do alike, so that no two voxels are alike either
    values = values * (1 + 0.02 * np.random.default_rng(7).standard_normal(made.codes.shape))
    values[made.codes == 0] = 0
    if lesions:
        values[made.lesions] = LESION_BRIGHTNESS[suffix]
    return values.astype(np.float32)


def planted(name: str) -> np.ndarray:
    """Return a map's values, which are the same on the lesions' left and right."""
    made = head()
    inside, *beyond = PROFILES[name]
    values = np.interp(made.distance, [0, 6, 12], beyond)
    return np.where(made.codes == 0, 0, np.where(made.lesions, inside, values)).astype(np.float32)


def save(path: Path, data: Any, affine: np.ndarray) -> Path:
    """Write an image with one affine, in the type of its array."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(data, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    nib.save(image, path)
    return path


def coarse_dataset(
    folder: Path,
    visits: Sequence[tuple[str, str | None]] = (("01", None),),
    *,
    without: Sequence[str] = (),
    every: int = 1,
) -> Coarse:
    """Write the dataset: a raw one, and a derivative with masks, parcellations, maps, transforms.

    ``without`` names endings of files that are left out, such as :data:`BETWEEN_IMAGES` for one
    that has to be registered, or ``aparcaseg_dseg.nii.gz``. Of the voxels ``every`` second or third
    is kept: registrations take the longer the more there are.
    """
    made = Coarse(folder)
    describe(made.raw)
    describe(made.given, DatasetType="derivative", GeneratedBy=[{"Name": "by hand"}])
    for subject, session in visits:
        _write_visit(made, subject, session, every)
    for path in [path for path in folder.rglob("*") if path.name.endswith(tuple(without))]:
        path.unlink()
    return made


def _write_visit(made: Coarse, subject: str, session: str | None, every: int) -> None:
    anatomy = head()
    parts = [f"sub-{subject}", *([f"ses-{session}"] if session else [])]
    within, start = Path(*parts), "_".join(parts)
    keep = (slice(None, None, every),) * 3
    affine = anatomy.affine @ np.diag([every, every, every, 1.0])

    def path(dataset: str, kind: str, ending: str) -> Path:
        found = made.folder / dataset / within / kind / f"{start}_{ending}"
        found.parent.mkdir(parents=True, exist_ok=True)
        return found

    for dataset, kind, ending, values, moved in (
        ("raw", "anat", "T1w", anatomical("T1w"), None),
        ("raw", "anat", "FLAIR", anatomical("FLAIR"), "FLAIR"),
        ("given", "anat", "space-T1w_label-WMH_mask", anatomy.lesions.astype(np.uint8), None),
        ("given", "anat", "space-T1w_seg-aparcaseg_dseg", anatomy.codes, None),
        ("given", "dwi", "model-tensor_param-fa_dwimap", planted("FA"), "dwi"),
        ("given", "perf", "cbf", planted("CBF"), "asl"),
    ):
        place = MOTIONS[moved] @ affine if moved else affine
        save(path(dataset, kind, f"{ending}.nii.gz"), values[keep], place)
    # to the reference, whichever of the two images it is: (from, to) and points of `to` to `from`
    ways = {("FLAIR", "T1w"): MOTIONS["FLAIR"], ("T1w", "FLAIR"): np.linalg.inv(MOTIONS["FLAIR"])}
    for reference, place in (("T1w", np.eye(4)), ("FLAIR", MOTIONS["FLAIR"])):
        for name in ("dwi", "asl"):
            ways[name, reference] = MOTIONS[name] @ np.linalg.inv(place)
        ways[reference, TEMPLATE] = place @ PLACE
        ways[TEMPLATE, reference] = np.linalg.inv(place @ PLACE)
    for (source, target), matrix in ways.items():
        ending = f"from-{source}_to-{target}_mode-image_xfm.txt"
        write_itk_affine(matrix, path("given", "anat", ending))
