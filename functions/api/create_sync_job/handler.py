"""Create a sync job and start it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.bootstrap.api import serve
from shared.bootstrap.sync_api import intake
from shared.entrypoints.request import Response
from shared.use_cases.create_sync_job import create_sync_job

if TYPE_CHECKING:
    from shared.entrypoints.request import Request


def operation(request: Request) -> Response:
    """Answer createSyncJob."""
    job = create_sync_job(intake(), request.caller, request.json(), request.headers.get("idempotency-key"))
    return Response(201, job)


lambda_handler = serve(operation)
