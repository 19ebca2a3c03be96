"""Every measure of the QC table has words of its own, for whoever reads a report."""

from __future__ import annotations

import re

import pytest

from wmhflow.registries.quality import load_quality_measures, words_of

MEASURES = load_quality_measures()


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.metric)
def test_words_say_what_and_of_what_and_hold_no_name_of_the_file(measure):
    metric = measure.metric.replace("*", "Example")
    words = words_of(metric)
    # another row may fit first, which is what a report finds as well
    assert not re.search(r"[a-z0-9]_[a-z0-9]", words), words
    assert metric not in words
    assert len(words.split()) > 1
    assert ("Example" in words) == ("*" in measure.metric)


@pytest.mark.parametrize(
    ("metric", "ends"),
    [
        ("wmh_expected_dice", "if the probabilities of lesion are right"),
        ("T1w_unevenness", "(T1w)"),
        ("map_MD_nawm_no_data", "(MD)"),
        ("map_FA_refused", "(map FA)"),
        ("map_FA_coverage_WMH", "of WMH that valid voxels of the map cover (FA)"),
        ("map_FA_coverage_JV", "(FA, JV)"),
        ("wmh_fits_better_mirrored", "(mirrored)"),
        ("template_registration_mutual_information_affine", "(template registration, affine)"),
        ("nobody_knows_it", "nobody knows it"),
    ],
)
def test_words_of(metric, ends):
    assert words_of(metric).endswith(ends)
