"""What the numbers in label images mean, as tables for the documentation."""

from __future__ import annotations

from wmhflow.labels.digits import LETTER_BOTH, LETTERS
from wmhflow.labels.regions import Region, load_regions, registered_images
from wmhflow.labels.shells import SHELLS, shell_regions


def regions_tables() -> str:
    """Return the numbers of all regions as Markdown for the documentation, a table per image.

    Shells are those of the width and the number that a run has by default.
    """
    parts = []
    kinds = {seg: load_regions(seg) for seg in registered_images()} | {SHELLS: shell_regions()}
    for seg, regions in kinds.items():
        lines = [f"**`seg-{seg}`**", "", "| both | left | right | | name |", "| --- " * 5 + "|"]
        for region in regions.values():
            if region.hemisphere == LETTER_BOTH:
                number_of = {LETTER_BOTH: region.index} | {
                    one.hemisphere: index
                    for index, one in regions.items()
                    if region.name in one.parents
                    and one.hemisphere != LETTER_BOTH
                    and _is_side(one, region)
                }
                cells = [str(number_of.get(side, "")) for side in LETTERS.values()]
                lines.append(f"| {' | '.join([*cells, region.abbreviation, region.name])} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _is_side(one: Region, whole: Region) -> bool:
    """Tell whether a region is one side of another, and not a part of it."""
    return one.name in (f"left {whole.name}", f"right {whole.name}")
