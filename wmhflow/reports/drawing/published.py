"""What others found, behind a person's own profile."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from wmhflow.registries.maps import PublishedWidth

# a single width is drawn as a band of this many mm
LEAST_BAND_MM = 0.3
ALPHA = 0.16


def draw_published(
    axes: Axes, published: Sequence[PublishedWidth], colours: dict[str, str]
) -> None:
    """Draw published widths of the penumbra as bands behind everything else.

    Parameters
    ----------
    axes
        Of a profile: mm from the lesion edge along x. Its limits stay as they are.
    published
        Of the map.
    colours
        By lesion class.
    """
    before = axes.get_xlim()
    for number, width in enumerate(published):
        low, high = width.width_mm
        wanting = max(0.0, LEAST_BAND_MM - (high - low)) / 2
        axes.axvspan(
            low - wanting, high + wanting, color=colours[width.lesions], alpha=ALPHA, linewidth=0,
            zorder=0, label="published widths" if number == 0 else None,
        )  # fmt: skip
    axes.set_xlim(before)
