"""The one way in over HTTP: an API Gateway proxy event becomes a Request, a result or an error becomes an answer."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from shared import settings
from shared.domain import errors
from shared.domain.redaction import redact
from shared.entrypoints.request import Request, Response
from shared.observability import flush_metrics, logger, record, record_start

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

MAX_ANSWER_BYTES = 5 * 1024 * 1024
# Where Lambda ends an answer, less the rest of the proxy envelope; inside of it every quote and backslash counts twice.
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_MAX_ENVELOPE_BYTES = 6 * 1024 * 1024 - 4096

STATUS_BY_ERROR: Mapping[type[Exception], int] = {
    errors.InvalidRequestError: 400,
    errors.OperationUnsupportedError: 400,
    errors.ClosureTooLargeError: 400,
    errors.UnauthorizedError: 401,
    errors.CredentialsExpiredError: 401,
    errors.ForbiddenError: 403,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.AmbiguousMatchError: 409,
    errors.PayloadTooLargeError: 413,
    errors.TooManyJobsError: 429,
    errors.TooManyRequestsError: 429,
    errors.DownstreamThrottledError: 429,
    errors.DownstreamRejectedError: 502,
    errors.DownstreamUnavailableError: 502,
    errors.UnknownOutcomeError: 502,
    errors.DownstreamTimeoutError: 504,
    errors.TransientError: 503,
}

_RETRY_LATER = frozenset({429, 503})
# The objective of docs/operations.md: 99 % of answers within it.
_SLOW_ANSWER_MS = 5_000
_DEFAULT_RETRY_AFTER_S = 5


def http_handler(
    operation: Callable[[Request], Response | Any], admit: Callable[[str], None] = lambda _: None
) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
    """Return the Lambda handler that serves one operation.

    Args:
        operation: what the request asks for; it returns the body of a 200, or a `Response` with another status.
        admit: raises where the organisation that calls has called too often.
    """

    @logger.inject_lambda_context(clear_state=True)
    def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        request_id = str((event.get("requestContext") or {}).get("requestId") or context.aws_request_id)
        logger.append_keys(correlation_id=request_id)
        record_start("api")
        origin, start = _header(event, "origin"), time.perf_counter()
        try:
            request = Request.from_event(event, now=time.time())
            logger.append_keys(org_id=request.org_id)
            admit(request.org_id)
            result = operation(request)
            response = result if isinstance(result, Response) else Response(200, result)
            text = _serialise(response.body)
            logger.info("Request answered", status=response.status)
        except Exception as error:  # noqa: BLE001 - this is the boundary
            response = _error_response(error, request_id)
            text = _serialise(response.body)
        _record_answer(event, response.status, (time.perf_counter() - start) * 1000)
        flush_metrics()
        return {
            "statusCode": response.status,
            "headers": {
                "Content-Type": "application/json",
                "Cache-Control": "no-store",
                "Vary": "Origin",
                **_cors_headers(origin),
                **response.headers,
            },
            "body": text,
            "isBase64Encoded": False,
        }

    return handler


def status_of(error: Exception) -> int:
    """Return the HTTP status of an error: that of the nearest class of its that the table names, else 500."""
    return next((STATUS_BY_ERROR[cls] for cls in type(error).__mro__ if cls in STATUS_BY_ERROR), 500)


def _record_answer(event: Mapping[str, Any], status: int, duration_ms: float) -> None:
    route = f"{event.get('httpMethod') or '-'} {event.get('resource') or '-'}"
    record("RequestsAnswered", route=route, status_class=f"{status // 100}xx")
    record("RequestDuration", duration_ms, route=route)
    record("Requests")
    record("ServerErrors", 1 if status >= 500 else 0)
    record("SlowAnswers", 1 if duration_ms > _SLOW_ANSWER_MS else 0)


def _error_response(error: Exception, request_id: str) -> Response:
    """Log the error, once, and return what the caller may know of it."""
    if sentence := _validation_sentence(error):
        error = errors.InvalidRequestError(sentence)
    status = status_of(error)
    if not isinstance(error, errors.HubError) or status == 500:
        logger.exception("Request failed")
        return Response(500, {"status": 500, "error": f"Internal error. Quote request id {request_id}."})
    log = logger.warning if status >= 500 else logger.info
    log("Request refused", status=status, code=error.code, reason=error.message)
    headers = {}
    if status in _RETRY_LATER:
        seconds = getattr(error, "retry_after", None) or _DEFAULT_RETRY_AFTER_S
        headers["Retry-After"] = str(max(1, math.ceil(seconds)))
    return Response(status, {"status": status, "error": redact(error.message)}, headers)


def _validation_sentence(error: Exception) -> str:
    """Return a sentence for a pydantic error that names the first bad field, never its value; else nothing."""
    if not isinstance(error, ValueError) or not hasattr(error, "error_count"):
        return ""
    problems = error.errors(include_input=False, include_url=False, include_context=False)  # type: ignore[attr-defined]
    first, others = problems[0], len(problems) - 1
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")[:200]
    what = first["msg"].removeprefix("Value error, ").rstrip(".")[:300]
    what = "is required" if first["type"] == "missing" else what[:1].lower() + what[1:]
    rest = f" (and {others} more)" if others else ""
    return f"{where or 'The body'}: {what}{rest}."


def _serialise(body: Any) -> str:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=_plain)
    size = len(text.encode())
    escaped = size + text.count('"') + text.count("\\")
    if size > MAX_ANSWER_BYTES or escaped > _MAX_ENVELOPE_BYTES:
        lists = body.items() if isinstance(body, Mapping) else ()
        held = next((f" for {len(value):,} {name}" for name, value in lists if isinstance(value, list)), "")
        raise errors.PayloadTooLargeError(
            f"The answer would have {size:,} bytes{held}, over the limit of {MAX_ANSWER_BYTES:,}: ask for fewer."
        )
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_none=True)
    raise TypeError(f"{type(value).__name__} cannot be part of an answer")


def _header(event: Mapping[str, Any], name: str) -> str:
    return next((value for key, value in (event.get("headers") or {}).items() if key.lower() == name), "")


def _cors_headers(origin: str) -> dict[str, str]:
    allowed = settings.allowed_origins()
    if not origin or not ("*" in allowed or origin in allowed):
        return {}
    return {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "Retry-After"}
