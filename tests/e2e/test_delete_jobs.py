"""A delete job over dependencies, protected kinds, something that is gone already and one config that its API keeps."""

from __future__ import annotations

import json
from urllib.parse import unquote

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


Index = tuple[str, dict[str, set[str]]]


def read_index(own: Pair) -> Index:
    """When it was built, and the ids of every type."""
    ids = {name: {node["id"] for node in own.source.pages(f"/v1/configs/{name}", size=100)} for name in RESOURCE_TYPES}
    return str(own.source.get("/v1/configs/index")["last_built_at"]), ids


@pytest.fixture(scope="module")
def indexed(own: Pair) -> Index:
    """The index before the job."""
    return read_index(own)


@pytest.fixture(scope="module")
def before(own: Pair, control: SandboxControl) -> dict[ResourceKey, Json]:
    return control.dump(RESOURCE_TYPES, own.source_id)


@pytest.fixture(scope="module")
def chain(own: Pair, before: dict[ResourceKey, Json]) -> tuple[ResourceKey, ResourceKey]:
    """A journey and a design that it uses; both can be deleted."""
    for journey in (key for key, payload in before.items() if key.type == "journey" and not payload.get("protected")):
        for used in own.source.get(f"/v1/configs/journey/{journey.id}/dependencies", size=100)["results"]:
            design = ResourceKey(used["type"], used["id"])
            if design.type == "designbuilder" and not before[design].get("is_default"):
                return journey, design
    raise AssertionError("no journey has a design")


@pytest.fixture(scope="module")
def selection(
    before: dict[ResourceKey, Json], chain: tuple[ResourceKey, ResourceKey]
) -> dict[ResourceKey, tuple[str, str]]:
    """What is selected, what is used before what uses it, with the status and the error code that it must end in."""
    protected = next(key for key, payload in before.items() if key.type == "journey" and payload.get("protected"))
    webhook = next(key for key, payload in before.items() if key.type == "webhook" and not payload.get("protected"))
    default = next(key for key, payload in before.items() if payload.get("is_default"))
    journey, design = chain
    return {
        design: ("deleted", ""),
        journey: ("deleted", ""),
        protected: ("skipped", "PROTECTED"),
        default: ("skipped", "PROTECTED"),
        webhook: ("failed", "DOWNSTREAM_REJECTED"),
        ResourceKey("schema", "contact"): ("skipped", "PROTECTED"),
        next(key for key in before if key.type == "access_token"): ("skipped", "NOT_DELETABLE"),
        ResourceKey("tax", "gone-already"): ("deleted", ""),
    }


@pytest.fixture(scope="module")
def users(
    own: Pair,
    before: dict[ResourceKey, Json],
    indexed: Index,
    selection: dict[ResourceKey, tuple[str, str]],
) -> dict[ResourceKey, set[ResourceKey]]:
    """What used each selected config before the job, by the raw payloads: an id is looked for as text."""
    # A validation rule keeps a list of the journeys that use it, not that it uses; what no list shows is in no index.
    texts = {
        key: json.dumps(payload)
        for key, payload in before.items()
        if key.type != "validation_rule" and key.id in indexed[1][key.type]
    }
    found = {used: {key for key, text in texts.items() if used.id in text and key != used} for used in selection}
    # Where an id is an ordinary word, only the index can tell what uses it.
    contact = ResourceKey("schema", "contact")
    of_contact = own.source.get("/v1/configs/schema/contact/used_by")["results"]
    return found | {contact: {ResourceKey(user["type"], user["id"]) for user in of_contact}}


@pytest.fixture(scope="module")
def created(
    own: Pair,
    control: SandboxControl,
    selection: dict[ResourceKey, tuple[str, str]],
    users: dict[ResourceKey, set[ResourceKey]],
    indexed: Index,
) -> tuple[Json, Json, list[Json]]:
    """The answer to the request, the ended job, its rows."""
    assert indexed[1]["journey"]
    assert all(users[key] for key in selection if selection[key][0] == "failed")
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
    created: tuple[Json, Json, list[Json]], selection: dict[ResourceKey, tuple[str, str]]
) -> None:
    _, job, rows = created
    ends = {
        ResourceKey(row["type"], row["id"]): (row["status"], row.get("error", "").partition(":")[0]) for row in rows
    }
    assert ends == selection
    assert job["status"] == "partial"
    statuses = [status for status, _ in selection.values()]
    counted = {name: statuses.count(name) for name in ("deleted", "skipped", "failed")}
    assert job["counts"] == {"total": len(selection), "pending": 0, "in_progress": 0, **counted}


