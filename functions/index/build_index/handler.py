"""Build the index of an organisation."""

from shared.bootstrap.index_build import run_build
from shared.entrypoints.workflow import step_handler

lambda_handler = step_handler(run_build, "BuildIndex")
