"""Close what nobody closed: jobs whose execution has ended, builds whose lease has. What runs is left alone.

An end is told by the machine's last step; where that fails, by a rule on the ended execution; where that is lost, here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from shared.domain.index_state import IndexStanding, IndexState
    from shared.domain.job import RunningJob

#: A job is marked before its execution is started: seconds after which nobody will start it any more.
UNSTARTED_S = 15 * 60
RUNNING = "RUNNING"
LOST = "LOST: Nobody works on this build any more."


class Jobs(Protocol):
    """The jobs of one kind."""

    def list_running(self) -> Sequence[RunningJob]:
        """Return those of all organisations that have not ended."""
        ...


class Executions(Protocol):
    """The executions of the state machine that drives jobs of one kind."""

    def find_status(self, job_id: str) -> str | None:
        """Return RUNNING, or how the job's execution ended; None where there is none."""
        ...


class Builds(Protocol):
    """The index builds of all organisations."""

    def list_building(self) -> Sequence[IndexStanding]:
        """Return the indexes whose latest build has not ended."""
        ...

    def find_state(self, org_id: str) -> IndexState | None:
        """Return the build state of an organisation."""
        ...

    def fail_build(self, org_id: str, build_token: str, error: str) -> None:
        """Record why a build failed, if it is the latest one."""
        ...


class Credentials(Protocol):
    """Tokens of runs."""

    def delete(self, run_id: str) -> None:
        """Delete all tokens of a run."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsOfAKind:
    """Jobs, what drives them, and what closes one.

    Attributes:
        close: starts the last step of the machine for a job: `org_id` and `job_id`.
    """

    jobs: Jobs
    executions: Executions
    close: Callable[[Mapping[str, str]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Where runs are, and what closes them.

    Attributes:
        restart_build: starts the lost build of an organisation again; False where it was started again before.
        count: notes a value of a metric: its name, the value, its dimensions by name.
        tell: logs a line: its message and fields.
        now: epoch seconds.
    """

    kinds: Sequence[JobsOfAKind]
    builds: Builds
    restart_build: Callable[[str], bool]
    credentials: Credentials
    count: Callable[..., None]
    tell: Callable[..., None]
    now: float


def sweep_ended_runs(sweep: Sweep) -> Mapping[str, Any]:
    """Close every run that has ended and is not closed; one that cannot be closed does not hold up the others.

    Returns:
        The result of a step.

    Raises:
        Exception: the first that a run met; the next sweep finds it again.
    """
    failures: list[Exception] = []
    # A figure that stays away means that nobody sweeps.
    sweep.count("RunsSwept", 0)
    for close in _closings(sweep):
        try:
            sweep.count("RunsSwept", int(close()))
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)
    if failures:
        raise failures[0]
    return {"status": "done", "code": ""}


def _closings(sweep: Sweep) -> Iterator[Callable[[], bool]]:
    """Yield what closes each run; that returns False where the run is left alone."""
    for of_kind in sweep.kinds:
        for job in of_kind.jobs.list_running():
            yield partial(_close_job, sweep, of_kind, job)
    for standing in sweep.builds.list_building():
        yield partial(_close_build, sweep, standing)


def _close_job(sweep: Sweep, of_kind: JobsOfAKind, job: RunningJob) -> bool:
    status = of_kind.executions.find_status(job.id)
    if status == RUNNING or (status is None and sweep.now - job.started_at < UNSTARTED_S):
        return False
    of_kind.close({"org_id": job.org_id, "job_id": job.id})
    sweep.tell("Ended job is closed", org_id=job.org_id, job_id=job.id, kind=job.kind.value, execution=status)
    return True


def _close_build(sweep: Sweep, standing: IndexStanding) -> bool:
    # A standing is read from an index of the table, which may lag behind.
    state = sweep.builds.find_state(standing.org_id)
    if state is None or not state.is_lost(sweep.now):
        return False
    if sweep.restart_build(standing.org_id):
        sweep.tell("Lost build is started again", org_id=standing.org_id, build=state.build_token)
        return True
    sweep.builds.fail_build(standing.org_id, state.build_token, LOST)
    sweep.credentials.delete(state.build_token)
    sweep.tell("Ended build is closed", org_id=standing.org_id, build=state.build_token)
    return True
