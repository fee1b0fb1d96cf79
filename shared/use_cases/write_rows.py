"""Work through the rows of a batch that have one kind of work left: what all writing steps share.

rows --needs met--> pool of workers --commits--> one writer thread --groups--> tables
^               |
+-- id map -----+    a dependent starts as soon as the id it needs is known in memory
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from shared.domain.bounds import MAX_CONTENT_BYTES
from shared.domain.errors import (
    CredentialsExpiredError,
    HubError,
    NotFoundError,
    TargetChangedError,
    TransientError,
    UnknownOutcomeError,
)
from shared.domain.fingerprint import agree, equal_where_sent, fingerprint
from shared.domain.paths import find_value
from shared.domain.plan import Action, LineageEntry, PlannedResource
from shared.domain.redaction import redact
from shared.domain.references import read_referable_fields, without_secrets
from shared.domain.remap import (
    Stage,
    WrittenTarget,
    build_body,
    missing_referents,
    planned_from_json,
    planned_to_json,
)
from shared.domain.resource_type import ResourceKey, ResourceType
from shared.domain.row_commit import ClaimOutcome, Hold, RowClaim, RowCommit, Sent, Writer, growing_wait
from shared.domain.sync_job import Event, Job, Row, RowError, RowStatus, Work, event_of, iso_time
from shared.use_cases.commit_writer import CommitWriter
from shared.use_cases.job_guard import JobGuard
from shared.use_cases.sync_ports import JobStoppedError, StepInput, StepResult, SyncPorts, batch_key

if TYPE_CHECKING:
    from shared.domain.ports import ConfigRepository, Payload, WrittenConfig

WORKERS = 24
MAX_ATTEMPTS = 6
BLOCKED_WAIT_S = 2
TRANSIENT_WAIT_S = 5
_MAX_UPDATES = 3
# Of the 1 GB that a step has.
_CONTENT_AT_ONCE_BYTES = 2 * MAX_CONTENT_BYTES
# A transaction takes 100 items; the other parts of a commit need room.
_MAX_EVENTS_A_ROW = 20

_WRITTEN = {
    Work.WRITE: "Written to the target.",
    Work.RESOLVE: "Written again with all its references.",
    Work.PATCH: "References that had to wait are patched.",
    Work.ACTIVATE: "Activated.",
    Work.VERIFY: "Read back.",
}

DONE: StepResult = {"status": "done", "wait_seconds": 0, "code": ""}


def result(status: str, code: str = "", wait_seconds: float = 0) -> StepResult:
    """Return what a step signals to the state machine."""
    return {"status": status, "wait_seconds": max(1, round(wait_seconds)) if status == "wait" else 0, "code": code}


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


@dataclass(slots=True, kw_only=True)
class Task:
    """One row with all that its work needs.

    Attributes:
        outcome_unknown: a create was sent, by us or an earlier holder of the claim, and may have been done.
        open_create: what is known of that.
        look_at: when to look for what it made, in epoch seconds.
        was_answered: the create was sent, and answered.
        unanswered: an update was sent, and not answered: it may still be done, late.
        sent: a write left under the claim, or may have.
        last_writer: another job that wrote the target last, or may have.
    """

    planned: PlannedResource
    payload: Payload
    resource_type: ResourceType
    row: Row
    outcome_unknown: bool = False
    open_create: Sent | None = None
    look_at: float = 0
    was_answered: bool = False
    unanswered: bool = False
    sent: bool = False
    last_writer: Writer | None = None

    @property
    def key(self) -> ResourceKey:
        """Type and source id."""
        return self.row.key

    @property
    def is_first(self) -> bool:
        """Nothing has been done for the row so far."""
        return self.row.left == work_left(self.planned)

    @property
    def whole_stage(self) -> Stage:
        """How it is written with all its references: what this job created a second time, what existed once."""
        return "full" if self.row.action == Action.CREATE else "patch"

    @property
    def pinned(self) -> set[ResourceKey]:
        """Configs of which derived values stand beside the references to them."""
        return {
            one.referent
            for one in self.planned.resolutions
            if one.referent is not None and one.found.reference is not None and one.found.reference.siblings
        }

    def hold(self, owner: str) -> Hold:
        """Return what has to be claimed before the row is written; the source, too, until its target is recorded."""
        is_first_pair = self.row.target_id is None or (self.is_first and self.row.action == Action.MATCH)
        return Hold(owner=owner, source=is_first_pair, target_id=self.row.target_id or self.planned.create_id)


class Room:
    """So many bytes of memory that workers share.

    Args:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = size
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait until so many bytes are free, and have them; who wants more than there is gets the whole."""
        wanted = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= wanted)
            self._left -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._left += wanted
                self._changed.notify_all()


@dataclass(kw_only=True)
class Workshop:
    """What the workers of one step share.

    Attributes:
        id_map: what is on the target for every resource of the job that this batch refers to; grows while it runs.
        unanswered: resources of which an update was repeated for want of an answer.
        lineage_before: the entries of the batch's rows as they were when this step began.
        failures: why resources are not there.
        target: the configs of the target organisation.
        owner: this invocation, as claims name it.
    """

    step: StepInput
    ports: SyncPorts
    job: Job
    guard: JobGuard
    target: ConfigRepository
    id_map: dict[ResourceKey, WrittenTarget] = field(default_factory=dict)
    failures: dict[ResourceKey, RowError] = field(default_factory=dict)
    unanswered: set[ResourceKey] = field(default_factory=set)
    lineage_before: Mapping[ResourceKey, LineageEntry] = field(default_factory=dict)
    owner: str = field(default_factory=lambda: uuid4().hex)
    _source: ConfigRepository | None = None
    _opening: threading.Lock = field(default_factory=threading.Lock)
    _room_for_content: Room = field(default_factory=lambda: Room(_CONTENT_AT_ONCE_BYTES))

    def now_text(self) -> str:
        """Return the time as the contract writes it."""
        return iso_time(self.ports.now())

    def learn(self, rows: Iterable[Row]) -> None:
        """Take in what is known of rows that may be referred to."""
        for row in rows:
            if row.unanswered:
                self.unanswered.add(row.key)
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
            except UnknownOutcomeError:
                task.unanswered = True
                if attempt == _MAX_UPDATES - 1:
                    raise
            else:
                task.unanswered |= written.unanswered
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
        )

    def may_be_undone(self, task: Task) -> bool:
        """Tell whether an update that was repeated may come late: of the config itself, or of what it pins."""
        return task.key in self.unanswered or not self.unanswered.isdisjoint(task.pinned)

    def recorded_by_another_job(self, task: Task) -> LineageEntry | None:
        """Return what the job records that wrote a target last; None where that is not what ours is about to say.

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


