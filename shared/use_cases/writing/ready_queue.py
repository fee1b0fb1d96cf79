"""Hand out the rows of a batch whose needs are met, the longest chain of dependents first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping

from shared.domain.resource_type import ResourceKey
from shared.use_cases.writing.task import Task

#: Says which other rows of the batch must be done before a row.
Needs = Callable[[Task, Mapping[ResourceKey, Task]], Iterable[ResourceKey]]


def no_needs(_task: Task, _tasks: Mapping[ResourceKey, Task]) -> Iterable[ResourceKey]:
    """Let all rows of a batch go at once."""
    return ()


class ReadyQueue:
    """Tasks whose needs are met, the one with the longest remaining path first."""

    def __init__(self, tasks: Mapping[ResourceKey, Task], needs: Needs) -> None:
        self._tasks = tasks
        self._waits_for: dict[ResourceKey, set[ResourceKey]] = {}
        self._dependents: dict[ResourceKey, list[ResourceKey]] = {}
        self._ready: list[tuple[int, ResourceKey]] = []
        for key, task in tasks.items():
            wanted = {other for other in needs(task, tasks) if other in tasks and other != key}
            self._waits_for[key] = wanted
            for other in wanted:
                self._dependents.setdefault(other, []).append(key)
            if not wanted:
                self._push(key)

    def _push(self, key: ResourceKey) -> None:
        heapq.heappush(self._ready, (-self._tasks[key].planned.remaining, key))

    def take(self) -> Task | None:
        """Return the next task; None while all others wait or are taken."""
        return self._tasks[heapq.heappop(self._ready)[1]] if self._ready else None

    def settle(self, key: ResourceKey) -> None:
        """Let those go that waited for this one, whatever became of it."""
        for dependent in self._dependents.get(key, ()):
            self._waits_for[dependent].discard(key)
            if not self._waits_for[dependent]:
                self._push(dependent)
