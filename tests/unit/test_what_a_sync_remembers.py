"""Jobs one after the other on the same two organisations: what the later ones know of the earlier ones."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from typing import Any

import pytest

from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.api_operation import Removal
from shared.domain.errors import DownstreamRejectedError, UnknownOutcomeError
from shared.domain.job import Job
from shared.domain.plan import LineageEntry
from shared.domain.resource_type import Identity, NaturalKey, ResourceKey
from shared.domain.row import RowStatus
from shared.use_cases.confirm_lineage import confirm_lineage
from shared.use_cases.list_sync_job_resources import list_sync_job_resources
from shared.use_cases.writing import batch_run
from tests.fakes.dynamodb import MemoryDynamoDB
from tests.fakes.sync_types import CATALOGUE, DESIGN, FLOW, JOURNEY, MAPPING, SCHEMA
from tests.fakes.sync_world import SOURCE_ORG, TARGET_ORG, SyncWorld

D, F, J, J2 = "design-00000001", "flow-00000001", "journey-00000001", "journey-00000002"
DESIGN_KEY, FLOW_KEY, JOURNEY_KEY = ResourceKey("design", D), ResourceKey("flow", F), ResourceKey("journey", J)


@pytest.fixture
def world() -> SyncWorld:
    made = SyncWorld(MemoryDynamoDB())
    made.source.add(DESIGN, {"id": D, "name": "Blue"})
    return made


def sync(world: SyncWorld, *keys: ResourceKey, **more: Any) -> Job:
    return world.run(world.create_job(*keys, **more))


def statuses(world: SyncWorld, job: Job) -> dict[str, str]:
    return {key.id: row.status.value for key, row in world.rows(job.id).items()}


def on_target(world: SyncWorld, type_name: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in world.target.configs[type_name].values() if one.get("name") == name]
    return found


def entry_of(world: SyncWorld, key: ResourceKey) -> LineageEntry:
    return world.lineage.find_entries(TARGET_ORG, SOURCE_ORG, [key])[key]


def messages(world: SyncWorld, job: Job) -> list[str]:
    return [event.message for event in world.jobs.list_events(SOURCE_ORG, job.id, 100)]


def assert_settled(world: SyncWorld, *keys: ResourceKey) -> None:
    """The next sync finds nothing to do."""
    before = world.writes()
    job = sync(world, *keys)
    assert set(statuses(world, job).values()) == {"skipped"}
    assert world.writes() == before


# References


def test_a_reference_that_was_left_out_is_written_once_its_referent_is_there(world: SyncWorld) -> None:
    world.source.add(JOURNEY, {"id": J2, "name": "B", "design": D})
    world.source.add(JOURNEY, {"id": J, "name": "A", "design": D, "related": [J2], "text": f"see {J2}"})
    create = world.target.create_config

    def refuse(resource_type: Any, payload: Any, *more: Any, **named: Any) -> Any:
        if payload.get("name") == "B":
            raise DownstreamRejectedError("no")
        return create(resource_type, payload, *more, **named)

    world.target.create_config = refuse  # type: ignore[method-assign]
    assert statuses(world, sync(world, JOURNEY_KEY)) == {D: "created", J: "created", J2: "failed"}
    world.target.create_config = create  # type: ignore[method-assign]
    sync(world, ResourceKey("journey", J2))

    assert statuses(world, sync(world, JOURNEY_KEY)) == {D: "skipped", J: "patched", J2: "skipped"}
    there = on_target(world, "journey", "B")["id"]
    assert (on_target(world, "journey", "A")["related"], on_target(world, "journey", "A")["text"]) == (
        [there],
        f"see {there}",
    )
    assert_settled(world, JOURNEY_KEY)


@pytest.mark.parametrize("how", ["deleted by hand", "lineage broken"])
def test_a_reference_follows_a_referent_that_another_job_made_anew(world: SyncWorld, how: str) -> None:
    world.source.add(FLOW, {"id": F, "name": "F"})
    world.source.add(JOURNEY, {"id": J, "name": "A", "design": D, "flow": F})
    sync(world, JOURNEY_KEY)
    old = on_target(world, "journey", "A")["flow"]
    if how == "deleted by hand":
        del world.target.configs["flow"][old]
    else:
        world.lineage.delete_entry(entry_of(world, FLOW_KEY))
    sync(world, FLOW_KEY, match="lineage_only")
    sync(world, JOURNEY_KEY)
    assert on_target(world, "journey", "A")["flow"] == entry_of(world, FLOW_KEY).target_id != old
    assert_settled(world, JOURNEY_KEY)


def test_a_name_that_was_left_out_is_written_by_the_job_that_makes_what_it_names(world: SyncWorld) -> None:
    world.source.add(JOURNEY, {"id": J, "name": "A", "design": D, "schema": "lead"})
    sync(world, JOURNEY_KEY)
    assert "schema" not in on_target(world, "journey", "A")
    assert entry_of(world, JOURNEY_KEY).left_out == ("/schema",)
    world.source.add(SCHEMA, {"slug": "lead", "name": "Lead"})
    assert statuses(world, sync(world, JOURNEY_KEY)) == {D: "skipped", J: "patched", "lead": "created"}
    assert on_target(world, "journey", "A")["schema"] == "lead"
    assert_settled(world, JOURNEY_KEY)


def test_a_pinned_version_is_written_again_where_it_moved_without_this_sync(world: SyncWorld) -> None:
    world.source.add(MAPPING, {"id": "mapping-00000001", "name": "M", "version": 7})
    world.source.add(JOURNEY, {"id": J, "name": "A", "design": D, "mapping": {"id": "mapping-00000001", "version": 7}})
    sync(world, JOURNEY_KEY)
    on_target(world, "mapping", "M")["version"] = 5
    assert statuses(world, sync(world, JOURNEY_KEY))[J] == "patched"
    assert on_target(world, "journey", "A")["mapping"]["version"] == 5
    assert_settled(world, JOURNEY_KEY)


def test_the_address_of_a_file_that_is_written_over_is_the_one_that_it_has_then() -> None:
    world = SyncWorld(MemoryDynamoDB(), RESOURCE_TYPES)
    f, there, e = (f"0b5c3c1e-1111-4a63-9d3a-00000000a00{number}" for number in (1, 2, 3))
    address = "https://file.example/{}/a.png"
    described = {"_schema": "file", "filename": "a.png", "s3ref": {"key": "k", "bucket": "b"}}
    world.source.add(RESOURCE_TYPES["file"], {"_id": f, **described, "public_url": address.format(f), "_tags": ["new"]})
    world.target.add(RESOURCE_TYPES["file"], {"_id": there, **described, "public_url": address.format("old")})
    body = f'<img src="{address.format(f)}">'
    world.source.add(RESOURCE_TYPES["emailtemplate"], {"_id": e, "name": "M", "subject": "s", "body": body})
    pair = {"type": "file", "source_org_id": SOURCE_ORG, "target_org_id": TARGET_ORG, "origin": "manual_confirm"}
    world.lineage.confirm_entry(LineageEntry(**pair, source_id=f, target_id=there))
    update = world.target.update_config

    def moved(resource_type: Any, *more: Any, **named: Any) -> Any:
        written = update(resource_type, *more, **named)
        if resource_type.name != "file":
            return written
        stored = world.target.configs["file"][written.id]
        stored |= described | {"public_url": address.format("moved")}
        return written._replace(payload=dict(stored))

    world.target.update_config = moved  # type: ignore[method-assign]
    mail, image = ResourceKey("emailtemplate", e), ResourceKey("file", f)
    assert statuses(world, sync(world, mail, image)) == {e: "created", f: "patched"}
    assert on_target(world, "emailtemplate", "M")["body"] == body.replace(f, "moved")
    assert_settled(world, mail, image)


def test_a_soft_reference_to_what_fails_stays_where_its_config_exists(world: SyncWorld) -> None:
    world.source.add(JOURNEY, {"id": J2, "name": "B", "design": D})
    world.source.add(JOURNEY, {"id": J, "name": "A", "design": D, "related": [J2]})
    sync(world, JOURNEY_KEY)
    there = on_target(world, "journey", "B")["id"]
    world.source.configs["journey"][J2]["design"] = "design-00000404"
    world.source.configs["journey"][J]["text"] = "edited"
    assert statuses(world, sync(world, JOURNEY_KEY)) == {D: "skipped", J: "patched", J2: "failed"}
    assert on_target(world, "journey", "A")["related"] == [there]


# Edits on the target


def test_an_edit_between_plan_and_write_stands_and_fails_its_row(world: SyncWorld) -> None:
    world.source.add(FLOW, {"id": F, "name": "F", "text": "1"}, {"id": "flow-00000002", "name": "G"})
    sync(world, FLOW_KEY, ResourceKey("flow", "flow-00000002"))
    world.source.configs["flow"][F]["text"] = "2"
    world.source.configs["flow"]["flow-00000002"]["text"] = "2"
    job_id = world.create_job(FLOW_KEY, ResourceKey("flow", "flow-00000002"))
    planned = world.plan(job_id)
    on_target(world, "flow", "F")["text"] = "by hand"
    world.carry_out(job_id, planned)
    world.finish(job_id)
    rows = world.rows(job_id)
    assert rows[FLOW_KEY].error is not None
    assert rows[FLOW_KEY].error.code == "TARGET_CHANGED"
    assert rows[ResourceKey("flow", "flow-00000002")].status is RowStatus.PATCHED
    assert on_target(world, "flow", "F")["text"] == "by hand"
    sync(world, FLOW_KEY)
    assert on_target(world, "flow", "F")["text"] == "2"


def test_an_edit_between_write_and_verification_is_told_and_the_next_sync_looks_again(world: SyncWorld) -> None:
    world.source.add(FLOW, {"id": F, "name": "F", "text": "1"})
    job_id = world.create_job(FLOW_KEY)
    planned = world.plan(job_id)
    world.carry_out(job_id, {**planned, "verify_batches": []})
    on_target(world, "flow", "F")["text"] = "by hand"
    world.until_done(job_id, "VerifyTargets", batch=1)
    job = world.finish(job_id)
    assert any(message.startswith("CHANGED_MEANWHILE") for message in messages(world, job))
    assert entry_of(world, FLOW_KEY).target_fingerprint == ""
    assert statuses(world, sync(world, FLOW_KEY)) == {F: "patched"}
    assert on_target(world, "flow", "F")["text"] == "1"
    assert_settled(world, FLOW_KEY)


def test_an_activation_that_an_earlier_write_undid_by_coming_late_is_made_good_by_the_next_sync(
    world: SyncWorld,
) -> None:
    world.source.add(JOURNEY, {"id": J, "name": "A", "design": D, "next": J, "enabled": True})
    job_id = world.create_job(JOURNEY_KEY)
    planned = world.plan(job_id)
    world.carry_out(job_id, {**planned, "verify_batches": []})
    assert on_target(world, "journey", "A")["enabled"] is True
    on_target(world, "journey", "A")["enabled"] = False
    for batch in planned["verify_batches"]:
        world.until_done(job_id, "VerifyTargets", batch=batch)
    assert any(message.startswith("CHANGED_MEANWHILE") for message in messages(world, world.finish(job_id)))
    assert statuses(world, sync(world, JOURNEY_KEY))[J] == "patched"
    assert on_target(world, "journey", "A")["enabled"] is True
    assert_settled(world, JOURNEY_KEY)


def lose_the_first_update(
    world: SyncWorld, type_name: str, *, repeated: bool, outlived: bool = False
) -> list[tuple[str, Any]]:
    """Let the first update of a type get no answer and not be done yet; returns it for a test to do it late.

    It is sent again by the repository, or else by the hub.
    """
    lost: list[tuple[str, Any]] = []
    begun: list[str] = []
    update = world.target.update_config

    def losing(resource_type: Any, config_id: str, payload: Any, **named: Any) -> Any:
        if resource_type.name == type_name and not begun:
            lost.append((config_id, payload))
            begun.append(type_name)
            if repeated:
                written = update(resource_type, config_id, payload, **named)
                return written._replace(unanswered=True, outlived=outlived)
            raise UnknownOutcomeError("No answer.", outlived=outlived)
        return update(resource_type, config_id, payload, **named)

    world.target.update_config = losing  # type: ignore[method-assign]
    return lost


@pytest.mark.parametrize("repeated", [True, False])
def test_an_update_that_is_done_late_does_not_undo_the_one_behind_it(world: SyncWorld, repeated: bool) -> None:
    world.source.add(JOURNEY, {"id": J, "name": "A", "design": D, "next": J, "enabled": True})
    lost = lose_the_first_update(world, "journey", repeated=repeated)
    job_id = world.create_job(JOURNEY_KEY)
    planned = world.plan(job_id)
    world.carry_out(job_id, {**planned, "verify_batches": []})
    ((config_id, payload),) = lost
    assert payload["enabled"] is False
    world.target.update_config(JOURNEY, config_id, payload)
    for batch in planned["verify_batches"]:
        world.until_done(job_id, "VerifyTargets", batch=batch)
    job = world.finish(job_id)
    assert job.status.value == "succeeded"
    assert not [message for message in messages(world, job) if message.startswith("CHANGED_MEANWHILE")]
    assert on_target(world, "journey", "A")["enabled"] is True
    assert_settled(world, JOURNEY_KEY)


@pytest.mark.parametrize("late_s", [1, 60])
@pytest.mark.parametrize("repeated", [True, False])
def test_an_update_that_may_still_come_late_is_waited_for_before_the_read_back(
    world: SyncWorld, repeated: bool, late_s: int
) -> None:
    world.source.add(JOURNEY, {"id": J, "name": "A", "design": D, "next": J, "enabled": True})
    lost = lose_the_first_update(world, "journey", repeated=repeated, outlived=late_s > 2)
    began_at, done = world.now(), 0

    def passes(seconds: float) -> None:
        nonlocal done
        world.skipped_s += seconds
        while lost and world.now() >= began_at + late_s:
            world.target.update_config(JOURNEY, *lost.pop())
            done += 1

    world.sleep = passes  # type: ignore[method-assign]
    job = world.run(world.create_job(JOURNEY_KEY))
    assert (job.status.value, done) == ("succeeded", 1)
    assert on_target(world, "journey", "A")["enabled"] is True
    assert_settled(world, JOURNEY_KEY)


@pytest.mark.parametrize("repeated", [True, False])
@pytest.mark.parametrize("workers", [1, batch_run.WORKERS])
def test_a_version_that_an_update_bumps_late_is_pinned_as_it_is_then(
    world: SyncWorld, workers: int, repeated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether its owner is verified beside what pins it or before."""
    monkeypatch.setattr(batch_run, "WORKERS", workers)
    mapping = {"id": "mapping-00000001", "version": 7}
    world.source.add(MAPPING, {**mapping, "name": "M", "journey": J})
    world.source.add(JOURNEY, {"id": J, "name": "A", "design": D, "mapping": mapping})
    lost = lose_the_first_update(world, "mapping", repeated=repeated)
    job_id = world.create_job(JOURNEY_KEY)
    planned = world.plan(job_id)
    world.carry_out(job_id, {**planned, "verify_batches": []})
    ((config_id, payload),) = lost
    world.target.update_config(MAPPING, config_id, payload)
    for batch in planned["verify_batches"]:
        world.until_done(job_id, "VerifyTargets", batch=batch)
    assert world.finish(job_id).status.value == "succeeded"
    assert on_target(world, "journey", "A")["mapping"]["version"] == on_target(world, "mapping", "M")["version"]
    assert_settled(world, JOURNEY_KEY)


