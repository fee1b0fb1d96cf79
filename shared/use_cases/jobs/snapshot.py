"""Read what phase_0 saw of the target: ids, whole configs, and why a type could not be read."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from shared.domain.errors import NotFoundError
from shared.domain.plan import TargetConfig
from shared.domain.resource_type import ResourceKey
from shared.domain.row import RowError
from shared.use_cases.jobs.payloads import target_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.use_cases.jobs.step import StepPorts


@dataclass(slots=True)
class Snapshot:
    """How far the look at one type of the target is.

    Attributes:
        done: it is at its end, or given up.
        listed: its list is at its end.
        resume: where its list goes on.
        parts: names of the stored parts.
        ids: every id that its list had so far.
        tries: how often it was broken off for a passing reason.
        capped: it has more configs than are looked at.
        error: code and message of why it was given up.
    """

    done: bool = False
    listed: bool = False
    resume: Any = None
    parts: list[str] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    tries: int = 0
    capped: bool = False
    error: tuple[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object from which `load_snapshot` makes the same value."""
        return asdict(self)


def load_snapshot(ports: StepPorts, org_id: str, job_id: str, type_name: str) -> Snapshot:
    """Return how far the snapshot of a type is: the finished one, else what is there, else a new one."""
    for part in ("snapshot", "state"):
        with suppress(NotFoundError):
            return Snapshot(**ports.payloads.get(target_key(org_id, job_id, type_name, part)))
    return Snapshot()


def read_snapshot_ids(ports: StepPorts, org_id: str, job_id: str, type_name: str) -> frozenset[str] | None:
    """Return the ids that a type had on the target when the job was planned; None where not all were listed."""
    snapshot = load_snapshot(ports, org_id, job_id, type_name)
    return frozenset(snapshot.ids) if snapshot.listed and not snapshot.capped else None


def was_capped(ports: StepPorts, org_id: str, job_id: str, type_name: str) -> bool:
    """Tell whether the target has more configs of a type than were looked at."""
    return load_snapshot(ports, org_id, job_id, type_name).capped


def read_snapshot_error(ports: StepPorts, org_id: str, job_id: str, type_name: str) -> RowError | None:
    """Return why a type of the target could not be looked at; None where it could."""
    snapshot = load_snapshot(ports, org_id, job_id, type_name)
    if snapshot.error is not None:
        code, message = snapshot.error
        return RowError(code, f"The target's configs of this type could not be read: {message}")
    if not snapshot.done:
        return RowError("SNAPSHOT_INCOMPLETE", "The target's configs of this type could not be read to their end.")
    return None


def read_targets(ports: StepPorts, org_id: str, job_id: str, type_name: str) -> Iterator[TargetConfig]:
    """Yield the configs of a type that were kept whole."""
    snapshot = load_snapshot(ports, org_id, job_id, type_name)
    seen: set[str] = set()
    for part in snapshot.parts:
        for entry in ports.payloads.get(target_key(org_id, job_id, type_name, part)):
            if entry["id"] not in seen:
                seen.add(entry["id"])
                yield TargetConfig(key=ResourceKey(type_name, entry["id"]), payload=entry["payload"])
