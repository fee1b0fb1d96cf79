"""Delete what is left of a delete job's rows, users before what they use; a config that is gone counts as deleted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING
from uuid import uuid4

from shared.domain import deletion
from shared.domain.errors import CredentialsExpiredError, HubError, NotFoundError, TransientError, UnknownOutcomeError
from shared.domain.job import iso_time
from shared.domain.redaction import redact
from shared.domain.row import Row, RowError, RowStatus, Work
from shared.domain.row_commit import Hold, RowClaim, RowCommit, growing_wait
from shared.domain.system_managed import find_delete_guard
from shared.use_cases.jobs.step import DONE, JobStoppedError, StepInput, StepPorts, StepResult, result, why_stopped
from shared.use_cases.writing.batch_run import MAX_ATTEMPTS, TRANSIENT_WAIT_S, WORKERS
from shared.use_cases.writing.commit_writer import CommitWriter
from shared.use_cases.writing.job_guard import JobGuard

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shared.domain.job import Job
    from shared.domain.ports.configs import ConfigRepository


def delete_batch(step: StepInput, ports: StepPorts) -> StepResult:
    """Delete the rows that are left, generation after generation; a failed one does not hold up the others.

    Each is claimed before it is read: what a sync job writes at the moment is deleted when that has ended.

    Raises:
        NotFoundError: there is no such job.
        HubError: storage failed; the step can run again.
    """
    job = ports.jobs.get_job(step.org_id, step.job_id)
    if stopped := why_stopped(job, step):
        return result("failed", stopped)
    rows = [row for row in ports.jobs.list_rows(step.org_id, step.job_id) if row.next_work is Work.WRITE]
    if not rows:
        return DONE
    try:
        repository = ports.open_repository(job, "target")
        with JobGuard(ports.jobs, step) as guard:
            run = _Run(step, ports, job, repository, guard)
            writer = CommitWriter(ports.commits, job, str(deletion.BATCH))
            try:
                run.work(rows, writer)
            finally:
                writer.close()
    except CredentialsExpiredError as error:
        return _out_of_credentials(step, ports, error)
    if isinstance(run.stopped_by, CredentialsExpiredError):
        return _out_of_credentials(step, ports, run.stopped_by)
    if run.stopped_by is not None:
        return result("failed", run.stopped_by.code)
    if run.wait_seconds:
        return result("wait", "DOWNSTREAM_UNAVAILABLE", run.wait_seconds)
    if run.out_of_time:
        return result("more", "OUT_OF_TIME")
    if run.blocked_for or writer.lost:
        return result("wait", "BLOCKED", run.blocked_for or growing_wait(0))
    return DONE


def _out_of_credentials(step: StepInput, ports: StepPorts, error: CredentialsExpiredError) -> StepResult:
    ports.jobs.stop_for(step.org_id, step.job_id, RowError(error.code, redact(error.message)))
    return result("failed", error.code)


@dataclass(slots=True)
class _Run:
    """One invocation: what its workers share, and why it ended early."""

    step: StepInput
    ports: StepPorts
    job: Job
    repository: ConfigRepository
    guard: JobGuard
    owner: str = field(default_factory=lambda: uuid4().hex)
    stopped_by: HubError | None = None
    wait_seconds: float = 0
    blocked_for: float = 0
    out_of_time: bool = False

    def work(self, rows: Iterable[Row], writer: CommitWriter) -> None:
        """Go through the rows; a generation begins when everything before it is settled."""
        ordered = sorted(rows, key=lambda row: (row.generation, row.key))
        with ThreadPoolExecutor(WORKERS) as pool:
            for _, generation in groupby(ordered, key=lambda row: row.generation):
                for commit in pool.map(self._settle, self._claim(list(generation))):
                    self._count(commit.after)
                    writer.put(commit)
                if self.stopped_by or self.wait_seconds or self.blocked_for or self.out_of_time:
                    return

    def _claim(self, rows: Sequence[Row]) -> list[tuple[Row, Row]]:
        """Claim configs; returns each row that is ours as it was and as it is now."""
        now = iso_time(self.ports.now())
        claims = [
            RowClaim(
                before=row,
                after=replace(row, status=RowStatus.IN_PROGRESS, attempt=row.attempt + 1, updated_at=now),
                hold=self._hold(row),
            )
            for row in rows
        ]
        outcome = self.ports.commits.claim(self.job, str(deletion.BATCH), claims, self.step.lease_until)
        self.blocked_for = outcome.wait_seconds
        return [(row, outcome.claimed[row.key]) for row in rows if row.key in outcome.claimed]

    def _hold(self, row: Row) -> Hold:
        return Hold(owner=self.owner, target_id=row.key.id)

    def _settle(self, claimed: tuple[Row, Row]) -> RowCommit:
        """Delete one config and say what to record; where nothing was tried, the row as it was."""
        earlier, row = claimed
        given_back = replace(row, status=earlier.status, attempt=earlier.attempt)
        commit = RowCommit(before=row, after=given_back, hold=self._hold(row))
        if self.stopped_by is not None:
            return commit
        if self.ports.now() >= self.step.hand_back_at:
            self.out_of_time = True
            return commit
        sent = False
        try:
            after = self._delete(row)
            sent = after.status is RowStatus.DELETED
        except (JobStoppedError, CredentialsExpiredError) as error:
            self.stopped_by = error
            return commit
        except TransientError as error:
            # Whether it was done does not matter: the next attempt finds it gone, or deletes it.
            sent = isinstance(error, UnknownOutcomeError)
            after = replace(row, status=RowStatus.IN_PROGRESS if sent else earlier.status)
            if row.attempt >= MAX_ATTEMPTS:
                after = _failed(row, error.code, redact(error.message))
            else:
                self.wait_seconds = max(self.wait_seconds, error.retry_after or TRANSIENT_WAIT_S)
        except HubError as error:
            after = _failed(row, error.code, redact(error.message))
        except Exception as error:  # noqa: BLE001 - logged, and it becomes the row's error
            # One resource that we cannot handle must not hold up the others.
            self.ports.log_failure(row.key.type, error)
            after = _failed(row, "INTERNAL", f"The hub failed on it ({type(error).__name__}).")
        return replace(commit, after=after, sent=sent)

    def _delete(self, row: Row) -> Row:
        entry = self.ports.catalogue[row.key.type]
        try:
            payload = self.repository.get_config(entry, row.key.id)
            if guard := find_delete_guard(entry, payload, self.repository.org_id):
                return replace(row, status=RowStatus.SKIPPED, left=(), error=RowError("PROTECTED", guard.reason))
            self.guard.check()
            self.repository.delete_config(entry, row.key.id)
        except NotFoundError:
            pass
        return replace(row, status=RowStatus.DELETED, left=())

    def _count(self, row: Row) -> None:
        if row.status in (RowStatus.DELETED, RowStatus.FAILED):
            self.ports.count("ResourcesSettled", 1, outcome=row.status.value, resource_type=row.key.type)


def _failed(row: Row, code: str, message: str) -> Row:
    return replace(row, status=RowStatus.FAILED, error=RowError(code, message))
