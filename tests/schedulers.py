"""Programs in the place of a cluster's: they check what they get, and note it.

Each scheduler's header is read by rules of its own here, as its manual has them, not by those of
the registry. What is sent runs when a test says so, in a shell, with a program in the place of
Python that plays the persons: ``bad…`` fails, ``full…`` finds no space, ``killed…`` is killed, as
anybody is of whom there is a file ``kill-LABEL``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.builders import cube, describe, save_image
from tests.stubs import before_path, make_program
from wmhflow.cli.main import main

# what a header may hold: a pattern for each option
NUMBER, NAME, IDS = r"\d+", r"[\w.@+-]+", r"\d+"
HEADERS = {
    "slurm": (
        "#SBATCH",
        [
            rf"--job-name={NAME}", rf"--array=1-{NUMBER}(%{NUMBER})?", rf"--cpus-per-task={NUMBER}",
            rf"--mem={NUMBER}M", rf"--time={NUMBER}:\d\d:00", rf"--partition={NAME}",
            rf"--account={NAME}", rf"--dependency=after(ok|any):{IDS}(:{IDS})*",
            r"--dependency=afterok:\d+ --kill-on-invalid-dep=yes", r"--output=/\S+\.log",
            r"--qos=long",
        ],
    ),
    "sge": (
        "#$",
        [
            r"-S /bin/bash -V -cwd -j y", rf"-N [a-z]{NAME}", rf"-t 1-{NUMBER}( -tc {NUMBER})?",
            rf"-pe {NAME} {NUMBER}", rf"-l h_vmem={NUMBER}M", rf"-l h_rt={NUMBER}:\d\d:00",
            rf"-q {NAME}", rf"-P {NAME}", rf"-hold_jid {IDS}(,{IDS})*", r"-o /\S+\.log", r"-p -5",
        ],
    ),
    "pbs": (
        "#PBS",
        [
            r"-S /bin/bash -V -j oe", rf"-N {NAME}", rf"-J 1-(?!1$|1%){NUMBER}(%{NUMBER})?",
            rf"-l select=1:ncpus={NUMBER}:mem={NUMBER}mb", rf"-l walltime={NUMBER}:\d\d:00",
            rf"-q {NAME}", rf"-A {NAME}",
            r"-W depend=after(ok|any):\d+(\[\])?\.server(:\d+(\[\])?\.server)*", r"-o /\S+",
            r"-p 5",
        ],
    ),
    "lsf": (
        "#BSUB",
        [
            rf"-J {NAME}", rf'-J "{NAME}\[1-{NUMBER}\](%{NUMBER})?"',
            rf"-n {NUMBER} -R span\[hosts=1\]", r"-M (\d+)MB -R rusage\[mem=\1MB\]",
            rf"-W {NUMBER}", rf"-q {NAME}", rf"-P {NAME}",
            r'-w "(done|ended)\(\d+\)( && (done|ended)\(\d+\))*"', r"-o /\S+\.log", r"-sp 5",
        ],
    ),
}  # fmt: skip
FREE = {"slurm": "--qos=long", "sge": "-p -5", "pbs": "-p 5", "lsf": "-sp 5"}
INDEX = {
    "slurm": ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_JOB_ID", "{job}"),
    "sge": ("SGE_TASK_ID", "JOB_ID", "{job}"),
    "pbs": ("PBS_ARRAY_INDEX", "PBS_JOBID", "{job}[{task}].server"),
    "lsf": ("LSB_JOBINDEX", "LSB_JOBID", "{job}"),
}
# -S -E: a Python that begins in a hundredth of a second
SUBMIT = """
import json, os, re, sys
folder, directive, allowed, executor = {folder!r}, {directive!r}, {allowed!r}, {executor!r}
words = sys.argv[1:]
if os.path.exists(os.path.join(folder, 'refuse')):
    sys.exit('invalid account or partition')
if executor == 'lsf':
    assert words == [], words
    text = sys.stdin.read()
else:
    assert words[:-1] == {{'slurm': ['--parsable'], 'sge': ['-terse'], 'pbs': []}}[executor], words
    text = open(words[-1]).read()
