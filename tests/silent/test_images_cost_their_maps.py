"""Images of which maps are made: what cannot be read costs these maps, and all else is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import echoes, inprocess
from tests.builders import save_image
from tests.coarse import MOTIONS, Coarse, coarse_dataset, head, planted, save
from tests.pet import add_pet
from wmhflow.bids.writer import read_table
from wmhflow.core.space.grids import Grid3D
from wmhflow.errors import InputError
from wmhflow.files.images import load_grid
from wmhflow.steps.adapter import interface_of, output_ports
from wmhflow.steps.apparent import average_weighted, map_adc
from wmhflow.steps.computed import MAP_STEPS, SHOWN_STEPS
from wmhflow.steps.kinds import KINDS, load_columns

SHAPE = (8, 9, 10)
STATISTICS = ("mean", "sd", "median", "q05", "q95", "mad")


def rows(dataset: Coarse, ending: str) -> list[dict[str, str]]:
    return read_table(dataset.anat() / f"sub-01_{ending}.tsv")


MAKERS = {**MAP_STEPS, **SHOWN_STEPS, "average_weighted": average_weighted}


def fed(function: Callable[..., Any], image: Path, folder: Path) -> dict[str, Any]:
    """Feed a step: the image first, and small sound files and plain values after it."""
    save_image(folder / "labels.nii.gz", np.ones(SHAPE), dtype=np.int16)
    (folder / "words.txt").write_text("0 1000 1000\n", encoding="utf-8")
    plain: dict[Any, Any] = {
        "list[int]": [0, 1], "list[float]": [0.01, 0.02], "str": "x", "float": 1.0, "int": 1,
        "Path": str(folder / "words.txt"),
    }  # fmt: skip
    given: dict[str, Any] = {}
    for number, (name, parameter) in enumerate(inspect.signature(function).parameters.items()):
        hint = str(parameter.annotation)
        if number == 0:
            given[name] = [str(image)] if hint.startswith("list") else str(image)
        elif parameter.default is inspect.Parameter.empty:
            given[name] = plain.get(hint, str(folder / "labels.nii.gz"))
            if hint.startswith("list[Grid3D"):
                given[name] = [given[name]]
    return given


@pytest.mark.parametrize("name", MAKERS)
def test_an_image_that_is_cut_short_costs_the_maps_that_are_made_of_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    function = MAKERS[name]
    path = tmp_path / "image.nii.gz"
    hint = str(next(iter(inspect.signature(function).parameters.values())).annotation)
    values = np.random.default_rng(3).uniform(1, 9, SHAPE if "Grid" in hint else (*SHAPE, 3))
    save_image(path, values)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    monkeypatch.chdir(tmp_path)
    interface = interface_of(function)
    interface.inputs.trait_set(**fed(function, path, tmp_path))
    made = interface.run(cwd=str(tmp_path)).outputs
    assert f"No map is made of {path}" in caplog.text
    for port in output_ports(function):
        value = getattr(made, port.name)
        if port.kind is KINDS[Grid3D]:
            grid = load_grid(value)
            assert grid.data.shape == SHAPE
            assert np.isnan(grid.data).all()
        elif port.kind is None:
            assert value == {"refused": 1}
        else:
            assert len(load_columns(value).values) == 0


def test_an_image_that_is_gone_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    interface = interface_of(map_adc)
    interface.inputs.trait_set(**fed(map_adc, tmp_path / "gone.nii.gz", tmp_path))
    with pytest.raises(InputError):
        interface.run(cwd=str(tmp_path))


def add_series(dataset: Coarse) -> list[Path]:
    """Write a PET, echoes, a pair, a T2w, a diffusion series, and a vector; return one of each."""
    pet = add_pet(dataset, frames=True)
    echoes.add_echoes(dataset)
    echoes.add_transfer(dataset)
    echoes.add_t2w(dataset)
    rng = np.random.default_rng(4)
    shape, place = head().codes.shape, MOTIONS["dwi"] @ head().affine
    series = dataset.given / "sub-01" / "dwi" / "sub-01_desc-preproc_dwi.nii.gz"
    data = np.where(head().codes > 0, 100.0, 0)[..., None] * np.exp(-0.0008 * B_VALUES)
    noisy = (data * (1 + 0.02 * rng.standard_normal((*shape, len(B_VALUES))))).astype(np.float32)
    save(series, noisy, place)
    beside = series.name.removesuffix(".nii.gz")
    series.with_name(f"{beside}.bval").write_text(" ".join(map(str, B_VALUES)))
    directions = np.vstack([np.zeros(3), np.eye(3), SIX]).T
    series.with_name(f"{beside}.bvec").write_text(
        "\n".join(" ".join(f"{one:.6f}" for one in row) for row in directions)
    )
    vector = series.with_name("sub-01_model-parts_dwimap.nii.gz")
    save(vector, np.stack([planted("FA")] * 2, axis=-1), place)
    (dataset.folder / "maps.toml").write_text(PART, encoding="utf-8")
    anat = dataset.raw / "sub-01" / "anat"
    return [
        pet, series, vector,
        next(anat.glob("*echo-2_part-mag*.nii.gz")),
        next(anat.glob("*mt-on*.nii.gz")),
        next(anat.glob("*T2w.nii.gz")),
    ]  # fmt: skip


B_VALUES = np.array([0.0] + [1000.0] * 9)
SIX = np.array([[1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1]]) / np.sqrt(2)
PART = """
[[map]]
name = "Part"
unit = "1"
valid_range = [0, 1]
query = { suffix = "dwimap", model = "parts" }
family = "diffusion"
component = 2
"""


@pytest.mark.slow
def test_images_that_are_cut_short_change_nothing_but_their_maps(tmp_path: Path) -> None:
    sound = coarse_dataset(tmp_path / "sound")
    add_pet(sound).unlink()
    inprocess.succeed(sound.words())
    dataset = coarse_dataset(tmp_path / "made")
    for path in add_series(dataset):
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    words = dataset.words("--maps", str(dataset.folder / "maps.toml"))
    done = inprocess.run(words, pages=True)
    # a component is read while its unit is told, and refused in the plan
    assert done.code == 1
    assert "sub-01_model-parts_dwimap.nii.gz" in done.err
    given = ("FA", "CBF")
    own, other = (
        [row for row in rows(one, "desc-maps_regions") if row["map"] in given]
        for one in (dataset, sound)
    )
    assert own == other
    quality = {row["metric"]: row for row in rows(dataset, "desc-wmhflow_qc")}
    for step in ("uptakePIB", "tensor", "decay", "transfer", "t1_over_t2"):
        assert (quality[f"{step}_refused"]["value"], quality[f"{step}_refused"]["verdict"]) == (
            "1",
            "check",
        )
    lost = [row for row in rows(dataset, "desc-maps_regions") if row["map"] not in given]
    assert {"SUVRPIB", "MD", "R2starmap", "MTRmap", "T1wT2w"} <= {row["map"] for row in lost}
    assert {row[column] for row in lost if row["map"] != "Chimap" for column in STATISTICS} == {
        "n/a"
    }
