"""A real Slurm: twelve people, of whom not all go well, against a run of the same people here.

Slow, and only where ``../shared/slurm/local-slurm`` can start one.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

import wmhflow as package
from tests.coarse import Coarse, coarse_dataset
from tests.runs import outputs, wmhflow
from tests.slurm import kill_task, real_slurm, until
from tests.stubs import make_program
from wmhflow.cluster.submission import scratch_key
from wmhflow.files.template import cached_template

pytestmark = pytest.mark.slow

PEOPLE = [f"{number:02d}" for number in range(1, 13)]
HUNGRY, BROKEN, FULL, KILLED, CANCELLED, UNBEGUN = "02", ("05", "08"), "07", "10", "11", "12"
# a machine that is busy otherwise takes ten times as long
PATIENCE_S = 1800
LIMIT_GB = 2
# finds the lesions of those who have no mask, and takes more memory than the limit leaves
TOOL = """
import sys, time
import nibabel, numpy
image = nibabel.load(sys.argv[1])
held = numpy.ones(210_000_000)
time.sleep(4)
mask = (numpy.asarray(image.dataobj) > 450).astype('uint8')
nibabel.save(nibabel.Nifti1Image(mask, image.affine), sys.argv[2])
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with real_slurm(tmp_path_factory.mktemp("slurm")) as folder:
        yield folder


