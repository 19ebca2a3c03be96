"""The scripts that a scheduler gets: plain shell, each of them whole, to be read and kept."""

from __future__ import annotations

import math
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import wmhflow
from wmhflow.cluster.frozen import END, has_work_dir
from wmhflow.cluster.submission import Cut, Needs, Submission, scratch_key
from wmhflow.errors import UsageError
from wmhflow.registries.atlases import atlas_directory
from wmhflow.registries.executors import Executor
from wmhflow.settings import LEAST_THREADS, Settings
from wmhflow.settings import Submission as Chosen
from wmhflow.steps.containers import DOCKER, is_file

# what runs this program runs the tasks
PYTHON = sys.executable
# what the first job needs, which compiles kernels and draws priors, and the last one, which gathers
CACHES = Needs(3.0, 60, 1)
GROUP = Needs(2.0, 240, 1)
# of the memory that a task asked for, its steps may take so much
SHARE_OF_STEPS = 0.9
# beside its steps, a task is the program itself and what its steps are started from
OWN_PROCESSES = 2
# how long a task waits for another one that works on another visit of its person
WAIT_MINUTES = 1440


@dataclass(frozen=True)
class Scripts:
    """Writes the scripts of a submission.

    Parameters
    ----------
    submission
        Of which the folder and its place are known.
    settings
        The run's settings, as they were frozen.
    chosen
        The options of ``wmhflow submit``.
    executor
        What the registry says of the scheduler.
    """

    submission: Submission
    settings: Settings
    chosen: Chosen
    executor: Executor

    @property
    def makes_caches(self) -> bool:
        """Whether caches are to be made; a container image holds its own."""
        return self.chosen.image is None

    def caches(self) -> str:
        """Write the script that makes once what all tasks read."""
        header = self._header("caches", CACHES)
        return self._text(
            header,
            "makes once what all tasks read: the template's priors and compiled kernels.",
            f"{self._cache_lines()}\n"
            f"{self._python()} -P -m wmhflow.files.caches &&\n"
            f"    {self._python()} -P -m wmhflow.files.template &&\n"
            f"    {self._python()} -P -m wmhflow.core.warm",
        )

    def array(self, cut: Cut, after: Sequence[str] = (), after_any: Sequence[str] = ()) -> str:
        """Write the script of an array.

        Parameters
        ----------
        cut
            The array.
        after, after_any
            Jobs that have to end well before, and jobs that have to end.
        """
        header = self._header("array", cut.needs, after, after_any, cut)
        last, what = cut.first + cut.count, "visits" if self.chosen.per == "visit" else "persons"
        return self._text(
            header,
            f"{what} {cut.first + 1} to {last} of {self.submission.folder / 'labels.txt'}, one a "
            "task.",
            self._task_lines(cut),
        )

    def group(self, after: Sequence[str]) -> str:
        """Write the script of the group level, for when the jobs before it have ended."""
        words = ["wmhflow", self._at("bids_dir"), self._at("output_dir"), "group"]
        words += ["--config-file", '"$submission/options.toml"', "--work-dir", '"$work"']
        body = [
            f"submission={shlex.quote(str(self.submission.folder))}",
            *_check_options(),
            *self._scratch_lines(),
            "work=$base/group",
            "export TMPDIR=$work",
            'mkdir -p "$work"',
            "",
            self._program(),
            "",
            " ".join(words),
            "code=$?",
            'rm -rf "$work"',
            'rmdir "$base" 2>/dev/null || :',
            "exit $code",
        ]
        header = self._header("group", GROUP, after_any=after)
        return self._text(header, "gathers the tables of all persons.", "\n".join(body))

    def _at(self, name: str) -> str:
        return shlex.quote(str(getattr(self.settings, name)))

    def _header(
        self,
        kind: str,
        needs: Needs,
        after: Sequence[str] = (),
        after_any: Sequence[str] = (),
        cut: Cut | None = None,
    ) -> list[str]:
        executor, chosen, folder = self.executor, self.chosen, self.submission.folder
        mb = math.ceil((needs.mem_gb + executor.address_gb * (needs.cpus + OWN_PROCESSES)) * 1024)
        script = f"{kind} {cut.first}" if cut else kind
        name = self.submission.job_name(kind, script)
        names_array = cut and self._is_array(cut) and "{name}" in executor.header["array"]
        memory = {"mb": mb, "mb_per_cpu": math.ceil(mb / needs.cpus)}
        values: dict[str, Mapping[str, Any] | None] = {
            "shell": {},
            "name": None if names_array else {"name": name},
            "array": None,
            "cpus": {"n": needs.cpus},
            "mem": memory,
            "cpus_mem": {"n": needs.cpus, **memory},
            "time": {
                "hours": needs.minutes // 60,
                "minutes": needs.minutes % 60,
                "all_minutes": needs.minutes,
            },
            "partition": {"name": chosen.partition} if chosen.partition else None,
            "account": {"name": chosen.account} if chosen.account else None,
            "after_ok": self._waits(executor.one_ok, after),
            "after_any": self._waits(executor.one_any, after_any),
            "task_log": {"folder": folder / "tasks"} if cut else None,
            "job_log": None if cut else {"path": folder / f"{kind}.log"},
        }
        if cut and self._is_array(cut):
            most = chosen.max_running
            throttle = executor.header["throttle"].format(n=most) if most else ""
            values["array"] = {"name": name, "first": 1, "last": cut.count, "throttle": throttle}
        lines = [
            template.format(**given)
            for key, template in executor.header.items()
            if (given := values.get(key)) is not None
        ]
        return [f"{executor.directive} {line}" for line in [*lines, *chosen.sbatch]]

    def _is_array(self, cut: Cut) -> bool:
        """Tell whether the scheduler gets an array; some take none of one task."""
        return cut.count > 1 or self.executor.single

    def _waits(self, one: str, jobs: Sequence[str]) -> dict[str, str] | None:
        if not jobs:
            return None
        return {"ids": self.executor.between_ids.join(one.format(id=job) for job in jobs)}

    def _threads(self, cut: Cut) -> list[str]:
        """Name the threads of a step: a node that does not bind its jobs shows all processors."""
        if self.settings.execution.omp_nthreads is not None:
            return []
        return [f"    --omp-nthreads {min(cut.needs.cpus, LEAST_THREADS)} \\"]

    def _text(self, header: Sequence[str], what: str, body: str) -> str:
        start = ["#!/bin/bash", *header, "", f"# wmhflow {wmhflow.__version__}: {what}"]
        state = f"wmhflow status {self._at('output_dir')}"
        return "\n".join([*start, f"# How far it is: {state}", "", body, ""])

    def _scratch_lines(self, at_end: str = "") -> list[str]:
        """Say in the shell in which folder of the node is worked, ``$base``, and make it."""
        base = f"{scratch_key(self.settings.output_dir)}-$(id -u)"
        if has_work_dir(self.settings):
            given = shlex.quote(str(self.settings.execution.work_dir))
            return ["# a folder of this node", f"scratch={given}", f"base=$scratch/{base}"]
        places = [*(f'"${{{name}-}}"' for name in self.executor.scratch), "/tmp"]
        return [
            "# a folder of this node: the first of these that is ours and can be written to",
            f"for scratch in {' '.join(places)}; do",
            f"    base=$scratch/{base}",
            '    [ -n "$scratch" ] && mkdir -p "$base" &&',
            '        [ -O "$base" ] && [ -w "$base" ] && break',
            "    base=",
            "done",
            '[ -n "$base" ] || {',
            '    echo "wmhflow: nothing can be written on $(uname -n); name a --work-dir."',
            f"    {at_end}exit 1; }}",
        ]

    def _cache_lines(self) -> str:
        caches = shlex.quote(str(self.submission.folder.parent / "caches"))
        return "\n".join([
            "# what is made once for all tasks lies here",
            f"export WMHFLOW_CACHE_DIR={caches}/template",
            f"export NUMBA_CACHE_DIR={caches}/numba-{wmhflow.__version__}",
        ])  # fmt: skip

    def _python(self) -> str:
        return shlex.quote(PYTHON)

    def _program(self) -> str:
        """Say in the shell what ``wmhflow`` is."""
        image = self.chosen.image
        if image is None:
            start = f"{self._cache_lines()}\n" if self.makes_caches else ""
            return f'{start}wmhflow() {{ {self._python()} -P -m wmhflow "$@"; }}'
        return _in_image(image, mounts_of(self.settings))

    def _task_lines(self, cut: Cut) -> str:
        executor = self.executor
        waits = ["    --wait-minutes", str(WAIT_MINUTES)] if self.chosen.per == "visit" else []
        task = f"${executor.index}" if self._is_array(cut) else "1"
        lines = [
            f"submission={shlex.quote(str(self.submission.folder))}",
            f"job=${{{executor.job}%%[^0-9]*}} task={task}",
        ]
        if not executor.keeps_log:
            lines.append('exec >>"$submission/tasks/$job.$task.log" 2>&1')
        lines += [
            "",
            "# whose turn it is: a line of a list that nobody changes",
            f'line=$(sed -n "$((task + {cut.first}))p" "$submission/labels.txt")',
            'label=${line%% *} session=${line#"$label"}',
            "session=${session# }",
            "person=sub-$label${session:+_ses-$session}",
            "",
            "# wmhflow status reads these lines",
            "note() {",
            '    local where; where="job $job.$task on $(uname -n || echo unknown), $(date +%s)"',
            '    echo "=== wmhflow task $1: $person, $where${2-} ==="',
            "}",
            "peak() {",
            "    # what the kernel measured, where it counts this job by itself",
            '    local group; group=$(sed -n "s/^0:://p" /proc/self/cgroup)',
            '    [[ $group == *job_* ]] && cat "/sys/fs/cgroup$group/memory.peak" 2>/dev/null',
            "}",
            "note begin",
            '[ -n "$label" ] || {',
            f'    echo "wmhflow: labels.txt in $submission has no line $((task + {cut.first}))."',
            '    note "end 1"; exit 1; }',
            *_check_options('note "end 1"; '),
            "# a signal ends the program, and this script notes it",
            "trap : TERM",
            *self._scratch_lines('note "end 1"; '),
            "work=$base/$person",
            'mkdir -p "$work/tmp" || { note "end 1"; exit 1; }',
            "export TMPDIR=$work/tmp",
            "",
            self._program(),
            "",
            f"wmhflow {self._at('bids_dir')} {self._at('output_dir')} participant \\",
            '    --config-file "$submission/options.toml" \\',
            '    --participant-label "$label" ${session:+--session-label "$session"} \\',
            *([f"{' '.join(waits)} \\"] if waits else []),
            f"    --nprocs {cut.needs.cpus} --mem-gb {cut.needs.mem_gb * SHARE_OF_STEPS:.2f} \\",
            *self._threads(cut),
            '    --work-dir "$work/steps"',
            "code=$?",
            "# kept where it failed: it goes on from there if it comes to this node again",
            '((code == 0)) && rm -rf "$work"',
            'rmdir "$base" 2>/dev/null || :',
            'note "end $code" "$(peak | sed "s/^/, peak /")"',
            "exit $code",
        ]
        return "\n".join(lines)


