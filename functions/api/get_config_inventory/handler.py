"""List every configuration of the caller's organisation live."""

import time
import uuid
from typing import Any

from shared.bootstrap.api import serve
from shared.bootstrap.catalogue import catalogue
from shared.bootstrap.live import READ_FOR_S, live_repository
from shared.entrypoints.request import Request
from shared.use_cases.get_config_inventory import get_config_inventory


def operation(request: Request) -> dict[str, Any]:
    """Answer getConfigInventory."""
    ends_at = time.time() + READ_FOR_S
    return get_config_inventory(
        catalogue(),
        live_repository(request.token, request.org_id, ends_at),
        inventory_id=str(uuid.uuid4()),
        include_dependency_only=request.query_bool("include_dependency_only") is not False,
        ends_at=ends_at,
        now=time.time,
    )


lambda_handler = serve(operation)
