"""What the report shows of atlases: a picture of each, and the lesions in its regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np

from wmhflow.core.regions.probabilities import STEPS
from wmhflow.labels.foreign import unsided_name
from wmhflow.products.outputs import image_paths
from wmhflow.reports.figures import Fill
from wmhflow.reports.pictures import ORIENTATION, Picture, Scene, fill_figure
from wmhflow.reports.tables import SideVolumes, fixed, millilitres, number
from wmhflow.reports.volumes import Volume, to_ras

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from wmhflow.labels.regions import Region
    from wmhflow.plan.atlases import AtlasPlan
    from wmhflow.plan.visit import VisitPlan
    from wmhflow.reports.tables import TableRow
    from wmhflow.settings import Settings

SHOWN_REGIONS = 20
OTHERS_COLOUR = "#9aa0a6"


@dataclass(frozen=True)
class Pair:
    """A region and its homologue, or a region that has none; numbers in the atlas."""

    name: str
    left: int | None
    right: int | None
    other: int | None

    @property
    def members(self) -> tuple[int, ...]:
        """The numbers that it is made of."""
        return tuple(n for n in (self.left, self.right, self.other) if n is not None)


def pairs_of(regions: Mapping[int, Region]) -> list[Pair]:
    """Put the two sides of every region together, in the atlas's order.

    Parameters
    ----------
    regions
        By number.
    """
    index_of = {region.name: index for index, region in regions.items()}
    pairs: list[Pair] = []
    seen: set[int] = set()
    for index, region in regions.items():
        if index in seen:
            continue
        homologue = index_of.get(region.homologue or "")
        sides = {region.hemisphere: index}
        if homologue is not None:
            sides[regions[homologue].hemisphere] = homologue
        seen |= set(sides.values())
        pairs.append(
            Pair(
                unsided_name(region.name) if homologue is not None else region.name,
                sides.get("L"),
                sides.get("R"),
                sides.get("B"),
            )
        )
    return pairs


def palette(count: int) -> list[str]:
    """Return colours that differ; an atlas's own often do not, or differ from side to side.

    Parameters
    ----------
    count
        Up to ``SHOWN_REGIONS``.
    """
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    # without the two greys, which stand for what is not named
    colours = [to_hex(colour) for name in ("tab20", "Dark2") for colour in colormaps[name].colors]
    return [colour for k, colour in enumerate(colours) if k not in (14, 15)][:count]


def colours_of(rows: Sequence[TableRow], atlas: AtlasPlan) -> dict[Pair, str]:
    """Choose the regions that are named in picture and table, and their colours.

    Parameters
    ----------
    rows
        The table of volumes.
    atlas
        Whose regions they are.

    Returns
    -------
    dict
        At most ``SHOWN_REGIONS``, those with most WMH, in the atlas's order.
    """
    load = {int(row["index"]): number(row["wmh_volume_mm3"]) for row in rows
            if row["seg"] == atlas.name}  # fmt: skip
    pairs = pairs_of(atlas.regions)
    ordered = sorted(pairs, key=lambda pair: -sum(load.get(n, 0.0) for n in pair.members))
    named = set(ordered[:SHOWN_REGIONS])
    chosen = [pair for pair in pairs if pair in named]
    return dict(zip(chosen, palette(len(chosen)), strict=True))


def atlas_volumes(rows: Sequence[TableRow], atlas: AtlasPlan) -> list[SideVolumes]:
    """Tabulate the regions that hold most of the lesions, the sides side by side.

    Parameters
    ----------
    rows
        The table of volumes.
    atlas
        Whose regions they are.

    Returns
    -------
    list of SideVolumes
        At most ``SHOWN_REGIONS``, the most WMH first; only regions that have any.
    """
    found = {int(row["index"]): row for row in rows if row["seg"] == atlas.name}
    shown = []
    for pair, colour in colours_of(rows, atlas).items():
        cells = [found.get(n, {}) if n is not None else {} for n in (pair.left, pair.right)]
        members = [found[n] for n in pair.members if n in found]
        wmh = sum(number(row["wmh_volume_mm3"]) for row in members)
        if wmh > 0:
            volume = sum(number(row["volume_mm3"]) for row in members)
            left, right = ([millilitres(number(cell.get(column))) for cell in cells]
                           for column in ("volume_mm3", "wmh_volume_mm3"))  # fmt: skip
            one = SideVolumes(
                pair.name,
                colour,
                (left[0], left[1], millilitres(volume)),
                (right[0], right[1], millilitres(wmh)),
                fixed(str(100 * wmh / volume)),
                # a lesion may reach both sides: the two counts cannot be added
                " + ".join(row["n_lesions"] for row in members),
            )
            shown.append((wmh, one))
    return [one for _, one in sorted(shown, key=lambda entry: -entry[0])]


def atlas_picture(
    settings: Settings,
    visit: VisitPlan,
    scene: Scene,
    atlas: AtlasPlan,
    rows: Sequence[TableRow],
) -> Picture:
    """Draw the regions of an atlas on the reference; where they overlap, the likeliest.

    Parameters
    ----------
    settings
        The run's settings.
    visit
        Whose outputs exist.
    scene
        The visit's images.
    atlas
        One of the visit's.
    rows
        The table of volumes, which says where most WMH are.
    """
    labels = _labels(settings, visit, atlas)
    pairs = [pair for pair in pairs_of(atlas.regions) if np.isin(labels, pair.members).any()]
    number_of = {n: k for k, pair in enumerate(pairs, start=1) for n in pair.members}
    lookup = np.zeros(max(int(labels.max(initial=0)), *number_of, 0) + 1, dtype=np.int64)
    lookup[list(number_of)] = list(number_of.values())
    painted = lookup[labels] * scene.brain
    colours = colours_of(rows, atlas)
    entries = tuple(
        (k, colours[pair], pair.name) if pair in colours else (k, OTHERS_COLOUR, "")
        for k, pair in enumerate(pairs, start=1)
    )
    title = atlas.definition.title if atlas.definition else atlas.path.name
    some = f" The {SHOWN_REGIONS} with most WMH are named, the others grey."
    some = some if len(pairs) > SHOWN_REGIONS else ""
    overlap = " Where regions overlap, the likeliest is shown." if atlas.is_probabilistic else ""
    return Picture(
        "regions",
        f"atlas{atlas.name}",
        "dseg",
        fill_figure(scene, Fill(painted, entries, 0.5)),
        f"Regions of the atlas {atlas.name} on the reference image",
        f"Regions of the atlas {atlas.name} on the reference image ({title}); both sides of a "
        f"region have one colour.{some}{overlap} {ORIENTATION}",
    )


def _labels(settings: Settings, visit: VisitPlan, atlas: AtlasPlan) -> NDArray[np.int64]:
    paths = image_paths(visit, settings)
    if not atlas.is_probabilistic:
        image = nib.load(settings.output_dir / paths[f"seg_{atlas.name}"])
        labels = np.asanyarray(image.dataobj).astype(np.int64)
    else:
        image = nib.load(settings.output_dir / paths[f"atlasprob_{atlas.name}"])
        steps = np.asarray(image.dataobj.get_unscaled())
        likeliest = np.argmax(steps, axis=3) + 1
        enough = steps.max(axis=3) >= settings.regions.atlas_threshold * STEPS
        labels = np.where(enough, likeliest, 0).astype(np.int64)
    return to_ras(Volume(labels, image.affine)).data
