"""phase_a5: write again what yields derived values, with all its references, and read those values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.sync_job import Work
from shared.use_cases.write_rows import Perform, Task, Workshop, work_through

if TYPE_CHECKING:
    from shared.domain.row_commit import RowCommit
    from shared.use_cases.sync_ports import StepInput, StepResult, SyncPorts


def resolve_derived_references(step: StepInput, ports: SyncPorts) -> StepResult:
    """Complete the resources of one batch that others derive values from.

    Raises:
        HubError: storage failed; the step can run again.
    """
    return work_through(step, ports, str(step.batch), Work.RESOLVE, write_completely)


def write_completely(shop: Workshop, _tasks: object) -> Perform:
    """Return what writes one resource with all its references."""

    def write(task: Task) -> RowCommit:
        stage = task.whole_stage
        if failure := shop.dependency_failure(task, stage):
            return failure
        written = shop.update(task, stage)
        fields = shop.read_target_fields(task, written)
        return shop.written(task, written, fields, lambda row: shop.written_events(task, row, stage))

    return write
