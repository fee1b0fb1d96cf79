"""The one way in for a step of the state machine: it signals by value, so that a Choice can route it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shared.domain.errors import HubError, TerminalError, TransientError
from shared.domain.redaction import redact
from shared.observability import flush_metrics, logger, record, record_start, timed

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from shared.domain.step_result import StepResult

_DEFAULT_WAIT_S = 5
_MAX_WAIT_S = 1200

type Step = Callable[[dict[str, Any]], StepResult]


def step_handler(step: Step, name: str = "") -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
    """Return the Lambda handler of one Task.

    What the step returns has a `status`: done, more, wait or failed. A transient error becomes `wait`, a terminal one
    `failed`. An event without an `execution_id` is no task's: a rule, a schedule or a function sent it, and nobody
    reads an answer. Then the error is raised: Lambda tries again, and at last tells the destination on failure.

    Args:
        step: takes the task's input, with `deadline` added: the epoch seconds at which Lambda ends the invocation.
        name: what metrics call it; by default the function's own name in Pascal case.

    Raises:
        Exception: whatever else the step raises, logged; the machine's Retry and Catch deal with it.
        HubError: what would be a signal, where nobody reads it.
    """
    name = name or "".join(word.capitalize() for word in step.__name__.split("_"))

    @logger.inject_lambda_context(clear_state=True)
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        logger.append_keys(
            **{key: event[key] for key in ("org_id", "job_id", "batch", "resource_type", "step") if key in event}
        )
        record_start("workflow")
        outcome = "broken"
        try:
            deadline = time.time() + context.get_remaining_time_in_millis() / 1000
            with timed("StepDuration", step=name):
                result = dict(step({**event, "deadline": deadline}))
            outcome = str(result.get("status"))
        except (TransientError, TerminalError) as error:
            outcome = "wait" if isinstance(error, TransientError) else "failed"
            answer = _signal(outcome, error)
            if "execution_id" not in event:
                raise
            return answer
        except Exception as error:
            logger.exception("Step broke off")
            # Lambda copies the text of what is raised into the execution history.
            if redact(str(error)) != str(error):
                raise RuntimeError(redact(f"{type(error).__name__}: {error}")) from None
            raise
        else:
            logger.info("Step returned", status=result.get("status"), code=result.get("code"))
            return result
        finally:
            record("StepsEnded", step=name, outcome=outcome)
            record("StepsBroken", 1 if outcome == "broken" else 0)
            flush_metrics()

    return handler


def _signal(status: str, error: HubError) -> dict[str, Any]:
    """Log an error of ours and return what says it by value."""
    if isinstance(error, TransientError):
        seconds = min(_MAX_WAIT_S, max(1, math.ceil(error.retry_after or _DEFAULT_WAIT_S)))
        logger.warning("Step waits", code=error.code, reason=error.message, wait_seconds=seconds)
        return {"status": status, "wait_seconds": seconds, "code": error.code}
    logger.error("Step failed", code=error.code, reason=error.message)
    return {"status": status, "code": error.code}
