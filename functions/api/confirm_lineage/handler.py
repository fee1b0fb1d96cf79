"""Pair a config of another organisation with one of the caller."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shared.bootstrap.api import serve
from shared.bootstrap.catalogue import catalogue
from shared.bootstrap.downstream import caller_repository
from shared.bootstrap.lineage import lineage_store
from shared.entrypoints.request import Response
from shared.use_cases.confirm_lineage import confirm_lineage

if TYPE_CHECKING:
    from shared.entrypoints.request import Request


def operation(request: Request) -> Response:
    """Answer confirmLineage."""
    current = caller_repository(request)
    entry = confirm_lineage(
        catalogue(), lineage_store(), current, request.json(), user_id=request.user_id, now=time.time()
    )
    return Response(201, entry)


lambda_handler = serve(operation)
