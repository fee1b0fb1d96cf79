"""Claims and group commits: a row, its lineage, its log and its counters change at one moment."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from itertools import batched
from typing import TYPE_CHECKING, Any

from shared.adapters.dynamodb import keys
from shared.adapters.dynamodb.lineage_store import lineage_items
from shared.adapters.dynamodb.sync_requests import MAX_TRANSACTION, batch_get, transact
from shared.adapters.dynamodb.sync_store import RETENTION_S, event_item, row_item
from shared.domain.plan import Action
from shared.domain.resource_type import ResourceKey
from shared.domain.row_commit import Claim, ClaimOutcome, Lost, RowCommit
from shared.domain.sync_job import Job, JobStatus, Row, count_change

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient

# A transaction takes 100 items: a claim and a row each, and the counters.
MAX_CLAIMS = (MAX_TRANSACTION - 1) // 2
MAX_COMMITS = 24
_SEQUENCE_BLOCK = 100
# As long as the payloads of its job are kept: without them nobody can tell what it was about to make.
_CLAIM_LIFETIME_S = 7 * 24 * 3600


class RowCommits:
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

    def claim(
        self, job: Job, batch: str, changes: Sequence[tuple[Row, Row]], owner: str, lease_until: float
    ) -> ClaimOutcome:
        """Claim rows in blocks, each with the row's transition and the counters in one transaction.

        Args:
            job: the job.
            batch: whose counters change.
            changes: each row as it was read and as it is once claimed.
            owner: this invocation.
            lease_until: epoch seconds.
        """
        claimed: dict[ResourceKey, Row] = {}
        taken_over: set[ResourceKey] = set()
        blocked: set[ResourceKey] = set()
        orphaned: dict[ResourceKey, str] = {}
        for block in batched(changes, MAX_CLAIMS, strict=False):
            held = self._held([before.key for before, _ in block], job)
            others = {key: item for key, item in held.items() if not self._is_over(job, item)}
            blocked |= others.keys()
            orphans = {
                before.key: held[before.key]["job_id"]
                for before, _ in block
                if before.key in held.keys() - others.keys() and self._is_orphan(job, before, held[before.key])
            }
            orphaned |= orphans
            free = [change for change in block if change[0].key not in others and change[0].key not in orphans]
            while free:
                reasons = transact(self._client, self._claim_items(job, batch, free, held, owner, lease_until))
                if reasons is None:
                    claimed |= {after.key: replace(after, version=before.version + 1) for before, after in free}
                    taken_over |= {before.key for before, _ in free if before.key in held}
                    break
                lost = {
                    before.key
                    for index, (before, _) in enumerate(free)
                    if "ConditionalCheckFailed" in reasons[2 * index : 2 * index + 2]
                }
                blocked |= lost
                free = [change for change in free if change[0].key not in lost]
        return ClaimOutcome(
            claimed=claimed, taken_over=frozenset(taken_over), blocked=frozenset(blocked), orphaned=orphaned
        )

    def _is_over(self, job: Job, claim: Mapping[str, Any]) -> bool:
        """Tell whether a claim binds nobody: what its owner sent has ended, and its job is this one or has ended."""
        if float(claim["lease_until"]) > self._clock():
            return False
        if claim["job_id"] == job.id:
            return True
        header = self._client.get_item(
            TableName=self._jobs, Key=keys.job(claim["org_id"], claim["job_id"]), ConsistentRead=True
        ).get("Item")
        return header is None or JobStatus(str(header["status"])).final

    @staticmethod
    def _is_orphan(job: Job, row: Row, claim: Mapping[str, Any]) -> bool:
        return bool(claim["job_id"] != job.id and claim["action"] == row.action == Action.CREATE)

    def _held(self, rows: Sequence[ResourceKey], job: Job) -> dict[ResourceKey, dict[str, Any]]:
        wanted = [keys.claim(job.target_org_id, key, job.source_org_id) for key in rows]
        items = batch_get(self._client, self._lineage, wanted)
        return {ResourceKey(item["type"], item["source_id"]): item for item in items}

    def _claim_items(
        self,
        job: Job,
        batch: str,
        changes: Sequence[tuple[Row, Row]],
        held: Mapping[ResourceKey, Mapping[str, Any]],
        owner: str,
        lease_until: float,
    ) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        for before, after in changes:
            earlier = held.get(before.key)
            claim = Claim(
                key=after.key,
                org_id=job.org_id,
                job_id=job.id,
                owner=owner,
                # What is on the target already can be written again; only a create must not be sent twice.
                action=after.action if after.target_id is None else Action.PATCH.value,
                attempt=after.attempt,
                lease_until=lease_until,
            )
            items.append({"Put": self._claim_put(job, claim, earlier["owner"] if earlier else None)})
            items.append({"Put": self._row_put(job, before, after)})
        return items + self._count_updates(job, batch, changes)

    def _claim_put(self, job: Job, claim: Claim, earlier_owner: str | None) -> dict[str, Any]:
        put: dict[str, Any] = {
            "TableName": self._lineage,
            "Item": {
                **keys.claim(job.target_org_id, claim.key, job.source_org_id),
                "type": claim.key.type,
                "source_id": claim.key.id,
                "org_id": claim.org_id,
                "job_id": claim.job_id,
                "owner": claim.owner,
                "action": claim.action,
                "attempt": claim.attempt,
                "lease_until": int(claim.lease_until),
                "expires_at": int(claim.lease_until) + _CLAIM_LIFETIME_S,
            },
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        if earlier_owner is not None:
            put["ConditionExpression"] = "#owner = :earlier"
            put["ExpressionAttributeNames"] = {"#owner": "owner"}
            put["ExpressionAttributeValues"] = {":earlier": earlier_owner}
        return put

    # Commits

    def commit(self, job: Job, batch: str, commits: Sequence[RowCommit]) -> dict[ResourceKey, Lost]:
        """Record rows in groups, one transaction each.

        Args:
            job: the job.
            batch: whose counters change.
            commits: at most one per row.

        Returns:
            The rows that could not be recorded, and which condition did not hold.

        Raises:
            StorageThrottledError: the tables kept refusing a group.
        """
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
            parts.append(({"Update": lineage_items(self._lineage, commit.way_back, None)[0]}, Lost.STAMP))
        if commit.owner is not None:
            claim = {
                "TableName": self._lineage,
                "Key": keys.claim(job.target_org_id, commit.before.key, job.source_org_id),
                "ConditionExpression": "#owner = :owner",
                "ExpressionAttributeNames": {"#owner": "owner"},
                "ExpressionAttributeValues": {":owner": commit.owner},
            }
            if commit.keep_claim:
                claim["UpdateExpression"] = "SET lease_until = :now"
                claim["ExpressionAttributeValues"] = {":owner": commit.owner, ":now": int(self._clock())}
                parts.append(({"Update": claim}, Lost.CLAIM))
            else:
                parts.append(({"Delete": claim}, Lost.CLAIM))
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
