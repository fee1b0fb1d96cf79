"""Compare the configs of a type in two organisations."""

from typing import Any

from shared.bootstrap.api import serve
from shared.bootstrap.index import index_store
from shared.bootstrap.lineage import memory_store
from shared.bootstrap.live import app_url, reading
from shared.entrypoints.request import Request
from shared.use_cases.compare_configs import compare_configs


def operation(request: Request) -> dict[str, Any]:
    """Answer compareConfigs."""
    return compare_configs(reading(request), index_store(), request.json(), app_url(), memory_store().recall)


lambda_handler = serve(operation)
