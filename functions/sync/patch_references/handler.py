"""phase_b: patch what had to wait for ids."""

from shared.bootstrap.sync import run_step
from shared.entrypoints.workflow import step_handler
from shared.use_cases.patch_references import patch_references

lambda_handler = step_handler(run_step(patch_references))
