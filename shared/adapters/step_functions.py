"""Start the state machine, and see what became of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, override

from shared.domain.errors import PayloadTooLargeError
from shared.domain.ports import runs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_stepfunctions.client import SFNClient

# AWS Step Functions quotas: the largest input of an execution.
MAX_INPUT_BYTES = 256 * 1024


class SyncExecutions(runs.Executions):
    """Executions of the sync state machine, each named by its job.

    Args:
        client: Step Functions client.
        state_machine_arn: the machine.
    """

    def __init__(self, client: SFNClient, state_machine_arn: str) -> None:
        self._client = client
        self._state_machine_arn = state_machine_arn

    @override
    def start(self, job_id: str, execution_input: Mapping[str, Any]) -> str:
        text = json.dumps(execution_input, separators=(",", ":"))
        if len(text.encode()) >= MAX_INPUT_BYTES:
            raise PayloadTooLargeError("The input of an execution must stay under 256 KB: keep payloads in the bucket.")
        try:
            return self._client.start_execution(stateMachineArn=self._state_machine_arn, name=job_id, input=text)[
                "executionArn"
            ]
        except self._client.exceptions.ExecutionAlreadyExists:
            return f"{self._state_machine_arn.replace(':stateMachine:', ':execution:')}:{job_id}"


class Executions:
    """What became of the executions of one state machine.

    Args:
        client: Step Functions client.
        executions_arn: the ARN of an execution without its name.
    """

    def __init__(self, client: SFNClient, executions_arn: str) -> None:
        self._client = client
        self._executions_arn = executions_arn

    def find_status(self, job_id: str) -> str | None:
        """Return RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED; None where the job has no execution."""
        try:
            return self._client.describe_execution(executionArn=f"{self._executions_arn}:{job_id}")["status"]
        except self._client.exceptions.ExecutionDoesNotExist:
            return None
