"""Cancel a running sync job."""

import time

from shared.bootstrap.sync_api import jobs_only
from shared.entrypoints.http import http_handler
from shared.use_cases.cancel_sync_job import cancel_sync_job

lambda_handler = http_handler(
    lambda request: cancel_sync_job(jobs_only(), org_id=request.org_id, job_id=request.path("id"), now=time.time())
)
