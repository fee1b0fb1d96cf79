"""What the sandbox saw: the writes of an organisation and the span that they took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sandbox.control import SandboxControl

# A run sends some hundreds of requests; the log holds those of all who use the sandbox.
_LATEST = 5000
_WRITES = ("createEntity", "patchEntity", "updateEntity", "deleteEntity")
_READS = ("getEntityV2",)


class Write(NamedTuple):
    """One write, or the read before it; times are epoch seconds."""

    began_at: float
    ended_at: float
    status: int


def read_writes(control: SandboxControl, org_id: str) -> list[Write]:
    """Return the writes that an organisation has seen, as they began."""
    return _read(control, org_id, 0.0, _WRITES)


def read_patches(control: SandboxControl, org_id: str, since: float) -> list[Write]:
    """Return the writes that an organisation has seen since a time, and the reads before them, as they began."""
    writes = _read(control, org_id, since, _WRITES)
    reads = _read(control, org_id, since, _READS)
    # What is read behind the last write is read to verify it.
    return sorted(writes + [read for read in reads if read.began_at < writes[-1].began_at])


def _read(control: SandboxControl, org_id: str, since: float, operations: Sequence[str]) -> list[Write]:
    return sorted(
        Write(entry["at"], entry["at"] + entry["duration_ms"] / 1000, entry["status"])
        for entry in control.call("GET", "/requests", limit=str(_LATEST))["requests"]
        if entry["org_id"] == org_id and entry["operation"] in operations and entry["at"] >= since
    )


def span_s(writes: Sequence[Write]) -> float:
    """Return the seconds from the beginning of the first write to the end of the last."""
    return max(write.ended_at for write in writes) - min(write.began_at for write in writes)
