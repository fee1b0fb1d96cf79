"""A delete job dies at every I/O boundary in turn: nothing else is deleted, nothing twice, no row is lost."""

from __future__ import annotations

from collections import Counter

import pytest

from shared.domain.job import JobStatus
from shared.domain.resource_type import ResourceKey
from shared.domain.row import RowStatus
from tests.fakes.delete_world import DeleteWorld
from tests.fakes.mortal_world import After, MortalWorld
from tests.fakes.sync_world import SOURCE_ORG

WAYS: tuple[After, ...] = ("step again", "job retried")

JOURNEYS = [ResourceKey("journey", f"journey-{number:02}") for number in range(12)]
DESIGNS = [ResourceKey("designbuilder", f"design-{number:02}") for number in range(6)]
FILES = [ResourceKey("file", f"file-{number:02}") for number in range(6)]
PROTECTED = ResourceKey("journey", "protected")
NOT_DELETABLE = ResourceKey("access_token", "token-1")
GONE = ResourceKey("tax", "gone-already")
OTHERS = {ResourceKey("journey", "other"), ResourceKey("file", "other")}
SELECTED = [*FILES, *DESIGNS, *JOURNEYS, PROTECTED, NOT_DELETABLE, GONE]
DELETED = {*FILES, *DESIGNS, *JOURNEYS}

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class MortalDeletion(MortalWorld, DeleteWorld):
    """A delete job over three layers, two configs that stay, and one that is gone already."""

    def begin(self) -> str:
        self.add(*DELETED, NOT_DELETABLE, *OTHERS)
        self.add(PROTECTED, protected=True)
        self.index.uses = [
            *((journey, DESIGNS[number % 6]) for number, journey in enumerate(JOURNEYS)),
            *((design, FILES[number]) for number, design in enumerate(DESIGNS)),
            (ResourceKey("journey", "other"), FILES[0]),
        ]
        return self.delete(*SELECTED)


def run_to_the_end(world: MortalDeletion) -> list[str]:
    """Run the job, ask once more where not every row was settled, and return the ids of the jobs."""
    jobs = [world.job_id]
    if world.run(world.job_id).status is not JobStatus.SUCCEEDED:
        assert world.after != "step again"
        assert world.jobs.get_job(SOURCE_ORG, world.job_id).planned or world.repository.deleted == []
        assert_every_row_is_accounted_for(world, world.job_id)
        jobs.append(world.delete(*SELECTED))
        assert world.run(jobs[-1]).status is JobStatus.SUCCEEDED
    return jobs


def assert_every_row_is_accounted_for(world: MortalDeletion, job_id: str) -> None:
    job, rows = world.jobs.get_job(SOURCE_ORG, job_id), world.rows(job_id)
    assert job.status.final
    if not job.planned:
        assert job.status is JobStatus.FAILED
        return
    assert rows.keys() == set(SELECTED)
    assert world.counts(job_id) == world.counts_of_rows(job_id) == job.counts
    assert not {key for key, row in rows.items() if row.status is RowStatus.DELETED} & world.there()
    unsettled = {key for key, row in rows.items() if row.status.counted_as in ("pending", "in_progress")}
    assert job.status is (JobStatus.PARTIAL if unsettled else JobStatus.SUCCEEDED)


def assert_deleted_once_and_in_order(world: MortalDeletion, jobs: list[str]) -> None:
    assert world.failures == []
    assert Counter(world.repository.deleted) == dict.fromkeys(DELETED, 1)
    assert world.there() == {PROTECTED, NOT_DELETABLE, *OTHERS}
    at = {key: number for number, key in enumerate(world.repository.deleted)}
    assert all(at[user] < at[used] for user, used in world.index.uses if user in at)
    rows = {key: row.status for key, row in world.rows(jobs[-1]).items()}
    assert rows == dict.fromkeys(SELECTED, RowStatus.DELETED) | dict.fromkeys(
        (PROTECTED, NOT_DELETABLE), RowStatus.SKIPPED
    )
    for job_id in jobs:
        assert_every_row_is_accounted_for(world, job_id)
    items = world.client.scan(TableName="SyncJobsTable")["Items"]
    assert [one for one in items if "lease_until" in one or one["pk"] == "RUNNING#delete"] == []
    assert world.credentials.tokens == {}
    # At least once: again where the job died when its end was told.
    assert {detail["id"] for _, detail in world.published} == set(jobs)
    assert jobs[-1] in world.rebuilt


def kill_at(boundary: int, after: After) -> str:
    """Let a job die at a boundary and return what it was; empty where the job ends before it is reached."""
    world = MortalDeletion(boundary, after)
    try:
        assert_deleted_once_and_in_order(world, run_to_the_end(world))
    except AssertionError as error:
        raise AssertionError(f"It died at boundary {boundary} ({world.died_at}), {after}: {error}") from error
    return world.died_at


@pytest.mark.parametrize("after", WAYS)
def test_a_delete_job_that_dies_at_any_boundary_ends_right(after: After) -> None:
    died: Counter[str] = Counter()
    while what := kill_at(died.total() + 1, after):
        died[what] += 1

    assert died.total() > 60
    assert {f"DeleteBatch: target delete_config, {what}" for what in ("sent", "answered")} <= died.keys()
