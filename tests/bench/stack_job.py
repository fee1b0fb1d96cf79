"""A job through the API and Step Functions on the local engine, split by phase."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import boto3

from sandbox.hub_client import HubClient

_MACHINE = Path("functions/sync/state_machine.asl.json")


class StackJob(NamedTuple):
    """How long a job took, in seconds.

    Attributes:
        wall_s: from createSyncJob to the end that the job's header states.
        phases: phase -> seconds between its first state and the next phase's.
    """

    wall_s: float
    phases: Mapping[str, float]


def run_on_stack(
    stack: Mapping[str, Any], source: tuple[str, str], target: tuple[str, str], resources: Sequence[Mapping[str, str]]
) -> StackJob:
    """Run a job and wait until the index of its target is built too, so that nothing of it disturbs the next.

    Args:
        stack: where everything is.
        source: organisation and token.
        target: organisation and token.
        resources: the selection.

    Raises:
        RuntimeError: it did not succeed.
    """
    hub = HubClient(stack["api_url"], source[1])
    body = {
        "source_org_id": source[0],
        "target_org_id": target[0],
        "target_auth_token": target[1],
        "resources": list(resources),
    }
    job = hub.run_job(hub.post("/v1/configs/sync-jobs", body)["id"])
    if job["status"] != "succeeded":
        raise RuntimeError(f"The job ended {job['status']}: {job}")
    HubClient(stack["api_url"], target[1]).wait("/v1/configs/index", lambda state: state["status"] == "ready")
    execution = f"{stack['state_machine_arn'].replace(':stateMachine:', ':execution:')}:{job['id']}"
    pages = boto3.client("stepfunctions").get_paginator("get_execution_history").paginate(executionArn=execution)
    entered = (
        (event["timestamp"], event["stateEnteredEventDetails"]["name"])
        for page in pages
        for event in page["events"]
        if "stateEnteredEventDetails" in event
    )
    began_at, ended_at = (datetime.fromisoformat(job[name]) for name in ("started_at", "finished_at"))
    return StackJob((ended_at - began_at).total_seconds(), split_by_phase(entered, ended_at))


def split_by_phase(entered: Iterable[tuple[datetime, str]], ended_at: datetime) -> dict[str, float]:
    """Return phase -> seconds, from the states in the order in which they were entered."""
    states = json.loads(_MACHINE.read_text())["States"]
    phase_of = {name: state["Comment"] for name, state in states.items() if "Comment" in state}
    first: dict[str, datetime] = {}
    for at, name in entered:
        if name in phase_of:
            first.setdefault(phase_of[name], at)
    ends = [*list(first.values())[1:], ended_at]
    return {phase: (end - begin).total_seconds() for (phase, begin), end in zip(first.items(), ends, strict=True)}
