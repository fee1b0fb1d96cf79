"""Show one delete job: where it stands, and its counters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.use_cases.jobs.answers import delete_job_answer

if TYPE_CHECKING:
    from shared.domain.ports.jobs import Jobs


def get_delete_job(jobs: Jobs, *, org_id: str, job_id: str) -> dict[str, Any]:
    """Return the contract's `DeleteJob`.

    Raises:
        NotFoundError: this organisation has no such job.
    """
    job = jobs.get_job(org_id, job_id)
    return delete_job_answer(job, job.counts or jobs.total_counts(org_id, job_id))
