"""What this process may use: processors and memory, as affinity, cgroup and scheduler allow."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import psutil

import wmhflow
from wmhflow.files.caches import (
    cache_folder,
    is_writable,
    remove_damaged_kernels,
    set_temporary_folder,
)
from wmhflow.settings import LEAST_THREADS, Execution, Resources

CGROUP = Path("/sys/fs/cgroup")
# Variables in which schedulers (Slurm, SGE, LSF, PBS) tell a job its processors, most of them on
# nodes that do not bind it to these, with one that says that it is a job of theirs.
JOB_PROCESSORS = {
    "SLURM_CPUS_PER_TASK": "SLURM_CPUS_PER_TASK",
    "SLURM_CPUS_ON_NODE": "SLURM_CPUS_ON_NODE",
    "NSLOTS": "JOB_ID",
    "LSB_DJOB_NUMPROC": "LSB_JOBID",
    "NCPUS": "PBS_JOBID",
}
GB = 1024**3
log = logging.getLogger("wmhflow")


def find_resources(
    chosen: Execution, environment: Mapping[str, str] = os.environ, cgroup: Path = CGROUP
) -> Resources:
    """Decide how much to use: what was chosen, else what may be used.

    Parameters
    ----------
    chosen
        The settings.
    environment
        Environment variables, for those of schedulers.
    cgroup
        Where the kernel tells the limits of the process's control group.
    """
    processors = usable_processors(environment, cgroup)
    nprocs = chosen.nprocs or processors
    shared = max(processors // nprocs, min(processors, LEAST_THREADS))
    threads = chosen.omp_nthreads or shared
    memory = chosen.mem_gb or usable_memory_gb(environment, cgroup)
    return Resources(nprocs, threads, memory)


def usable_processors(environment: Mapping[str, str], cgroup: Path) -> int:
    """Count the processors that affinity, cgroup quota and scheduler leave to this process."""
    limits = [len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()]
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        limits.append(max(1, int(quota) // int(period)))
    for name, job in JOB_PROCESSORS.items():
        if job in environment and environment.get(name, "").isdigit():
            limits.append(int(environment[name]))
            break
    return max(1, min(limit for limit in limits if limit))


def usable_memory_gb(environment: Mapping[str, str], cgroup: Path) -> float:
    """Tell how much memory the machine, the cgroup and Slurm leave to this process, in GB."""
    limits = [psutil.virtual_memory().total / GB * 0.9]
    texts = [_read(cgroup / name) for name in ("memory.max", "memory/memory.limit_in_bytes")]
    limits += [int(text) / GB * 0.95 for text in texts if text.isdigit()]
    if environment.get("SLURM_MEM_PER_NODE", "").isdigit():
        limits.append(int(environment["SLURM_MEM_PER_NODE"]) / 1024)
    elif environment.get("SLURM_MEM_PER_CPU", "").isdigit():
        processors = usable_processors(environment, cgroup)
        limits.append(int(environment["SLURM_MEM_PER_CPU"]) * processors / 1024)
    # Slurm's --mem=0 is all of the machine's
    return min(limit for limit in limits if limit > 0)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def prepare_environment(resources: Resources) -> None:
    """Set what worker processes read before they import numeric libraries.

    One ITK thread, so that registrations give the same bytes; kernels take their threads from
    ``NUMBA_NUM_THREADS``. Caches go where this process may write.
    """
    prepare_folders()
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["NUMBA_NUM_THREADS"] = str(resources.omp_nthreads)


def check_kernels() -> None:
    """Remove compiled kernels that are damaged, before the first of them is called.

    All of them are read for that: where nobody has to be processed, it is left out.
    """
    _check_kernels_in(os.environ["NUMBA_CACHE_DIR"])


@cache
def _check_kernels_in(folder: str) -> None:
    """Do so once, whatever the number of batches."""
    for path in remove_damaged_kernels(Path(folder)):
        log.warning("%s was damaged: it is compiled again.", path)


def prepare_folders(own: Path | None = None) -> None:
    """Let libraries keep what they keep where this process may write, before they are imported.

    Parameters
    ----------
    own
        A folder that caches and temporary files go to rather than to the user's home and the
        system's folder for temporary files; None for these.

    Raises
    ------
    UsageError
        If no folder can be written to.
    """
    set_temporary_folder(None if own is None else own / "tmp")
    if not os.path.isabs(os.path.expanduser("~")):  # noqa: PTH111, PTH117
        # nobody knows this user: what libraries ask for "~" would end the run, or lie in "./~"
        os.environ["HOME"] = str(_writable_cache(None, "home", own))
    os.environ["NIPYPE_NO_ET"] = "1"
    os.environ["MPLBACKEND"] = "Agg"
    for variable, name in (
        # Another version's compiled kernels would count as out of date, and be compiled again.
        ("NUMBA_CACHE_DIR", f"numba-{wmhflow.__version__}"),
        ("MPLCONFIGDIR", "matplotlib"),
        ("NIPYPE_CONFIG_DIR", "nipype"),
    ):
        os.environ[variable] = str(_writable_cache(os.environ.get(variable), name, own))


def _writable_cache(given: str | None, name: str, own: Path | None = None) -> Path:
    """Return the given folder, or one of the user's that starts as a copy of it.

    The container's cache of compiled kernels cannot be written to; numba uses no such folder.
    """
    # what is given inside the image is the image's, and stays as it was built
    if given and own is None and is_writable(Path(given)):
        return Path(given)
    wanted = own and own / "caches" / name
    folder = wanted if wanted and is_writable(wanted) else cache_folder(name)
    log.debug("%s cannot be written to; the cache of %s is %s", given or "no folder", name, folder)
    if given and Path(given).is_dir():
        for source in Path(given).rglob("*"):
            if source.is_file():
                _copy_missing(source, folder / source.relative_to(given))
    return folder


def _copy_missing(source: Path, target: Path) -> None:
    """Copy a file that is not there yet, whole or not at all: other jobs may read and copy too."""
    if not target.exists():
        # The source's folders may be read-only; those made here are not.
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copyfile(source, partial)
        partial.replace(target)


@contextmanager
def monitor(path: Path | None) -> Iterator[None]:
    """Record memory and CPU of this process and its children every second.

    Parameters
    ----------
    path
        A TSV file to write; None records nothing.
    """
    if path is None:
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(target=_record, args=(path, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _record(path: Path, stop: threading.Event) -> None:
    try:
        _record_into(path, stop)
    except OSError as error:
        log.warning("%s is not written any more: %s.", path, error.strerror)


def _record_into(path: Path, stop: threading.Event) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    own, seconds = psutil.Process(), 0
    with path.open("w", encoding="utf-8") as stream:
        stream.write("seconds\tn_processes\trss_gb\tcpu_seconds\n")
        while not stop.wait(1.0):
            seconds += 1
            memory, busy, count = 0.0, 0.0, 0
            for process in [own, *own.children(recursive=True)]:
                try:
                    memory += process.memory_info().rss / GB
                    busy += sum(process.cpu_times()[:2])
                    count += 1
                except psutil.NoSuchProcess:
                    continue
            stream.write(f"{seconds}\t{count}\t{memory:.3f}\t{busy:.1f}\n")
            stream.flush()
