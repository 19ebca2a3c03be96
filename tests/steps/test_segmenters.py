"""Segmenters of the registry: each is called as it wants, and what it writes becomes a mask."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.stubs import READ, before_path, calls, make_program, make_runtime, make_tools
from wmhflow.errors import InputError
from wmhflow.registries.segmenters import load_segmenters
from wmhflow.steps.adapter import interface_of
from wmhflow.steps.containers import image_facts
from wmhflow.steps.programs import ProgramMask, image_option, lesion_voxels, run_segmenter

TRANSFORM = Path("other.txt")
Run = Callable[..., ProgramMask]


@pytest.fixture
def images(tmp_path: Path) -> dict[str, Path]:
    """A T1w, and a FLAIR of another grid, uncompressed as the steps before leave them."""
    folder = tmp_path / "a b"
    folder.mkdir()
    found = {}
    values = np.random.default_rng(0).uniform(0, 9, (6, 7, 8)).astype(np.float32)
    for name, affine in (("t1w", np.eye(4)), ("flair", np.diag([-1, 1, 2, 1]))):
        found[name] = folder / f"{name}.nii"
        nib.save(nib.Nifti1Image(values[: 5 if name == "t1w" else 6], affine), found[name])
    return found


@pytest.fixture
def run(tmp_path: Path, images: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a segmenter in a folder of its own, with stubs on PATH."""
    make_tools(tmp_path / "bin")
    monkeypatch.setenv("PATH", before_path(tmp_path / "bin"))
    node = tmp_path / "node"
    node.mkdir()

    def started(name: str, reference: str = "FLAIR", image: str | None = None, **more: Any) -> Any:
        known = load_segmenters()[name]
        if known.space == "reference":
            images[{"T1w": "flair", "FLAIR": "t1w"}[reference]] = images[reference.lower()]
        reads = {suffix.lower(): images[suffix.lower()] for suffix in known.reads}
        option = image_option(image, image_facts(image)) if image else None
        return run_segmenter(
            known.running() | more, reference, node, **reads, other_transform=TRANSFORM,
            image=option,
        )  # fmt: skip

    return started


def bright(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj) > 5


def on_grid_of(mask: Path, image: Path) -> np.ndarray:
    """Look up a mask at every voxel centre of an image."""
    found, grid = nib.load(mask), nib.load(image)
    places = np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3)
    world = nib.affines.apply_affine(grid.affine, places)
    voxels = nib.affines.apply_affine(np.linalg.inv(found.affine), world)
    # centres of a grid of half the size lie between its voxels
    index = np.floor(voxels + 0.5 - 1e-3).astype(int)
    return (np.asanyarray(found.dataobj)[tuple(index.T)] > 0).reshape(grid.shape)


@pytest.mark.parametrize(
    "name", ["lst-ai", "synthseg-wmh", "samseg-flair", "truenet", "truenet-flair", "samseg"]
)
def test_what_it_writes_becomes_a_mask_of_0_and_1(
    run: Run, images: dict[str, Path], name: str
) -> None:
    found = run(name)
    assert set(np.unique(nib.load(found.mask).dataobj)) == {0, 1}
    assert np.array_equal(on_grid_of(found.mask, images["flair"]), bright(images["flair"]))
    assert found.transforms == []


@pytest.mark.parametrize(("name", "moved"), [("lst-ai", True), ("samseg", False)])
def test_a_mask_is_moved_as_the_image_in_whose_space_it_lies(
    run: Run, name: str, moved: bool
) -> None:
    assert run(name, "T1w").transforms == ([TRANSFORM] if moved else [])


def test_two_images_of_one_grid_are_not_taken_for_each_other(
    run: Run, images: dict[str, Path]
) -> None:
    # the head may have moved between them although the headers agree
    images["t1w"] = images["flair"]
    assert run("lst-ai", "T1w").transforms == [TRANSFORM]


def test_the_images_are_not_given_away(run: Run, images: dict[str, Path], tmp_path: Path) -> None:
    before = images["flair"].read_bytes()
    make_program(
        tmp_path / "bin", "lst",
        READ + "import pathlib\nflair = pathlib.Path(sys.argv[4])\nflair.write_bytes(b'')\n"
        "sys.exit('gone')",
    )  # fmt: skip
    with pytest.raises(InputError, match="lst-ai ended with exit code 1: gone"):
        run("lst-ai")
    assert images["flair"].read_bytes() == before


