"""List the resources of a sync job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.bootstrap.api import serve
from shared.bootstrap.sync_jobs import sync_jobs
from shared.domain.job import SYNC_STATUSES
from shared.use_cases.list_sync_job_resources import list_sync_job_resources

if TYPE_CHECKING:
    from shared.entrypoints.request import Request


def operation(request: Request) -> dict[str, Any]:
    """Answer listSyncJobResources."""
    return list_sync_job_resources(
        sync_jobs(),
        org_id=request.org_id,
        job_id=request.path("id"),
        status=request.query_enum("status", SYNC_STATUSES),
        size=request.query_size(),
        cursor=request.query("cursor"),
    )


lambda_handler = serve(operation)
