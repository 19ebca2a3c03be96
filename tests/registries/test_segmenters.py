"""The registry of outside segmenters says what can be run, and only that."""

from __future__ import annotations

import dataclasses
import re
import string

import pytest

from tests.builders import ROOT
from wmhflow.registries.bibliography import bibliography
from wmhflow.registries.segmenters import (
    OUT,
    Segmenter,
    find_segmenter,
    load_segmenters,
    segmenters_like,
    segmenters_reading,
    segmenters_table,
)
from wmhflow.settings import iter_options

every = pytest.mark.parametrize("known", load_segmenters().values(), ids=lambda known: known.name)


def placeholders(known: Segmenter) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(known.line) if name}


@every
def test_an_entry_can_be_run_and_agrees_with_itself(known: Segmenter) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", known.name)
    assert placeholders(known) <= {"t1w", "flair", "folder", "out"}
    assert known.reads
    # what holds the lesions is told to the program, one way or another
    assert ("out" if known.output == OUT else "folder") in placeholders(known)
    assert known.space in {"reference", *(suffix.lower() for suffix in known.reads)}
    assert known.space != "reference" or known.reads == ("T1w", "FLAIR")
    assert not (known.labels and known.threshold is not None)
    assert set(known.image_words) <= set(known.programs)
    assert not known.only_image or known.image


@every
def test_an_entry_says_where_it_comes_from(known: Segmenter) -> None:
    assert known.address.startswith("https://")
    assert known.licence
    assert not known.install.endswith(".")
    assert bibliography()[known.citation]["doi"].startswith("10.")


def test_names_are_known_to_help_and_documentation() -> None:
    names = list(load_segmenters())
    (told,) = (opt.help for _, _, opt in iter_options() if "--wmh-command" in opt.flags)
    assert ", ".join(names) in told
    table = segmenters_table()
    for known in load_segmenters().values():
        for shown in (f"`{known.name}`", known.address, known.licence, known.install):
            assert shown in table
    assert "_generated/segmenters.md" in (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
    assert "segmenters_table()" in (ROOT / "docs" / "conf.py").read_text(encoding="utf-8")


def test_what_is_told_to_readers_does_not_make_anything_run_again() -> None:
    known = load_segmenters()["samseg"]
    assert dataclasses.replace(known, title="x", licence="y", address="z").running() == (
        known.running()
    )
    for change in ({"labels": (77,)}, {"commands": ("a {out}",)}, {"threshold": 0.3}):
        assert dataclasses.replace(known, **change).running() != known.running()


def test_a_name_is_not_taken_for_a_command_line() -> None:
    assert find_segmenter(" lst-ai ") is load_segmenters()["lst-ai"]
    assert find_segmenter("lst-ai {flair} {out}") is None
    assert find_segmenter(None) is None


@pytest.mark.parametrize(
    ("word", "meant"),
    [("lstai", "lst-ai"), ("LST_AI", "lst-ai"), ("marswmh", "mars-wmh"), ("samsge", "samseg")],
)
def test_a_slip_is_near_what_was_meant(word: str, meant: str) -> None:
    assert segmenters_like(word)[0] == meant


def test_a_word_of_another_kind_is_near_nothing() -> None:
    assert segmenters_like("recon-all") == []


def test_who_has_no_t1w_is_told_what_does_without() -> None:
    without = segmenters_reading(["FLAIR"])
    assert {"synthseg-wmh", "samseg-flair", "truenet-flair"} <= set(without)
    assert "lst-ai" not in without
    assert segmenters_reading(["T1w", "FLAIR"]) == list(load_segmenters())
