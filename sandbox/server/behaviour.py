"""How the sandbox misbehaves on request: latency, rate limits and faults."""

import asyncio
import random
import time
from dataclasses import dataclass, field
from typing import Any

FAULT_KINDS = ("status", "throttle", "reset", "lost_response", "late", "gateway", "slow", "hold", "malformed")
#: What a fault answers that names no status.
_STATUS = {"gateway": 504}
_FAULT_FIELDS = {"host", "operation", "kind", "probability", "count", "status", "delay_ms"}
_FIELDS = {"latency_ms", "rate_limits", "faults", "seed"}


class InvalidBehaviourError(ValueError):
    """The wanted behaviour is not one that the sandbox knows."""


@dataclass(slots=True)
class Fault:
    """One way to fail, for the requests that it matches.

    Attributes:
        left: how often it still strikes; None means always.
    """

    kind: str
    host: str | None = None
    operation: str | None = None
    probability: float = 1.0
    left: int | None = None
    status: int = 500
    delay_ms: float = 0.0

    def matches(self, host: str, operation: str) -> bool:
        """Tell whether the fault applies to an operation of a host."""
        return self.left != 0 and self.host in (None, "*", host) and self.operation in (None, "*", operation)


@dataclass(slots=True)
class RateLimit:
    """A token bucket per organisation for one host."""

    per_second: float
    burst: float
    buckets: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def wait_s(self, host: str, org_id: str) -> float:
        """Take a token; return 0, or the seconds until there is one."""
        at = time.monotonic()
        left, since = self.buckets.get((host, org_id), (self.burst, at))
        left = min(self.burst, left + (at - since) * self.per_second)
        if left < 1:
            self.buckets[host, org_id] = (left, at)
            return (1 - left) / self.per_second
        self.buckets[host, org_id] = (left - 1, at)
        return 0.0


@dataclass(slots=True)
class Behaviour:
    """What happens to requests besides their work.

    Attributes:
        over: set once another behaviour takes its place; requests that are held go on then.
    """

    latency_s: float = 0.0
    rate_limits: dict[str, RateLimit] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    chance: random.Random = field(default_factory=random.Random)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def throttled_s(self, host: str, org_id: str) -> float:
        """Return 0, or the seconds after which a throttled caller may come back."""
        limit = self.rate_limits.get(host) or self.rate_limits.get("*")
        return limit.wait_s(host, org_id) if limit else 0.0

    def next_fault(self, host: str, operation: str) -> Fault | None:
        """Return the fault that strikes this request, if one does."""
        for fault in self.faults:
            if fault.matches(host, operation) and self.chance.random() < fault.probability:
                if fault.left is not None:
                    fault.left -= 1
                return fault
        return None


def read_behaviour(wanted: Any) -> Behaviour:
    """Return the behaviour that a control request asks for.

    Raises:
        InvalidBehaviourError: an unknown field, kind or value.
    """
    if not isinstance(wanted, dict) or not wanted.keys() <= _FIELDS:
        raise InvalidBehaviourError(f"expected an object with only {', '.join(sorted(_FIELDS))}")
    try:
        behaviour = Behaviour(
            latency_s=float(wanted.get("latency_ms") or 0) / 1000,
            rate_limits={
                item.get("host") or "*": RateLimit(
                    float(item["per_second"]), float(item.get("burst") or max(1, item["per_second"]))
                )
                for item in wanted.get("rate_limits") or ()
            },
            faults=[_read_fault(item) for item in wanted.get("faults") or ()],
        )
    except (TypeError, KeyError, AttributeError, ValueError) as problem:
        raise InvalidBehaviourError(str(problem)) from problem
    if wanted.get("seed") is not None:
        behaviour.chance.seed(wanted["seed"])
    return behaviour


def _read_fault(item: dict[str, Any]) -> Fault:
    if item["kind"] not in FAULT_KINDS or not item.keys() <= _FAULT_FIELDS:
        raise InvalidBehaviourError(f"a fault has a kind of {', '.join(FAULT_KINDS)} and {', '.join(_FAULT_FIELDS)}")
    return Fault(
        kind=item["kind"],
        host=item.get("host"),
        operation=item.get("operation"),
        probability=1.0 if item.get("probability") is None else float(item["probability"]),
        left=item.get("count"),
        status=int(item.get("status") or _STATUS.get(item["kind"], 500)),
        delay_ms=float(item.get("delay_ms") or 0),
    )
