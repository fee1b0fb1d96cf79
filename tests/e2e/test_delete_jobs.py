"""A delete job over dependencies, protected kinds, something that is gone already and one config that its API keeps."""

from __future__ import annotations

import pytest

from sandbox.control import SandboxControl
from sandbox.hub_client import Json
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.resource_type import ResourceKey
from tests.e2e.conftest import Pair, make_pair

JOBS = "/v1/configs/delete-jobs"


@pytest.fixture(scope="module")
def own(stack: Json, control: SandboxControl) -> Pair:
    """Organisations that only this module changes."""
    made = make_pair(stack, control, seed=41)
    assert made.source.rebuild_index()["status"] == "ready"
    return made


@pytest.fixture(scope="module")
def before(own: Pair, control: SandboxControl) -> dict[ResourceKey, Json]:
    return control.dump(RESOURCE_TYPES, own.source_id)


@pytest.fixture(scope="module")
def chain(own: Pair) -> tuple[ResourceKey, ResourceKey]:
    """A journey that can be deleted and a design that it uses."""
    for journey in own.source.pages("/v1/configs/journey", size=100):
        uses = own.source.get(f"/v1/configs/journey/{journey['id']}/dependencies", size=100)["results"]
        designs = [used["id"] for used in uses if used["type"] == "designbuilder"]
        if designs and "gesperrt" not in journey["title"]:
            return ResourceKey("journey", journey["id"]), ResourceKey("designbuilder", designs[0])
    raise AssertionError("no journey has a design")


@pytest.fixture(scope="module")
def selection(before: dict[ResourceKey, Json], chain: tuple[ResourceKey, ResourceKey]) -> dict[ResourceKey, str]:
    """What is selected, with the status that it must end in."""
    protected = next(key for key, payload in before.items() if key.type == "journey" and payload.get("protected"))
    webhook = next(key for key, payload in before.items() if key.type == "webhook" and not payload.get("protected"))
    default = next(key for key, payload in before.items() if payload.get("is_default"))
    journey, design = chain
    return {
        design: "skipped" if design == default else "deleted",
        journey: "deleted",
        protected: "skipped",
        default: "skipped",
        webhook: "failed",
        ResourceKey("schema", "contact"): "skipped",
        next(key for key in before if key.type == "access_token"): "skipped",
        ResourceKey("tax", "gone-already"): "deleted",
    }


@pytest.fixture(scope="module")
def used_before(own: Pair, selection: dict[ResourceKey, str]) -> set[ResourceKey]:
    """What used a selected config before the job."""
    users = set()
    for key in selection:
        answer = own.source.send("GET", f"/v1/configs/{key.type}/{key.id}/used_by")
        users |= {ResourceKey(user["type"], user["id"]) for user in answer.json().get("results", ())}
    return users


@pytest.fixture(scope="module")
def created(
    own: Pair, control: SandboxControl, selection: dict[ResourceKey, str], used_before: set[ResourceKey]
) -> tuple[Json, Json, list[Json]]:
    """The answer to the request, the ended job, its rows."""
    assert used_before
    operation = RESOURCE_TYPES["webhook"].delete
    assert operation is not None
    control.behave(faults=[{"operation": operation.operation_id, "kind": "status", "status": 409}])
    body = {"name": "Aufräumen", "resources": [{"type": key.type, "id": key.id} for key in selection]}
    try:
        answer = own.source.post(JOBS, body)
        job = own.source.run_job(answer["id"], kind="delete")
    finally:
        control.reset("behaviour")
    return answer, job, list(own.source.pages(f"{JOBS}/{answer['id']}/resources", size=100))


def test_every_row_ends_as_it_must_and_the_counters_agree(
    created: tuple[Json, Json, list[Json]], selection: dict[ResourceKey, str]
) -> None:
    _, job, rows = created
    assert {ResourceKey(row["type"], row["id"]): row["status"] for row in rows} == selection
    assert all(row["error"] for row in rows if row["status"] in ("skipped", "failed"))
    assert job["status"] == "partial"
    counted = {name: list(selection.values()).count(name) for name in ("deleted", "skipped", "failed")}
    assert job["counts"] == {"total": len(selection), "pending": 0, "in_progress": 0, **counted}


def test_users_went_before_what_they_use(
    created: tuple[Json, Json, list[Json]], chain: tuple[ResourceKey, ResourceKey]
) -> None:
    generation = {ResourceKey(row["type"], row["id"]): row["generation"] for row in created[2]}
    assert generation[chain[0]] < generation[chain[1]]


def test_nothing_else_was_touched(
    own: Pair,
    control: SandboxControl,
    before: dict[ResourceKey, Json],
    created: tuple[Json, Json, list[Json]],
    selection: dict[ResourceKey, str],
) -> None:
    assert created[1]["finished_at"]
    gone = {key for key, status in selection.items() if status == "deleted"}
    # An API takes a deleted config out of lists that it keeps in others: only what was there is compared, by key.
    assert control.dump(RESOURCE_TYPES, own.source_id).keys() == before.keys() - gone


def test_warnings_name_exactly_the_users_that_were_not_selected(
    created: tuple[Json, Json, list[Json]], selection: dict[ResourceKey, str], used_before: set[ResourceKey]
) -> None:
    warned = {ResourceKey(one["type"], one["id"]) for one in created[0]["warnings"]}
    assert warned == used_before - selection.keys()
    assert created[0]["warnings_total"] == len(warned) > 0


def test_the_index_is_rebuilt_without_what_is_gone(
    own: Pair, created: tuple[Json, Json, list[Json]], chain: tuple[ResourceKey, ResourceKey]
) -> None:
    assert created[1]["rebuild_triggered"] is True
    own.source.wait("/v1/configs/index", lambda state: state["status"] == "ready")
    assert chain[0].id not in {node["id"] for node in own.source.pages("/v1/configs/journey", size=100)}


def test_another_organisation_sees_nothing_of_it(own: Pair, created: tuple[Json, Json, list[Json]]) -> None:
    job_id = created[0]["id"]
    assert own.target.get(JOBS)["results"] == []
    for path in (f"{JOBS}/{job_id}", f"{JOBS}/{job_id}/resources"):
        assert own.target.send("GET", path).status_code == 404
