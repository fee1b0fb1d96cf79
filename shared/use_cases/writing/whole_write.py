"""Write a resource with all its references, once all that it names is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.domain.row_commit import RowCommit
    from shared.use_cases.writing.batch_run import Perform
    from shared.use_cases.writing.row_work import Workshop
    from shared.use_cases.writing.task import Task


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
