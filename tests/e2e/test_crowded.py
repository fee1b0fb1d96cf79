"""Six jobs at a time on the running stack, where each step may run twice at a time and Lambda refuses the rest."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from sandbox.control import SandboxControl
from sandbox.hub_client import Json
from sandbox.stack import deployment
from sandbox.stack.settings import read_settings
from tests.aws import template
from tests.e2e.test_sync_corners import (
    JOBS,
    assert_counted,
    assert_equal,
    engine_client,
    make_shop,
    until_machine_ended,
)

JOBS_AT_ONCE = 6
INVOCATIONS_AT_ONCE = 2


@pytest.fixture
def crowded(stack: Json) -> Iterator[None]:
    """The functions whose concurrency `ReserveConcurrency=true` reserves, with next to none of it."""
    functions = engine_client(stack, "lambda")
    deployed = deployment.list_resources(read_settings(), "AWS::Lambda::Function")
    reserved = [
        deployed[name]
        for name, resource in template()["Resources"].items()
        if "ReservedConcurrentExecutions" in resource.get("Properties", {})
        and "/sync/" in resource["Properties"]["CodeUri"]
    ]
    try:
        for name in reserved:
            functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=INVOCATIONS_AT_ONCE)
        yield
    finally:
        for name in reserved:
            functions.delete_function_concurrency(FunctionName=name)


def refusals(stack: Json, job: Json) -> Counter[str]:
    """Return how often Lambda refused a task of a job, by the name that the machine has for it."""
    execution = f"{stack['state_machine_arn'].replace(':stateMachine:', ':execution:')}:{job['id']}"
    pages = (
        engine_client(stack, "stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution)
    )
    events = [
        event["taskFailedEventDetails"]["error"]
        for page in pages
        for event in page["events"]
        if event["type"] == "TaskFailed"
    ]
    return Counter(events)


@pytest.mark.usefixtures("crowded")
def test_six_jobs_at_a_time_lose_no_row_where_lambda_refuses_their_tasks(stack: Json, control: SandboxControl) -> None:
    shops = [make_shop(stack, control, pairs=10) for _ in range(JOBS_AT_ONCE)]
    began = time.monotonic()
    started = [shop.start() for shop in shops]
    for job in started:
        until_machine_ended(stack, job)
    jobs = [shop.source.get(f"{JOBS}/{job['id']}") for shop, job in zip(shops, started, strict=True)]

    refused = sum((refusals(stack, job) for job in jobs), Counter())
    print(f"\n{JOBS_AT_ONCE} jobs in {time.monotonic() - began:.0f} s, refused: {dict(refused)}")
    assert refused.keys() == {"Lambda.TooManyRequestsException"}
    assert [job["status"] for job in jobs] == ["succeeded"] * JOBS_AT_ONCE
    for shop, job in zip(shops, jobs, strict=True):
        assert assert_counted(shop, job) == {"created": len(shop.roots)}
        assert_equal(control, shop, job)