#: Does one row's work and says what to record of it.
Perform = Callable[[Task], RowCommit]
#: Makes it, once the rows are loaded and claimed.
Preparation = Callable[[Workshop, Mapping[ResourceKey, Task]], Perform]
#: Says which other rows of the batch must be done before a row.
Needs = Callable[[Task, Mapping[ResourceKey, Task]], Iterable[ResourceKey]]


def no_needs(_task: Task, _tasks: Mapping[ResourceKey, Task]) -> Iterable[ResourceKey]:
    """Let all rows of a batch go at once."""
    return ()


class ReadyQueue:
    """Tasks whose needs are met, the one with the longest remaining path first."""

    def __init__(self, tasks: Mapping[ResourceKey, Task], needs: Needs) -> None:
        self._tasks = tasks
        self._waits_for: dict[ResourceKey, set[ResourceKey]] = {}
        self._dependents: dict[ResourceKey, list[ResourceKey]] = {}
        self._ready: list[tuple[int, ResourceKey]] = []
        for key, task in tasks.items():
            wanted = {other for other in needs(task, tasks) if other in tasks and other != key}
            self._waits_for[key] = wanted
            for other in wanted:
                self._dependents.setdefault(other, []).append(key)
            if not wanted:
                self._push(key)

    def _push(self, key: ResourceKey) -> None:
        heapq.heappush(self._ready, (-self._tasks[key].planned.remaining, key))

    def take(self) -> Task | None:
        """Return the next task; None while all others wait or are taken."""
        return self._tasks[heapq.heappop(self._ready)[1]] if self._ready else None

    def settle(self, key: ResourceKey) -> None:
        """Let those go that waited for this one, whatever became of it."""
        for dependent in self._dependents.get(key, ()):
            self._waits_for[dependent].discard(key)
            if not self._waits_for[dependent]:
                self._push(dependent)