def test_a_version_that_a_create_under_an_id_of_our_choice_bumps_late_is_pinned_as_it_is_then(world: SyncWorld) -> None:
    chosen = replace(MAPPING, identity=Identity.CLIENT, create=replace(MAPPING.create, client_id=True))
    world.catalogue = {**world.catalogue, "mapping": chosen}
    mapping = {"id": "mapping-00000001", "version": 7}
    world.source.add(MAPPING, {**mapping, "name": "M"})
    world.source.add(JOURNEY, {"id": J, "name": "A", "design": D, "mapping": mapping})
    create, lost = world.target.create_config, []

    def losing(resource_type: Any, payload: Any, **named: Any) -> Any:
        if resource_type.name == "mapping" and not lost:
            lost.append((named["config_id"], payload))
            raise UnknownOutcomeError("No answer.")
        return create(resource_type, payload, **named)

    world.target.create_config = losing  # type: ignore[method-assign]
    job_id = world.create_job(JOURNEY_KEY)
    planned = world.plan(job_id)
    world.carry_out(job_id, {**planned, "verify_batches": []})
    world.target.update_config(MAPPING, *lost[0])
    for batch in planned["verify_batches"]:
        world.until_done(job_id, "VerifyTargets", batch=batch)
    assert world.finish(job_id).status.value == "succeeded"
    assert on_target(world, "journey", "A")["mapping"]["version"] == on_target(world, "mapping", "M")["version"]
    assert_settled(world, JOURNEY_KEY)


