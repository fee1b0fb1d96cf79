"""Show one sync job."""

from shared.bootstrap.api import serve
from shared.bootstrap.sync_jobs import sync_jobs
from shared.use_cases.get_sync_job import get_sync_job

lambda_handler = serve(lambda request: get_sync_job(sync_jobs(), org_id=request.org_id, job_id=request.path("id")))
