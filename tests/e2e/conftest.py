"""The running local stack, and organisations of the suite's own on it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.control import SandboxControl
from sandbox.hub_client import HubClient, Json

STACK_FILE = Path(__file__).resolve().parents[2] / ".local" / "stack.json"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Keep what shares the running stack in one process, whatever runs beside it."""
    item.add_marker(pytest.mark.xdist_group("stack"))


@dataclass(frozen=True, slots=True)
class Pair:
    """A seeded source, a target with some configs of its own, and a caller in each."""

    source_id: str
    target_id: str
    source_token: str
    target_token: str
    selections: dict[str, list[Json]]
    source: HubClient
    target: HubClient

    def request(self, selection: str = "clean", **changes: Any) -> Json:
        """Return the body of a sync request from source to target."""
        return {
            "source_org_id": self.source_id,
            "target_org_id": self.target_id,
            "target_auth_token": self.target_token,
            "resources": self.selections[selection],
            **changes,
        }


@pytest.fixture(scope="session")
def stack() -> Json:
    """Where everything is."""
    assert STACK_FILE.exists(), "the local stack does not run: make stack"
    described: Json = json.loads(STACK_FILE.read_text())
    return described


@pytest.fixture(scope="session")
def control(stack: Json) -> SandboxControl:
    """The sandbox's control interface."""
    return SandboxControl(stack["sandbox_url"])


#: Positions in the sandbox's list of violations between which a test made up ids.
_MADE_UP: list[range] = []


def _violations(control: SandboxControl) -> list[Json]:
    found: list[Json] = control.call("GET", "/violations")["violations"]
    return found


@pytest.fixture(scope="session", autouse=True)
def _together(request: pytest.FixtureRequest) -> None:
    """pytest-xdist sees a group only as the end of a node id; without it two processes would share the stack."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        ours = [item for item in request.session.items if item.path.is_relative_to(Path(__file__).parent)]
        assert all(item.nodeid.endswith("@stack") for item in ours)


@pytest.fixture(scope="session", autouse=True)
def _conformance(control: SandboxControl) -> Iterator[None]:
    """Whatever the suite makes the hub do, no request and no answer may break a published downstream definition."""
    before = len(_violations(control))
    yield
    wrong = [
        one
        for position, one in enumerate(_violations(control))
        if position >= before and not (_only_ids(one) and any(position in made_up for made_up in _MADE_UP))
    ]
    assert not wrong, "\n".join(map(str, wrong[:20]))


@pytest.fixture(scope="module")
def made_up_ids(control: SandboxControl) -> Iterator[None]:
    """For tests that call with ids of any form: ids are passed on as they came, so their form is the test's own."""
    before = len(_violations(control))
    yield
    _MADE_UP.append(range(before, len(_violations(control))))


def _only_ids(violation: Json) -> bool:
    return all(problem.startswith("path parameter ") for problem in violation["problems"])


def make_pair(stack: Json, control: SandboxControl, seed: int, scale: float = 1) -> Pair:
    """Make two organisations that nobody else uses; the source has about 180 configs times the scale."""
    source_id, target_id = control.make_organisation(), control.make_organisation()
    selections = control.seed(source_id, target_id, scale=scale, seed=seed)
    tokens = control.make_token(source_id), control.make_token(target_id)
    return Pair(
        source_id,
        target_id,
        *tokens,
        selections,
        HubClient(stack["api_url"], tokens[0]),
        HubClient(stack["api_url"], tokens[1]),
    )


@pytest.fixture(scope="session")
def pair(stack: Json, control: SandboxControl) -> Pair:
    """Two indexed organisations that the reading tests share."""
    made = make_pair(stack, control, seed=11)
    for hub in (made.source, made.target):
        state = hub.rebuild_index()
        assert state["status"] == "ready", state
    return made


@pytest.fixture(scope="session")
def synced(pair: Pair) -> tuple[Json, list[Json], Json]:
    """The dry run's rows, the rows and the header of one sync of the clean selection."""
    dry = pair.source.post("/v1/configs/sync-jobs", pair.request(dry_run=True, name="plan"))
    assert pair.source.run_job(dry["id"])["status"] == "succeeded"
    created = pair.source.post("/v1/configs/sync-jobs", pair.request(name="sync"))
    job = pair.source.run_job(created["id"])
    rows = {
        job_id: list(pair.source.pages(f"/v1/configs/sync-jobs/{job_id}/resources", size=100))
        for job_id in (dry["id"], job["id"])
    }
    return {"dry": rows[dry["id"]]}, rows[job["id"]], job
