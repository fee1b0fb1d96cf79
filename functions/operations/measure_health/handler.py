"""Measure running jobs, indexes and dead letters, as a schedule demands."""

from shared.bootstrap.health import measure
from shared.entrypoints.workflow import step_handler

lambda_handler = step_handler(measure, "MeasureHealth")
