"""Running a graph on several processes, in a way that ends when one of them is killed.

Nipype's own plugin waits for ever after a worker was killed, because the exception that its pool
raises gets lost in a callback (nipype issue 2548). Here a killed worker's step fails with a
message, the steps that ran beside it are started again in a new pool, and the run goes on.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import forkserver, get_context, parent_process
from pathlib import Path
from typing import Any

import psutil
from nipype.pipeline.plugins.base import DistributedPluginBase
from nipype.pipeline.plugins.multiproc import MultiProcPlugin, process_initializer, run_node

from wmhflow.files.children import die_with_parent
from wmhflow.files.messages import PLAIN, start_messages

log = logging.getLogger("wmhflow")
KILLED = (
    "a worker process was killed while it ran this step, probably for lack of memory; "
    "give more memory, or run fewer steps at once with --nprocs"
)
# how long a process that was asked to end may take, such as a container's
ENDING_S = 3.0
# how long a process that was killed may take to be dead
DYING_S = 1.0
# The scheduler's name among the plugin's arguments, beside nipype's own.
LONGEST_CHAIN = "longest_chain"
# How workers say their messages, among the plugin's arguments: see `start_messages`.
MESSAGES = "messages"
# of a step that does not say how long it takes
USUAL_S = 1.0
# So long the program waits for the end of a step before it looks whether anything else changed.
LONGEST_WAIT_S = 0.5


def _start_worker(folder: str, how: str, verbose: int) -> None:
    """Prepare a worker; what nipype has to say goes into results, not to the terminal."""
    process_initializer(folder)
    start_messages(how, verbose, "%(message)s")
    die_with_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    for name in ("nipype.workflow", "nipype.utils", "nipype.interface"):
        logging.getLogger(name).setLevel(logging.ERROR)


@dataclass(frozen=True)
class Failure:
    """A step that failed: its full name in the graph and the last line of its traceback."""

    step: str
    reason: str


def said_by(line: str) -> str:
    r"""Take the class of the program's own errors off a traceback's last line: the rest says all.

    Examples
    --------
    >>> said_by("\twmhflow.errors.InputError: a.nii.gz is noise.")
    'a.nii.gz is noise.'
    >>> said_by("ValueError: bad")
    'ValueError: bad'
    """
    return re.sub(r"^\s*wmhflow\.errors\.\w+: ", "", line)


def _run_noting_process(folder: str, node: Any, updatehash: bool, taskid: int) -> dict[str, Any]:
    (Path(folder) / str(taskid)).write_text(str(os.getpid()), encoding="ascii")
    told: dict[str, Any] = run_node(node, updatehash, taskid)
    if not told["traceback"]:
        # it lies in the step's folder: with all inputs in it, it takes long to be sent and read
        told["result"] = None
    return told


def stop_processes(pids: Sequence[int]) -> None:
    """Ask processes and all that they began to end, and kill those that do not.

    Parameters
    ----------
    pids
        Of processes of one's own; some may be gone.
    """
    found: list[psutil.Process] = []
    for pid in pids:
        try:
            process = psutil.Process(pid)
            found += [*process.children(recursive=True), process]
        except psutil.NoSuchProcess:
            continue
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(found, timeout=ENDING_S)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _forget_fork_server() -> None:
    """Forget the process that workers were forked from, which was ended here.

    Who ends it takes its exit status as well. Python asks for that when the next pool is made, and
    fails where it is gone; what it no longer knows it begins anew.
    """
    server: Any = forkserver._forkserver
    os.close(server._forkserver_alive_fd)
    for name in ("_forkserver_address", "_forkserver_alive_fd", "_forkserver_pid"):
        setattr(server, name, None)


def _end_with_parent() -> None:
    """End this worker when the program is killed, or it would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _is_dead(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def longest_chains(seconds: Sequence[float], followers: Sequence[Sequence[int]]) -> list[float]:
    """Add to the time of each step that of the longest chain of steps that wait for it.

    Parameters
    ----------
    seconds
        Time of each step, in an order in which every step comes before those that wait for it.
    followers
        For each step, those that wait for it.

    Returns
    -------
    list of float
        Seconds from the begin of each step to the end of all that hangs on it, at least.

    Examples
    --------
    >>> longest_chains([1, 5, 2, 7], [[1, 2], [3], [3], []])
    [13, 12, 9, 7]
    """
    chains = list(seconds)
    for i in reversed(range(len(chains))):
        chains[i] += max((chains[j] for j in followers[i]), default=0)
    return chains


class RecordsFailures(DistributedPluginBase):
    """What a plugin of nipype's that runs steps elsewhere has in addition: what failed, and why."""

    procs: list[Any]
    proc_done: Any
    proc_pending: Any

    @property
    def failures(self) -> list[Failure]:
        """The steps that failed, in order."""
        found: list[Failure] = self.__dict__.setdefault("_failures", [])
        return found

    def _clean_queue(self, jobid: int, graph: Any, result: Any = None) -> Any:
        lines = "".join((result or {}).get("traceback") or ["unknown"]).strip().splitlines()
        reason = said_by(lines[-1]) if lines else "unknown"
        self.failures.append(Failure(self.procs[jobid].fullname, reason))
        left = super()._clean_queue(jobid, graph, result=result)
        self._give_up_visit(self.procs[jobid].fullname.rpartition(".")[0])
        return left

    def _give_up_visit(self, visit: str) -> None:
        """Do not begin the other steps of a visit of which one failed: it cannot be complete."""
        for number, node in enumerate(self.procs):
            if node.fullname.rpartition(".")[0] == visit and not self.proc_done[number]:
                self.proc_done[number] = True
                self.proc_pending[number] = False

    def _report_crash(self, node: Any, result: Any = None) -> Any:
        try:
            return super()._report_crash(node, result=result)
        except OSError as error:
            # a full disk: what failed is said all the same, and the others go on
            log.warning("No traceback can be kept of %s (%s).", node.fullname, error.strerror)
            return ""

    def close(self) -> None:
        """Do nothing: what was sent is the scheduler's."""


class ResilientMultiProcPlugin(RecordsFailures, MultiProcPlugin):
    """Nipype's process pool, made to survive the death of a worker.

    Parameters
    ----------
    plugin_args
        As nipype's, with ``status_callback`` for the progress display.

    Attributes
    ----------
    failures
        The steps that failed, in order.
    """

    pool: ProcessPoolExecutor

    def __init__(self, plugin_args: dict[str, Any] | None = None) -> None:
        super().__init__(plugin_args=plugin_args)
        self._notes = tempfile.mkdtemp(prefix="wmhflow-")
        self._retries: dict[int, int] = {}
        self._to_retry: set[int] = set()
        self._jobs: dict[int, tuple[Any, bool]] = {}
        self._chains: list[float] = []
        self._has_ended = threading.Event()
        self._is_run = False
        self.pool.shutdown()
        self.pool = self._new_pool()

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=self.processors,
            initializer=_start_worker,
            initargs=(self._cwd, *self.plugin_args.get(MESSAGES, (PLAIN, 0))),
            mp_context=get_context(self.plugin_args.get("mp_context", "forkserver")),
        )

    def _submit_job(self, node: Any, updatehash: bool = False) -> int:
        self._taskid += 1
        self._jobs[self._taskid] = (node, updatehash)
        self._send(self._taskid)
        return self._taskid

    def _send(self, taskid: int) -> None:
        (Path(self._notes) / str(taskid)).unlink(missing_ok=True)
        node, updatehash = self._jobs[taskid]
        work: Callable[..., Any] = partial(_run_noting_process, self._notes)
        try:
            future = self.pool.submit(work, node, updatehash, taskid)
        except BrokenExecutor:
            self.pool.shutdown(wait=False)
            self.pool = self._new_pool()
            future = self.pool.submit(work, node, updatehash, taskid)
        # nipype's _get_result may look for the future before its callback has run
        self._task_obj[taskid] = future
        future.add_done_callback(partial(self._finish, taskid))

    def _finish(self, taskid: int, future: Future[dict[str, Any]]) -> None:
        try:
            self._note_end(taskid, future)
        finally:
            self._has_ended.set()

    def _note_end(self, taskid: int, future: Future[dict[str, Any]]) -> None:
        error = future.exception()
        if error is None:
            self._taskresult[taskid] = future.result()
        elif isinstance(error, BrokenExecutor) and self._was_beside_the_killed(taskid):
            self._to_retry.add(taskid)
        else:
            reason = KILLED if isinstance(error, BrokenExecutor) else repr(error)
            self._taskresult[taskid] = {
                "result": None,
                "traceback": [f"{type(error).__name__}: {reason}\n"],
                "taskid": taskid,
            }

    def _was_beside_the_killed(self, taskid: int) -> bool:
        """Whether the step's own process lives on, so that another one was killed."""
        if self._retries.get(taskid, 0) >= 2:
            return False
        note = Path(self._notes) / str(taskid)
        if not note.is_file():
            return True
        pid = int(note.read_text(encoding="ascii"))
        # a dying process closes its pipes, which breaks the pool, some time before it is dead
        deadline = time.monotonic() + DYING_S
        while time.monotonic() < deadline:
            if _is_dead(pid):
                return False
            time.sleep(0.02)
        return True

    def _get_result(self, taskid: int) -> dict[str, Any] | None:
        if taskid in self._to_retry:
            self._to_retry.discard(taskid)
            self._retries[taskid] = self._retries.get(taskid, 0) + 1
            self._send(taskid)
        return self._taskresult.get(taskid)

    def _send_procs_to_workers(self, updatehash: bool = False, graph: Any = None) -> None:
        """Send what can begin, and wait until a step ends: nothing else lets another one begin."""
        super()._send_procs_to_workers(updatehash=updatehash, graph=graph)
        if self.pending_tasks:
            self._has_ended.wait(LONGEST_WAIT_S)
            # before nipype looks for results again, so that none is missed
            self._has_ended.clear()

    def _generate_dependency_list(self, graph: Any) -> None:
        super()._generate_dependency_list(graph)
        seconds = [getattr(node.interface, "seconds", USUAL_S) for node in self.procs]
        self._chains = longest_chains(seconds, self.depidx.rows)

    def _sort_jobs(self, jobids: Any, scheduler: str = "tsort") -> Any:
        """Begin what the end of the run waits for longest; among equals, what came first."""
        if scheduler != LONGEST_CHAIN:
            return super()._sort_jobs(jobids, scheduler=scheduler)
        # parts of a step that was divided stand behind all others
        whole = {job: self.mapnodesubids.get(job, job) for job in jobids}
        return sorted(jobids, key=lambda job: (-self._chains[whole[job]], job))

    def _prerun_check(self, graph: Any) -> None:
        super()._prerun_check(graph)
        # nipype collects garbage at every look for a free processor, many times a second: modules
        # and the graph, which are none, would keep a processor busy with it
        gc.collect()
        gc.freeze()

    def _postrun_check(self) -> None:
        super()._postrun_check()
        self._is_run = True
        shutil.rmtree(self._notes, ignore_errors=True)

    def close(self) -> None:
        """Stop the workers and the programs that they run, also when the run was interrupted."""
        gc.unfreeze()
        if not self._is_run:
            # the process that workers are forked from first: it might be about to fork another one
            server = getattr(getattr(forkserver, "_forkserver", None), "_forkserver_pid", None)
            workers = list(getattr(self.pool, "_processes", None) or {})
            stop_processes([*([server] if server else []), *workers])
            if server:
                _forget_fork_server()
        self.pool.shutdown(wait=False, cancel_futures=True)
        shutil.rmtree(self._notes, ignore_errors=True)
