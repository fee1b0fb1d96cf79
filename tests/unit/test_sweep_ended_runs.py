from dataclasses import dataclass, field

import pytest

from shared.domain.index_state import IndexStanding, IndexState
from shared.domain.job import JobKind, RunningJob
from shared.use_cases.sweep_ended_runs import LOST, UNSTARTED_S, JobsOfAKind, Sweep, sweep_ended_runs

NOW = 10_000_000.0


@dataclass
class Runs:
    """Jobs of a kind with what became of their executions."""

    kind: JobKind
    jobs: list = field(default_factory=list)
    statuses: dict = field(default_factory=dict)
    closed: list = field(default_factory=list)
    unclosable: set = field(default_factory=set)

    def add(self, job_id, status, age_s=60.0):
        self.jobs.append(RunningJob(org_id=f"org-of-{job_id}", id=job_id, kind=self.kind, started_at=NOW - age_s))
        self.statuses[job_id] = status

    def list_running(self):
        return self.jobs

    def find_status(self, job_id):
        return self.statuses[job_id]

    def close(self, event):
        if event["job_id"] in self.unclosable:
            raise RuntimeError("Lambda is away.")
        self.closed.append(event)

    def as_kind(self):
        return JobsOfAKind(jobs=self, executions=self, close=self.close)


@dataclass
class Credentials:
    """Remembers whose tokens were deleted."""

    deleted: list = field(default_factory=list)

    def delete(self, run_id):
        self.deleted.append(run_id)


@dataclass
class World:
    """Jobs and builds, and what a sweep does to them."""

    sync: Runs = field(default_factory=lambda: Runs(JobKind.SYNC))
    delete: Runs = field(default_factory=lambda: Runs(JobKind.DELETE))
    standings: list = field(default_factory=list)
    states: dict = field(default_factory=dict)
    restarted: list = field(default_factory=list)
    may_restart: bool = False
    failed: list = field(default_factory=list)
    credentials: Credentials = field(default_factory=Credentials)
    swept: list = field(default_factory=list)
    told: list = field(default_factory=list)

    def add_build(self, org_id, standing_lease, **state):
        standing = {"org_id": org_id, "status": "building", "size": "", "started_at": 0.0, "succeeded_at": None}
        self.standings.append(IndexStanding(**standing, lease_until=standing_lease))
        known = {"build_token": f"build-of-{org_id}", "status": "building", "lease_until": standing_lease}
        self.states[org_id] = IndexState(**(known | state))

    def sweep(self):
        return sweep_ended_runs(
            Sweep(
                kinds=[self.sync.as_kind(), self.delete.as_kind()],
                builds=self,
                restart_build=self.restart,
                credentials=self.credentials,
                count=lambda name, value: self.swept.append((name, value)),
                tell=lambda message, **fields: self.told.append((message, fields)),
                now=NOW,
            )
        )

    def list_building(self):
        return self.standings

    def find_state(self, org_id):
        return self.states.get(org_id)

    def restart(self, org_id):
        if self.may_restart:
            self.restarted.append(org_id)
        return self.may_restart

    def fail_build(self, *what):
        self.failed.append(what)


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize("kind", ["sync", "delete"])
@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])
def test_a_job_whose_execution_has_ended_is_closed_by_its_machines_last_step(world, kind, status):
    runs = getattr(world, kind)
    runs.add("job-1", status)

    assert world.sweep() == {"status": "done", "code": ""}
    assert runs.closed == [{"org_id": "org-of-job-1", "job_id": "job-1"}]
    assert world.told == [
        ("Ended job is closed", {"org_id": "org-of-job-1", "job_id": "job-1", "kind": kind, "execution": status})
    ]


def test_what_runs_is_left_alone_however_slow(world):
    world.sync.add("job-1", "RUNNING", age_s=20 * 3600)
    world.delete.add("job-2", "RUNNING", age_s=20 * 3600)
    world.add_build("org-1", NOW + 1)

    world.sweep()

    assert (world.sync.closed, world.delete.closed, world.failed) == ([], [], [])
    assert sum(number for _, number in world.swept) == 0


@pytest.mark.parametrize(("age_s", "closed"), [(UNSTARTED_S - 1, 0), (UNSTARTED_S, 1)])
def test_a_job_that_was_never_started_is_closed_a_quarter_of_an_hour_after_its_mark(world, age_s, closed):
    world.sync.add("job-1", None, age_s=age_s)

    world.sweep()

    assert len(world.sync.closed) == closed


def test_a_build_that_nobody_works_on_any_more_is_failed_and_its_token_deleted(world):
    world.add_build("org-1", NOW)

    world.sweep()

    assert world.failed == [("org-1", "build-of-org-1", LOST)]
    assert world.credentials.deleted == ["build-of-org-1"]
    assert sum(number for _, number in world.swept) == 1


def test_a_lost_build_is_started_again_where_it_may_be_and_then_not_failed(world):
    world.may_restart = True
    world.add_build("org-1", NOW)

    world.sweep()

    assert (world.restarted, world.failed, world.credentials.deleted) == (["org-1"], [], [])
    assert sum(number for _, number in world.swept) == 1


@pytest.mark.parametrize("state", [{"status": "ready"}, {"lease_until": NOW + 900}])
def test_a_build_that_has_come_on_since_its_standing_was_read_is_left_alone(world, state):
    world.may_restart = True
    world.add_build("org-1", NOW - 1, **state)

    world.sweep()

    assert (world.restarted, world.failed, world.credentials.deleted) == ([], [], [])


def test_a_run_that_cannot_be_closed_holds_up_no_other_and_is_told(world):
    world.sync.add("job-1", "FAILED")
    world.sync.unclosable.add("job-1")
    world.sync.add("job-2", "FAILED")
    world.add_build("org-1", NOW - 1)

    with pytest.raises(RuntimeError):
        world.sweep()

    assert [event["job_id"] for event in world.sync.closed] == ["job-2"]
    assert len(world.failed) == 1


def test_that_nothing_had_to_be_swept_is_a_figure_too(world):
    world.sweep()

    assert world.swept == [("RunsSwept", 0)]