@dataclass(slots=True)
class _Run:
    """How far a step came.

    Attributes:
        looks: when to look for what which open create made, the earliest first.
        is_idle: all that can be done before the next look has been.
    """

    settled: set[ResourceKey] = field(default_factory=set)
    unsettled: set[ResourceKey] = field(default_factory=set)
    blocked: set[ResourceKey] = field(default_factory=set)
    looks: list[tuple[float, ResourceKey]] = field(default_factory=list)
    is_idle: bool = False
    wait_seconds: float = 0
    stopped_by: HubError | None = None


def work_through(
    step: StepInput,
    ports: SyncPorts,
    batch: str,
    work: Work,
    prepare: Preparation,
    *,
    needs: Needs = no_needs,
) -> StepResult:
    """Do one kind of work for all rows of a batch that have it next; safe to run twice.

    All rows are claimed before any request leaves; only what writes nothing needs no claim.

    Args:
        step: which job, and until when.
        ports: the world.
        batch: name of the batch.
        work: what to do.
        prepare: makes what does it for one row.
        needs: the order inside the batch.

    Returns:
        `done`; `more` where time ran low; `wait` where rows are blocked or an API was not there; `failed` where the job
        stopped.

    Raises:
        HubError: storage failed.
    """
    job = ports.jobs.get_job(step.org_id, step.job_id)
    try:
        with JobGuard(ports.jobs, step) as guard:
            guard.check()
            shop = Workshop(step=step, ports=ports, job=job, guard=guard, target=ports.open_repository(job, "target"))
            tasks = _load_tasks(shop, batch, work)
            _enter_phase(shop, batch, work, tasks)
            return _BatchRun(shop, batch, work, prepare, needs).run(tasks) if tasks else DONE
    except JobStoppedError as error:
        return result("failed", error.code)
    except CredentialsExpiredError as error:
        ports.jobs.stop_for(step.org_id, step.job_id, RowError(error.code, redact(error.message)))
        return result("failed", error.code)


def _enter_phase(shop: Workshop, batch: str, work: Work, tasks: Mapping[ResourceKey, Task]) -> None:
    """Show in the job's header where it is."""
    job = shop.job
    numbers = [number for stage in job.stages for number in stage] if work is Work.WRITE else job.batches.get(work, ())
    names = [str(number) for number in numbers]
    current = {
        "index": names.index(batch) if batch in names else 0,
        "of": max(1, len(names)),
        "level": min((task.planned.generation for task in tasks.values()), default=0),
    }
    shop.ports.jobs.enter_phase(job, work.phase, current)


def _load_tasks(shop: Workshop, batch: str, work: Work) -> dict[ResourceKey, Task]:
    step, ports = shop.step, shop.ports
    pack = read_pack(ports, shop.job, batch)
    referents = {
        resolution.referent
        for planned, _ in pack
        for resolution in planned.resolutions
        if resolution.referent is not None
    }
    own = [planned.key for planned, _ in pack]
    rows = ports.jobs.get_rows(step.org_id, step.job_id, referents.union(own))
    tasks = {
        planned.key: Task(
            planned=planned, payload=payload, resource_type=ports.catalogue[planned.key.type], row=rows[planned.key]
        )
        for planned, payload in pack
        if planned.key in rows and rows[planned.key].next_work is work
    }
    shop.learn(row for row in rows.values() if row.target_id is not None or row.key not in tasks)
    return tasks