def test_a_verification_records_nothing_of_what_somebody_wrote_later(world: SyncWorld) -> None:
    world.source.add(FLOW, {"id": F, "name": "F", "text": "1"})
    job_id = world.create_job(FLOW_KEY)
    planned = world.plan(job_id)
    world.carry_out(job_id, {**planned, "verify_batches": []})
    later = replace(entry_of(world, FLOW_KEY), stamp="another write")
    world.lineage.delete_entry(later)
    world.lineage.put_entries([replace(later, stamp="")])
    world.client.update_item(
        TableName="LineageTable",
        Key={"pk": f"ORG#{TARGET_ORG}", "sk": f"SOURCE#flow#{F}#{SOURCE_ORG}"},
        UpdateExpression="SET stamp = :stamp",
        ExpressionAttributeValues={":stamp": "another write"},
    )
    world.until_done(job_id, "VerifyTargets", batch=1)
    job = world.finish(job_id)
    assert job.status.value == "succeeded"
    assert any(message.startswith("CHANGED_MEANWHILE") for message in messages(world, job))
    assert (entry_of(world, FLOW_KEY).stamp, entry_of(world, FLOW_KEY).source_fingerprint) == ("another write", "")


def give_the_server_a_form_of_its_own(world: SyncWorld, *, answers: bool) -> None:
    """Let the target keep texts in capitals, and say so in its answers or answer nothing."""
    for name in ("create_config", "update_config"):
        write = getattr(world.target, name)

        def in_own_form(resource_type: Any, *more: Any, write: Any = write, **named: Any) -> Any:
            written = write(resource_type, *more, **named)
            stored = world.target.configs[resource_type.name][written.id]
            stored["text"] = stored.get("text", "").upper()
            return written._replace(payload=dict(stored) if answers else None)

        setattr(world.target, name, in_own_form)


