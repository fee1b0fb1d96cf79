"""Cancel a running sync job."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from shared.bootstrap.api import serve
from shared.bootstrap.downstream import caller_repository
from shared.bootstrap.sync_jobs import sync_jobs
from shared.use_cases.cancel_sync_job import cancel_sync_job

if TYPE_CHECKING:
    from shared.entrypoints.request import Request


def operation(request: Request) -> dict[str, Any]:
    """Answer cancelSyncJob."""
    current = caller_repository(request)
    return cancel_sync_job(sync_jobs(), current, user_id=request.user_id, job_id=request.path("id"), now=time.time())


lambda_handler = serve(operation)