lines = text.splitlines()
assert lines[0] == '#!/bin/bash'
header = []
for line in lines[1:]:
    if not line.startswith(directive):
        break
    header.append(line[len(directive) + 1:])
for line in header:
    assert any(re.fullmatch(one, line) for one in allowed), line
record = os.path.join(folder, 'sent.jsonl')
number = 101 + (len(open(record).readlines()) if os.path.exists(record) else 0)
is_array = any(re.match(r'(--array|-t |-J 1|-J ".*\\[)', line) for line in header)
# one task alone is no array for PBS
has_tasks = is_array or executor == 'pbs' and 'tasks/$job.$task.log' in text
with open(record, 'a') as stream:
    note = dict(job=str(number), header=header, text=text, array=has_tasks)
    stream.write(json.dumps(note) + chr(10))
extra = '.1-9:1' if executor == 'sge' and is_array else ''
print({{
    'slurm': str(number),
    'sge': str(number) + extra,
    'pbs': str(number) + ('[]' if is_array else '') + '.server',
    'lsf': f'Job <{{number}}> is submitted to queue <normal>.',
}}[executor])
"""
NOTING = """#!/bin/sh
echo "$@" >> {folder}/{name}.asked
if [ -e {folder}/{name}.txt ]; then cat {folder}/{name}.txt; fi
if [ -e {folder}/{name}.err ]; then cat {folder}/{name}.err >&2; exit 1; fi
"""
# stands for Python: plays what the program says and writes for a person
PERSON = """#!/bin/sh
echo "$@" >> {folder}/run.txt
out=$5
while [ $# -gt 0 ]; do
    case $1 in --participant-label) label=$2 ;; --session-label) session=_$2 ;; esac
    shift
done
echo "[0:20] 0 of 1 persons, 10 of 40 steps; now: sub-$label zones"
if [ -e {folder}/kill-$label ]; then kill -9 $PPID; exit 1; fi
say="sub-$label FAILED:"
case $label in
    bad*) echo "$say sub-$label inputs: it is noise."; echo "1 of 1 persons failed."; exit 1 ;;
    full*) echo "$say No space left on /tmp (in --work-dir)"; exit 1 ;;
    killed*) kill -9 $PPID; exit 1 ;;
    worker*) echo "$say a worker process was killed while it ran this step, x"; exit 1 ;;
    term*) exit 143 ;;
esac
echo "$label" >> {folder}/ended.txt
mkdir -p "$out/logs/sub-$label"
echo '{{}}' > "$out/logs/sub-$label/${{session:+ses-${{session#_}}_}}record.json"
"""
PROGRAMS = {
    "slurm": ("sbatch", "squeue", "scancel", "sacct", "scontrol", "sinfo"),
    "sge": ("qsub", "qstat", "qdel", "qconf"),
    "pbs": ("qsub", "qstat", "qdel", "qmgr"),
    "lsf": ("bsub", "bjobs", "bkill", "bparams"),
}


@dataclass
class Sent:
    """A script as the scheduler got it."""

    job: str
    header: list[str]
    text: str
    array: bool

    def option(self, start: str) -> str:
        """Return the header's line that begins so, without its begin."""
        (found,) = [line.removeprefix(start) for line in self.header if line.startswith(start)]
        return found


