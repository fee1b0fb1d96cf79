"""The active flag of what exists: a patch keeps the target's, unless the request has it follow the source's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.domain.resource_type import ActiveFlag, ResourceKey
from shared.domain.row import RowStatus
from tests.fakes.dynamodb import MemoryDynamoDB
from tests.fakes.sync_types import CATALOGUE, DESIGN, JOURNEY
from tests.fakes.sync_world import SOURCE_ORG, SyncWorld

KEY = ResourceKey("journey", "journey-00000001")
STAYS_INACTIVE = "The source's is active, the target's is not: it stays so."
STAYS_ACTIVE = "The source's is not active, the target's is: it stays so."


def synced(journey_type=JOURNEY, **flag) -> SyncWorld:
    """Two organisations of which one was synced into the other."""
    world = SyncWorld(MemoryDynamoDB(), CATALOGUE | {"journey": journey_type})
    world.source.add(DESIGN, {"id": "design-00000001", "name": "Blue"})
    world.source.add(journey_type, {"id": KEY.id, "name": "A", "design": "design-00000001", **flag})
    run(world)
    return world


def run(world: SyncWorld, **more) -> RowStatus:
    """Sync the journey and return what became of it."""
    job = world.run(world.create_job(KEY, **more))
    return world.rows(job.id)[KEY].status


def messages(world: SyncWorld, **more) -> list[str]:
    """Plan a sync and return what the dry run says of the journey."""
    job = world.run(world.create_job(KEY, dry_run=True, **more))
    return [event.message for event in world.jobs.list_events(SOURCE_ORG, job.id, 100) if event.key == KEY]


def target_of(world: SyncWorld) -> dict:
    [config] = world.target.configs["journey"].values()
    return config


def source_of(world: SyncWorld) -> dict:
    return world.source.configs["journey"][KEY.id]


@pytest.mark.parametrize(("source", "message"), [(True, STAYS_INACTIVE), (False, STAYS_ACTIVE)])
def test_a_patch_keeps_the_targets_flag_and_the_dry_run_says_so(source, message):
    world = synced(enabled=source)
    target_of(world)["enabled"] = not source
    source_of(world)["name"] = "Renamed"

    assert message in messages(world)
    assert run(world) is RowStatus.PATCHED
    assert (target_of(world)["name"], target_of(world)["enabled"]) == ("Renamed", not source)


def test_what_is_kept_is_no_difference_for_ever_and_is_still_said():
    world = synced(enabled=True)
    target_of(world)["enabled"] = False
    run(world)

    assert run(world) is RowStatus.SKIPPED
    assert STAYS_INACTIVE in messages(world)


@pytest.mark.parametrize("enabled", [True, False])
def test_flags_that_agree_are_not_mentioned(enabled):
    world = synced(enabled=enabled)
    source_of(world)["name"] = "Renamed"

    for activation in ("keep", "follow"):
        assert not [text for text in messages(world, activation=activation) if "active" in text]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (True, "The source's is active, the target's is not: it is activated."),
        (False, "The source's is not active, the target's is: it is deactivated."),
    ],
)
def test_a_flag_that_follows_is_a_change_by_itself_and_only_once(source, message):
    world = synced(enabled=source)
    target_of(world)["enabled"] = not source
    run(world)  # both sides are as this job has left them

    assert message in messages(world, activation="follow")
    assert run(world, activation="follow") is RowStatus.PATCHED
    assert target_of(world)["enabled"] is source
    writes = world.writes()
    assert run(world, activation="follow") is RowStatus.SKIPPED
    assert run(world) is RowStatus.SKIPPED
    assert world.writes() == writes


def test_a_match_by_name_follows_too():
    world = SyncWorld(MemoryDynamoDB())
    world.source.add(DESIGN, {"id": "design-00000001", "name": "Blue"})
    world.target.add(DESIGN, {"id": "design-target-1", "name": "Blue"})
    world.source.add(JOURNEY, {"id": KEY.id, "name": "A", "design": "design-00000001", "enabled": True})
    world.target.add(JOURNEY, {"id": "journey-target-1", "name": "A", "design": "design-target-1", "enabled": False})

    assert run(world, activation="follow") is RowStatus.PATCHED
    assert target_of(world)["enabled"] is True


@pytest.mark.parametrize("silent", ["source", "target"])
def test_where_one_side_does_not_say_there_is_nothing_to_follow(silent):
    world = synced(enabled=True)
    target_of(world)["enabled"] = False
    run(world)
    del (source_of(world) if silent == "source" else target_of(world))["enabled"]
    run(world)

    assert run(world, activation="follow") is RowStatus.SKIPPED
    assert target_of(world).get("enabled") is (False if silent == "source" else None)
    assert not [text for text in messages(world, activation="follow") if "active" in text]


def test_a_flag_that_no_job_may_set_stays_and_the_dry_run_says_so():
    world = synced(replace(JOURNEY, active=ActiveFlag(path="enabled", settable=False)), enabled=True)
    target_of(world)["enabled"] = False
    source_of(world)["name"] = "Renamed"

    assert STAYS_INACTIVE in messages(world, activation="follow")
    assert run(world, activation="follow") is RowStatus.PATCHED
    assert target_of(world)["enabled"] is False


def test_what_is_left_alone_keeps_its_flag_without_a_word():
    world = synced(replace(JOURNEY, never_overwrite=True), enabled=True)
    target_of(world)["enabled"] = False

    assert run(world, activation="follow") is RowStatus.SKIPPED
    assert target_of(world)["enabled"] is False
    assert not [text for text in messages(world, activation="follow") if "active" in text]
