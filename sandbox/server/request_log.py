"""Remembers every downstream request, for assertions and benchmarks."""

from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice, takewhile
from typing import Any, NamedTuple

# Enough for every test and benchmark; older entries fall out, the summary keeps counting.
_REMEMBERED = 500_000


class Entry(NamedTuple):
    """One downstream request; status 0 means that the connection was cut.

    Attributes:
        at: seconds since the epoch.
        wrote: what it stored, as ``type:id``, whether or not the caller saw the answer.
    """

    at: float
    org_id: str | None
    host: str
    operation: str
    method: str
    path: str
    status: int
    duration_ms: float
    wrote: str | None


class RequestLog:
    """Entries, running totals, the numbers of requests in flight and held, and of works still to be done late."""

    def __init__(self) -> None:
        self.in_flight = 0
        self.held = 0
        self.late = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything but what is in flight."""
        self._entries: deque[Entry] = deque(maxlen=_REMEMBERED)
        self._by_operation: Counter[str] = Counter()
        self._by_status: Counter[str] = Counter()
        self.max_in_flight = self.in_flight
        self._first_at: float | None = None
        self._last_at: float | None = None

    def enter(self) -> None:
        """Count a request that begins."""
        self.in_flight += 1
        if self.in_flight > self.max_in_flight:
            self.max_in_flight = self.in_flight

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Count a request as held meanwhile."""
        self.held += 1
        try:
            yield
        finally:
            self.held -= 1

    def leave(self, entry: Entry) -> None:
        """Note a request that ended."""
        self.in_flight -= 1
        self._entries.append(entry)
        self._by_operation[entry.operation] += 1
        self._by_status[str(entry.status)] += 1
        if self._first_at is None:
            self._first_at = entry.at
        self._last_at = entry.at

    def summary(self) -> dict[str, Any]:
        """Return the running totals; times are seconds since the epoch."""
        return {
            "total": self._by_status.total(),
            "by_operation": dict(self._by_operation),
            "by_status": dict(self._by_status),
            "max_in_flight": self.max_in_flight,
            "held": self.held,
            "late": self.late,
            "first_at": self._first_at,
            "last_at": self._last_at,
        }

    def entries(self, limit: int | None = None, since: float = 0.0, org_id: str | None = None) -> list[dict[str, Any]]:
        """Return remembered requests in the order in which they ended.

        Args:
            limit: only so many, the latest.
            since: only those that ended from then on, seconds since the epoch.
            org_id: only those of an organisation.
        """
        recent = takewhile(lambda entry: entry.at + entry.duration_ms / 1000 >= since, reversed(self._entries))
        latest = islice((entry for entry in recent if org_id in (None, entry.org_id)), limit)
        return [entry._asdict() for entry in latest][::-1]
