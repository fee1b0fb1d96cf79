"""Retry what a sync job left unresolved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.bootstrap.api import serve
from shared.bootstrap.catalogue import catalogue
from shared.bootstrap.sync_api import intake
from shared.entrypoints.request import Response
from shared.use_cases.retry_sync_job import retry_sync_job

if TYPE_CHECKING:
    from shared.entrypoints.request import Request


def operation(request: Request) -> Response:
    """Answer retrySyncJob."""
    body = request.json(optional=True)
    job = retry_sync_job(intake(), catalogue(), request.caller, request.path("id"), body)
    return Response(201, job)


lambda_handler = serve(operation)