def test_users_went_before_what_they_use_and_nothing_else_was_asked_to_go(
    own: Pair,
    control: SandboxControl,
    created: tuple[Json, Json, list[Json]],
    chain: tuple[ResourceKey, ResourceKey],
    selection: dict[ResourceKey, tuple[str, str]],
) -> None:
    generation = {ResourceKey(row["type"], row["id"]): row["generation"] for row in created[2]}
    assert generation[chain[0]] < generation[chain[1]]
    sent = [
        unquote(one["path"]).rstrip("/").rpartition("/")[2]
        for one in control.call("GET", "/requests")["requests"]
        if one["org_id"] == own.source_id and one["method"] == "DELETE"
    ]
    tried = [key.id for key, (status, _) in selection.items() if status in ("deleted", "failed")]
    assert set(sent) == {one for one in tried if one != "gone-already"}
    assert sent.index(chain[0].id) < sent.index(chain[1].id)


def test_everything_else_is_what_it_was_to_the_last_field(
    own: Pair,
    control: SandboxControl,
    before: dict[ResourceKey, Json],
    created: tuple[Json, Json, list[Json]],
    selection: dict[ResourceKey, tuple[str, str]],
) -> None:
    assert created[1]["finished_at"]
    gone = {key for key, (status, _) in selection.items() if status == "deleted"}
    after = control.dump(RESOURCE_TYPES, own.source_id)
    assert after == {key: payload for key, payload in before.items() if key not in gone}


def test_warnings_name_exactly_the_users_that_were_not_selected_and_what_each_uses(
    created: tuple[Json, Json, list[Json]],
    selection: dict[ResourceKey, tuple[str, str]],
    users: dict[ResourceKey, set[ResourceKey]],
) -> None:
    expected: dict[ResourceKey, set[ResourceKey]] = {}
    for used, found in users.items():
        for user in found - selection.keys():
            expected.setdefault(user, set()).add(used)
    warned = {
        ResourceKey(one["type"], one["id"]): {ResourceKey(used["type"], used["id"]) for used in one["uses"]}
        for one in created[0]["warnings"]
    }
    assert warned == expected
    assert len(warned) == len(created[0]["warnings"]) == created[0]["warnings_total"] > 0
    assert created[0]["index_status"] == "ready"


def test_the_index_is_rebuilt_without_what_is_gone(
    own: Pair,
    indexed: Index,
    created: tuple[Json, Json, list[Json]],
    selection: dict[ResourceKey, tuple[str, str]],
) -> None:
    assert created[1]["rebuild_triggered"] is True
    own.source.wait(
        "/v1/configs/index", lambda state: state["status"] == "ready" and state["last_built_at"] != indexed[0]
    )
    gone = {key for key, (status, _) in selection.items() if status == "deleted"}
    expected = {name: {one for one in ids if (name, one) not in gone} for name, ids in indexed[1].items()}
    assert read_index(own)[1] == expected
    for key in selection.keys() - gone:
        answer = own.source.get(f"/v1/configs/{key.type}/{key.id}/used_by") if key.id in expected[key.type] else {}
        left = {ResourceKey(user["type"], user["id"]) for user in answer.get("results", ())}
        assert not left & gone


def test_another_organisation_sees_nothing_of_it(own: Pair, created: tuple[Json, Json, list[Json]]) -> None:
    job_id = created[0]["id"]
    assert own.target.get(JOBS)["results"] == []
    for path in (f"{JOBS}/{job_id}", f"{JOBS}/{job_id}/resources"):
        assert own.target.send("GET", path).status_code == 404
