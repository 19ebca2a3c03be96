"""The methods text names what was done for a visit, and no method that was not used."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from tests.products.kinds import settings, visits
from wmhflow.cli.methods import MethodsOfRun
from wmhflow.plan.visit import Composed, Computed, Given, ParticipantPlan, VisitPlan
from wmhflow.products.dataset import write_methods
from wmhflow.products.methods import citation_files, methods_text
from wmhflow.products.used import methods_of
from wmhflow.products.visit import visit_unit
from wmhflow.reports.context import VisitContext
from wmhflow.reports.person import _methods
from wmhflow.settings import Settings
from wmhflow.steps.computed import MAP_STEPS
from wmhflow.workflows.units import units_of

BY_RULE = settings("--acute-source", "dwi", "--fill-holes")


def warped(visit: VisitPlan) -> bool:
    return isinstance(visit.forward, Computed)


def by(step: str) -> Callable[[VisitPlan], bool]:
    """Whether a map is computed by a step."""
    return lambda visit: any(
        isinstance(entry.values, Computed) and entry.values.step == step for entry in visit.maps
    )


def moved_maps(visit: VisitPlan) -> bool:
    entries = [*visit.maps, *([visit.acute_image] if visit.acute_image else [])]
    return any(isinstance(entry.transform, Computed) for entry in entries)


def bent_maps(visit: VisitPlan) -> bool:
    ways = [entry.transform for entry in visit.maps]
    return any(isinstance(way, Composed) and way.bends for way in ways)


def inverted_fields(visit: VisitPlan) -> bool:
    ways = [*(entry.transform for entry in visit.maps), visit.other_transform, visit.inverse]
    legs = [leg for way in ways for leg in (way.legs if isinstance(way, Composed) else [way])]
    return any(isinstance(leg, Given) and leg.bends and leg.inverted for leg in legs)


def relative_to(tracer: str) -> Callable[[VisitPlan], bool]:
    return lambda visit: any(entry.name == f"SUVR{tracer}" for entry in visit.maps)


# what the text says, and of which visits it is true
SAID: dict[str, Callable[[VisitPlan], bool]] = {
    "SyN": warped,
    "registered to the symmetric template": warped,
    "were given, and applied with ANTs": lambda visit: not warped(visit),
    "[@filling]": warped,
    "it was made anew from": lambda visit: warped(visit) and not visit.wmh_comes_first,
    "the other anatomical image": lambda visit: (
        visit.other_anatomical is not None and isinstance(visit.other_transform, Computed)
    ),
    "each group of quantitative maps": moved_maps,
    "Maps that only a field of displacements led": bent_maps,
    "[@inverse]": inverted_fields,
    "The T1w image of each visit": lambda visit: visit.reference == "T1w",
    "The FLAIR image of each visit": lambda visit: visit.reference == "FLAIR",
    "[@n4]": lambda visit: visit.parcellation is None,
    "[@mixture]": lambda visit: visit.parcellation is None,
    "[@fast]": lambda visit: visit.parcellation is None,
    "a given FreeSurfer-coded parcellation": lambda visit: visit.parcellation is not None,
    "[@outliers]": lambda visit: isinstance(visit.wmh, Computed) and visit.wmh.command is None,
    "[@unet]": lambda visit: isinstance(visit.wmh, Computed) and visit.wmh.command is None,
    "given masks were used as they were": lambda visit: (
        isinstance(visit.wmh, Given) and not visit.wmh.is_probability
    ),
    "given probabilities were cut at 0.5": lambda visit: (
        isinstance(visit.wmh, Given) and visit.wmh.is_probability
    ),
    "[@lstai]": lambda visit: (
        isinstance(visit.wmh, Computed)
        and visit.wmh.segmenter is not None
        and visit.wmh.segmenter.name == "lst-ai"
    ),
    "computed with the command `x": lambda visit: (
        isinstance(visit.wmh, Computed)
        and visit.wmh.command is not None
        and visit.wmh.segmenter is None
    ),
    "Holes in given masks": lambda visit: isinstance(visit.wmh, Given),
    "a mask of infarcts": lambda visit: visit.infarct is not None,
    "metric of the registration": lambda visit: visit.infarct is not None and warped(visit),
    "intensity model": lambda visit: visit.infarct is not None and visit.parcellation is None,
    "What lies on another template": lambda visit: any(one.bridge for one in visit.atlases),
    "Where a diffusion series": lambda visit: by("tensor")(visit) or by("adc")(visit),
    "[@wls]": by("tensor"),
    "[@coherence]": by("tensor"),
    "[@alps]": by("tensor"),
    "[@kurtosis]": by("kurtosis"),
    "[@dipy]": by("kurtosis"),
    "[@freewater]": by("free_water"),
    "[@ivim]": by("ivim"),
    "[@fractions]": by("fractions"),
    "R2* from": by("decay"),
    "magnetisation transfer ratio": by("transfer"),
    "R1 as the reciprocal": by("relaxation_rate"),
    "T1w/T2w as the ratio": by("t1_over_t2"),
    "susceptibility from": by("susceptibility"),
    "(SUVR)": by("uptake"),
    "[@pons]": relative_to("FDG"),
    "(amyloid and tau)": relative_to("PIB"),
    "[@niftimrs]": lambda visit: bool(visit.spectra),
    "Acute lesions were looked for": lambda visit: visit.acute_image is not None,
    "[@acuteadc]": lambda visit: visit.acute_image is not None,
    "[@remote]": lambda visit: (
        "haemorrhage" in visit.others
        and ("acute" in visit.others or visit.acute_image is not None)
    ),
    "Each quantitative map was sampled": lambda visit: bool(visit.maps),
    "[@penumbra]": lambda visit: bool(visit.maps),
    "Exact Euclidean distances": lambda _: True,
}  # fmt: skip
ALWAYS = {"Exact Euclidean distances"}


@cache
def used(kind: str) -> frozenset[str]:
    visit = visits()[kind]
    return methods_of(visit_unit(visit, BY_RULE), visit)


def settings_of(kind: str) -> Settings:
    """The settings from which such a visit follows."""
    wmh = visits()[kind].wmh
    command = None
    if isinstance(wmh, Computed):
        command = wmh.segmenter.name if wmh.segmenter else wmh.command
    return settings("--acute-source", "dwi", "--fill-holes",
                    *(["--wmh-command", command] if command else []))  # fmt: skip


@pytest.mark.parametrize("kind", visits())
def test_the_text_names_what_is_done_and_nothing_else(kind: str) -> None:
    chosen = settings_of(kind)
    text = methods_text(chosen, used(kind))
    wrong = {said: is_true(visits()[kind]) for said, is_true in SAID.items()
             if (said in text) != bool(is_true(visits()[kind]))}  # fmt: skip
    assert wrong == {}
    # an abbreviation is explained once, where it stands first
    assert text.count("(WMH)") == 1
    assert text.index("(WMH)") == text.index("WMH") - 1
    # what is cited stands in the references, and nothing else
    cited = citation_files(chosen, used(kind))["CITATION.bib"].count("@misc{")
    assert cited == len({part.partition("]")[0] for part in text.split("[@")[1:]})


@pytest.mark.parametrize("said", SAID)
def test_each_sentence_is_there_for_some_and_not_for_others(said: str) -> None:
    found = {said in methods_text(settings_of(kind), used(kind)) for kind in visits()}
    assert found == ({True} if said in ALWAYS else {True, False})
    # without a plan all is told that the settings allow
    if said not in ("The T1w image of each visit", "The FLAIR image of each visit",
                    "were given, and applied with ANTs", "[@lstai]",
                    "computed with the command `x"):  # fmt: skip
        assert said in methods_text(BY_RULE)


def test_the_reported_finding_nothing_computed_where_all_is_given() -> None:
    """Masks, parcellation and warps were given, and no map was computed."""
    text = methods_text(BY_RULE, used("all transforms given"))
    for key in ("n4", "mixture", "fast", "outliers", "unet", "filling", "wls", "kurtosis", "alps",
                "freewater", "ivim", "pons", "niftimrs", "coherence"):  # fmt: skip
        assert f"[@{key}]" not in text
    for word in ("SyN", "Where a PET", "infarct", "otherwise the", "Acute"):
        assert word not in text
    # ANTs applies them
    assert "[@ants]" in text


def test_what_some_persons_have_is_told_with_its_condition() -> None:
    both = used("given") | used("computed")
    text = methods_text(BY_RULE, both)
    assert "parcellation where there was one; otherwise the bias field" in text
    assert "given masks were used as they were; where there was none, they were computed" in text
    one = methods_text(BY_RULE, used("computed"))
    assert "The bias field was corrected" in one
    assert "For WMH, they were computed on the FLAIR's own grid" in one


def test_a_persons_page_tells_that_persons_methods() -> None:
    given, computed = (VisitContext(BY_RULE, visits()[kind])
                       for kind in ("all transforms given", "computed"))  # fmt: skip
    assert "SyN" not in _methods(BY_RULE, [given])
    assert "SyN" in _methods(BY_RULE, [given, computed])


# ---- the text of the dataset ---------------------------------------------------------------------


def in_folder(folder: Path, *more: str) -> Settings:
    return replace(settings(*more), output_dir=folder)


def told(folder: Path) -> str:
    return (folder / "logs" / "CITATION.md").read_text(encoding="utf-8")


def test_jobs_of_a_person_each_end_with_the_text_of_all(tmp_path: Path) -> None:
    ends = []
    for name, kinds in (("a", ("given", "computed")), ("b", ("computed", "given"))):
        chosen = in_folder(tmp_path / name)
        for kind in kinds:
            write_methods(chosen, used(kind), is_all=False)
        ends.append([path.read_bytes() for path in sorted((tmp_path / name / "logs").iterdir())
                     if path.is_file() and not path.name.startswith(".")])  # fmt: skip
    assert ends[0] == ends[1]
    assert "where there was one; otherwise" in told(tmp_path / "a")


def test_a_run_of_all_and_other_settings_begin_anew(tmp_path: Path) -> None:
    chosen = in_folder(tmp_path)
    write_methods(chosen, used("computed"), is_all=False)
    write_methods(chosen, used("given"), is_all=True)
    assert "[@" not in told(tmp_path)
    assert "N4" not in told(tmp_path)
    write_methods(chosen, used("computed"), is_all=False)
    write_methods(in_folder(tmp_path, "--shell-width", "1"), used("given"), is_all=False)
    assert "N4" not in told(tmp_path)
    assert "1 mm thick" in told(tmp_path)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"Methods": 3}', '{"Methods": [1, {}]}'])
def test_a_damaged_list_of_methods_counts_as_none(tmp_path: Path, damage: str) -> None:
    chosen = in_folder(tmp_path)
    write_methods(chosen, used("computed"), is_all=False)
    path = tmp_path / "logs" / "methods.json"
    key = json.loads(path.read_text(encoding="utf-8"))["Settings"]
    path.write_text(damage.replace('{"M', f'{{"Settings": "{key}", "M'), encoding="utf-8")
    write_methods(chosen, used("given"), is_all=False)
    assert "N4" not in told(tmp_path)


def test_a_run_notes_those_who_can_be_processed_and_writes_once(tmp_path: Path) -> None:
    chosen = in_folder(tmp_path)
    good, bad = visits()["given"], replace(visits()["computed"], problem="cut")
    run = MethodsOfRun(chosen)
    plans = [ParticipantPlan("01", (good,)), ParticipantPlan("02", (bad,))]
    for plan in plans:
        run.note(units_of(plan, chosen), plan)
    run.write()
    first = told(tmp_path)
    assert "N4" not in first
    run.finish()
    assert told(tmp_path) == first
    nobody = MethodsOfRun(in_folder(tmp_path / "none"))
    nobody.note(units_of(plans[1], chosen), plans[1])
    nobody.write()
    nobody.finish()
    assert not (tmp_path / "none").exists()


def test_every_step_that_computes_maps_has_a_sentence() -> None:
    told = {"find_nawm", "uptake:pons"}
    without = methods_text(BY_RULE, told)
    silent = [name for name, step in MAP_STEPS.items()
              if methods_text(BY_RULE, told | {step.__name__}) == without]  # fmt: skip
    # one that takes a volume out of a given image computes nothing
    assert silent == ["component"]


def test_where_nothing_was_processed_no_method_is_named() -> None:
    assert methods_text(BY_RULE, set()) == "Nothing was processed."
    failed = VisitContext(BY_RULE, replace(visits()["given"], problem="cut"))
    page = _methods(BY_RULE, [failed])
    assert "Nothing was processed." in page
    assert "doi" not in page
