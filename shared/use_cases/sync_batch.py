"""phase_a: create or patch the resources of one batch, in dependency order, each exactly once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.domain.errors import NotFoundError, TargetChangedError, UnknownOutcomeError
from shared.domain.plan import Action, LineageEntry, ResolutionKind
from shared.domain.remap import Stage, build_body
from shared.domain.row_commit import RowCommit
from shared.domain.sync_job import RowStatus, Work, event_of
from shared.use_cases.adopt_target import Adoption
from shared.use_cases.write_rows import Task, Workshop, is_completed, work_through

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.domain.ports import Payload, WrittenConfig
    from shared.domain.resource_type import ResourceKey
    from shared.use_cases.sync_ports import StepInput, StepResult, SyncPorts


_MAX_CREATES = 2


def sync_batch(step: StepInput, ports: SyncPorts) -> StepResult:
    """Create or patch what the plan put into one batch.

    Raises:
        HubError: storage failed; the step can run again.
    """
    return work_through(step, ports, str(step.batch), Work.WRITE, ResourceWriter, needs=needs_inside_batch)


def needs_inside_batch(task: Task, tasks: Mapping[ResourceKey, Task]) -> Iterable[ResourceKey]:
    """Yield what has to be there first: whose target id goes into the body, or whose name stands in it."""
    for resolution in task.planned.resolutions:
        referent = resolution.referent
        if referent is not None and (
            resolution.kind is ResolutionKind.WRITTEN
            or (resolution.kind is ResolutionKind.KEEP and _comes_later(task, tasks.get(referent)))
        ):
            yield referent


def _comes_later(task: Task, other: Task | None) -> bool:
    """Tell whether the plan orders two rows; of names that lead in a circle, one is written before what it names."""
    return other is not None and other.planned.generation < task.planned.generation


class ResourceWriter:
    """Creates or patches one resource at a time; made when the rows are claimed.

    Args:
        shop: what the workers share.
        tasks: the rows of the batch.
    """

    def __init__(self, shop: Workshop, tasks: Mapping[ResourceKey, Task]) -> None:
        self._shop = shop
        self._adoption = Adoption(shop, tasks)
        # Only the holder of a claim writes lineage: what is there now was written before the claim was ours.
        shop.remember_lineage(tasks)
        to_create = [key for key, task in tasks.items() if task.row.action == Action.CREATE]
        shop.ports.memory.keep_absent(shop.job, to_create)

    def __call__(self, task: Task) -> RowCommit:
        """Write one resource.

        Raises:
            HubError: it was not written; UnknownOutcomeError: it may have been.
        """
        if task.row.action != Action.CREATE:
            return self._patch(task)
        earlier = self._shop.lineage_before.get(task.key)
        if earlier is not None and self._is_on_target(task, earlier.target_id):
            return self._made_by_another_job(task, earlier)
        self._refuse_what_others_made(task)
        if failure := self._shop.dependency_failure(task, "create"):
            return failure
        body = build_body(task.resource_type, task.payload, task.planned, self._shop.id_map, stage="create")
        return self._written(task, self._create(task, body), "create")

    def _create(self, task: Task, body: Payload) -> WrittenConfig:
        """Create a config, or adopt it where an earlier request may have made it."""
        with self._shop.content_of(task) as content:
            since: float | None = None
            for _ in range(_MAX_CREATES):
                found = self._adoption.find(task, body, since) if task.outcome_unknown else None
                if found is not None:
                    return found
                self._shop.guard.check()
                task.sent, task.outcome_unknown = True, False
                try:
                    return self._shop.target.create_config(
                        task.resource_type, body, config_id=task.planned.create_id, content=content
                    )
                except UnknownOutcomeError:
                    task.outcome_unknown = True
                    since = self._shop.ports.now()
            found = self._adoption.find(task, body, since)
            if found is not None:
                return found
        raise UnknownOutcomeError("Its create was sent twice, was never answered, and made nothing that can be seen.")

    def _refuse_what_others_made(self, task: Task) -> None:
        """Let no create replace what another job has made under the id of our choice since the plan.

        Raises:
            TargetChangedError: it is there.
        """
        chosen = task.planned.create_id
        if chosen and task.last_writer and not task.outcome_unknown and self._is_on_target(task, chosen):
            raise TargetChangedError(f"{task.last_writer} made {chosen} on the target meanwhile: sync it again.")

    def _is_on_target(self, task: Task, target_id: str) -> bool:
        try:
            self._shop.target.get_config(task.resource_type, target_id)
        except NotFoundError:
            return False
        return True

    def _made_by_another_job(self, task: Task, earlier: LineageEntry) -> RowCommit:
        """Leave a config to the job that created it; whether that job completes it is seen when ours is verified."""
        is_complete = is_completed(task, earlier)
        row = replace(
            task.row,
            action=Action.SKIP.value,
            status=RowStatus.SKIPPED if is_complete else RowStatus.IN_PROGRESS,
            phase=(Work.WRITE if is_complete else Work.VERIFY).phase,
            target_id=earlier.target_id,
            left=() if is_complete else (Work.VERIFY,),
            updated_at=self._shop.now_text(),
        )
        message = f"Sync job {earlier.last_sync_job_id} created it at the same time."
        return RowCommit(before=task.row, after=row, events=(event_of(row, message),))

    def _patch(self, task: Task) -> RowCommit:
        if failure := self._shop.dependency_failure(task, "patch"):
            return failure
        return self._written(task, self._shop.update(task, "patch"), "patch")

    def _written(self, task: Task, written: WrittenConfig, stage: Stage) -> RowCommit:
        shop = self._shop
        return shop.written(
            task,
            written,
            shop.read_target_fields(task, written),
            lambda row: shop.written_events(task, row, stage),
            inactive=True if Work.ACTIVATE in task.row.left else None,
        )
