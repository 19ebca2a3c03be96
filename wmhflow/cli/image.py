"""What is different inside the container image: the only folders to write to are the user's."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from wmhflow.errors import UsageError
from wmhflow.files.caches import is_writable, set_temporary_folder
from wmhflow.settings import Settings

# set by the image's entry, tools/entry.sh
IMAGE_VARIABLE = "WMHFLOW_IN_IMAGE"


def folder_in_image(settings: Settings | None = None) -> Path | None:
    """Find the folder for caches and temporary files of a run inside the container image.

    They lie in the work folder there: the image may be read-only, a home may be missing, and where
    the host's home is mounted nothing should be left in it. A run that only tells something makes
    no work folder, but uses one that is there; else a folder serves that is gone when the run ends.

    Parameters
    ----------
    settings
        The run's settings; None for a command that has no work folder.

    Returns
    -------
    Path or None
        The folder; None outside the image, where the user's own caches serve.

    Raises
    ------
    UsageError
        If the work folder lies where nothing may be written, or cannot be written to.
    """
    if not os.environ.get(IMAGE_VARIABLE):
        return None
    if settings is None:
        return _passing_folder()
    from wmhflow.cli.places import check_places

    check_places(settings)
    telling = settings.reporting
    work = settings.execution.work_dir
    only_tells = telling.dry_run or telling.boilerplate_only or telling.reports_only
    if (work.is_dir() or not only_tells) and is_writable(work):
        return work
    if only_tells or settings.level == "group":
        return _passing_folder()
    raise UsageError(
        f"--work-dir {work} cannot be written to; choose another folder. In a container it has to "
        "be mounted from outside."
    )


def _passing_folder() -> Path:
    """Make a folder that is removed when this process ends."""
    set_temporary_folder()
    folder = Path(tempfile.mkdtemp(prefix="wmhflow-image-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
