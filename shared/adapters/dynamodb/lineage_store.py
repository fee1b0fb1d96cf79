"""Lineage: which target config a source config became, and that no two of one organisation became the same."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, override

from shared.adapters.dynamodb import keys
from shared.adapters.dynamodb.claims import give_up, is_held, read_claim, release
from shared.adapters.dynamodb.requests import batch_get, query_all, transact
from shared.domain.errors import ConflictError
from shared.domain.plan import LineageEntry
from shared.domain.ports.lineage import Lineage, LineageRegistry
from shared.domain.resource_type import ResourceKey
from shared.domain.row_commit import Claim, Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from shared.domain.job import Job


class LineageStore(Lineage, LineageRegistry):
    """Lineage of one pair of organisations at a time; reads are strongly consistent.

    Args:
        client: the client of a boto3 DynamoDB resource, which takes and gives Python values.
        table: name of LineageTable.
        clock: epoch seconds.
    """

    def __init__(self, client: DynamoDBClient, table: str, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    @override
    def find_entries(
        self, target_org: str, source_org: str, sources: Iterable[ResourceKey]
    ) -> dict[ResourceKey, LineageEntry]:
        items = batch_get(self._client, self._table, [keys.lineage(target_org, key, source_org) for key in sources])
        return {ResourceKey(item["type"], item["source_id"]): _entry(item) for item in items}

    @override
    def find_inactive(self, target_org: str, source_org: str, sources: Iterable[ResourceKey]) -> set[ResourceKey]:
        items = batch_get(self._client, self._table, [keys.lineage(target_org, key, source_org) for key in sources])
        return {ResourceKey(item["type"], item["source_id"]) for item in items if item.get("inactive")}

    @override
    def find_claimed_targets(
        self, target_org: str, source_org: str, targets: Sequence[ResourceKey]
    ) -> dict[ResourceKey, ResourceKey]:
        items = batch_get(
            self._client, self._table, [keys.lineage_target(target_org, key, source_org) for key in targets]
        )
        return {
            ResourceKey(item["type"], item["target_id"]): ResourceKey(item["type"], item["source_id"]) for item in items
        }

    @override
    def list_entries(self, target_org: str, source_org: str, type_name: str | None = None) -> list[LineageEntry]:
        entries = self._query(target_org, keys.lineage_sources_prefix(type_name))
        return [entry for entry in entries if entry.source_org_id == source_org]

    @override
    def find_entries_of(self, target_org: str, source: ResourceKey) -> list[LineageEntry]:
        return self._query(target_org, keys.lineage_prefix("SOURCE", source))

    def _query(self, target_org: str, prefix: str) -> list[LineageEntry]:
        request = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": {":pk": keys.lineage_partition(target_org), ":prefix": prefix},
            "ConsistentRead": True,
        }
        return [_entry(item) for item in query_all(self._client, request)]

    @override
    def confirm_entry(self, entry: LineageEntry) -> LineageEntry:
        source = ResourceKey(entry.type, entry.source_id)
        target = ResourceKey(entry.type, entry.target_id)
        update, unique = lineage_items(self._table, entry, None)
        update["ConditionExpression"] = "attribute_not_exists(target_id)"
        for name in ("origin", "confirmed_by", "confirmed_at"):
            update["UpdateExpression"] += f", #{name} = :{name}"
            update["ExpressionAttributeNames"][f"#{name}"] = name
            update["ExpressionAttributeValues"][f":{name}"] = getattr(entry, name)
        if transact(self._client, [{"Update": update}, {"Update": unique}]) is None:
            return entry
        stored = self.find_entries(entry.target_org_id, entry.source_org_id, [source]).get(source)
        if stored is None:
            owner = self.find_claimed_targets(entry.target_org_id, entry.source_org_id, [target]).get(target)
            raise ConflictError(f"target_id: {target} is paired with {owner or 'another config'} of that organisation.")
        if stored.target_id != entry.target_id:
            raise ConflictError(f"source_id: {source} is paired with {stored.target_id} already.")
        return stored

    @override
    def delete_entry(self, entry: LineageEntry) -> bool:
        source = ResourceKey(entry.type, entry.source_id)
        target = ResourceKey(entry.type, entry.target_id)
        deletes: list[dict[str, Any]] = [
            {
                "TableName": self._table,
                "Key": keys.lineage(entry.target_org_id, source, entry.source_org_id),
                "ConditionExpression": "target_id = :target",
                "ExpressionAttributeValues": {":target": entry.target_id},
            },
            {
                "TableName": self._table,
                "Key": keys.lineage_target(entry.target_org_id, target, entry.source_org_id),
                "ConditionExpression": "attribute_not_exists(source_id) OR source_id = :mine",
                "ExpressionAttributeValues": {":mine": entry.source_id},
            },
        ]
        return transact(self._client, [{"Delete": delete} for delete in deletes]) is None

    @override
    def find_claims(self, target_org: str, source_org: str, sources: Iterable[ResourceKey]) -> dict[ResourceKey, Claim]:
        items = batch_get(self._client, self._table, [keys.claim(target_org, key, source_org) for key in sources])
        return {ResourceKey(item["type"], item["source_id"]): read_claim(item) for item in items}

    @override
    def find_target_claims(self, target_org: str, targets: Iterable[ResourceKey]) -> dict[ResourceKey, Claim]:
        items = batch_get(self._client, self._table, [keys.target_claim(target_org, key) for key in targets])
        return {ResourceKey(item["type"], item["target_id"]): read_claim(item) for item in items if is_held(item)}

    @override
    def settle_claim(self, job: Job, claim: Claim, entry: LineageEntry | None, *, inactive: bool) -> None:
        writer = Writer(job.id, job.kind)
        items = release(self._table, job, claim.key, claim.hold, writer, self._clock())
        if entry is not None:
            items += [{"Update": update} for update in lineage_items(self._table, entry, inactive)]
        transact(self._client, items)

    @override
    def give_up_claim(self, job: Job, claim: Claim) -> None:
        now = self._clock()
        if claim.lease_until <= now:
            items = release(self._table, job, claim.key, claim.hold, Writer(job.id, job.kind), now)
        else:
            items = give_up(self._table, job, claim.key, claim.hold)
        transact(self._client, items)

    @override
    def put_entries(self, entries: Iterable[LineageEntry]) -> list[LineageEntry]:
        refused = []
        for entry in entries:
            source, target = lineage_items(self._table, entry, None, if_stamp=entry.stamp)
            if transact(self._client, [{"Update": source}, {"Update": target}]) is not None:
                refused.append(entry)
        return refused


def lineage_items(
    table: str, entry: LineageEntry, inactive: bool | None, if_stamp: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the updates of a transaction that record an entry: the entry, and the item that makes its target unique.

    An `origin` that is there stays, and so does what is remembered where the entry brings nothing (between a write and
    its verification).

    Args:
        table: name of LineageTable.
        entry: the entry.
        inactive: marks a target that waits to be activated; None leaves the mark alone.
        if_stamp: record only where this is the stamp of the last write; empty where there was none.
    """
    source = ResourceKey(entry.type, entry.source_id)
    values: dict[str, Any] = {
        "type": entry.type,
        "source_id": entry.source_id,
        "source_org_id": entry.source_org_id,
        "target_id": entry.target_id,
        "target_org_id": entry.target_org_id,
        "source_fingerprint": entry.source_fingerprint,
        "target_fingerprint": entry.target_fingerprint,
        "override_fingerprint": entry.override_fingerprint,
        "last_synced_at": entry.last_synced_at,
        "last_sync_job_id": entry.last_sync_job_id,
    }
    if entry.stamp:
        values |= {"stamp": entry.stamp, "chain": entry.chain}
    if entry.base:
        values |= {name: getattr(entry, name) for name in _REMEMBERED} | {"left_out": list(entry.left_out)}
        values["verified"] = entry.stamp
    if inactive is not None:
        values["inactive"] = inactive
    update = {
        "TableName": table,
        "Key": keys.lineage(entry.target_org_id, source, entry.source_org_id),
        **_set_all(values),
    }
    if if_stamp is not None:
        update |= _unless_stamped(update, if_stamp)
    unique = _set_all({"type": entry.type, "target_id": entry.target_id, "source_id": entry.source_id})
    unique["ExpressionAttributeValues"][":mine"] = entry.source_id
    target = {
        "TableName": table,
        "Key": keys.lineage_target(entry.target_org_id, ResourceKey(entry.type, entry.target_id), entry.source_org_id),
        "ConditionExpression": "attribute_not_exists(source_id) OR source_id = :mine",
        **unique,
    }
    return update, target


