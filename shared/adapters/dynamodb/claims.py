"""Items of claims: on a source config while it is made, on a target config while it is written.

The item of a source goes with its claim. That of a target stays for a week and says which job wrote it last:

claimed (owner, lease) ---- released: written_by is this job where a write left, else as before
        ^                          |
        +--------------------------+    taken over from another job: written_by is that job, which may have written

Once its lease has ended, a claim is taken over when its job has ended, or at once where that job has given it up.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from shared.adapters.dynamodb import keys
from shared.domain.immutable import EMPTY
from shared.domain.job import Job, JobKind
from shared.domain.resource_type import ResourceKey
from shared.domain.row_commit import Claim, Hold, Sent, Writer, growing_wait

if TYPE_CHECKING:
    from collections.abc import Mapping

# As long as the payloads of its job are kept: without them nobody can tell what it was about to make.
_LIFETIME_S = 7 * 24 * 3600

Item = dict[str, Any]


def is_held(item: Mapping[str, Any]) -> bool:
    """Tell a claim, run out or not, from the trace of one that was released."""
    return "owner" in item


def wait_for(item: Mapping[str, Any], now: float) -> float:
    """Return after how many seconds to ask again for what somebody holds; not later than its lease ends."""
    growing = growing_wait(now - float(item.get("claimed_at", now)))
    left = float(item["lease_until"]) - now
    return min(growing, left) if left > 0 else growing


def last_writer(item: Mapping[str, Any], job: Job) -> Writer | None:
    """Return who wrote a target last, or may have: another job whose claim on it `job` takes over."""
    if is_held(item) and item["job_id"] != job.id:
        return holder_of(item)
    return Writer(item["written_by"], JobKind(item["written_kind"])) if "written_by" in item else None


def holder_of(item: Mapping[str, Any]) -> Writer:
    """Return the job that holds a claim."""
    return Writer(item["job_id"], JobKind(item.get("kind", JobKind.SYNC)))


def read_claim(item: Mapping[str, Any]) -> Claim:
    """Read a claim from the item of a source or of a target."""
    is_source = item["sk"].startswith(keys.CLAIM_PREFIX)
    return Claim(
        key=ResourceKey(item["type"], item["source_id"]),
        hold=Hold(owner=item["owner"], source=is_source, target_id=item.get("target_id")),
        org_id=item["org_id"],
        job_id=item["job_id"],
        kind=JobKind(item.get("kind", JobKind.SYNC)),
        action=item["action"],
        attempt=int(item["attempt"]),
        lease_until=float(item["lease_until"]),
        sent=open_create(item, float(item["sent_at"])) if "sent_at" in item else None,
    )


def open_create(item: Mapping[str, Any], now: float) -> Sent:
    """Return what a claim says of the create that was sent under it: once more where its owner did not come to say."""
    is_told = "sent_at" in item
    return Sent(
        times=int(item.get("sends", 0)) + (not is_told),
        first_at=float(item.get("first_sent_at", now)),
        last_at=float(item["sent_at"]) if is_told else now,
        ended=is_told and bool(item["ended"]),
        lost_at=float(item["lost_at"]) if is_told else now,
        outlived=bool(item.get("outlived")),
    )


def claim_source(table: str, job: Job, claim: Claim, now: float, earlier: Mapping[str, Any] | None) -> Item:
    """Return the part of a transaction that claims a source config.

    Args:
        table: LineageTable.
        job: the job that claims.
        claim: what the item says from then on.
        now: epoch seconds.
        earlier: the item as it was read; the write fails if its owner has changed.
    """
    so_far = (
        {name: earlier[name] for name in ("sends", "first_sent_at", "outlived") if name in earlier} if earlier else {}
    )
    put: Item = {"TableName": table, "Item": {**_source(job, claim.key), **_claim_values(claim, now), **so_far}}
    return {"Put": {**put, **(_owned_by(earlier["owner"]) if earlier else _IS_NEW)}}


def claim_target(table: str, job: Job, claim: Claim, now: float, earlier: Mapping[str, Any] | None) -> Item:
    """Return the part of a transaction that claims a target config; what is known of who wrote it stays.

    Args:
        table: LineageTable.
        job: the job that claims.
        claim: what the item says from then on.
        now: epoch seconds.
        earlier: the item as it was read; who held it and wrote it must still be the same.
    """
    values = _claim_values(claim, now)
    condition: Item = _IS_NEW
    if earlier is not None and is_held(earlier):
        if writer := last_writer(earlier, job):
            values |= _written_by(writer)
        condition = _owned_by(earlier["owner"])
    elif earlier is not None:
        condition = {
            "ConditionExpression": "attribute_not_exists(#owner) AND attribute_not_exists(written_by)",
            "ExpressionAttributeNames": {"#owner": "owner"},
        }
        if "written_by" in earlier:
            condition["ConditionExpression"] = "attribute_not_exists(#owner) AND written_by = :seen"
            condition["ExpressionAttributeValues"] = {":seen": earlier["written_by"]}
    target = ResourceKey(claim.key.type, claim.hold.target_id or "")
    return {"Update": _update(table, keys.target_claim(job.target_org_id, target), values, condition)}


def release(table: str, job: Job, key: ResourceKey, hold: Hold, writer: Writer | None, now: float) -> list[Item]:
    """Return the parts of a transaction that let go of a claim.

    Args:
        table: LineageTable.
        job: whose organisations they are.
        key: the source config.
        hold: what is claimed.
        writer: the job that may have written the target under the claim; None where nothing was sent.
        now: epoch seconds.
    """
    parts: list[Item] = []
    owned = _owned_by(hold.owner)
    if hold.source:
        parts.append({"Delete": {"TableName": table, "Key": _source(job, key), **owned}})
    if hold.target_id is not None:
        values = {"expires_at": int(now) + _LIFETIME_S, **(_written_by(writer) if writer else {})}
        update = _update(table, _target(job, key, hold.target_id), values, owned)
        update["UpdateExpression"] += " REMOVE #owner"
        parts.append({"Update": update})
    return parts


def mark_written(table: str, job: Job, target: ResourceKey, now: float) -> Item:
    """Return the part of a transaction that says who wrote a target which nobody could claim before it was made.

    Args:
        table: LineageTable.
        job: the job that made it.
        target: the config.
        now: epoch seconds.
    """
    writer = _written_by(Writer(job.id, job.kind))
    values = {"type": target.type, "target_id": target.id, "expires_at": int(now) + _LIFETIME_S, **writer}
    return {"Update": _update(table, _target(job, target, target.id), values)}


def run_out(table: str, job: Job, key: ResourceKey, hold: Hold, sent: Sent | None, now: float) -> list[Item]:
    """Return the parts of a transaction that let a claim run out now and leave it to whoever finds out."""
    ends: Item = {"lease_until": int(now)}
    tells: Item = {}
    if sent is not None:
        # A second later rather than sooner: the table's numbers are whole.
        times: Item = {"first_sent_at": sent.first_at, "sent_at": sent.last_at, "lost_at": sent.lost_at}
        tells = {name: ceil(moment) for name, moment in times.items()}
        tells |= {"sends": sent.times, "ended": sent.ended, "outlived": sent.outlived}
    owned = _owned_by(hold.owner)
    parts: list[Item] = []
    if hold.source:
        parts.append({"Update": _update(table, _source(job, key), ends | tells, owned)})
    if hold.target_id is not None:
        parts.append({"Update": _update(table, _target(job, key, hold.target_id), ends, owned)})
    return parts


def give_up(table: str, job: Job, key: ResourceKey, hold: Hold) -> list[Item]:
    """Return the parts of a transaction that let others take a claim over once its lease has ended."""
    places = [_source(job, key)] if hold.source else []
    places += [_target(job, key, hold.target_id)] if hold.target_id is not None else []
    return [{"Update": _update(table, place, {"given_up": True}, _owned_by(hold.owner))} for place in places]


def _source(job: Job, key: ResourceKey) -> keys.Key:
    return keys.claim(job.target_org_id, key, job.source_org_id)


def _target(job: Job, key: ResourceKey, target_id: str) -> keys.Key:
    return keys.target_claim(job.target_org_id, ResourceKey(key.type, target_id))


_IS_NEW: Item = {"ConditionExpression": "attribute_not_exists(pk)"}


def _owned_by(owner: str) -> Item:
    return {
        "ConditionExpression": "#owner = :earlier",
        "ExpressionAttributeNames": {"#owner": "owner"},
        "ExpressionAttributeValues": {":earlier": owner},
    }


def _written_by(writer: Writer) -> Item:
    return {"written_by": writer.job_id, "written_kind": writer.kind.value}


def _claim_values(claim: Claim, now: float) -> Item:
    chosen = {} if claim.hold.target_id is None else {"target_id": claim.hold.target_id}
    return {
        "type": claim.key.type,
        "source_id": claim.key.id,
        **chosen,
        "org_id": claim.org_id,
        "job_id": claim.job_id,
        "kind": claim.kind.value,
        "owner": claim.hold.owner,
        "action": claim.action,
        "attempt": claim.attempt,
        "given_up": False,
        "claimed_at": int(now),
        "lease_until": int(claim.lease_until),
        "expires_at": int(claim.lease_until) + _LIFETIME_S,
    }


def _update(table: str, key: keys.Key, values: Item, condition: Mapping[str, Any] = EMPTY) -> Item:
    return {
        "TableName": table,
        "Key": key,
        **condition,
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in values),
        "ExpressionAttributeNames": {
            **{f"#{name}": name for name in values},
            **condition.get("ExpressionAttributeNames", {}),
        },
        "ExpressionAttributeValues": {
            **{f":{name}": value for name, value in values.items()},
            **condition.get("ExpressionAttributeValues", {}),
        },
    }