def _check_options(at_end: str = "") -> list[str]:
    """Say in the shell that options of which a part is lost are none."""
    return [
        f"""[ "$(sed -n '$p' "$submission/options.toml")" = '{END}' ] || {{""",
        f'    echo "wmhflow: options.toml in $submission is cut: its last line is not {END}."',
        f"    {at_end}exit 1; }}",
    ]


def mounts_of(settings: Settings) -> list[tuple[str, str]]:
    """List the folders that the program reads or writes, and how, the outer ones first.

    Parameters
    ----------
    settings
        The run's settings.
    """
    inputs, regions = settings.inputs, settings.regions
    # of a path with places to fill in, the folder above the first of them
    moved = [Path(one.pattern.partition("{")[0] + "x").parent for one in inputs.transform]
    read = [*moved, settings.bids_dir, *(named.path.absolute() for named in inputs.derivatives)]
    given = [text.partition("=")[2] for text in regions.atlas]
    read += [Path(path).absolute().parent for path in given if path]
    read += [
        named.path.absolute().parent for named in regions.atlas_template if named.path.exists()
    ]
    if regions.atlas and atlas_directory().is_dir():
        read.append(atlas_directory())
    written = [settings.output_dir]
    if inputs.bids_database_dir is not None:
        written.append(inputs.bids_database_dir.absolute())
    ways = {str(path): "ro" for path in read} | {str(path): "rw" for path in written}
    return sorted(ways.items())


