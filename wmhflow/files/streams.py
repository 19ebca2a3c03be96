"""Files of others, opened and read to their ends: what is damaged or no file is said."""

from __future__ import annotations

import errno
import io
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from wmhflow.errors import InputError

# As much of a file, compressed or not, as surely holds its header.
FIRST_BYTES = 4096
# No stream that deflate makes holds more than this many bytes per byte (RFC 1951: a match of 258
# bytes takes two bits at least).
MOST_PACKED = 1032
BLOCK = 2**18
GZIP_START = b"\x1f\x8b"
POINTERS = {b"/annex/objects/": "git-annex", b"version https://git-lfs": "git LFS"}
# What readers of images and transforms raise for bytes that are none.
UNREADABLE = (
    OSError, EOFError, zlib.error, struct.error, ValueError, TypeError, LookupError,
    ArithmeticError, AttributeError, MemoryError, RuntimeError,
    ImageFileError, HeaderDataError,
)  # fmt: skip


def open_file(path: Path) -> BufferedReader:
    """Open a file that is given, if it is one.

    Parameters
    ----------
    path
        A file. A pipe is not waited for.

    Raises
    ------
    InputError
        If there is a folder, a pipe or a device in its place, or a link to content that is not
        there.
    OSError
        If it does not exist or may not be read.
    """
    return os.fdopen(_open(path)[0], "rb")


def _open(path: Path) -> tuple[int, int]:
    """Return the handle of a file as :func:`open_file` opens it, and the file's length.

    A plan opens 150,000 files, for each of which a stream would take longer than the rest.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        if path.is_symlink():
            raise InputError(_not_fetched(path)) from None
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InputError(
                f"{path} is a link that leads to itself; give the file, or remove it."
            ) from None
        raise
    facts = os.fstat(handle)
    if stat.S_ISREG(facts.st_mode):
        return handle, facts.st_size
    os.close(handle)
    what = "a folder" if stat.S_ISDIR(facts.st_mode) else "a pipe or a device"
    raise InputError(f"{path} is {what} where a file is meant; give the file, or remove it.")


def _not_fetched(path: Path) -> str:
    return (
        f"{path} is a link to content that is not there ({path.readlink()}): the content was not "
        "fetched; get it (datalad get, git annex get), or mend the link."
    )


def check_fetched(path: Path, start: bytes) -> None:
    """Refuse the note that stands for a file of which the content was not fetched.

    Parameters
    ----------
    path
        The file.
    start
        Its first bytes.

    Raises
    ------
    InputError
        If they are those of a note of git-annex or git LFS.
    """
    for begins, program in POINTERS.items():
        if start.startswith(begins):
            raise InputError(
                f"{path} holds a note of {program} in place of its content, which was not fetched; "
                "get it (datalad get, git annex get, git lfs pull)."
            )


@contextmanager
def said_of(path: Path) -> Iterator[None]:
    """Say in a sentence what reading a file ended with.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    InputError
        If it is not there, or cannot be read.
    """
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{path} does not exist.") from None
    except UNREADABLE as error:
        raise InputError(
            f"{path} cannot be read to its end ({first_line(error)}); copy or make it again."
        ) from None


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, or else its kind."""
    text = str(error).strip().split("\n")[0]
    return text or type(error).__name__


def is_compressed(path: Path) -> bool:
    """Tell from its name whether a file is a gzip stream."""
    return path.name.lower().endswith((".gz", ".mgz"))


def check_file(path: Path) -> bytes:
    """Return the first bytes of a file as they are; there is a file, and it is not empty.

    Parameters
    ----------
    path
        A file.

    Raises
    ------
    InputError
        As :func:`open_file`, or if the content was not fetched.
    EOFError
        If it is empty.
    """
    with open_file(path) as stream:
        block = stream.read(FIRST_BYTES)
    if not block:
        raise EOFError("it is empty")
    check_fetched(path, block)
    return block


def first_bytes(path: Path) -> tuple[bytes, int]:
    """Read the beginning of a file, decompressed, and how much the file can hold.

    Parameters
    ----------
    path
        A file, perhaps a gzip stream.

    Returns
    -------
    bytes
        The first ones, at most ``FIRST_BYTES``.
    int
        Bytes that it holds at most, decompressed.
    """
    handle, size = _open(path)
    try:
        block = os.read(handle, FIRST_BYTES)
    finally:
        os.close(handle)
    if not size:
        raise EOFError("it is empty")
    check_fetched(path, block)
    if not is_compressed(path):
        return block, size
    engine = zlib.decompressobj(wbits=31)
    begin = engine.decompress(block, FIRST_BYTES)
    is_all = engine.eof and len(block) == size and not engine.unused_data
    return begin, len(begin) if is_all else size * MOST_PACKED


def inflated(path: Path, most: int) -> io.BytesIO:
    """Decompress a gzip stream to its end; its checksum and its length are compared.

    A stream of several members is read as one. What follows the last member and begins no other is
    left out, as gzip does.

    Parameters
    ----------
    path
        A gzip stream.
    most
        Bytes that it may hold; of one that holds more no more is decompressed.

    Raises
    ------
    ValueError, EOFError, zlib.error
        If it holds more, ends too early, or is damaged.
    """
    content = io.BytesIO()
    with open_file(path) as stream:
        block = stream.read(BLOCK)
        while block.startswith(GZIP_START) or not content.tell():
            block = _inflate_member(stream, block, content, most)
            if len(block) < len(GZIP_START):
                block += stream.read(BLOCK)
    content.seek(0)
    return content


def _inflate_member(stream: BinaryIO, block: bytes, content: io.BytesIO, most: int) -> bytes:
    """Decompress one member of a stream, and return what was read of what follows it."""
    engine = zlib.decompressobj(wbits=31)
    while not engine.eof:
        if not block:
            block = stream.read(BLOCK)
        if not block:
            raise EOFError("its compressed stream ends too early")
        content.write(engine.decompress(block, most - content.tell() + 1))
        if content.tell() > most:
            raise ValueError("it holds more than its header says")
        block = engine.unconsumed_tail
    return engine.unused_data
