"""The methods of a run's persons, noted while they are planned, and the text that names them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from wmhflow.plan.visit import ParticipantPlan
from wmhflow.settings import Settings

if TYPE_CHECKING:
    from wmhflow.products.unit import Unit


class MethodsOfRun:
    """Notes what is done for whom is planned, and writes the methods text of it.

    Parameters
    ----------
    settings
        The run's settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.names: set[str] = set()
        self._written: set[str] | None = None

    def note(self, units: Iterable[Unit], plan: ParticipantPlan) -> None:
        """Note the methods of a person.

        Parameters
        ----------
        units
            The person's, those of visits among them.
        plan
            The plan that they are of.
        """
        from wmhflow.products.used import methods_of

        visits = {visit.label: visit for visit in plan.visits if visit.problem is None}
        for unit in units:
            if unit.name in visits:
                self.names |= methods_of(unit, visits[unit.name])

    def write(self) -> None:
        """Write the text of what was noted so far and by earlier runs, if there is more to tell."""
        from wmhflow.products.dataset import write_methods

        if self.names and self.names != self._written:
            write_methods(self.settings, self.names, is_all=False)
            self._written = set(self.names)

    def finish(self) -> None:
        """Write the text of all; of nobody else's methods, if the run was about everybody."""
        from wmhflow.products.dataset import write_methods

        inputs = self.settings.inputs
        is_all = not (inputs.participant_label or inputs.session_label)
        if self.names:
            write_methods(self.settings, self.names, is_all=is_all)