def refresh_item(table: str, entry: LineageEntry) -> dict[str, Any]:
    """Return the update that records an entry anew where its pair still stands."""
    update, _ = lineage_items(table, entry, None)
    values = {**update["ExpressionAttributeValues"], ":same": entry.target_id}
    return {**update, "ConditionExpression": "target_id = :same", "ExpressionAttributeValues": values}


#: What of an entry a verification records beside its fingerprints.
_REMEMBERED = ("references", "base", "left", "remembered_at")


def _unless_stamped(update: Mapping[str, Any], if_stamp: str) -> dict[str, Any]:
    if not if_stamp:
        return {"ConditionExpression": "attribute_not_exists(stamp)"}
    values = {**update["ExpressionAttributeValues"], ":if_stamp": if_stamp}
    return {"ConditionExpression": "stamp = :if_stamp", "ExpressionAttributeValues": values}


def _set_all(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in values),
        "ExpressionAttributeNames": {f"#{name}": name for name in values},
        "ExpressionAttributeValues": {f":{name}": value for name, value in values.items()},
    }


def _entry(item: Mapping[str, Any]) -> LineageEntry:
    return LineageEntry(
        type=item["type"],
        source_org_id=item["source_org_id"],
        source_id=item["source_id"],
        target_org_id=item["target_org_id"],
        target_id=item["target_id"],
        source_fingerprint=item.get("source_fingerprint") or "",
        target_fingerprint=item.get("target_fingerprint") or "",
        override_fingerprint=item.get("override_fingerprint") or "",
        references=item.get("references") or "",
        left_out=tuple(item.get("left_out") or ()),
        base=item.get("base") or "",
        left=item.get("left") or "",
        stamp=item.get("stamp") or "",
        verified=item.get("verified") or "",
        chain=item.get("chain") or "",
        remembered_at=item.get("remembered_at") or "",
        origin=item.get("origin"),
        last_synced_at=item.get("last_synced_at"),
        last_sync_job_id=item.get("last_sync_job_id"),
        confirmed_by=item.get("confirmed_by"),
        confirmed_at=item.get("confirmed_at"),
    )
