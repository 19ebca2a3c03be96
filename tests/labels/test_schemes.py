"""A zone scheme is a row of zones.toml, and everything else follows from it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from wmhflow.cli.parser import build_parser, parse_settings
from wmhflow.core.regions.zones import zone_labels
from wmhflow.errors import UsageError
from wmhflow.labels import schemes
from wmhflow.labels.schemes import (
    DEFAULT_SCHEME,
    ZoneScheme,
    scheme_names,
    schemes_table,
    zone_schemes,
)
from wmhflow.products.columns import lesion_columns
from wmhflow.products.dataset import look_up_table
from wmhflow.products.methods import citation_files, methods_text
from wmhflow.products.rows import in_images, possible_images
from wmhflow.registries.bibliography import bibliography
from wmhflow.settings import options_table, read_config_file

ROW = """
[[scheme]]
name = "jv5-jc2"
juxtaventricular_mm = 5
juxtacortical_mm = 2.5
text = "juxtaventricular (5 mm), juxtacortical (2.5 mm) and deep"
citation = "distance"
"""
BASE = ["in", "out", "participant"]


@pytest.fixture
def further(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ZoneScheme:
    """A registry with one row more."""
    path = tmp_path / "zones.toml"
    path.write_text(schemes.registry_file().read_text(encoding="utf-8") + ROW, encoding="utf-8")
    monkeypatch.setattr(schemes, "registry_file", lambda: path)
    return zone_schemes()["jv5-jc2"]


def test_a_further_row_divides_white_matter(further: ZoneScheme) -> None:
    ventricle, cortex = np.array([[[5, 5.01, 5.01, 90]]]), np.array([[[1, 2.5, 2.51, 90]]])
    everywhere = np.ones((1, 1, 4), dtype=bool)
    labels = zone_labels(ventricle, cortex, everywhere, ~everywhere, further)
    assert labels.ravel().tolist() == [11, 14, 13, 13]
    assert further.zones == (1, 3, 4)


def test_a_further_row_can_be_chosen(further: ZoneScheme, tmp_path: Path) -> None:
    assert parse_settings([*BASE, "--zones", further.name]).regions.zones == (further.name,)
    assert further.name in build_parser().format_help()
    path = tmp_path / "config.toml"
    path.write_text(f'[regions]\nzones = "{further.name}"\n')
    assert read_config_file(path)["regions"]["zones"] == (further.name,)


def test_a_further_row_is_explained(further: ZoneScheme) -> None:
    settings = parse_settings([*BASE, "--zones", DEFAULT_SCHEME, further.name])
    assert f"; and again: {further.text} [@distance]. A lesion" in methods_text(settings)
    assert further.text in citation_files(settings)["CITATION.md"]
    assert further.name in options_table()
    assert f"| `{further.name}` | {further.text} |" in schemes_table()


def test_a_further_row_has_its_label_images_and_columns(further: ZoneScheme) -> None:
    regions = parse_settings([*BASE, "--zones", "pv10", further.name]).regions
    assert {"zonesjv5jc2", "majorityjv5jc2"} <= set(possible_images(regions))
    abbreviations = [line.split("\t")[2] for line in look_up_table(
        in_images("zonesjv5jc2", regions)).splitlines()[1:]]  # fmt: skip
    assert abbreviations == ["JV-L", "D-L", "JC-L", "JV-R", "D-R", "JC-R"]
    assert "majority_jv5_jc2" in [column[0] for column in lesion_columns(regions.zones)]


def test_without_the_row_the_scheme_is_refused() -> None:
    with pytest.raises(UsageError, match="invalid choice: 'jv5-jc2'"):
        parse_settings([*BASE, "--zones", "jv5-jc2"])


def test_the_schemes_that_were_published_stay_what_they_were() -> None:
    found = {
        name: (one.juxtaventricular_mm, one.juxtacortical_mm, one.periventricular_mm, one.nearer)
        for name, one in zone_schemes().items()
    }
    assert found == {
        "jv3-pv13-jc4": (3, 4, 13, False),
        "pv10": (None, None, 10, False),
        "pv4-14": (4, None, 14, False),
        "pv12": (None, None, 12, False),
        "nearer": (None, None, None, True),
    }
    assert scheme_names()[0] == DEFAULT_SCHEME


@pytest.mark.parametrize("name", scheme_names())
def test_every_text_says_the_scheme_s_limits_and_cites_what_there_is(name: str) -> None:
    scheme = zone_schemes()[name]
    limits = (scheme.juxtaventricular_mm, scheme.juxtacortical_mm, scheme.periventricular_mm)
    said = [float(number) for number in re.findall(r"([\d.]+) mm", scheme.text)]
    assert said == [limit for limit in limits if limit is not None]
    assert scheme.citation is None or scheme.citation in bibliography()


@pytest.mark.parametrize(
    "row",
    [
        'name = "a b"\nperiventricular_mm = 3\ntext = "t"',
        'name = "ab"\ntext = "t"',
        'name = "ab"\nnearer = true\nperiventricular_mm = 3\ntext = "t"',
        'name = "ab"\nperiventricular_mm = 0\ntext = "t"',
        'name = "ab"\nperiventricular_mm = 3',
        'name = "pv-10"\nperiventricular_mm = 3\ntext = "t"',
    ],
)
def test_a_row_that_means_nothing_is_refused(
    row: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "zones.toml"
    own = schemes.registry_file().read_text(encoding="utf-8")
    path.write_text(f"{own}\n[[scheme]]\n{row}\n", encoding="utf-8")
    monkeypatch.setattr(schemes, "registry_file", lambda: path)
    with pytest.raises(ValueError, match="the zone scheme"):
        zone_schemes()
