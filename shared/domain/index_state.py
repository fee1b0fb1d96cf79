"""The state of an organisation's index: which build is the latest, what the last one found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared.domain.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The index answers as missing this long after its last successful build.
INDEX_LIFETIME_S = 7 * 86_400
#: How long an invocation may wait in Lambda's queue: the template's MaximumEventAgeInSeconds.
QUEUED_S = 3_600
#: How long a build that waits there is believed to begin.
QUEUED_LEASE_S = QUEUED_S + 60.0
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class SupersededError(HubError):
    """A newer build of the same index has begun."""

    code = "SUPERSEDED"


def new_build_token(now: float, randomness: bytes) -> str:
    """Return a ULID: 48 bits of milliseconds, then 80 random bits, so that tokens sort by time.

    Args:
        now: epoch seconds.
        randomness: ten bytes.

    Source: https://github.com/ulid/spec
    """
    number = int(now * 1000) << 80 | int.from_bytes(randomness[:10], "big")
    return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))


# The state of an organisation's index


class BuildStatus:
    """How the last build stands, as stored."""

    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexState:
    """The build state of one organisation; what the last success found stays while the next build runs.

    Attributes:
        build_token: ULID of the latest build.
        status: of the latest build.
        started_at, lease_until: of the latest build, epoch seconds; past the lease nobody works on it any more.
        expires_at: when what the last success found is no longer answered, epoch seconds; None before any success.
        last_built_at: end of the last success, ISO 8601.
        totals: nodes per type.
        failed_types: type -> why its nodes are those of an earlier build.
        not_listed: type -> why its API gives no complete list.
        capped: type -> how many are indexed, where there are more.
        built_by: user whose view of the organisation the last success has.
        error: why the latest build failed.
        event: what the latest invocation of the latest build was started with.
    """

    build_token: str
    status: str
    started_at: float = 0.0
    lease_until: float = 0.0
    expires_at: int | None = None
    last_built_at: str | None = None
    build_duration_ms: int | None = None
    totals: Mapping[str, int] = field(default_factory=dict)
    failed_types: Mapping[str, str] = field(default_factory=dict)
    not_listed: Mapping[str, str] = field(default_factory=dict)
    capped: Mapping[str, int] = field(default_factory=dict)
    built_by: str = ""
    error: str = ""
    event: Mapping[str, Any] = field(default_factory=dict)

    @property
    def total_items(self) -> int:
        """Nodes of all types."""
        return sum(self.totals.values())

    def has_nodes(self, now: float) -> bool:
        """Tell whether a build has succeeded and what it found may still be answered."""
        return self.expires_at is not None and self.expires_at > now

    def is_building(self, now: float) -> bool:
        """Tell whether somebody works on a build."""
        return self.status == BuildStatus.BUILDING and self.lease_until > now

    def is_lost(self, now: float) -> bool:
        """Tell whether a build began and nobody works on it any more: its event was discarded, or its worker killed."""
        return self.status == BuildStatus.BUILDING and self.lease_until <= now

    def status_at(self, now: float) -> str:
        """Return missing, building, ready or failed."""
        if self.is_building(now):
            return BuildStatus.BUILDING
        if self.expires_at is not None and not self.has_nodes(now):
            return "missing"
        return BuildStatus.READY if self.status == BuildStatus.READY else BuildStatus.FAILED

    def facts_at(self, now: float) -> dict[str, Any]:
        """Return what the last success found, as the answers about the index say it; nothing past its time."""
        if not self.has_nodes(now):
            return {}
        facts = {
            "last_built_at": self.last_built_at,
            "total_items": self.total_items,
            "build_duration_ms": self.build_duration_ms,
            "failed_types": sorted(self.failed_types),
            "failures": dict(self.failed_types),
            "skipped_types": [{"type": name, "reason": reason} for name, reason in sorted(self.not_listed.items())],
            "totals": dict(self.totals),
            "capped_types": dict(self.capped) or None,
        }
        return {name: value for name, value in facts.items() if value is not None}


_SIZES = {"small": 1_000, "medium": 10_000}
#: Classes of organisations by the number of their configs: how long a build may take depends on it.
SIZE_CLASSES = (*_SIZES, "large")


def size_class(indexed: int) -> str:
    """Return the class of an organisation with so many configs."""
    return next((name for name, below in _SIZES.items() if indexed < below), SIZE_CLASSES[-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStanding:
    """What an operator asks of an organisation's index.

    Attributes:
        size: class of the organisation at the last success, empty before any.
        started_at, lease_until: of the latest build, epoch seconds.
        succeeded_at: end of the last success, epoch seconds; None before any.
    """

    org_id: str
    status: str
    size: str
    started_at: float
    lease_until: float
    succeeded_at: float | None

    def fails_at(self, now: float) -> bool:
        """Tell whether the latest build failed, or nobody works on it any more."""
        return self.status == BuildStatus.FAILED or (self.status == BuildStatus.BUILDING and self.lease_until <= now)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """What a successful build found; the fields are those of the state."""

    totals: Mapping[str, int]
    failed_types: Mapping[str, str]
    not_listed: Mapping[str, str]
    capped: Mapping[str, int]
