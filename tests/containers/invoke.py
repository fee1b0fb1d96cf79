"""Invoke functions in containers: one as a person would, `sam local invoke`; many by one `sam local start-lambda`."""

from __future__ import annotations

import json
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.stack.processes import wait_until
from sandbox.stack.settings import FAKE_CREDENTIALS, LOOPBACK, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sandbox.stack.settings import StackSettings

# A cold container, its image and a step's own limit.
_LONGEST_S = 240
_LISTENS_WITHIN_S = 60


class InvocationFailedError(RuntimeError):
    """A function gave no answer, or another one than expected."""


def logical_id(event: str) -> str:
    """Return the logical id of the function that an event is for: `api/list_configs` -> `ListConfigsFunction`."""
    return "".join(word.capitalize() for word in event.rpartition("/")[2].split("_")) + "Function"


class Invoker(Protocol):
    """Invokes the function of an event in a container of its own."""

    def invoke(self, event: str, payload: Mapping[str, Any]) -> Any:
        """Return the function's answer.

        Raises:
            InvocationFailedError: the container or the function broke off; the log says how.
        """
        ...


@dataclass(frozen=True, slots=True)
class Containers:
    """One `sam local invoke` per event, in containers that know the local stack."""

    settings: StackSettings
    options: tuple[str, ...] = ()

    def command(self, event: str) -> list[str]:
        """Return the command line that invokes the function of an event with its filled-in file."""
        # Template and variables, as the bridge writes them, are named in samconfig.toml.
        file = self.event_file(event).relative_to(self.settings.root)
        return [".venv/bin/sam", "local", "invoke", logical_id(event), "--event", str(file), *self.options]

    def log(self, event: str) -> Path:
        """Return where the invocation's log is kept."""
        return self.settings.logs / "sam-local" / f"{event.replace('/', '.')}.log"

    def event_file(self, event: str) -> Path:
        """Return where the event with the local stack's ids and tokens in it is kept."""
        return self.settings.local / "events" / f"{event}.json"

    def invoke(self, event: str, payload: Mapping[str, Any]) -> Any:
        """Return a function's answer to a payload.

        Raises:
            InvocationFailedError: the container or the function broke off; the log says how.
        """
        file = self.event_file(event)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(payload, indent=2) + "\n")
        log = self.log(event)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("w") as errors:
            finished = subprocess.run(
                self.command(event),
                cwd=self.settings.root,
                env=self.settings.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                timeout=_LONGEST_S,
                check=False,
            )
        where = log.relative_to(self.settings.root)
        if finished.returncode or not finished.stdout.strip():
            raise InvocationFailedError(f"sam local invoke ended with {finished.returncode}, see {where}")
        return _answer(finished.stdout.strip().splitlines()[-1], where)


@dataclass(frozen=True, slots=True)
class ContainerServer:
    """One `sam local start-lambda` for all events: sam itself starts once, and containers side by side."""

    client: Any
    log: Path

    def invoke(self, event: str, payload: Mapping[str, Any]) -> Any:
        """Return a function's answer to a payload.

        Raises:
            InvocationFailedError: the container or the function broke off; the log says how.
        """
        try:
            answer = self.client.invoke(FunctionName=logical_id(event), Payload=json.dumps(payload).encode())
        except (BotoCoreError, ClientError) as error:
            raise InvocationFailedError(f"sam local start-lambda answered {error}, see {self.log}") from error
        return _answer(answer["Payload"].read(), self.log)


@contextmanager
def serve(settings: StackSettings) -> Iterator[ContainerServer]:
    """Run `sam local start-lambda` with what the bridge wrote down.

    Raises:
        StackError: it does not listen in time.
    """
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    url, log = f"http://{LOOPBACK}:{port}", settings.logs / "sam-local.log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [".venv/bin/sam", "local", "start-lambda", "--port", str(port)],
            cwd=settings.root,
            env=settings.environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(
            lambda: _listens(port),
            _LISTENS_WITHIN_S,
            lambda: f"sam local start-lambda does not listen: {log.read_text()}",
            is_hopeless=lambda: server.poll() is not None,
        )
        client = boto3.client(
            "lambda",
            endpoint_url=url,
            region_name=REGION,
            aws_access_key_id=FAKE_CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=FAKE_CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            config=Config(read_timeout=_LONGEST_S, retries={"total_max_attempts": 1}),
        )
        yield ContainerServer(client, log.relative_to(settings.root))
    finally:
        server.terminate()
        server.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _answer(text: str | bytes, log: Path) -> Any:
    answer = json.loads(text)
    if isinstance(answer, dict) and "errorMessage" in answer:
        raise InvocationFailedError(f"{answer.get('errorType')}: {answer['errorMessage']}, see {log}")
    return answer
