"""The regions of atlases that the report shows: sides together, those with most WMH, coloured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wmhflow.labels.foreign import unsided_name
from wmhflow.reports.tables import SideVolumes, fixed, millilitres, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wmhflow.labels.regions import Region
    from wmhflow.plan.atlases import AtlasPlan
    from wmhflow.reports.tables import TableRow

SHOWN_REGIONS = 20


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
    maps = [colormaps[name] for name in ("tab20", "Dark2")]
    colours = [to_hex(one(k)) for one in maps for k in range(one.N)]
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
