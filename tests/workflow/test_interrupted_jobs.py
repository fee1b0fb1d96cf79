"""Jobs that lose answers, processes, tokens or races: nothing is created twice, every row is accounted for."""

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from shared.domain.errors import (
    CredentialsExpiredError,
    DownstreamRejectedError,
    DownstreamUnavailableError,
    UnknownOutcomeError,
)
from shared.domain.job import JobStatus
from shared.domain.ports.configs import WrittenConfig
from shared.domain.resource_type import ResourceKey
from shared.domain.row import RowStatus
from shared.use_cases.writing import job_guard
from tests.fakes.sync_types import DESIGN, FLOW, JOURNEY, MAPPING, SCHEMA
from tests.fakes.sync_world import SOURCE_ORG, ProcessDiedError, SyncWorld

ENTRY = ResourceKey("journey", "journey-00000001")


@pytest.fixture
def guard_asks_always(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step hears of a cancellation before its next write, not within the second after it."""
    monkeypatch.setattr(job_guard, "MAX_AGE_S", -1.0)


def plant_cycle(world: SyncWorld) -> None:
    """Two journeys and a flow in a cycle, with a design: four resources."""
    world.source.add(DESIGN, {"id": "design-00000001", "name": "Blue"})
    world.source.add(FLOW, {"id": "flow-00000001", "name": "Flow", "journeys": ["journey-00000001"]})
    for number, other in ((1, 2), (2, 1)):
        world.source.add(
            JOURNEY,
            {
                "id": f"journey-0000000{number}",
                "name": f"Journey {number}",
                "enabled": True,
                "next": f"journey-0000000{other}",
                "flow": "flow-00000001",
                "design": "design-00000001",
            },
        )


def names_on_target(world: SyncWorld) -> Counter[str]:
    return Counter(payload["name"] for configs in world.target.configs.values() for payload in configs.values())


def assert_complete(world: SyncWorld, job_id: str) -> None:
    assert set(names_on_target(world).values()) == {1}
    assert len(names_on_target(world)) == 4
    assert world.counts(job_id) == world.counts_of_rows(job_id)
    ids = {row.key.id: row.target_id for row in world.rows(job_id).values()}
    journeys = world.target.configs["journey"]
    assert journeys[ids["journey-00000001"]]["next"] == ids["journey-00000002"]
    assert journeys[ids["journey-00000002"]]["next"] == ids["journey-00000001"]
    assert all(journey["enabled"] for journey in journeys.values())


def lose_answers(world: SyncWorld, type_name: str, times: int = 1) -> None:
    """The next creates of a type are done, and their answers lost."""
    create, left = world.target.create_config, [times]

    def losing(resource_type: Any, *more: Any, **named: Any) -> Any:
        written = create(resource_type, *more, **named)
        if resource_type.name == type_name and left[0]:
            left[0] -= 1
            raise UnknownOutcomeError("The answer was lost.")
        return written

    world.target.create_config = losing


def lose_requests(world: SyncWorld, type_name: str, times: int, **outcome: bool) -> list[float]:
    """The next creates of a type are not done, and their outcome unknown; returns when which was sent."""
    create, sent = world.target.create_config, []

    def losing(resource_type: Any, *more: Any, **named: Any) -> Any:
        if resource_type.name == type_name:
            sent.append(world.now())
            if len(sent) <= times:
                raise UnknownOutcomeError("The request was lost.", **outcome)
        return create(resource_type, *more, **named)

    world.target.create_config = losing
    return sent


def test_a_create_whose_answer_is_lost_is_adopted_and_not_sent_again(world: SyncWorld) -> None:
    plant_cycle(world)
    lose_answers(world, "journey", times=2)

    job = world.run(job_id := world.create_job(ENTRY))

    assert job.status is JobStatus.SUCCEEDED
    assert world.target.calls["create", "journey"] == 2
    assert_complete(world, job_id)


@pytest.mark.parametrize(("outlived", "seconds", "last_look"), [(False, 3.5, 5), (True, 15, 65)])
def test_a_create_that_was_not_done_is_sent_again_the_later_the_longer_it_may_go_on(
    world: SyncWorld, outlived: bool, seconds: float, last_look: int
) -> None:
    plant_cycle(world)
    sent = lose_requests(world, "flow", times=1, outlived=outlived)

    job_id = world.create_job(ENTRY)
    assert world.run(job_id).status is JobStatus.SUCCEEDED
    assert seconds <= sent[1] - sent[0]
    # What it may have made beside is looked for when the latest commit is through.
    assert last_look <= world.now() - sent[0]
    # Seconds that pass while the test runs are not slept.
    assert world.skipped_s <= last_look + 1  # it is kept in whole seconds
    assert_complete(world, job_id)


@pytest.mark.parametrize(("ended", "times", "seconds"), [(True, 1, 1), (True, 3, 1 + 2 + 8), (False, 2, 3.5 + 7)])
def test_a_create_is_sent_again_the_sooner_where_the_api_said_that_it_failed(
    world: SyncWorld, ended: bool, times: int, seconds: float
) -> None:
    plant_cycle(world)
    sent = lose_requests(world, "flow", times=times, ended=ended)

    job_id = world.create_job(ENTRY)
    assert world.run(job_id).status is JobStatus.SUCCEEDED
    assert seconds <= sent[-1] - sent[0]
    assert world.skipped_s <= seconds + 1
    assert_complete(world, job_id)


def test_a_create_that_never_shows_is_given_up_after_six_times_and_only_then(world: SyncWorld) -> None:
    plant_cycle(world)
    sent = lose_requests(world, "flow", times=100)

    job_id = world.create_job(ENTRY)
    assert world.run(job_id).status is JobStatus.PARTIAL
    row = world.rows(job_id)[ResourceKey("flow", "flow-00000001")]
    assert str(row.error).startswith("UNKNOWN_OUTCOME: Its create was sent 6 times")
    pauses = [later - earlier for earlier, later in pairwise(sent)]
    assert len(pauses) == 5
    assert all(pause >= wanted for pause, wanted in zip(pauses, (3.5, 7, 28, 112, 120), strict=True)), pauses
    assert {(name, answer["code"]) for name, answer in world.steps} >= {("SyncBatch", "OUTCOME_OPEN")}


def test_a_create_that_is_open_holds_nobody_up_that_does_not_need_it(world: SyncWorld) -> None:
    plant_cycle(world)
    world.source.add(DESIGN, *({"id": f"design-1000000{n}", "name": f"Design {n}"} for n in range(9)))
    create, created = world.target.create_config, {}

    def losing(resource_type: Any, payload: Any, *more: Any, **named: Any) -> Any:
        if resource_type.name == "flow" and "Flow" not in created:
            created["Flow"] = 0.0
            raise UnknownOutcomeError("The answer was lost.")
        created[payload["name"]] = world.skipped_s
        return create(resource_type, payload, *more, **named)

    world.target.create_config = losing

    others = [ResourceKey("design", f"design-1000000{n}") for n in range(9)]
    assert world.run(world.create_job(ENTRY, *others)).status is JobStatus.SUCCEEDED
    assert {created[f"Design {n}"] for n in range(9)} == {0.0}
    # Seconds that pass while the test runs are not slept.
    assert created["Flow"] > 2


def test_a_create_that_is_refused_since_its_lost_one_came_late_is_what_that_made(world: SyncWorld) -> None:
    world.source.add(SCHEMA, {"slug": "customer", "name": "Customer"})
    create, lost = world.target.create_config, []

    def losing(resource_type: Any, *more: Any, **named: Any) -> Any:
        if not lost:
            lost.append(named)
            raise UnknownOutcomeError("The answer was lost.")
        create(resource_type, *more, **named)
        raise DownstreamRejectedError("409: the slug exists already.")

    world.target.create_config = losing

    job = world.run(job_id := world.create_job(ResourceKey("schema", "customer")))

    [row] = world.rows(job_id).values()
    assert (job.status, row.status, row.target_id) == (JobStatus.SUCCEEDED, RowStatus.CREATED, "customer")


def test_a_second_one_that_a_create_made_late_is_reported_with_both_ids(world: SyncWorld) -> None:
    plant_cycle(world)
    create, late = world.target.create_config, []

    def lost(resource_type: Any, *more: Any, **named: Any) -> Any:
        if resource_type.name == "flow" and not late:
            late.append((resource_type, *more))
            raise UnknownOutcomeError("The answer was lost.")
        if resource_type.name == "journey" and len(late) == 1:
            late.append(create(*late[0]).id)
        return create(resource_type, *more, **named)

    world.target.create_config = lost

    job = world.run(job_id := world.create_job(ENTRY))

    assert job.status is JobStatus.SUCCEEDED
    row = world.rows(job_id)[ResourceKey("flow", "flow-00000001")]
    assert (row.status, row.sends, row.doubles) == (RowStatus.CREATED, 2, (late[1],))
    [said] = [entry["error"] for entry in job.errors_sample]
    assert said.startswith("DUPLICATE_SUSPECTED: its create was sent 2 times")
    assert late[1] in said
    assert row.target_id in said
    assert said in [event.message for event in world.jobs.list_events(SOURCE_ORG, job_id, 100)]


def test_where_an_api_works_on_behind_its_gateway_the_last_look_waits_for_what_comes_latest(world: SyncWorld) -> None:
    plant_cycle(world)
    create, later = world.target.create_config, []

    def outlived(resource_type: Any, *more: Any, **named: Any) -> Any:
        if resource_type.name == "flow" and not later:
            later.append((world.now() + 60, (resource_type, *more)))
            raise UnknownOutcomeError("The gateway gave up.", outlived=True)
        return create(resource_type, *more, **named)

    def passes(seconds: float) -> None:
        world.skipped_s += seconds
        if later and later[0][0] <= world.now():
            made.append(create(*later.pop()[1]).id)
            later.append((float("inf"), ()))

    made: list[str] = []
    world.target.create_config, world.sleep = outlived, passes

    job = world.run(job_id := world.create_job(ENTRY))

    row = world.rows(job_id)[ResourceKey("flow", "flow-00000001")]
    assert (job.status, row.status, row.doubles) == (JobStatus.SUCCEEDED, RowStatus.CREATED, tuple(made))
    assert [entry["error"].partition(":")[0] for entry in job.errors_sample] == ["DUPLICATE_SUSPECTED"]
    # Seconds that pass while the test runs are not slept.
    assert 40 < world.skipped_s < 75


def test_how_often_a_create_was_sent_outlives_the_step_that_sent_it(world: SyncWorld) -> None:
    plant_cycle(world)
    world.time_left_s = 32.0
    sent = lose_requests(world, "flow", times=3)

    job_id = world.create_job(ENTRY)
    assert world.run(job_id).status is JobStatus.SUCCEEDED
    assert world.rows(job_id)[ResourceKey("flow", "flow-00000001")].sends == 4
    assert [answer["code"] for name, answer in world.steps if name == "SyncBatch"].count("OUTCOME_OPEN") > 3
    assert sent[-1] - sent[0] >= 3.5 + 7 + 28
    assert_complete(world, job_id)


def test_a_create_that_was_done_is_found_again_where_reading_it_back_fails(world: SyncWorld) -> None:
    plant_cycle(world)
    world.source.add(MAPPING, {"id": "mapping-00000001", "name": "Mapping", "journey": "journey-00000001"})
    world.source.configs["journey"]["journey-00000002"]["mapping"] = {"id": "mapping-00000001", "version": 7}
    create, read, left = world.target.create_config, world.target.get_config, [1]

    def without_answer(resource_type: Any, *more: Any, **named: Any) -> Any:
        written = create(resource_type, *more, **named)
        return WrittenConfig(written.id, None) if resource_type.name == "mapping" else written

    def failing(resource_type: Any, *more: Any) -> Any:
        if resource_type.name == "mapping" and left[0]:
            left[0] -= 1
            raise DownstreamUnavailableError("It is not there.")
        return read(resource_type, *more)

    world.target.create_config, world.target.get_config = without_answer, failing

    job = world.run(world.create_job(ENTRY))
    assert job.status is JobStatus.SUCCEEDED, job.errors_sample
    assert left == [0]
    assert len(world.target.configs["mapping"]) == 1


def test_two_new_configs_that_say_the_same_are_never_guessed_between(world: SyncWorld) -> None:
    world.source.add(DESIGN, {"id": "design-00000001", "name": "Blue"})
    create = world.target.create_config

    def twice(*args: Any, **named: Any) -> Any:
        create(*args, **named)
        create(*args, **named)
        raise UnknownOutcomeError("The answer was lost.")

    world.target.create_config = twice

    job = world.run(job_id := world.create_job(ResourceKey("design", "design-00000001")))

    [row] = world.rows(job_id).values()
    assert (job.status, row.status) == (JobStatus.FAILED, RowStatus.FAILED)
    assert str(row.error).startswith("UNKNOWN_OUTCOME: ")


@pytest.mark.parametrize("died_at", range(1, 5))
def test_a_process_that_dies_after_a_create_leaves_nothing_that_is_created_twice(
    world: SyncWorld, died_at: int
) -> None:
    plant_cycle(world)
    create, creates = world.target.create_config, []

    def dying(*args: Any, **named: Any) -> Any:
        if world.client.dead:
            raise ProcessDiedError
        written = create(*args, **named)
        creates.append(written)
        if len(creates) == died_at:
            world.client.die()
        return written

    world.target.create_config = dying

    job = world.run(job_id := world.create_job(ENTRY))

    assert world.deaths == 1
    assert job.status is JobStatus.SUCCEEDED
    assert_complete(world, job_id)


def test_a_job_that_dies_at_any_storage_call_ends_right_all_the_same(world: SyncWorld) -> None:
    plant_cycle(world)
    job_id = world.create_job(ENTRY)
    rng = random.Random(5)

    def die_sometimes(_name: str) -> None:
        if rng.random() < 0.05:
            world.client.die()

    world.client.before_call = die_sometimes

    job = world.run(job_id)

    world.client.before_call = lambda _name: None
    assert world.deaths > 3
    assert job.status is JobStatus.SUCCEEDED
    assert_complete(world, job_id)


def test_transactions_that_meet_conflicts_are_repeated_and_counted_once(world: SyncWorld) -> None:
    plant_cycle(world)
    rng = random.Random(3)

    def conflict(name: str) -> None:
        if name == "transact_write_items" and rng.random() < 0.3:
            reasons = [{"Code": "TransactionConflict"}, {"Code": "None"}]
            answer = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(answer, "TransactWriteItems")

    job_id = world.create_job(ENTRY)
    world.client.before_call = conflict

    assert world.run(job_id).status is JobStatus.SUCCEEDED
    assert_complete(world, job_id)


def test_a_refused_resource_fails_its_dependents_with_the_root_cause(world: SyncWorld) -> None:
    plant_cycle(world)
    world.target.fail("create", "design", DownstreamRejectedError("The design API refused it."))

    job = world.run(job_id := world.create_job(ENTRY))

    rows = world.rows(job_id)
    assert rows[ResourceKey("design", "design-00000001")].error.code == "DOWNSTREAM_REJECTED"
    error = rows[ENTRY].error
    assert (error.code, error.root) == ("DEPENDENCY_FAILED", ResourceKey("design", "design-00000001"))
    assert job.errors_sample[0]["type"] == "design"
    assert job.status is JobStatus.FAILED
    assert world.counts(job_id) == world.counts_of_rows(job_id)


def test_a_retry_takes_up_what_failed_and_resolves_the_rest_through_lineage(world: SyncWorld) -> None:
    plant_cycle(world)
    world.target.fail("create", "flow", DownstreamRejectedError("The flow API refused it."))
    first = world.create_job(ENTRY)
    world.run(first)
    del world.target.failures["create", "flow"]
    scope = [key for key, row in world.rows(first).items() if row.status.unresolved]
    finished = [list(key) for key, row in world.rows(first).items() if not row.status.unresolved]

    second = world.create_job(*scope, finished=finished)
    job = world.run(second)

    assert job.status is JobStatus.SUCCEEDED
    assert ResourceKey("design", "design-00000001") not in world.rows(second)
    assert world.target.calls["create", "design"] == 1
    assert set(names_on_target(world).values()) == {1}


def test_an_api_that_is_not_there_for_a_while_only_delays_the_job(world: SyncWorld) -> None:
    plant_cycle(world)
    create, failures = world.target.create_config, [3]

    def flaky(*args: Any, **named: Any) -> Any:
        if failures[0]:
            failures[0] -= 1
            raise DownstreamUnavailableError("It is not there.", retry_after=7)
        return create(*args, **named)

    world.target.create_config = flaky

    job_id = world.create_job(ENTRY)
    assert world.run(job_id).status is JobStatus.SUCCEEDED
    assert_complete(world, job_id)
    assert ("SyncBatch", "wait", 7) in {(name, r["status"], r["wait_seconds"]) for name, r in world.steps}


def test_a_refused_token_ends_the_job_partial_with_rows_left_pending(world: SyncWorld) -> None:
    plant_cycle(world)
    world.target.fail("create", "flow", CredentialsExpiredError("The flow API answered 401."))

    job = world.run(job_id := world.create_job(ENTRY))

    assert job.status is JobStatus.PARTIAL
    assert job.error.code == "CREDENTIALS_EXPIRED"
    assert world.rows(job_id)[ENTRY].status is RowStatus.PENDING
    assert world.counts(job_id) == world.counts_of_rows(job_id)
    assert world.counts(job_id)["failed"] == 0
    assert job_id in world.credentials.limits


@pytest.mark.usefixtures("guard_asks_always")
def test_a_cancelled_job_writes_no_more_and_stays_cancelled(world: SyncWorld) -> None:
    plant_cycle(world)
    create = world.target.create_config
    job_id = world.create_job(ENTRY)

    def cancelling(resource_type: Any, *more: Any, **named: Any) -> Any:
        if resource_type.name == "design":
            world.jobs.cancel_job(SOURCE_ORG, job_id, "2026-01-01T00:00:01.000Z")
        return create(resource_type, *more, **named)

    world.target.create_config = cancelling

    job = world.run(job_id)

    assert job.status is JobStatus.CANCELLED
    assert world.counts(job_id) == world.counts_of_rows(job_id)
    assert world.target.calls["create", "journey"] == 0
    assert world.rows(job_id)[ENTRY].status is RowStatus.PENDING


def test_two_jobs_with_the_same_selection_create_everything_once(world: SyncWorld) -> None:
    plant_cycle(world)
    first, second = world.create_job(ENTRY), world.create_job(ENTRY)
    for job_id in (first, second):
        world.plan(job_id)

    assert world.run(first).status is JobStatus.SUCCEEDED
    assert world.run(second).status is JobStatus.SUCCEEDED

    assert set(names_on_target(world).values()) == {1}
    assert {row.status for row in world.rows(second).values()} == {RowStatus.SKIPPED}


def planned_twice(world: SyncWorld) -> tuple[str, str, dict[str, Any]]:
    """Two jobs that both plan to create the same, and the answer of PlanJob to each."""
    first, second = world.create_job(ENTRY), world.create_job(ENTRY)
    plans = {}
    for job_id in (first, second):
        plans[job_id] = world.plan(job_id)
    return first, second, plans


def test_what_another_job_created_is_waited_for_until_that_job_has_completed_it(world: SyncWorld) -> None:
    plant_cycle(world)
    first, second, plans = planned_twice(world)
    for job_id in (first, second):
        world.step(job_id, "NextBatches")
        assert world.step(job_id, "SyncBatch", batch=1)["status"] == "done"

    early = world.step(second, "VerifyTargets", batch=1)
    assert (early["status"], early["code"]) == ("wait", "BLOCKED")
    assert {row.status for row in world.rows(second).values()} == {RowStatus.IN_PROGRESS}
    world.carry_out(first, plans[first])
    world.finish(first)
    world.carry_out(second, plans[second])

    assert world.finish(second).status is JobStatus.SUCCEEDED
    assert {row.status for row in world.rows(second).values()} == {RowStatus.SKIPPED}
    assert {row.attempt for row in world.rows(second).values()} == {1}
    assert_complete(world, first)
    assert_complete(world, second)


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_what_another_job_created_and_left_half_done_is_no_success_and_a_retry_completes_it(
    world: SyncWorld, steps: int
) -> None:
    plant_cycle(world)
    first, second, plans = planned_twice(world)
    world.step(first, "NextBatches")
    world.step(first, "SyncBatch", batch=1)
    for name in ("PatchReferences", "RunFinalizers")[:steps]:
        world.step(first, name, batch=1)
    world.jobs.cancel_job(SOURCE_ORG, first, "2026-01-01T00:00:01.000Z")
    world.finish(first)

    world.carry_out(second, plans[second])

    assert world.finish(second).status is JobStatus.FAILED
    rows = world.rows(second)
    assert {row.error.code for row in rows.values() if row.error} == {"CONFLICT"}
    assert all(first in row.error.message for row in rows.values() if row.error)
    assert world.counts(second) == world.counts_of_rows(second)
    third = world.create_job(*rows)
    assert world.run(third).status is JobStatus.SUCCEEDED
    assert_complete(world, third)


def test_a_row_that_another_job_holds_is_waited_for_by_the_machine(world: SyncWorld) -> None:
    plant_cycle(world)
    job_id = world.create_job(ENTRY)
    world.plan(job_id)
    world.client.put_item(
        TableName="LineageTable",
        Item={
            "pk": "ORG#target-org",
            "sk": "CLAIM#design#design-00000001#source-org",
            "type": "design",
            "source_id": "design-00000001",
            "owner": "somebody",
            "lease_until": int(world.now()) + 60,
        },
    )
    world.step(job_id, "NextBatches")

    result = world.step(job_id, "SyncBatch", batch=1)

    assert (result["status"], result["code"], result["wait_seconds"]) == ("wait", "BLOCKED", 2)
    assert world.target.calls["create", "design"] == 0
    assert world.rows(job_id)[ENTRY].status is RowStatus.PENDING


def test_a_step_that_runs_short_of_time_hands_back_what_is_left(world: SyncWorld) -> None:
    plant_cycle(world)
    create = world.target.create_config

    def slow(*args: Any, **named: Any) -> Any:
        world.skipped_s += 100
        return create(*args, **named)

    world.target.create_config = slow

    job_id = world.create_job(ENTRY)
    assert world.run(job_id).status is JobStatus.SUCCEEDED
    assert ("SyncBatch", "more") in {(name, result["status"]) for name, result in world.steps}
    assert_complete(world, job_id)


def test_a_step_that_broke_off_again_and_again_fails_its_rows_and_the_job_ends(world: SyncWorld) -> None:
    plant_cycle(world)
    job_id = world.create_job(ENTRY)
    world.plan(job_id)

    world.step(job_id, "RecordFailure", step="SyncBatch", batch=1)

    rows = world.rows(job_id)
    assert {row.error.code for row in rows.values() if row.batch == 1} == {"STEP_FAILED"}
    assert world.finish(job_id).status in (JobStatus.FAILED, JobStatus.PARTIAL)
    assert world.counts(job_id) == world.counts_of_rows(job_id)


@pytest.mark.parametrize("lease_ended", [False, True])
def test_what_a_step_claimed_that_broke_off_for_good_is_free_for_others_though_its_job_runs_on(
    world: SyncWorld, lease_ended: bool
) -> None:
    plant_cycle(world)
    world.run(world.create_job(ENTRY))
    world.source.configs["design"]["design-00000001"]["name"] = "Red"
    first, second, _ = planned_twice(world)
    update = world.target.update_config
    world.target.update_config = lambda *_, **__: world.client.die()  # type: ignore[method-assign]
    world.step(first, "NextBatches")
    with pytest.raises(ProcessDiedError):
        world.step(first, "SyncBatch", batch=1)
    world.client.revive()
    world.target.update_config = update  # type: ignore[method-assign]
    world.skipped_s += 200 * lease_ended

    world.step(first, "RecordFailure", step="SyncBatch", batch=1)

    world.step(second, "NextBatches")
    if not lease_ended:
        assert world.step(second, "SyncBatch", batch=1)["code"] == "BLOCKED"
        world.skipped_s += 200
    assert world.step(second, "SyncBatch", batch=1)["status"] == "done"
    assert world.jobs.get_job(SOURCE_ORG, first).status is JobStatus.IN_PROGRESS
    assert [one["name"] for one in world.target.configs["design"].values()] == ["Red"]


def test_a_create_that_a_broken_step_may_have_sent_stays_claimed_until_its_job_ends(world: SyncWorld) -> None:
    plant_cycle(world)
    first, second, _ = planned_twice(world)
    world.target.create_config = lambda *_, **__: world.client.die()  # type: ignore[method-assign]
    world.step(first, "NextBatches")
    with pytest.raises(ProcessDiedError):
        world.step(first, "SyncBatch", batch=1)
    world.client.revive()

    world.step(first, "RecordFailure", step="SyncBatch", batch=1)

    world.skipped_s += 200
    world.step(second, "NextBatches")
    assert world.step(second, "SyncBatch", batch=1)["code"] == "BLOCKED"


def test_an_id_of_the_source_that_is_left_is_a_warning_and_in_the_sample(world: SyncWorld) -> None:
    plant_cycle(world)
    for configs in world.source.configs.values():
        for config in configs.values():
            config["note"] = "see design-00000001"
    update = world.target.update_config

    def spoiling(resource_type: Any, config_id: str, payload: Any, **named: Any) -> Any:
        return update(resource_type, config_id, {**payload, "note": "see design-00000001"}, **named)

    world.target.update_config = spoiling

    job = world.run(world.create_job(ENTRY))

    assert any("design-00000001" in entry["error"] for entry in job.errors_sample)


@pytest.mark.usefixtures("guard_asks_always")
def test_a_retry_finishes_what_a_cancelled_job_left_half_done(world: SyncWorld) -> None:
    plant_cycle(world)
    first = world.create_job(ENTRY)
    update, cancels = world.target.update_config, [first]

    def cancelling(*args: Any, **named: Any) -> Any:
        if cancels:
            world.jobs.cancel_job(SOURCE_ORG, cancels.pop(), "2026-01-01T00:00:01.000Z")
        return update(*args, **named)

    world.target.update_config = cancelling
    assert world.run(first).status is JobStatus.CANCELLED
    left = {key: row for key, row in world.rows(first).items() if row.status.unresolved}
    assert {row.status for row in left.values()} == {RowStatus.IN_PROGRESS}
    assert not all(journey["enabled"] for journey in world.target.configs["journey"].values())

    finished = [list(key) for key in world.rows(first).keys() - left.keys()]
    second = world.create_job(*left, finished=finished)

    assert world.run(second).status is JobStatus.SUCCEEDED
    assert {row.status for row in world.rows(second).values()} <= {RowStatus.PATCHED, RowStatus.SKIPPED}
    assert set(names_on_target(world).values()) == {1}
    journeys = world.target.configs["journey"]
    assert all(journey["enabled"] for journey in journeys.values())
    assert {journey["next"] for journey in journeys.values()} == set(journeys)


def test_what_is_reached_by_name_only_and_exists_stays_as_it_is(world: SyncWorld) -> None:
    plant_cycle(world)
    theirs = {"slug": "contact", "name": "Their own"}
    world.target.add(SCHEMA, theirs)
    world.source.add(SCHEMA, {"slug": "contact", "name": "Ours"})
    world.source.configs["journey"]["journey-00000001"]["schema"] = "contact"

    assert world.run(world.create_job(ENTRY)).status is JobStatus.SUCCEEDED
    assert world.target.configs["schema"]["contact"] == theirs
    assert world.target.calls["update", "schema"] == 0


def test_a_hand_edit_on_the_target_is_seen_and_patched(world: SyncWorld) -> None:
    plant_cycle(world)
    world.run(world.create_job(ENTRY))
    [design] = world.target.configs["design"].values()
    design["name"] = "Edited by hand"
    before = world.writes()

    second = world.create_job(ENTRY)
    world.run(second)

    assert [key.type for key, row in world.rows(second).items() if row.status is RowStatus.PATCHED] == ["design"]
    assert world.writes() == before + 1
    assert [one["name"] for one in world.target.configs["design"].values()] == ["Blue"]


def test_a_target_that_was_deleted_by_hand_is_created_again(world: SyncWorld) -> None:
    plant_cycle(world)
    world.run(world.create_job(ENTRY))
    world.target.configs["flow"].clear()

    second = world.create_job(ENTRY)

    assert world.run(second).status is JobStatus.SUCCEEDED
    assert world.rows(second)[ResourceKey("flow", "flow-00000001")].status is RowStatus.CREATED
    assert_complete(world, second)
