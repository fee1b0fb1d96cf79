"""No token and no secret value is found anywhere but where it belongs."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from sandbox.equality import SECRET_MARK
from sandbox.hub_client import Json
from tests.e2e.conftest import Pair

SyncResult = tuple[Json, list[Json], Json]


@pytest.fixture(scope="module")
def client(stack: Json) -> Any:
    """Make a client of the local engine."""
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")
    return lambda service: session.client(service, endpoint_url=stack["aws_endpoint_url"])


def _items(client: Any, table: str) -> Iterator[str]:
    for page in client("dynamodb").get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            yield repr(item)


def _log_lines(client: Any, group: str) -> Iterator[str]:
    logs = client("logs")
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
        for event in page["events"]:
            yield event["message"]


def _executions(client: Any, machine: str) -> Iterator[str]:
    steps = client("stepfunctions")
    for page in steps.get_paginator("list_executions").paginate(stateMachineArn=machine):
        for execution in page["executions"]:
            arn = execution["executionArn"]
            described = steps.describe_execution(executionArn=arn)
            yield json.dumps([described.get("input"), described.get("output")])
            for history in steps.get_paginator("get_execution_history").paginate(executionArn=arn):
                yield json.dumps(history["events"], default=str)


def _payloads(client: Any, bucket: str) -> Iterator[str]:
    store = client("s3")
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", ()):
            yield gzip.decompress(store.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()).decode()


def _everything_kept(client: Any, stack: Json) -> Iterator[tuple[str, str]]:
    for name, table in stack["tables"].items():
        yield from ((name, text) for text in _items(client, table))
    yield from (("payload", text) for text in _payloads(client, stack["payload_bucket"]))
    for group in stack["log_groups"]:
        yield from ((group, text) for text in _log_lines(client, group))
    for machine in ("state_machine_arn", "delete_state_machine_arn"):
        yield from (("execution", text) for text in _executions(client, stack[machine]))


@dataclass(frozen=True, slots=True)
class Searched:
    """What one search of everything found: how much there is, and where something stands that must not."""

    seen: int
    tokens: list[str]
    secrets: list[str]


@pytest.fixture(scope="module")
def searched(client: Any, stack: Json, pair: Pair, synced: SyncResult) -> Searched:
    """Look through everything once that is kept after a sync."""
    assert synced[2]["status"] == "succeeded"
    assert synced[1]
    signatures = [token.rpartition(".")[2] for token in (pair.source_token, pair.target_token)]
    seen, tokens, secrets = 0, [], []
    for place, text in _everything_kept(client, stack):
        seen += 1
        if any(signature in text for signature in signatures):
            tokens.append(f"{place}: {text[:200]}")
        if SECRET_MARK in text:
            secrets.append(f"{place}: {text[:200]}")
    return Searched(seen, tokens, secrets)


def test_no_token_is_kept_anywhere(searched: Searched) -> None:
    assert searched.tokens == []
    assert searched.seen > 500, "hardly anything was searched"


def test_no_secret_value_of_the_source_is_kept_anywhere(searched: Searched) -> None:
    assert searched.secrets == []


def test_job_credentials_are_gone_when_the_job_succeeded(client: Any, stack: Json, synced: SyncResult) -> None:
    kept = [text for text in _items(client, stack["tables"]["CredentialsTable"]) if synced[2]["id"] in text]
    assert kept == []


def test_nothing_but_ids_counters_and_flags_travels_through_the_machine(
    client: Any, stack: Json, synced: SyncResult
) -> None:
    steps = client("stepfunctions")
    arn = stack["state_machine_arn"].replace(":stateMachine:", ":execution:") + ":" + synced[2]["id"]
    given = json.loads(steps.describe_execution(executionArn=arn)["input"])
    assert set(given) == {"org_id", "job_id"}
