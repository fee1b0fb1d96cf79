"""Read what phase_0 saw of the target: ids, whole configs, and why a type could not be read."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from shared.domain.errors import NotFoundError
from shared.domain.plan import TargetConfig
from shared.domain.resource_type import ResourceKey
from shared.domain.row import RowError
from shared.use_cases.jobs.payloads import target_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from shared.use_cases.jobs.step import StepPorts


def load_snapshot(ports: StepPorts, org_id: str, job_id: str, type_name: str) -> dict[str, Any]:
    """Return how far the snapshot of a type is: the finished one, else what is there, else a new one."""
    for part in ("snapshot", "state"):
        with suppress(NotFoundError):
            state: dict[str, Any] = ports.payloads.get(target_key(org_id, job_id, type_name, part))
            return state
    return {"done": False, "listed": False, "resume": None, "parts": [], "ids": [], "tries": 0}


def read_snapshot_ids(ports: StepPorts, org_id: str, job_id: str, type_name: str) -> frozenset[str] | None:
    """Return the ids that a type had on the target when the job was planned; None where not all were listed."""
    state = load_snapshot(ports, org_id, job_id, type_name)
    return frozenset(state["ids"]) if state["listed"] and not state.get("capped") else None


def was_capped(ports: StepPorts, org_id: str, job_id: str, type_name: str) -> bool:
    """Tell whether the target has more configs of a type than were looked at."""
    return bool(load_snapshot(ports, org_id, job_id, type_name).get("capped"))


def read_snapshot_error(ports: StepPorts, org_id: str, job_id: str, type_name: str) -> RowError | None:
    """Return why a type of the target could not be looked at; None where it could."""
    state = load_snapshot(ports, org_id, job_id, type_name)
    if "error" in state:
        code, message = state["error"]
        return RowError(code, f"The target's configs of this type could not be read: {message}")
    if not state["done"]:
        return RowError("SNAPSHOT_INCOMPLETE", "The target's configs of this type could not be read to their end.")
    return None


def read_targets(ports: StepPorts, org_id: str, job_id: str, type_name: str) -> Iterator[TargetConfig]:
    """Yield the configs of a type that were kept whole."""
    state = load_snapshot(ports, org_id, job_id, type_name)
    seen: set[str] = set()
    for part in state["parts"]:
        for entry in ports.payloads.get(target_key(org_id, job_id, type_name, part)):
            if entry["id"] not in seen:
                seen.add(entry["id"])
                yield TargetConfig(key=ResourceKey(type_name, entry["id"]), payload=entry["payload"])
