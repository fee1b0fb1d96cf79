from typing import Any

from shared.domain.resource_type import ResourceKey
from shared.domain.sync_job import JobStatus, RowStatus
from tests.fakes.sync_types import ATTACHMENT, DESIGN, FLOW, JOURNEY, MAPPING, SCHEMA
from tests.fakes.sync_world import SOURCE_ORG, SyncWorld


def journey_id(number: int) -> str:
    return f"journey-{number:08d}"


def plant_organisation(world: SyncWorld, journeys: int = 40) -> ResourceKey:
    """60 resources: a ring of journeys, flows in cycles with them, mappings, designs, a schema, an attachment."""
    source = world.source
    source.add(SCHEMA, {"slug": "contact", "name": "Contact"})
    source.add(ATTACHMENT, {"id": "attachment-01", "name": "Terms", "stored": "place-in-source"})
    source.contents[ResourceKey("attachment", "attachment-01")] = b"bytes"
    for number in range(4):
        source.add(DESIGN, {"id": f"design-{number:08d}", "name": f"Design {number}", "colour": number})
    for number in range(9):
        source.add(FLOW, {"id": f"flow-{number:08d}", "name": f"Flow {number}", "journeys": [journey_id(number)]})
    for number in range(5):
        mapping = {
            "id": f"mapping-{number:08d}",
            "name": f"Mapping {number}",
            "journey": journey_id(number),
            "version": 7,
        }
        source.add(MAPPING, mapping)
    for number in range(journeys):
        payload: dict[str, Any] = {
            "id": journey_id(number),
            "name": f"Journey {number}",
            "enabled": True,
            "secret": "do-not-copy",
            "next": journey_id((number + 1) % journeys),
            "design": f"design-{number % 4:08d}",
            "schema": "contact",
            "flow": f"flow-{number % 9:08d}",
            "text": f"see {journey_id((number + 7) % journeys)} ünïcode",
        }
        if number < 5:
            payload["mapping"] = {"id": f"mapping-{number:08d}", "version": 7}
        if number == 3:
            payload["attachment"] = "attachment-01"
        source.add(JOURNEY, payload)
    return ResourceKey("journey", journey_id(0))


def test_copies_sixty_resources_with_cycles_and_counts_every_one(world: SyncWorld) -> None:
    job_id = world.create_job(plant_organisation(world))

    job = world.run(job_id)

    assert world.failures == []
    assert [row for row in world.rows(job_id).values() if row.status is not RowStatus.CREATED] == []
    assert job.status is JobStatus.SUCCEEDED
    assert job.total == 60
    assert world.counts(job_id) == world.counts_of_rows(job_id)
    assert world.counts(job_id)["succeeded"] == 60


def test_the_target_says_the_same_as_the_source_under_the_id_map(world: SyncWorld) -> None:
    job_id = world.create_job(plant_organisation(world))

    world.run(job_id)

    ids = {row.key.id: row.target_id for row in world.rows(job_id).values()}
    for number in range(40):
        theirs = world.target.configs["journey"][ids[journey_id(number)]]
        assert theirs["next"] == ids[journey_id((number + 1) % 40)]
        assert theirs["flow"] == ids[f"flow-{number % 9:08d}"]
        assert theirs["design"] == ids[f"design-{number % 4:08d}"]
        assert theirs["text"] == f"see {ids[journey_id((number + 7) % 40)]} ünïcode"
        assert theirs["enabled"] is True
        assert "secret" not in theirs
        if number < 5:
            mapping = world.target.configs["mapping"][ids[f"mapping-{number:08d}"]]
            assert theirs["mapping"] == {"id": mapping["id"], "version": mapping["version"]}
    assert world.target.contents[ResourceKey("attachment", ids["attachment-01"])] == b"bytes"


def test_a_second_run_writes_nothing(world: SyncWorld) -> None:
    selected = plant_organisation(world)
    world.run(world.create_job(selected))
    written = world.writes()

    second = world.create_job(selected)
    job = world.run(second)

    assert world.writes() == written
    assert job.status is JobStatus.SUCCEEDED
    assert {row.status for row in world.rows(second).values()} == {RowStatus.SKIPPED}
    assert world.counts(second)["skipped_unchanged"] == 60


def test_a_dry_run_writes_nothing_and_plans_what_the_real_run_then_does(world: SyncWorld) -> None:
    selected = plant_organisation(world)
    dry = world.create_job(selected, dry_run=True)

    job = world.run(dry)

    assert job.status is JobStatus.SUCCEEDED
    assert world.writes() == 0
    assert {row.status for row in world.rows(dry).values()} == {RowStatus.WOULD_CREATE}
    real = world.create_job(selected)
    world.run(real)
    assert world.rows(real).keys() == world.rows(dry).keys()


def test_events_and_the_end_are_published(world: SyncWorld) -> None:
    job_id = world.create_job(plant_organisation(world, journeys=3))

    world.run(job_id)

    [(name, detail)] = world.published
    assert (name, detail["status"]) == ("SyncJobFinished", "succeeded")
    events = world.jobs.list_events(SOURCE_ORG, job_id, 1000)
    assert [event.seq for event in events] == sorted({event.seq for event in events}, reverse=True)
    assert world.rebuilt == [job_id]
    assert world.credentials.tokens == {}
