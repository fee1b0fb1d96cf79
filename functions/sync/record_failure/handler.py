"""Fail the rows that a broken step left."""

from shared.bootstrap.sync import run_step
from shared.entrypoints.workflow import step_handler
from shared.use_cases.record_failure import record_failure

lambda_handler = step_handler(run_step(record_failure))
