"""Write the rows of a delete job."""

from shared.bootstrap.delete_steps import run_deletion_step
from shared.entrypoints.workflow import step_handler
from shared.use_cases.plan_deletion import plan_deletion

lambda_handler = step_handler(run_deletion_step(plan_deletion))
