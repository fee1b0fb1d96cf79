"""The places of running jobs in SyncJobsTable, and the marks by which a job that hangs is found."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, override
from zlib import crc32

from shared.adapters.dynamodb import keys
from shared.adapters.dynamodb.job_items import (
    job_item,
)
from shared.adapters.dynamodb.requests import batch_get, query_all, transact
from shared.domain.errors import StorageThrottledError, TooManyJobsError
from shared.domain.job import Job, JobKind, JobStatus, Places, RunningJob, epoch_seconds
from shared.domain.ports.jobs import Jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient


RETENTION_S = 180 * 24 * 3600
# The state machine ends an execution after a day; the hour more lets its end be recorded.
_SLOT_LEASE_S = 25 * 3600
# As long as its payloads are kept: what has not ended by then never will.
_MARK_LIFETIME_S = 7 * 24 * 3600
_RETRY_AFTER_S = 30
_LOOKS_FOR_A_PLACE = 8
_PLACES = Places()


class RunningJobs(Jobs):
    """Which jobs run, and how many may.

    Args:
        client: the client of a boto3 DynamoDB resource, which takes and gives Python values.
        jobs_table, rows_table, index_table: names; an operation that needs one that is empty fails.
        clock: epoch seconds.
        kind: of the jobs that are kept here.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        jobs_table: str,
        rows_table: str = "",
        index_table: str = "",
        clock: Callable[[], float] = time.time,
        kind: JobKind = JobKind.SYNC,
    ) -> None:
        self._client = client
        self._jobs = jobs_table
        self._rows = rows_table
        self._index = index_table
        self._clock = clock
        self._kind = kind
        # A cursor is good for the operation alone that gave it.
        self._list_jobs = f"list{kind.capitalize()}Jobs"
        self._list_rows = f"list{kind.capitalize()}JobResources"

    @override
    def create_job(self, job: Job, places: Places = _PLACES) -> bool:
        header = keys.job(job.org_id, job.id, job.kind)
        put_header: Any = {
            "TableName": self._jobs,
            "Item": {
                **header,
                **keys.jobs_by_created(job.org_id, job.started_at, job.id, job.kind),
                **job_item(job),
                "expires_at": self._expires_at(),
            },
            "ConditionExpression": "attribute_not_exists(pk) OR #status = :failed",
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": {":failed": JobStatus.FAILED.value},
        }
        kinds = _slots_of(job, places)
        for _ in range(_LOOKS_FOR_A_PLACE):
            found = batch_get(self._client, self._jobs, [header, *(slot for slots, _ in kinds for slot in slots)])
            if any(item["sk"] == header["sk"] and not _never_began(item, job) for item in found):
                return False
            taken = {(item["pk"], item["sk"]) for item in found if self._is_taken(item)}
            slots = [_free_slot(job, slots, taken, why_not) for slots, why_not in kinds]
            puts = [put_header, *map(partial(self._slot, job), slots), self._mark(job, slots)]
            if transact(self._client, [{"Put": put} for put in puts]) is None:
                return True
        raise StorageThrottledError("Other jobs kept taking the places of this one.", retry_after=1)

    def _is_taken(self, slot: Mapping[str, Any]) -> bool:
        return "job_id" in slot and float(slot["lease_until"]) >= self._clock()

    def _slot(self, job: Job, slot: keys.Key) -> Any:
        now = int(self._clock())
        return {
            "TableName": self._jobs,
            "Item": {
                **slot,
                "job_id": job.id,
                "lease_until": now + _SLOT_LEASE_S,
                "expires_at": now + _SLOT_LEASE_S,
            },
            "ConditionExpression": "attribute_not_exists(job_id) OR lease_until < :now",
            "ExpressionAttributeValues": {":now": now},
        }

    def _mark(self, job: Job, slots: Sequence[keys.Key]) -> Any:
        return {
            "TableName": self._jobs,
            "Item": {
                **keys.running_job(job.org_id, job.id, job.kind),
                "org_id": job.org_id,
                "job_id": job.id,
                "started_at": int(epoch_seconds(job.started_at)),
                "slots": slots,
                "expires_at": int(self._clock()) + _MARK_LIFETIME_S,
            },
        }

    @override
    def release_slot(self, job: Job, busy_s: float = 0) -> None:
        release: Any = {"UpdateExpression": "REMOVE job_id, lease_until"}
        values: dict[str, Any] = {":job": job.id}
        if busy_s:
            release = {"UpdateExpression": "SET lease_until = :until"}
            values[":until"] = int(self._clock() + busy_s)
        # Jobs that began under earlier code have taken a place of their target and did not write down which.
        slots = self._find_mark(job).get("slots") or _slots_of(job, _PLACES)[0][0]
        for slot in slots:
            try:
                self._client.update_item(
                    TableName=self._jobs,
                    Key=slot,
                    ConditionExpression="job_id = :job",
                    ExpressionAttributeValues=values,
                    **release,
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                continue
        self._client.delete_item(TableName=self._jobs, Key=keys.running_job(job.org_id, job.id, job.kind))

    @override
    def is_marked_running(self, job: Job) -> bool:
        return bool(self._find_mark(job))

    def _find_mark(self, job: Job) -> dict[str, Any]:
        key = keys.running_job(job.org_id, job.id, job.kind)
        answer: Any = self._client.get_item(TableName=self._jobs, Key=key, ConsistentRead=True)
        return dict(answer.get("Item", {}))

    @override
    def note_progress(self, org_id: str, job_id: str) -> None:
        try:
            self._client.update_item(
                TableName=self._jobs,
                Key=keys.running_job(org_id, job_id, self._kind),
                UpdateExpression="SET progressed_at = :now",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={":now": int(self._clock())},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return

    @override
    def note_wait(self, org_id: str, job_id: str) -> int:
        try:
            answer = self._client.update_item(
                TableName=self._jobs,
                Key=keys.running_job(org_id, job_id, self._kind),
                UpdateExpression="ADD waits :one",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={":one": 1},
                ReturnValues="UPDATED_NEW",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return 0
        return int(str(answer["Attributes"]["waits"]))

    def list_running(self) -> list[RunningJob]:
        """Return the jobs of all organisations that have not ended."""
        items = query_all(
            self._client,
            {
                "TableName": self._jobs,
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": keys.running_jobs_partition(self._kind)},
            },
        )
        return [
            RunningJob(
                org_id=item["org_id"],
                id=item["job_id"],
                kind=self._kind,
                started_at=float(item["started_at"]),
                progressed_at=float(item["progressed_at"]) if "progressed_at" in item else None,
            )
            for item in items
        ]

    def _expires_at(self) -> int:
        return int(self._clock()) + RETENTION_S


def _slots_of(job: Job, places: Places) -> list[tuple[list[keys.Key], str]]:
    """Return the places of which a job takes one of each kind, with what is said where none is free."""
    return [
        (
            [keys.running_slot(job.target_org_id, number + 1) for number in range(places.target)],
            f"{places.target} jobs are running into this organisation already: wait until one of them has ended.",
        ),
        (
            [keys.caller_slot(job.org_id, number + 1) for number in range(places.caller)],
            f"{places.caller} jobs of your organisation are running already: wait until one of them has ended.",
        ),
        (
            [keys.service_slot(number + 1) for number in range(places.total)],
            "As many jobs are running as the service carries: try again in a while.",
        ),
    ]


def _never_began(header: Mapping[str, Any], job: Job) -> bool:
    """Tell whether a header is that of the same request, failed at its intake.

    What ends a job later leaves its execution or an error in the header.
    """
    asked = (header["status"], header["user_id"], header["request_hash"])
    never_began = "execution_id" not in header and "job_error" not in header
    return never_began and asked == (JobStatus.FAILED.value, job.user_id, job.request_hash)


def _free_slot(job: Job, slots: Sequence[keys.Key], taken: Collection[tuple[str, str]], why_not: str) -> keys.Key:
    """Return a free place; not the same for all that ask at the same moment."""
    free = [slot for slot in slots if (slot["pk"], slot["sk"]) not in taken]
    if not free:
        raise TooManyJobsError(why_not, retry_after=_RETRY_AFTER_S)
    return free[crc32(job.id.encode()) % len(free)]
