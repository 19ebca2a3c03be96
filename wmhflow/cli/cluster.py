"""``wmhflow submit``, ``status``, ``cancel`` and ``check``: runs on a cluster."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wmhflow
from wmhflow import settings as st
from wmhflow.errors import InputError, NothingToDoError, UsageError
from wmhflow.registries.reading import path_of

if TYPE_CHECKING:
    from wmhflow.cluster.estimate import Estimate
    from wmhflow.cluster.scheduler import Scheduler
    from wmhflow.cluster.state import Study, TaskState
    from wmhflow.cluster.submission import Needs, Submission, Task
    from wmhflow.registries.executors import Executor

OK, FAILED = 0, 1
# a scheduler of thousands of jobs is not asked more often
WATCH_S = 15.0
# nor for more than one part in so many of the time
PATIENT = 10.0
# how long another submission into the same folder may take
SENDING_S = 60.0
# as many plans are made before anything is sent
LOOKED_AT = 5
# what a submission that resumes another one may be given anew; its other options are frozen
GIVEN_ANEW = frozenset(("mem_gb", "nprocs", "dry_run", "verbose", "participant_label"))
# what has a meaning of its own in the headers of one scheduler or another
UNNAMEABLE = " \t\n\"'%$\\`^{}[]"
ALL = {**st.GROUPS, **st.SUBMIT_GROUPS}


def is_cluster_command(arguments: Sequence[str]) -> bool:
    """Tell ``wmhflow submit …`` from a dataset that is called submit.

    Examples
    --------
    >>> is_cluster_command(["status", "out"]), is_cluster_command(["status", "out", "group"])
    (True, False)
    """
    return bool(arguments) and arguments[0] in COMMANDS and not set(st.LEVELS) & set(arguments[2:3])


def run_cluster(arguments: Sequence[str]) -> int:
    """Run one of the commands.

    Parameters
    ----------
    arguments
        Its name and the words after it.

    Returns
    -------
    int
        0; of ``status`` 1 if somebody failed or is lost, of ``check`` 1 if something is wrong.

    Raises
    ------
    UsageError, InputError, NothingToDoError, MissingProgramError
        With one sentence that says what is wrong.
    """
    from wmhflow.cli.resources import prepare_folders

    name, *words = arguments
    given = COMMANDS[name](words)
    prepare_folders()
    return given()


# ---- submit --------------------------------------------------------------------------------------


def _submit(words: Sequence[str]) -> Any:
    settings, chosen, named = _parsed("submit", words)
    return lambda: submit(settings, chosen, named)


def _parsed(
    name: str, words: Sequence[str]
) -> tuple[st.Settings, st.Submission, Mapping[str, Mapping[str, Any]]]:
    from wmhflow.cli.parser import OneSentenceParser, add_options, add_places, chosen_values

    parser = OneSentenceParser(
        prog=f"wmhflow {name}",
        description=HELP[name],
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    add_places(parser)
    add_options(parser, ALL)
    given = vars(parser.parse_args(_joined(words)))
    places = {key: given.pop(key) for key in ("bids_dir", "output_dir")}
    named = chosen_values(given, ALL)
    chosen = st.Submission(**named.get("submission", {}))
    return st.build(**places, level="participant", chosen=named), chosen, named


def _joined(words: Sequence[str]) -> list[str]:
    """Join ``--sbatch --qos=long``, of which argparse would take the second for an own option."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "--sbatch":
            joined[-1] = f"--sbatch={word}"
        else:
            joined.append(word)
    return joined