def test_a_server_that_has_a_form_of_its_own_is_written_at_most_once_more(world: SyncWorld) -> None:
    world.source.add(FLOW, {"id": F, "name": "F", "text": "loud"})
    give_the_server_a_form_of_its_own(world, answers=False)
    sync(world, FLOW_KEY)
    sync(world, FLOW_KEY)
    assert_settled(world, FLOW_KEY)
    world.source.configs["flow"][F]["text"] = "louder"
    assert statuses(world, sync(world, FLOW_KEY)) == {F: "patched"}


def test_a_server_that_answers_in_its_own_form_is_believed(world: SyncWorld) -> None:
    world.source.add(FLOW, {"id": F, "name": "F", "text": "loud"})
    give_the_server_a_form_of_its_own(world, answers=True)
    sync(world, FLOW_KEY)
    assert_settled(world, FLOW_KEY)


# What the source dropped


def merging(removal: Removal) -> dict[str, Any]:
    update = replace(DESIGN.update, merge=True, removal=removal)  # type: ignore[type-var]
    return {**CATALOGUE, "design": replace(DESIGN, update=update)}


@pytest.mark.parametrize(
    ("removal", "there", "note"),
    [(Removal.NULL, None, ""), (Removal.EMPTY, [], ""), (Removal.IMPOSSIBLE, ["a"], "cannot take away")],
)
def test_what_the_source_dropped_is_taken_away_as_the_api_can(removal: Removal, there: Any, note: str) -> None:
    world = SyncWorld(MemoryDynamoDB(), merging(removal))
    world.source.add(DESIGN, {"id": D, "name": "Blue", "fonts": ["a"], "kept": 1})
    sync(world, DESIGN_KEY)
    on_target(world, "design", "Blue")["added by hand"] = 2
    del world.source.configs["design"][D]["fonts"]
    job = sync(world, DESIGN_KEY)
    assert on_target(world, "design", "Blue")["fonts"] == there
    assert on_target(world, "design", "Blue")["added by hand"] == 2
    assert any(note in message for message in messages(world, job))
    assert_settled(world, DESIGN_KEY)


