"""Work through the rows of a batch that have one kind of work left: what all writing steps share.

rows --needs met--> pool of workers --commits--> one writer thread --groups--> tables
^               |
+-- id map -----+    a dependent starts as soon as the id it needs is known in memory
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from shared.domain.errors import (
    CredentialsExpiredError,
    HubError,
    TargetChangedError,
    TransientError,
    UnknownOutcomeError,
)
from shared.domain.redaction import redact
from shared.domain.resource_type import ResourceKey
from shared.domain.row import Row, RowError, RowStatus, Work, event_of
from shared.domain.row_commit import ClaimOutcome, RowClaim, RowCommit, growing_wait
from shared.use_cases.jobs.payloads import read_pack
from shared.use_cases.jobs.step import DONE, JobStoppedError, StepInput, StepPorts, StepResult, result
from shared.use_cases.writing.commit_writer import CommitWriter
from shared.use_cases.writing.job_guard import JobGuard
from shared.use_cases.writing.ready_queue import Needs, ReadyQueue, no_needs
from shared.use_cases.writing.row_work import BlockedError, OpenOutcomeError, Workshop
from shared.use_cases.writing.task import Task

WORKERS = 24
MAX_ATTEMPTS = 6
TRANSIENT_WAIT_S = 5
# A transaction takes 100 items; the other parts of a commit need room.
_MAX_EVENTS_A_ROW = 20
#: Does one row's work and says what to record of it.
Perform = Callable[[Task], RowCommit]
#: Makes it, once the rows are loaded and claimed.
Preparation = Callable[[Workshop, Mapping[ResourceKey, Task]], Perform]


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
    ports: StepPorts,
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


def count_outcome(ports: StepPorts, row: Row) -> None:
    """Count what became of a row."""
    if row.status in (RowStatus.CREATED, RowStatus.PATCHED, RowStatus.FAILED):
        ports.count("ResourcesSettled", 1, outcome=row.status.value, resource_type=row.key.type)
