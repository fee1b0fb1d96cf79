"""What phase_0 sees of the target decides what is matched: types without a list, lists too long to read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.domain.errors import UnknownOutcomeError
from shared.domain.job import JobStatus
from shared.domain.resource_type import Form, Identity, NaturalKey, Reference, ResourceKey
from shared.domain.row import RowStatus
from shared.use_cases import snapshot_target
from tests.fakes.dynamodb import MemoryDynamoDB
from tests.fakes.sync_types import ATTACHMENT, CATALOGUE, DESIGN, JOURNEY, MAPPING
from tests.fakes.sync_world import SOURCE_ORG, SyncWorld

ENTRY = ResourceKey("journey", "journey-00000001")
#: Cannot be listed: journeys name it.
UNLISTED = replace(
    MAPPING,
    list=None,
    collected_from=("journey",),
    identity=Identity.CLIENT,
    natural_key=NaturalKey(fields=(("journey",),)),
    references=(Reference(to=("journey",), path="$.journey", form=Form.ID, required=True),),
)
#: Its list holds what every customer uploaded.
UPLOADS = replace(ATTACHMENT, indexed_when_used=True)


def a_world(**types: Any) -> SyncWorld:
    return SyncWorld(MemoryDynamoDB(), {**CATALOGUE, **types})


def plant_journey(repository: Any, suffix: str, **more: Any) -> None:
    repository.add(DESIGN, {"id": f"design-{suffix}", "name": "Blue"})
    journey = {"id": f"journey-{suffix}", "name": "Solar", "design": f"design-{suffix}"}
    repository.add(JOURNEY, {**journey, **more})


def test_a_mapping_that_only_its_journey_names_is_matched_and_not_made_twice() -> None:
    world = a_world(mapping=UNLISTED)
    for repository, suffix in ((world.source, "00000001"), (world.target, "aaaaaaaa")):
        plant_journey(repository, suffix, mapping={"id": f"mapping-{suffix}", "version": 3})
        repository.add(UNLISTED, {"id": f"mapping-{suffix}", "journey": f"journey-{suffix}", "version": 3, "n": suffix})

    job = world.run(job_id := world.create_job(ENTRY))

    assert job.status is JobStatus.SUCCEEDED
    assert world.target.calls["create", "mapping"] == 0
    row = world.rows(job_id)[ResourceKey("mapping", "mapping-00000001")]
    assert (row.target_id, row.status) == ("mapping-aaaaaaaa", RowStatus.PATCHED)
    [journey] = world.target.configs["journey"].values()
    mapping = world.target.configs["mapping"]["mapping-aaaaaaaa"]
    assert journey["mapping"] == {"id": "mapping-aaaaaaaa", "version": mapping["version"]}


def test_a_mapping_whose_create_is_sent_twice_under_one_id_is_one_and_no_list_is_asked_for() -> None:
    chosen = replace(UNLISTED, create=replace(UNLISTED.create, client_id=True))  # type: ignore[type-var]
    world = a_world(mapping=chosen)
    plant_journey(world.source, "00000001", mapping={"id": "mapping-00000001", "version": 3})
    world.source.add(chosen, {"id": "mapping-00000001", "journey": "journey-00000001", "version": 3})
    create, lost = world.target.create_config, []

    def losing(resource_type: Any, *more: Any, **named: Any) -> Any:
        if resource_type.name == "mapping" and not lost:
            lost.append(more)
            raise UnknownOutcomeError("The connection was cut.")
        return create(resource_type, *more, **named)

    world.target.create_config = losing

    job = world.run(job_id := world.create_job(ENTRY))

    assert job.status is JobStatus.SUCCEEDED, job.errors_sample
    row = world.rows(job_id)[ResourceKey("mapping", "mapping-00000001")]
    assert (row.status, row.sends, row.doubles) == (RowStatus.CREATED, 2, ())


def test_a_mapping_of_another_journey_is_not_even_read() -> None:
    world = a_world(mapping=UNLISTED)
    plant_journey(world.source, "00000001", mapping={"id": "mapping-00000001", "version": 3})
    world.source.add(UNLISTED, {"id": "mapping-00000001", "journey": "journey-00000001", "version": 3})
    world.target.add(JOURNEY, {"id": "journey-other", "name": "Wind", "mapping": {"id": "mapping-other", "version": 1}})
    world.target.add(UNLISTED, {"id": "mapping-other", "journey": "journey-other", "version": 1})
    theirs = dict(world.target.configs["mapping"]["mapping-other"])

    dry = world.create_job(ENTRY, dry_run=True)
    world.run(dry)

    assert world.target.calls["get", "mapping"] == 0
    assert world.rows(dry)[ResourceKey("mapping", "mapping-00000001")].status is RowStatus.WOULD_CREATE
    assert world.target.configs["mapping"]["mapping-other"] == theirs


@pytest.fixture
def crowded(monkeypatch: pytest.MonkeyPatch) -> SyncWorld:
    """A target with more uploads than are looked at."""
    monkeypatch.setattr(snapshot_target, "MAX_INDEXED_WHEN_USED", 200)
    world = a_world(attachment=UPLOADS)
    plant_journey(world.source, "00000001", attachment="attachment-01")
    world.source.add(UPLOADS, {"id": "attachment-01", "name": "Terms"})
    world.target.add(UPLOADS, *({"id": f"upload-{number:04}", "name": f"Scan {number}"} for number in range(950)))
    return world


def test_a_list_of_every_upload_is_read_as_far_as_the_index_would_and_the_cap_is_reported(crowded: SyncWorld) -> None:
    job = crowded.run(job_id := crowded.create_job(ENTRY))

    assert job.status is JobStatus.SUCCEEDED
    assert crowded.target.calls["list", "attachment"] == 2
    messages = [event.message for event in crowded.jobs.list_events(SOURCE_ORG, job_id, 100)]
    assert "The target has more of type attachment than were looked at for matches." in messages


def test_a_lost_create_among_uploads_that_were_not_all_seen_is_never_guessed(crowded: SyncWorld) -> None:
    """An upload beyond the cap may say the same: it must not be taken for ours."""
    crowded.target.add(UPLOADS, {"id": "upload-theirs", "name": "Terms"})

    def lost(resource_type: Any, *more: Any, **named: Any) -> Any:
        if resource_type.name == "attachment":
            raise UnknownOutcomeError("The answer was lost.")
        return create(resource_type, *more, **named)

    create, crowded.target.create_config = crowded.target.create_config, lost  # type: ignore[method-assign]

    job = crowded.run(job_id := crowded.create_job(ENTRY))

    row = crowded.rows(job_id)[ResourceKey("attachment", "attachment-01")]
    assert (row.target_id, row.error.code if row.error else "") == (None, "UNKNOWN_OUTCOME")
    assert job.status is JobStatus.PARTIAL