def test_what_the_source_dropped_and_somebody_changed_on_the_target_stays_and_is_told() -> None:
    world = SyncWorld(MemoryDynamoDB(), merging(Removal.NULL))
    world.source.add(DESIGN, {"id": D, "name": "Blue", "fonts": ["a"]})
    sync(world, DESIGN_KEY)
    on_target(world, "design", "Blue")["fonts"] = ["b"]
    del world.source.configs["design"][D]["fonts"]
    job = sync(world, DESIGN_KEY)
    assert on_target(world, "design", "Blue")["fonts"] == ["b"]
    assert any("The source dropped fonts" in message for message in messages(world, job))


def test_a_reference_that_a_product_dropped_is_gone_from_the_target() -> None:
    world = SyncWorld(MemoryDynamoDB(), RESOURCE_TYPES)
    q, p = "0b5c3c1e-1111-4a63-9d3a-00000000d002", "0b5c3c1e-1111-4a63-9d3a-00000000d001"
    product = {"_schema": "product", "cross_sellable_products": {"$relation": [{"entity_id": q}]}, "note": "old"}
    world.source.add(RESOURCE_TYPES["product"], {"_id": q, "_schema": "product", "name": "Q"})
    world.source.add(RESOURCE_TYPES["product"], {"_id": p, "name": "P", **product})
    sync(world, ResourceKey("product", p))
    for name in ("cross_sellable_products", "note"):
        del world.source.configs["product"][p][name]
    sync(world, ResourceKey("product", p))
    there = on_target(world, "product", "P")
    assert (there["cross_sellable_products"], there["note"]) == (None, None)
    assert_settled(world, ResourceKey("product", p))


def test_what_the_source_dropped_of_an_installation_stays_since_its_api_takes_nothing_away() -> None:
    world = SyncWorld(MemoryDynamoDB(), RESOURCE_TYPES)
    maps = ResourceKey("app", "0b5c3c1e-1111-4a63-9d3a-00000000d003")
    options = [{"component_id": "c1", "options": [{"key": "url", "value": "https://a.example"}]}]
    world.source.add(RESOURCE_TYPES["app"], {"app_id": maps.id, "installed_version": "1", "option_values": options})
    sync(world, maps)
    for name in ("installed_version", "option_values"):
        del world.source.configs["app"][maps.id][name]
    job = sync(world, maps)
    there = world.target.configs["app"][maps.id]
    assert (there["installed_version"], there["option_values"]) == ("1", options)
    assert sum("which the API cannot take away" in message for message in messages(world, job)) == 2
    assert_settled(world, maps)


# The way back


def turn(world: SyncWorld) -> dict[str, Any]:
    """Swap the organisations; returns what a job needs to go that way."""
    world.source, world.target = world.target, world.source
    return {"source_org_id": world.source.org_id, "target_org_id": world.target.org_id}


