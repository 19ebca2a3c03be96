"""Every option with a number has bounds, on the command line, in the file and in a plugin's file.

Options are found by their types, so that one without bounds fails here by itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from wmhflow import settings as st
from wmhflow.cli.atlas import run_atlas
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.resources import usable_memory_gb
from wmhflow.errors import UsageError
from wmhflow.workflows.plugin_arguments import PLUGIN_NUMBERS
from wmhflow.workflows.plugins import read_plugin

BASE = ["in", "out", "participant"]
NOT_NUMBERS = ["", " ", "x", "1e", "0x10", "1,5", "²", "true", "9" * 5000, "1" + "0" * 400]
NEVER = ["nan", "inf", "-inf", "1e308", "-1", "1e-320", "-0.5", "1e400"]


def numeric() -> Iterator[tuple[str, Any, st.Option]]:
    """List the options whose fields hold numbers."""
    for group, entry, opt in st.iter_options():
        hint = get_type_hints(st.GROUPS[group])[entry.name]
        kinds = {hint, *get_args(hint)}
        if kinds & {int, float}:
            yield group, entry, opt


NUMERIC = list(numeric())
NAMED = pytest.mark.parametrize(
    ("group", "entry", "opt"), NUMERIC, ids=[entry.name for _, entry, _ in NUMERIC]
)


def outside(bounds: st.Bounds) -> list[str]:
    """Texts that are refused: what is no number, and what lies outside."""
    step = 1 if bounds.kind is int else 1e-6
    edges = [str(bounds.low - step), str(bounds.high * (1 + 1e-6) + (bounds.kind is int))]
    halves = ["1.5"] if bounds.kind is int else []
    never = [text for text in NEVER if not lies_inside(text, bounds)]
    return [*NOT_NUMBERS, *never, *edges, *halves]


def lies_inside(text: str, bounds: st.Bounds) -> bool:
    """Tell what a share may be, however small."""
    return bounds.kind is float and bounds.low <= float(text) <= bounds.high


def test_numbers_are_found_by_their_types() -> None:
    names = {entry.name for _, entry, _ in NUMERIC}
    assert names >= {"nprocs", "mem_gb", "random_seed", "shell_width", "atlas_threshold", "verbose"}


@NAMED
def test_every_number_has_bounds_of_its_type_and_is_within_them(
    group: str, entry: Any, opt: st.Option
) -> None:
    bounds = opt.bounds
    assert bounds is not None, f"{opt.flags[-1]} is without bounds"
    hint = get_type_hints(st.GROUPS[group])[entry.name]
    assert bounds.kind in {hint, *get_args(hint)}
    assert math.isfinite(bounds.low)
    assert math.isfinite(bounds.high)
    assert entry.default is None or bounds.holds(entry.default)
    if not opt.count:
        assert str(bounds) in st.options_table()


@NAMED
def test_the_command_line_refuses_what_lies_outside(group: str, entry: Any, opt: st.Option) -> None:
    if opt.count:
        return
    for text in outside(opt.bounds):
        with pytest.raises(UsageError) as caught:
            parse_settings([*BASE, f"{opt.flags[-1]}={text}"])
        assert opt.bounds.in_words in str(caught.value), text
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("flag", ["--shell-width", "--nprocs", "--reference", "--work-dir"])
def test_two_dashes_are_no_value(flag: str) -> None:
    with pytest.raises(UsageError, match=f"{flag} needs a value"):
        parse_settings([*BASE, f"{flag}=--"])


@NAMED
def test_the_file_refuses_what_lies_outside(
    tmp_path: Path, group: str, entry: Any, opt: st.Option
) -> None:
    path = tmp_path / "c.toml"
    numbers = ["nan", "inf", "-inf", "1e308", "-1", "1e-320", str(10**30)]
    numbers = [text for text in numbers if not lies_inside(text, opt.bounds)]
    numbers += ["true", "[]", "{}"]
    # an outcome of zero is below every bound but that of --verbose
    for text in [*numbers, *(["0"] if opt.bounds.low > 0 else []), '"x"', "1979-05-27"]:
        path.write_text(f"[{group}]\n{entry.name} = {text}\n")
        with pytest.raises(UsageError, match=entry.name):
            parse_settings([*BASE, "--config-file", str(path)])


@NAMED
def test_both_edges_can_be_chosen(tmp_path: Path, group: str, entry: Any, opt: st.Option) -> None:
    path = tmp_path / "c.toml"
    for edge in (opt.bounds.kind(opt.bounds.low), opt.bounds.kind(opt.bounds.high)):
        path.write_text(f"[{group}]\n{entry.name} = {edge!r}\n")
        # together with the other of the two, the number of shells counts
        if not entry.name.startswith("shell"):
            chosen = parse_settings([*BASE, "--config-file", str(path)])
            assert getattr(getattr(chosen, group), entry.name) == edge


@NAMED
def test_what_is_built_without_a_text_is_checked_too(
    group: str, entry: Any, opt: st.Option
) -> None:
    for value in (opt.bounds.low - 1, opt.bounds.high * 2 + 1, math.nan, math.inf):
        with pytest.raises(UsageError, match=opt.flags[-1]):
            st.build(Path("in"), Path("out"), "participant", {group: {entry.name: value}})


@pytest.mark.parametrize(("name", "bounds"), PLUGIN_NUMBERS.items())
def test_the_file_of_a_plugin_has_the_bounds_of_the_options(
    tmp_path: Path, name: str, bounds: st.Bounds
) -> None:
    path = tmp_path / "plugin.yml"
    for text in ["0", "-1", ".nan", ".inf", "1.0e+300", "x", "[1]", "{a: 1}", "", "1e-320"]:
        path.write_text(f"plugin: MultiProc\nplugin_args:\n  {name}: {text}\n")
        with pytest.raises(UsageError, match=f"{name}: .* {bounds.in_words}"):
            read_plugin(path)
    path.write_text(f"plugin: MultiProc\nplugin_args:\n  {name}: 2\n")
    assert read_plugin(path).arguments == {name: 2}


@pytest.mark.parametrize("text", [*NOT_NUMBERS, *NEVER, "0", "1.0001"])
def test_the_threshold_of_the_atlas_command_has_the_bounds_of_its_option(text: str) -> None:
    words = ["overlap", "mask.nii.gz", "--atlas", "x", f"--threshold={text}"]
    with pytest.raises(UsageError, match=st.SHARE.in_words):
        run_atlas(words)


@pytest.mark.parametrize("name", ["SLURM_MEM_PER_NODE", "SLURM_MEM_PER_CPU"])
@pytest.mark.parametrize("text", ["0", "-1", "nan", "", "1e3"])
def test_what_slurm_says_is_no_limit_where_it_is_none(tmp_path: Path, name: str, text: str) -> None:
    assert usable_memory_gb({name: text}, tmp_path) == usable_memory_gb({}, tmp_path) > 0
