"""The interface that makes a person's report from the written files."""

from __future__ import annotations

from typing import Any

from nipype.interfaces.base import (
    BaseInterfaceInputSpec,
    File,
    SimpleInterface,
    TraitedSpec,
    traits,
)

from wmhflow.reports.person import write_report


class _ReportInput(BaseInterfaceInputSpec):
    settings = traits.Any(mandatory=True, desc="the run's settings")
    participant = traits.Any(mandatory=True, desc="the person's plan")
    finished = traits.List(desc="what each visit wrote, so that the report comes after it")


class _ReportOutput(TraitedSpec):
    out_file = File(exists=True, desc="the report")


class PersonReport(SimpleInterface):
    """Write a person's report."""

    # it shows files of the output folder, which may have changed since
    _always_run = True
    input_spec = _ReportInput
    output_spec = _ReportOutput

    def _run_interface(self, runtime: Any) -> Any:
        path = write_report(self.inputs.settings, self.inputs.participant)
        self._results["out_file"] = str(path)
        return runtime
