"""Close jobs whose execution has ended, and index builds whose lease has, as a schedule demands."""

from shared.bootstrap.sweep import sweep
from shared.entrypoints.workflow import step_handler

lambda_handler = step_handler(sweep, "SweepEndedRuns")
