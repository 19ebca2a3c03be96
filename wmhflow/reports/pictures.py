"""Which pictures a visit gets, and what each is told to show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wmhflow.bids.naming import TEMPLATE
from wmhflow.files.transforms import linear_matrix
from wmhflow.labels.digits import CSF, REST, WHITE_OR_WMH, class_of, layer_of, shell_ordinal
from wmhflow.labels.edges import interval_mm
from wmhflow.labels.regions import load_regions
from wmhflow.plan.visit import Given
from wmhflow.products.maps import group_name, map_groups
from wmhflow.products.outputs import image_paths, transform_paths
from wmhflow.reports.figures import Fill, Outline, Row, Underlay, slice_figure
from wmhflow.reports.volumes import (
    Box,
    Volume,
    bounding_box,
    lesion_slices,
    load_ras,
    obliquity_deg,
    spread_slices,
    warp_coarsely,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from wmhflow.plan.visit import MapPlan, VisitPlan
    from wmhflow.settings import Settings

WMH_COLOUR, VENTRICLE_COLOUR = "#ffe600", "#3fa9ff"
INFARCT_COLOUR = "#ff5ad1"
WHITE_COLOUR, BRAIN_COLOUR = "#ff8c3a", "#7be07b"
LOBES_CAPTION = (
    "Lobes on the reference image. White matter belongs to the nearest cortex of its own side; the "
    "deep nuclei and the corpus callosum are regions of their own."
)
LAYERS_CAPTION = (
    "Layers of the bullseye on the reference image. Layers of equal depth between the lateral "
    "ventricles and the cortex: they should surround the ventricles and follow the cortex."
)
REST_COLOUR = "#8d99ae"
ORIENTATION = "Left is left."
OBLIQUE_DEG = 1.0


@dataclass(frozen=True)
class Picture:
    """A finished picture: where it belongs, what it is called, and what it shows."""

    section: str
    desc: str
    suffix: str
    png: bytes
    alt: str
    caption: str


@dataclass(frozen=True)
class Scene:
    """A visit's images on the reference grid, in the order right, front, up.

    ``tissue``, ``zones``, ``shells`` and ``lobes`` hold label numbers without the side, ``layers``
    those of the bullseye's layers; where there are no lobes, both are None.
    """

    reference: Volume
    background: Volume
    background_name: str
    other: Volume | None
    brain: NDArray[np.bool_]
    wmh: NDArray[np.bool_]
    ventricles: NDArray[np.bool_]
    tissue: NDArray[np.int64]
    zones: NDArray[np.int64]
    shells: NDArray[np.int64]
    box: Box
    infarct: NDArray[np.bool_] | None = None
    lobes: NDArray[np.int64] | None = None
    layers: NDArray[np.int64] | None = None

    @property
    def lesions(self) -> NDArray[np.bool_]:
        """WMH and infarcts."""
        return self.wmh if self.infarct is None else self.wmh | self.infarct

    @property
    def without_fluid(self) -> NDArray[np.bool_]:
        """The brain without CSF, which some parcellations follow down the spine."""
        return self.brain & (self.tissue != CSF)

    @property
    def white_matter(self) -> NDArray[np.bool_]:
        """White matter with the lesions in it."""
        return np.isin(self.tissue, WHITE_OR_WMH)


def load_scene(settings: Settings, visit: VisitPlan) -> Scene:
    """Load what the pictures of a finished visit are made of.

    Parameters
    ----------
    settings
        The run's settings.
    visit
        Whose outputs exist.

    Raises
    ------
    InputError
        If one of the images cannot be read.
    """
    paths = image_paths(visit, settings)

    def load(key: str) -> Volume:
        return load_ras(settings.output_dir / paths[key])

    reference = load(f"preproc_{visit.reference}")
    other_name = "FLAIR" if visit.reference == "T1w" else "T1w"
    other = load(f"preproc_{other_name}") if visit.other_anatomical is not None else None
    has_flair = other is not None and other_name == "FLAIR"
    brain = load("mask_brain").data > 0
    tissue = class_of(load("seg_tissue").data.astype(np.int64))
    return Scene(
        reference,
        other if other is not None and has_flair else reference,
        "FLAIR" if has_flair else visit.reference,
        other,
        brain,
        load("mask_WMH").data > 0,
        load("mask_ventricles").data > 0,
        tissue,
        class_of(load("seg_zones").data.astype(np.int64)),
        shell_ordinal(load("seg_shells").data.astype(np.int64)),
        bounding_box(brain & (tissue != CSF), reference.spacing),
        load("mask_infarct").data > 0 if visit.infarct else None,
        class_of(load("seg_lobes").data.astype(np.int64)) if visit.lobes else None,
        layer_of(load("seg_bullseye").data.astype(np.int64)) if visit.lobes else None,
    )


def all_pictures(settings: Settings, visit: VisitPlan, scene: Scene) -> Iterator[Picture]:
    """Draw every picture of a visit but the profiles.

    Parameters
    ----------
    settings
        The run's settings.
    visit
        The plan, for transforms and maps.
    scene
        The visit's images.
    """
    yield masks_picture(scene)
    yield zones_picture(scene)
    if scene.wmh.any():
        yield shells_picture(scene, settings.regions.shell_width, settings.regions.shell_max)
    yield tissue_picture(scene)
    if scene.lobes is not None and scene.layers is not None:
        yield region_picture(scene, "lobes", scene.lobes, LOBES_CAPTION)
        yield region_picture(scene, "bullseye", scene.layers, LAYERS_CAPTION)
    if scene.other is not None:
        yield anatomical_picture(scene, visit.reference)
    yield template_picture(settings, visit, scene)
    for entry, transform in map_transforms(settings, visit):
        yield map_picture(visit, scene, entry, transform)


# --- masks --------------------------------------------------------------------------------------


def _lesion_rows(scene: Scene, axial: int, others: int, *, apart: bool) -> list[Row]:
    """Choose slices through the lesions: axial ones first, then the two other planes."""

    def chosen(plane: str, count: int) -> tuple[tuple[str, int], ...]:
        found = lesion_slices(scene.lesions, scene.without_fluid, plane, count)
        return tuple((plane, index) for index in found)

    on_top = chosen("axial", axial)
    coronal, sagittal = chosen("coronal", others), chosen("sagittal", others)
    upper = [on_top[start : start + 4] for start in range(0, len(on_top), 4)]
    # cranial slices come first, as one reads a light box
    rows = [part[::-1] for part in upper[::-1]]
    rows += [coronal, sagittal] if apart else [coronal + sagittal]
    return [(0, row) for row in rows if row]


def _contours(scene: Scene) -> list[Outline]:
    outlines = [Outline(scene.ventricles, VENTRICLE_COLOUR, "lateral ventricles")]
    if scene.wmh.any():
        outlines.insert(0, Outline(scene.wmh, WMH_COLOUR, "WMH"))
    if scene.infarct is not None and scene.infarct.any():
        outlines.append(Outline(scene.infarct, INFARCT_COLOUR, "infarct (given)"))
    return outlines


def orientation_text(scene: Scene) -> str:
    """Say how the slices lie in the world, for all pictures of a visit."""
    angle = obliquity_deg(scene.reference.affine)
    text = (
        "All slices are shown as a neurologist sees them: left is left. Coordinates are world RAS."
    )
    if angle < OBLIQUE_DEG:
        return text
    return (
        f"{text} The reference was taken at an angle of {angle:.0f}°: slices follow its own axes, "
        "and coordinates are those of a slice’s centre."
    )


def _slices_text(scene: Scene) -> str:
    return "slices through the lesions" if scene.lesions.any() else "slices spread over the brain"


def masks_picture(scene: Scene) -> Picture:
    """Draw the borders of WMH and ventricles on the FLAIR (else on the reference)."""
    lesions = _lesion_rows(scene, 8, 4, apart=True)
    axial = [row for row in lesions if row[1][0][0] == "axial"]
    # the same axial slices without lines above those with them: lines hide what they surround
    paired = [row for _, items in axial for row in ((1, items), (0, items))]
    png = slice_figure(
        scene.reference,
        scene.box,
        paired + lesions[len(axial) :],
        [Underlay(scene.background), Underlay(scene.background, is_bare=True)],
        _contours(scene),
    )
    name = scene.background_name
    infarct = "" if scene.infarct is None else " Pink: the given infarct, which is no WMH."
    return Picture(
        "masks",
        "masks",
        name,
        png,
        f"Borders of WMH and lateral ventricles on the {name}",
        f"Borders of WMH (yellow) and lateral ventricles (blue) on the {name}: axial, coronal and "
        f"sagittal {_slices_text(scene)}, lines along the edges of the voxels; axial slices are "
        f"shown without lines, too.{infarct} The yellow lines should hold every bright lesion and "
        f"nothing else; the blue line should follow the ventricles’ wall. {ORIENTATION}",
    )


def zones_picture(scene: Scene) -> Picture:
    """Draw the zones as translucent colours, with the borders of WMH and ventricles."""
    png = slice_figure(
        scene.reference,
        scene.box,
        _lesion_rows(scene, 4, 2, apart=False),
        [Underlay(scene.background)],
        _contours(scene),
        Fill(scene.zones, registry_entries("zones", scene.zones)),
    )
    name = scene.background_name
    return Picture(
        "masks",
        "zones",
        name,
        png,
        f"Zones of the white matter on the {name}",
        f"White matter by its distance from ventricle and cortex, on the {name}; axial slices "
        "above, coronal and sagittal ones below. Zones should "
        "surround the ventricles like onion skins and leave grey matter free. "
        f"{ORIENTATION}",
    )


def shells_picture(scene: Scene, width_mm: float, max_mm: float) -> Picture:
    """Draw the shells around and inside the lesions, a colour per step of distance."""
    png = slice_figure(
        scene.reference,
        scene.box,
        _lesion_rows(scene, 4, 2, apart=False),
        [Underlay(scene.background)],
        [Outline(scene.wmh, "#ffffff", "WMH", 1.0)],
        Fill(scene.shells, shell_entries(scene.shells, width_mm, max_mm), 0.85),
    )
    return Picture(
        "masks",
        "shells",
        scene.background_name,
        png,
        "Shells around and inside the lesions",
        "Shells of equal distance from the lesion edge: outside in normal-appearing white matter "
        "only (gaps are grey matter, fluid and the guard before them), inside in the lesions. "
        f"{ORIENTATION}",
    )


def tissue_picture(scene: Scene) -> Picture:
    """Draw the tissue classes as translucent colours on the reference image."""
    png = slice_figure(
        scene.reference,
        scene.box,
        _lesion_rows(scene, 4, 2, apart=False),
        [Underlay(scene.reference)],
        fill=Fill(scene.tissue, registry_entries("tissue", scene.tissue), 0.5),
    )
    return Picture(
        "masks",
        "tissue",
        "dseg",
        png,
        "Tissue classes on the reference image",
        "Tissue classes on the reference image. White matter should end where the image’s grey "
        f"matter begins. {ORIENTATION}",
    )


def region_picture(scene: Scene, seg: str, labels: NDArray[np.int64], caption: str) -> Picture:
    """Draw regions as translucent colours on the reference, in three planes.

    Parameters
    ----------
    scene
        The visit's images.
    seg
        Label image in the registry.
    labels
        Numbers of both sides together.
    caption
        What a reader should look for.
    """
    png = fill_figure(scene, Fill(labels, registry_entries(seg, labels), 0.5))
    title, text = caption.split(". ", maxsplit=1)
    return Picture("regions", seg, "dseg", png, title, f"{title}. {text} {ORIENTATION}")


def fill_figure(scene: Scene, fill: Fill) -> bytes:
    """Draw labels on the reference with the contours of lesions and ventricles, in three planes."""
    return slice_figure(
        scene.reference,
        scene.box,
        _lesion_rows(scene, 4, 2, apart=False),
        [Underlay(scene.reference)],
        _contours(scene),
        fill,
    )


def registry_entries(seg: str, labels: NDArray[np.int64]) -> tuple[tuple[int, str, str], ...]:
    """List label, colour and name of the regions that an image without sides holds.

    Parameters
    ----------
    seg
        ``tissue``, ``zones``, ``lobes`` or ``bullseye`` (its rings).
    labels
        Numbers of both sides together.
    """
    present = set(np.unique(labels).tolist())
    return tuple(
        (index, region.colour, region.name)
        for index, region in load_regions(seg).items()
        if region.hemisphere == "B" and index in present
    )


def shell_entries(
    labels: NDArray[np.int64], width_mm: float, max_mm: float
) -> tuple[tuple[int, str, str], ...]:
    """List label, colour and name of the shells that an image holds, from the inside out.

    Parameters
    ----------
    labels
        Ordinals of shells, without side and lesion class.
    width_mm, max_mm
        Thickness of a shell, and outer edge of the last outer one.

    Examples
    --------
    >>> [name for _, _, name in shell_entries(np.array([51, 1, 50]), 2.0, 14.0)]
    ['inside, 0–2 mm', '0–2 mm', 'beyond the shells']
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    def extent(ordinal: int) -> str:
        near, far = sorted(abs(edge) for edge in interval_mm(ordinal, width_mm, max_mm))
        return f"{near:g}–{far:g} mm" if np.isfinite(far) else f"beyond {near:g} mm"

    present = [int(label) for label in np.unique(labels) if label > 0]
    inner = [label for label in present if label > REST][::-1]
    outer = [label for label in present if label < REST]
    entries = []
    for label in inner:
        step = label - REST
        shade = 0.25 + 0.55 * (step - 1) / max(len(inner) - 1, 1)
        colour = to_hex(colormaps["Reds"](0.95 - 0.5 * shade))
        entries.append((label, colour, f"inside, {extent(label)}"))
    for label in outer:
        shade = 1 - 0.9 * (label - 1) / max(outer[-1] - 1, 1)
        colour = to_hex(colormaps["viridis"](shade))
        entries.append((label, colour, extent(label)))
    if REST in present:
        entries.append((REST, REST_COLOUR, "beyond the shells"))
    return tuple(entries)


