"""Say how the caller's index stands."""

import time
from typing import Any

from shared.bootstrap.api import serve
from shared.bootstrap.index import index_store
from shared.entrypoints.request import Request
from shared.use_cases.get_index import get_index


def operation(request: Request) -> dict[str, Any]:
    """Answer getIndex."""
    return get_index(index_store(), org_id=request.org_id, now=time.time())


lambda_handler = serve(operation)
