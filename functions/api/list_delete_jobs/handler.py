"""List the delete jobs of the caller's organisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.bootstrap.api import serve
from shared.bootstrap.delete_jobs import delete_jobs
from shared.use_cases.list_delete_jobs import list_delete_jobs

if TYPE_CHECKING:
    from shared.entrypoints.request import Request


def operation(request: Request) -> dict[str, Any]:
    """Answer listDeleteJobs."""
    return list_delete_jobs(
        delete_jobs(), org_id=request.org_id, size=request.query_size(), cursor=request.query("cursor")
    )


lambda_handler = serve(operation)
