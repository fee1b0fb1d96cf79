import json
import time

import pytest

from shared import observability
from shared.domain import errors
from shared.entrypoints.workflow import step_handler

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJvcmdfaWQiOiIxIn0.c2lnbmF0dXJl"
EVENT = {"org_id": "1", "job_id": "j", "batch": "a-1", "execution_id": "e"}
TOLD_BY_A_RULE = {"org_id": "1", "job_id": "j"}


def raising(error):
    def step(event):
        raise error

    return step


def test_returns_what_the_step_returns_and_says_until_when_it_may_run(lambda_context):
    seen = {}

    def step(event):
        seen.update(event)
        return {"status": "done"}

    began = time.time()
    assert step_handler(step)(EVENT, lambda_context) == {"status": "done"}
    assert seen["job_id"] == "j"
    assert began + 30 <= seen["deadline"] <= time.time() + 30


@pytest.mark.parametrize(("retry_after", "wait"), [(None, 5), (0.2, 1), (7.1, 8), (9_999, 1200)])
def test_a_transient_error_becomes_a_wait(retry_after, wait, lambda_context):
    error = errors.DownstreamThrottledError("Slow.", retry_after=retry_after)

    assert step_handler(raising(error))(EVENT, lambda_context) == {
        "status": "wait",
        "wait_seconds": wait,
        "code": "DOWNSTREAM_THROTTLED",
    }


def test_a_terminal_error_becomes_a_failure_with_its_code(lambda_context):
    result = step_handler(raising(errors.CredentialsExpiredError("Gone.")))(EVENT, lambda_context)

    assert result == {"status": "failed", "code": "CREDENTIALS_EXPIRED"}


@pytest.mark.parametrize("error", [errors.StorageThrottledError("Busy."), errors.NotFoundError("Gone.")])
def test_where_nobody_reads_an_answer_the_error_is_raised_so_that_lambda_tries_again(error, lambda_context, logged):
    with pytest.raises(type(error)):
        step_handler(raising(error))(TOLD_BY_A_RULE, lambda_context)

    (line,) = logged()
    assert (line["code"], line["job_id"]) == (error.code, "j")


def test_any_other_error_is_logged_once_and_raised(lambda_context, logged):
    with pytest.raises(KeyError):
        step_handler(raising(KeyError("job")))(EVENT, lambda_context)

    (line,) = logged()
    assert (line["level"], line["org_id"], line["job_id"], line["batch"]) == ("ERROR", "1", "j", "a-1")


def test_a_token_in_an_error_reaches_neither_the_log_nor_the_history(lambda_context, logged):
    with pytest.raises(RuntimeError, match=r"^KeyError: ") as raised:
        step_handler(raising(KeyError(f"Bearer {TOKEN}")))(EVENT, lambda_context)

    assert TOKEN not in str(raised.value)
    assert TOKEN not in json.dumps(logged())


def test_sends_metrics_also_when_the_step_fails(lambda_context, capsys):
    def step(event):
        observability.record("ResourcesSettled", 3, outcome="created", resource_type="journey")
        raise errors.ConflictError("No.")

    step_handler(step)(EVENT, lambda_context)

    sent = next(json.loads(line) for line in capsys.readouterr().out.splitlines() if "ResourcesSettled" in line)
    assert sent["ResourcesSettled"] == [3.0]
    assert (sent["outcome"], sent["resource_type"]) == ("created", "journey")
    assert sent["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "ConfigurationHub"
