"""Say what uses a configuration."""

import time
from typing import Any

from shared.bootstrap.api import serve
from shared.bootstrap.catalogue import catalogue
from shared.bootstrap.index import index_store
from shared.entrypoints.request import Request
from shared.use_cases.get_config_used_by import DEFAULT_SIZE, MAX_SIZE, get_config_used_by


def operation(request: Request) -> dict[str, Any]:
    """Answer getConfigUsedBy."""
    return get_config_used_by(
        catalogue(),
        index_store(),
        org_id=request.org_id,
        type_name=request.path("type"),
        config_id=request.path("id"),
        size=request.query_size(maximum=MAX_SIZE, default=DEFAULT_SIZE),
        cursor=request.query("cursor"),
        now=time.time(),
    )


lambda_handler = serve(operation)
