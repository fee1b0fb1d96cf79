from dataclasses import dataclass, field

import pytest

from shared.domain.index_state import INDEX_LIFETIME_S, IndexStanding
from shared.domain.job import JobKind, RunningJob
from shared.use_cases.measure_health import Health, measure_health

NOW = 10_000_000.0
DAY = 86_400


@dataclass
class World:
    """Jobs, indexes and letters, and what is measured of them."""

    sync: list = field(default_factory=list)
    delete: list = field(default_factory=list)
    standings: list = field(default_factory=list)
    letters: list = field(default_factory=list)
    figures: dict = field(default_factory=dict)
    told: list = field(default_factory=list)

    def measure(self):
        health = Health(
            jobs={JobKind.SYNC: Listing(self.sync), JobKind.DELETE: Listing(self.delete)},
            indexes=self,
            letters=Queue(self.letters),
            count=lambda name, value, **dimensions: self.figures.update({(name, *dimensions.values()): value}),
            tell=lambda message, **fields: self.told.append((message, fields)),
            now=NOW,
        )
        assert measure_health(health)["status"] == "done"
        return self.figures

    def told_of(self, wanted):
        return [fields["org_id"] for message, fields in self.told if message == wanted]

    def list_standings(self, since):
        assert since == NOW - INDEX_LIFETIME_S
        return self.standings


@dataclass
class Listing:
    jobs: list

    def list_running(self):
        return self.jobs


@dataclass
class Queue:
    letters: list

    def count(self):
        return len(self.letters)

    def peek(self):
        assert self.letters, "an empty queue is not looked into"
        return self.letters


@dataclass
class Letter:
    sent_at: float
    event: dict
    reason: str = "It broke."


def job(name, age, progress=None):
    progressed_at = None if progress is None else NOW - progress
    return RunningJob(org_id="org-a", id=name, kind=JobKind.SYNC, started_at=NOW - age, progressed_at=progressed_at)


def index(org_id, age, status="ready", size="small", lease=0.0):
    succeeded_at = NOW - age if size else None
    return IndexStanding(
        org_id=org_id,
        status=status,
        size=size,
        started_at=NOW - age - 5,
        lease_until=NOW + lease,
        succeeded_at=succeeded_at,
    )


def test_measures_zeros_where_there_is_nothing():
    figures = World().measure()

    assert set(figures.values()) == {0}
    assert {
        ("RunningJobs", "sync"),
        ("JobSilence", "delete"),
        ("IndexAge", "large"),
        ("DeadLetters",),
    } <= figures.keys()


def test_a_long_job_that_goes_on_is_old_but_not_silent():
    figures = World(sync=[job("long", 7200, progress=30), job("new", 10, progress=5)]).measure()

    assert (figures["RunningJobs", "sync"], figures["RunningJobAge", "sync"]) == (2, 7200)
    assert (figures["JobSilence", "sync"], figures["JobQueueAge", "sync"]) == (30, 0)
    assert figures["RunningJobs", "delete"] == 0


def test_a_silent_job_is_told_by_name():
    world = World(sync=[job("silent", 2000, progress=1200), job("fine", 2000, progress=20)])

    assert world.measure()["JobSilence", "sync"] == 1200
    ((message, fields),) = world.told
    assert message == "Job makes no progress"
    assert fields == {"org_id": "org-a", "job_id": "silent", "kind": "sync", "silent_s": 1200, "age_s": 2000}


def test_a_job_that_no_step_has_begun_waits_and_is_silent():
    figures = World(delete=[job("queued", 400)]).measure()

    assert figures["JobQueueAge", "delete"] == figures["JobSilence", "delete"] == 400


def test_the_oldest_index_counts_in_its_class_whatever_its_latest_build_does():
    figures = World(
        standings=[
            index("a", 3 * DAY),
            index("b", 4 * DAY, status="building", lease=60),
            index("c", 60, size="large"),
            index("d", 90, status="failed", size=""),
        ]
    ).measure()

    assert figures["IndexAge", "small"] == 4 * DAY
    assert figures["IndexAge", "medium"] == 0
    assert figures["IndexAge", "large"] == 60


def test_an_index_fails_where_its_build_failed_or_died():
    world = World(
        standings=[
            index("failed", DAY, status="failed"),
            index("died", 2 * DAY, status="building", lease=-1),
            index("at-work", 3 * DAY, status="building", lease=1),
            index("never", 50, status="failed", size=""),
        ]
    )

    assert world.measure()["IndexesFailing",] == 3
    assert world.figures["FailingIndexAge",] == 2 * DAY
    assert world.told_of("Index fails") == [
        "died",
        "failed",
        "never",
    ]


@pytest.mark.parametrize(("age", "told"), [(5 * DAY, ["a"]), (5 * DAY - 1, [])])
def test_an_index_that_grows_old_is_told_before_the_alarm(age, told):
    world = World(standings=[index("a", age)])
    world.measure()

    assert world.told_of("Index grows old") == told


def test_a_dead_letter_is_told_with_what_it_was_for():
    world = World(letters=[Letter(NOW - 50, {"org_id": "org-a", "build_token": "01KJ"}), Letter(NOW - 70, {})])

    assert world.measure()["DeadLetters",] == 2
    assert world.figures["DeadLetterAge",] == 70
    assert world.told[0] == ("Dead letter", {"org_id": "org-a", "build": "01KJ", "age_s": 50, "reason": "It broke."})