def submit(
    settings: st.Settings, chosen: st.Submission, named: Mapping[str, Mapping[str, Any]]
) -> int:
    """Send everybody who is asked for, or what is missing, to the scheduler.

    Parameters
    ----------
    settings, chosen
        The options of a run, and of its submission.
    named
        What of both was given, by group and name.
    """
    from wmhflow.cluster.scheduler import Scheduler
    from wmhflow.cluster.submission import FOLDER
    from wmhflow.files.locks import HeldError, Lock
    from wmhflow.registries.executors import load_executors

    if settings.reporting.boilerplate_only:
        raise UsageError(
            "--boilerplate-only writes a text and processes nobody, so that nothing is sent; run "
            "it here: wmhflow BIDS_DIR OUTPUT_DIR participant --boilerplate-only."
        )
    check_places_of(settings)
    if chosen.resume:
        settings, chosen = _frozen(settings, chosen, named)
    executor = load_executors()[chosen.executor]
    _check_path(settings.output_dir, UNNAMEABLE + executor.not_in_paths)
    _check_image(chosen.image, settings)
    _check_own_options(chosen.sbatch, executor)
    scheduler = Scheduler(executor)
    if settings.reporting.dry_run:
        return _preview(settings, chosen, named, scheduler)
    scheduler.check_programs()
    try:
        with Lock(settings.output_dir / FOLDER / ".lock").take(SENDING_S):
            return _send(settings, chosen, named, scheduler)
    except HeldError as error:
        raise InputError(
            f"Another submission into {settings.output_dir} is being sent ({error}); wait until "
            "that has ended."
        ) from None
    except OSError as error:
        raise UsageError(
            f"OUTPUT_DIR {settings.output_dir} cannot be written to ({error.strerror}); choose "
            "another folder."
        ) from None


def _frozen(
    settings: st.Settings, chosen: st.Submission, named: Mapping[str, Mapping[str, Any]]
) -> tuple[st.Settings, st.Submission]:
    """Take the options of the last submission; of the scheduler's, those given now."""
    from wmhflow.cluster.frozen import END, is_whole, use_copies
    from wmhflow.cluster.reading import chosen_before, read_submissions

    others = [
        name for group in st.GROUPS for name in named.get(group, {}) if name not in GIVEN_ANEW
    ]
    if others:
        raise UsageError(
            "--resume takes the options that were frozen; leave out "
            f"--{others[0].replace('_', '-')}, or submit anew without --resume."
        )
    submissions = read_submissions(settings.output_dir)
    if not submissions:
        raise NothingToDoError(
            f"Nothing was submitted into {settings.output_dir}; leave out --resume."
        )
    last = submissions[-1]
    if last.bids_dir.resolve() != settings.bids_dir.resolve():
        raise UsageError(
            f"What was submitted into {settings.output_dir} is of {last.bids_dir}, not of "
            f"{settings.bids_dir}; give that. If it was moved, leave out --resume and give the "
            "options again: who is done is not processed again."
        )
    frozen = last.folder / "options.toml"
    if not is_whole(frozen):
        raise UsageError(
            f"{frozen}, which holds the options of what was submitted, is not there any more, or "
            f"not to its last line ('{END}'); give the options again without --resume: who is done "
            "is not processed again."
        )
    options = st.read_config_file(frozen)
    use_copies(options, last.folder)
    for group in st.GROUPS:
        options.setdefault(group, {}).update(named.get(group, {}))
    again = st.Submission(**(chosen_before(last) | dict(named.get("submission", {}))))
    return st.build(settings.bids_dir, settings.output_dir, "participant", options), again


def check_places_of(settings: st.Settings) -> None:
    """Refuse folders that must not be written to; without ``--work-dir`` tasks choose their own."""
    from wmhflow.cli.places import check_places
    from wmhflow.cluster.frozen import has_work_dir

    if not has_work_dir(settings):
        work = Path(tempfile.gettempdir()) / "wmhflow"
        settings = replace(settings, execution=replace(settings.execution, work_dir=work))
    check_places(settings)


def _check_path(folder: Path, signs: str) -> None:
    """Refuse an output folder that no line of a script's header could name."""
    wrong = [letter for letter in str(folder) if letter in signs]
    if wrong:
        raise UsageError(
            f"OUTPUT_DIR {folder} has '{wrong[0]}' in its path, which schedulers do not read as it "
            "is; choose another folder."
        )


