"""The scripts as strangers run them: on nodes of all kinds, and with names of all kinds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.schedulers import Cluster, make_cluster
from tests.stubs import make_program
from wmhflow import settings as st
from wmhflow.cli.cluster import _check_own_options
from wmhflow.cluster.frozen import END
from wmhflow.cluster.script import Scripts, check_mounts
from wmhflow.cluster.submission import Cut, Needs, Submission
from wmhflow.errors import UsageError
from wmhflow.registries.executors import load_executors

ODD = Path("/data/b 'i\"$(x) é\n#;*/-raw")


def texts_of(executor: str, image: str | None, per: str) -> dict[str, str]:
    settings = st.build(ODD, Path("/study/out"), "participant", {})
    chosen = st.Submission(executor=executor, per=per, image=image, sbatch=("-x 'a \"b $c'",))
    folder = Path("/study/out/logs/submissions/a")
    sent = Submission("a", folder, ODD, settings.output_dir, executor, ())
    scripts = Scripts(sent, settings, chosen, load_executors()[executor])
    return {
        "caches": scripts.caches(),
        "one": scripts.array(Cut(0, 1, Needs(4, 60, 2)), ["7"]),
        "array": scripts.array(Cut(5, 5, Needs(4, 60, 2)), [], ["7", "8"]),
        "group": scripts.group(["8"]),
    }


@pytest.mark.parametrize("executor", load_executors())
def test_every_script_is_plain_shell(executor: str, tmp_path: Path) -> None:
    for image, per in ((None, "person"), ("/images/w flow.sif", "person"), ("lab/w", "visit")):
        for name, text in texts_of(executor, image, per).items():
            (tmp_path / f"{name}-{len(image or '')}.sh").write_text(text)
    paths = sorted(tmp_path.glob("*.sh"))
    assert len(paths) == 12
    lines = "".join(f"bash -n {path.name} || exit 1; " for path in paths)
    checked = subprocess.run(["bash", "-c", lines], cwd=tmp_path, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, b"")
    if shutil.which("shellcheck"):
        words = ["shellcheck", "--severity=warning", *paths]
        found = subprocess.run(words, capture_output=True, text=True, check=False)
        assert found.stdout == ""


@pytest.mark.parametrize("executor", load_executors())
def test_a_step_has_threads_for_the_processors_that_were_asked_for(executor: str) -> None:
    # a node that binds nobody shows 64, of which the step would take all
    (line,) = re.findall("--omp-nthreads.*", texts_of(executor, None, "person")["array"])
    assert line == "--omp-nthreads 2 \\"


@pytest.mark.slow
def test_a_process_has_no_more_addresses_than_are_asked_for_it() -> None:
    code = (
        "import ants, psutil, wmhflow.workflows.study, wmhflow.steps.sampling\n"
        "found = psutil.Process().memory_info(); print(found.vms - found.rss)"
    )
    words = [sys.executable, "-c", code]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert int(said) / 1024**3 < load_executors()["sge"].address_gb


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        cluster = make_cluster(tmp_path_factory.mktemp("node-é"), patch, people=())
        cluster.out = tmp_path_factory.mktemp("out-é")
        (cluster.raw / "sub-01").mkdir()
        yield cluster


def run_task(
    cluster: Cluster, tmp_path: Path, image: str | None = None, start: str = "bash", **more: str
) -> tuple[str, list[str]]:
    """Run a task as a node would; return what it says, and where it worked."""
    folder = tmp_path / "sub é"
    (folder / "tasks").mkdir(parents=True)
    (folder / "labels.txt").write_text("01\n")
    (folder / "options.toml").write_text(f"{END}\n")
    settings = st.build(cluster.raw, cluster.out, "participant", {})
    sent = Submission("a", folder, cluster.raw, cluster.out, "slurm", ())
    chosen = st.Submission(image=image)
    scripts = Scripts(sent, settings, chosen, load_executors()["slurm"])
    script = folder / "array.sh"
    script.write_text(scripts.array(Cut(0, 2, Needs(4, 60, 2))))
    record = cluster.folder / "run.txt"
    record.unlink(missing_ok=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    environment: Mapping[str, str] = {
        **kept, "SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_JOB_ID": "7", **more
    }  # fmt: skip
    done = subprocess.run(
        [*start.split(), str(script)], env=environment, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    lines = record.read_text().splitlines() if record.exists() else []
    return done.stdout, [line.partition("--work-dir ")[2] for line in lines]


def test_a_task_works_where_the_node_lets_it(once: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    good, other = tmp_path / "good é", tmp_path / "other"
    for folder in (good, other):
        folder.mkdir()
    cases = (
        # SLURM_TMPDIR, TMPDIR, and where it works
        (str(good), str(other), good),
        # of a job in which the user stood when this one was sent
        (f"{file}/gone", str(good), good),
        ("", str(good), good),
        ("", f"{file}/none", Path("/tmp")),
    )
    for number, (first, second, expected) in enumerate(cases):
        place = tmp_path / str(number)
        said, worked = run_task(once, place, SLURM_TMPDIR=first, TMPDIR=second)
        assert "=== wmhflow task end 0: sub-01," in said
        assert [Path(one).parents[2] for one in worked] == [expected]
        # nothing is left there
        assert not Path(worked[0]).parents[1].exists()


@pytest.mark.skipif(os.getuid() != 0, reason="gives a folder to another user")
def test_a_folder_that_another_user_made_is_not_worked_in(once: Cluster, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    _, worked = run_task(once, tmp_path / "1", SLURM_TMPDIR=str(good), TMPDIR=str(good))
    name = Path(worked[0]).parents[1].name
    (bad / name).mkdir(parents=True)
    (bad / name).chmod(0o777)
    os.chown(bad / name, 12345, 12345)
    _, worked = run_task(once, tmp_path / "2", SLURM_TMPDIR=str(bad), TMPDIR=str(good))
    assert Path(worked[0]).parents[2] == good
    # nor is one in /tmp
    if not Path("/tmp", name).exists():
        shutil.copytree(bad / name, f"/tmp/{name}")
        os.chown(f"/tmp/{name}", 12345, 12345)
        said, worked = run_task(once, tmp_path / "3", SLURM_TMPDIR="", TMPDIR=str(bad))
        shutil.rmtree(f"/tmp/{name}")
        assert "wmhflow: nothing can be written on " in said
        assert "=== wmhflow task end 1: sub-01," in said
        assert worked == []


@pytest.mark.parametrize("start", ["bash -u", "bash -eu", "bash --posix"])
def test_a_task_does_not_depend_on_how_its_shell_is_set(
    once: Cluster, tmp_path: Path, start: str
) -> None:
    said, worked = run_task(once, tmp_path, start=start, SLURM_TMPDIR=str(tmp_path))
    assert "=== wmhflow task end 0: sub-01," in said
    assert len(worked) == 1


def test_a_node_without_a_container_runtime_says_so(once: Cluster, tmp_path: Path) -> None:
    said, worked = run_task(once, tmp_path, "docker://lab/w", SLURM_TMPDIR=str(tmp_path))
    assert "wmhflow: neither apptainer nor singularity is on " in said
    # and is not taken for one that was killed
    assert "=== wmhflow task end 127: sub-01," in said
    assert worked == []


def test_a_work_folder_that_no_container_can_mount_is_refused() -> None:
    given = {"execution": {"work_dir": Path("/node/a:b")}}
    with pytest.raises(UsageError, match="/node/a:b has ':' in its path"):
        check_mounts(st.build(Path("/raw"), Path("/out"), "participant", given))
    check_mounts(st.build(Path("/raw"), Path("/out"), "participant", {}))


def test_jobs_begin_in_a_folder_that_nodes_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = make_cluster(tmp_path, monkeypatch, people=("01",))
    real = cluster.folder / "programs" / "sbatch.real"
    real.with_name("sbatch").rename(real)
    code = (
        "import os, sys\n"
        f"with open({str(tmp_path / 'where')!r}, 'a') as stream: print(os.getcwd(), file=stream)\n"
        f"os.execv({str(real)!r}, [{str(real)!r}, *sys.argv[1:]])\n"
    )
    make_program(real.parent, "sbatch", code)
    monkeypatch.chdir(cluster.raw)
    assert cluster.run("submit") == 0
    (folder,) = (cluster.out / "logs" / "submissions").glob("2*")
    assert (tmp_path / "where").read_text() == f"{folder}\n" * 3


@pytest.mark.parametrize(
    ("text", "is_taken"),
    [
        ("--qos=long --exclude=n[1-3],n7", True),
        ("--constraint='a&b'", True),
        ("--mail-type=END,FAIL", True),
        ("--export=ALL,A=-x", True),
        ("--qos=long --output=/x", False),
        ("--outp=/x", False),
        ("--job-name=mine", False),
        ("-Jmine", False),
        ("--clusters=other", False),
        ("--wait", False),
        ("--wait-all-nodes=1", True),
    ],
)
def test_free_text_is_taken_unless_status_would_find_nobody(text: str, is_taken: bool) -> None:
    executor = load_executors()["slurm"]
    if is_taken:
        _check_own_options([text], executor)
    else:
        with pytest.raises(UsageError, match="the scripts have -"):
            _check_own_options([text], executor)
