"""Ends from outside: SIGTERM and SIGHUP, as batch systems and closed terminals send them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = (signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal that ends the program.

    Attributes
    ----------
    number
        The signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def name(self) -> str:
        """How the signal is called."""
        return signal.Signals(self.number).name

    @property
    def code(self) -> int:
        """The exit code, as shells have it."""
        return 128 + self.number


@contextmanager
def stopping_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP raise :class:`Stopped`; one that is ignored (``nohup``) stays so.

    A second one ends the process at once.
    """
    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {one: signal.getsignal(one) for one in ENDING}
        for one, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(one, _stop)
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _stop(number: int, _: FrameType | None) -> None:
    for one in ENDING:
        signal.signal(one, signal.SIG_DFL)
    raise Stopped(number)