@dataclass
class Cluster:
    """A scheduler's stand-in, and the dataset whose people are sent to it."""

    folder: Path
    executor: str
    raw: Path
    out: Path

    def words(self, command: str, *more: str) -> list[str]:
        """Return the words of a command; those of ``submit`` name the scheduler."""
        if command in {"submit", "check"}:
            start = [command, str(self.raw), str(self.out), "--executor", self.executor]
            return [*start, "--skip-bids-validation", *more]
        return [command, str(self.out), *more]

    def run(self, command: str, *more: str) -> int:
        """Run a command of the program; return its exit code."""
        return main(self.words(command, *more))

    def resume(self, *more: str) -> int:
        """Send what is missing."""
        return main(["submit", str(self.raw), str(self.out), "--resume", *more])

    def sent(self) -> list[Sent]:
        """Return what was sent, in order."""
        path = self.folder / "sent.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [Sent(**json.loads(line)) for line in lines]

    def arrays(self) -> list[Sent]:
        """Return the arrays among them."""
        return [one for one in self.sent() if one.array]

    def answer(self, program: str, text: str) -> None:
        """Let a program of the scheduler print this, and end its last line as each of them does."""
        text += "\n" if text and not text.endswith("\n") else ""
        (self.folder / f"{program}.txt").write_text(text, encoding="utf-8")

    def fail(self, program: str, text: str) -> None:
        """Let a program of the scheduler fail with this message."""
        (self.folder / f"{program}.err").write_text(text, encoding="utf-8")

    def asked(self, program: str) -> list[str]:
        """Return how a program was called, a line each time."""
        return (self.folder / f"{program}.asked").read_text(encoding="utf-8").splitlines()

    def log_of(self, sent: Sent, task: int) -> Path:
        """Return where the scheduler puts what a task says, as its header has it."""
        start = {"slurm": "--output=", "sge": "-o ", "pbs": "-o ", "lsf": "-o "}[self.executor]
        path = sent.option(start)
        for sign, value in (("%A", sent.job), ("%a", task), ("%J", sent.job), ("%I", task),
                            ("$JOB_ID", sent.job), ("$TASK_ID", task)):  # fmt: skip
            path = path.replace(sign, str(value))
        return Path(path) / "elsewhere" if self.executor == "pbs" else Path(path)

    def do(self, sent: Sent, *tasks: int) -> None:
        """Run tasks of an array as the scheduler would."""
        script = self.folder / "script.sh"
        script.write_text(sent.text, encoding="utf-8")
        index, job, form = INDEX[self.executor]
        for task in tasks:
            environment = {
                **os.environ,
                index: str(task),
                job: form.format(job=sent.job, task=task),
            }
            if self.executor == "pbs" and not any(line.startswith("-J") for line in sent.header):
                del environment[index]
                environment[job] = f"{sent.job}.server"
            done = subprocess.run(
                ["bash", str(script)], env=environment, text=True, check=False, cwd=self.folder,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            if self.executor == "lsf":
                # what it writes itself goes behind what is there
                with self.log_of(sent, task).open("a", encoding="utf-8") as stream:
                    stream.write(f"{done.stdout}\nSender: LSF System\nSubject: Job {sent.job}\n")
            elif self.executor != "pbs":
                self.log_of(sent, task).write_text(done.stdout, encoding="utf-8")

    def all_tasks(self, sent: Sent) -> range:
        """Return the numbers of an array's tasks."""
        start = {"slurm": "--array=", "sge": "-t ", "pbs": "-J ", "lsf": "-J "}[self.executor]
        if self.executor == "pbs" and not any(line.startswith(start) for line in sent.header):
            return range(1, 2)
        found = re.search(r"1-(\d+)", sent.option(start))
        assert found
        return range(1, int(found[1]) + 1)


def make_cluster(
    folder: Path, patch: pytest.MonkeyPatch, executor: str = "slurm", people: Sequence[str] = ()
) -> Cluster:
    """Make a dataset of small people, and a scheduler's programs before all others on PATH."""
    raw = describe(folder / "raw")
    for person in people:
        for suffix, value in (("T1w", 100), ("FLAIR", 70)):
            save_image(
                raw / f"sub-{person}" / "anat" / f"sub-{person}_{suffix}.nii.gz", cube(value)
            )
    programs = folder / "programs"
    directive, allowed = HEADERS[executor]
    submit, *others = PROGRAMS[executor]
    filled = SUBMIT.format(
        folder=str(folder), directive=directive, allowed=allowed, executor=executor
    )
    make_program(programs, submit, filled)
    for name in others:
        _make_shell(programs / name, NOTING.format(folder=folder, name=name))
    player = _make_shell(folder / "player", PERSON.format(folder=folder))
    patch.setenv("PATH", before_path(programs))
    patch.setenv("TMPDIR", str(folder))
    patch.setattr("wmhflow.cluster.script.PYTHON", str(player))
    made = Cluster(folder, executor, raw, folder / "out")
    if executor == "slurm":
        made.fail("sacct", "Slurm accounting storage is disabled")
    return made


def _make_shell(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path
