"""List the configurations of one type."""

import time
from typing import Any

from shared.bootstrap.api import serve
from shared.bootstrap.catalogue import catalogue
from shared.bootstrap.index import index_store
from shared.domain.node_query import SORT_ORDERS, NodeQuery, iso_time
from shared.entrypoints.request import Request
from shared.use_cases.list_configs import list_configs


def operation(request: Request) -> dict[str, Any]:
    """Answer listConfigs."""
    query = NodeQuery(
        type=request.path("type"),
        sort=request.query_enum("sort", SORT_ORDERS) or SORT_ORDERS[0],
        q=request.query("q") or "",
        updated_after=iso_time(request.query_datetime("updated_after")),
        updated_before=iso_time(request.query_datetime("updated_before")),
        purposes=tuple(request.query_values("purposes")),
        blueprint_ids=tuple(request.query_values("blueprint_ids")),
        active_only=request.query_bool("active_only") or False,
    )
    size, cursor = request.query_size(), request.query("cursor")
    return list_configs(catalogue(), index_store(), request.org_id, query, size=size, cursor=cursor, now=time.time())


lambda_handler = serve(operation)
