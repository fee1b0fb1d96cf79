"""Say what a configuration uses."""

import time
from typing import Any

from shared.bootstrap.api import serve
from shared.bootstrap.catalogue import catalogue
from shared.bootstrap.downstream import caller_repository
from shared.bootstrap.index import cursors, index_store
from shared.entrypoints.request import Request
from shared.use_cases.get_config_dependencies import get_config_dependencies


def operation(request: Request) -> dict[str, Any]:
    """Answer getConfigDependencies."""
    return get_config_dependencies(
        catalogue(),
        index_store(),
        caller_repository(request),
        cursors(),
        org_id=request.org_id,
        type_name=request.path("type"),
        config_id=request.path("id"),
        size=request.query_size(),
        cursor=request.query("cursor"),
        now=time.time(),
    )


lambda_handler = serve(operation)
