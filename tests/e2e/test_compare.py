"""Compare, suggestions, lineage and inventory on the running stack, over real syncs."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from sandbox.control import SandboxControl
from sandbox.hub_client import Json
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.paths import find_value, set_value
from shared.domain.resource_type import ResourceKey
from tests.e2e.conftest import Pair, make_pair
from tests.published import violations

#: Types whose configs are edited; the list of one does not carry payloads.
EDITED = ("journey", "product", "emailtemplate", "designbuilder", "webhook", "validation_rule")
CHANGES = ("equal", "source_changed", "target_changed", "both_changed")


@pytest.fixture(scope="module")
def compared(stack: Json, control: SandboxControl) -> tuple[Pair, list[Json]]:
    """Two organisations of this module's own, and the rows of a sync of the clean selection."""
    pair = make_pair(stack, control, seed=41)
    job = pair.source.post("/v1/configs/sync-jobs", pair.request())
    assert pair.source.run_job(job["id"])["status"] == "succeeded"
    pair.source.rebuild_index()
    return pair, list(pair.source.pages(f"/v1/configs/sync-jobs/{job['id']}/resources", size=100))


def compare(pair: Pair, type_name: str, *, as_source: bool = False) -> Json:
    """Compare a type as the target's caller, or as the source's."""
    hub, other_id, token = pair.target, pair.source_id, pair.source_token
    if as_source:
        hub, other_id, token = pair.source, pair.target_id, pair.target_token
    body = {"source_org_id": other_id, "source_auth_token": token, "type": type_name}
    answer = hub.send("POST", "/v1/configs/compare", json=body)
    assert violations("compareConfigs", answer.status_code, answer.json()) == []
    assert answer.status_code == 200, answer.text
    compared: Json = answer.json()
    return compared


def edit(control: SandboxControl, org_id: str, type_name: str, config_id: str) -> str:
    """Change the title of a config behind the hub's back; return the JSON pointer of it."""
    resource_type = RESOURCE_TYPES[type_name]
    payload = next(
        one["payload"]
        for one in control.call("GET", f"/orgs/{org_id}/resources", type=type_name)["resources"]
        if one["id"] == config_id
    )
    path = next(path for path in resource_type.fields.title if find_value(payload, path) is not None)
    set_value(payload, path, f"{find_value(payload, path)} (edited in {org_id})")
    control.call("POST", f"/orgs/{org_id}/resources", {"resources": [{"type": type_name, "payload": payload}]})
    return "/" + path.replace(".", "/")


def matched_by_source(answer: Json, side: str = "source") -> dict[str, Json]:
    return {row[side]["id"]: row for row in answer["rows"] if row["match_status"] == "matched"}


def test_every_synced_row_is_matched_and_equal_from_either_side(compared: tuple[Pair, list[Json]]) -> None:
    pair, rows = compared
    written = [row for row in rows if row["status"] in ("created", "patched")]
    assert len({row["type"] for row in written}) > 20
    for type_name in {row["type"] for row in written}:
        wanted = {row["source_id"]: row["target_id"] for row in written if row["type"] == type_name}
        pulled = matched_by_source(compare(pair, type_name))
        pushed = matched_by_source(compare(pair, type_name, as_source=True), "current")
        for source_id, target_id in wanted.items():
            assert pulled[source_id]["current"]["id"] == target_id
            assert pushed[source_id]["source"]["id"] == target_id
            for row, direction in ((pulled[source_id], "pull"), (pushed[source_id], "push")):
                assert (row["change"], row["differences"], row["lineage"]["direction"]) == ("equal", [], direction), row


def test_counts_tell_how_many_rows_of_each_kind_there_are(compared: tuple[Pair, list[Json]]) -> None:
    answer = compare(compared[0], "product")
    counted = Counter(row["match_status"] for row in answer["rows"])
    assert answer["counts"] == {status: counted[status] for status in ("matched", "only_current", "only_source")}
    assert all(count > 0 for count in answer["counts"].values())


