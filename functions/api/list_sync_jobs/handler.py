"""List the sync jobs of the caller's organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.bootstrap.api import serve
from shared.bootstrap.sync_jobs import sync_jobs
from shared.domain.job import JobStatus
from shared.use_cases.list_sync_jobs import list_sync_jobs

if TYPE_CHECKING:
    from shared.entrypoints.request import Request


def operation(request: Request) -> dict[str, Any]:
    """Answer listSyncJobs."""
    return list_sync_jobs(
        sync_jobs(),
        org_id=request.org_id,
        status=request.query_enum("status", [status.value for status in JobStatus]),
        size=request.query_size(),
        cursor=request.query("cursor"),
    )


lambda_handler = serve(operation)
