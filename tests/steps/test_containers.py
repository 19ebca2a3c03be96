"""How a program in a container image is started: what is mounted, and who runs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.stubs import calls, make_program, make_runtime
from wmhflow.errors import MissingProgramError, UsageError
from wmhflow.steps.containers import (
    check_mountable,
    find_runtime,
    image_facts,
    words_in_image,
)
from wmhflow.steps.programs import run_program


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return folder


def installed(folder: Path, *names: str) -> None:
    for name in names:
        make_program(folder, name, "")


ALL = ("apptainer", "singularity", "docker", "podman")


@pytest.mark.parametrize(
    ("image", "there", "chosen"),
    [
        ("/images/tool.sif", ALL, "apptainer"),
        ("/images/tool.sif", ("docker", "singularity"), "singularity"),
        ("docker://maker/tool", ALL, "apptainer"),
        ("docker://maker/tool", ("docker", "podman"), "docker"),
        ("maker/tool", ALL, "docker"),
        ("maker/tool", ("podman", "apptainer"), "podman"),
        ("maker/tool", ("singularity",), "singularity"),
        ("oras://maker/tool", ALL, "apptainer"),
    ],
)
def test_the_first_that_can_run_the_image_is_taken(
    programs: Path, image: str, there: tuple[str, ...], chosen: str
) -> None:
    installed(programs, *there)
    assert find_runtime(image) == chosen


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("/images/tool.sif", "run by apptainer or singularity, and none of them is installed"),
        ("maker/tool", "run by docker, podman, apptainer or singularity"),
    ],
)
def test_a_missing_runtime_is_said_in_a_sentence(programs: Path, image: str, said: str) -> None:
    if image.endswith(".sif"):
        installed(programs, "docker")
    with pytest.raises(MissingProgramError, match=said):
        find_runtime(image)


def test_docker_gets_what_it_needs_and_no_more(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(programs, "docker")
    licence = tmp_path / "license.txt"
    licence.touch()
    monkeypatch.setenv("FS_LICENSE", str(licence))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    words = words_in_image(
        "docker://maker/tool:1", ["bash", "-c", "x"], Path("/w/node"), [Path("/in")], ["FS_LICENSE"]
    )
    assert words == [
        "docker", "run", "--rm", "--network", "none", "--user", f"{os.getuid()}:{os.getgid()}",
        "--mount", "type=bind,source=/w/node,target=/w/node",
        "--mount", "type=bind,source=/in,target=/in,readonly=true",
        "--mount", f"type=bind,source={licence},target={licence},readonly=true",
        "--env", "HOME=/w/node", "--env", "USER=wmhflow", "--env", f"FS_LICENSE={licence}",
        "--env", "OMP_NUM_THREADS=3",
        "--workdir", "/w/node", "--entrypoint", "bash", "maker/tool:1", "-c", "x",
    ]  # fmt: skip


def test_podman_keeps_the_user(programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(programs, "podman")
    for user, kept in ((0, False), (1000, True)):
        monkeypatch.setattr(os, "getuid", lambda user=user: user)
        words = words_in_image("maker/tool", ["tool"], Path("/w"))
        assert ("keep-id" in words) == kept
        assert words[words.index("--user") + 1].startswith(f"{user}:")


@pytest.mark.parametrize("network", [True, False])
def test_apptainer_is_cut_off_where_the_user_may(
    programs: Path, tmp_path: Path, network: bool
) -> None:
    record = make_runtime(programs, "apptainer", network=network)
    node = tmp_path / "node"
    node.mkdir()
    words = words_in_image("maker/tool:1", ["tool", "x"], node, [Path("/in")])
    assert ("--net" in words) == network
    apart = ["--net", "--network", "none"] if network else []
    assert words == [
        "apptainer", "exec", "--containall", "--workdir", str(node / "scratch"), *apart,
        "--home", str(node), "--bind", "/in:/in:ro", "--pwd", str(node),
        "docker://maker/tool:1", "tool", "x",
    ]  # fmt: skip
    assert [call[-1] for call in calls(record)] == ["true"]


def test_a_changed_file_is_another_image(tmp_path: Path) -> None:
    image = tmp_path / "tool.sif"
    with pytest.raises(UsageError, match=r"tool\.sif does not exist"):
        image_facts(str(image))
    image.write_bytes(b"one")
    before = image_facts(str(image))
    assert before["name"] == "tool.sif"
    image.write_bytes(b"another")
    assert image_facts(str(image)) != before
    assert image_facts("maker/tool:1") != image_facts("maker/tool:2")


@pytest.mark.parametrize("folder", ["/a:b", "/a,b"])
def test_what_cannot_be_mounted_is_said_before(folder: str) -> None:
    with pytest.raises(UsageError, match="cannot be mounted"):
        check_mountable(Path(folder))
    check_mountable(Path("/a b/c"))


def test_a_command_line_of_the_users_own_runs_in_an_image_too(
    programs: Path, tmp_path: Path
) -> None:
    import nibabel as nib
    import numpy as np

    record = make_runtime(programs, "docker")
    folder, node = tmp_path / "in", tmp_path / "node"
    folder.mkdir()
    node.mkdir()
    values = (np.arange(60) > 30).astype(np.float32).reshape(3, 4, 5)
    nib.save(nib.Nifti1Image(values, np.eye(4)), folder / "f.nii.gz")
    line = "mri_WMHsynthseg --i {flair} --o {out}"
    make_program(
        tmp_path / "image", "mri_WMHsynthseg",
        "import shutil, sys\nshutil.copyfile(sys.argv[2], sys.argv[4])",
    )  # fmt: skip
    found = run_program(
        line, "FLAIR", node, flair=folder / "f.nii.gz", image={"name": "maker/tool"}
    )
    assert found.mask.is_file()
    (words,) = calls(record)
    assert f"type=bind,source={folder},target={folder},readonly=true" in words
    assert words[words.index("--entrypoint") + 1] == "mri_WMHsynthseg"
