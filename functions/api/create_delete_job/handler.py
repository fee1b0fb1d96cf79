"""Create a delete job and start it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.bootstrap.api import serve
from shared.bootstrap.delete_intake import delete_intake
from shared.bootstrap.index import index_store
from shared.entrypoints.request import Response
from shared.use_cases.create_delete_job import create_delete_job

if TYPE_CHECKING:
    from shared.entrypoints.request import Request


def operation(request: Request) -> Response:
    """Answer createDeleteJob."""
    key = request.headers.get("idempotency-key")
    return Response(201, create_delete_job(delete_intake(), index_store(), request.caller, request.json(), key))


lambda_handler = serve(operation)
