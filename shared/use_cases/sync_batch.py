"""phase_a: create or patch the resources of one batch, in dependency order, each exactly once."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.domain.errors import DownstreamRejectedError, NotFoundError, TargetChangedError, UnknownOutcomeError
from shared.domain.plan import Action, ResolutionKind
from shared.domain.remap import Stage, build_body
from shared.domain.row import Work
from shared.domain.row_commit import RowCommit, sent_again
from shared.use_cases.writing.adopt_target import Adoption
from shared.use_cases.writing.batch_run import work_through
from shared.use_cases.writing.row_work import OpenOutcomeError, Workshop

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.domain.ports.configs import Payload, WrittenConfig
    from shared.domain.resource_type import ResourceKey
    from shared.use_cases.jobs.step import StepInput, StepPorts, StepResult
    from shared.use_cases.writing.task import Task


def sync_batch(step: StepInput, ports: StepPorts) -> StepResult:
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
    """Tell whether the plan puts a row behind another; in a circle of names one row goes first."""
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

    def __call__(self, task: Task) -> RowCommit:
        """Write one resource.

        Raises:
            HubError: it was not written; UnknownOutcomeError: it may have been.
        """
        if task.row.action != Action.CREATE:
            return self._patch(task)
        earlier = self._shop.lineage_before.get(task.key)
        if earlier is not None and self._is_on_target(task, earlier.target_id):
            return self._shop.left_to_another_job(task, earlier)
        self._refuse_what_others_made(task)
        if failure := self._shop.dependency_failure(task, "create"):
            return failure
        body = build_body(task.resource_type, task.payload, task.planned, self._shop.id_map, stage="create")
        written = self._create(task, body)
        # Until it is recorded, whoever takes the row up again has to find it.
        task.outcome_unknown = True
        return self._written(task, written, "create")

    def _create(self, task: Task, body: Payload) -> WrittenConfig:
        """Create a config, or adopt it where an earlier request may have made it.

        Raises:
            OpenOutcomeError: whether it was made has to be looked for later.
            UnknownOutcomeError: it cannot be decided.
        """
        while True:
            if task.outcome_unknown:
                looked_at = task.look_at or self._shop.ports.now()
                found = self._adoption.find_now(task, body, looked_at)
                if found is not None:
                    return found
                self._wait_for_next_look(task, looked_at)
            self._shop.guard.check()
            task.sent, task.outcome_unknown = True, False
            try:
                with self._shop.content_of(task) as content:
                    written = self._shop.target.create_config(
                        task.resource_type, body, config_id=task.planned.create_id, content=content
                    )
            except DownstreamRejectedError:
                # It is refused where an earlier one, whose answer was lost, has made it since.
                found = self._adoption.find_now(task, body, self._shop.ports.now()) if task.open_create else None
                if found is None:
                    raise
                return found
            except UnknownOutcomeError as error:
                now = self._shop.ports.now()
                task.outcome_unknown, task.look_at = True, now
                task.open_create = sent_again(task.open_create, now, ended=error.ended, outlived=error.outlived)
            else:
                task.was_answered = True
                return written

    def _wait_for_next_look(self, task: Task, looked_at: float) -> None:
        """Return where it is time to send a create again, of which nothing was found."""
        sent = task.open_create
        if sent is None:
            return
        # Under an id of our choice it cannot be made twice.
        next_look = None if task.planned.create_id else sent.next_look(looked_at)
        if next_look is not None:
            task.look_at = next_look
            raise OpenOutcomeError(next_look)
        if not sent.may_be_sent_again(self._shop.ports.now()):
            raise UnknownOutcomeError(
                f"Its create was sent {sent.times} times, was never answered, and made nothing that can be seen."
            )

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

    def _patch(self, task: Task) -> RowCommit:
        if failure := self._shop.dependency_failure(task, "patch"):
            return failure
        try:
            written = self._shop.update(task, "patch")
        except TargetChangedError:
            if (entry := self._shop.recorded_by_another_job(task)) is None:
                raise
            return self._shop.left_to_another_job(task, entry)
        return self._written(task, written, "patch")

    def _written(self, task: Task, written: WrittenConfig, stage: Stage) -> RowCommit:
        shop = self._shop
        commit = shop.written(
            task,
            written,
            shop.read_target_fields(task, written),
            lambda row: shop.written_events(task, row, stage),
            inactive=True if Work.ACTIVATE in task.row.left else None,
        )
        if (sent := task.open_create) is None:
            return commit
        after = replace(
            commit.after,
            sends=sent.times + task.was_answered,
            lost_at=sent.lost_at,
            outlived=sent.outlived,
        )
        return replace(commit, after=after)
