"""Jobs that write into one organisation at once, one of them delayed at each of its boundaries in turn."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest

from shared.domain.job import JobStatus
from shared.domain.resource_type import ResourceKey
from shared.domain.row import Row, RowStatus
from tests.fakes.beside_world import OTHER_ORG, BesideWorld, Write
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.sync_types import DESIGN, FLOW, JOURNEY, MAPPING, SCHEMA
from tests.fakes.sync_world import SOURCE_ORG

ENTRY = ResourceKey("journey", "journey-00000001")
#: What may become of a row whose target somebody else writes.
DECIDED = {"TARGET_CHANGED", "CONFLICT", "DEPENDENCY_FAILED"}


def plant(repository: FakeConfigRepository, suffix: str, colour: str, *, slug: str = "contact") -> None:
    """Seven resources: journeys in a cycle, with a flow, a mapping whose version they name, a schema."""
    repository.add(SCHEMA, {"slug": slug, "name": "Contact", "colour": colour})
    repository.add(DESIGN, {"id": f"design-{suffix}", "name": "Blue", "colour": colour})
    flow = {"id": f"flow-{suffix}", "name": "Flow", "colour": colour, "journeys": [f"journey-{suffix}1"]}
    repository.add(FLOW, flow)
    mapping = {"id": f"mapping-{suffix}", "name": "Mapping", "colour": colour, "journey": f"journey-{suffix}1"}
    repository.add(MAPPING, mapping | {"version": 7})
    for number, other in ((1, 2), (2, 1)):
        journey = {
            "id": f"journey-{suffix}{number}",
            "name": f"Journey {number}",
            "colour": colour,
            "enabled": True,
            "next": f"journey-{suffix}{other}",
            "flow": f"flow-{suffix}",
            "design": f"design-{suffix}",
            "schema": slug,
            "mapping": {"id": f"mapping-{suffix}", "version": 7},
        }
        repository.add(JOURNEY, journey)


def a_world(at: int) -> BesideWorld:
    world = BesideWorld()
    plant(world.source, "0000000", "ours")
    plant(world.other, "1111111", "theirs")
    world.at = at
    return world


def created(world: BesideWorld, source_org: str = SOURCE_ORG, suffix: str = "0000000") -> str:
    selected = (ResourceKey("journey", f"journey-{suffix}1"), ResourceKey("schema", "contact"))
    return world.create_job(*selected, source_org_id=source_org)


def planned(world: BesideWorld, job_id: str) -> str:
    """Take a job to where its plan stands, without a boundary."""
    at, world.at = world.at, 0
    world.plan(job_id)
    world.at, world.passed = at, 0
    return job_id


def intervals(world: BesideWorld) -> Iterator[tuple[Write, Write]]:
    """Yield pairs of writes of two jobs to the same config, in order of their beginning."""
    for first, second in combinations(sorted(world.writes_seen, key=lambda one: one.began), 2):
        if first.key == second.key and first.job_id != second.job_id:
            yield first, second


def assert_none_overwritten_unseen(world: BesideWorld) -> None:
    """Nobody writes a config while another writes it, nor again once another has written it."""
    for first, second in intervals(world):
        assert first.ended < second.began, (first, second)
        again = [one for one in world.writes_seen if one.key == first.key and one.began > second.began]
        assert [one for one in again if one.job_id == first.job_id] == [], (first, second)


def assert_decided(rows: dict[ResourceKey, Row]) -> None:
    for key, row in rows.items():
        assert row.status not in (RowStatus.PENDING, RowStatus.IN_PROGRESS), key
        assert row.error is None or row.error.code in DECIDED, row.error


def assert_nothing_is_held(world: BesideWorld) -> None:
    assert world.failures == []
    assert [item["sk"] for item in world.client.scan(TableName="LineageTable")["Items"] if "owner" in item] == []


def assert_another_sync_writes_nothing(world: BesideWorld) -> None:
    """The target has as many of each type as the source, and says the same."""
    assert {name: len(configs) for name, configs in world.target.configs.items()} == {
        name: len(configs) for name, configs in world.source.configs.items()
    }
    before = world.writes()
    assert world.run(created(world)).status is JobStatus.SUCCEEDED
    assert world.writes() == before


def delayed_at(boundary: int, *, there_before: bool, plans_meanwhile: bool) -> bool:
    """Run a job from one source, delayed at a boundary while one from another source runs; False where it has ended."""
    world = a_world(boundary)
    if there_before:
        plant(world.target, "9999999", "old")
    first, second = planned(world, created(world)), created(world, OTHER_ORG, "1111111")
    if not plans_meanwhile:
        planned(world, second)
    world.meanwhile = lambda: world.run(second)

    world.run(first)
    reached = world.passed >= boundary
    world.at = 0
    world.run(second)

    for job_id in (first, second):
        assert world.jobs.get_job(SOURCE_ORG, job_id).status.final
        assert_decided(world.rows(job_id))
        assert world.counts(job_id) == world.counts_of_rows(job_id)
    assert_none_overwritten_unseen(world)
    # What was planned before the other job wrote is not written after it.
    assert plans_meanwhile or list(intervals(world)) == []
    assert_nothing_is_held(world)
    return reached


@pytest.mark.parametrize("plans_meanwhile", [True, False])
@pytest.mark.parametrize("there_before", [True, False])
def test_two_sources_of_one_target_never_overwrite_each_other_unseen(there_before: bool, plans_meanwhile: bool) -> None:
    boundary = 1
    while delayed_at(boundary, there_before=there_before, plans_meanwhile=plans_meanwhile):
        boundary += 1
    assert boundary > 80


def deleted_at(boundary: int) -> bool:
    """Run a job, delayed at a boundary while a delete job takes what it writes; False where it has ended."""
    world = a_world(boundary)
    plant(world.target, "9999999", "old")
    first = planned(world, created(world))
    doomed = [ResourceKey(name, one) for name, configs in world.target.configs.items() for one in configs]
    deletion = world.delete(*doomed)
    world.meanwhile = lambda: world.run_deletion(deletion)

    world.run(first)
    reached = world.passed >= boundary
    world.at = 0
    assert world.run_deletion(deletion).status is JobStatus.SUCCEEDED

    assert_decided(world.rows(first))
    assert {row.status for row in world.deletion_rows(deletion).values()} == {RowStatus.DELETED}
    assert {ResourceKey(n, one) for n, configs in world.target.configs.items() for one in configs}.isdisjoint(doomed)
    assert_none_overwritten_unseen(world)
    assert_nothing_is_held(world)
    assert world.run(created(world)).status is JobStatus.SUCCEEDED
    assert {len(configs) for configs in world.target.configs.values()} == {1, 2}
    return reached


def test_a_delete_job_beside_a_sync_leaves_every_row_decided_and_the_next_sync_makes_all_anew() -> None:
    boundary = 1
    while deleted_at(boundary):
        boundary += 1
    assert boundary > 80


def colours(world: BesideWorld) -> set[str]:
    return {one["colour"] for configs in world.target.configs.values() for one in configs.values()}


def older_beside_newer(boundary: int, *, there_before: bool) -> bool:
    """Delay a job at a boundary while another writes a newer version of the source; False where it has ended."""
    world = a_world(boundary)
    if there_before:
        plant(world.target, "9999999", "old")
    first = planned(world, created(world))
    plant(world.source, "0000000", "newer")
    second = created(world)
    world.meanwhile = lambda: world.run(second)

    world.run(first)
    reached = world.passed >= boundary
    world.at = 0
    world.run(second)
    assert_decided(world.rows(first))
    assert_decided(world.rows(second))
    assert_nothing_is_held(world)
    if colours(world) != {"newer"}:
        assert world.run(created(world)).status is JobStatus.SUCCEEDED

    assert colours(world) == {"newer"}
    assert_another_sync_writes_nothing(world)
    return reached


@pytest.mark.parametrize("there_before", [True, False])
def test_what_an_older_job_wrote_over_a_newer_one_is_mended_by_the_next_sync(there_before: bool) -> None:
    boundary = 1
    while older_beside_newer(boundary, there_before=there_before):
        boundary += 1
    assert boundary > 80


def planned_amid(boundary: int, *, there_before: bool, runs: bool) -> bool:
    """Plan a job, or let it run, while another of the same selection is at a boundary; False where that has ended."""
    world = a_world(boundary)
    if there_before:
        plant(world.target, "9999999", "old")
    first, second = planned(world, created(world)), created(world)
    world.meanwhile = lambda: world.run(second) if runs else world.plan(second)

    world.run(first)
    reached = world.passed >= boundary
    world.at = 0
    world.run(second)

    for job_id in (first, second):
        assert world.jobs.get_job(SOURCE_ORG, job_id).status is JobStatus.SUCCEEDED, (boundary, world.rows(job_id))
    assert_nothing_is_held(world)
    assert_another_sync_writes_nothing(world)
    return reached


@pytest.mark.parametrize("runs", [True, False])
@pytest.mark.parametrize("there_before", [True, False])
def test_of_two_jobs_that_say_the_same_at_once_each_leaves_to_the_other_what_that_has_begun(
    there_before: bool, runs: bool
) -> None:
    boundary = 1
    while planned_amid(boundary, there_before=there_before, runs=runs):
        boundary += 1
    assert boundary > 80
