"""List the resources of a delete job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.bootstrap.api import serve
from shared.bootstrap.delete_jobs import delete_jobs
from shared.domain.job import DELETE_STATUSES
from shared.use_cases.list_delete_job_resources import list_delete_job_resources

if TYPE_CHECKING:
    from shared.entrypoints.request import Request


def operation(request: Request) -> dict[str, Any]:
    """Answer listDeleteJobResources."""
    return list_delete_job_resources(
        delete_jobs(),
        org_id=request.org_id,
        job_id=request.path("id"),
        status=request.query_enum("status", DELETE_STATUSES),
        size=request.query_size(),
        cursor=request.query("cursor"),
    )


lambda_handler = serve(operation)