def test_edits_are_found_where_they_were_made_and_nowhere_else(
    compared: tuple[Pair, list[Json]], control: SandboxControl, seed: str
) -> None:
    """Each config of some types stays as it is, or is edited at one side or at both."""
    pair, rows = compared
    written = [row for row in rows if row["status"] in ("created", "patched")]
    chance = random.Random(seed)
    made: dict[tuple[str, str], tuple[str, str]] = {}
    # Ids are new each time; titles are the same for the same seed.
    for row in sorted((row for row in written if row["type"] in EDITED), key=lambda row: (row["type"], row["title"])):
        change, pointer = chance.choice(CHANGES), ""
        if change in ("source_changed", "both_changed"):
            pointer = edit(control, pair.source_id, row["type"], row["source_id"])
        if change in ("target_changed", "both_changed"):
            pointer = edit(control, pair.target_id, row["type"], row["target_id"])
        if pointer:
            made[row["type"], row["source_id"]] = (change, pointer)
        print(f"seed {seed}: {row['type']} {row['title']}: {change} {pointer}")
    assert {change for change, _ in made.values()} == {*CHANGES} - {"equal"}

    source = control.dump(RESOURCE_TYPES, pair.source_id)
    for as_source in (False, True):
        found = {}
        for type_name in {row["type"] for row in written}:
            answer = compare(pair, type_name, as_source=as_source)
            for source_id, row in matched_by_source(answer, "current" if as_source else "source").items():
                if row["change"] != "equal":
                    found[type_name, source_id] = row
        assert {key: row["change"] for key, row in found.items()} == {key: change for key, (change, _) in made.items()}
        said = {}
        for key, (_, pointer) in made.items():
            places = found[key]["differences"]
            assert pointer in places
            assert found[key]["differences_count"] == len(places)
            # What the target filled in by default, and the source never said, differs as well.
            said[key] = [
                one for one in places if find_value(source[ResourceKey(*key)], one[1:].replace("/", ".")) is not None
            ]
        assert said == {key: [pointer] for key, (_, pointer) in made.items()}


def test_the_second_token_must_act_for_the_other_organisation(compared: tuple[Pair, list[Json]]) -> None:
    pair, _ = compared
    body = {"source_org_id": pair.source_id, "source_auth_token": pair.target_token, "type": "journey"}
    for path in ("/v1/configs/compare", "/v1/configs/compare/suggestions"):
        answer = pair.target.send("POST", path, json={**body, "source_ids": ["x"]})
        assert answer.status_code == 403, answer.text
        assert pair.target_token not in answer.text


def suggest(pair: Pair, type_name: str, *source_ids: str) -> dict[str, Any]:
    body = {
        "source_org_id": pair.source_id,
        "source_auth_token": pair.source_token,
        "type": type_name,
        "source_ids": [*source_ids],
    }
    answer = pair.target.send("POST", "/v1/configs/compare/suggestions", json=body)
    assert violations("suggestMatches", answer.status_code, answer.json()) == []
    assert answer.status_code == 200, answer.text
    return {one["source_id"]: one for one in answer.json()["suggestions"]}


def lineage(pair: Pair, method: str, **fields: str) -> Any:
    sent = {"params": fields} if method == "DELETE" else {"json": {"source_org_id": pair.source_id, **fields}}
    answer = pair.target.send(method, "/v1/configs/lineage", **sent)
    operation = "breakLineage" if method == "DELETE" else "confirmLineage"
    assert violations(operation, answer.status_code, answer.json()) == []
    return answer


