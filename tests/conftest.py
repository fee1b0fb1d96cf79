"""What all tests share: no network, a Lambda context, an AWS in memory that holds the tables of the template."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import pytest_socket
from hypothesis import HealthCheck, settings
from moto import mock_aws

from shared.observability import logger
from tests.aws import REGION, create_tables

os.environ.setdefault("ENVIRONMENT", "test")

# Nothing fails because a busy machine is slow.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("short", _PATIENT, max_examples=200)
settings.register_profile("long", _PATIENT, max_examples=2000)
settings.load_profile("short")

_SEED = "hypothesis_seed"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Draw by one seed, `HUB_SEED` or 1: a run is green or red by the code alone, and another seed by wish."""
    if config.getoption(_SEED) is None:
        setattr(config.option, _SEED, os.environ.get("HUB_SEED", "1"))


def pytest_report_header(config: pytest.Config) -> str:
    """Say by which seed."""
    return f"seed {config.getoption(_SEED)} (HUB_SEED)"


_WITHOUT_NETWORK = frozenset({"unit", "adapters", "functions"})


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest) -> Iterator[None]:
    if _WITHOUT_NETWORK.isdisjoint(Path(request.path).relative_to(Path(__file__).parent).parts):
        yield
        return
    pytest_socket.disable_socket(allow_unix_socket=True)
    yield
    pytest_socket.enable_socket()


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> str:
    """The seed of the run, for choices that a test leaves to chance; printed, so that a failure can be had again."""
    return str(request.config.getoption(_SEED))


@dataclass
class LambdaContext:
    """What Lambda hands a handler beside the event."""

    function_name: str = "function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:function"
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"
    remaining_ms: int = 30_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


@pytest.fixture
def lambda_context() -> LambdaContext:
    """A Lambda context with 30 seconds left."""
    return LambdaContext()


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[dict[str, Any]]]:
    """Returns the log lines of the functions so far, parsed."""
    stream = io.StringIO()
    monkeypatch.setattr(logger.registered_handler, "stream", stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A boto3 session into an empty embedded AWS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield boto3.Session(region_name=REGION)


@pytest.fixture
def tables(aws: Any) -> dict[str, Any]:
    """The tables of template.yaml by logical id, empty."""
    return create_tables(aws.resource("dynamodb"))
