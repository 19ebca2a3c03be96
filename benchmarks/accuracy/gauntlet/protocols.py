"""The acquisitions: one row each, from clinical slices of 8 mm to isotropic voxels."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Scan:
    """How one image was acquired.

    Parameters
    ----------
    in_plane_mm, slice_mm, gap_mm
        Voxel size within a slice, thickness of a slice, and what lies between two.
    slices
        Number of slices; as many as the head needs if 0.
    plane
        ``axial``, ``sagittal`` or ``coronal``.
    tilt_deg
        Turn of the slices about the left-right axis, and half of it about the others.
    snr
        Brightness of white matter over the SD of the noise.
    bias
        How much brighter the brightest part of the brain is than the darkest, as a share.
    ghost
        Share of the image that a motion ghost has.
    reach
        What the slices hold if they do not hold all: ``all``, ``top`` (the cerebellum is cut) or
        ``bottom`` (the vertex is cut).
    kind
        ``FLAIR``, ``MPRAGE``, ``MP2RAGE`` (noise outside of the head), ``SE`` (two-dimensional spin
        echo) or ``contrast`` (MPRAGE after contrast agent).
    stored
        ``float32``, ``int16``, ``int16 with offset``, ``uint8`` or ``scaled`` (a small slope).
    matrix
        Voxels a side to which slices are padded with zeros; not padded if 0.
    """

    in_plane_mm: float = 1.0
    slice_mm: float = 1.0
    gap_mm: float = 0.0
    slices: int = 0
    plane: str = "axial"
    tilt_deg: float = 0.0
    snr: float = 25.0
    bias: float = 0.3
    ghost: float = 0.0
    reach: str = "all"
    kind: str = "FLAIR"
    stored: str = "int16"
    matrix: int = 0


@dataclass(frozen=True)
class Protocol:
    """A person's images: FLAIR and perhaps T1w, what is left of the head, and how far they moved.

    Parameters
    ----------
    name
        Short name, letters and digits.
    flair, t1w
        How the images were acquired; no T1w if None.
    shown
        ``whole``, ``defaced``, ``stripped``, ``tight`` (2 mm within the brain's surface), ``loose``
        (5 mm beyond it), ``holes`` (with holes in it), or ``neck`` (stripped, with cord and neck).
    turned_deg, moved_mm
        How the head lies in the scanner.
    between_deg, between_mm
        How the head moved between the two images.
    """

    name: str
    flair: Scan
    t1w: Scan | None = None
    shown: str = "whole"
    turned_deg: float = 4.0
    moved_mm: float = 5.0
    between_deg: float = 2.0
    between_mm: float = 2.0


AXIAL = Scan(0.9, 5.0, 0.0)
VOLUME = Scan(1.0, 1.0)
MPRAGE = Scan(1.0, 1.0, kind="MPRAGE")
SPIN_ECHO = Scan(0.9, 5.0, kind="SE")


def _axial(
    in_plane: float, thick: float, gap: float = 0.0, slices: int = 0, **more: object
) -> Scan:
    return replace(AXIAL, in_plane_mm=in_plane, slice_mm=thick, gap_mm=gap, slices=slices, **more)


PROTOCOLS = (
    # two-dimensional axial FLAIR alone, as the scanner gave it
    Protocol("ax3", _axial(0.9, 3.0)),
    Protocol("ax3gap", _axial(0.75, 3.0, 0.9)),
    Protocol("ax5", _axial(0.86, 5.0)),
    Protocol("ax5gap", _axial(0.72, 5.0, 1.5)),
    Protocol("ax5fine", _axial(0.43, 5.0, 1.0)),
    Protocol("ax6", _axial(0.9, 6.0)),
    Protocol("ax6fine", _axial(0.47, 6.0, 1.2)),
    Protocol("ax8", _axial(0.47, 8.0, slices=16)),
    Protocol("ax8gap", _axial(0.6, 6.5, 1.5, slices=18)),
    Protocol("vertexcut", _axial(0.8, 5.0, slices=22, reach="bottom")),
    Protocol("cerebellumcut", _axial(0.8, 5.0, slices=22, reach="top")),
    Protocol("padded", _axial(0.45, 5.0, matrix=512, stored="int16")),
    # the same, stripped by others
    Protocol("ax3stripped", _axial(0.9, 3.0), shown="stripped"),
    Protocol("ax5stripped", _axial(0.86, 5.0), shown="stripped"),
    Protocol("ax5tight", _axial(0.86, 5.0), shown="tight"),
    Protocol("ax6stripped", _axial(0.47, 6.0), shown="stripped"),
    Protocol("ax8stripped", _axial(0.47, 8.0, slices=16), shown="stripped"),
    Protocol("ax8tight", _axial(0.5, 8.0, slices=17), shown="tight"),
    Protocol("ax5loose", _axial(0.9, 5.0), shown="loose"),
    Protocol("ax5neck", _axial(0.9, 5.0), shown="neck"),
    # other planes
    Protocol("sagittal5", _axial(0.9, 5.0, 1.0, plane="sagittal")),
    Protocol("coronal5", _axial(0.9, 5.0, plane="coronal")),
    Protocol("oblique15", _axial(0.8, 5.0, tilt_deg=15)),
    Protocol("oblique25", _axial(0.8, 4.0, tilt_deg=-25)),
    # isotropic, with and without T1w
    Protocol("iso", VOLUME),
    Protocol("isostripped", VOLUME, shown="stripped"),
    Protocol("isopair", VOLUME, MPRAGE),
    Protocol("iso12pair", Scan(1.2, 1.2), replace(MPRAGE, in_plane_mm=0.9, slice_mm=0.9)),
    Protocol("iso09pair", Scan(0.9, 0.9), MPRAGE, between_deg=12, between_mm=15),
    Protocol("pairstripped", VOLUME, MPRAGE, shown="stripped"),
    Protocol("pairtight", VOLUME, MPRAGE, shown="tight"),
    Protocol("pairholes", VOLUME, MPRAGE, shown="holes"),
    Protocol("defaced", VOLUME, MPRAGE, shown="defaced"),
    # two-dimensional FLAIR beside a T1w
    Protocol("ax3pair", _axial(0.9, 3.0), MPRAGE),
    Protocol("ax5pair", _axial(0.86, 5.0), MPRAGE, between_deg=8, between_mm=10),
    Protocol("ax8pair", _axial(0.6, 8.0, slices=17), MPRAGE),
    Protocol("spinecho", _axial(0.86, 5.0), SPIN_ECHO),
    Protocol("contrast", _axial(0.86, 5.0), replace(MPRAGE, kind="contrast")),
    Protocol("mp2rage", VOLUME, replace(MPRAGE, kind="MP2RAGE")),
    # poor images
    Protocol("noisy", _axial(0.9, 5.0, snr=8)),
    Protocol("noisypair", replace(VOLUME, snr=9), replace(MPRAGE, snr=9)),
    Protocol("biased", _axial(0.9, 5.0, bias=0.8)),
    Protocol("biasedpair", replace(VOLUME, bias=0.7), replace(MPRAGE, bias=0.8)),
    Protocol("ghost", _axial(0.9, 5.0, ghost=0.08)),
    Protocol("ghostpair", replace(VOLUME, ghost=0.05), replace(MPRAGE, ghost=0.08)),
    # other ways to store them, and other positions
    Protocol("offset", _axial(0.9, 5.0, stored="int16 with offset")),
    Protocol("bytes", _axial(0.9, 5.0, stored="uint8"), replace(MPRAGE, stored="uint8")),
    Protocol("scaled", VOLUME, replace(MPRAGE, stored="scaled")),
    Protocol("turned", VOLUME, MPRAGE, turned_deg=22, moved_mm=25),
    Protocol("turnedax", _axial(0.9, 4.0), turned_deg=20, moved_mm=15),
)
