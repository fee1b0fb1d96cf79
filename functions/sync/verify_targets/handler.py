"""finalize: read back what was written."""

from shared.bootstrap.sync import run_step
from shared.entrypoints.workflow import step_handler
from shared.use_cases.verify_targets import verify_targets

lambda_handler = step_handler(run_step(verify_targets))