def test_the_way_back_finds_what_came_from_there_and_writes_only_what_changed(world: SyncWorld) -> None:
    world.source.add(
        FLOW, {"id": F, "name": "one"}, {"id": "flow-00000009", "name": "one"}, {"id": "flow-00000002", "name": "two"}
    )
    ours = [ResourceKey("flow", config_id) for config_id in world.source.configs["flow"]]
    sync(world, *ours)
    on_target(world, "flow", "two")["name"] = "two, renamed"
    there = [ResourceKey("flow", config_id) for config_id in world.target.configs["flow"]]

    back = turn(world)
    job = sync(world, *there, **back)
    assert sorted(statuses(world, job).values()) == ["patched", "skipped", "skipped"]
    assert world.target.configs["flow"]["flow-00000002"]["name"] == "two, renamed"
    assert len(world.target.configs["flow"]) == 3
    writes = world.writes()
    assert set(statuses(world, sync(world, *there, **back)).values()) == {"skipped"}
    assert world.writes() == writes

    turn(world)
    assert_settled(world, *ours)


@pytest.mark.parametrize("way", ["there", "back"])
def test_a_pair_made_by_hand_is_told_with_who_made_it_until_a_sync_has_used_it(world: SyncWorld, way: str) -> None:
    world.target.add(DESIGN, {"id": "design-00000009", "name": "Red"})
    key, back = DESIGN_KEY, {}
    pair = {"type": "design", "source_org_id": SOURCE_ORG, "source_id": D, "target_id": "design-00000009"}
    confirm_lineage(CATALOGUE, world.lineage, world.target, pair, user_id="user-9", now=0)
    if way == "back":
        key, back = ResourceKey("design", "design-00000009"), turn(world)

    dry = sync(world, key, dry_run=True, **back)
    sync(world, key, **back)
    again = sync(world, key, dry_run=True, **back)

    told = "Paired by hand by user user-9."
    assert world.rows(dry.id)[key].status is RowStatus.WOULD_PATCH
    assert [told in " ".join(messages(world, job)) for job in (dry, again)] == [True, False]
    listed = {"org_id": SOURCE_ORG, "status": None, "size": 10, "cursor": None}
    rows = [list_sync_job_resources(world.jobs, job_id=job.id, **listed)["results"][0] for job in (dry, again)]
    assert [row.get("paired_by") for row in rows] == ["user-9", None]


def test_a_way_back_that_is_broken_while_a_job_runs_is_not_made_again(world: SyncWorld) -> None:
    world.source.add(FLOW, {"id": F, "name": "F"})
    sync(world, FLOW_KEY)
    (there,) = world.target.configs["flow"]
    back = turn(world)
    world.source.configs["flow"][there]["name"] = "G"
    job_id = world.create_job(ResourceKey("flow", there), **back)
    planned = world.plan(job_id)
    find = world.lineage.find_entries

    def find_and_break(target_org: str, source_org: str, sources: Any) -> Any:
        found = find(target_org, source_org, sources)
        if (target_org, FLOW_KEY) in {(TARGET_ORG, key) for key in found}:
            world.lineage.delete_entry(found[FLOW_KEY])
        return found

    world.carry_out(job_id, {**planned, "verify_batches": []})
    world.lineage.find_entries = find_and_break  # type: ignore[method-assign]
    world.until_done(job_id, "VerifyTargets", batch=1)
    assert world.finish(job_id).status.value == "succeeded"
    world.lineage.find_entries = find  # type: ignore[method-assign]
    assert find(TARGET_ORG, SOURCE_ORG, [FLOW_KEY]) == {}
    assert find(SOURCE_ORG, TARGET_ORG, [ResourceKey("flow", there)])[ResourceKey("flow", there)].target_fingerprint


def test_edits_of_one_field_on_both_sides_are_a_conflict_in_the_dry_run_with_both_values(world: SyncWorld) -> None:
    world.source.add(FLOW, {"id": F, "name": "F", "text": "was", "same": 1})
    sync(world, FLOW_KEY)
    on_target(world, "flow", "F")["text"] = "theirs"
    world.source.configs["flow"][F]["text"] = "ours"
    job = sync(world, FLOW_KEY, dry_run=True)
    assert statuses(world, job) == {F: "would_patch"}
    (conflict,) = [message for message in messages(world, job) if message.startswith("CONFLICT")]
    assert (
        conflict == 'CONFLICT at /text: both sides changed it since the last sync, to "ours" here and "theirs" there.'
    )

    back = turn(world)
    (there,) = world.source.configs["flow"]
    job = sync(world, ResourceKey("flow", there), dry_run=True, **back)
    (conflict,) = [message for message in messages(world, job) if message.startswith("CONFLICT")]
    assert (
        conflict == 'CONFLICT at /text: both sides changed it since the last sync, to "theirs" here and "ours" there.'
    )


# Releases, and memories that are gone


def test_a_release_that_strips_more_and_knows_another_set_writes_nothing(world: SyncWorld) -> None:
    flow = {"id": F, "name": "F", "text": "x", "state": "s", "tags": ["b", "a"], "journeys": [J]}
    world.source.add(FLOW, flow)
    world.source.add(JOURNEY, {"id": J, "name": "A", "design": D, "flow": F})
    give_the_server_a_form_of_its_own(world, answers=True)
    sync(world, FLOW_KEY)
    for place in (world.source, world.target):
        for config in place.configs["flow"].values():
            config["state"] = f"changed in {place.org_id}"
    world.catalogue = {**CATALOGUE, "flow": replace(FLOW, strip=(*FLOW.strip, "state"), sets=("tags",))}
    before = world.writes()
    assert set(statuses(world, sync(world, FLOW_KEY)).values()) == {"skipped"}
    assert world.writes() == before
    assert_settled(world, FLOW_KEY)
    world.source.configs["flow"][F]["text"] = "y"
    assert statuses(world, sync(world, FLOW_KEY))[F] == "patched"