# --- alignment ------------------------------------------------------------------------------------


def _alignment_rows(scene: Scene, underlays: int) -> list[Row]:
    """Show the same slices of every underlay, one row each."""
    items = tuple(
        (plane, index)
        for plane, count in (("axial", 2), ("coronal", 2), ("sagittal", 1))
        for index in _calm_slices(scene, plane, count)
    )
    return [(number, items) for number in range(underlays)]


def _calm_slices(scene: Scene, plane: str, count: int) -> list[int]:
    """Choose slices that show the ventricles; those spread over the brain where there are none."""
    inside = scene.ventricles if scene.ventricles.any() else scene.brain
    return spread_slices(inside, plane, count)


def _alignment_outlines(scene: Scene) -> list[Outline]:
    return [
        Outline(scene.brain, BRAIN_COLOUR, "brain", 0.9),
        Outline(scene.white_matter, WHITE_COLOUR, "white matter", 0.7),
        Outline(scene.ventricles, VENTRICLE_COLOUR, "lateral ventricles", 1.1),
    ]


def _compare(scene: Scene, other: Underlay, reference: str) -> bytes:
    return slice_figure(
        scene.reference,
        scene.box,
        _alignment_rows(scene, 2),
        [Underlay(scene.reference, f"reference ({reference})"), other],
        _alignment_outlines(scene),
    )


