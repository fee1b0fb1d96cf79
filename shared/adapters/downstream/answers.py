"""What an attempt to call a downstream API led to, and how long to wait before the next."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import requests
from urllib3.exceptions import NewConnectionError

from shared.domain.bounds import read_json
from shared.domain.errors import DownstreamUnavailableError, HubError
from shared.domain.redaction import redact

if TYPE_CHECKING:
    from shared.domain.api_operation import Operation

_BACKOFF_BASE_S = 0.1
_BACKOFF_GROWTH = 4
_BACKOFF_CAP_S = 10.0
_MAX_DETAIL = 300
# Spreads retries; nothing secret comes from it.
_jitter = random.Random()  # noqa: S311
TOOK_TOO_LONG = (408, 504)
_GATEWAY_SAYS = frozenset({"internal server error", "service unavailable", "endpoint request timed out", "bad gateway"})
_DETAIL_KEYS = ("message", "error", "reason", "code")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt led to that did not succeed.

    Attributes:
        error: what to raise when the tries run out.
        may_be_done: the other side may have done the work.
        ended: whatever it did has come to its end.
        outlived: we, or the gateway before it, did not wait for its end.
        retry_after_s: how long it asked us to wait.
        throttled: it answered 429, so it did nothing.
    """

    error: HubError
    may_be_done: bool = False
    ended: bool = False
    outlived: bool = False
    retry_after_s: float | None = None
    throttled: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answered, parsed; None where it has no body."""

    value: Any


class NotFoundAnswerError(Exception):
    """The API answered 404; whether a config is gone or an address is wrong depends on what was asked for."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def parsed(answer: requests.Response, name: str, operation: Operation) -> Answer | Outcome:
    """Return what a 2xx answer says; where that is no JSON, the work may have been done all the same."""
    if not answer.content:
        return Answer(None)
    try:
        return Answer(read_json(answer.content))
    except ValueError:
        return Outcome(
            DownstreamUnavailableError(f"{name} answered {operation.operation_id} with something that is no JSON."),
            may_be_done=True,
            ended=True,
        )


def is_its_own_word(answer: requests.Response) -> bool:
    """Tell an API's own error from that of the gateway before it, behind which the API may still be at work.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
    """
    try:
        body = json.loads(answer.content)
    except ValueError:
        return False
    if answer.status_code in TOOK_TOO_LONG or not isinstance(body, dict):
        return False
    return body.keys() != {"message"} or str(body["message"]).rstrip(".").casefold() not in _GATEWAY_SAYS


def detail_of(answer: requests.Response) -> str:
    """Return what an error body says, shortened and without credentials; the APIs use four keys for it."""
    try:
        body = read_json(answer.content)
    except ValueError:
        return ""
    if not isinstance(body, dict):
        return ""
    said: list[str] = []
    for key in _DETAIL_KEYS:
        value = body.get(key)
        value = value.get("message") if isinstance(value, dict) else value
        if isinstance(value, str) and value and value not in said:
            said.append(value)
    text = " ".join(redact(" ".join(said)).split())
    return f": {text[:_MAX_DETAIL].rstrip('.')}" if text else ""


def was_never_sent(error: Exception) -> bool:
    """Tell whether a request failed before any of it left, because no connection came about."""
    seen: list[BaseException] = [error]
    while seen:
        current = seen.pop()
        if isinstance(current, NewConnectionError | requests.exceptions.InvalidURL):
            return True
        reason = getattr(current, "reason", None)
        seen.extend(part for part in (*current.args, reason) if isinstance(part, BaseException))
    return False


def read_retry_after(value: str | None, now: float) -> float | None:
    """Read a Retry-After header: seconds, or a date (RFC 9110, 10.2.3)."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None


def backoff(attempt: int, retry_after_s: float | None) -> float:
    """Return the seconds to wait after an attempt: full jitter, on top of what the other side asked for.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """
    ceiling = min(_BACKOFF_CAP_S, _BACKOFF_BASE_S * _BACKOFF_GROWTH ** (attempt - 1))
    if retry_after_s is not None:
        return retry_after_s + _jitter.uniform(0, min(1.0, ceiling))
    return _jitter.uniform(0, ceiling)
