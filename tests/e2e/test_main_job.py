"""The main job: index, look, plan, sync, and the target equals the source."""

from __future__ import annotations

from collections import Counter

from sandbox.control import SandboxControl
from sandbox.demo import BECOMES
from sandbox.equality import differences
from sandbox.hub_client import Json
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.resource_type import ResourceKey
from tests.e2e.conftest import Pair

SyncResult = tuple[Json, list[Json], Json]


def test_index_holds_every_type_or_says_why_not(pair: Pair) -> None:
    totals = {name: pair.source.get(f"/v1/configs/{name}", size=1)["total"] for name in RESOURCE_TYPES}
    empty = {name for name, total in totals.items() if not total}
    assert {name for name in empty if "list" not in RESOURCE_TYPES[name].missing} == set()
    assert pair.source.get("/v1/configs/index")["total_items"] == sum(totals.values())


def test_second_rebuild_of_an_unchanged_organisation_changes_nothing_a_reader_sees(pair: Pair) -> None:
    before = list(pair.source.pages("/v1/configs/journey", size=100, sort="name"))
    pair.source.rebuild_index()
    assert list(pair.source.pages("/v1/configs/journey", size=100, sort="name")) == before


def test_what_a_config_uses_says_that_it_is_used_by_it(pair: Pair) -> None:
    journey = pair.source.get("/v1/configs/journey", size=1, sort="name")["results"][0]
    uses = list(pair.source.pages(f"/v1/configs/journey/{journey['id']}/dependencies", size=100))
    assert uses
    for used in uses:
        users = pair.source.get(f"/v1/configs/{used['type']}/{used['id']}/used_by")["results"]
        assert ("journey", journey["id"]) in {(user["type"], user["id"]) for user in users}, used


def test_sync_of_the_clean_selection_succeeds_with_every_row_accounted_for(synced: SyncResult) -> None:
    _, rows, job = synced
    assert job["status"] == "succeeded", job["errors_sample"]
    assert len(rows) >= 100
    assert len({row["type"] for row in rows}) >= 20
    statuses = Counter(row["status"] for row in rows)
    assert set(statuses) <= {"created", "patched", "skipped"}
    assert job["counts"] == {
        "total": len(rows),
        "pending": 0,
        "in_progress": 0,
        "failed": 0,
        "succeeded": statuses["created"] + statuses["patched"],
        "skipped_unchanged": statuses["skipped"],
    }


def test_dry_run_plans_what_the_run_then_does(synced: SyncResult) -> None:
    dry, rows, _ = synced
    planned = {(row["type"], row["source_id"]): row["status"] for row in dry["dry"]}
    assert set(planned) == {(row["type"], row["source_id"]) for row in rows}
    for row in rows:
        assert row["status"] in BECOMES[planned[row["type"], row["source_id"]]], row


def test_target_equals_the_source_under_the_id_map(pair: Pair, control: SandboxControl, synced: SyncResult) -> None:
    _, rows, _ = synced
    id_map = {ResourceKey(row["type"], row["source_id"]): row["target_id"] for row in rows if row.get("target_id")}
    written = [ResourceKey(row["type"], row["source_id"]) for row in rows if row["status"] in ("created", "patched")]
    source, target = control.dump(RESOURCE_TYPES, pair.source_id), control.dump(RESOURCE_TYPES, pair.target_id)
    unmapped = [row["source_id"] for row in rows if not row.get("target_id")]
    assert [str(d) for d in differences(RESOURCE_TYPES, source, target, id_map, written, unmapped)] == []


def test_a_journey_and_its_mapping_point_at_each_other_on_the_target(
    pair: Pair, control: SandboxControl, synced: SyncResult
) -> None:
    _, rows, _ = synced
    target = control.dump(RESOURCE_TYPES, pair.target_id)
    mappings = [row for row in rows if row["type"] == "entity_mapping"]
    assert mappings
    for row in mappings:
        mapping = target[ResourceKey("entity_mapping", row["target_id"])]
        journey = target[ResourceKey("journey", mapping["source"]["config"]["journey_id"])]
        assert journey["settings"]["mappingsAutomationId"] == row["target_id"]


def test_syncing_again_writes_nothing(pair: Pair, control: SandboxControl, synced: SyncResult) -> None:
    assert synced[2]["status"] == "succeeded"
    before = control.dump(RESOURCE_TYPES, pair.target_id)
    again = pair.source.run_job(pair.source.post("/v1/configs/sync-jobs", pair.request(name="again"))["id"])
    assert again["status"] == "succeeded"
    assert again["counts"]["skipped_unchanged"] == again["counts"]["total"], again["counts"]
    assert control.dump(RESOURCE_TYPES, pair.target_id) == before
