"""Show one delete job."""

from shared.bootstrap.delete_jobs import delete_jobs
from shared.entrypoints.http import http_handler
from shared.use_cases.get_delete_job import get_delete_job

lambda_handler = http_handler(
    lambda request: get_delete_job(delete_jobs(), org_id=request.org_id, job_id=request.path("id"))
)
