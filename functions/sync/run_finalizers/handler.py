"""finalize: activate what was created inactive."""

from shared.bootstrap.sync import run_step
from shared.entrypoints.workflow import step_handler
from shared.use_cases.run_finalizers import run_finalizers

lambda_handler = step_handler(run_step(run_finalizers))
