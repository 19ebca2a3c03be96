"""Exceptions, one class per kind of trouble; each message says what, where and what to do."""

from __future__ import annotations

import errno


class WmhflowError(Exception):
    """Anything that the program itself found wrong and can explain in one sentence."""


class UsageError(WmhflowError):
    """The command or its configuration is wrong (exit code 2)."""


class NothingToDoError(WmhflowError):
    """The command is right, but nothing was found to work on (exit code 70)."""


class MissingProgramError(WmhflowError):
    """A program that the chosen options require is not installed (exit code 127)."""


class InputError(WmhflowError):
    """A file of a person cannot be used as it is; that person fails with this message."""


class AmbiguousInputError(InputError):
    """More than one file answers where exactly one is meant."""


class GridError(InputError):
    """An image does not say where it lies, or lies somewhere else than it should."""


class ProductError(WmhflowError):
    """The declarations of products contradict each other: a fault of the program."""


class NoSpaceError(WmhflowError, OSError):
    """A disk is full."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.errno, self.strerror = errno.ENOSPC, message

    def __str__(self) -> str:
        return str(self.args[0])
