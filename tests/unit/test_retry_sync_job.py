"""A retry takes up what an earlier job left unresolved, as that job was asked to do it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from shared.domain.caller import Caller
from shared.domain.errors import ConflictError, DownstreamRejectedError
from shared.domain.job import Job, JobStatus, Places
from shared.domain.resource_type import ResourceKey
from shared.domain.row import RowStatus
from shared.use_cases.jobs.intake import JobIntake
from shared.use_cases.jobs.payloads import request_key, source_key
from shared.use_cases.retry_sync_job import retry_sync_job
from tests.fakes.dynamodb import MemoryDynamoDB
from tests.fakes.sync_types import CATALOGUE, DESIGN, FLOW, JOURNEY, MAPPING, SCHEMA
from tests.fakes.sync_world import SOURCE_ORG, SyncWorld

JOURNEY_KEY = ResourceKey("journey", "journey-00000001")
DESIGN_KEY = ResourceKey("design", "design-00000001")
SCHEMA_KEY = ResourceKey("schema", "contact_v2")
THEIRS = {"slug": "contact_v2", "name": "The target's own"}
REFUSED = DownstreamRejectedError("a bad moment")


@pytest.fixture
def world() -> SyncWorld:
    world = SyncWorld(MemoryDynamoDB())
    world.source.add(DESIGN, {"id": DESIGN_KEY.id, "name": "Blue"})
    world.source.add(SCHEMA, {"slug": "contact_v2", "name": "The source's"})
    names = {"design": DESIGN_KEY.id, "schema": "contact_v2", "text": "see contact_v2"}
    world.source.add(JOURNEY, {"id": JOURNEY_KEY.id, "name": "A", **names})
    world.target.add(SCHEMA, dict(THEIRS))
    return world


def retry(world: SyncWorld, job: Job, **body: Any) -> Job:
    """Ask for a retry as its caller would, and run it."""
    identity = SimpleNamespace(user_id="user-1", expires_at=None)
    intake = JobIntake(
        jobs=world.jobs,
        payloads=world.payloads,
        credentials=world.credentials,
        executions=SimpleNamespace(start=lambda *_: ""),
        known_types=CATALOGUE,
        places=Places(),
        now=world.now(),
        tokens=SimpleNamespace(verify_for_org=lambda *_: identity),
    )
    caller = Caller(org_id=SOURCE_ORG, user_id="user-1", token="own", expires_at=None)
    answer = retry_sync_job(intake, CATALOGUE, caller, job.id, body)
    assert answer["retry_of"] == job.id
    return world.run(answer["id"])


def failed_at_the_schema(world: SyncWorld, *selected: ResourceKey, times: int = 1, **more: Any) -> Job:
    """Run a job, and retries of it, while the target's schemas cannot be read."""
    world.target.fail("list", "schema", REFUSED)
    job = world.run(world.create_job(*selected, **more))
    for _ in range(times - 1):
        job = retry(world, job)
    assert job.status in (JobStatus.PARTIAL, JobStatus.FAILED)
    world.target.failures.clear()
    return job


@pytest.mark.parametrize("times", [1, 2, 3])
def test_what_was_only_reached_by_name_stays_as_it_is_through_a_chain_of_retries(world, times):
    job = retry(world, failed_at_the_schema(world, JOURNEY_KEY, times=times))

    assert job.status is JobStatus.SUCCEEDED
    assert world.rows(job.id)[SCHEMA_KEY].status is RowStatus.SKIPPED
    assert world.target.configs["schema"]["contact_v2"] == THEIRS


@pytest.mark.parametrize("times", [1, 2])
def test_what_was_selected_is_selected_in_a_chain_of_retries(world, times):
    job = retry(world, failed_at_the_schema(world, JOURNEY_KEY, SCHEMA_KEY, times=times))

    assert world.rows(job.id)[SCHEMA_KEY].status is RowStatus.PATCHED
    assert world.target.configs["schema"]["contact_v2"]["name"] == "The source's"


def test_what_was_only_reached_and_has_gone_from_the_source_since_gets_no_row(world):
    world.target.fail("create", "design", REFUSED)
    first = world.run(world.create_job(JOURNEY_KEY))
    world.target.failures.clear()
    del world.source.configs["design"][DESIGN_KEY.id]

    again = retry(world, first)

    assert set(world.rows(again.id)) == {JOURNEY_KEY}


