"""Remembers every downstream request, for assertions and benchmarks."""

from collections import Counter, deque
from itertools import islice
from typing import Any, NamedTuple

# Enough for every test and benchmark; older entries fall out, the summary keeps counting.
_REMEMBERED = 500_000


class Entry(NamedTuple):
    """One downstream request; status 0 means that the connection was cut."""

    at: float
    org_id: str | None
    host: str
    operation: str
    method: str
    path: str
    status: int
    duration_ms: float


class RequestLog:
    """Entries, running totals and the number of requests in flight."""

    def __init__(self) -> None:
        self.in_flight = 0
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
            "first_at": self._first_at,
            "last_at": self._last_at,
        }

    def entries(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the remembered requests, or the latest of them, oldest first."""
        start = 0 if limit is None else max(0, len(self._entries) - limit)
        return [entry._asdict() for entry in islice(self._entries, start, None)]
