"""Go on with a build of an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.bootstrap.index_build import run_build
from shared.entrypoints.workflow import step_handler

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_build = step_handler(run_build, "BuildIndex")


def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Work on a build; where time runs short again, this very function goes on with it."""
    return _build({**event, "function": context.invoked_function_arn}, context)
