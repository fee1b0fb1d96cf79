"""phase_b: patch deferred references and derived values, now that every id is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.sync_job import Work
from shared.use_cases.resolve_derived_references import write_completely
from shared.use_cases.write_rows import work_through

if TYPE_CHECKING:
    from shared.use_cases.sync_ports import StepInput, StepResult, SyncPorts


def patch_references(step: StepInput, ports: SyncPorts) -> StepResult:
    """Patch the resources of one batch that have references left, one write each.

    Raises:
        HubError: storage failed; the step can run again.
    """
    return work_through(step, ports, str(step.batch), Work.PATCH, write_completely)
