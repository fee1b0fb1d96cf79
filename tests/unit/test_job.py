import heapq
from unittest.mock import Mock, call

import pytest

from shared.domain.errors import DownstreamUnavailableError, StorageThrottledError
from shared.domain.job import COUNTERS, Job, JobStatus, final_status, iso_time, phase_durations
from shared.domain.resource_type import ResourceKey
from shared.domain.row import Phase, Row, RowError, RowStatus, Work, count_change, sample_errors
from shared.use_cases.jobs.step import StepInput, pace, run_noting_progress


def row(source_id, status=RowStatus.FAILED, **more):
    return Row(
        key=ResourceKey("journey", source_id), title="", status=status, phase=Phase.CREATE, action="create", **more
    )


def counts(**numbers):
    return {**dict.fromkeys(COUNTERS, 0), **numbers}


@pytest.mark.parametrize(
    ("numbers", "interrupted", "status"),
    [
        ({"succeeded": 2, "skipped_unchanged": 1}, False, JobStatus.SUCCEEDED),
        ({"succeeded": 1, "failed": 1}, False, JobStatus.PARTIAL),
        ({"failed": 2}, False, JobStatus.FAILED),
        ({"failed": 1, "pending": 1}, False, JobStatus.PARTIAL),
        ({"succeeded": 1, "pending": 1}, False, JobStatus.PARTIAL),
        ({"succeeded": 1, "in_progress": 1}, False, JobStatus.PARTIAL),
        ({"pending": 3}, True, JobStatus.PARTIAL),
        ({"succeeded": 3}, True, JobStatus.PARTIAL),
        ({}, True, JobStatus.FAILED),
        ({}, False, JobStatus.SUCCEEDED),
    ],
)
def test_a_job_ends_by_what_became_of_its_rows(numbers, interrupted, status):
    assert final_status(counts(**numbers), interrupted=interrupted) is status


@pytest.mark.parametrize("status", RowStatus)
def test_every_row_status_adds_to_one_counter(status):
    assert status.counted_as in COUNTERS


def test_a_transition_inside_one_counter_changes_nothing():
    assert count_change(row("a", RowStatus.IN_PROGRESS), row("a", RowStatus.IN_PROGRESS)) == {}
    assert count_change(row("a", RowStatus.IN_PROGRESS), row("a", RowStatus.CREATED)) == {
        "in_progress": -1,
        "succeeded": 1,
    }


def test_the_next_work_is_the_first_that_is_left_of_an_open_row():
    left = (Work.PATCH, Work.VERIFY)

    assert row("a", RowStatus.IN_PROGRESS, left=left).next_work is Work.PATCH
    assert row("a", RowStatus.FAILED, left=left).next_work is None
    assert row("a", RowStatus.CREATED).next_work is None


def test_errors_are_sampled_root_causes_first_and_at_most_twenty():
    root = ResourceKey("journey", "z")
    rows = [row(f"d{n:02}", error=RowError("DEPENDENCY_FAILED", "It needs z.", root)) for n in range(30)]
    rows += [
        row("z", error=RowError("DOWNSTREAM_REJECTED", "Refused.")),
        row("w", RowStatus.CREATED, leftovers=("id",)),
    ]

    sample = sample_errors(rows)

    assert len(sample) == 20
    assert sample[0] == {"type": "journey", "source_id": "z", "error": "DOWNSTREAM_REJECTED: Refused."}
    assert sample_errors(rows[-2:])[-1]["source_id"] == "w"


def test_times_are_utc_with_milliseconds():
    assert iso_time(1_772_352_000.1239) == "2026-03-01T08:00:00.123Z"


def job_begun_at(started, **entered):
    fields = {"id": "job-1", "org_id": "org-a", "user_id": "u", "name": "", "status": JobStatus.IN_PROGRESS}
    sides = {"direction": "push", "source_org_id": "org-a", "target_org_id": "org-b"}
    asked = {"dry_run": False, "include_dependencies": True, "match": "heuristic", "started_at": iso_time(started)}
    return Job(**fields, **sides, **asked, entered=entered)


def test_a_phase_lasts_until_the_next_one_that_had_work_or_the_end():
    job = job_begun_at(1000, phase_0=1000.5, phase_a=1010.0, finalize=1060.5)

    assert phase_durations(job, 1070.0) == {Phase.FETCH_AND_PLAN: 10.0, Phase.CREATE: 50.5, Phase.FINALIZE: 9.5}


def test_a_dry_run_is_all_fetching_and_planning():
    assert phase_durations(job_begun_at(1000), 1012.0) == {Phase.FETCH_AND_PLAN: 12.0}


def ports_of_a_job_that_waited(times):
    ports = Mock()
    ports.jobs.note_wait.return_value = times
    return ports


TASK = StepInput(org_id="org-a", job_id="job-1", execution_id="e", deadline=0.0)


@pytest.mark.parametrize(("status", "noted"), [("done", 1), ("more", 1), ("wait", 0), ("failed", 0)])
def test_only_a_step_that_came_to_something_is_progress(status, noted):
    ports = ports_of_a_job_that_waited(1)
    answer = {"status": status, "wait_seconds": 7}

    assert run_noting_progress(lambda *_: answer, TASK, ports) == answer
    assert ports.jobs.note_progress.call_args_list == [call("org-a", "job-1")] * noted


@pytest.mark.parametrize(("waits", "asked", "waited"), [(1, 2, 2), (1, 60, 60), (200, 2, 105), (500, 2, 1200)])
def test_the_more_often_a_job_has_waited_the_longer_it_waits(waits, asked, waited):
    ports = ports_of_a_job_that_waited(waits)

    assert run_noting_progress(lambda *_: {"status": "wait", "wait_seconds": asked}, TASK, ports) == {
        "status": "wait",
        "wait_seconds": waited,
    }


@pytest.mark.parametrize(("waits", "asked", "waited"), [(1, None, 5), (1, 9, 9), (300, None, 760)])
def test_a_step_that_could_not_work_waits_as_long(waits, asked, waited):
    def step(*_):
        raise DownstreamUnavailableError("Away.", retry_after=asked)

    with pytest.raises(DownstreamUnavailableError) as raised:
        run_noting_progress(step, TASK, ports_of_a_job_that_waited(waits))
    assert raised.value.retry_after == pytest.approx(waited, abs=1)


def test_a_wait_that_cannot_be_counted_is_the_one_that_was_asked_for():
    ports = Mock()
    ports.jobs.note_wait.side_effect = StorageThrottledError("Busy.")
    answer = {"status": "wait", "wait_seconds": 7}

    assert run_noting_progress(lambda *_: answer, TASK, ports) == answer


def test_a_day_of_waiting_in_eight_branches_leaves_room_in_the_history_for_the_largest_job():
    wakes, turns = [0.0] * 8, 0
    while (now := heapq.heappop(wakes)) < 24 * 3600:
        turns += 1
        heapq.heappush(wakes, now + pace(turns))

    # A turn of a Wait takes 9 events, an iteration of a Map 11; https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
    assert 9 * turns + 11 * 1500 < 25_000
