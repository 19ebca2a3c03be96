"""What may come of a disturbed input, and what may not."""

from __future__ import annotations

import re
from dataclasses import dataclass

# what is said of something that the program itself did not expect
UNEXPECTED = re.compile(r"Traceback \(most recent call last\)|\b[A-Z]\w*(Error|Exception): ")
EXIT_CODES = frozenset((0, 1, 2, 70, 127))


@dataclass(frozen=True)
class Verdict:
    """How a case ended: ``outcome`` in a few words, and what was said or seen.

    The outcomes that hold are ``refused`` (a sentence says why), ``same`` (the numbers of the
    undisturbed input), ``as it says`` (the disturbed input is another sound one, and these are its
    numbers), ``left out`` (and said), ``flagged`` (in the QC table) and ``made anew``. All others
    are faults.
    """

    outcome: str
    detail: str = ""
    about: str = ""

    @property
    def is_fault(self) -> bool:
        """Whether a promise is broken."""
        return self.outcome.startswith("FAULT")


REFUSED, SAME, AS_IT_SAYS = "refused", "same", "as it says"
LEFT_OUT, FLAGGED, MADE_ANEW = "left out", "flagged", "made anew"
TRACEBACK, OTHER_NUMBERS = "FAULT traceback", "FAULT other numbers"
BAD_EXIT, HARM = "FAULT exit code", "FAULT other files"
HANG, CRASH = "FAULT hang", "FAULT crash"