def anatomical_picture(scene: Scene, reference: str) -> Picture:
    """Draw the contours of the reference's tissues on the other anatomical image."""
    name = "FLAIR" if reference == "T1w" else "T1w"
    image = scene.other if scene.other is not None else scene.reference
    return Picture(
        "alignment",
        "alignment",
        name,
        _compare(scene, Underlay(image, f"{name}, aligned"), reference),
        f"The {name} aligned to the {reference}",
        f"Above the {reference}, below the {name} brought to it, with the same contours of brain, "
        "white matter and ventricles. In both rows the lines should follow the same edges. "
        f"{ORIENTATION}",
    )


def template_picture(settings: Settings, visit: VisitPlan, scene: Scene) -> Picture:
    """Draw the contours of the person's tissues on the template brought to the person."""
    from wmhflow.files.template import template_path

    if isinstance(visit.inverse, Given):
        transform = visit.inverse.file.path
    else:
        transform = settings.output_dir / transform_paths(visit, settings)["inverse"]
    seed = settings.execution.random_seed
    warped = warp_coarsely(template_path("t1"), transform, scene.reference, scene.box, seed)
    return Picture(
        "alignment",
        "alignmentTemplate",
        visit.reference,
        _compare(scene, Underlay(warped, "template, warped"), visit.reference),
        f"The template warped to the {visit.reference}",
        f"Above the {visit.reference}, below the template {TEMPLATE} warped to it (coarsely, for "
        "this picture only), with the person’s own contours on both. The template’s ventricles "
        f"and outer border should fill the lines. {ORIENTATION}",
    )


