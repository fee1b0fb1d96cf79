"""phase_a5: write again what yields derived values, with all its references, and read those values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.row import Work
from shared.use_cases.writing.batch_run import work_through
from shared.use_cases.writing.whole_write import write_completely

if TYPE_CHECKING:
    from shared.use_cases.jobs.step import StepInput, StepPorts, StepResult


def resolve_derived_references(step: StepInput, ports: StepPorts) -> StepResult:
    """Complete the resources of one batch that others derive values from.

    Raises:
        HubError: storage failed; the step can run again.
    """
    return work_through(step, ports, str(step.batch), Work.RESOLVE, write_completely)
