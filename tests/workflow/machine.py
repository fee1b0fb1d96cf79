"""A deployed state machine with its real handlers: moto interprets the ASL and hands every Task to its handler."""

from __future__ import annotations

import importlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.awslambda_simple.models import LambdaSimpleBackend

from shared.domain.job import Job
from tests.aws import REGION, create_tables, template
from tests.conftest import LambdaContext
from tests.fakes.moto_transactions import speed_up_transactions
from tests.fakes.sync_world import SOURCE_ORG, SyncWorld

FUNCTIONS = Path(__file__).parents[2] / "functions"
_ROLE = "arn:aws:iam::123456789012:role/any"
_ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Machine[World: SyncWorld]:
    """The deployed state machine.

    Args:
        folder: of its definition and handlers, under `functions`.
        world: what its steps work on.

    Attributes:
        invoked: names of the functions in the order of their invocations.
        break_off: function name -> how many invocations raise before the handler runs.
        break_behind: the same, once the handler has run: its answer is lost.
    """

    def __init__(self, folder: str, world: World) -> None:
        self.world = world
        self.invoked: list[str] = []
        self.break_off: dict[str, int] = {}
        self.break_behind: dict[str, int] = {}
        self._folder = folder
        self._client = boto3.client("stepfunctions")
        definition = re.sub(
            r"\$\{(\w+)FunctionArn\}",
            r"arn:aws:lambda:eu-central-1:123456789012:function:\1",
            (FUNCTIONS / folder / "state_machine.asl.json").read_text(),
        )
        # Retries wait in real time here.
        definition = re.sub(r'"MaxDelaySeconds": \d+', '"MaxDelaySeconds": 1', definition)
        self.arn = self._client.create_state_machine(name=folder, definition=definition, roleArn=_ROLE)[
            "stateMachineArn"
        ]

    def invoke(self, name: str, event: dict[str, Any]) -> dict[str, Any]:
        """Run the handler of one function, as Lambda would."""
        self.invoked.append(name)
        self._die(self.break_off, name)
        handler = importlib.import_module(f"functions.{self._folder}.{snake(name)}.handler").lambda_handler
        answer: dict[str, Any] = handler(json.loads(json.dumps(event)), LambdaContext(remaining_ms=120_000))
        self._die(self.break_behind, name)
        return answer

    @staticmethod
    def _die(deaths: dict[str, int], name: str) -> None:
        if deaths.get(name):
            deaths[name] -= 1
            raise RuntimeError("The process died.")

    def run(self, job_id: str) -> tuple[Job, str]:
        """Run a job's execution to its end; return its header and the execution's status."""
        execution = self._client.start_execution(
            stateMachineArn=self.arn, name=job_id, input=json.dumps({"org_id": SOURCE_ORG, "job_id": job_id})
        )["executionArn"]
        for _ in range(1200):
            described = self._client.describe_execution(executionArn=execution)
            if described["status"] in _ENDED:
                return self.world.jobs.get_job(SOURCE_ORG, job_id), described["status"]
            time.sleep(0.05)
        raise AssertionError(f"The execution does not end; so far {self.invoked}")


@contextmanager
def deployed[World: SyncWorld](
    folder: str, make_world: Callable[[Any], World], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Machine[World]]:
    """Deploy a machine, and the tables of the template, into an empty embedded AWS."""
    for name, value in {"AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}.items():
        monkeypatch.setenv(name, value)
    speed_up_transactions(monkeypatch)
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}):
        dynamodb = boto3.resource("dynamodb")
        create_tables(dynamodb)
        machine = Machine(folder, make_world(dynamodb))

        def invoke(
            _self: Any, function_name: str, _qualifier: Any, body: Any, _headers: Any, response_headers: Any
        ) -> Any:
            try:
                return json.dumps(machine.invoke(function_name.rsplit(":", maxsplit=1)[-1], json.loads(body))).encode()
            except Exception as error:  # noqa: BLE001 - Lambda reports whatever a handler raises
                response_headers["x-amz-function-error"] = "Unhandled"
                return json.dumps({"errorMessage": str(error), "errorType": type(error).__name__}).encode()

        monkeypatch.setattr(LambdaSimpleBackend, "invoke", invoke)
        yield machine


def handed_over(function_id: str, machine_id: str, status: str, job_id: str) -> dict[str, Any] | None:
    """Return what the template's rule hands a function of an execution's event; None where it does not match."""
    rule = template()["Resources"][function_id]["Properties"]["Events"]["ExecutionEnded"]["Properties"]
    event: dict[str, Any] = {
        "source": "aws.states",
        "detail-type": "Step Functions Execution Status Change",
        "detail": {
            "executionArn": f"arn:aws:states:eu-central-1:123456789012:execution:any:{job_id}",
            "status": status,
            "input": json.dumps({"org_id": SOURCE_ORG, "job_id": job_id}),
            "inputDetails": {"included": True},
        },
    }
    assert rule["InputPath"] == "$.detail"
    wanted = rule["Pattern"]
    assert wanted["detail"]["stateMachineArn"] == [{"Ref": machine_id}]
    matches = event["source"] in wanted["source"] and event["detail-type"] in wanted["detail-type"]
    detail: dict[str, Any] = event["detail"]
    return detail if matches and status in wanted["detail"]["status"] else None
