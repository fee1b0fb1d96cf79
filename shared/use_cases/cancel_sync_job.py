"""Cancel a running sync job: its steps stop before their next write, what is written stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.domain.job import iso_time
from shared.use_cases.jobs.answers import job_answer
from shared.use_cases.reading.check_rights import check_may_do_everything

if TYPE_CHECKING:
    from shared.domain.ports.configs import ConfigRepository
    from shared.domain.ports.jobs import Jobs


def cancel_sync_job(jobs: Jobs, current: ConfigRepository, *, user_id: str, job_id: str, now: float) -> dict[str, Any]:
    """Mark a job as cancelled and return it; its place is free once its machine has ended.

    Args:
        jobs: headers of jobs.
        current: the caller's organisation.
        user_id: the caller.
        job_id: the job.
        now: epoch seconds.

    Raises:
        NotFoundError: this organisation has no such job.
        ForbiddenError: somebody else created it, and the caller may not do everything.
        ConflictError: it has ended already.
    """
    if jobs.get_job(current.org_id, job_id).user_id != user_id:
        check_may_do_everything(current, "Cancelling the job")
    job = jobs.cancel_job(current.org_id, job_id, iso_time(now))
    return job_answer(job, jobs.total_counts(current.org_id, job_id))
