"""finalize: activate what was created inactive, what it uses first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.remap import activation_body
from shared.domain.row import Work
from shared.use_cases.jobs.payloads import finalizer_batch
from shared.use_cases.writing.batch_run import Perform, work_through

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.domain.resource_type import ResourceKey
    from shared.domain.row_commit import RowCommit
    from shared.use_cases.jobs.step import StepInput, StepPorts, StepResult
    from shared.use_cases.writing.row_work import Workshop
    from shared.use_cases.writing.task import Task


def run_finalizers(step: StepInput, ports: StepPorts) -> StepResult:
    """Activate the resources of one batch.

    Raises:
        HubError: storage failed; the step can run again.
    """
    return work_through(step, ports, finalizer_batch(step.batch), Work.ACTIVATE, _activate, needs=_used_earlier)


def _used_earlier(task: Task, tasks: Mapping[ResourceKey, Task]) -> Iterable[ResourceKey]:
    """Yield what this resource uses and what comes before it in the plan: a cycle has an end there."""
    place = (task.planned.generation, task.key)
    return (
        referent
        for referent in (resolution.referent for resolution in task.planned.resolutions)
        if referent is not None and referent in tasks and (tasks[referent].planned.generation, referent) < place
    )


def _activate(shop: Workshop, _tasks: object) -> Perform:
    def activate(task: Task) -> RowCommit:
        target_id = task.row.target_id or ""
        body = activation_body(
            task.resource_type,
            task.payload,
            task.planned,
            shop.id_map,
            target_payload=shop.current_payload(task, "full"),
        )
        written = shop.send_update(task, target_id, body)
        return shop.written(
            task,
            written,
            task.row.target_fields,
            lambda row: shop.written_events(task, row, "full"),
            inactive=False,
        )

    return activate
