"""A sandbox in this process, and one behind a real server for what only a network shows."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import requests

from sandbox.server.application import Application
from sandbox.server.definitions import read_endpoint
from sandbox.server.sandbox import Settings

ROOT = Path(__file__).resolve().parents[2]
ISSUER = "http://sandbox.test/_sandbox"
#: A busy machine takes its time to start a process, or to end one.
STARTED_WITHIN_S = 60


@dataclass
class Reply:
    """What came back over ASGI."""

    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Client:
    """Calls a sandbox in this process."""

    sandbox: Application
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, method: str, url: str, body: Any = None, **headers: str) -> Reply:
        """Send a request; bytes go as they are, anything else as JSON."""
        return asyncio.run(self._send(method, url, body, {**self.headers, **headers}))

    def call(self, api: str, operation: str, *path: str, body: Any = None, query: Any = None) -> Reply:
        """Call an operation where the published definition has it."""
        endpoint = read_endpoint(api, operation)
        url = endpoint.path
        for value in path:
            before, _, rest = url.partition("{")
            url = before + quote(value, safe="") + rest.partition("}")[2]
        suffix = f"?{urlencode(query, doseq=True)}" if query else ""
        return self.send(endpoint.method, f"/{endpoint.host}{url}{suffix}", body)

    def load(self, org_id: str, *resources: tuple[str, dict[str, Any]]) -> None:
        """Load raw resources through the control interface."""
        items = [{"type": type_, "payload": payload} for type_, payload in resources]
        assert self.send("POST", f"/_sandbox/orgs/{org_id}/resources", {"resources": items}).status == 201

    async def _send(self, method: str, url: str, body: Any, headers: dict[str, str]) -> Reply:
        path, _, query = url.partition("?")
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "scheme": "http",
            "server": ("127.0.0.1", 80),
            "client": ("127.0.0.1", 1),
            "headers": [
                (name.replace("_", "-").lower().encode(), value.encode())
                for name, value in {"host": "sandbox.test", **headers}.items()
            ],
        }
        messages: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        await self.sandbox(scope, receive, send)
        start = messages[0]
        return Reply(
            start["status"],
            b"".join(message.get("body", b"") for message in messages[1:]),
            {name.decode(): value.decode() for name, value in start["headers"]},
        )


def sign_in(client: Client, org_id: str, **claims: Any) -> Client:
    """Return a client with a token of an organisation."""
    token = client.send("POST", "/_sandbox/tokens", {"org_id": org_id, **claims}).json()["token"]
    return Client(client.sandbox, {"authorization": f"Bearer {token}"})


@pytest.fixture(scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandbox") / "key.pem"


@pytest.fixture(scope="session")
def _strict_sandbox(key_file: Path) -> Application:
    return Application(Settings(ISSUER, key_file, validate=True))


@pytest.fixture
def client(_strict_sandbox: Application) -> Client:
    """A client without a token, of an empty sandbox that checks everything against the definitions."""
    client = Client(_strict_sandbox)
    client.send("POST", "/_sandbox/reset", {"what": "all"})
    return client


@pytest.fixture
def alpha(client: Client) -> Client:
    """A client with a token of organisation 100."""
    return sign_in(client, "100")


@pytest.fixture
def beta(client: Client) -> Client:
    """A client with a token of organisation 200."""
    return sign_in(client, "200")


@pytest.fixture(scope="session")
def _lenient_sandbox(key_file: Path) -> Application:
    return Application(Settings(ISSUER, key_file))


@pytest.fixture
def lenient(_lenient_sandbox: Application) -> Client:
    """A client of organisation 100 in a sandbox that does not look at the definitions."""
    client = Client(_lenient_sandbox)
    client.send("POST", "/_sandbox/reset", {"what": "all"})
    client.load("100", ("taxonomy", {"slug": "zone", "name": "Zone"}))
    return sign_in(client, "100")


def _free_port() -> int:
    # The system's own choice: test processes that run side by side must not get the same one.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_healthy(url: str) -> bool:
    try:
        return requests.get(f"{url}/_sandbox/health", timeout=1).ok
    except requests.RequestException:
        return False


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a sandbox behind its real server."""
    port = _free_port()
    key = tmp_path_factory.mktemp("server") / "key.pem"
    command = [sys.executable, "-m", "sandbox.server", "--port", str(port), "--key-file", str(key)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not is_healthy(url):
            assert process.poll() is None, "the sandbox ended"
            assert time.monotonic() < deadline, "the sandbox did not start"
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=STARTED_WITHIN_S)
