"""One thread that records finished rows in groups, so that no worker waits for storage."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from shared.domain.row import RowError, RowStatus, event_of
from shared.domain.row_commit import Lost, RowCommit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.domain.job import Job
    from shared.domain.ports.jobs import Commits, Memory
    from shared.domain.resource_type import ResourceKey

_GROUP = 24
# Wait up to so many seconds to fill a group: fewer transactions, less CPU time taken from the workers. What a dying
# process leaves unrecorded is adopted.
_GATHER_S = 0.2


class CommitWriter:
    """Takes commits from any thread and records them in order of arrival.

    Args:
        commits: where they are recorded.
        job, batch: whose rows and counters they are.
        memory: where the contents go that commits name, if any do.

    Attributes:
        lost: rows that somebody else changed or claimed meanwhile.
    """

    def __init__(self, commits: Commits, job: Job, batch: str, memory: Memory | None = None) -> None:
        self._commits = commits
        self._memory = memory
        self._job = job
        self._batch = batch
        self._queue: SimpleQueue[RowCommit | None] = SimpleQueue()
        self._error: BaseException | None = None
        self.lost: set[ResourceKey] = set()
        self._thread = threading.Thread(target=self._run, name="commit-writer", daemon=True)
        self._thread.start()

    def put(self, commit: RowCommit) -> None:
        """Hand a commit over; raises what broke the writer, if anything has."""
        if self._error is not None:
            raise self._error
        self._queue.put(commit)

    def close(self) -> None:
        """Return when everything that was put is recorded; raises what broke the writer."""
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while group := self._next_group():
                self._record(group)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for the writer
            self._error = error

    def _next_group(self) -> list[RowCommit]:
        """Return a group once it is full, has been gathered for long enough, or is the last; empty at the end."""
        commit = self._queue.get()
        gather_until = time.monotonic() + _GATHER_S
        group: list[RowCommit] = []
        while commit is not None:
            group.append(commit)
            if len(group) == _GROUP:
                break
            try:
                commit = self._queue.get(timeout=max(0.0, gather_until - time.monotonic()))
            except Empty:
                break
            if commit is None:
                self._queue.put(None)
        return group

    def _record(self, group: Sequence[RowCommit]) -> None:
        memories = {digest: content for commit in group for digest, content in commit.memories.items()}
        if memories and self._memory is not None:
            self._memory.keep(memories)
        lost = self._commits.commit(self._job, self._batch, group)
        again = [_INSTEAD[lost[one.before.key]](one) for one in group if lost.get(one.before.key) in _INSTEAD]
        if again:
            for commit in again:
                del lost[commit.before.key]
            lost |= self._commits.commit(self._job, self._batch, again)
        self.lost |= lost.keys()


def _target_taken(commit: RowCommit) -> RowCommit:
    error = RowError("CONFLICT", f"The target config {commit.after.target_id} is another source config's already.")
    after = replace(commit.after, status=RowStatus.FAILED, target_id=None, left=commit.before.left, error=error)
    return replace(commit, after=after, lineage=None, way_back=None, inactive=None, events=(event_of(after),))


def _written_later(commit: RowCommit) -> RowCommit:
    """Return the commit of a verification that somebody's later write overtook: the entry is that one's to complete."""
    warning = event_of(commit.after, "CHANGED_MEANWHILE: somebody wrote the target after this job did.")
    return replace(commit, lineage=None, way_back=None, events=(*commit.events, warning))


def _without_way_back(commit: RowCommit) -> RowCommit:
    return replace(commit, way_back=None)


#: What is recorded instead of what could not be.
_INSTEAD = {Lost.TARGET: _target_taken, Lost.STAMP: _written_later, Lost.WAY_BACK: _without_way_back}
