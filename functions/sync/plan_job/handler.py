"""phase_0: plan the job."""

from shared.bootstrap.sync import run_step
from shared.entrypoints.workflow import step_handler
from shared.use_cases.plan_job import plan_job

lambda_handler = step_handler(run_step(plan_job))
