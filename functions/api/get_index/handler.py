"""Say how the caller's index stands."""

import time

from shared.bootstrap.reads import index_store
from shared.entrypoints.http import http_handler
from shared.use_cases.get_index import get_index

lambda_handler = http_handler(lambda request: get_index(index_store(), org_id=request.org_id, now=time.time()))
