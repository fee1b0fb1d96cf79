"""Run the local engine: it gives a task that Lambda refuses the error name that AWS gives it.

A program of the engine's own environment, run by its path: it imports nothing of this project.
"""

import runpy
from typing import Any

from ministack.services import stepfunctions  # type: ignore[import-not-found]

_REFUSED = "TooManyRequestsException"
_invoke = stepfunctions._call_lambda  # noqa: SLF001


def _invoke_named(function: str, event: Any) -> Any:
    try:
        return _invoke(function, event)
    except stepfunctions._ExecutionError as error:  # noqa: SLF001
        if f'"__type": "{_REFUSED}"' not in error.cause:
            raise
        raise stepfunctions._ExecutionError(f"Lambda.{_REFUSED}", error.cause) from None  # noqa: SLF001


if __name__ == "__main__":
    stepfunctions._call_lambda = _invoke_named  # noqa: SLF001
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
