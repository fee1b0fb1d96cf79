"""What the events need on the local stack: organisations, tokens, an index build and jobs that no execution drives."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sandbox.control import SandboxControl
from sandbox.stack import deployment
from sandbox.stack.settings import FAKE_CREDENTIALS, REGION
from shared.bootstrap.credentials import credentials_store
from shared.bootstrap.delete_intake import delete_intake
from shared.bootstrap.index import index_store
from shared.bootstrap.sync_api import intake
from shared.domain.caller import Caller
from shared.use_cases.create_delete_job import create_delete_job
from shared.use_cases.create_sync_job import create_sync_job
from shared.use_cases.rebuild_index import rebuild_index
from tests.events import EVENTS, verified

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sandbox.stack.settings import StackSettings

TOKEN_SECONDS = 3600
SCALE = 0.5
USER = "100001"


class _NoExecutions:
    """Stands in for the state machine: whoever prepared the job runs its steps."""

    def start(self, job_id: str, execution_input: Mapping[str, Any]) -> str:
        return f"{job_id} is driven by hand: {sorted(execution_input)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Two seeded organisations and their tokens.

    Attributes:
        journey_id: a journey of the source that a clean sync may select.
        functions: physical name per logical id, for the steps that run in the engine.
    """

    settings: StackSettings
    source: str
    target: str
    source_token: str
    target_token: str
    journey_id: str
    functions: Mapping[str, str]

    def filled(self, event: str, job_id: str = "", **changes: Any) -> dict[str, Any]:
        """Return an event of `events/` with this world's ids and tokens in place of the placeholders.

        Args:
            event: its path below `events/`, without the ending.
            job_id: takes the place of the sample job.
            changes: replace whole values of the event.
        """
        text = (EVENTS / f"{event}.json").read_text()
        for placeholder, value in {
            "org-a": self.source,
            "org-b": self.target,
            "user-1": USER,
            "put-a-token-here": self.source_token,
            "sample-token": self.source_token,
            "sample-target-token": self.target_token,
            "sample-source-token": self.target_token,
            "00000000-0000-4000-8000-000000000001": job_id or "00000000-0000-4000-8000-000000000001",
            "b8c01433-3556-4a0e-aad1-6f8dc9a8f1b4": self.journey_id,
            "6b1f0c9e-2a0e-4c55-9d2e-0a8f3c1d7e42": self.journey_id,
            "0d4d2c55-6e0f-4c3e-8d1b-5b5f6f3f9a10": self.journey_id,
        }.items():
            text = text.replace(placeholder, value)
        return verified({**json.loads(text), **changes})

    def invoke_in_engine(self, function: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer of a function as the engine runs it."""
        answer = deployment.client(self.settings, "lambda").invoke(
            FunctionName=self.functions[function], Payload=json.dumps(payload).encode()
        )
        result: dict[str, Any] = json.loads(answer["Payload"].read())
        return result

    def start_build(self) -> Mapping[str, Any]:
        """Begin a build of the source's index and return the event that its Lambda would get."""
        events: list[Mapping[str, Any]] = []
        now = time.time()
        rebuild_index(
            index_store(),
            credentials_store(),
            events.append,
            org_id=self.source,
            user_id=USER,
            token=self.source_token,
            token_expires_at=int(now) + TOKEN_SECONDS,
            now=now,
            randomness=os.urandom(10),
        )
        return events[0]

    def create_job(self) -> str:
        """Take in a job whose steps no execution runs, and return its id."""
        body = json.loads(self.filled("api/create_sync_job")["body"])
        stores = replace(intake(), executions=_NoExecutions())
        return str(create_sync_job(stores, self._caller(), body)["id"])

    def create_delete_job(self) -> str:
        """Take in a delete job whose steps no execution runs, and return its id."""
        body = json.loads(self.filled("api/create_delete_job")["body"])
        stores = replace(delete_intake(), executions=_NoExecutions())
        return str(create_delete_job(stores, index_store(), self._caller(), body)["id"])

    def _caller(self) -> Caller:
        expires_at = int(time.time()) + TOKEN_SECONDS
        return Caller(org_id=self.source, user_id=USER, token=self.source_token, expires_at=expires_at)


def prepare(settings: StackSettings, scale: float = SCALE) -> World:
    """Make two organisations of its own, and let this process work on the stack as its functions do."""
    aws = deployment.client(settings, "lambda")
    functions = deployment.list_resources(settings, "AWS::Lambda::Function")
    for name in functions.values():
        os.environ.update(aws.get_function_configuration(FunctionName=name)["Environment"]["Variables"])
    os.environ.update(FAKE_CREDENTIALS | {"AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL": settings.aws_url})
    control = SandboxControl(settings.sandbox_url)
    source, target = control.make_organisation(), control.make_organisation()
    selections = control.seed(source, target, scale)
    return World(
        settings=settings,
        source=source,
        target=target,
        source_token=control.make_token(source, TOKEN_SECONDS, USER),
        target_token=control.make_token(target, TOKEN_SECONDS, USER),
        journey_id=next(one["id"] for one in selections["clean"] if one["type"] == "journey"),
        functions=functions,
    )