def check_mounts(settings: Settings) -> None:
    """Refuse a folder that no container's program can be told to mount.

    Parameters
    ----------
    settings
        Of a run in a container.

    Raises
    ------
    UsageError
        Naming the folder, and the sign in its path.
    """
    work = [(str(settings.execution.work_dir), "rw")] if has_work_dir(settings) else []
    for path, _ in [*mounts_of(settings), *work]:
        wrong = [sign for sign in path if sign in ":,"]
        if wrong:
            raise UsageError(
                f"{path} has '{wrong[0]}' in its path, which stands between two folders where "
                "containers mount them; rename it, or give a link to it."
            )


def _in_image(image: str, mounts: Sequence[tuple[str, str]]) -> str:
    """Say in the shell that ``wmhflow`` is run in a container image, with nothing of the host's."""
    places = [f"{shlex.quote(f'{path}:{path}:{how}')}" for path, how in mounts]
    if is_file(image) or "://" in image:
        source = image if is_file(image) else f"{DOCKER}{image.removeprefix(DOCKER)}"
        programs, option = ("apptainer", "singularity"), "--bind"
        start = 'run --cleanenv --env "TMPDIR=$TMPDIR"'
    else:
        source = image
        programs, option = ("docker", "podman"), "--volume"
        start = 'run --rm --network none --user "$(id -u):$(id -g)" --env "TMPDIR=$TMPDIR"'
    one, other = programs
    lines = [
        "wmhflow() {",
        f"    local run; run=$(command -v {one} || command -v {other}) || {{",
        f'        echo "wmhflow: neither {one} nor {other} is on $(uname -n)."; return 127; }}',
        f'    "$run" {start} \\',
        *(f"        {option} {place} \\" for place in places),
        f'        {option} "$work:$work:rw" \\',
        f'        {shlex.quote(source)} "$@"',
        "}",
    ]
    return "\n".join(lines)
