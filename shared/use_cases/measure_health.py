"""Measure what needs no caller: running jobs, indexes, dead letters. What stands out is told by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from shared.domain.index_state import INDEX_LIFETIME_S, SIZE_CLASSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from shared.domain.index_state import IndexStanding
    from shared.domain.job import JobKind, RunningJob

# A step works for two minutes at most: silence beyond a few of them is worth a look, long before the alarm.
TELL_SILENCE_S = 5 * 60
TELL_INDEX_AGE_S = 5 * 86_400
_MOST_TOLD = 20


class Jobs(Protocol):
    """The jobs of one kind."""

    def list_running(self) -> Sequence[RunningJob]:
        """Return those of all organisations that have not ended."""
        ...


class Indexes(Protocol):
    """The build states of all organisations."""

    def list_standings(self, since: float) -> Sequence[IndexStanding]:
        """Return all that are not ready, and of each size the one ready the longest. Raises StorageThrottledError."""
        ...


class Letter(Protocol):
    """An invocation that failed for good."""

    @property
    def sent_at(self) -> float:
        """Epoch seconds."""
        ...

    @property
    def event(self) -> Mapping[str, Any]:
        """What the function was invoked with."""
        ...

    @property
    def reason(self) -> str:
        """What is known of the failure."""
        ...


class Letters(Protocol):
    """The queue of such invocations."""

    def count(self) -> int:
        """Return how many there are."""
        ...

    def peek(self) -> Sequence[Letter]:
        """Return a few of them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Where figures come from and go to.

    Attributes:
        count: notes a value of a metric: its name, the value, its dimensions by name.
        tell: logs a line: its message and fields.
        now: epoch seconds.
    """

    jobs: Mapping[JobKind, Jobs]
    indexes: Indexes
    letters: Letters
    count: Callable[..., None]
    tell: Callable[..., None]
    now: float


def measure_health(health: Health) -> Mapping[str, Any]:
    """Note every figure, zeros included: a figure that stays away means that nobody measures.

    Returns:
        The result of a step.

    Raises:
        StorageThrottledError: a table is busy.
    """
    for kind, jobs in health.jobs.items():
        _measure_jobs(health, kind, jobs.list_running())
    _measure_indexes(health, health.indexes.list_standings(health.now - INDEX_LIFETIME_S))
    _measure_letters(health)
    return {"status": "done", "code": ""}


def _measure_jobs(health: Health, kind: JobKind, running: Sequence[RunningJob]) -> None:
    silence = {job.id: _since(health, job.progressed_at or job.started_at) for job in running}
    health.count("RunningJobs", len(running), kind=kind.value)
    health.count("RunningJobAge", _longest(_since(health, job.started_at) for job in running), kind=kind.value)
    health.count("JobSilence", _longest(silence.values()), kind=kind.value)
    waiting = (silence[job.id] for job in running if job.progressed_at is None)
    health.count("JobQueueAge", _longest(waiting), kind=kind.value)
    silent = sorted((job for job in running if silence[job.id] >= TELL_SILENCE_S), key=lambda job: -silence[job.id])
    for job in silent[:_MOST_TOLD]:
        health.tell(
            "Job makes no progress",
            org_id=job.org_id,
            job_id=job.id,
            kind=kind.value,
            silent_s=round(silence[job.id]),
            age_s=round(_since(health, job.started_at)),
        )


def _measure_indexes(health: Health, standings: Sequence[IndexStanding]) -> None:
    ages = {standing.org_id: _since(health, standing.succeeded_at or standing.started_at) for standing in standings}
    for size in SIZE_CLASSES:
        health.count("IndexAge", _longest(ages[one.org_id] for one in standings if one.size == size), size=size)
    failing = [one for one in standings if one.fails_at(health.now)]
    health.count("IndexesFailing", len(failing))
    health.count("FailingIndexAge", _longest(ages[one.org_id] for one in failing))
    for message, found in {
        "Index fails": failing,
        "Index grows old": [one for one in standings if one.size and ages[one.org_id] >= TELL_INDEX_AGE_S],
    }.items():
        for one in sorted(found, key=lambda one: -ages[one.org_id])[:_MOST_TOLD]:
            health.tell(message, org_id=one.org_id, status=one.status, age_s=round(ages[one.org_id]))


def _measure_letters(health: Health) -> None:
    number = health.letters.count()
    letters = health.letters.peek() if number else ()
    health.count("DeadLetters", number)
    health.count("DeadLetterAge", _longest(_since(health, letter.sent_at) for letter in letters))
    for letter in letters:
        health.tell(
            "Dead letter",
            org_id=letter.event.get("org_id"),
            build=letter.event.get("build_token"),
            age_s=round(_since(health, letter.sent_at)),
            reason=letter.reason,
        )


def _since(health: Health, moment: float) -> float:
    return max(0.0, health.now - moment)


def _longest(ages: Iterable[float]) -> float:
    return max(ages, default=0.0)
