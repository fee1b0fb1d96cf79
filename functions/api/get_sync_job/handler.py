"""Show one sync job."""

from shared.bootstrap.sync_api import jobs_with_events
from shared.entrypoints.http import http_handler
from shared.use_cases.get_sync_job import get_sync_job

lambda_handler = http_handler(
    lambda request: get_sync_job(jobs_with_events(), org_id=request.org_id, job_id=request.path("id"))
)
