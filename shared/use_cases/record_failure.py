"""A step broke off at every try: fail the rows that it left, so that the job can go on and end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from shared.domain.job import iso_time
from shared.domain.plan import Action
from shared.domain.resource_type import ResourceKey
from shared.domain.row import Row, RowError, RowStatus, Work, event_of
from shared.domain.row_commit import RowCommit
from shared.use_cases.jobs.payloads import finalizer_batch
from shared.use_cases.jobs.step import DONE
from shared.use_cases.writing.recover_creates import claims_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.domain.job import Job
    from shared.domain.row_commit import Claim
    from shared.use_cases.jobs.step import StepInput, StepPorts, StepResult

_WORK_OF_STEP = {
    "SyncBatch": Work.WRITE,
    "ResolveDerivedReferences": Work.RESOLVE,
    "PatchReferences": Work.PATCH,
    "RunFinalizers": Work.ACTIVATE,
    "VerifyTargets": Work.VERIFY,
}


def record_failure(step: StepInput, ports: StepPorts) -> StepResult:
    """Fail the rows of a batch that a step should have worked on, and let go of what it claimed for them.

    Claims of creates that were sent stay: nothing else knows of what they may have made.

    A type of the target that could not be looked at needs no record: the plan sees that its snapshot is incomplete.

    Raises:
        HubError: storage failed; the step can run again.
    """
    work = _WORK_OF_STEP.get(step.step)
    if work is None:
        return DONE
    job = ports.jobs.get_job(step.org_id, step.job_id)
    if job.status.final:
        return DONE
    batch = finalizer_batch(step.batch) if work is Work.ACTIVATE else str(step.batch)
    now = iso_time(ports.now())
    rows = [
        row
        for row in ports.jobs.list_rows(step.org_id, step.job_id)
        if row.next_work is work and (work is Work.ACTIVATE or row.batch == step.batch)
    ]
    # Before the rows: a failed one is not found again.
    for claim in _claims_on(rows, job, ports):
        ports.lineage.give_up_claim(job, claim)
    ports.commits.commit(job, batch, [_failed(row, step.step, now) for row in rows])
    return DONE


def _claims_on(rows: Sequence[Row], job: Job, ports: StepPorts) -> list[Claim]:
    """Return the claims that a job still holds for rows, but for those of creates."""
    targets = [ResourceKey(row.key.type, row.target_id) for row in rows if row.target_id is not None]
    claims = claims_on(ports, job, [row.key for row in rows], targets)
    return [claim for claim in claims if claim.job_id == job.id and claim.action != Action.CREATE]


def _failed(row: Row, step: str, now: str) -> RowCommit:
    error = RowError("STEP_FAILED", f"{step} broke off again and again before it came to an end for this resource.")
    after = replace(row, status=RowStatus.FAILED, error=error, updated_at=now)
    return RowCommit(before=row, after=after, events=(event_of(after),))
