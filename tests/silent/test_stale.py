"""What was edited is known by its content, in the record and in the step: nothing is stale.

And nothing is made anew that an edit does not concern: a file that was touched, or written again
with the same bytes, is the same.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import PHANTOM, save_image
from tests.products.kinds import phantom, settings
from tests.stubs import make_program
from wmhflow.cli.run import make_plans
from wmhflow.errors import InputError
from wmhflow.plan.masks import with_whole_path
from wmhflow.plan.visit import VisitPlan
from wmhflow.products.product import Recipe
from wmhflow.products.visit import visit_choices, visit_unit
from wmhflow.settings import Settings, iter_options
from wmhflow.steps.adapter import interface_of
from wmhflow.steps.containers import image_facts
from wmhflow.steps.programs import program_files, run_program

VISIT = "sub-01 ses-1"
EDITS: dict[str, Callable[[bytes], bytes]] = {
    "same size": lambda content: content[:-1] + bytes([content[-1] ^ 1]),
    "longer": lambda content: content + b"\n",
    "shorter": lambda content: content[:-1],
    "empty": lambda _: b"",
}
EDITED = pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)


def edit_keeping_time(path: Path, edit: Callable[[bytes], bytes]) -> None:
    """Edit as tools do that keep a file's time (rsync -t, cp -p, unpacking)."""
    about = path.stat()
    path.write_bytes(edit(path.read_bytes()))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def write_again(path: Path) -> None:
    """Leave the bytes, and change inode and time."""
    content, mode = path.read_bytes(), path.stat().st_mode
    path.unlink()
    path.write_bytes(content)
    path.chmod(mode)


def planned(*more: str) -> tuple[Settings, VisitPlan]:
    chosen = settings("--wmh-source", "compute", "--participant-label", "01", *more)
    visits = {visit.label: visit for plan in make_plans(chosen) for visit in plan.visits}
    assert visits[VISIT].problem is None, visits[VISIT].problem
    return chosen, visits[VISIT]


def told(*more: str) -> tuple[str, dict[str, str]]:
    """Return what the record says of a visit, and the hash of the fixed inputs of every step."""
    chosen, visit = planned(*more)
    record = json.dumps(visit_choices(visit, chosen), sort_keys=True)
    return record, {one.name: fixed(one) for one in visit_unit(visit, chosen).recipes}


def fixed(recipe: Recipe) -> str:
    """Hash what a step is set to, and the plain files that it takes."""
    inputs = interface_of(recipe.function).inputs
    inputs.trait_set(**{name: value for name, value in recipe.options.items() if value is not None})
    paths = {name: str(one) for name, one in recipe.takes.items() if isinstance(one, Path)}
    inputs.trait_set(**paths)
    return str(inputs.get_hashval(hash_method="content")[1])


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def programs(folder: Path) -> dict[str, tuple[list[str], Path]]:
    """Commands, each with the file of it that is edited."""
    tool = make_program(folder, "tool", "# it segments\n")
    script = folder / "seg.py"
    script.write_text("print('segments')\n")
    model = folder / "a model.pt"
    model.write_bytes(b"weights")
    python = sys.executable
    image = folder / "tool.sif"
    image.write_bytes(b"an image")
    return {
        "executable": ([shlex.join([str(tool), "{flair}", "{out}"])], tool),
        "script": ([shlex.join([python, str(script), "{flair}", "{out}"])], script),
        "model": ([shlex.join([str(tool), "-m", str(model), "{flair}", "{out}"])], model),
        "after =": ([shlex.join([str(tool), f"--model={model}", "{flair}", "{out}"])], model),
        "image": (["tool {flair} {out}", "--segmenter-image", str(image)], image),
    }


@EDITED
@pytest.mark.parametrize("name", ["executable", "script", "model", "after =", "image"])
def test_an_edited_program_is_another_one_in_record_and_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, edit: Callable[[bytes], bytes]
) -> None:
    make_program(tmp_path / "bin", "apptainer", "")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    words, path = programs(tmp_path)[name]
    record, steps = told("--wmh-command", *words)
    write_again(path)
    assert told("--wmh-command", *words) == (record, steps)
    edit_keeping_time(path, edit)
    after = told("--wmh-command", *words)
    assert after[0] != record
    assert changed(steps, after[1]) == {"external_wmh"}


def test_a_program_on_path_is_known_by_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    tool = make_program(tmp_path, "a-tool", "1")
    first = program_files(["a-tool {flair} {out}"])
    assert list(first) == ["a-tool"]
    edit_keeping_time(tool, EDITS["same size"])
    assert program_files(["a-tool {flair} {out}"]) != first
    # another program of the name that comes first on PATH
    make_program(tmp_path / "before", "a-tool", "2")
    monkeypatch.setenv("PATH", f"{tmp_path / 'before'}:{os.environ['PATH']}")
    assert program_files(["a-tool {flair} {out}"])["a-tool"] not in first.values()