def test_what_a_sync_confirms_is_remembered_as_long_again_once_it_grows_old(world: SyncWorld) -> None:
    world.source.add(FLOW, {"id": F, "name": "F", "text": "x"})
    sync(world, FLOW_KEY)
    synced = entry_of(world, FLOW_KEY)
    world.skipped_s += 99 * 24 * 3600
    assert_settled(world, FLOW_KEY)
    assert entry_of(world, FLOW_KEY) == synced
    world.skipped_s += 2 * 24 * 3600
    assert_settled(world, FLOW_KEY)
    renewed = entry_of(world, FLOW_KEY)
    assert renewed.remembered_at > synced.remembered_at
    assert replace(renewed, remembered_at="") == replace(synced, remembered_at="")


def test_a_pair_that_replaces_one_whose_target_is_gone_is_recorded(world: SyncWorld) -> None:
    world.source.add(FLOW, {"id": F, "name": "F", "text": "x"})
    sync(world, FLOW_KEY)
    made_anew = {**world.target.configs["flow"].pop(entry_of(world, FLOW_KEY).target_id), "id": "made by hand"}
    world.target.add(FLOW, made_anew)
    assert_settled(world, FLOW_KEY)
    assert entry_of(world, FLOW_KEY).target_id == "made by hand"


def test_a_memory_that_is_gone_is_no_error(world: SyncWorld) -> None:
    world.source.add(FLOW, {"id": F, "name": "F", "text": "x"})
    sync(world, FLOW_KEY)
    world.client.forget(TableName="MemoryTable")
    world.source.configs["flow"][F]["text"] = "y"
    assert statuses(world, sync(world, FLOW_KEY)) == {F: "patched"}
    assert_settled(world, FLOW_KEY)


def replaced(world: SyncWorld) -> dict[str, Any]:
    """Return root job -> what is kept of what its chain wrote over; None where nothing was there."""
    items = [item for item in world.client.scan(TableName="MemoryTable")["Items"] if item["sk"] == "BEFORE"]
    return {
        item["pk"].split("#")[2]: None if "absent" in item else json.loads(gzip.decompress(item["content"]))
        for item in items
    }


def test_a_chain_of_retries_keeps_what_was_there_before_its_first_write(world: SyncWorld) -> None:
    world.source.add(FLOW, {"id": F, "name": "F", "text": "1"})
    first = sync(world, FLOW_KEY)
    for text in ("2", "3"):
        world.source.configs["flow"][F]["text"] = text
        sync(world, FLOW_KEY, retry_of=first.id, root_id=first.id)
    assert replaced(world) == {first.id: None}
    world.source.configs["flow"][F]["text"] = "4"
    second = sync(world, FLOW_KEY)
    world.source.configs["flow"][F]["text"] = "5"
    sync(world, FLOW_KEY, retry_of=second.id, root_id=second.id)
    assert replaced(world)[second.id]["payload"]["text"] == "3"


def test_a_retry_keeps_what_somebody_else_put_there_before_it_wrote_anything(world: SyncWorld) -> None:
    world.source.add(FLOW, {"id": F, "name": "F", "text": "1"})
    world.target.fail("create", "flow", DownstreamRejectedError("no"))
    first = sync(world, FLOW_KEY)
    world.target.failures.clear()
    world.target.add(FLOW, {"id": "there", "name": "F", "text": "by hand"})
    sync(world, FLOW_KEY, retry_of=first.id, root_id=first.id)
    assert replaced(world)[first.id]["payload"]["text"] == "by hand"


def test_what_a_chain_replaced_is_kept_without_secrets_with_the_entry_that_was(world: SyncWorld) -> None:
    world.source.add(JOURNEY, {"id": J, "name": "A", "design": D, "text": "1"})
    sync(world, JOURNEY_KEY)
    earlier = entry_of(world, JOURNEY_KEY)
    on_target(world, "journey", "A")["secret"] = "s3cret"
    world.source.configs["journey"][J]["text"] = "2"
    sync(world, JOURNEY_KEY)
    (item,) = [
        one for one in world.client.scan(TableName="MemoryTable")["Items"] if "content" in one and one["sk"] == "BEFORE"
    ]
    kept = json.loads(gzip.decompress(item["content"]))
    assert kept["payload"]["text"] == "1"
    assert "secret" not in kept["payload"]
    assert kept["lineage"]["stamp"] == earlier.stamp


# One target, one row


