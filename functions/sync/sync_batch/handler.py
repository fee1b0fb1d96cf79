"""phase_a: create or patch one batch."""

from shared.bootstrap.sync import run_step
from shared.entrypoints.workflow import step_handler
from shared.use_cases.sync_batch import sync_batch

lambda_handler = step_handler(run_step(sync_batch))