def test_words_that_are_no_files_are_no_files() -> None:
    words = ["/", "/tmp", "{t1w}", "x" * 5000, "/" + "x" * 5000, "a=b", "=", "-", "/no\0thing"]
    assert program_files([shlex.join(["no-such-program", *words])]) == {}
    assert program_files([]) == {}


def test_files_beside_the_user_are_named_by_whole_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step runs in a folder of its own, where a relative path would lead to nothing."""
    (tmp_path / "seg.py").touch()
    (tmp_path / "T1").touch()
    monkeypatch.chdir(tmp_path)
    line = with_whole_path("python seg.py ./T1 T1 other.py {flair} {out}")
    assert shlex.split(line)[1:5] == [f"{tmp_path}/seg.py", f"{tmp_path}/T1", "T1", "other.py"]


@pytest.mark.parametrize("name", ["executable", "script", "model"])
def test_a_program_that_is_edited_while_the_run_goes_on_fails_its_person(
    tmp_path: Path, name: str
) -> None:
    (line,), path = programs(tmp_path)[name]
    held = program_files([line])
    edit_keeping_time(path, EDITS["same size"])
    flair = save_image(tmp_path / "flair.nii.gz", np.ones((4, 4, 4)))
    with pytest.raises(InputError, match=f"{path.name} was changed while this run went on"):
        run_program(line, "FLAIR", tmp_path, flair=flair, files=held)


@pytest.mark.parametrize("content", ["", "#!/no/such/interpreter\n", "no program\n"])
def test_a_program_that_cannot_be_started_is_one_sentence(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tool"
    path.write_text(content)
    path.chmod(0o755)
    flair = save_image(tmp_path / "flair.nii.gz", np.ones((4, 4, 4)))
    with pytest.raises(InputError, match="cannot be started"):
        run_program(f"{path} {{flair}} {{out}}", "FLAIR", tmp_path, flair=flair)


def test_a_folder_as_image_is_told_by_size_and_time(tmp_path: Path) -> None:
    assert set(image_facts(str(tmp_path))) == {"name", "size", "changed"}
    image = tmp_path / "tool.sif"
    image.write_bytes(b"one")
    assert set(image_facts(str(image))) == {"name", "sha256"}


def atlas(folder: Path) -> tuple[list[str], dict[str, Path]]:
    """An atlas of two halves on the program's own template, with its table."""
    affine = np.array([[4, 0, 0, -78], [0, 4, 0, -112], [0, 0, 4, -70], [0, 0, 0, 1.0]])
    labels = np.ones((40, 48, 40), np.uint8)
    labels[20:] = 2
    image = save_image(folder / "mine.nii.gz", labels, affine, dtype=np.uint8)
    table = folder / "mine.tsv"
    table.write_text("index\tname\n1\tleft half\n2\tright half\n")
    words = ["--atlas", f"mine={image}", "--atlas-template", "mine=MNI152NLin2009aSym"]
    return words, {"image": image, "table": table}


@pytest.mark.parametrize("role", ["image", "table"])
def test_an_edited_atlas_or_its_table_is_another_one(tmp_path: Path, role: str) -> None:
    words, files = atlas(tmp_path)
    chosen = settings()
    base = [str(chosen.bids_dir), str(chosen.output_dir), "participant", "--wmh-source", "compute"]

    def now() -> tuple[str, dict[str, str]]:
        from wmhflow.cli.parser import parse_settings

        mine = parse_settings([*base, "--participant-label", "01", *words])
        visit = next(visit for plan in make_plans(mine) for visit in plan.visits)
        record = json.dumps(visit_choices(visit, mine), sort_keys=True)
        return record, {one.name: fixed(one) for one in visit_unit(visit, mine).recipes}

    record, steps = now()
    write_again(files[role])
    assert now() == (record, steps)
    if role == "table":
        files[role].write_text(files[role].read_text().replace("left half", "left part"))
    else:
        labels = np.ones((40, 48, 40), np.uint8)
        labels[20:] = 2
        labels[:, :3] = 0
        affine = np.array([[4, 0, 0, -78], [0, 4, 0, -112], [0, 0, 4, -70], [0, 0, 0, 1.0]])
        save_image(files[role], labels, affine, dtype=np.uint8)
    after, again = now()
    assert after != record
    assert "atlas_mine" in changed(steps, again)
    assert not changed(steps, again) & {"reference", "shells", "zones", "nawm"}


MAP = """[[map]]
name = "FA"
unit = "1"
valid_range = [0.0, 1.0]
query = {suffix = "dwimap", model = "tensor", param = "fa"}
transform_from = ["dwi"]
description = "fractional anisotropy"
"""
# another file, whose values are of another size and unit
ELSEWHERE = MAP.replace('"fa"', '"md"').replace('"1"', '"mm^2/s"').replace("1.0]", "0.01]")


