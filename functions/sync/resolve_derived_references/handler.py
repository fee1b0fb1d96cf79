"""phase_a5: complete what yields derived values."""

from shared.bootstrap.sync import run_step
from shared.entrypoints.workflow import step_handler
from shared.use_cases.resolve_derived_references import resolve_derived_references

lambda_handler = step_handler(run_step(resolve_derived_references))
