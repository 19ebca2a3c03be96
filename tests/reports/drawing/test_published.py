"""Published widths stand behind the profile, where they were found and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.reports.drawing.test_profiles import NAN, points
from wmhflow.registries.maps import PublishedWidth, load_maps
from wmhflow.reports.drawing.profiles import CLASS_COLOURS, profile_figure, profile_png
from wmhflow.reports.drawing.published import draw_published
from wmhflow.reports.published import published_text

WIDTHS = (PublishedWidth("all", (3.0, 8.0), "10.1/x"), PublishedWidth("PV", (14.0, 14.0), "10.1/y"))


def test_bands_lie_where_the_widths_are() -> None:
    axes = Figure().add_subplot()
    axes.set_xlim(-2, 10)
    draw_published(axes, WIDTHS, CLASS_COLOURS)
    edges = [(band.get_x(), band.get_x() + band.get_width()) for band in axes.patches]
    assert np.allclose(edges, [(3, 8), (13.85, 14.15)])
    assert axes.get_xlim() == (-2, 10)
    assert list(axes.get_legend_handles_labels()[1]) == ["published widths"]


def test_a_map_of_which_nothing_is_published_looks_as_before() -> None:
    given = ("FA", "1", {"all": points(rest=0.4)}, {"all": 4.0})
    assert profile_png(*given) == profile_png(*given, published=())
    assert profile_png(*given) != profile_png(*given, published=WIDTHS)
    bands = (
        profile_figure("FA", "1", {"all": points()}, {"all": NAN}, published=WIDTHS).axes[0].patches
    )
    assert len(bands) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("FA", ["lower in WMH", "3 to 8 mm around all lesions", "doi:10.1007/s11604-023-01419-w"]),
        ("MD", ["higher in WMH", "14 mm around periventricular ones", "8 mm around deep ones"]),
        ("CBF", ["lower in WMH", "12 mm around all lesions, doi:10.1016/j.nicl.2015.04.012"]),
        ("IVIMf", ["at times higher"]),
    ],
)
def test_the_sentence_says_what_the_registry_says(name: str, said: list[str]) -> None:
    text = published_text(load_maps()[name])
    assert all(words in text for words in said), text


def test_of_a_map_that_nobody_studied_nothing_is_said() -> None:
    assert published_text(load_maps()["OD"]) == ""
