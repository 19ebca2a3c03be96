"""The step that tells lesions of cerebellum and brain stem apart."""

from __future__ import annotations

from typing import NamedTuple

from wmhflow.core.regions.infratentorial import infratentorial_region
from wmhflow.core.space.geometry import spacing_of, voxel_mm3
from wmhflow.steps.kinds import Facts, LabelImage, MaskImage, step


class Infratentorial(NamedTuple):
    """Where cerebellum and brain stem are, lesions included, and how much of the WMH they hold."""

    infratentorial: MaskImage
    facts: Facts


@step(mem_gb=1.0)
def find_infratentorial(
    tissue: LabelImage, wmh: MaskImage, placed: MaskImage | None = None
) -> Infratentorial:
    """Find cerebellum and brain stem, and measure the WMH in them.

    Parameters
    ----------
    tissue
        Tissue classes before lesions are put in.
    wmh
        Lesions.
    placed
        The template's cerebellum and brain stem, where the tissues were computed.
    """
    below = infratentorial_region(
        tissue.data,
        wmh.data,
        spacing_of(tissue.affine),
        None if placed is None else placed.data,
    )
    facts: Facts = {"wmh_infratentorial_mm3": None, "wmh_infratentorial_fraction": None}
    # a parcellation, or what was scanned, may lack them
    if below.any():
        inside, of = int((below & wmh.data).sum()), int(wmh.data.sum())
        facts["wmh_infratentorial_mm3"] = inside * voxel_mm3(tissue.affine)
        facts["wmh_infratentorial_fraction"] = inside / of if of else None
    return Infratentorial(MaskImage(below, tissue.affine), facts)