@dataclass
class Study:
    """The dataset, where it goes, and every state that was told of a person."""

    made: Coarse
    tmp: Path
    seen: dict[str, list[str]] = field(default_factory=dict)

    @property
    def out(self) -> Path:
        """Where the cluster writes."""
        return self.made.folder / "cluster"

    @property
    def options(self) -> list[str]:
        """The options of a run, here and there."""
        tool = self.made.folder / "tool"
        return ["-d", f"given={self.made.given}", "--registration-qc", "off",
                "--wmh-command", f"{tool} {{flair}} {{out}}"]  # fmt: skip

    def work_of(self, person: str) -> Path:
        """Return the folder of the node in which a person's task works."""
        return self.tmp / f"{scratch_key(self.out)}-{os.getuid()}" / f"sub-{person}"

    def submit(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Submit everybody, or what is missing."""
        return wmhflow(["submit", self.made.raw, self.out, *more])

    def state(self) -> dict[str, Any]:
        """Ask how far everybody is; it has to be what the files say."""
        values: dict[str, Any] = json.loads(wmhflow(["status", self.out, "--json"]).stdout)
        for one in values["tasks"]:
            person = one["participant"].removeprefix("sub-")
            seen = self.seen.setdefault(person, [])
            if seen[-1:] != [one["state"]]:
                seen.append(one["state"])
            if one["state"] == "done":
                assert (self.out / f"logs/sub-{person}/record.json").is_file()
                assert not self.work_of(person).exists()
        assert sum(values["counts"].values()) == len(PEOPLE)
        return values

    def of(self, person: str) -> dict[str, Any]:
        """Return what is said of one person."""
        tasks = self.state()["tasks"]
        return next(one for one in tasks if one["participant"] == f"sub-{person}")

    def wait(self, seconds: float) -> dict[str, Any]:
        """Wait until nobody waits or runs, the group level included."""

        def ended() -> dict[str, Any] | None:
            values = self.state()
            counts = values["counts"]
            active = counts["waiting"] + counts["running"]
            return None if active or values["group"] in {"waiting", "running"} else values

        found: dict[str, Any] = until(ended, seconds, every_s=3)
        return found


@pytest.fixture(scope="module")
def study(slurm: Path, tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("study")
    made = coarse_dataset(folder, [(person, None) for person in PEOPLE], every=2)
    make_program(folder, "tool", TOOL)
    (mask,) = made.given.rglob(f"sub-{HUNGRY}_*WMH_mask.nii.gz")
    mask.unlink()
    noise, cut = (made.raw / f"sub-{one}" / "anat" / f"sub-{one}_T1w.nii.gz" for one in BROKEN)
    image = nib.load(noise)
    nib.save(nib.Nifti1Image(np.zeros(image.shape, np.float32), image.affine), noise)
    cut.write_bytes(cut.read_bytes()[:-2000])
    return Study(made, slurm / "tmp")


def fill_caches(study: Study) -> None:
    """Let the first job find what these tests made before: it is another test's matter."""
    caches = study.out / "logs" / "submissions" / "caches"
    caches.mkdir(parents=True)
    # not a copy, which would be of different moments where other tests fill it meanwhile
    (caches / f"numba-{package.__version__}").symlink_to(os.environ["NUMBA_CACHE_DIR"])
    template = cached_template().folder
    shutil.copytree(template, caches / "template" / template.name)


def test_twelve_people_of_whom_not_all_go_well(study: Study) -> None:
    fill_caches(study)
    disk = study.work_of(FULL)
    disk.mkdir(parents=True)
    mounted = ["mount", "-t", "tmpfs", "-o", "size=200k", "none", str(disk)]
    if subprocess.run(mounted, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        first_round(study)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    second_round(study)
    compare_with_a_run_here(study)


def first_round(study: Study) -> None:
    needs = ["--nprocs", "1", "--mem-gb", str(LIMIT_GB), "--time", "20"]
    sent = study.submit(*study.options, *needs)
    assert sent.returncode == 0, sent.stdout + sent.stderr
    # another one at once
    again = study.submit(*study.options, *needs)
    assert again.returncode == 2, again.stdout + again.stderr
    assert "already" in again.stderr
    values = study.state()
    assert values["counts"]["waiting"] + values["counts"]["running"] == len(PEOPLE), json.dumps(
        values
    )
    # 8 tasks an array are allowed, so there are two
    jobs = {one["participant"]: one["job"] for one in values["tasks"]}
    assert len({job.partition("_")[0] for job in jobs.values()}) == 2
    subprocess.run(["scancel", jobs[f"sub-{UNBEGUN}"]], check=True)
    running = until(lambda: running_in(study, KILLED), PATIENCE_S)
    assert running["since"] <= time.time()
    assert running["step"]
    assert running["limit_left"]
    assert kill_task(KILLED, study.out)
    until(lambda: running_in(study, CANCELLED), PATIENCE_S)
    subprocess.run(["scancel", jobs[f"sub-{CANCELLED}"]], check=True)
    values = study.wait(PATIENCE_S)
    states = {one["participant"][4:]: (one["state"], one["why"]) for one in values["tasks"]}
    assert states.pop(HUNGRY) == ("lost", "memory")
    assert states.pop(CANCELLED) == ("lost", "cancelled")
    assert states.pop(UNBEGUN) == ("lost", "never")
    assert states.pop(KILLED) == ("lost", "killed")
    assert states.pop(FULL) == ("failed", "space")
    assert [states.pop(one) for one in BROKEN] == [("failed", None)] * 2
    assert set(states.values()) == {("done", None)}
    sentences = {one["participant"][4:]: one["sentence"] or "" for one in values["tasks"]}
    assert "No space left on" in sentences[FULL]
    assert "holds no value other than 0" in sentences[BROKEN[0]]
    assert values["mend"].endswith("--resume --grow 1.5")


def running_in(study: Study, person: str) -> dict[str, Any] | None:
    """Return what is said of a person who is in a step; nothing of others."""
    one = study.of(person)
    in_step = one["state"] == "running" and one["step"] not in {None, "begins"}
    assert one["state"] in {"waiting", "running"}, json.dumps(one)
    return one if in_step else None


def second_round(study: Study) -> None:
    sent = study.submit("--resume", "--grow", "2")
    assert sent.returncode == 0, sent.stdout + sent.stderr
    values = study.wait(PATIENCE_S)
    states = {one["participant"][4:]: one["state"] for one in values["tasks"]}
    assert {person for person, state in states.items() if state != "done"} == set(BROKEN)
    asked = {one["participant"][4:]: one["asked"]["mem_gb"] for one in values["tasks"]}
    assert (asked[HUNGRY], asked[KILLED], asked["01"]) == (2 * LIMIT_GB, LIMIT_GB, LIMIT_GB)
    for person in (HUNGRY, CANCELLED, FULL, KILLED, UNBEGUN):
        assert study.seen[person][-1] == "done"
    nothing = study.submit("--resume", "--participant-label", "01")
    assert nothing.returncode == 70, nothing.stderr


def compare_with_a_run_here(study: Study) -> None:
    here = study.made.folder / "here"
    words = [study.made.raw, here]
    work = ["-w", study.made.folder / "work"]
    done = wmhflow([*words, "participant", *study.options, *work, "--nprocs", "2"])
    assert done.returncode == 1, done.stdout + done.stderr
    assert wmhflow([*words, "group", *work]).returncode == 0
    there = {
        name: content
        for name, content in outputs(study.out).items()
        if not name.startswith("logs/submissions/")
    }
    expected = outputs(here)
    assert there.keys() == expected.keys()
    assert [name for name in expected if there[name] != expected[name]] == []
