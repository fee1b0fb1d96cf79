"""phase_a: hand out the batches that may run now."""

from shared.bootstrap.sync import run_step
from shared.entrypoints.workflow import step_handler
from shared.use_cases.next_batches import next_batches

lambda_handler = step_handler(run_step(next_batches))
