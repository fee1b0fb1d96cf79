"""What is recorded together for one row of a job, and the claim under which it was written.

claim (lease) ---- request leaves ---- answer ---- commit: row + lineage + event, claim gone
      |                 |
      |                 +-- process dies: the claim stays until its lease ends; the next looks for what was made
      +-- not reached: given back with the row

A claim is on the target config as soon as its id is known, whatever the source, and on the source config where what it
becomes is not recorded yet. What is left of a claim on a target says which job wrote it last.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from shared.domain.job import JobKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.domain.plan import LineageEntry
    from shared.domain.resource_type import ResourceKey
    from shared.domain.row import Event, Row


_FIRST_WAIT_S = 2
_LONGEST_WAIT_S = 60


def growing_wait(waited_seconds: float) -> float:
    """Return how long to wait before the next look, given how long has been waited already: half as long again."""
    return min(_LONGEST_WAIT_S, max(_FIRST_WAIT_S, waited_seconds / 2))


#: Seconds after which what a cut connection left behind is done: within 3 s by our own bound, and somebody may be busy.
DONE_BEHIND_A_CUT_S = 3.5
#: Seconds after a create was sent at which to look for what it made before it is sent again: where the API itself said
#: that it failed, its work has ended; behind a cut connection it is done or soon will be; behind a time-out or a
#: gateway's it was seen to go on.
_LOOKS_WHEN_ENDED_S = (0, 1)
_LOOKS_WHEN_CUT_S = (0, 1, DONE_BEHIND_A_CUT_S)
_LOOKS_WHEN_OUTLIVED_S = (0, 2, 5, 15)
_LONGEST_LOOK_S = 120
_MAX_SENDS = 6
_GIVE_UP_AFTER_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A create that was sent and whose answer never came.

    Attributes:
        times: how often it was sent.
        first_at, last_at: epoch seconds by which it was on its way, the first and the last time.
        ended: the last time, what was not done then never is.
        lost_at: the last time that this could not be said; 0 where it always could.
        outlived: the API was seen to work on behind an answer that it was too slow for.
    """

    times: int
    first_at: float
    last_at: float
    ended: bool = False
    lost_at: float = 0
    outlived: bool = False

    @property
    def looks(self) -> tuple[float, ...]:
        """When to look for what it made, in epoch seconds; each further send adds a look, later than the one before."""
        unanswered = _LOOKS_WHEN_OUTLIVED_S if self.outlived else _LOOKS_WHEN_CUT_S
        usual = _LOOKS_WHEN_ENDED_S if self.ended else unanswered
        more = (min(usual[-1] * 2 ** (2 * number - 1), _LONGEST_LOOK_S) for number in range(1, self.times))
        return tuple(self.last_at + after for after in (*usual, *more))

    def next_look(self, looked_at: float) -> float | None:
        """Return when to look the next time; None where it is time to send it again."""
        return next((at for at in self.looks if at > looked_at), None)

    def may_be_sent_again(self, now: float) -> bool:
        """Tell whether it is worth to send it once more."""
        return self.times < _MAX_SENDS and now - self.first_at < _GIVE_UP_AFTER_S


def sent_again(earlier: Sent | None, now: float, *, ended: bool, outlived: bool) -> Sent:
    """Return what is known of a create once it was sent, or sent again, and not answered."""
    return Sent(
        times=earlier.times + 1 if earlier else 1,
        first_at=earlier.first_at if earlier else now,
        last_at=now,
        ended=ended,
        lost_at=now if not ended else earlier.lost_at if earlier else 0,
        outlived=outlived or (earlier is not None and earlier.outlived),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What an invocation claims for a row: all of it at one moment, or nothing.

    Attributes:
        owner: one invocation of a step; another invocation of the same step is another owner.
        source: the source config: what it becomes is not known yet, or not recorded yet.
        target_id: the target config, where its id is known.
    """

    owner: str
    source: bool = False
    target_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowClaim:
    """One row's transition with what is claimed for it.

    Attributes:
        before: the row as it was read; its version must still be the stored one.
        after: the row once it is claimed.
    """

    before: Row
    after: Row
    hold: Hold


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The right to write the target config of one source config, as it stands in the table.

    Attributes:
        key: the source config, or what a delete job deletes.
        org_id, job_id, kind: the job that holds it; org_id is the organisation that created the job.
        lease_until: epoch seconds; past it, nothing that the owner sent can still be running.
        sent: the create that was sent under it and not answered, where its owner came to say so.
    """

    key: ResourceKey
    hold: Hold
    org_id: str
    job_id: str
    kind: JobKind
    action: str
    attempt: int
    lease_until: float
    sent: Sent | None = None

    @property
    def open_until(self) -> float:
        """Epoch seconds from which a look tells whether what was sent has been done."""
        return max(self.lease_until, self.sent.looks[-1] if self.sent else 0)


@dataclass(frozen=True, slots=True)
class Writer:
    """A job that wrote a target config."""

    job_id: str
    kind: JobKind = JobKind.SYNC

    def __str__(self) -> str:
        return f"{self.kind.capitalize()} job {self.job_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimOutcome:
    """What an attempt to claim rows gave.

    Attributes:
        claimed: the rows that are ours now, as they stand in the table.
        taken_over: those of them whose earlier claim ran out: what its owner sent may or may not have been done.
        blocked: rows that somebody else holds.
        orphaned: row -> ended job that may have created it unrecorded; the next job's FetchSources settles it.
        open_creates: what is known of the creates among the claims that were taken over.
        writers: other jobs that wrote the target of a claimed row last, or may have.
        wait_seconds: after which it is worth to ask for the blocked rows again; it grows with the age of their claims.
    """

    claimed: Mapping[ResourceKey, Row] = field(default_factory=dict)
    taken_over: frozenset[ResourceKey] = frozenset()
    blocked: frozenset[ResourceKey] = frozenset()
    orphaned: Mapping[ResourceKey, str] = field(default_factory=dict)
    open_creates: Mapping[ResourceKey, Sent] = field(default_factory=dict)
    writers: Mapping[ResourceKey, Writer] = field(default_factory=dict)
    wait_seconds: float = 0


class Lost(StrEnum):
    """Why a commit could not be recorded."""

    ROW = "row"  # somebody else changed the row
    CLAIM = "claim"  # somebody else took the claim over
    TARGET = "target"  # the target config is another source config's already
    STAMP = "stamp"  # somebody wrote the target later
    WAY_BACK = "way back"  # somebody broke the pair of the other direction


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCommit:
    """One row's transition with all that must become true at the same moment.

    Attributes:
        before: the row as it was read; its version must still be the stored one.
        lineage: written where the target config is known.
        if_stamp: the lineage is written only where this is still the stamp of its last write; None: in any case.
        way_back: entry of the other direction, which learns of the same contents.
        memories: contents that the lineage names by their hashes; they are kept before.
        inactive: whether the target config waits to be activated, kept with its lineage; None leaves that as it is.
        hold: the claim that ends with this commit; None where there is none.
        keep_claim: let the claim run out instead, because the outcome of the request is not known.
        open_create: what the claim then says of it.
        sent: a write left under the claim: the target may be what this job made of it.
    """

    before: Row
    after: Row
    events: tuple[Event, ...] = ()
    lineage: LineageEntry | None = None
    if_stamp: str | None = None
    way_back: LineageEntry | None = None
    memories: Mapping[str, Any] = field(default_factory=dict)
    inactive: bool | None = None
    hold: Hold | None = None
    keep_claim: bool = False
    open_create: Sent | None = None
    sent: bool = False