class _BatchRun:
    """One invocation's way through a batch."""

    def __init__(self, shop: Workshop, batch: str, work: Work, prepare: Preparation, needs: Needs) -> None:
        self._shop = shop
        self._batch = batch
        self._kind = work
        self._prepare = prepare
        self._needs = needs
        self._state = _Run()
        self._outcome = ClaimOutcome()
        self._open: set[ResourceKey] = set()

    def run(self, tasks: dict[ResourceKey, Task]) -> StepResult:
        shop = self._shop
        if to_write := {key: task for key, task in tasks.items() if self._may_be_written(task)}:
            self._outcome = self._claim(to_write)
        self._open = set(tasks)
        writer = CommitWriter(shop.ports.commits, shop.job, self._batch, shop.ports.memory)
        try:
            self._work(ReadyQueue(tasks, self._needs), tasks, self._prepare(shop, tasks), writer)
            self._give_back(tasks, writer)
        finally:
            writer.close()
        return self._result(writer.lost)

    def _may_be_written(self, task: Task) -> bool:
        """Tell whether a row has to be claimed: a verification writes only where an update may have come late."""
        return self._kind is not Work.VERIFY or self._shop.may_be_undone(task)

    def _claim(self, tasks: Mapping[ResourceKey, Task]) -> ClaimOutcome:
        """Claim rows; those that somebody else holds stay out, with all that waits for them."""
        shop, now = self._shop, self._shop.now_text()
        claims = [
            RowClaim(
                before=task.row,
                after=replace(
                    task.row,
                    status=RowStatus.IN_PROGRESS,
                    attempt=task.row.attempt + task.is_first,
                    phase=task.row.left[0].phase,
                    updated_at=now,
                ),
                hold=task.hold(shop.owner),
            )
            for task in sorted(tasks.values(), key=lambda task: (task.planned.generation, -task.planned.remaining))
        ]
        outcome = shop.ports.commits.claim(shop.job, self._batch, claims, shop.step.lease_until)
        for key, row in outcome.claimed.items():
            task = tasks[key]
            task.row = row
            task.sent = key in outcome.taken_over
            task.open_create = outcome.open_creates.get(key)
            task.outcome_unknown = task.open_create is not None
            task.last_writer = outcome.writers.get(key)
        return outcome

    def _work(
        self, queue: ReadyQueue, tasks: Mapping[ResourceKey, Task], perform: Perform, writer: CommitWriter
    ) -> None:
        """Let workers do what can be done; a create whose outcome is open takes none until its next look is due."""
        state, ports = self._state, self._shop.ports
        running: dict[Future[RowCommit], Task] = {}
        with ThreadPoolExecutor(WORKERS) as pool:
            try:
                while True:
                    while len(running) < WORKERS and self._may_go_on() and (task := self._next(queue, tasks)):
                        if task.key in self._outcome.blocked:
                            continue
                        running[pool.submit(self._perform, perform, task)] = task
                    pause = max(0.0, state.looks[0][0] - ports.now()) if state.looks else None
                    if running:
                        has_room = len(running) < WORKERS and self._may_go_on()
                        finished, _ = wait(running, timeout=pause if has_room else None, return_when=FIRST_COMPLETED)
                    elif pause is not None and self._may_go_on(pause):
                        ports.sleep(pause)
                        continue
                    else:
                        state.is_idle = pause is not None and self._may_go_on()
                        return
                    for future in finished:
                        task = running.pop(future)
                        if self._settle(task, future, writer):
                            state.settled.add(task.key)
                            queue.settle(task.key)
            finally:
                for future in running:
                    future.cancel()

    def _next(self, queue: ReadyQueue, tasks: Mapping[ResourceKey, Task]) -> Task | None:
        looks = self._state.looks
        if looks and looks[0][0] <= self._shop.ports.now():
            return tasks[heapq.heappop(looks)[1]]
        return queue.take()

    def _perform(self, perform: Perform, task: Task) -> RowCommit:
        """Do a row's work, unless what it would be based on is not known or has changed."""
        if job_id := self._outcome.orphaned.get(task.key):
            raise UnknownOutcomeError(
                f"Sync job {job_id} ended and may have created it: retry this job, which finds out."
            )
        if task.last_writer and not task.is_first and self._kind is not Work.VERIFY:
            if (entry := self._shop.recorded_by_another_job(task)) is not None:
                return self._shop.left_to_another_job(task, entry)
            raise TargetChangedError(f"{task.last_writer} wrote it on the target since this job did: sync it again.")
        return perform(task)

    def _may_go_on(self, in_seconds: float = 0) -> bool:
        return self._state.stopped_by is None and self._shop.ports.now() + in_seconds < self._shop.step.hand_back_at

    def _settle(self, task: Task, future: Future[RowCommit], writer: CommitWriter) -> bool:
        """Record what became of a row; False where it has to be taken up again."""
        commit = self._commit_of(task, future)
        if commit is None:
            if task.key not in self._state.blocked.union(key for _, key in self._state.looks):
                self._state.unsettled.add(task.key)
            return False
        commit = self._under_claim(task, commit)
        self._shop.learn([commit.after])
        count_outcome(self._shop.ports, commit.after)
        writer.put(replace(commit, events=commit.events[:_MAX_EVENTS_A_ROW]))
        return True

    def _commit_of(self, task: Task, future: Future[RowCommit]) -> RowCommit | None:
        shop, state = self._shop, self._state
        try:
            return future.result()
        except (JobStoppedError, CredentialsExpiredError) as error:
            state.stopped_by = state.stopped_by or error
            return None
        except OpenOutcomeError as error:
            heapq.heappush(state.looks, (error.look_at, task.key))
            return None
        except BlockedError:
            state.blocked.add(task.key)
            return None
        except UnknownOutcomeError as error:
            failed = self._failed(task, RowError(error.code, redact(error.message)))
            return replace(failed, keep_claim=True, open_create=task.open_create)
        except TransientError as error:
            if task.row.attempt < MAX_ATTEMPTS:
                state.wait_seconds = max(state.wait_seconds, error.retry_after or TRANSIENT_WAIT_S)
                return None
            return self._failed(task, RowError(error.code, redact(error.message)))
        except HubError as error:
            return self._failed(task, RowError(error.code, redact(error.message)))
        except Exception as error:  # noqa: BLE001 - logged, and it becomes the row's error
            # One resource that we cannot handle must not hold up the others.
            shop.ports.log_failure(task.key.type, error)
            return self._failed(task, RowError("INTERNAL", f"The hub failed on it ({type(error).__name__})."))

    def _failed(self, task: Task, error: RowError) -> RowCommit:
        after = self._shop.fail(task, error)
        return RowCommit(before=task.row, after=after, events=(event_of(after),))

    def _under_claim(self, task: Task, commit: RowCommit) -> RowCommit:
        """Return a commit with the claim that it ends, if the row is claimed."""
        if task.key not in self._outcome.claimed:
            return commit
        return replace(commit, hold=task.hold(self._shop.owner), sent=task.sent)

    def _give_back(self, tasks: Mapping[ResourceKey, Task], writer: CommitWriter) -> None:
        """Give back what was claimed and not reached; count an attempt where an API was not there."""
        shop, state = self._shop, self._state
        for key in sorted(tasks.keys() - state.settled):
            row, was_tried = tasks[key].row, key in state.unsettled
            if key in self._outcome.claimed:
                is_first = tasks[key].is_first
                status = RowStatus.PENDING if is_first else RowStatus.IN_PROGRESS
                attempt = row.attempt + was_tried - is_first
                after = replace(row, status=status, attempt=attempt, updated_at=shop.now_text())
                commit = RowCommit(before=row, after=after, keep_claim=tasks[key].outcome_unknown)
                commit = replace(commit, open_create=tasks[key].open_create)
                writer.put(self._under_claim(tasks[key], commit))
            elif was_tried and state.stopped_by is None:
                after = replace(row, attempt=row.attempt + 1, updated_at=shop.now_text())
                writer.put(RowCommit(before=row, after=after))

    def _result(self, lost: set[ResourceKey]) -> StepResult:
        state, blocked = self._state, self._outcome.blocked
        if isinstance(state.stopped_by, CredentialsExpiredError):
            error = RowError(state.stopped_by.code, redact(state.stopped_by.message))
            self._shop.ports.jobs.stop_for(self._shop.step.org_id, self._shop.step.job_id, error)
        if state.stopped_by is not None:
            return result("failed", state.stopped_by.code)
        if state.wait_seconds:
            return result("wait", "DOWNSTREAM_UNAVAILABLE", state.wait_seconds)
        unreached = self._open - state.settled
        if state.is_idle:
            return result("wait", OpenOutcomeError.code, max(0.0, state.looks[0][0] - self._shop.ports.now()))
        if unreached - blocked - state.blocked and self._shop.ports.now() >= self._shop.step.hand_back_at:
            return result("more", "OUT_OF_TIME")
        if unreached or lost:
            return result("wait", "BLOCKED", self._wait_seconds())
        return DONE

    def _wait_seconds(self) -> float:
        """Return after how long to try the rows again that others hold, or have to come to an end with."""
        if self._outcome.blocked:
            return self._outcome.wait_seconds
        now = self._shop.ports.now()
        return growing_wait(now - self._shop.job.entered.get(self._kind.phase, now) if self._state.blocked else 0)


