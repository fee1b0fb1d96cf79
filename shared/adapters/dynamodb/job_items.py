"""Job headers, rows and events as items of the tables, and read from them again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shared.adapters.dynamodb import keys
from shared.domain.job import Activation, Direction, Job, JobKind, JobStatus, MatchMode
from shared.domain.resource_type import ResourceKey
from shared.domain.row import Event, Phase, Row, RowError, RowStatus, Work

if TYPE_CHECKING:
    from collections.abc import Mapping


# Characters; messages name places of payloads, whose keys have no end, and an item of DynamoDB ends at 400 KB.
_MAX_MESSAGE = 4_000


def row_item(job: Job, row: Row, expires_at: int) -> dict[str, Any]:
    """Return the table item of a row."""
    return {
        **keys.row(job.org_id, job.id, row.key, job.kind),
        "status_key": keys.status_key(row.status, row.key),
        "type": row.key.type,
        "source_id": row.key.id,
        "title": row.title,
        "status": row.status.value,
        "phase": row.phase.value,
        "action": row.action,
        "batch": row.batch,
        "generation": row.generation,
        "target_id": row.target_id,
        # JSON keeps the numbers as they are: the table has decimals only.
        "target_fields": json.dumps(dict(row.target_fields), separators=(",", ":")),
        "attempt": row.attempt,
        "left": [work.value for work in row.left],
        "error": error_item(row.error),
        "leftovers": list(row.leftovers),
        "sends": row.sends,
        "lost_ms": round(row.lost_at * 1000),
        "unanswered": row.unanswered,
        "superseded": row.superseded,
        "is_lacking": row.is_lacking,
        "outlived": row.outlived,
        "doubles": list(row.doubles),
        "stamp": row.stamp,
        "answer": row.answer,
        "paired_by": row.paired_by,
        "updated_at": row.updated_at,
        "version": row.version,
        "expires_at": expires_at,
    }


def event_item(org_id: str, job_id: str, event: Event, seq: int, expires_at: int) -> dict[str, Any]:
    """Return the table item of an event."""
    return {
        **keys.operation_log(org_id, job_id, seq),
        "seq": seq,
        "ts": event.ts,
        "status": str(event.status),
        "phase": event.phase.value if event.phase else None,
        "type": event.key.type if event.key else None,
        "source_id": event.key.id if event.key else None,
        "target_id": event.target_id,
        "message": event.message[:_MAX_MESSAGE],
        "error": event.error[:_MAX_MESSAGE],
        "expires_at": expires_at,
    }


def read_event(item: Mapping[str, Any]) -> Event:
    """Return an event, given its item."""
    return Event(
        seq=int(item["seq"]),
        ts=item["ts"],
        status=item["status"],
        phase=Phase(item["phase"]) if item.get("phase") else None,
        key=ResourceKey(item["type"], item["source_id"]) if item.get("type") else None,
        target_id=item.get("target_id"),
        message=item.get("message") or "",
        error=item.get("error") or "",
    )


def read_row(item: Mapping[str, Any]) -> Row:
    """Return a row, given its item."""
    return Row(
        key=ResourceKey(item["type"], item["source_id"]),
        title=item["title"],
        status=RowStatus(item["status"]),
        phase=Phase(item["phase"]),
        action=item["action"],
        batch=int(item["batch"]),
        generation=int(item["generation"]),
        target_id=item["target_id"],
        target_fields=json.loads(item["target_fields"]),
        attempt=int(item["attempt"]),
        left=tuple(Work(work) for work in item["left"]),
        error=_error(item["error"]),
        leftovers=tuple(item["leftovers"]),
        sends=int(item.get("sends", 0)),
        lost_at=int(item.get("lost_ms", 0)) / 1000,
        unanswered=item.get("unanswered", False),
        superseded=item.get("superseded", False),
        is_lacking=item.get("is_lacking", False),
        outlived=bool(item.get("outlived", False)),
        doubles=tuple(item.get("doubles", ())),
        stamp=item.get("stamp", ""),
        answer=item.get("answer", ""),
        paired_by=item.get("paired_by", ""),
        updated_at=item["updated_at"],
        version=int(item["version"]),
    )


def error_item(error: RowError | None) -> dict[str, Any] | None:
    """Return an error as part of an item."""
    if error is None:
        return None
    return {
        "code": error.code,
        "message": error.message[:_MAX_MESSAGE],
        "root": list(error.root) if error.root else None,
    }


def _error(item: Mapping[str, Any] | None) -> RowError | None:
    if item is None:
        return None
    return RowError(item["code"], item["message"], ResourceKey(*item["root"]) if item.get("root") else None)


def job_item(job: Job) -> dict[str, Any]:
    """Return what is stored of a header when its job is created."""
    return {
        "id": job.id,
        "kind": job.kind.value,
        "org_id": job.org_id,
        "user_id": job.user_id,
        "name": job.name,
        "status": job.status.value,
        "direction": job.direction,
        "source_org_id": job.source_org_id,
        "target_org_id": job.target_org_id,
        "dry_run": job.dry_run,
        "include_dependencies": job.include_dependencies,
        "match": job.match,
        "activation": job.activation,
        "started_at": job.started_at,
        "target_user_id": job.target_user_id,
        "finished_at": job.finished_at,
        "phase": job.phase.value,
        "retry_of": job.retry_of,
        "root_id": job.root_id,
        "request_hash": job.request_hash,
        "planner": job.planner,
        "planned": job.planned,
        "total": job.total,
        "next_stage": job.next_stage,
        "hand_outs": job.hand_outs,
    }


def read_job(item: Mapping[str, Any]) -> Job:
    """Return a header, given its item."""
    current, final_counts = item.get("current_batch"), item.get("final_counts")
    return Job(
        id=item["id"],
        kind=JobKind(item.get("kind", JobKind.SYNC)),
        org_id=item["org_id"],
        user_id=item["user_id"],
        name=item["name"],
        status=JobStatus(item["status"]),
        direction=Direction(item["direction"]),
        source_org_id=item["source_org_id"],
        target_org_id=item["target_org_id"],
        dry_run=item["dry_run"],
        include_dependencies=item["include_dependencies"],
        match=MatchMode(item["match"] or MatchMode.LINEAGE_ONLY),
        activation=Activation(item.get("activation", Activation.KEEP)),
        started_at=item["started_at"],
        target_user_id=item["target_user_id"],
        finished_at=item.get("finished_at"),
        phase=Phase(item["phase"]),
        retry_of=item.get("retry_of"),
        root_id=item.get("root_id", ""),
        request_hash=item["request_hash"],
        execution_id=item.get("execution_id"),
        planner=item.get("planner", ""),
        planned=item["planned"],
        total=int(item["total"]),
        stages=tuple(tuple(int(batch) for batch in stage) for stage in item.get("stages") or ()),
        next_stage=int(item["next_stage"]),
        hand_outs=int(item["hand_outs"]),
        batches={work: tuple(int(batch) for batch in numbers) for work, numbers in (item.get("batches") or {}).items()},
        current_batch={name: int(value) for name, value in current.items()} if current else None,
        error=_error(item.get("job_error")),
        errors_sample=tuple(item.get("errors_sample") or ()),
        counts={name: int(number) for name, number in final_counts.items()} if final_counts else None,
        rebuild_triggered=item.get("rebuild_triggered", False),
        entered={
            phase.value: float(item[entered_name(phase)]) / 1000 for phase in Phase if entered_name(phase) in item
        },
    )


def entered_name(phase: Phase) -> str:
    """Return the attribute that says when a job entered a phase."""
    return f"entered_{phase.value}"
