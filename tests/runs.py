"""Running the program as its users do, for tests that need the whole of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.builders import PHANTOM, ROOT


def wmhflow(arguments: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
    """Run the program in a process of its own."""
    command = [sys.executable, "-m", "wmhflow", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


# the phantom's derivatives: masks of WMH, a parcellation, maps; the demo is given others as well
PHANTOM_GIVEN = ("lesions", "parcellation", "maps")


def phantom_words(
    out: Path,
    work: Path,
    level: str = "participant",
    dataset: Path = PHANTOM,
    names: Sequence[str] = PHANTOM_GIVEN,
) -> list[str]:
    """Return the arguments that process the phantom with derivatives of it."""
    given = [f"{name}={dataset}/derivatives/{name}" for name in names]
    return [str(dataset), str(out), level, "-d", *given, "-w", str(work)]


def outputs(out: Path) -> dict[str, bytes]:
    """Read every file of an output dataset but the logs of single runs."""
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.suffix != ".log" and "crash-" not in path.name
        # pictures of a withdrawn map are kept: nothing promised them, nothing reads them
    }