def is_completed(task: Task, entry: LineageEntry) -> bool:
    """Tell whether a config was written whole and read back, from what the source says now."""
    return bool(entry.target_fingerprint and agree(entry.source_fingerprint, task.planned.source_fingerprint))


def count_outcome(ports: SyncPorts, row: Row) -> None:
    """Count what became of a row."""
    if row.status in (RowStatus.CREATED, RowStatus.PATCHED, RowStatus.FAILED):
        ports.count("ResourcesSettled", 1, outcome=row.status.value, resource_type=row.key.type)


def write_pack(ports: SyncPorts, job: Job, batch: str, entries: Sequence[tuple[PlannedResource, Payload]]) -> None:
    """Store the planned resources of a batch with their payloads."""
    value = [
        {
            "type": planned.key.type,
            "planned": planned_to_json(ports.catalogue[planned.key.type], planned),
            "payload": payload,
        }
        for planned, payload in entries
    ]
    ports.payloads.put(batch_key(job, batch), value)


def read_pack(ports: SyncPorts, job: Job, batch: str) -> list[tuple[PlannedResource, Payload]]:
    """Read what `write_pack` stored.

    Raises:
        NotFoundError: there is no such batch, or its payloads have been dropped.
    """
    return [
        (planned_from_json(ports.catalogue[entry["type"]], entry["planned"]), entry["payload"])
        for entry in ports.payloads.get(batch_key(job, batch))
    ]


def work_left(planned: PlannedResource) -> tuple[Work, ...]:
    """Return the work that a planned resource takes, in order.

    What exists on the target gets one write: in phase_a, or in a later phase where it must wait for derived values.
    """
    later = [work for work, wanted in ((Work.RESOLVE, planned.resolve), (Work.PATCH, planned.patch)) if wanted]
    first = [] if later and planned.action is not Action.CREATE else [Work.WRITE]
    activate = [Work.ACTIVATE] if planned.activate else []
    return (*first, *later, *activate, Work.VERIFY)


def finalizer_batch(number: int) -> str:
    """Return the name of a batch of finalizers: all of a job are in one, since order counts among them."""
    return f"finalize-{number}"