def test_a_person_resolves_an_ambiguous_match_and_the_next_sync_patches_it(
    stack: Json, control: SandboxControl
) -> None:
    pair = make_pair(stack, control, seed=42)
    request = pair.request("ambiguous", include_dependencies=True)
    planned = pair.source.post("/v1/configs/sync-jobs", {**request, "dry_run": True})
    pair.source.run_job(planned["id"])
    rows = list(pair.source.pages(f"/v1/configs/sync-jobs/{planned['id']}/resources", size=100))
    unclear = [row for row in rows if row.get("error", "").startswith("AMBIGUOUS_MATCH")]
    assert unclear
    confirmed = {}
    for row in unclear:
        suggestion = suggest(pair, row["type"], row["source_id"])[row["source_id"]]
        candidates = [one["id"] for one in suggestion["candidates"]]
        assert len(candidates) > 1
        assert all(one in row["error"] for one in candidates)
        assert suggestion["candidate"]["id"] == candidates[0]
        assert all(one["fields"] for one in suggestion["candidates"])
        free = next(one for one in candidates if one not in confirmed.values())
        pairing = {"type": row["type"], "source_id": row["source_id"], "target_id": free}
        first, again = lineage(pair, "POST", **pairing), lineage(pair, "POST", **pairing)
        assert first.status_code == again.status_code == 201, first.text
        assert first.json() == again.json()
        assert first.json()["origin"] == "manual_confirm"
        confirmed[row["type"], row["source_id"]] = free

    job = pair.source.post("/v1/configs/sync-jobs", request)
    pair.source.run_job(job["id"])
    after = {
        (row["type"], row["source_id"]): row
        for row in pair.source.pages(f"/v1/configs/sync-jobs/{job['id']}/resources", size=100)
    }
    assert {key: after[key]["target_id"] for key in confirmed} == confirmed
    # What was equal already is not written again.
    assert {after[key]["status"] for key in confirmed} == {"patched", "skipped"}
    for type_name, source_id in confirmed:
        row = matched_by_source(compare(pair, type_name))[source_id]
        assert (row["lineage"]["origin"], row["change"]) == ("manual_confirm", "equal"), row


def test_what_was_not_synced_is_suggested_by_its_natural_key_only_where_it_agrees(
    compared: tuple[Pair, list[Json]],
) -> None:
    pair, _ = compared
    alone = [row["source"]["id"] for row in compare(pair, "product")["rows"] if row["match_status"] == "only_source"]
    found = suggest(pair, "product", *alone, "no-such-product")
    assert [*found] == [*alone, "no-such-product"]
    assert found["no-such-product"] == {"source_id": "no-such-product", "candidate": None, "candidates": []}


def test_lineage_is_confirmed_once_and_broken_once(compared: tuple[Pair, list[Json]]) -> None:
    pair, rows = compared
    made = [row for row in rows if row["type"] == "price" and row["status"] == "created"]
    first, second = sorted(made, key=lambda row: str(row.get("title")))[-2:]
    pairing = {"type": "price", "source_id": first["source_id"], "target_id": second["target_id"]}

    assert lineage(pair, "POST", **pairing).status_code == 409
    assert lineage(pair, "POST", **pairing | {"source_id": "another-source"}).status_code == 409
    assert lineage(pair, "POST", **pairing | {"target_id": "no-such-price"}).status_code == 400
    named = {"type": "price", "source_id": first["source_id"]}
    assert lineage(pair, "DELETE", **named).json() == {"deleted": True}
    assert lineage(pair, "DELETE", **named).status_code == 404
    assert first["source_id"] not in matched_by_source(compare(pair, "price"))
    assert lineage(pair, "POST", **named, target_id=first["target_id"]).status_code == 201
    assert matched_by_source(compare(pair, "price"))[first["source_id"]]["change"] == "equal"


def test_an_inventory_lists_what_the_organisation_has(
    compared: tuple[Pair, list[Json]], control: SandboxControl
) -> None:
    pair, _ = compared
    answer = pair.source.send("GET", "/v1/configs/inventory")
    inventory = answer.json()
    assert violations("getConfigInventory", answer.status_code, inventory) == []
    assert inventory["skipped_types"] == []
    assert inventory["org_id"] == pair.source_id
    found = {(one["type"], one["id"]) for one in inventory["resources"]}
    assert len(found) == inventory["resources_count"] == len(inventory["resources"])
    assert {type_name for type_name, _ in found} == {*RESOURCE_TYPES}
    # The index names a file only where something uses it.
    for type_name in RESOURCE_TYPES.keys() - {"file"}:
        indexed = {one["id"] for one in pair.source.pages(f"/v1/configs/{type_name}", size=100)}
        assert {config_id for name, config_id in found if name == type_name} == indexed, type_name
    without = pair.source.get("/v1/configs/inventory", include_dependency_only="false")
    assert {one["type"] for one in without["resources"]} == {*RESOURCE_TYPES} - {"entity_mapping"}
