"""Programs in container images: which runtime starts them, and with which words."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wmhflow.errors import InputError, MissingProgramError, UsageError
from wmhflow.files.checksums import checksum

# programs that run an image kept as a file, and those that keep images themselves
SINGULAR, DAEMONS = ("apptainer", "singularity"), ("docker", "podman")
DOCKER = "docker://"
# a word of a mount ends at one of them, in one runtime or another
UNMOUNTABLE = ':,"'
# of the program's own environment, what a program in an image is told too
HANDED_ON = ("OMP_NUM_THREADS",)
PROBE_SECONDS = 600


def is_file(image: str) -> bool:
    """Tell whether an image is a file, given by its whole path, and no name in a registry.

    Examples
    --------
    >>> is_file("/images/tool.sif"), is_file("docker://maker/tool:1.0"), is_file("maker/tool:1.0")
    (True, False, False)
    """
    return Path(image).is_absolute()


def image_facts(image: str) -> dict[str, Any]:
    """State what an image is told from another by: its name; of a file, what it holds too.

    Parameters
    ----------
    image
        As ``--segmenter-image``.

    Returns
    -------
    dict
        Plain values. A folder, which Apptainer runs too, is told by its size and time.

    Raises
    ------
    UsageError
        If it is a file that does not exist, or cannot be read.
    """
    if not is_file(image):
        return {"name": image}
    path = Path(image)
    try:
        found = path.stat()
        if not path.is_dir():
            return {"name": path.name, "sha256": checksum(path)}
    except FileNotFoundError:
        raise UsageError(f"--segmenter-image {image} does not exist.") from None
    except InputError as error:
        raise UsageError(f"--segmenter-image: {error}") from None
    except OSError as error:
        raise UsageError(f"--segmenter-image {image} cannot be read: {error.strerror}.") from None
    return {"name": path.name, "size": found.st_size, "changed": found.st_mtime_ns}


def find_runtime(image: str) -> str:
    """Choose the program that runs an image: the first one on PATH that can.

    Parameters
    ----------
    image
        A file, a name with its kind before it (``docker://…``), or a name as docker has it.

    Returns
    -------
    str
        ``apptainer``, ``singularity``, ``docker`` or ``podman``.

    Raises
    ------
    MissingProgramError
        If none of them is installed.
    """
    if is_file(image) or ("://" in image and not image.startswith(DOCKER)):
        able: tuple[str, ...] = SINGULAR
    elif image.startswith(DOCKER):
        able = SINGULAR + DAEMONS
    else:
        # it may be there already, for docker alone
        able = DAEMONS + SINGULAR
    for name in able:
        if shutil.which(name):
            return name
    raise MissingProgramError(
        f"--segmenter-image {image} is run by {_either(able)}, and none of them is installed or on "
        "PATH; install one."
    )


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def check_mountable(folder: Path) -> None:
    """Refuse a folder whose path no runtime could be told.

    Parameters
    ----------
    folder
        The work folder.

    Raises
    ------
    UsageError
        If there is a colon, comma or quotation mark in it.
    """
    wrong = [letter for letter in str(folder) if letter in UNMOUNTABLE]
    if wrong:
        raise UsageError(
            f"--work-dir {folder} has '{wrong[0]}' in its path, so that it cannot be mounted into "
            "--segmenter-image; choose another folder."
        )


def words_in_image(
    image: str,
    words: Sequence[str],
    folder: Path,
    inputs: Sequence[Path] = (),
    file_variables: Sequence[str] = (),
) -> list[str]:
    """Put what starts a container before a program's words.

    Inside, everything lies where it lies outside. The network is cut off where the runtime can do
    that for the user.

    Parameters
    ----------
    image
        As ``--segmenter-image``.
    words
        Program and arguments, as the image knows them.
    folder
        Where it runs, and may write.
    inputs
        Folders that it may read.
    file_variables
        Environment variables that name a file; the image gets those that are set.

    Returns
    -------
    list of str
        Program and arguments.

    Raises
    ------
    MissingProgramError
        If no runtime is installed.
    """
    runtime = find_runtime(image)
    given = {name: os.environ[name] for name in file_variables if os.environ.get(name)}
    kept = [Path(path).absolute() for path in given.values() if Path(path).is_file()]
    readable = [*dict.fromkeys([*inputs, *kept])]
    told = {name: str(Path(path).absolute()) for name, path in given.items()}
    told |= {name: os.environ[name] for name in HANDED_ON if os.environ.get(name)}
    if runtime in DAEMONS:
        return _by_daemon(runtime, image, words, folder, readable, told)
    return _by_singular(runtime, image, words, folder, readable, told)


def _by_daemon(
    runtime: str,
    image: str,
    words: Sequence[str],
    folder: Path,
    readable: Sequence[Path],
    told: Mapping[str, str],
) -> list[str]:
    started = [runtime, "run", "--rm", "--network", "none"]
    started += ["--user", f"{os.getuid()}:{os.getgid()}"]
    if runtime == "podman":
        # what it writes is the user's own, and what is mounted can be read under SELinux
        started += [] if os.getuid() == 0 else ["--userns", "keep-id"]
        started += ["--security-opt", "label=disable"]
    started += ["--mount", f"type=bind,source={folder},target={folder}"]
    for path in readable:
        started += ["--mount", f"type=bind,source={path},target={path},readonly=true"]
    # the user has no home in the image, and programs keep settings there
    for name, value in {"HOME": str(folder), "USER": "wmhflow", **told}.items():
        started += ["--env", f"{name}={value}"]
    started += ["--workdir", str(folder), "--entrypoint", words[0], image.removeprefix(DOCKER)]
    return [*started, *words[1:]]


def _by_singular(
    runtime: str,
    image: str,
    words: Sequence[str],
    folder: Path,
    readable: Sequence[Path],
    told: Mapping[str, str],
) -> list[str]:
    source = image if is_file(image) or "://" in image else DOCKER + image
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    apart = ["--net", "--network", "none"] if _can_cut_network(runtime, source) else []
    started = [runtime, "exec", "--containall", "--workdir", str(scratch), *apart]
    # the home is the folder itself: mounted, and written to
    started += ["--home", str(folder)]
    for path in readable:
        started += ["--bind", f"{path}:{path}:ro"]
    for name, value in told.items():
        started += ["--env", f"{name}={value}"]
    return [*started, "--pwd", str(folder), source, *words]


def _can_cut_network(runtime: str, source: str) -> bool:
    """Try whether the user may start a container without network; not every machine lets them."""
    probe = [runtime, "exec", "--containall", "--net", "--network", "none", source, "true"]
    try:
        done = subprocess.run(
            probe,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            timeout=PROBE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
