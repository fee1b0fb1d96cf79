"""Where a job keeps its payloads in the bucket, and the packs of planned resources among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.plan_json import planned_from_json, planned_to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shared.domain.job import Job
    from shared.domain.plan import PlannedResource
    from shared.domain.ports.configs import Payload
    from shared.use_cases.jobs.step import StepPorts


def write_pack(ports: StepPorts, job: Job, batch: str, entries: Sequence[tuple[PlannedResource, Payload]]) -> None:
    """Store the planned resources of a batch with their payloads."""
    value = [
        {
            "type": planned.key.type,
            "planned": planned_to_json(ports.catalogue[planned.key.type], planned),
            "payload": payload,
        }
        for planned, payload in entries
    ]
    ports.payloads.put(batch_key(job, batch), value)


def read_pack(ports: StepPorts, job: Job, batch: str) -> list[tuple[PlannedResource, Payload]]:
    """Read what `write_pack` stored.

    Raises:
        NotFoundError: there is no such batch, or its payloads have been dropped.
    """
    return [
        (planned_from_json(ports.catalogue[entry["type"]], entry["planned"]), entry["payload"])
        for entry in ports.payloads.get(batch_key(job, batch))
    ]


def finalizer_batch(number: int) -> str:
    """Return the name of a batch of finalizers: all of a job are in one, since order counts among them."""
    return f"finalize-{number}"


def job_prefix(org_id: str, job_id: str) -> str:
    """Return the beginning of the keys of a job's payloads."""
    return f"jobs/{org_id}/{job_id}/"


def request_key(org_id: str, job_id: str) -> str:
    """Key of what the job was asked for."""
    return f"{job_prefix(org_id, job_id)}request.json.gz"


def batch_key(job: Job, batch: str) -> str:
    """Key of the planned resources of a batch with their payloads; each invocation that plans has keys of its own."""
    return f"{job_prefix(job.org_id, job.id)}batch/{job.planner}/{batch}.json.gz"


def source_key(org_id: str, job_id: str, part: str) -> str:
    """Key of a part of the fetched closure: `state`, `closure`, `identifiers`, or one of payloads."""
    return f"{job_prefix(org_id, job_id)}source/{part}.json.gz"


def target_key(org_id: str, job_id: str, type_name: str, part: str) -> str:
    """Key of a part of a type's snapshot: `state`, `snapshot`, or one of configs."""
    return f"{job_prefix(org_id, job_id)}target/{type_name}/{part}.json.gz"
