"""List the resources of a sync job with what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.domain.ports.jobs import Jobs
    from shared.domain.row import Row


def list_sync_job_resources(
    jobs: Jobs, *, org_id: str, job_id: str, status: str | None, size: int, cursor: str | None
) -> dict[str, Any]:
    """Return the contract's `SyncJobResourceListResponse`.

    Raises:
        NotFoundError: this organisation has no such job.
        InvalidRequestError: the cursor is not one of this list.
    """
    job = jobs.get_job(org_id, job_id)
    rows, next_cursor = jobs.list_rows_page(org_id, job_id, status, size, cursor)
    if not job.planned:
        # What a plan that broke off left behind are no rows of the job: its counters know none of them.
        return {"results": []}
    answer: dict[str, Any] = {"results": [_row_answer(row) for row in rows]}
    return answer | ({"next_cursor": next_cursor} if next_cursor else {})


def _row_answer(row: Row) -> dict[str, Any]:
    answer = {
        "type": row.key.type,
        "source_id": row.key.id,
        "target_id": row.target_id,
        "title": row.title,
        "status": row.status.value,
        "phase": row.phase.value,
        "attempt": row.attempt,
        "error": str(row.error) if row.error else None,
        "updated_at": row.updated_at,
        "generation": row.generation,
        "paired_by": row.paired_by or None,
    }
    return {name: value for name, value in answer.items() if value is not None}