def test_what_any_job_of_the_chain_finished_gets_no_row_again(world):
    world.source.add(FLOW, {"id": "flow-00000001", "name": "F", "journeys": [JOURNEY_KEY.id], "text": DESIGN_KEY.id})
    flow = ResourceKey("flow", "flow-00000001")
    world.target.fail("create", "journey", REFUSED)
    first = world.run(world.create_job(flow))
    world.target.failures.clear()
    world.target.fail("create", "flow", REFUSED)
    second = retry(world, first)
    world.target.failures.clear()
    third = retry(world, second)

    assert set(world.rows(second.id)) == {flow, JOURNEY_KEY}
    assert set(world.rows(third.id)) == {flow}
    assert world.rows(third.id)[flow].status is RowStatus.CREATED


def test_what_was_written_beside_a_row_that_failed_names_it_after_a_retry(world):
    flow = ResourceKey("flow", "flow-00000001")
    world.source.add(FLOW, {"id": flow.id, "name": "F", "journeys": [], "text": f"see {DESIGN_KEY.id}"})
    world.target.fail("create", "design", REFUSED)
    first = world.run(world.create_job(flow))
    world.target.failures.clear()
    assert world.rows(first.id)[flow].status is RowStatus.CREATED

    again = retry(world, first)

    rows = world.rows(again.id)
    assert (again.status, rows[flow].status) == (JobStatus.SUCCEEDED, RowStatus.PATCHED)
    assert world.target.configs["flow"][rows[flow].target_id]["text"] == f"see {rows[DESIGN_KEY].target_id}"


def test_a_version_that_a_retry_bumps_is_pinned_by_what_the_job_before_it_finished(world):
    mapping = ResourceKey("mapping", "mapping-00000001")
    world.source.add(MAPPING, {"id": mapping.id, "name": "M", "version": 7, "journey": JOURNEY_KEY.id})
    world.source.configs["journey"][JOURNEY_KEY.id]["mapping"] = {"id": mapping.id, "version": 7}
    world.target.fail("update", "mapping", REFUSED)
    first = world.run(world.create_job(JOURNEY_KEY))
    world.target.failures.clear()
    statuses = {key: row.status for key, row in world.rows(first.id).items()}
    assert (statuses[JOURNEY_KEY], statuses[mapping]) == (RowStatus.CREATED, RowStatus.FAILED)

    again = retry(world, first)

    assert again.status is JobStatus.SUCCEEDED
    assert set(world.rows(again.id)) == {JOURNEY_KEY, mapping}
    (journey,), (bumped,) = (world.target.configs[name].values() for name in ("journey", "mapping"))
    assert journey["mapping"]["version"] == bumped["version"] == 2


def test_overrides_are_inherited_and_new_ones_merged_over_them(world):
    world.target.fail("create", "journey", REFUSED)
    world.source.add(JOURNEY, {"id": "journey-00000002", "name": "B", "design": DESIGN_KEY.id, "extra": 1})
    other = ResourceKey("journey", "journey-00000002")
    failed = world.run(
        world.create_job(other, overrides={str(other): {"name": "Over", "more": {"a": 1, "b": 2}, "extra": None}})
    )
    more = {str(other): {"more": {"b": 3}, "secret": "never kept"}}
    failed = retry(world, failed, payload_overrides=more, target_auth_token="fresh")
    world.target.failures.clear()
    done = retry(world, failed)

    row = world.rows(done.id)[other]
    written = world.target.configs["journey"][row.target_id]
    assert (written["name"], written["more"], "extra" in written) == ("Over", {"a": 1, "b": 3}, False)
    assert "never kept" not in str(world.payloads.values)


def test_a_job_that_was_not_planned_is_done_again_whole_with_its_overrides(world):
    world.expired.add("source")
    first = world.run(world.create_job(JOURNEY_KEY, overrides={str(JOURNEY_KEY): {"name": "Over"}}))
    assert (first.status, first.planned) == (JobStatus.FAILED, False)
    world.expired.clear()

    done = retry(world, first)

    assert world.target.configs["journey"][world.rows(done.id)[JOURNEY_KEY].target_id]["name"] == "Over"


@pytest.mark.parametrize("gone", [request_key(SOURCE_ORG, "job-1"), source_key(SOURCE_ORG, "job-1", "closure")])
def test_a_job_of_which_nobody_knows_any_more_what_was_selected_is_not_retried(world, gone):
    job = failed_at_the_schema(world, JOURNEY_KEY)
    del world.payloads.values[gone]

    with pytest.raises(ConflictError, match="few days"):
        retry(world, job)
