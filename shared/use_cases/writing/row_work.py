"""How a row is written, read and recorded; the workers of a step share one Workshop."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from shared.domain.bounds import MAX_CONTENT_BYTES
from shared.domain.errors import HubError, NotFoundError, TargetChangedError, UnknownOutcomeError
from shared.domain.fingerprint import agree, equal_where_sent, fingerprint
from shared.domain.job import Job, iso_time
from shared.domain.paths import find_value
from shared.domain.plan import Action, LineageEntry
from shared.domain.referable_fields import read_referable_fields
from shared.domain.remap import Stage, WrittenTarget, build_body, missing_referents
from shared.domain.row import Event, Row, RowError, RowStatus, Work, event_of
from shared.domain.row_commit import RowCommit
from shared.domain.sendable import without_secrets
from shared.use_cases.writing.room import CONTENT_AT_ONCE_BYTES, Room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from shared.domain.ports.configs import ConfigRepository, Payload, WrittenConfig
    from shared.domain.resource_type import ResourceKey
    from shared.use_cases.jobs.step import StepInput, StepPorts
    from shared.use_cases.writing.job_guard import JobGuard
    from shared.use_cases.writing.task import Task


_MAX_UPDATES = 3
_WRITTEN = {
    Work.WRITE: "Written to the target.",
    Work.RESOLVE: "Written again with all its references.",
    Work.PATCH: "References that had to wait are patched.",
    Work.ACTIVATE: "Activated.",
    Work.VERIFY: "Read back.",
}


class OpenOutcomeError(HubError):
    """A create was sent and not answered: what it made is to be looked for later, and others go on meanwhile.

    Args:
        look_at: when, in epoch seconds.
    """

    code = "OUTCOME_OPEN"

    def __init__(self, look_at: float) -> None:
        super().__init__("Whether it was created is not known yet.")
        self.look_at = look_at


class BlockedError(HubError):
    """Another job has to come to an end with the resource first; the machine waits and enters again."""

    code = "BLOCKED"


@dataclass(kw_only=True)
class Workshop:
    """What the workers of one step share.

    Attributes:
        id_map: what is on the target for every resource of the job that this batch refers to; grows while it runs.
        unanswered: resources of which a write was repeated for want of an answer, and when (epoch seconds): the
            earlier one may still be done, late. A create under an id of our choice is as good as an update then.
        lineage_before: the entries of the batch's rows as they were when this step began.
        failures: why resources are not there.
        target: the configs of the target organisation.
        owner: this invocation, as claims name it.
    """

    step: StepInput
    ports: StepPorts
    job: Job
    guard: JobGuard
    target: ConfigRepository
    id_map: dict[ResourceKey, WrittenTarget] = field(default_factory=dict)
    failures: dict[ResourceKey, RowError] = field(default_factory=dict)
    unanswered: dict[ResourceKey, float] = field(default_factory=dict)
    lineage_before: Mapping[ResourceKey, LineageEntry] = field(default_factory=dict)
    owner: str = field(default_factory=lambda: uuid4().hex)
    _source: ConfigRepository | None = None
    _opening: threading.Lock = field(default_factory=threading.Lock)
    _room_for_content: Room = field(default_factory=lambda: Room(CONTENT_AT_ONCE_BYTES))

    def now_text(self) -> str:
        """Return the time as the contract writes it."""
        return iso_time(self.ports.now())

    def learn(self, rows: Iterable[Row]) -> None:
        """Take in what is known of rows that may be referred to."""
        for row in rows:
            if row.unanswered or row.sends > 1:
                self.unanswered[row.key] = row.lost_at
            if row.target_id is not None:
                self.id_map[row.key] = WrittenTarget(row.target_id, row.target_fields)
            else:
                self.failures[row.key] = row.error or RowError("DEPENDENCY_FAILED", f"It is {row.status}.")

    def remember_lineage(self, tasks: Iterable[ResourceKey]) -> None:
        """Read the entries of rows before any of them is written."""
        job = self.job
        self.lineage_before = self.ports.lineage.find_entries(job.target_org_id, job.source_org_id, tasks)

    def dependency_failure(self, task: Task, stage: Stage) -> RowCommit | None:
        """Return how a row fails whose hard reference leads to a resource that could not be written."""
        for resolution in missing_referents(task.planned, self.id_map, stage):
            if not resolution.hard or resolution.referent is None:
                continue
            cause = self.failures.get(resolution.referent)
            root = (cause.root if cause else None) or resolution.referent
            message = f"{resolution.referent} is needed at {resolution.found.pointer} and could not be written"
            message += f"; the root cause is {root}." if root != resolution.referent else f" ({cause})."
            after = self.fail(task, RowError("DEPENDENCY_FAILED", message, root))
            return RowCommit(before=task.row, after=after, events=(event_of(after),))
        return None

    def written_events(self, task: Task, row: Row, stage: Stage) -> tuple[Event, ...]:
        """Return what the activity log says of a write, with each soft reference that had to be left out."""
        left_out = [
            f"The reference at {resolution.found.pointer} to {resolution.referent}, which is not written, was left out."
            for resolution in missing_referents(task.planned, self.id_map, stage)
            if not resolution.hard
        ]
        return tuple(event_of(row, message) for message in (_WRITTEN[task.row.left[0]], *left_out))

    def update(self, task: Task, stage: Stage) -> WrittenConfig:
        """Write a config that exists; a write without an answer is repeated, because it says the same again.

        Raises:
            TargetChangedError: somebody changed it since the job looked at it.
            HubError: it was not written.
        """
        target_id = task.row.target_id or ""
        current = self.current_payload(task, stage)
        body = build_body(
            task.resource_type, task.payload, task.planned, self.id_map, stage=stage, target_payload=current
        )
        if stage == "full":
            return self.send_update(task, target_id, body)
        self._refuse_changed(task, current or {}, body)
        with self.content_of(task) as content:
            return self.send_update(task, target_id, body, content)

    def _refuse_changed(self, task: Task, current: Payload, body: Payload) -> None:
        """Let nothing be written over that is not what the plan saw."""
        resource_type, planned = task.resource_type, task.planned
        found = without_secrets(resource_type, current)
        is_as_planned = agree(planned.target_fingerprint, fingerprint(resource_type, found))
        # An earlier try of this row may have been done, and its answer lost.
        may_be_ours = task.row.attempt > 1 and equal_where_sent(resource_type, body, current)
        if is_as_planned is False and not may_be_ours:
            raise TargetChangedError(
                f"{task.row.target_id} was changed on the target since the job was planned: sync it again."
            )

    def send_update(self, task: Task, target_id: str, body: Payload, content: bytes | None = None) -> WrittenConfig:
        """Send an update, again where no answer came.

        Raises:
            HubError: it was not written.
        """
        for attempt in range(_MAX_UPDATES):
            self.guard.check()
            task.sent = True
            try:
                written = self.target.update_config(task.resource_type, target_id, body, content=content)
            except NotFoundError:
                raise _gone(task) from None
            except UnknownOutcomeError as error:
                task.unanswered = True
                task.outlived |= error.outlived
                if attempt == _MAX_UPDATES - 1:
                    raise
            else:
                task.unanswered |= written.unanswered
                task.outlived |= written.outlived
                return written
        raise AssertionError("unreachable")

    def read_target_fields(self, task: Task, written: WrittenConfig) -> Mapping[str, Any]:
        """Return the fields of a written config that others refer to; where the answer lacks some, it is read back."""
        catalogue, type_name = self.ports.catalogue, task.key.type
        expected = {*task.resource_type.derived_fields, *read_referable_fields(catalogue, type_name, task.payload)}
        fields = read_referable_fields(catalogue, type_name, written.payload or {})
        if expected <= fields.keys():
            return fields
        payload = self.target.get_config(task.resource_type, written.id)
        return read_referable_fields(catalogue, type_name, payload)

    def current_payload(self, task: Task, stage: Stage) -> Payload | None:
        """Return what is on the target: before the first write of what exists, and where an update must keep of it."""
        update = task.resource_type.update
        needed = (
            stage == "patch"
            or (update is not None and not update.merge)
            or task.resource_type.secrets
            or task.resource_type.keep_target
        )
        return self.read_target(task) if needed and task.row.target_id is not None else None

    def read_target(self, task: Task) -> Payload:
        """Read what is on the target for a row.

        Raises:
            TargetChangedError: it is gone.
            HubError: it cannot be read now.
        """
        try:
            return self.target.get_config(task.resource_type, task.row.target_id or "")
        except NotFoundError:
            raise _gone(task) from None

    @contextmanager
    def content_of(self, task: Task) -> Iterator[bytes | None]:
        """Hold the bytes of a file while it is written, once there is room for them; None for every other type."""
        if not task.resource_type.bytes_field:
            yield None
            return
        size = find_value(task.payload, task.resource_type.bytes_size)
        with self._room_for_content.taken(size if isinstance(size, int) and size >= 0 else MAX_CONTENT_BYTES):
            with self._opening:
                self._source = self._source or self.ports.open_repository(self.job, "source")
            yield self._source.read_content(task.resource_type, task.key.id)

    def written(
        self,
        task: Task,
        written: WrittenConfig,
        fields: Mapping[str, Any],
        events: Callable[[Row], tuple[Event, ...]],
        inactive: bool | None = None,
    ) -> RowCommit:
        """Return how a write is recorded: stamped, and without fingerprints until it is verified.

        Args:
            task: what was written.
            written: what the API answered.
            fields: of the target, by which others name it.
            events: what the activity log says of the row.
            inactive: whether it waits to be activated.
        """
        row = self.stamped(task, self.advance(task, written.id, fields), written)
        lineage = self.lineage_of(task, written.id, stamp=row.stamp)
        return RowCommit(before=task.row, after=row, events=events(row), lineage=lineage, inactive=inactive)

    def stamped(self, task: Task, row: Row, written: WrittenConfig) -> Row:
        """Return a row with a new name for its last write, and what the API answered to it."""
        answer = without_secrets(task.resource_type, written.payload) if written.payload else None
        return replace(
            row,
            stamp=uuid4().hex,
            answer=fingerprint(task.resource_type, answer) if answer else "",
            unanswered=row.unanswered or task.unanswered,
            superseded=row.superseded or row.unanswered or row.sends > 1,
            lost_at=self.ports.now() if task.unanswered else row.lost_at,
            outlived=row.outlived or task.outlived,
        )

    def may_be_undone(self, task: Task) -> bool:
        """Tell whether an update that was repeated may come late: of the config itself, or of what it pins."""
        return not self.unanswered.keys().isdisjoint({task.key, *task.pinned})

    def recorded_by_another_job(self, task: Task) -> LineageEntry | None:
        """Return the entry of the job that wrote the target last; None where it says something else than ours would.

        Raises:
            HubError: the target cannot be read.
        """
        job, writer = self.job, task.last_writer
        entry = self.ports.lineage.find_entries(job.target_org_id, job.source_org_id, [task.key]).get(task.key)
        if entry is None or writer is None or entry.last_sync_job_id != writer.job_id:
            return None
        if not entry.target_fingerprint:  # it is not done yet
            return entry
        found = fingerprint(task.resource_type, without_secrets(task.resource_type, self.read_target(task)))
        return entry if is_completed(task, entry) and agree(entry.target_fingerprint, found) else None

    def left_to_another_job(self, task: Task, entry: LineageEntry) -> RowCommit:
        """Leave what is still to be written of a config to the job that writes it, too.

        Whether that job completes it is seen when ours is verified.
        """
        row = replace(
            task.row,
            status=RowStatus.IN_PROGRESS,
            phase=Work.VERIFY.phase,
            target_id=entry.target_id,
            left=(Work.VERIFY,),
            updated_at=self.now_text(),
        )
        if task.is_first:  # nothing of it is ours
            row = replace(row, action=Action.SKIP.value)
            if is_completed(task, entry):
                row = replace(row, status=RowStatus.SKIPPED, phase=Work.WRITE.phase, left=())
        message = f"Sync job {entry.last_sync_job_id} writes it at the same time."
        return RowCommit(before=task.row, after=row, events=(event_of(row, message),))

    def lineage_of(self, task: Task, target_id: str, **known: Any) -> LineageEntry:
        """Return the lineage of a row; without fingerprints the next job looks at the config again.

        Args:
            task: the row.
            target_id: what it became.
            **known: further fields of the entry.
        """
        return LineageEntry(
            type=task.key.type,
            source_org_id=self.job.source_org_id,
            source_id=task.key.id,
            target_org_id=self.job.target_org_id,
            target_id=target_id,
            override_fingerprint=task.planned.override_fingerprint,
            chain=self.job.root_id,
            last_synced_at=self.now_text(),
            last_sync_job_id=self.job.id,
            **known,
        )

    def advance(self, task: Task, target_id: str, fields: Mapping[str, Any]) -> Row:
        """Return the row with its next piece of work done."""
        left = task.row.left[1:]
        finished = RowStatus.CREATED if task.row.action == Action.CREATE else RowStatus.PATCHED
        return replace(
            task.row,
            status=RowStatus.IN_PROGRESS if left else finished,
            phase=(left or task.row.left)[0].phase,
            left=left,
            target_id=target_id,
            target_fields=fields,
            updated_at=self.now_text(),
        )

    def fail(self, task: Task, error: RowError) -> Row:
        """Return the row as failed."""
        return replace(
            task.row, status=RowStatus.FAILED, phase=task.row.left[0].phase, error=error, updated_at=self.now_text()
        )


def _gone(task: Task) -> TargetChangedError:
    who = f"{task.last_writer} deleted it" if task.last_writer else "It was deleted"
    return TargetChangedError(f"{who} on the target meanwhile: the next sync creates it anew.")


def is_completed(task: Task, entry: LineageEntry) -> bool:
    """Tell whether a config was written whole and read back, from what the source says now."""
    return bool(entry.target_fingerprint and agree(entry.source_fingerprint, task.planned.source_fingerprint))
