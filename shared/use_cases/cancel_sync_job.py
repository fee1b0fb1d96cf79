"""Cancel a running sync job: its steps stop before their next write, what is written stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.domain.sync_job import iso_time
from shared.use_cases.get_sync_job import job_answer

if TYPE_CHECKING:
    from shared.use_cases.sync_ports import SyncJobs


def cancel_sync_job(jobs: SyncJobs, *, org_id: str, job_id: str, now: float) -> dict[str, Any]:
    """Mark a job as cancelled and return it.

    Raises:
        NotFoundError: this organisation has no such job.
        ConflictError: it has ended already.
    """
    job = jobs.cancel_job(org_id, job_id, iso_time(now))
    jobs.release_slot(job)
    return job_answer(job, jobs.total_counts(org_id, job_id))
