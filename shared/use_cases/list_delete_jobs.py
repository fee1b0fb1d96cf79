"""List the delete jobs of an organisation, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.use_cases.jobs.answers import delete_job_answer

if TYPE_CHECKING:
    from shared.domain.ports.jobs import Jobs


def list_delete_jobs(jobs: Jobs, *, org_id: str, size: int, cursor: str | None) -> dict[str, Any]:
    """Return the contract's `DeleteJobListResponse`.

    Raises:
        InvalidRequestError: the cursor is not one of this list.
    """
    page, next_cursor = jobs.list_jobs(org_id, None, size, cursor)
    answer: dict[str, Any] = {
        "results": [delete_job_answer(job, job.counts or jobs.total_counts(org_id, job.id)) for job in page]
    }
    return answer | ({"next_cursor": next_cursor} if next_cursor else {})