def map_transforms(settings: Settings, visit: VisitPlan) -> Iterator[tuple[MapPlan, Path | None]]:
    """Go through a visit's maps with the transform that leads to the reference; None for headers.

    Parameters
    ----------
    settings
        The run's settings.
    visit
        The plan.
    """
    written = transform_paths(visit, settings)
    for group in map_groups(visit):
        for entry in group:
            if isinstance(entry.transform, Given):
                yield entry, entry.transform.file.path
            elif entry.transform is not None:
                yield entry, settings.output_dir / written[f"transform_{group_name(group)}"]
            else:
                yield entry, None


def map_picture(visit: VisitPlan, scene: Scene, entry: MapPlan, transform: Path | None) -> Picture:
    """Draw the contours of the person's tissues on a map brought to the reference."""
    underlay = _map_underlay(visit, entry, transform)
    png = slice_figure(
        scene.reference,
        scene.box,
        _alignment_rows(scene, 1),
        [underlay],
        _alignment_outlines(scene),
    )
    how = {
        "header": "aligned by its header",
        "transform": f"aligned by {transform.name if transform else 'a given transform'}",
        "register": "registered rigidly",
    }[entry.how]
    return Picture(
        "alignment",
        f"alignment{entry.name}",
        visit.reference,
        png,
        f"{entry.name} aligned to the {visit.reference}",
        f"{entry.name} ({entry.file.path.name}), {how}, with the reference’s contours. The map is "
        "resampled for this picture only: it is measured in its own grid. Dark grey lies outside "
        f"its field of view. {ORIENTATION}",
    )


def _map_underlay(visit: VisitPlan, entry: MapPlan, transform: Path | None) -> Underlay:
    if transform is None:
        return Underlay(load_ras(entry.file.path), entry.name)
    matrix = linear_matrix(transform, entry.file.path, visit.reference_file.path)
    return Underlay(load_ras(entry.file.path), entry.name, matrix)