def _check_own_options(texts: Sequence[str], executor: Executor) -> None:
    """Refuse what would lead messages elsewhere: ``wmhflow status`` would find nobody."""
    for text in texts:
        # several options may stand in one text
        starts = [found.start() for found in re.finditer(r"(?<!\S)-", text)]
        for option in (text[start:] for start in starts):
            if name := _own_option(option, executor):
                raise UsageError(
                    f"--sbatch {text}: the scripts have {name} already, or cannot have it: wmhflow "
                    "status would not find tasks and what they say; leave it out."
                )


def _own_option(text: str, executor: Executor) -> str:
    """Return the name of the option with which a text begins, if that is the scripts' own."""
    name = re.split(r"[=\s]", text)[0]
    if executor.name == "slurm":
        # a value may follow a letter at once, and a long name may be cut
        short = text[:2] if not text.startswith("--") else name
        cut = len(name) > 3 and any(one.startswith(name) for one in executor.own)
    else:
        short, cut = name, False
    # such as -W, which says several things
    is_long = any(" " in one and text.startswith(one) for one in executor.own)
    return name if is_long or cut or {name, short} & set(executor.own) else ""


def _check_image(image: str | None, settings: st.Settings) -> None:
    from wmhflow.cluster.script import check_mounts
    from wmhflow.steps.containers import is_file

    if image and is_file(image) and not Path(image).exists():
        raise UsageError(f"--image {image} does not exist; check the path.")
    if image:
        check_mounts(settings)


def _send(
    settings: st.Settings,
    chosen: st.Submission,
    named: Mapping[str, Mapping[str, Any]],
    scheduler: Scheduler,
) -> int:
    from wmhflow.cluster.frozen import freeze
    from wmhflow.cluster.script import Scripts
    from wmhflow.cluster.sending import refuse_active, send
    from wmhflow.cluster.submission import new_folder
    from wmhflow.cluster.text import sent_text

    study = _study(settings.output_dir, note=True)
    tasks, needs, estimate, told = _asked(settings, chosen, named, study, scheduler)
    refuse_active(study, tasks)
    folder = new_folder(settings.output_dir)
    settings = freeze(settings, folder)
    submission = _submission(settings, chosen, folder, study, needs, estimate, scheduler)
    submission.write_labels(tasks)
    sent = send(Scripts(submission, settings, chosen, scheduler.executor), scheduler)
    print(sent_text(sent, told))
    return OK


def _preview(
    settings: st.Settings,
    chosen: st.Submission,
    named: Mapping[str, Mapping[str, Any]],
    scheduler: Scheduler,
) -> int:
    from wmhflow.cluster.frozen import options_toml
    from wmhflow.cluster.script import Scripts
    from wmhflow.cluster.sending import preview
    from wmhflow.cluster.submission import FOLDER

    study = _study(settings.output_dir)
    tasks, needs, estimate, told = _asked(settings, chosen, named, study, scheduler)
    folder = settings.output_dir / FOLDER / time.strftime("%Y%m%d-%H%M%S")
    submission = _submission(settings, chosen, folder, study, needs, estimate, scheduler)
    n_tasks = f"{len(tasks)} task{'s' if len(tasks) != 1 else ''}"
    print(f"# {n_tasks}. {told}\n# Nothing was sent, and nothing written.")
    print(f"\n# ==== {folder / 'options.toml'}\n{options_toml(settings)}", end="")
    for name, text in preview(Scripts(submission, settings, chosen, scheduler.executor)):
        print(f"\n# ==== {folder / name}\n{text}", end="")
    return OK


def _submission(
    settings: st.Settings, chosen: st.Submission, folder: Path, study: Study,
    needs: Sequence[Needs], estimate: Estimate | None, scheduler: Scheduler,
) -> Submission:  # fmt: skip
    from wmhflow.cluster.sending import cuts_of
    from wmhflow.cluster.submission import Submission

    last = study.submissions[-1] if study.submissions else None
    if estimate is not None:
        expected = {"mem_gb": round(estimate.mem_gb, 3), "minutes": round(estimate.minutes, 2)}
    else:
        expected = last.estimate if last else {}
    return Submission(
        id=folder.name,
        folder=folder,
        bids_dir=settings.bids_dir,
        output_dir=settings.output_dir,
        executor=chosen.executor,
        cuts=cuts_of(needs, scheduler.most_tasks()),
        estimate=expected,
        chosen=asdict(replace(chosen, resume=False)),
        resumes=last.id if chosen.resume and last else None,
        # a clock that was put back must not put it before the last one
        created=max(time.time(), last.created + 1 if last else 0.0),
        tagged=True,
    )


