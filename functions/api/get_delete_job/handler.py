"""Show one delete job."""

from shared.bootstrap.api import serve
from shared.bootstrap.delete_jobs import delete_jobs
from shared.use_cases.get_delete_job import get_delete_job

lambda_handler = serve(lambda request: get_delete_job(delete_jobs(), org_id=request.org_id, job_id=request.path("id")))
