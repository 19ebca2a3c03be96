"""The command line, the TOML file and the docs come from one tree, and every option is read."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from tests.builders import ROOT
from wmhflow import settings as st
from wmhflow.cli.main import main
from wmhflow.cli.parser import parse_settings
from wmhflow.errors import UsageError

BASE = ["in", "out", "participant"]


def attribute_chains(sources: Iterable[str]) -> set[tuple[str, str]]:
    """Every ``<something>.<attribute>`` pair that Python sources read."""
    pairs = set()
    for source in sources:
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                owner = node.value
                if isinstance(owner, ast.Attribute):
                    pairs.add((owner.attr, node.attr))
                elif isinstance(owner, ast.Name):
                    pairs.add((owner.id, node.attr))
    return pairs


@cache
def read_by_the_package() -> set[tuple[str, str]]:
    files = (ROOT / "wmhflow").rglob("*.py")
    return attribute_chains(
        path.read_text(encoding="utf-8") for path in files if path.name != "settings.py"
    )


# names under which functions take one group of the settings
ALIASES = {"execution": {"execution", "chosen"}}


@pytest.mark.parametrize(
    ("group", "name"), [(group, entry.name) for group, entry, _ in st.iter_options()]
)
def test_every_option_is_read_somewhere(group: str, name: str) -> None:
    owners = ALIASES.get(group, {group})
    read = read_by_the_package()
    assert any((owner, name) in read for owner in owners)


def test_setting_an_option_is_not_reading_it() -> None:
    source = "settings.regions.zones = 1\nprint(settings.execution.nprocs)"
    assert ("regions", "zones") not in attribute_chains([source])
    assert ("execution", "nprocs") in attribute_chains([source])


def test_paths_do_not_depend_on_where_a_step_runs() -> None:
    settings = parse_settings([*BASE, "-w", "work"])
    for path in (settings.bids_dir, settings.output_dir, settings.execution.work_dir):
        assert path.is_absolute()


def test_labels_with_and_without_prefix() -> None:
    labels = ["--participant-label", "sub-01", "bus01", "--session-label", "ses-1"]
    settings = parse_settings([*BASE, *labels])
    assert settings.inputs.participant_label == ("01", "bus01")
    assert settings.inputs.session_label == ("1",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mem-gb", "0.001"], "cannot be meant"),
        (["--mem-gb", "lots"], "lots"),
        (["--nprocs", "0"], "at least 1"),
        (["--shell-width", "3"], "not 1 to 40 times"),
        (["--zones", "nowhere"], "invalid choice"),
        (["--no-such-option"], "Unrecognized arguments: --no-such"),
        (["-d", "a=/x", "a=/y"], "twice"),
        (["--wmh-command", "tool {flair}"], "needs {out}"),
        (["--wmh-command", "tool {out} {t2w} {flair}"], "{t2w} is none of"),
        (["--wmh-command", "tool '{flair} {out}"], "cannot be read"),
        (["--wmh-command", "tool {flair} {out}", "--wmh-source", "given"], "forbids"),
        (["--wmh-command", "lstai"], "did you mean lst-ai"),
        (["--wmh-command", "recon-all"], r"known by name \(lst-ai, .*needs {out}"),
        (["--wmh-command", "lst-ai", "--wmh-source", "given"], "forbids"),
        (["--segmenter-image", "x.sif"], "name that too"),
        (["-d", "=/x"], "NAME=PATH"),
    ],
)
def test_wrong_use_is_said_in_one_sentence(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        parse_settings([*BASE, *words])
    assert "\n" not in str(caught.value)


MEANT = {
    "a command": (["sttaus", "out"], "'status' seems to be meant"),
    "a command in capitals": (["Submit", "in", "out"], "'submit' seems to be meant"),
    "an option": ([*BASE, "--zone", "pv10"], "--zones seems to be meant"),
    "one of a submission": ([*BASE, "--partition", "a"], "is an option of 'wmhflow submit'"),
    "a level": (["in", "participant"], "required: {participant,group} (see"),
    "folders behind an option": (
        ["--participant-label", "01", "in", "out", "participant"],
        "stand before options that take several values",
    ),
}


@pytest.mark.parametrize(("words", "said"), MEANT.values(), ids=MEANT)
def test_what_seems_to_be_meant_is_said(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as refused:
        parse_settings(words)
    assert said in str(refused.value)


def test_a_folder_that_is_called_nearly_as_a_command_is_a_dataset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stats").mkdir()
    assert parse_settings(["stats", "out", "participant"]).bids_dir == tmp_path / "stats"


@pytest.mark.parametrize(
    ("words", "command"),
    [(["submit"], "submit"), (["status"], "status"), (["atlas", "check"], "atlas check")],
)
def test_the_help_of_the_command_itself_is_named(
    words: list[str], command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert f"(see wmhflow {command} --help)" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["lst-ai", "lst {flair} {out}", "lst-ai {flair} {out}"])
def test_a_segmenter_is_a_name_or_a_command_line(command: str) -> None:
    assert parse_settings([*BASE, "--wmh-command", command]).anatomy.wmh_command == command


@pytest.mark.parametrize(
    ("image", "meant"),
    [
        ("tool.sif", str(Path("tool.sif").absolute())),
        ("./images/tool", str(Path("images/tool").absolute())),
        ("maker/tool:1.0", "maker/tool:1.0"),
        ("docker://maker/tool", "docker://maker/tool"),
    ],
)
def test_an_image_is_a_file_or_a_name(image: str, meant: str) -> None:
    settings = parse_settings([*BASE, "--wmh-command", "samseg", "--segmenter-image", image])
    assert settings.anatomy.segmenter_image == meant


def test_a_config_file_sets_what_the_command_line_does_not(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        '[regions]\nshell-max = 10\nzones = "pv10"\n[inputs]\nparticipant_label = ["sub-1", "2"]\n'
        "[anatomy]\nfill_holes = true\n"
    )
    settings = parse_settings([*BASE, "--config-file", str(path), "--zones", "pv12"])
    assert settings.regions.shell_max == 10
    assert settings.regions.zones == ("pv12",)
    assert settings.inputs.participant_label == ("1", "2")
    assert settings.anatomy.fill_holes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[regions]\nshel = 1", "no option 'shel'"),
        ("[what]\na = 1", "is no table of options"),
        ("[regions", "cannot be read as TOML"),
        ("[regions]\nzones = 'x'", "must be one of"),
        ("[anatomy]\nfill_holes = 1", "true or false"),
        ("[execution]\nnprocs = [1, 2]", "takes one value"),
    ],
)
def test_a_wrong_config_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        parse_settings([*BASE, "--config-file", str(path)])


def test_the_docs_table_has_every_option() -> None:
    table = st.options_table()
    assert all(flag in table for _, _, opt in st.iter_options() for flag in opt.flags)


def test_help_answers_in_a_second_and_importing_is_harmless() -> None:
    started = time.monotonic()
    command = [sys.executable, "-m", "wmhflow", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    # generous for a loaded machine: importing ants or nipype alone would take longer
    assert time.monotonic() - started < 3
    assert "--dry-run" in done.stdout
    heavy = ("ants", "nipype", "nilearn", "bids", "numba", "matplotlib", "pandas")
    code = f"import sys, wmhflow.cli.main; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"
