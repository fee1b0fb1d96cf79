"""phase_b: patch deferred references and derived values, now that every id is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.row import Work
from shared.use_cases.writing.batch_run import work_through
from shared.use_cases.writing.whole_write import write_completely

if TYPE_CHECKING:
    from shared.use_cases.jobs.step import StepInput, StepPorts, StepResult


def patch_references(step: StepInput, ports: StepPorts) -> StepResult:
    """Patch the resources of one batch that have references left, one write each.

    Raises:
        HubError: storage failed; the step can run again.
    """
    return work_through(step, ports, str(step.batch), Work.PATCH, write_completely)
