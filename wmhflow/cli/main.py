"""The program's entry: exit codes, and one sentence for whatever is wrong."""

from __future__ import annotations

import io
import logging
import sys
import traceback
from collections.abc import Sequence
from contextlib import ExitStack

from wmhflow.cli.atlas import is_atlas_command, run_atlas
from wmhflow.cli.cluster import is_cluster_command, run_cluster
from wmhflow.cli.explained import check_place, explain
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.signals import Stopped, stopping_signals
from wmhflow.errors import (
    MissingProgramError,
    NothingToDoError,
    UsageError,
    WmhflowError,
)
from wmhflow.files.messages import (
    JsonStream,
    how_said,
    start_messages,
    streams_of,
    write_json,
)
from wmhflow.files.standard_output import fill_standard_streams

FAILED, WRONG_USE, NOTHING_TO_DO, MISSING_PROGRAM, INTERRUPTED = 1, 2, 70, 127, 130
ENDED = {0: "done", FAILED: "failed", WRONG_USE: "wrong use", NOTHING_TO_DO: "nothing to do",
         MISSING_PROGRAM: "program missing"}  # fmt: skip
CODES: dict[type[WmhflowError], int] = {
    UsageError: WRONG_USE,
    NothingToDoError: NOTHING_TO_DO,
    MissingProgramError: MISSING_PROGRAM,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program.

    Parameters
    ----------
    arguments
        The words after the program's name; by default those of the process.

    Returns
    -------
    int
        0 everything promised was written; 1 a step failed; 2 wrong use; 70 nothing to do;
        127 a required program is missing; 130, 143 or 129: stopped by SIGINT, SIGTERM or SIGHUP.
    """
    fill_standard_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a letter that the terminal's encoding lacks is no reason to end
            stream.reconfigure(errors="backslashreplace")
    # a log that cannot be written to, such as on a full disk, is no reason for a traceback
    logging.raiseExceptions = False
    words = sys.argv[1:] if arguments is None else list(arguments)
    with ExitStack() as streams:
        code = _guarded(words, streams)
        if isinstance(sys.stdout, JsonStream):
            level = "error" if code else "info"
            write_json(
                level, f"Ended with {code}.", state=ENDED.get(code, "stopped"), exit_code=code
            )
    return code


def _guarded(words: Sequence[str], streams: ExitStack) -> int:
    """Run the program, and say in a sentence whatever ends it."""
    try:
        with stopping_signals():
            code = _run(words, streams)
            sys.stdout.flush()
            return code
    except (WmhflowError, OSError, MemoryError) as error:
        told = error if isinstance(error, WmhflowError) else explain(error)
        return _say(told, next((CODES[kind] for kind in CODES if isinstance(told, kind)), FAILED))
    except KeyboardInterrupt:
        return _say("interrupted; the same command goes on from here.", INTERRUPTED)
    except Stopped as stop:
        return _say(f"stopped by {stop.name}; the same command goes on from here.", stop.code)
    except Exception:
        if not isinstance(sys.stdout, JsonStream):
            raise
        # Python would write lines that are no JSON
        write_json("error", traceback.format_exc())
        return FAILED


def _run(words: Sequence[str], streams: ExitStack) -> int:
    if is_atlas_command(words):
        return run_atlas(words[1:])
    if is_cluster_command(words):
        return run_cluster(words)
    settings = parse_settings(words)
    check_place()
    start_messages(how_said(settings.reporting), settings.reporting.verbose)
    streams.enter_context(streams_of(settings.reporting))
    from wmhflow.cli.image import folder_in_image
    from wmhflow.cli.resources import prepare_folders

    prepare_folders(folder_in_image(settings))
    if settings.level == "group":
        from wmhflow.cli.places import check_places
        from wmhflow.group.run import run_group

        check_places(settings)
        return run_group(settings)
    from wmhflow.cli.run import run_participants

    return run_participants(settings)


def _say(error: Exception | str, code: int) -> int:
    print(f"wmhflow: {error}", file=sys.stderr)
    return code