@pytest.mark.parametrize(
    ("old", "new", "is_other"),
    [
        ("[0.0, 1.0]", "[0.0, 0.9]", True),
        ('unit = "1"', 'unit = "%"', True),
        ("fractional", "Fractional", True),
        (MAP, ELSEWHERE, True),
        ("[[map]]", "# a remark\n[[map]]", False),
        ("[0.0, 1.0]", "[0, 1.00]", False),
    ],
)
def test_an_edited_file_of_maps_counts_where_it_says_something_else(
    tmp_path: Path, old: str, new: str, is_other: bool
) -> None:
    path = tmp_path / "maps.toml"
    path.write_text(MAP)
    first, steps = told("--maps", str(path))
    path.write_text(MAP.replace(old, new))
    second, again = told("--maps", str(path))
    assert (second != first) == is_other
    assert bool(changed(steps, again)) <= is_other


def test_another_choice_of_the_filter_file_is_another_record(tmp_path: Path) -> None:
    """Of two masks of one content, the record names the one that was taken."""
    visit = phantom()[VISIT]
    record = visit_choices(visit, settings())
    assert record["parts"]["wmh"] == [visit.wmh.file.uri]
    assert record["parts"]["T1w"] == [visit.t1w.uri]
    roles: dict[str, Any] = record["parts"]
    assert set(roles) >= {"FLAIR", "infarct", "tissues", "forward", "inverse", "other_transform"}
    assert all(entry["transform"] for entry in record["maps"].values() if
               entry["alignment"] == "transform")  # fmt: skip


def test_the_same_options_from_a_file_give_the_same_record(tmp_path: Path) -> None:
    """An edited file counts by the options that it holds, and by nothing else."""
    records = []
    for number, text in enumerate(
        ["shell-width = 2", "# seen\nshell-width = 2.0", "shell-width = 1"]
    ):
        path = tmp_path / f"{number}.toml"
        path.write_text(f"[regions]\n{text}\n")
        records.append(json.loads(told("--config-file", str(path))[0]))
    assert records[0] == records[1]
    assert [record["settings"]["shell_width"] for record in records] == [2, 2, 1]


# Options that decide what is made, under another name in the record than their own.
UNDER_ANOTHER_NAME = {
    "derivatives": "parts", "maps": "maps", "bids_filter_file": "parts", "wmh_source": "wmh",
    "wmh_command": "wmh", "segmenter_image": "segmenter_image", "atlas": "atlases",
    "atlas_template": "atlases", "transform": "maps", "units": "maps", "tensor_fit": "maps",
    "allow_raw_dwi": "maps", "no_compute": "maps",
    "suvr_reference": "maps", "suvr_window": "maps",
}  # fmt: skip
# Options that only refuse or choose persons, or say where an index is kept.
OF_NO_RESULT = {
    *("participant_label", "session_label", "bids_database_dir", "skip_bids_validation"),
    "atlas_sides_checked",
}


def test_every_option_that_decides_on_results_stands_in_the_record() -> None:
    record = visit_choices(phantom()[VISIT], settings())
    deciding = {entry.name for group, entry, _ in iter_options()
                if group in {"inputs", "anatomy", "regions"}}  # fmt: skip
    assert deciding - set(record["settings"]) == OF_NO_RESULT | set(UNDER_ANOTHER_NAME)


def test_another_named_transform_or_its_inverse_is_another_record() -> None:
    given = PHANTOM / "derivatives" / "maps" / "sub-01" / "ses-1" / "dwi"
    path = given / "sub-01_ses-1_from-dwi_to-T1w_mode-image_xfm.txt"
    records = []
    # planned as any other is: whether it fits is judged when the visit's turn comes
    for more in ((), ("--transform", f"CBF={path}"), ("--transform", f"CBF=[{path},1]")):
        record = visit_choices(phantom(*more)[VISIT], settings(*more))
        records.append((record["maps"]["CBF"], record["maps"]["FA"]))
    of_cbf, of_fa = zip(*records, strict=True)
    assert [of_cbf.count(one) for one in of_cbf] == [1, 1, 1]
    assert of_fa.count(of_fa[0]) == 3


@pytest.mark.parametrize("words", [("1",), ("1", "2"), ("challenge",), ("freesurfer",)])
def test_other_labels_of_a_mask_make_everything_anew(words: tuple[str, ...]) -> None:
    records, steps = [], []
    for more in ((), ("--wmh-labels", *words)):
        chosen, visit = settings(*more), phantom(*more)[VISIT]
        records.append(visit_choices(visit, chosen))
        recipes = visit_unit(visit, chosen).recipes
        steps.append({one.name: fixed(one) for one in recipes if one.name == "given_wmh"})
    assert records[0] != records[1]
    assert steps[0] != steps[1]
