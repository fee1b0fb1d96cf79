"""The ASGI application: authenticates, misbehaves as told, routes, answers, remembers."""

import asyncio
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from sandbox.server.behaviour import Fault
from sandbox.server.call import Answer, Call
from sandbox.server.connection import cut_connection
from sandbox.server.control import build_control
from sandbox.server.errors import ApiError, error_body
from sandbox.server.files import OBJECT_STORE, serve_object
from sandbox.server.operations import encode
from sandbox.server.request_log import Entry
from sandbox.server.routing import Route
from sandbox.server.sandbox import Sandbox, Settings
from sandbox.server.tokens import Caller

Work = Callable[[], Answer]

_LOGGER = logging.getLogger(__name__)
_OVERRIDE_HEADERS = (b"x-epilot-org-id", b"x-ivy-org-id")
_CUT = Answer(0)
#: https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
_GATEWAY_SAYS = {502: "Internal server error", 504: "Endpoint request timed out"}


@dataclass(slots=True)
class _Request:
    method: str
    host: str
    path: str
    segments: list[str]
    query_string: str
    headers: dict[bytes, bytes]
    body: bytes
    client: tuple[str, int]
    wrote: str | None = None


class Application(Sandbox):
    """A sandbox that serves HTTP."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._control = build_control(self)
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one ASGI request."""
        if scope["type"] != "http":
            return
        raw_path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        segments = raw_path.split("/")
        if segments[1] == "_sandbox":
            await self._control(scope, receive, send)
            return
        self.log.enter()
        started = time.perf_counter()
        at = time.time()
        request = _Request(
            method=scope["method"],
            host=segments[1],
            path="/" + "/".join(segments[2:]),
            segments=segments[2:],
            query_string=scope["query_string"].decode("latin-1"),
            headers=dict(scope["headers"]),
            body=await _read_body(receive),
            client=(scope["client"][0], int(scope["client"][1])),
        )
        operation, caller, answer = "unknown", None, _CUT
        try:
            operation, caller, answer = await self._serve(request)
        finally:
            duration = round((time.perf_counter() - started) * 1000, 3)
            org_id = caller.org_id if caller else None
            self.log.leave(
                Entry(
                    at,
                    org_id,
                    request.host,
                    operation,
                    request.method,
                    request.path,
                    answer.status,
                    duration,
                    request.wrote,
                )
            )
        if answer is not _CUT:
            await _send(send, answer)

    async def _serve(self, request: _Request) -> tuple[str, Caller | None, Answer]:
        if request.host == OBJECT_STORE:
            operation = "putObject" if request.method == "PUT" else "getObject"
            return operation, None, await self._misbehave(request, operation, None, lambda: self._serve_object(request))
        matched = self.router.match(request.method, request.host, request.segments)
        if matched is None:
            return "unknown", None, Answer(404, encode({"message": "Not Found"}))
        route, parameters = matched
        operation, api = route.endpoint.operation, route.endpoint.api
        caller = self._authenticate(request.headers)
        if caller is None:
            return operation, None, Answer(401, encode(error_body(api, 401, "Unauthorized")))
        for name in _OVERRIDE_HEADERS:
            if name in request.headers:
                message = f"{name.decode()} must not be sent: it makes a token answer for another organization"
                return operation, caller, Answer(400, encode(error_body(api, 400, message)))
        wait_s = self.behaviour.throttled_s(request.host, caller.org_id)
        if wait_s:
            return operation, caller, _throttled(api, wait_s)
        answer = await self._misbehave(request, operation, api, lambda: self._work(request, route, parameters, caller))
        return operation, caller, answer

    def _authenticate(self, headers: dict[bytes, bytes]) -> Caller | None:
        scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        return self.tokens.verify(token.strip()) if scheme.lower() == "bearer" else None

    async def _misbehave(self, request: _Request, operation: str, api: str | None, work: Work) -> Answer:
        if self.behaviour.latency_s:
            await asyncio.sleep(self.behaviour.latency_s)
        fault = self.behaviour.next_fault(request.host, operation) if self.behaviour.faults else None
        if fault is None:
            return work()
        return await self._fail(fault, request, api or "", work)

    async def _fail(self, fault: Fault, request: _Request, api: str, work: Work) -> Answer:
        match fault.kind:
            case "status":
                return Answer(fault.status, encode(error_body(api, fault.status, "injected fault")))
            case "throttle":
                return _throttled(api, max(1.0, fault.delay_ms / 1000))
            case "reset":
                cut_connection(request.client)
                return _CUT
            case "lost_response":
                work()
                cut_connection(request.client)
                return _CUT
            case "late":
                cut_connection(request.client)
                self._work_later(fault, work)
                return _CUT
            case "gateway":
                self._work_later(fault, work)
                return Answer(fault.status, encode({"message": _GATEWAY_SAYS.get(fault.status, "Service Unavailable")}))
            case "slow":
                await asyncio.sleep(fault.delay_ms / 1000)
                return work()
            case "hold":
                with self.log.holding():
                    await self.behaviour.over.wait()
                return work()
            case _:
                answer = work()
                status = 200 if answer.status == HTTPStatus.NO_CONTENT else answer.status
                return Answer(status, b'{"malformed": [' + answer.body[: len(answer.body) // 2])

    def _work_later(self, fault: Fault, work: Work) -> None:
        self.log.late += 1
        task = asyncio.create_task(_after(fault.delay_ms / 1000, work))
        self._late.add(task)
        task.add_done_callback(self._done_late)

    def _done_late(self, task: asyncio.Task[None]) -> None:
        self._late.discard(task)
        self.log.late -= 1

    def _serve_object(self, request: _Request) -> Answer:
        signature = parse_qs(request.query_string).get("X-Amz-Signature", [""])[0]
        content_type = request.headers.get(b"content-type", b"application/octet-stream").decode("latin-1")
        path = "/".join(request.segments)
        return serve_object(self.store, request.method, path, signature, request.body, content_type)

    def _work(self, request: _Request, route: Route, parameters: dict[str, str], caller: Caller) -> Answer:
        endpoint = route.endpoint
        try:
            body = _parse(request.body)
            call = Call(
                store=self.store,
                organisation=self.store.organisation(caller.org_id),
                user=caller.user_id,
                kind=route.kind_of(parameters),
                endpoint=endpoint,
                parameters=parameters,
                query_string=request.query_string,
                body=body,
                base_url=f"http://{request.headers.get(b'host', b'127.0.0.1').decode('latin-1')}",
            )
            if self.validator is not None:
                self.validator.check_request(call, request.body)
            answer = route.verb(call)
            request.wrote = call.wrote
        except ApiError as refusal:
            body = error_body(endpoint.api, refusal.status, refusal.message, refusal.extra)
            answer = Answer(refusal.status, encode(body))
        except Exception:
            _LOGGER.exception("%s failed", endpoint.operation)
            answer = Answer(500, encode(error_body(endpoint.api, 500, "Internal Server Error")))
        if self.validator is not None:
            violation = self.validator.check_answer(endpoint, answer)
            if violation is not None:
                return Answer(400, encode(error_body(endpoint.api, 400, violation)))
        return answer


def _parse(body: bytes) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except ValueError:
        raise ApiError(400, "the request body is not JSON") from None


def _throttled(api: str, wait_s: float) -> Answer:
    retry_after = str(max(1, -int(-wait_s // 1)))
    body = encode(error_body(api, 429, "Too many requests. Try again later."))
    return Answer(429, body, headers={"Retry-After": retry_after})


async def _after(delay_s: float, work: Work) -> None:
    await asyncio.sleep(delay_s)
    work()


async def _read_body(receive: Any) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def _send(send: Any, answer: Answer) -> None:
    headers = [(b"content-length", b"%d" % len(answer.body))]
    if answer.body:
        headers.append((b"content-type", answer.content_type.encode()))
    headers.extend((name.lower().encode(), value.encode()) for name, value in answer.headers.items())
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
