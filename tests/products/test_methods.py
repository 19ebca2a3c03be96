"""The methods text cites what was used."""

from __future__ import annotations

from wmhflow.cli.parser import parse_settings
from wmhflow.products.methods import citation_files, methods_text
from wmhflow.registries.segmenters import load_segmenters


def test_pybids_is_cited_where_it_indexed_the_dataset() -> None:
    words = ["in", "out", "participant"]
    assert "PyBIDS" not in methods_text(parse_settings(words))
    text = methods_text(parse_settings([*words, "--bids-database-dir", "index"]))
    assert "in BIDS [@bids], indexed with PyBIDS" in text
    assert "[@pybids], were processed" in text


def test_a_segmenter_known_by_name_is_named_and_cited() -> None:
    words = ["in", "out", "participant", "--wmh-command"]
    for known in load_segmenters().values():
        settings = parse_settings([*words, known.name, "--segmenter-image", "/images/tool-1.0.sif"])
        text = methods_text(settings)
        assert f"computed by {known.title} [@{known.citation}]" in text
        assert "in the container image tool-1.0.sif" in text
        assert "/images" not in text
        assert known.line in text
        # every citation has its reference
        assert "doi:10." in citation_files(settings)["CITATION.md"]
    assert "(of its output, label 77)" in methods_text(parse_settings([*words, "synthseg-wmh"]))
    assert "probabilities from 0.5 on)" in methods_text(parse_settings([*words, "truenet"]))


def test_a_command_line_of_the_users_own_is_quoted_and_not_cited() -> None:
    words = ["in", "out", "participant", "--wmh-command", "lst --t1 {t1w} --flair {flair} {out}"]
    text = methods_text(parse_settings(words))
    assert "computed with the command `lst --t1 {t1w} --flair {flair} {out}`" in text
    assert "[@lstai]" not in text


def test_how_maps_of_diffusion_are_computed_is_told_and_cited() -> None:
    words = ["in", "out", "participant"]
    plain = methods_text(parse_settings(words))
    assert "weighted least squares [@wls] from volumes of b up to 1500" in plain
    assert "[@rwls]" not in plain
    robust = parse_settings([*words, "--tensor-fit", "robust"])
    assert "leave out volumes that do not agree [@rwls]" in methods_text(robust)
    assert "doi:10.1002/mrm.25351" in citation_files(robust)["CITATION.md"]


def test_what_uptake_is_relative_to_is_told_and_cited() -> None:
    words = ["in", "out", "participant"]
    plain = parse_settings(words)
    assert "the pons (FDG) [@pons] or the grey matter" in methods_text(plain)
    assert "doi:10.1002/mrm.29418" in citation_files(plain)["CITATION.md"]
    whole = methods_text(parse_settings([*words, "--suvr-reference", "cerebellum"]))
    assert "by its mean in the whole cerebellum, without" in whole
    assert "[@pons]" not in whole


def test_the_rule_of_acute_lesions_is_told_with_its_numbers_if_it_was_used() -> None:
    words = ["in", "out", "participant"]
    assert "Acute lesions" not in methods_text(parse_settings(words))
    settings = parse_settings([*words, "--acute-source", "dwi", "--remote-mm", "15"])
    text = methods_text(settings)
    for number in ("by 6 robust standard", "0.62 × 10⁻³", "5 mm from", "10 mm³", "from 15 mm on",
                   "by 3 standard", "0.7 × 10⁻³"):  # fmt: skip
        assert number in text
    assert "doi:10.1111/ijs.12068" in citation_files(settings)["CITATION.md"]
    assert "doi:10.3389/fneur.2018.00209" in citation_files(settings)["CITATION.md"]