def paired_wrongly() -> SyncWorld:
    """A world in which somebody once paired the schema `lead` with the target's `contact`."""
    world = SyncWorld(MemoryDynamoDB())
    world.source.add(SCHEMA, {"slug": "lead", "name": "Lead"}, {"slug": "contact", "name": "Contact"})
    world.target.add(SCHEMA, {"slug": "contact", "name": "Contact of the target"})
    pair = {"type": "schema", "source_org_id": SOURCE_ORG, "target_org_id": TARGET_ORG, "origin": "manual_confirm"}
    world.lineage.confirm_entry(LineageEntry(**pair, source_id="lead", target_id="contact"))
    return world


@pytest.mark.parametrize("together", [True, False])
def test_a_target_that_is_another_ones_by_lineage_is_taken_and_never_written_in_turn(together: bool) -> None:
    world, keys = paired_wrongly(), [ResourceKey("schema", "lead"), ResourceKey("schema", "contact")]
    for selection in [keys, keys] if together else [keys[:1], keys[1:], keys[:1], keys[1:]]:
        rows = world.rows(sync(world, *selection).id)
        error = rows[keys[1]].error if keys[1] in rows else None
        assert error is None or error.code == "TARGET_TAKEN"
        assert (error is not None) == (keys[1] in selection)
        assert world.target.configs["schema"]["contact"]["name"] == "Lead"
    assert world.writes() == 1


def test_a_taken_name_that_is_only_named_is_left_alone() -> None:
    world = paired_wrongly()
    world.source.add(DESIGN, {"id": D, "name": "Blue"})
    world.source.add(JOURNEY, {"id": J, "name": "A", "design": D, "schema": "contact"})
    assert statuses(world, sync(world, JOURNEY_KEY)) == {D: "created", J: "created", "contact": "skipped"}


@pytest.mark.parametrize("dry_run", [True, False])
def test_an_id_of_our_own_choosing_that_exists_is_to_be_decided_not_replaced(dry_run: bool) -> None:
    chosen = replace(FLOW, identity=Identity.CLIENT, create=replace(FLOW.create, client_id=True))  # type: ignore[type-var]
    world = SyncWorld(MemoryDynamoDB(), {**CATALOGUE, "flow": chosen})
    world.source.add(FLOW, {"id": F, "name": "F"})
    sync(world, FLOW_KEY)
    (there,) = world.target.configs["flow"].values()
    there |= {"name": "the target's own by now"}
    world.lineage.delete_entry(entry_of(world, FLOW_KEY))
    error = world.rows(sync(world, FLOW_KEY, dry_run=dry_run).id)[FLOW_KEY].error
    assert error is not None
    assert error.code == "AMBIGUOUS_MATCH"
    assert there["id"] in error.message
    assert there["name"] == "the target's own by now"


def test_messages_of_rivals_stay_short_however_many_there_are() -> None:
    world = SyncWorld(MemoryDynamoDB())
    world.target.add(FLOW, {"id": "there", "name": "same"})
    world.source.add(FLOW, *({"id": f"flow-{number:08}", "name": "same"} for number in range(500)))
    job = sync(world, *(ResourceKey("flow", config_id) for config_id in world.source.configs["flow"]))
    errors = [row.error for row in world.rows(job.id).values()]
    assert {error.code for error in errors if error} == {"AMBIGUOUS_MATCH"}
    assert max(len(str(error)) for error in errors) < 500
    assert all("and 489 more" in str(error) for error in errors)


def test_a_unique_key_that_a_config_of_the_source_had_which_is_gone_is_taken_not_created_beside_it() -> None:
    keyed = replace(FLOW, natural_key=NaturalKey(fields=(("name",),), strong=True))
    world = SyncWorld(MemoryDynamoDB(), {**CATALOGUE, "flow": keyed})
    world.source.add(FLOW, {"id": F, "name": "F"})
    sync(world, FLOW_KEY)
    del world.source.configs["flow"][F]
    world.source.add(FLOW, {"id": "flow-00000002", "name": "F"})
    anew = ResourceKey("flow", "flow-00000002")
    error = world.rows(sync(world, anew).id)[anew].error
    assert error is not None
    assert error.code == "TARGET_TAKEN"
    assert world.writes() == 1
    world.lineage.delete_entry(entry_of(world, FLOW_KEY))
    assert_settled(world, anew)
    assert world.writes() == 1


def test_what_an_override_added_is_taken_away_once_it_goes() -> None:
    world = SyncWorld(MemoryDynamoDB(), merging(Removal.NULL))
    world.source.add(DESIGN, {"id": D, "name": "Blue"})
    sync(world, DESIGN_KEY, overrides={f"design:{D}": {"remarks": "for the target"}})
    assert on_target(world, "design", "Blue")["remarks"] == "for the target"
    sync(world, DESIGN_KEY)
    assert on_target(world, "design", "Blue")["remarks"] is None
    assert_settled(world, DESIGN_KEY)
