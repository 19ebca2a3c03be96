"""What is different inside the container image: the only folders to write to are the user's."""

from __future__ import annotations

import os
from pathlib import Path

from wmhflow.errors import UsageError
from wmhflow.files.caches import is_writable
from wmhflow.settings import Settings

# set by the image's entry, tools/entry.sh
IMAGE_VARIABLE = "WMHFLOW_IN_IMAGE"


def folder_in_image(settings: Settings) -> Path | None:
    """Find the folder for caches and temporary files of a run inside the container image.

    They lie in the work folder there: the image may be read-only, a home may be missing, and where
    the host's home is mounted nothing should be left in it. A run that only tells something makes
    no work folder, but uses one that is there.

    Parameters
    ----------
    settings
        The run's settings.

    Returns
    -------
    Path or None
        The work folder; None outside the image, where the user's own caches serve.

    Raises
    ------
    UsageError
        If the work folder lies where nothing may be written, or cannot be written to.
    """
    if not os.environ.get(IMAGE_VARIABLE):
        return None
    from wmhflow.cli.places import check_places

    check_places(settings)
    telling = settings.reporting
    work = settings.execution.work_dir
    only_tells = telling.dry_run or telling.boilerplate_only or telling.reports_only
    if only_tells:
        return work if work.is_dir() else None
    if settings.level == "participant" and not is_writable(work):
        raise UsageError(
            f"--work-dir {work} cannot be written to; choose another folder. In a container it has "
            "to be mounted from outside."
        )
    return work