def _asked(
    settings: st.Settings,
    chosen: st.Submission,
    named: Mapping[str, Mapping[str, Any]],
    study: Study,
    scheduler: Scheduler,
) -> tuple[list[Task], list[Needs], Estimate | None, str]:
    """Say whom to send, what each asks for, what was expected, and that in words."""
    from wmhflow.cluster.estimate import CPUS, learn, needs_from
    from wmhflow.cluster.fitting import fit_to_site, refuse_beyond_site
    from wmhflow.cluster.sending import find_tasks
    from wmhflow.cluster.text import estimate_text

    limits = scheduler.limits(chosen.partition)
    if chosen.partition is not None:
        refuse_beyond_site(limits, settings.execution.mem_gb, chosen.time, chosen.partition)
    cpus = settings.execution.nprocs or CPUS
    if chosen.resume:
        pairs, told = _missing(settings, chosen, study)
        asked = [_overruled(needs, settings, named) for _, needs in pairs]
        fitted, said = fit_to_site(asked, limits, chosen.partition)
        ordered = sorted(
            zip(fitted, [task for task, _ in pairs], strict=True), key=lambda one: one[0]
        )
        tasks, needs = [task for _, task in ordered], [needs for needs, _ in ordered]
        return tasks, needs, None, " ".join(filter(None, (told, said)))
    tasks = find_tasks(settings, chosen.per)
    estimate, n_looked_at = _estimate(settings, tasks, cpus)
    learnt = learn(study.tasks, cpus)
    one = needs_from(estimate, learnt, cpus)
    if settings.execution.mem_gb is not None:
        one = one._replace(mem_gb=settings.execution.mem_gb)
    if chosen.time is not None:
        one = one._replace(minutes=chosen.time)
    (one,), said = fit_to_site([one], limits, chosen.partition)
    told = f"{estimate_text(estimate, learnt, n_looked_at)} {said}".rstrip()
    return tasks, [one] * len(tasks), estimate, told


def _missing(
    settings: st.Settings, chosen: st.Submission, study: Study
) -> tuple[list[tuple[Task, Needs]], str]:
    """List who is sent again, with what each asks for, and say what ``--resume`` leaves out."""
    from wmhflow.cluster.fitting import in_dataset, resume_text
    from wmhflow.cluster.sending import missing_tasks

    wanted = settings.inputs.participant_label
    strange = set(wanted) - {one.task.subject for one in study.tasks}
    if strange:
        raise UsageError(
            f"--participant-label: no sub-{min(strange)} was submitted into "
            f"{settings.output_dir}; check the label, or leave out --resume."
        )
    pairs = missing_tasks(study, chosen.grow)
    pairs = [pair for pair in pairs if not wanted or pair[0].subject in wanted]
    if not pairs:
        raise NothingToDoError("Of those whom --participant-label names, nothing is missing.")
    there = in_dataset(settings.bids_dir, [task for task, _ in pairs])
    kept = [pair for pair in pairs if pair[0] in there]
    if not kept:
        raise NothingToDoError(
            f"Nobody of the {len(pairs)} who are missing ({pairs[0][0].name} …) is in "
            f"{settings.bids_dir} any more; nothing is left to send."
        )
    return kept, resume_text(study, settings.bids_dir, [task for task, _ in pairs])


def _overruled(
    needs: Needs, settings: st.Settings, named: Mapping[str, Mapping[str, Any]]
) -> Needs:
    """Let what is given with ``--resume`` count instead of what a task asked for before."""
    given = named.get("execution", {})
    minutes = named.get("submission", {}).get("time")
    return needs._replace(
        mem_gb=given.get("mem_gb", needs.mem_gb),
        cpus=given.get("nprocs", needs.cpus),
        minutes=minutes or needs.minutes,
    )


