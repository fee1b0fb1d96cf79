"""Start a build of the caller's index."""

import os
import time
from typing import Any

from shared.bootstrap.api import serve
from shared.bootstrap.credentials import credentials_store
from shared.bootstrap.index import index_store
from shared.bootstrap.index_builder import build_index_function
from shared.entrypoints.request import Request
from shared.use_cases.rebuild_index import rebuild_index


def operation(request: Request) -> dict[str, Any]:
    """Answer rebuildIndex."""
    return rebuild_index(
        index_store(),
        credentials_store(),
        build_index_function().invoke,
        org_id=request.org_id,
        user_id=request.user_id,
        token=request.token,
        token_expires_at=request.expires_at,
        now=time.time(),
        randomness=os.urandom(10),
    )


lambda_handler = serve(operation)
