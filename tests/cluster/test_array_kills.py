"""Tasks of a real job array are killed at random moments, and sent again until all are done.

Slow, and only where a real Slurm can be started. ``WMHFLOW_KILLS`` says how many tasks are killed,
``WMHFLOW_KILLS_SEED`` at which moments.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wmhflow as package
from tests.coarse import Coarse, coarse_dataset
from tests.runs import outputs, wmhflow
from tests.slurm import kill_task, real_slurm, until
from wmhflow.files.template import cached_template

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("WMHFLOW_KILLS", "3"))
SEED = int(os.environ.get("WMHFLOW_KILLS_SEED", "1"))
PEOPLE = ("01", "02")
# of one person, before the task is left alone; a study after that begins anew
MOST_KILLS = 4
PATIENCE_S = 1800
NOTE = r"=== wmhflow task {}: sub-\d+, job (\S+) on .*, (\d+) ==="


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with real_slurm(tmp_path_factory.mktemp("slurm")) as folder:
        yield folder


@pytest.fixture(scope="module")
def made(slurm: Path, tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    folder = tmp_path_factory.mktemp("kills")
    return coarse_dataset(folder, [(person, None) for person in PEOPLE], every=2)


def test_tasks_that_are_killed_at_random_moments_are_sent_again_until_all_are_done(
    made: Coarse,
) -> None:
    expected, seconds = undisturbed(made)
    fate, n_killed, n_studies = random.Random(SEED), 0, 0
    while n_killed < KILLS:
        out = made.folder / f"cluster-{n_studies}"
        n_killed += one_study(made, out, fate, seconds, KILLS - n_killed)
        there = {
            name: content
            for name, content in outputs(out).items()
            if not name.startswith("logs/submissions/")
        }
        assert there.keys() == expected.keys()
        assert [name for name in expected if there[name] != expected[name]] == []
        assert [path for path in out.rglob("*.part") if path.is_file()] == []
        seconds = min(seconds, longest_task(out))
        shutil.rmtree(out)
        n_studies += 1
        print(f"{n_killed} tasks killed in {n_studies} studies", flush=True)


def undisturbed(made: Coarse) -> tuple[dict[str, bytes], float]:
    """Return what a run without a cluster writes, and how long it takes for a person."""
    here = made.folder / "here"
    words = made.words("--nprocs", "1", out=here)
    start = time.monotonic()
    done = wmhflow(words)
    seconds = (time.monotonic() - start) / len(PEOPLE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert wmhflow([made.raw, here, "group", *words[3:5]]).returncode == 0
    return outputs(here), seconds


def longest_task(out: Path) -> float:
    """Return how long the longest task took that was not killed, in seconds."""
    notes = "".join(path.read_text() for path in out.glob("logs/submissions/2*/tasks/*.log"))
    begun = {job: int(moment) for job, moment in re.findall(NOTE.format("begin"), notes)}
    ended = re.findall(NOTE.format("end 0"), notes)
    return float(max(int(moment) - begun[job] for job, moment in ended))


def one_study(made: Coarse, out: Path, fate: random.Random, seconds: float, most: int) -> int:
    """Send everybody, kill tasks and send them again until all are done; return how many."""
    fill_caches(out)
    options = made.words()[5:]
    sent = wmhflow(["submit", made.raw, out, *options, "--nprocs", "1", "--mem-gb", "2"])
    assert sent.returncode == 0, sent.stdout + sent.stderr
    kills = dict.fromkeys(PEOPLE, 0)
    while True:
        for one in ended(out, fate, seconds, kills, most):
            person = one["participant"].removeprefix("sub-")
            assert (one["state"], one["why"]) in {("done", None), ("lost", "killed")}, one
            if one["state"] == "done":
                assert (out / f"logs/sub-{person}/record.json").is_file()
        again = wmhflow(["submit", made.raw, out, "--resume"])
        if again.returncode == 70:
            break
        assert again.returncode == 0, again.stdout + again.stderr
    notes = [path.read_text() for path in out.glob("logs/submissions/2*/tasks/*.log")]
    # nobody is processed again who is done
    for person in PEOPLE:
        assert sum(f"task end 0: sub-{person}," in note for note in notes) == 1
    until(lambda: status(out)["group"] not in {"waiting", "running"}, PATIENCE_S, 2)
    return sum(kills.values())


def ended(
    out: Path, fate: random.Random, seconds: float, kills: dict[str, int], most: int
) -> list[dict[str, Any]]:
    """Wait until nobody waits or runs, and kill tasks meanwhile; return what is said of each."""
    moments: dict[str, float] = {}
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        values = status(out)
        tasks: list[dict[str, Any]] = values["tasks"]
        for one in tasks:
            person = one["participant"].removeprefix("sub-")
            if one["state"] != "running":
                continue
            # from before its begin was noted to after its end
            moments.setdefault(person, time.monotonic() + fate.uniform(0, 1.1 * seconds))
            is_due = kills[person] < MOST_KILLS and sum(kills.values()) < most
            if is_due and time.monotonic() >= moments[person] and kill_task(person, out):
                kills[person] += 1
                moments.pop(person)
        if not values["counts"]["waiting"] + values["counts"]["running"]:
            return tasks
        # asking takes a processor from what is asked about
        time.sleep(1)
    raise AssertionError(f"not within {PATIENCE_S} s: {json.dumps(values['counts'])}")


def status(out: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(wmhflow(["status", out, "--json"]).stdout)
    assert sum(values["counts"].values()) == len(PEOPLE)
    return values


def fill_caches(out: Path) -> None:
    """Let the first job find what these tests made before: it is another test's matter."""
    caches = out / "logs" / "submissions" / "caches"
    caches.mkdir(parents=True)
    (caches / f"numba-{package.__version__}").symlink_to(os.environ["NUMBA_CACHE_DIR"])
    template = cached_template().folder
    shutil.copytree(template, caches / "template" / template.name)