def _estimate(settings: st.Settings, tasks: Sequence[Task], cpus: int) -> tuple[Estimate, int]:
    """Estimate what the largest of some persons needs; their plans are made, and no others."""
    from wmhflow.cluster.estimate import estimate_person, most_of

    subjects = list(dict.fromkeys(task.subject for task in tasks))
    step = max(1, (len(subjects) - 1) // (LOOKED_AT - 1)) if len(subjects) > LOOKED_AT else 1
    sample = subjects[::step][:LOOKED_AT]
    plans = list(_plans(settings, sample))
    possible = [plan for plan in plans if any(visit.problem is None for visit in plan.visits)]
    if not possible:
        problems = [f"{one.label}: {one.problem}" for plan in plans for one in plan.visits]
        said = f" ({problems[0]})" if problems else ""
        raise InputError(
            f"None of {len(sample)} persons that were looked at can be processed{said}; "
            "wmhflow check shows everybody."
        )
    return most_of([estimate_person(plan, settings, cpus) for plan in possible]), len(possible)


def _plans(settings: st.Settings, subjects: Sequence[str]) -> Any:
    from wmhflow.cli.run import make_plans

    inputs = replace(settings.inputs, participant_label=tuple(subjects))
    return make_plans(replace(settings, inputs=inputs))


def _study(output_dir: Path, *, note: bool = False) -> Study:
    """Ask how far everybody is; ``note`` writes down the numbers of jobs that were looked for."""
    from wmhflow.cluster.reading import read_submissions
    from wmhflow.cluster.state import study_state

    read = read_submissions(output_dir)
    study = study_state(output_dir, read)
    if note:
        for before, now in zip(read, study.submissions, strict=True):
            if before != now:
                now.write()
    return study


# ---- status and cancel ---------------------------------------------------------------------------


def _status(words: Sequence[str]) -> Any:
    parser = _small_parser("status")
    parser.add_argument(
        "--watch", action="store_true", help="say it again until nobody waits or runs any more"
    )
    parser.add_argument("--json", action="store_true", help="everybody, as JSON")
    given = parser.parse_args(words)
    return lambda: status(given.output_dir.absolute(), watch=given.watch, as_json=given.json)


def _small_parser(name: str) -> argparse.ArgumentParser:
    from wmhflow.cli.parser import OneSentenceParser, with_reason

    parser = OneSentenceParser(prog=f"wmhflow {name}", description=HELP[name], allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"wmhflow {wmhflow.__version__}")
    parser.add_argument(
        "output_dir", type=with_reason(path_of), metavar="OUTPUT_DIR", help="as it was submitted"
    )
    return parser


def status(output_dir: Path, *, watch: bool, as_json: bool) -> int:
    """Say how far everybody is who was submitted into an output folder.

    Parameters
    ----------
    output_dir
        The folder.
    watch
        Whether to say it again until nobody waits or runs.
    as_json
        Whether to print values instead of text.
    """
    from wmhflow.cluster.state import ACTIVE, MISSING
    from wmhflow.cluster.text import on_screen, status_text, status_values

    said, was_told = "", False
    while True:
        study = _submitted(output_dir)
        was_told = was_told or not study.problem
        text = json.dumps(status_values(study)) + "\n" if as_json else status_text(study)
        if watch and not as_json and sys.stdout.isatty():
            # to the first line, and nothing left of what stood there
            text = on_screen(text, *shutil.get_terminal_size())
            print(f"\x1b[H\x1b[2J{text}", end="", flush=True)
        elif text != said:
            print(text, end="", flush=True)
        said = text
        # a scheduler that answered before is busy, and will again
        left = study.of(ACTIVE | {"unknown"} if was_told else ACTIVE)
        if not (watch and left):
            return FAILED if study.of(MISSING) else OK
        # one that answers slowly has enough to do
        time.sleep(max(WATCH_S, PATIENT * study.asked_s))


def _submitted(output_dir: Path) -> Study:
    study = _study(output_dir)
    if not study.submissions:
        raise NothingToDoError(f"Nothing was submitted into {output_dir}; check the path.")
    return study


def _cancel(words: Sequence[str]) -> Any:
    parser = _small_parser("cancel")
    parser.add_argument(
        "--participant-label", nargs="+", default=[], metavar="LABEL",
        help="of these alone; the others, and the group level, go on",
    )  # fmt: skip
    given = parser.parse_args(words)
    labels = [label.removeprefix("sub-") for label in given.participant_label]
    return lambda: cancel(given.output_dir.absolute(), labels)


def cancel(output_dir: Path, labels: Sequence[str] = ()) -> int:
    """End everything that was submitted into an output folder and has not ended.

    Parameters
    ----------
    output_dir
        The folder.
    labels
        Whose tasks to end; those of all, the caches' job and the group level if there are none.
    """
    from wmhflow.cluster.state import ACTIVE

    study = _submitted(output_dir)
    if study.problem:
        raise InputError(f"Nothing was cancelled: {study.problem}")
    strange = set(labels) - {one.task.subject for one in study.tasks}
    if strange:
        raise UsageError(
            f"--participant-label: no sub-{min(strange)} was submitted into {output_dir}; check "
            "the label."
        )
    active = [one for one in study.of(ACTIVE) if not labels or one.task.subject in labels]
    (_cancel_some if labels else _cancel_all)(study, active)
    bids = shlex.quote(str(study.submissions[-1].bids_dir))
    done = f"{study.count('done')} are done"
    said = f"{len(active)} waiting or running tasks were cancelled; {done}."
    if not active:
        said = f"{'None of them' if labels else 'Nobody'} waits or runs; {done}."
    if not labels and study.jobs.get("group") in ACTIVE:
        said += " So was the group level." if active else " The group level was cancelled."
    if study.count("done") < len(study.tasks):
        command = f"wmhflow submit {bids} {shlex.quote(str(output_dir))} --resume"
        said += f" To send the others again: {command}"
    print(said)
    return OK


def _cancel_all(study: Study, active: Sequence[TaskState]) -> None:
    from wmhflow.cluster.scheduler import Scheduler
    from wmhflow.cluster.seeking import names_by_number
    from wmhflow.registries.executors import load_executors

    busy = {one.submission.id for one in active} | {study.submissions[-1].id}
    for submission in study.submissions:
        if submission.id in busy and submission.jobs:
            scheduler = Scheduler(load_executors()[submission.executor])
            scheduler.cancel(submission.jobs, names_by_number(submission))


def _cancel_some(study: Study, active: Sequence[TaskState]) -> None:
    from wmhflow.cluster.scheduler import Scheduler
    from wmhflow.cluster.seeking import names_by_number
    from wmhflow.cluster.state import place_of
    from wmhflow.registries.executors import load_executors

    for submission in study.submissions:
        places = [
            place_of(submission, one.cut, one.number)
            for one in active
            if one.submission.id == submission.id
        ]
        if places:
            scheduler = Scheduler(load_executors()[submission.executor])
            scheduler.cancel_tasks(places, names_by_number(submission))


# ---- check ---------------------------------------------------------------------------------------


def _check(words: Sequence[str]) -> Any:
    from wmhflow.cli.checking import check

    settings, chosen, _ = _parsed("check", words)

    def run() -> int:
        check_places_of(settings)
        return check(settings, chosen)

    return run


COMMANDS: dict[str, Any] = {
    "submit": _submit, "status": _status, "cancel": _cancel, "check": _check
}  # fmt: skip
HELP = {
    "submit": "Send a job array to a cluster, one task a person, and the group level after it. "
    "Every option of a run is passed on; --nprocs and --mem-gb are what a task asks for.",
    "status": "Who waits, runs, is done, failed or is lost, and the command that mends it. "
    "Exit code 1 if somebody failed or is lost.",
    "cancel": "End everything that was submitted into a folder; what is done stays.",
    "check": "Look at all that could end a submission, in a minute, and send nothing: plans, "
    "what one person needs, the container, disks, limits. Exit code 1 if something is wrong.",
}
