"""An image, run as an engine would run it: its entry, in namespaces, with a root that is read-only.

The build tools of this project's machines have no engine that mounts a root read-only, so the
kernel's own means are used: a mount namespace in which the image's root is mounted again without
the right to write, no network but none at all, a process namespace, and a user that the image does
not know. As with Docker's ``--read-only``, ``/dev/shm`` can be written to. ``/tmp`` cannot.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.builders import ROOT

STORE = ROOT.parent / "shared" / "container" / "store.sh"
STRANGER = 12345
START = r"""
set -e
root=$1 way=$2 user=$3 folder=$4 report=$5
shift 5
mount --bind "$root" "$root"
[[ $way == writable ]] || mount -o remount,ro,bind "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs -o mode=755 dev "$root/dev"
for name in null zero full random urandom; do
    : >"$root/dev/$name"
    mount --bind "/dev/$name" "$root/dev/$name"
done
ln -s /proc/self/fd "$root/dev/fd"
mkdir "$root/dev/shm"
mount -t tmpfs -o mode=1777,size=64m shm "$root/dev/shm"
while [[ $1 != -- ]]; do
    mount --bind "$1" "$root$2"
    [[ $3 == rw ]] || mount -o remount,ro,bind "$root$2"
    shift 3
done
shift
set +e
begin=$(date +%s.%N)
chroot --userspec="$user:$user" --groups= "$root" \
    /bin/sh -c 'cd "$1" && shift && exec /usr/bin/env -i "$@"' sh "$folder" "$@"
code=$?
date +"%s.%N $begin" >"$report"
find "$root/dev/shm" -mindepth 1 >>"$report"
exit $code
"""


@dataclass(frozen=True)
class Done:
    """A run that ended: what it said, how long it took, and what it left in shared memory."""

    code: int
    out: str
    said: str
    seconds: float
    left: list[str]


def store(words: str, *arguments: str) -> str:
    """Call the store of images."""
    script = f'source "$0" && {words}'
    return subprocess.run(
        ["bash", "-c", script, str(STORE), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


class Image:
    """An image, mounted; nothing in it changes by a run whose root is read-only."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.container = store('store from --pull-never "$1"', tag)
        self.root = Path(store('store mount "$1"', self.container))
        told = json.loads(store('store inspect --type image "$1"', tag))["OCIv1"]
        self.config: dict[str, Any] = told["config"]

    def close(self) -> None:
        """Take the mounted copy away."""
        store('store rm "$1"', self.container)

    @property
    def variables(self) -> dict[str, str]:
        """The variables that the image sets."""
        return dict(text.split("=", 1) for text in self.config["Env"])

    def run(
        self,
        *words: str,
        variables: Mapping[str, str] | None = None,
        bound: Mapping[str, tuple[Path, str]] | None = None,
        entry: Sequence[str] | None = None,
        user: int = STRANGER,
        root: str = "read-only",
        folder: str | None = None,
        report: Path,
    ) -> Done:
        """Run the image.

        Parameters
        ----------
        words
            The arguments.
        variables
            All variables there are; by default those that the image sets.
        bound
            By place inside: a folder, and ``ro`` or ``rw``.
        entry
            What is started; by default the image's entry.
        user, root, folder
            Who runs it, whether the root is ``read-only`` or ``writable``, and where it stands.
        report
            A file to use.
        """
        bound = bound or {}
        mounts = []
        for inside, (place, way) in bound.items():
            # as an engine does, before anything runs
            (self.root / inside.lstrip("/")).mkdir(parents=True, exist_ok=True)
            mounts += [str(place), inside, way]
        given = self.variables if variables is None else variables
        command = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child",
                   "bash", "-c", START, "start", str(self.root), root, str(user),
                   folder or self.config["WorkingDir"], str(report), *mounts, "--",
                   *(f"{name}={value}" for name, value in given.items()),
                   *(entry or self.config["Entrypoint"]), *words]  # fmt: skip
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        # a run that did not begin has no report, and its own time counts
        lines = report.read_text().splitlines() if report.exists() else []
        report.unlink(missing_ok=True)
        ended, start = map(float, lines[0].split()) if lines else (time.monotonic(), began)
        return Done(done.returncode, done.stdout, done.stderr, ended - start, lines[1:])
