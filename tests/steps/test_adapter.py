"""From annotations to an interface: what must be given, what is read and written, what is kept."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nipype.interfaces.base import isdefined

from tests.builders import ROOT, save_image
from tests.workflows.sums import add, no_step, take_everything
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.steps import kinds
from wmhflow.steps.adapter import input_ports, interface_of, output_ports
from wmhflow.steps.kinds import (
    KINDS,
    Columns,
    LabelImage,
    MaskImage,
    load_columns,
    load_json,
    load_labels,
    save_json,
)

OBLIQUE = np.array([[0.9, -0.2, 0, 5], [0.2, 0.9, 0, -7], [0, 0, 3.1, 11], [0, 0, 0, 1]])


def table(folder: Path, name: str, number: int) -> str:
    save_json(folder / f"{name}.json", {"is": number})
    return str(folder / f"{name}.json")


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    """What the step that takes everything must be given."""
    columns = Columns(np.arange(6.0).reshape(3, 2), np.array([[[1, 1, 1, 0]]]) > 0, np.eye(4))
    kinds.save_columns(tmp_path / "columns.npz", columns)
    labels = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    return {
        "needed": str(save_image(tmp_path / "labels.nii.gz", labels, dtype=np.int16)),
        "columns": str(tmp_path / "columns.npz"),
        "template": str(tmp_path),
        "names": ["a", "b"],
    }


def test_annotations_say_what_is_asked_for() -> None:
    ports, folder = input_ports(take_everything)
    assert folder == "folder"
    traits = interface_of(take_everything).inputs.traits()
    needed = {name for name, trait in traits.items() if trait.mandatory}
    assert needed == {"needed", "columns", "template", "names"}
    assert "folder" not in traits
    lists = {port.name for port in ports if port.is_list}
    # a list of words is a plain value
    assert lists == {"parts"}
    assert {port.name for port in ports if port.kind is None} == {"names", "scale", "unit"}
    assert interface_of(take_everything).inputs.scale == 2.5
    assert not isdefined(interface_of(take_everything).inputs.unit)
    assert [port.name for port in output_ports(add)] == ["total", "half", "plain"]


def test_files_must_exist_and_what_is_needed_must_be_given(
    given: dict[str, Any], tmp_path: Path
) -> None:
    node = interface_of(take_everything)
    node.inputs.trait_set(**(given | {"needed": str(tmp_path / "gone.nii.gz")}))
    with pytest.raises(InputError, match=r"gone\.nii\.gz does not exist"):
        node.run(cwd=str(tmp_path))
    node = interface_of(take_everything)
    node.inputs.trait_set(**{name: value for name, value in given.items() if name != "columns"})
    with pytest.raises(ValueError, match="columns"):
        node.run(cwd=str(tmp_path))


def test_files_are_read_and_what_comes_out_is_written_beside_the_step(
    given: dict[str, Any], tmp_path: Path
) -> None:
    cwd = tmp_path / "node"
    cwd.mkdir()
    node = interface_of(take_everything)
    parts = [table(tmp_path, "one", 1), table(tmp_path, "two", 2)]
    node.inputs.trait_set(**given, parts=parts)
    done = node.run(cwd=str(cwd)).outputs
    assert load_json(done.words) == {
        "template": str(tmp_path),
        "names": ["a", "b"],
        "parts": [{"is": 1}, {"is": 2}],
        "scale": 2.5,
        "unit": None,
        "type": "int16",
    }
    for path in (done.words, done.image, done.columns, *done.paths):
        assert Path(path).parent == cwd
    assert [Path(path).read_text() for path in done.paths] == ["made here"]
    assert load_labels(done.image).data.dtype == np.int16
    assert np.array_equal(load_columns(done.columns).values, load_columns(given["columns"]).values)


def test_what_a_step_did_not_make_is_not_there(tmp_path: Path) -> None:
    odd, even = (interface_of(add).run(cwd=str(tmp_path), more=more).outputs for more in (3, 4))
    assert not isdefined(odd.half)
    assert load_json(even.half) == {"is": 2}
    assert (odd.plain, even.plain) == (3, 4)
    one = interface_of(add).run(cwd=str(tmp_path), parts=table(tmp_path, "one", 7)).outputs
    assert one.plain == 7


def test_a_function_that_states_no_needs_is_refused() -> None:
    with pytest.raises(TypeError, match="no_step is no step"):
        interface_of(no_step)


def test_an_interface_is_pickled_and_runs_in_a_fresh_interpreter(tmp_path: Path) -> None:
    node = interface_of(add)
    node.inputs.one = table(tmp_path, "one", 5)
    (tmp_path / "node.pkl").write_bytes(pickle.dumps(node))
    code = (
        "import pickle, sys\n"
        "from pathlib import Path\n"
        "node = pickle.loads(Path(sys.argv[1], 'node.pkl').read_bytes())\n"
        "result = node.run(cwd=sys.argv[1], more=6)\n"
        "Path(sys.argv[1], 'result.pkl').write_bytes(pickle.dumps(result.outputs))\n"
        "print(result.outputs.plain)\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "11"
    # and what it gave comes back, of the same class
    outputs = pickle.loads((tmp_path / "result.pkl").read_bytes())
    assert load_json(outputs.total) == {"is": 11}
    assert type(outputs) is type(node.run(cwd=str(tmp_path)).outputs)


def test_one_function_has_one_class() -> None:
    assert type(interface_of(add)) is type(interface_of(add))
    assert type(interface_of(add)) is not type(interface_of(take_everything))


# ---- kinds of files ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32])
def test_labels_come_back_in_the_type_in_which_they_were_stored(
    dtype: type, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).integers(0, 200, (5, 6, 7)).astype(dtype)
    kind, path = KINDS[LabelImage], tmp_path / "x.nii"
    assert kind.save is not None
    kind.save(path, LabelImage(values, OBLIQUE))
    found = kind.load(str(path))
    assert found.data.dtype == dtype
    assert np.array_equal(found.data, values)
    assert np.allclose(found.affine, OBLIQUE, atol=1e-6)


def test_labels_in_whole_numbers_of_single_precision_become_whole(tmp_path: Path) -> None:
    path = save_image(tmp_path / "x.nii.gz", np.full((2, 2, 2), 2035.0))
    found = load_labels(path)
    assert found.data.dtype == np.int32
    assert (found.data == 2035).all()


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (MaskImage, MaskImage(np.arange(8).reshape(2, 2, 2) % 3 == 0, OBLIQUE)),
        (Grid3D, Grid3D(np.arange(8, dtype=np.float32).reshape(2, 2, 2) / 3, OBLIQUE)),
        (Columns, Columns(np.eye(3, dtype=np.uint8), np.eye(3)[None] > 0, OBLIQUE)),
    ],
)
def test_what_is_written_is_read_again_and_the_bytes_are_the_same_twice(
    kind: Any, value: Any, tmp_path: Path
) -> None:
    how = KINDS[kind]
    assert how.save is not None
    paths = [tmp_path / f"{name}{how.ending}" for name in "ab"]
    for path in paths:
        how.save(path, value)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    found = how.load(str(paths[0]))
    assert type(found) is kind
    names = value._fields if hasattr(value, "_fields") else ("data", "affine")
    for name in names:
        first, second = getattr(found, name), getattr(value, name)
        assert first.dtype == second.dtype
        assert np.allclose(first, second, atol=1e-6)


def test_numbers_that_are_none_survive_as_json(tmp_path: Path) -> None:
    save_json(tmp_path / "x.json", [{"a": float("nan"), "b": None, "c": 1e-300}])
    ((found,),) = [load_json(tmp_path / "x.json")]
    assert np.isnan(found["a"])
    assert found["b"] is None
    assert found["c"] == 1e-300