def test_results_of_a_run_that_was_cut_are_not_taken(run: Run, tmp_path: Path) -> None:
    run("lst-ai")
    make_program(tmp_path / "bin", "lst", "print('nothing found')")
    with pytest.raises(InputError, match=r"did not write space-\*_seg-lst.*nothing found"):
        run("lst-ai")


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("lst-ai", {"labels": [77]}, r"2 different values from 0 to 1, where labels, 77 for WMH"),
        ("synthseg-wmh", {"labels": []}, "3 different values from 2 to 77, where 0 and 1"),
        ("synthseg-wmh", {"labels": [], "threshold": 0.5}, "where probabilities from 0 to 1"),
        ("synthseg-wmh", {"keeps_grid": True}, "does not lie on the grid of the FLAIR"),
        ("truenet", {"output": "*.nii.gz"}, "3 files answer for"),
    ],
)
def test_what_fits_neither_is_refused(
    run: Run, name: str, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        run(name, **change)


def test_a_mask_elsewhere_is_refused(run: Run, tmp_path: Path) -> None:
    code = "args = asked('--i', '--o').parse_args()\nvalues, affine = load(args.i)\n"
    code += "affine[0, 3] = 500\nsave(args.o, values.round().astype('int32'), affine)\n"
    make_program(tmp_path / "bin", "mri_WMHsynthseg", READ + code)
    with pytest.raises(InputError, match="lies outside the FLAIR"):
        run("synthseg-wmh")


def test_where_nothing_is_lesion_the_mask_is_empty() -> None:
    assert not lesion_voxels(np.array([0, 2, 41]), [77], None, "it").any()
    assert not lesion_voxels(np.zeros(3), [], 0.5, "it").any()
    assert not lesion_voxels(np.array([0, np.nan]), [], None, "it").any()


def test_labels_are_whole_numbers() -> None:
    with pytest.raises(InputError, match="3 different values"):
        lesion_voxels(np.array([0, 0.5, 77]), [77], None, "it")


# ---- in a container ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "runtime",
    [
        *("docker", "apptainer"),
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("podman", "singularity")),
    ],
)
@pytest.mark.parametrize("name", ["lst-ai", "mars-wmh", "synthseg-wmh", "samseg", "truenet"])
def test_every_segmenter_runs_in_an_image(
    run: Run, images: dict[str, Path], tmp_path: Path, runtime: str, name: str
) -> None:
    for tool in (tmp_path / "bin").iterdir():
        tool.unlink()
    record = make_runtime(tmp_path / "bin", runtime)
    found = run(name, image="maker/tool:1.0")
    assert np.array_equal(on_grid_of(found.mask, images["flair"]), bright(images["flair"]))
    started = [" ".join(words) for words in calls(record)]
    assert all("maker/tool:1.0" in words for words in started)
    # the originals, and whatever else lies beside them, are not mounted
    assert not any("a b" in words for words in started)


def test_a_tool_that_fails_in_an_image_is_named(run: Run, tmp_path: Path) -> None:
    make_runtime(tmp_path / "bin", "docker")
    make_program(tmp_path / "image", "lst", "import sys\nsys.exit('no weights')")
    with pytest.raises(InputError, match="lst-ai ended with exit code 1: no weights"):
        run("lst-ai", image="maker/tool:1.0")


# ---- as a node of the graph ----------------------------------------------------------------------


def test_an_edited_entry_or_another_image_makes_the_step_run_again(
    images: dict[str, Path], tmp_path: Path
) -> None:
    image = tmp_path / "tool.sif"
    image.write_bytes(b"one")
    known = load_segmenters()["samseg"].running()

    def hash_of(segmenter: dict[str, Any], **more: Any) -> str:
        inputs = interface_of(run_segmenter).inputs
        inputs.trait_set(segmenter=segmenter, reference_name="T1w", **more)
        inputs.trait_set(**{name: str(path) for name, path in images.items()})
        return inputs.get_hashval()[1]

    def in_image() -> str:
        return hash_of(known, image=image_option(str(image), image_facts(str(image))))

    first = in_image()
    assert in_image() == first
    image.write_bytes(b"another")
    others = [in_image(), hash_of(known), hash_of(known | {"labels": [77]})]
    assert len({first, *others}) == 4
