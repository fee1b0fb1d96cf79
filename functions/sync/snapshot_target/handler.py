"""phase_0: look at one type of the target."""

from shared.bootstrap.sync import run_step
from shared.entrypoints.workflow import step_handler
from shared.use_cases.snapshot_target import snapshot_target

lambda_handler = step_handler(run_step(snapshot_target))
