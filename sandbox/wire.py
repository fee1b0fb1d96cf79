"""A wire between local Lambdas and the local engine that can be cut: what storage and dying processes do on a bad day.

Lambda ---request---> sent ---> engine
       <---answer---- answered <---

Only functions that are attached go through it, so nothing else of the stack pays for it or notices it.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self
from urllib.parse import urlsplit

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

LOOPBACK = "127.0.0.1"
ENDPOINT = "AWS_ENDPOINT_URL"
_LOOKS = 20
# Where an attached function remembers what it had before, and which version its callers reached.
_TIMEOUT = "TIMEOUT_OFF_THE_WIRE"
_VERSION = "VERSION_OFF_THE_WIRE"
_ALIAS = "live"

#: kill: the process that asks dies before the request is passed on; kill_answered: when it is done, before the answer.
#: cut: nothing is done; lose: it is done; both times the connection ends without an answer. late: the answer waits.
#: conflict: DynamoDB refuses because of another transaction. throttle: DynamoDB, S3 or KMS refuses for its limits.
#: hold: `then` runs before the request is passed on.
Kind = Literal["kill", "kill_answered", "cut", "lose", "late", "conflict", "throttle", "hold"]


def _do_nothing(_: str) -> None:
    return


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to the requests that it matches.

    Attributes:
        words: all of them occur in the request's operation, path or body.
        function: name of the only function whose requests it matches.
        skip: how many it lets pass first.
        count: how often it strikes; None means always.
        lasts_s: for how many seconds from the first time on; None means always.
        then: runs when it strikes, in the thread that holds the request, and is given its text: before anything else is
            done, or where a process dies once it is dead.
        struck: how often it has.
        over_at: when it strikes no more, by the monotonic clock; infinite before its first time.
    """

    kind: Kind
    words: Sequence[str] = ()
    function: str = ""
    skip: int = 0
    count: int | None = 1
    lasts_s: float | None = None
    probability: float = 1.0
    delay_s: float = 0.0
    then: Callable[[str], object] = _do_nothing
    struck: int = 0
    over_at: float = math.inf

    @property
    def is_over(self) -> bool:
        """It strikes no more."""
        return self.struck == self.count or time.monotonic() > self.over_at

    def strike(self) -> None:
        """Count one time."""
        if not self.struck and self.lasts_s is not None:
            self.over_at = time.monotonic() + self.lasts_s
        self.struck += 1


class Wire:
    """Passes what attached Lambdas ask of the engine on, except where a fault strikes.

    Args:
        engine_url: base URL of the engine.
        scratch: the folder in which the engine unpacks functions: a process is killed only if it runs there.
        seed: of what is left to chance.

    Attributes:
        engine: host and port.
        faults: the first that matches strikes.
        passed: how many requests came, by operation.
    """

    def __init__(self, engine_url: str, scratch: Path, seed: int = 0) -> None:
        self.faults: list[Fault] = []
        self.passed: Counter[str] = Counter()
        self.engine = urlsplit(engine_url).netloc
        self._scratch = f"{scratch}/"
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._servers: list[_Server] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def open_for(self, function: str) -> str:
        """Return the URL at which a function finds the engine behind the wire; a port of its own says who asks."""
        server = _Server(self, function)
        self._servers.append(server)
        threading.Thread(target=server.serve_forever, name=f"wire of {function}", daemon=True).start()
        return f"http://{LOOPBACK}:{server.server_port}"

    def next_fault(self, text: str, function: str) -> Fault | None:
        """Return the fault that strikes a request, if one does.

        Args:
            text: operation, path and body of the request.
            function: that asks.
        """
        with self._lock:
            for fault in self.faults:
                if fault.is_over or fault.function not in ("", function):
                    continue
                if not all(word in text for word in fault.words):
                    continue
                if fault.skip:
                    fault.skip -= 1
                elif self._chance.random() < fault.probability:
                    fault.strike()
                    return fault
        return None

    def kill_process_at(self, port: int) -> None:
        """Kill the Lambda process that holds the other end of a connection.

        Raises:
            LookupError: none of the engine's does.
        """
        pid = self._process_at(port)
        if not pid:
            raise LookupError(f"no Lambda of this engine holds port {port}")
        os.kill(pid, signal.SIGKILL)

    def _process_at(self, port: int) -> int:
        """Return the id of the engine's Lambda process that holds a local port; 0 where there is none.

        The kernel lists sockets in pieces, and on a busy machine some are in none of them: it is asked again.
        """
        for _ in range(_LOOKS):
            for process in psutil.process_iter(["cmdline"]):
                if self._scratch in " ".join(process.info["cmdline"] or ()) and port in self._ports_of(process):
                    return process.pid
        return 0

    def _ports_of(self, process: psutil.Process) -> set[int]:
        """Return the local ports of a process's connections; it may close some meanwhile, or end."""
        try:
            return {one.laddr.port for one in process.net_connections("tcp4") if one.laddr}
        except psutil.Error:
            return set()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, wire: Wire, function: str) -> None:
        self.wire = wire
        self.function = function
        super().__init__((LOOPBACK, 0), _Call)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over a Lambda that hung up, because it is dead by now."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Call(BaseHTTPRequestHandler):
    """One connection of a Lambda, and the one to the engine behind it."""

    protocol_version = "HTTP/1.1"
    # An answer goes out in two writes; without this the second waits for the first one's acknowledgement.
    disable_nagle_algorithm = True
    server: _Server
    _near: http.client.HTTPConnection | None = None

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def finish(self) -> None:
        """Hang up on both sides."""
        if self._near is not None:
            self._near.close()
        with suppress(ConnectionError):
            super().finish()

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2] or self.command
        wire, port = self.server.wire, self.client_address[1]
        wire.passed[operation] += 1
        text = f"{operation} {self.path} {body.decode(errors='replace')}"
        fault = wire.next_fault(text, self.server.function)
        kind = fault.kind if fault else ""
        if kind == "kill":
            wire.kill_process_at(port)
        if fault is not None and kind != "kill_answered":
            fault.then(text)
        if kind in ("kill", "cut"):
            self.close_connection = True
            return
        if kind == "conflict":
            self._answer(400, {"Content-Type": "application/x-amz-json-1.0"}, _conflict(operation, body))
            return
        if kind == "throttle":
            self._answer(*_throttled(is_json="X-Amz-Target" in self.headers))
            return
        answer = self._ask(body)
        if kind == "late" and fault is not None:
            time.sleep(fault.delay_s)
        if fault is not None and kind == "kill_answered":
            wire.kill_process_at(port)
            fault.then(text)
        if kind in ("kill_answered", "lose"):
            self.close_connection = True
            return
        self._answer(*answer)

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if self._near is None:
            self._near = http.client.HTTPConnection(self.server.wire.engine, timeout=120)
        self._near.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in ("expect", "connection"):
                self._near.putheader(name, value)
        self._near.endheaders(body)
        answer = self._near.getresponse()
        ours = ("connection", "transfer-encoding", "content-length", "date", "server")
        headers = {name: value for name, value in answer.getheaders() if name.lower() not in ours}
        return answer.status, headers, answer.read()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - http.server's names


