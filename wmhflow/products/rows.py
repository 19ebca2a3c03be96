"""Which label images a visit has, which numbers can occur in them, and the rows of the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from functools import lru_cache
from itertools import product

from wmhflow.errors import UsageError
from wmhflow.labels.digits import (
    LETTER_BOTH,
    LETTER_LEFT,
    LETTER_RIGHT,
    class_of,
    crossed,
    layer_of,
)
from wmhflow.labels.regions import Region, leaves_of, load_regions
from wmhflow.labels.rows import TableRegion
from wmhflow.labels.schemes import zone_schemes
from wmhflow.labels.shells import SHELLS, shell_regions
from wmhflow.plan.atlases import AtlasPlan
from wmhflow.plan.visit import VisitPlan
from wmhflow.settings import Regions, Settings


def zone_images(schemes: tuple[str, ...], kind: str = "zones") -> dict[str, str]:
    """Name the label image of every zone scheme: the first has the plain name.

    Parameters
    ----------
    schemes
        Names of schemes, as ``--zones`` takes them.
    kind
        ``zones``, or ``majority`` for the lesions by the zone that holds most of them.

    Examples
    --------
    >>> zone_images(("jv3-pv13-jc4", "pv4-14"))
    {'zones': 'jv3-pv13-jc4', 'zonespv414': 'pv4-14'}
    """
    first, *others = schemes
    return {kind: first} | {kind + scheme.replace("-", ""): scheme for scheme in others}


def tabulated_images(visit: VisitPlan) -> tuple[str, ...]:
    """Return the label images whose regions are rows of the tables, atlases last."""
    return (*_own_images(visit), *(atlas.name for atlas in visit.atlases))


def _own_images(visit: VisitPlan) -> tuple[str, ...]:
    return tuple(_images(visit.zones, has_lobes=visit.lobes is not None))


def possible_images(options: Regions) -> tuple[str, ...]:
    """Return the program's label images that a visit of this run may have, lobes included."""
    return tuple(_images(options.zones, has_lobes=True))


def check_crosses(options: Regions) -> None:
    """Refuse ``--cross`` of label images that no visit of this run can have.

    Raises
    ------
    UsageError
        If there is one; it lists those that there are.
    """
    possible = (*possible_images(options), *(text.partition("=")[0] for text in options.atlas))
    for pair in options.cross:
        for name in pair:
            if name not in possible:
                raise UsageError(
                    f"--cross {':'.join(pair)}: there is no label image '{name}'; "
                    f"there are {', '.join(possible)}."
                )


def _images(schemes: tuple[str, ...], *, has_lobes: bool) -> Iterator[str]:
    yield "tissue"
    yield from zone_images(schemes)
    yield "continuity"
    yield from zone_images(schemes, "majority")
    if has_lobes:
        yield from ("lobes", "bullseye")
    yield SHELLS


def regions_of(seg: str, options: Regions) -> dict[int, Region]:
    """Return the regions that a label image of this run can have, by number.

    Parameters
    ----------
    seg
        One of :func:`tabulated_images`.
    options
        The run's zones, layers and shells.

    Raises
    ------
    KeyError
        If there is no such label image.
    """
    for kind in ("zones", "majority"):
        scheme = zone_images(options.zones, kind).get(seg)
        if scheme is not None:
            return _in_scheme(seg, kind, scheme)
    if seg == SHELLS:
        return shell_regions(options.shell_width, options.shell_max)
    regions = load_regions(seg)
    if seg == "bullseye":
        return {i: one for i, one in regions.items() if layer_of(i) <= options.bullseye_layers}
    return regions


def _in_scheme(seg: str, kind: str, scheme: str) -> dict[int, Region]:
    """Keep the zones that a scheme can give."""
    zones, regions = zone_schemes()[scheme].zones, load_regions(kind)
    return {i: replace(one, seg=seg) for i, one in regions.items() if class_of(i) in zones}


def in_images(seg: str, options: Regions) -> list[Region]:
    """List the regions whose numbers can occur in a label image, rather than their unions."""
    regions = regions_of(seg, options)
    leaves = leaves_of(regions)
    return [region for index, region in regions.items() if leaves[index] == (index,)]


def table_regions(visit: VisitPlan, settings: Settings) -> list[TableRegion]:
    """List the regions of a visit's tables, in registry order, crossed ones last.

    Parameters
    ----------
    visit
        The plan.
    settings
        The run's settings.
    """
    plain = {seg: list(_own_rows(seg, settings.regions)) for seg in _own_images(visit)}
    plain |= {atlas.name: atlas_regions(atlas) for atlas in visit.atlases}
    atlases = {atlas.name for atlas in visit.atlases}
    crossed = [
        region
        for one, other in settings.regions.cross
        if one in plain and other in plain
        for region in _crossed(plain[one], plain[other], {one, other} & atlases)
    ]
    return [region for regions in plain.values() for region in regions] + crossed


@lru_cache(maxsize=64)
def _own_rows(seg: str, options: Regions) -> tuple[TableRegion, ...]:
    """Return the rows of a label image of the program's own; every visit of a run asks anew."""
    return tuple(_plain(seg, regions_of(seg, options)))


def atlas_regions(atlas: AtlasPlan) -> list[TableRegion]:
    """List an atlas's regions as the tables have them, in its order."""
    return list(_plain(atlas.name, atlas.regions))


def _crossed(
    ones: list[TableRegion], others: list[TableRegion], atlases: Set[str] = frozenset()
) -> Iterator[TableRegion]:
    """Meet every region of one image with every one of another of the same side.

    A region that has no sides meets those of either side; unions of both sides meet each other.
    An atlas's regions have the sides of the template, and those of the program the person's: there
    the unions of both sides meet every region of the atlas, so that nothing falls between.
    """
    if atlases:
        ones, others = (
            [one for one in part if one.seg in atlases or one.hemisphere == LETTER_BOTH]
            for part in (ones, others)
        )
    for one, other in product(ones, others):
        unlike = one.hemisphere != other.hemisphere
        if unlike and not (one.is_unsided or other.is_unsided or atlases):
            continue
        if one.seg in atlases and other.seg in atlases and {one.hemisphere, other.hemisphere} == {
            LETTER_LEFT, LETTER_RIGHT,
        }:  # fmt: skip
            continue
        first, second = (
            part.index if atlases and part.hemisphere == LETTER_BOTH else part.homologue
            for part in (one, other)
        )
        yield TableRegion(
            f"{one.seg}:{other.seg}",
            crossed(one.index, other.index),
            f"{one.name}: {other.name}",
            min({one.hemisphere, other.hemisphere} - {LETTER_BOTH}, default=LETTER_BOTH),
            None if first is None or second is None else crossed(first, second),
            (*one.terms, *other.terms),
        )


def _plain(seg: str, regions: Mapping[int, Region]) -> Iterator[TableRegion]:
    leaves = leaves_of(regions)
    index_of = {region.name: index for index, region in regions.items()}
    for index, region in regions.items():
        homologue = index_of.get(region.homologue or "")
        yield TableRegion(
            seg, index, region.name, region.hemisphere, homologue, ((seg, leaves[index]),)
        )
