"""Call a downstream API: once more where that is safe, never twice where it might create something twice."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote, urlsplit

import requests

from shared.adapters.downstream.answers import (
    TOOK_TOO_LONG,
    Answer,
    NotFoundAnswerError,
    Outcome,
    backoff,
    detail_of,
    is_its_own_word,
    parsed,
    read_retry_after,
    was_never_sent,
)
from shared.adapters.downstream.file_storage import FileStorage
from shared.adapters.downstream.sessions import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, new_session
from shared.domain.api_operation import ListOperation, Operation
from shared.domain.errors import (
    CredentialsExpiredError,
    DownstreamMalformedError,
    DownstreamRejectedError,
    DownstreamThrottledError,
    DownstreamTimeoutError,
    DownstreamUnavailableError,
    ForbiddenError,
    NotFoundError,
    UnknownOutcomeError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


MAX_TRIES = 6
CALL_DEADLINE_S = 60.0


class RateBudget(Protocol):
    """How many calls an organisation has left at a host."""

    def take(self, host: str, pool: str, timeout_s: float) -> None:
        """Wait until one call is allowed. Raises DownstreamThrottledError when that takes longer than the timeout."""
        ...

    def throttled(self, host: str, pool: str, retry_after_s: float) -> None:
        """Hear that the host answered 429."""
        ...


class DownstreamClient:
    """The downstream APIs, on behalf of one organisation.

    What may be sent again:

        answer            read    update, delete        create (a POST that is no search)
        429               yes     yes                   yes: nothing was done
        not connected     yes     yes                   yes: nothing was sent
        lost, timed out   yes     yes (same outcome)    never: UnknownOutcomeError
        5xx               yes     yes                   never: UnknownOutcomeError, but 503 with Retry-After: yes

    Args:
        token: bearer token of the organisation.
        url_template: base URL with `{host}`, such as `https://{host}`.
        budget: rate budget of the organisation; None: unlimited.
        session: shared by all clients of a Lambda, so that connections outlive an invocation.
        read_only: refuse every operation that is no read before it leaves.
        budget_reads: plain reads spend from the budget, too; searches and writes always do.
        ends_at: epoch seconds after which no attempt begins, such as the end of the invocation.
        call_deadline_s: how long one call may take with all its attempts.
        on_attempt: called after every attempt with the operation, how it ended (answered, throttled or failed), its
            milliseconds and its number, from 1.
        on_budget: called with the host and the milliseconds that a call waited for the rate budget.
        clock: epoch seconds.
        sleep: waits that many seconds.
    """

    def __init__(
        self,
        token: str,
        url_template: str,
        *,
        budget: RateBudget | None = None,
        session: requests.Session | None = None,
        read_only: bool = False,
        budget_reads: bool = False,
        ends_at: float | None = None,
        call_deadline_s: float = CALL_DEADLINE_S,
        max_attempts: int = MAX_TRIES,
        on_attempt: Callable[[Operation, str, float, int], None] = lambda *_: None,
        on_budget: Callable[[str, float], None] = lambda *_: None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._authorization = f"Bearer {token}"
        self._url_template = url_template
        self._budget = budget
        self._session = session or new_session()
        self._read_only = read_only
        self._pool_of_reads = "read" if budget_reads else ""
        self._ends_at = ends_at
        self._call_deadline_s = call_deadline_s
        self._max_attempts = max_attempts
        self._on_attempt = on_attempt
        self._on_budget = on_budget
        self._clock = clock
        self._sleep = sleep
        #: Where the bytes of files are, which their API only leads to.
        self.storage = FileStorage(self._session, urlsplit(url_template).scheme, read_only=read_only, sleep=sleep)

    def call(
        self,
        operation: Operation,
        *,
        config_id: str | None = None,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        repeatable: bool = False,
        on_unanswered: Callable[[bool], None] = lambda _outlived: None,
    ) -> Any:
        """Call an operation and return its answer, parsed; None where it has no body.

        Args:
            operation: what to call; a `ListOperation` is a read, whatever its method.
            config_id: fills the path's parameter; with it, a 404 means that the config is gone.
            query: query parameters beside the operation's own.
            body: JSON value.
            repeatable: this POST may be sent twice, because its result has no effect until something names it.
            on_unanswered: called when a write is sent again while the one before it may still be done, late; with
                whether it was seen to outlive its answer.

        Raises:
            CredentialsExpiredError: 401.
            NotFoundError: 404 for a config.
            DownstreamThrottledError: 429 until the tries ran out.
            DownstreamUnavailableError: 5xx, an unreadable answer or no connection until the tries ran out; nothing was
                written.
            DownstreamTimeoutError: no answer in time on a read.
            UnknownOutcomeError: a write may or may not have been done.
            DownstreamRejectedError: any other 4xx, or a redirect.
            ForbiddenError: a write through a client that only reads.
        """
        is_read = operation.method == "GET" or isinstance(operation, ListOperation)
        if self._read_only and not is_read:
            raise ForbiddenError(f"{operation.operation_id} was refused before it left: this client only reads.")
        request = self._request(operation, config_id, query, body)
        deadline = self._clock() + self._call_deadline_s
        if self._ends_at is not None:
            deadline = min(deadline, self._ends_at)
            if deadline <= self._clock():
                raise DownstreamUnavailableError(f"{operation.operation_id} did not begin: no time is left.")
        pool = self._pool_of_reads if operation.method == "GET" else "search" if is_read else "mutation"
        return self._send_until_settled(
            operation, request, config_id, deadline, pool, harmless=is_read or repeatable, on_unanswered=on_unanswered
        )

    def _request(
        self, operation: Operation, config_id: str | None, query: Mapping[str, Any] | None, body: Any
    ) -> requests.PreparedRequest:
        headers = {"Authorization": self._authorization}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body, separators=(",", ":")).encode()
        return self._session.prepare_request(
            requests.Request(
                operation.method,
                self._url_template.replace("{host}", operation.host) + _filled_path(operation, config_id),
                params={**operation.query, **(query or {})},
                headers=headers,
                data=data,
            )
        )

    def _send_until_settled(
        self,
        operation: Operation,
        request: requests.PreparedRequest,
        config_id: str | None,
        deadline: float,
        pool: str,
        *,
        harmless: bool,
        on_unanswered: Callable[[bool], None],
    ) -> Any:
        is_create = operation.method == "POST" and not harmless
        may_be_done = False
        for attempt in range(1, self._max_attempts + 1):
            if self._budget is not None and pool:
                asked = time.perf_counter()
                self._budget.take(operation.host, pool, max(0.0, deadline - self._clock()))
                self._on_budget(operation.host, (time.perf_counter() - asked) * 1000)
            try:
                answered = self._observed_attempt(attempt, operation, request, deadline, harmless=harmless)
            except NotFoundAnswerError as missing:
                if operation.method == "DELETE" and may_be_done:
                    return None
                if config_id is None:
                    raise DownstreamRejectedError(missing.message) from None
                raise NotFoundError(missing.message) from None
            if not isinstance(answered, Outcome):
                return answered.value
            if answered.throttled and self._budget is not None and pool:
                self._budget.throttled(operation.host, pool, answered.retry_after_s or 0.0)
            may_be_done = may_be_done or (answered.may_be_done and not harmless)
            wait = backoff(attempt, answered.retry_after_s)
            is_last = attempt == self._max_attempts or self._clock() + wait >= deadline
            if is_last or (is_create and may_be_done):
                if may_be_done:
                    raise UnknownOutcomeError(
                        f"{answered.error.message} Whether {operation.operation_id} was done is not known.",
                        ended=answered.ended,
                        outlived=answered.outlived,
                    )
                raise answered.error
            if answered.may_be_done and not answered.ended and not harmless:
                on_unanswered(answered.outlived)
            self._sleep(wait)
        raise AssertionError("the last attempt raises or returns")

    def _observed_attempt(
        self,
        number: int,
        operation: Operation,
        request: requests.PreparedRequest,
        deadline: float,
        *,
        harmless: bool,
    ) -> Answer | Outcome:
        sent, ended = time.perf_counter(), "answered"
        try:
            answered = self._attempt(operation, request, deadline, harmless=harmless)
            if isinstance(answered, Outcome):
                ended = "throttled" if answered.throttled else "failed"
            return answered
        finally:
            self._on_attempt(operation, ended, (time.perf_counter() - sent) * 1000, number)

    def _attempt(
        self, operation: Operation, request: requests.PreparedRequest, deadline: float, *, harmless: bool
    ) -> Answer | Outcome:
        name = f"The {operation.api} API"
        read_timeout = min(READ_TIMEOUT_S, max(1.0, deadline - self._clock())) if harmless else READ_TIMEOUT_S
        try:
            answer = self._session.send(
                request, timeout=(CONNECT_TIMEOUT_S, read_timeout), allow_redirects=False, proxies={}, verify=True
            )
        except requests.ConnectTimeout:
            return Outcome(DownstreamUnavailableError(f"{name} could not be reached in time."))
        except requests.ReadTimeout:
            return Outcome(
                DownstreamTimeoutError(f"{name} did not answer {operation.operation_id} in time."),
                may_be_done=True,
                outlived=True,
            )
        except requests.RequestException as error:
            if was_never_sent(error):
                return Outcome(DownstreamUnavailableError(f"{name} could not be reached."))
            return Outcome(
                DownstreamUnavailableError(f"{name} cut the connection during {operation.operation_id}."),
                may_be_done=True,
            )
        status = answer.status_code
        if 200 <= status < 300:
            return parsed(answer, name, operation)
        detail = detail_of(answer)
        message = f"{name} answered {status} to {operation.operation_id}{detail}."
        retry_after_s = read_retry_after(answer.headers.get("Retry-After"), self._clock())
        if status == 429:
            return Outcome(
                DownstreamThrottledError(message, retry_after_s), retry_after_s=retry_after_s, throttled=True
            )
        if status >= 500 or status == 408:
            was_turned_away = status == 503 and retry_after_s is not None
            return Outcome(
                DownstreamUnavailableError(message, retry_after_s),
                may_be_done=not was_turned_away,
                ended=is_its_own_word(answer),
                outlived=status in TOOK_TOO_LONG,
                retry_after_s=retry_after_s,
            )
        if status == 401:
            raise CredentialsExpiredError(f"{name} no longer accepts the token.")
        if status == 404:
            raise NotFoundAnswerError(message)
        refusal = DownstreamMalformedError if status in (400, 422) else DownstreamRejectedError
        raise refusal(message)


def _filled_path(operation: Operation, config_id: str | None) -> str:
    before, brace, rest = operation.path.partition("{")
    if not brace:
        return operation.path
    if not config_id:
        raise ValueError(f"{operation.operation_id} needs the id of a config.")
    if config_id in (".", ".."):
        # URL libraries take these for steps through the path, however they are encoded.
        raise NotFoundError(f"No config of the {operation.api} API can have the id {config_id!r}.")
    return before + quote(config_id, safe="") + rest.partition("}")[2]
