"""Claims and group commits: a row, its lineage, its log and its counters change at one moment."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, override

from shared.adapters.dynamodb import keys
from shared.adapters.dynamodb.claims import (
    claim_source,
    claim_target,
    holder_of,
    is_held,
    last_writer,
    mark_written,
    open_create,
    release,
    run_out,
    wait_for,
)
from shared.adapters.dynamodb.job_items import event_item, row_item
from shared.adapters.dynamodb.lineage_store import lineage_items, refresh_item
from shared.adapters.dynamodb.requests import MAX_TRANSACTION, batch_get, transact
from shared.adapters.dynamodb.running_jobs import RETENTION_S
from shared.domain.job import Job, JobKind, JobStatus
from shared.domain.plan import Action
from shared.domain.ports.jobs import Commits
from shared.domain.resource_type import ResourceKey
from shared.domain.row import Row, count_change
from shared.domain.row_commit import Claim, ClaimOutcome, Lost, RowClaim, RowCommit, Sent, Writer, growing_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient

MAX_COMMITS = 24
_SEQUENCE_BLOCK = 100


class RowCommits(Commits):
    """Records what happens to the rows of jobs.

    Args:
        client: the client of a boto3 DynamoDB resource, which takes and gives Python values.
        jobs_table, rows_table, lineage_table, index_table: names.
        clock: epoch seconds.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        jobs_table: str,
        rows_table: str,
        lineage_table: str,
        index_table: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._jobs = jobs_table
        self._rows = rows_table
        self._lineage = lineage_table
        self._index = index_table
        self._clock = clock
        self._sequences: dict[str, range] = {}
        self._lock = threading.Lock()

    # Claims

    @override
    def claim(self, job: Job, batch: str, claims: Sequence[RowClaim], lease_until: float) -> ClaimOutcome:
        claimed: dict[ResourceKey, Row] = {}
        taken_over: set[ResourceKey] = set()
        orphaned: dict[ResourceKey, str] = {}
        open_creates: dict[ResourceKey, Sent] = {}
        writers: dict[ResourceKey, Writer] = {}
        blocked: dict[ResourceKey, float] = {}
        for block in _blocks(claims):
            found = self._found(job, block)
            free: list[RowClaim] = []
            for claim in block:
                source, target = found.source(claim), found.target(claim)
                binding = [item for item in (source, target) if item and is_held(item) and not self._is_over(job, item)]
                if binding or not found.take(claim):
                    waits = [wait_for(item, self._clock()) for item in binding]
                    blocked[claim.before.key] = max(waits, default=growing_wait(0))
                elif source and self._is_orphan(job, claim, source):
                    orphaned[claim.before.key] = source["job_id"]
                else:
                    free.append(claim)
            for claim in self._take(job, batch, free, found, lease_until, blocked):
                key, source, target = claim.before.key, found.source(claim), found.target(claim)
                claimed[key] = replace(claim.after, version=claim.before.version + 1)
                if claim.hold.source and source:
                    open_creates[key] = open_create(source, self._clock())
                if key in open_creates or (target and is_held(target)):
                    taken_over.add(key)
                if target and (writer := last_writer(target, job)) and writer.job_id != job.id:
                    writers[key] = writer
        return ClaimOutcome(
            claimed=claimed,
            taken_over=frozenset(taken_over),
            blocked=frozenset(blocked),
            orphaned=orphaned,
            open_creates=open_creates,
            writers=writers,
            wait_seconds=min(blocked.values(), default=0),
        )

    def _take(
        self,
        job: Job,
        batch: str,
        claims: Sequence[RowClaim],
        found: _Found,
        lease_until: float,
        blocked: dict[ResourceKey, float],
    ) -> Sequence[RowClaim]:
        """Claim rows in one transaction and return them; those that somebody was quicker with are blocked."""
        while claims:
            parts = [(claim, item) for claim in claims for item in self._claim_items(job, claim, found, lease_until)]
            counts = self._count_updates(job, batch, [(claim.before, claim.after) for claim in claims])
            reasons = transact(self._client, [item for _, item in parts] + counts)
            if reasons is None:
                break
            lost = {
                claim.before.key
                for (claim, _), reason in zip(parts, reasons, strict=False)
                if reason == "ConditionalCheckFailed"
            }
            blocked |= dict.fromkeys(lost, growing_wait(0))
            claims = [claim for claim in claims if claim.before.key not in lost]
        return claims

    def _is_over(self, job: Job, claim: Mapping[str, Any]) -> bool:
        """Tell whether a claim binds nobody: what its owner sent has ended, and its job is this one or done with it."""
        if float(claim["lease_until"]) > self._clock():
            return False
        if claim["job_id"] == job.id or claim.get("given_up"):
            return True
        key = keys.job(claim["org_id"], claim["job_id"], holder_of(claim).kind)
        header = self._client.get_item(TableName=self._jobs, Key=key, ConsistentRead=True).get("Item")
        return header is None or JobStatus(str(header["status"])).final

    @staticmethod
    def _is_orphan(job: Job, claim: RowClaim, held: Mapping[str, Any]) -> bool:
        return bool(held["job_id"] != job.id and held["action"] == claim.before.action == Action.CREATE)

    def _found(self, job: Job, claims: Sequence[RowClaim]) -> _Found:
        """Read what stands at all places that bear on some rows."""
        places = [place for claim in claims for place in (_source(job, claim), _target(job, claim)) if place]
        items = batch_get(self._client, self._lineage, places)
        return _Found(job, {item["sk"]: item for item in items})

    def _claim_items(self, job: Job, wanted: RowClaim, found: _Found, lease_until: float) -> list[dict[str, Any]]:
        after, hold, now = wanted.after, wanted.hold, self._clock()
        claim = Claim(
            key=after.key,
            hold=hold,
            org_id=job.org_id,
            job_id=job.id,
            kind=job.kind,
            # What is on the target already can be written again; only a create must not be sent twice.
            action=after.action if after.target_id is None else Action.PATCH.value,
            attempt=after.attempt,
            lease_until=lease_until,
        )
        items = [{"Put": self._row_put(job, wanted.before, after)}]
        if hold.source:
            items.append(claim_source(self._lineage, job, claim, now, found.source(wanted)))
        if hold.target_id is not None:
            items.append(claim_target(self._lineage, job, claim, now, found.target(wanted)))
        return items

    # Commits

    @override
    def commit(self, job: Job, batch: str, commits: Sequence[RowCommit]) -> dict[ResourceKey, Lost]:
        lost: dict[ResourceKey, Lost] = {}
        for whole_group in self._groups(job, commits):
            group = whole_group
            while group:
                items: list[dict[str, Any]] = []
                owners: list[tuple[RowCommit, Lost]] = []
                for commit, parts in group:
                    items += [item for item, _ in parts]
                    owners += [(commit, kind) for _, kind in parts]
                counts = self._count_updates(job, batch, [(commit.before, commit.after) for commit, _ in group])
                reasons = transact(self._client, items + counts)
                if reasons is None:
                    break
                for (commit, kind), reason in zip(owners, reasons, strict=False):
                    if reason == "ConditionalCheckFailed":
                        lost.setdefault(commit.before.key, kind)
                group = [(commit, parts) for commit, parts in group if commit.before.key not in lost]
        return lost

    def _groups(
        self, job: Job, commits: Sequence[RowCommit]
    ) -> Iterable[list[tuple[RowCommit, list[tuple[dict[str, Any], Lost]]]]]:
        group: list[tuple[RowCommit, list[tuple[dict[str, Any], Lost]]]] = []
        size = 1
        for commit in commits:
            parts = self._parts(job, commit)
            if group and (len(group) == MAX_COMMITS or size + len(parts) > MAX_TRANSACTION):
                yield group
                group, size = [], 1
            group.append((commit, parts))
            size += len(parts)
        if group:
            yield group

    def _parts(self, job: Job, commit: RowCommit) -> list[tuple[dict[str, Any], Lost]]:
        parts: list[tuple[dict[str, Any], Lost]] = [
            ({"Put": self._row_put(job, commit.before, commit.after)}, Lost.ROW)
        ]
        if commit.lineage is not None:
            source, target = lineage_items(self._lineage, commit.lineage, commit.inactive, commit.if_stamp)
            parts += [({"Update": source}, Lost.STAMP), ({"Update": target}, Lost.TARGET)]
        if commit.way_back is not None:
            parts.append(({"Update": refresh_item(self._lineage, commit.way_back)}, Lost.WAY_BACK))
        if commit.hold is not None:
            key, now = commit.before.key, self._clock()
            if commit.keep_claim:
                ends = run_out(self._lineage, job, key, commit.hold, commit.open_create, now)
            else:
                writer = Writer(job.id, job.kind) if commit.sent else None
                ends = release(self._lineage, job, key, commit.hold, writer, now)
            # An id that is the same in every organisation comes back: what wrote it before was another config.
            if commit.sent and commit.hold.target_id is None and commit.after.target_id == commit.before.key.id:
                ends.append(mark_written(self._lineage, job, commit.before.key, self._clock()))
            parts += [(item, Lost.CLAIM) for item in ends]
        expires_at = int(self._clock()) + RETENTION_S
        for event in commit.events:
            item = event_item(job.org_id, job.id, event, self._next_seq(job), expires_at)
            parts.append(({"Put": {"TableName": self._index, "Item": item}}, Lost.ROW))
        return parts

    def _row_put(self, job: Job, before: Row, after: Row) -> dict[str, Any]:
        item = row_item(job, replace(after, version=before.version + 1), int(self._clock()) + RETENTION_S)
        return {
            "TableName": self._rows,
            "Item": item,
            "ConditionExpression": "version = :version",
            "ExpressionAttributeValues": {":version": before.version},
        }

    def _count_updates(self, job: Job, batch: str, changes: Iterable[tuple[Row, Row]]) -> list[dict[str, Any]]:
        total: dict[str, int] = {}
        for before, after in changes:
            for name, number in count_change(before, after).items():
                total[name] = total.get(name, 0) + number
        changed = {name: number for name, number in total.items() if number}
        if not changed:
            return []
        return [
            {
                "Update": {
                    "TableName": self._jobs,
                    "Key": keys.counts(job.org_id, job.id, batch, job.kind),
                    "UpdateExpression": "SET expires_at = :expires_at ADD "
                    + ", ".join(f"#{name} :{name}" for name in changed),
                    "ExpressionAttributeNames": {f"#{name}": name for name in changed},
                    "ExpressionAttributeValues": {
                        ":expires_at": int(self._clock()) + RETENTION_S,
                        **{f":{name}": number for name, number in changed.items()},
                    },
                }
            }
        ]

    def _next_seq(self, job: Job) -> int:
        """Return a sequence number, unique in the job and increasing in this process; blocks leave gaps."""
        with self._lock:
            block = self._sequences.get(job.id, range(0))
            if not block:
                answer = self._client.update_item(
                    TableName=self._jobs,
                    Key=keys.sequence(job.org_id, job.id, job.kind),
                    UpdateExpression="ADD next_seq :block",
                    ExpressionAttributeValues={":block": _SEQUENCE_BLOCK},
                    ReturnValues="UPDATED_NEW",
                )
                end = int(str(answer["Attributes"]["next_seq"]))
                block = range(end - _SEQUENCE_BLOCK + 1, end + 1)
            self._sequences[job.id] = block[1:]
            return block[0]