def _throttled(*, is_json: bool) -> tuple[int, dict[str, str], bytes]:
    """Return what DynamoDB and KMS, or S3, answer where too much is asked of them."""
    if is_json:
        body = json.dumps({"__type": "ThrottlingException", "message": "Rate exceeded"}).encode()
        return 400, {"Content-Type": "application/x-amz-json-1.1"}, body
    return 503, {"Content-Type": "application/xml"}, b"<Error><Code>SlowDown</Code><Message>Slow down</Message></Error>"


def _conflict(operation: str, body: bytes) -> bytes:
    """Return what DynamoDB answers where another transaction holds an item."""
    namespace = "com.amazonaws.dynamodb.v20120810#"
    if operation != "TransactWriteItems":
        message = "Transaction is ongoing for the item"
        return json.dumps({"__type": f"{namespace}TransactionConflictException", "message": message}).encode()
    reasons: list[dict[str, Any]] = [{"Code": "None"} for _ in json.loads(body)["TransactItems"]]
    reasons[-1] = {"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}
    return json.dumps(
        {
            "__type": f"{namespace}TransactionCanceledException",
            "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
            "CancellationReasons": reasons,
        }
    ).encode()


@contextmanager
def attached(functions: Any, names: Sequence[str], wire: Wire, timeout_s: int) -> Iterator[None]:
    """Let functions reach the engine through a wire for a while.

    Args:
        functions: a Lambda client of the engine.
        names: of the functions.
        wire: while it is open.
        timeout_s: how long an invocation may take meanwhile.
    """
    try:
        for name in names:
            config = functions.get_function_configuration(FunctionName=name)
            variables = {
                **config["Environment"]["Variables"],
                ENDPOINT: wire.open_for(name),
                _TIMEOUT: str(config["Timeout"]),
                _VERSION: functions.get_alias(FunctionName=name, Name=_ALIAS)["FunctionVersion"],
            }
            functions.update_function_configuration(
                FunctionName=name, Environment={"Variables": variables}, Timeout=timeout_s
            )
            version = functions.publish_version(FunctionName=name)["Version"]
            functions.update_alias(FunctionName=name, Name=_ALIAS, FunctionVersion=version)
        yield
    finally:
        detach(functions)


def detach(functions: Any) -> None:
    """Let all functions reach the engine directly again, those too that a test left behind which was killed."""
    for page in functions.get_paginator("list_functions").paginate():
        for config in page["Functions"]:
            variables = config.get("Environment", {}).get("Variables", {})
            if ENDPOINT in variables:
                kept = {name: value for name, value in variables.items() if name not in (ENDPOINT, _TIMEOUT, _VERSION)}
                functions.update_alias(
                    FunctionName=config["FunctionName"], Name=_ALIAS, FunctionVersion=variables[_VERSION]
                )
                functions.update_function_configuration(
                    FunctionName=config["FunctionName"],
                    Environment={"Variables": kept},
                    Timeout=int(variables[_TIMEOUT]),
                )
