"""What the pictures of a visit show: its images on the reference grid, ready to be cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from wmhflow.core.space.geometry import ras_axes, spacing_of
from wmhflow.files.forms import trusted_affine
from wmhflow.files.images import load_volume, read_header
from wmhflow.labels.digits import CSF, WHITE_OR_WMH, class_of, layer_of, shell_ordinal
from wmhflow.reports.drawing.choice import lesion_slices
from wmhflow.reports.drawing.planes import thick_plane
from wmhflow.reports.drawing.volumes import Box, Volume, bounding_box, obliquity_deg, to_ras

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from wmhflow.plan.visit import VisitPlan

OBLIQUE_DEG = 1.0


@dataclass(frozen=True)
class Scene:
    """A visit's images on the reference grid, in the order right, front, up.

    ``tissue``, ``zones``, ``shells`` and ``lobes`` hold label numbers without the side, ``layers``
    those of the bullseye's layers; where there are no lobes, both are None. ``thick`` is the plane
    of the background's slices, and ``thick_reference`` that of the reference's, where they are so
    thick that other planes cannot be read. ``scanned_mm`` are the sizes of the voxels in which a
    FLAIR was taken that was brought to the reference, along the reference's axes.
    """

    reference: Volume
    background: Volume
    background_name: str
    other: Volume | None
    brain: NDArray[np.bool_]
    wmh: NDArray[np.bool_]
    ventricles: NDArray[np.bool_]
    tissue: NDArray[np.integer]
    zones: NDArray[np.integer]
    shells: NDArray[np.integer]
    box: Box
    infarct: NDArray[np.bool_] | None = None
    lobes: NDArray[np.integer] | None = None
    layers: NDArray[np.integer] | None = None
    thick: str | None = None
    thick_reference: str | None = None
    scanned_mm: tuple[float, ...] | None = None
    _chosen: dict[tuple[str, int], list[int]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def plane(self) -> str:
        """The plane that pictures show first: that of thick slices, else the axial one."""
        return self.thick_reference or self.thick or "axial"

    @property
    def has_wmh(self) -> bool:
        """Whether any voxel is WMH."""
        return bool(self.wmh.any())

    @property
    def lesions(self) -> NDArray[np.bool_]:
        """WMH and infarcts."""
        return self.wmh if self.infarct is None else self.wmh | self.infarct

    @cached_property
    def without_fluid(self) -> NDArray[np.bool_]:
        """The brain without CSF, which some parcellations follow down the spine."""
        return self.brain & (self.tissue != CSF)

    @cached_property
    def white_matter(self) -> NDArray[np.bool_]:
        """White matter with the lesions in it."""
        return np.isin(self.tissue, WHITE_OR_WMH)

    def lesion_slices(self, plane: str, count: int) -> list[int]:
        """Choose slices through the lesions, the same for every picture of a visit.

        Parameters
        ----------
        plane, count
            As for :func:`wmhflow.reports.drawing.choice.lesion_slices`.
        """
        if (plane, count) not in self._chosen:
            found = lesion_slices(self.lesions, self.without_fluid, plane, count)
            self._chosen[plane, count] = found
        return self._chosen[plane, count]

    @property
    def orientation(self) -> str:
        """How the slices lie in the world, for all pictures of a visit."""
        angle = obliquity_deg(self.reference.affine)
        text = (
            "All slices are shown as a neurologist sees them: left is left. "
            "Coordinates are world RAS."
        )
        if angle < OBLIQUE_DEG:
            return text
        return (
            f"{text} The reference was taken at an angle of {angle:.0f}°: slices follow its own "
            "axes, and coordinates are those of a slice’s centre."
        )


def load_scene(visit: VisitPlan, path_of: Callable[[str], Path]) -> Scene:
    """Load what the pictures of a finished visit are made of.

    Parameters
    ----------
    visit
        Whose outputs exist.
    path_of
        Gives the file of an image by its key.

    Raises
    ------
    InputError
        If one of the images cannot be read.
    """

    def load(key: str) -> Volume:
        return load_ras(path_of(key))

    def labels(key: str) -> NDArray[np.integer]:
        # all numbers of our own label images fit; there are five of them
        return load(key).data.astype(np.int16)

    reference = load(f"preproc_{visit.reference}")
    thick_reference = thick_plane(reference.affine)
    other = load(f"preproc_{visit.other_name}") if visit.other_anatomical is not None else None
    has_flair = other is not None and visit.other_name == "FLAIR"
    # what was written of it lies on the reference's grid: the scan itself is asked
    taken = read_header(visit.flair.path)[1] if has_flair and visit.flair is not None else None
    brain = load("mask_brain").data > 0
    tissue = class_of(labels("seg_tissue"))
    return Scene(
        reference,
        other if other is not None and has_flair else reference,
        "FLAIR" if has_flair else visit.reference,
        other,
        brain,
        load("mask_WMH").data > 0,
        load("mask_ventricles").data > 0,
        tissue,
        class_of(labels("seg_zones")),
        shell_ordinal(labels("seg_shells")),
        bounding_box(brain & (tissue != CSF), reference.spacing),
        load("mask_infarct").data > 0 if visit.infarct else None,
        class_of(labels("seg_lobes")) if visit.lobes else None,
        layer_of(labels("seg_bullseye")) if visit.lobes else None,
        thick_reference or (None if taken is None else thick_plane(taken)),
        thick_reference,
        None if taken is None else tuple(spacing_of(taken)[list(ras_axes(taken).axes)].tolist()),
    )


def load_ras(path: Path, trust: str | None = None) -> Volume:
    """Load a 3D image in the order right, front, up; non-finite values become 0.

    Parameters
    ----------
    path
        A NIfTI file.
    trust
        The form of its header that is believed, ``sform`` or ``qform``.

    Raises
    ------
    InputError
        If the image cannot be read.
    """
    data, affine = load_volume(path, as_stored=True)
    affine = trusted_affine(path, affine, trust)
    if np.issubdtype(data.dtype, np.floating):
        data = np.nan_to_num(data, nan=0.0, posinf=0.0, neginf=0.0)
    return to_ras(Volume(data, affine))