class _Found:
    """What stands at the places of a block of rows."""

    def __init__(self, job: Job, items: Mapping[str, dict[str, Any]]) -> None:
        self._job = job
        self._items = items
        self._taken: set[str] = set()

    def source(self, claim: RowClaim) -> dict[str, Any] | None:
        """Return the claim on a row's source config."""
        place = _source(self._job, claim)
        return self._items.get(place["sk"]) if place else None

    def target(self, claim: RowClaim) -> dict[str, Any] | None:
        """Return the claim on a row's target config, or its trace."""
        place = _target(self._job, claim)
        return self._items.get(place["sk"]) if place else None

    def take(self, claim: RowClaim) -> bool:
        """Tell whether no row before it in the block takes the same target: a transaction writes an item once."""
        place = _target(self._job, claim)
        if place is None:
            return True
        is_first = place["sk"] not in self._taken
        self._taken.add(place["sk"])
        return is_first


def _source(job: Job, claim: RowClaim) -> keys.Key | None:
    """Return where the claim on a source stands: it binds also a row that claims its target only.

    Code before claims on targets knew no others.
    """
    if job.kind is JobKind.DELETE:
        return None
    return keys.claim(job.target_org_id, claim.before.key, job.source_org_id)


def _target(job: Job, claim: RowClaim) -> keys.Key | None:
    if claim.hold.target_id is None:
        return None
    return keys.target_claim(job.target_org_id, ResourceKey(claim.before.key.type, claim.hold.target_id))


def _blocks(claims: Iterable[RowClaim]) -> Iterator[list[RowClaim]]:
    """Yield rows in blocks that fit into a transaction, with their claims and the counters."""
    block: list[RowClaim] = []
    size = 1
    for claim in claims:
        items = 1 + claim.hold.source + (claim.hold.target_id is not None)
        if size + items > MAX_TRANSACTION:
            yield block
            block, size = [], 1
        block.append(claim)
        size += items
    if block:
        yield block
