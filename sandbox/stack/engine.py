"""Run the local engine with five things that AWS has and it lacks.

What is reserved for a function limits calls by its aliases, too; a task that Lambda refuses fails with the error name
that AWS gives it; what EventBridge or a function asks of an alias and nobody waits for is tried again, and what fails
at every try goes where the function's configuration sends it; the encryption context of a request to KMS fills the
condition keys of policies; the name of a log stream has that of its function, where functions share a group. A program
of the engine's own environment, run by its path: it imports nothing of this project.
"""

import json
import runpy
from typing import Any

from ministack.core import iam_actions  # type: ignore[import-not-found]
from ministack.services import eventbridge, lambda_svc, stepfunctions  # type: ignore[import-not-found]

_REFUSED = "TooManyRequestsException"
_invoke = stepfunctions._call_lambda  # noqa: SLF001
_execution_record = lambda_svc._execution_record_for_config  # noqa: SLF001
_invoke_unawaited = lambda_svc.invoke_async_with_retry
_dispatch = eventbridge._dispatch_to_lambda  # noqa: SLF001
_write_log = lambda_svc._emit_lambda_logs  # noqa: SLF001
_request_tags = iam_actions.request_tag_context


def _invoke_named(function: str, event: Any) -> Any:
    try:
        return _invoke(function, event)
    except stepfunctions._ExecutionError as error:  # noqa: SLF001
        if f'"__type": "{_REFUSED}"' not in error.cause:
            raise
        raise stepfunctions._ExecutionError(f"Lambda.{_REFUSED}", error.cause) from None  # noqa: SLF001


def _limited_record(function: Any, config: Any) -> Any:
    record = _execution_record(function, config)
    unpublished = lambda_svc._functions.get(config["FunctionName"]) or {}  # noqa: SLF001
    record["concurrency"] = unpublished.get("concurrency")
    return record


def _invoke_configured(function: Any, event: Any) -> None:
    unpublished = lambda_svc._functions.get(function["config"]["FunctionName"]) or {}  # noqa: SLF001
    # A function here has one alias, and so one of these.
    configured = next(iter((unpublished.get("event_invoke_configs") or {}).values()), None)
    _invoke_unawaited({**function, "event_invoke_config": configured}, event)


def _dispatch_to_lambda(arn: str, payload: str) -> None:
    function, config, _ = lambda_svc._get_func_record_for_ref(arn)  # noqa: SLF001
    if config is None:
        _dispatch(arn, payload)  # it says that there is none
    else:
        lambda_svc.invoke_async_with_retry(_limited_record(function, config), json.loads(payload))


def _write_named_log(function: Any, *arguments: Any, **options: Any) -> None:
    config = function.get("config") or function
    # The engine makes the name of the stream of the version alone.
    version = f"{config['FunctionName']}[{config.get('Version', '$LATEST')}]"
    _write_log({**function, "config": {**config, "Version": version}}, *arguments, **options)


def _condition_keys(service: str, action: str, body: bytes, parameters: Any) -> dict[str, Any]:
    keys: dict[str, Any] = _request_tags(service, action, body, parameters)
    if service == "kms":
        context = json.loads(body or b"{}").get("EncryptionContext") or {}
        keys |= {f"kms:encryptioncontext:{name}": value for name, value in context.items()}
        keys["kms:encryptioncontextkeys"] = list(context)
    return keys


if __name__ == "__main__":
    stepfunctions._call_lambda = _invoke_named  # noqa: SLF001
    lambda_svc._execution_record_for_config = _limited_record  # noqa: SLF001
    lambda_svc.invoke_async_with_retry = _invoke_configured
    eventbridge._dispatch_to_lambda = _dispatch_to_lambda  # noqa: SLF001
    lambda_svc._emit_lambda_logs = _write_named_log  # noqa: SLF001
    iam_actions.request_tag_context = _condition_keys
    runpy.run_module("ministack", run_name="__main__", alter_sys=True)
