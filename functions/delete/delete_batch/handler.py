"""Delete what is left of a delete job."""

from shared.bootstrap.delete_steps import run_deletion_step
from shared.entrypoints.workflow import step_handler
from shared.use_cases.delete_batch import delete_batch

lambda_handler = step_handler(run_deletion_step(delete_batch))
