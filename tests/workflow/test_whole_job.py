from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

from shared.domain.job import Job, JobStatus
from shared.domain.resource_type import ResourceKey
from shared.domain.row import RowStatus
from tests.aws import REGION, create_tables
from tests.fakes.moto_transactions import speed_up_transactions
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


@dataclass
class Runs:
    """A dry run, the real run and the same again, of one selection.

    Attributes:
        writes: how many the target had seen after each.
    """

    world: SyncWorld
    dry: Job
    real: Job
    again: Job
    writes: tuple[int, int, int]


@pytest.fixture(scope="module")
def runs():
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in {
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }.items():
            patch.setenv(name, value)
        speed_up_transactions(patch)
        dynamodb = boto3.resource("dynamodb")
        create_tables(dynamodb)
        world = SyncWorld(dynamodb)
        selected = plant_organisation(world)
        jobs, writes = [], []
        for dry_run in (True, False, False):
            jobs.append(world.run(world.create_job(selected, dry_run=dry_run)))
            writes.append(world.writes())
        yield Runs(world, *jobs, tuple(writes))


def statuses(runs: Runs, job: Job) -> set[RowStatus]:
    return {row.status for row in runs.world.rows(job.id).values()}


def test_copies_sixty_resources_with_cycles_and_counts_every_one(runs: Runs) -> None:
    assert runs.world.failures == []
    assert runs.real.status is JobStatus.SUCCEEDED
    assert runs.real.total == 60
    assert statuses(runs, runs.real) == {RowStatus.CREATED}
    assert runs.world.counts(runs.real.id) == runs.world.counts_of_rows(runs.real.id)
    assert runs.world.counts(runs.real.id)["succeeded"] == 60


def test_the_target_says_the_same_as_the_source_under_the_id_map(runs: Runs) -> None:
    target = runs.world.target
    ids = {row.key.id: row.target_id for row in runs.world.rows(runs.real.id).values()}
    for number in range(40):
        theirs = target.configs["journey"][ids[journey_id(number)]]
        assert theirs["next"] == ids[journey_id((number + 1) % 40)]
        assert theirs["flow"] == ids[f"flow-{number % 9:08d}"]
        assert theirs["design"] == ids[f"design-{number % 4:08d}"]
        assert theirs["text"] == f"see {ids[journey_id((number + 7) % 40)]} ünïcode"
        assert theirs["enabled"] is True
        assert "secret" not in theirs
        if number < 5:
            mapping = target.configs["mapping"][ids[f"mapping-{number:08d}"]]
            assert theirs["mapping"] == {"id": mapping["id"], "version": mapping["version"]}
    assert target.contents[ResourceKey("attachment", ids["attachment-01"])] == b"bytes"


def test_no_secret_of_the_source_is_in_any_store(runs: Runs) -> None:
    tables = ("SyncJobsTable", "SyncResourcesTable", "LineageTable", "IndexTable")
    stored = [runs.world.client.scan(TableName=table)["Items"] for table in tables]

    assert "do-not-copy" not in repr(stored)
    assert "do-not-copy" not in repr(runs.world.payloads.values)


def test_at_most_three_writes_go_to_any_resource(runs: Runs) -> None:
    """One create; a patch for a deferred or derived reference; an activation."""
    creates = sum(number for (name, _), number in runs.world.target.calls.items() if name == "create")

    assert creates == 60
    assert runs.writes[1] <= 60 + 2 * 45


def test_a_second_run_writes_nothing(runs: Runs) -> None:
    assert runs.writes[2] == runs.writes[1]
    assert runs.again.status is JobStatus.SUCCEEDED
    assert statuses(runs, runs.again) == {RowStatus.SKIPPED}
    assert runs.world.counts(runs.again.id)["skipped_unchanged"] == 60


def test_a_dry_run_writes_nothing_and_plans_what_the_real_run_then_does(runs: Runs) -> None:
    assert runs.writes[0] == 0
    assert runs.dry.status is JobStatus.SUCCEEDED
    assert statuses(runs, runs.dry) == {RowStatus.WOULD_CREATE}
    assert runs.world.rows(runs.dry.id).keys() == runs.world.rows(runs.real.id).keys()


def test_events_and_the_ends_are_published(runs: Runs) -> None:
    assert [(name, detail["status"]) for name, detail in runs.world.published] == [("SyncJobFinished", "succeeded")] * 3
    events = runs.world.jobs.list_events(SOURCE_ORG, runs.real.id, 1000)
    assert [event.seq for event in events] == sorted({event.seq for event in events}, reverse=True)
    assert runs.world.rebuilt == [runs.real.id]
    assert runs.world.credentials.tokens == {}
