"""Job headers, counters, rows and activity logs, in SyncJobsTable, SyncResourcesTable and IndexTable."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING, Any
from zlib import crc32

from shared.adapters.dynamodb import keys
from shared.adapters.dynamodb.cursor import begun_at, decode_cursor, encode_cursor
from shared.adapters.dynamodb.job_items import (
    entered_name,
    error_item,
    event_item,
    job_item,
    read_event,
    read_job,
    read_row,
    row_item,
)
from shared.adapters.dynamodb.requests import MAX_TRANSACTION, batch_get, batch_put, transact
from shared.domain.errors import ConflictError, NotFoundError, StorageThrottledError, TooManyJobsError
from shared.domain.job import COUNTERS, Job, JobKind, JobStatus, Places, RunningJob, epoch_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from shared.domain.resource_type import ResourceKey
    from shared.domain.row import Event, Phase, Row, RowError


RETENTION_S = 180 * 24 * 3600
# The state machine ends an execution after a day; the hour more lets its end be recorded.
_SLOT_LEASE_S = 25 * 3600
# As long as its payloads are kept: what has not ended by then never will.
_MARK_LIFETIME_S = 7 * 24 * 3600
_RETRY_AFTER_S = 30
_LOOKS_FOR_A_PLACE = 8
_PLACES = Places()
_REQUESTS_A_PAGE = 4
_FILTERED_ITEMS = 100
# An invocation that was given up and goes on all the same must not touch what the steps behind the plan work on.
_IS_PLANNER = "planned = :no AND planner = :planner"
_NOT_PLANNER = "The job is planned already, another invocation plans it, or it is final."
_RUNNING = (JobStatus.PENDING.value, JobStatus.IN_PROGRESS.value)


class SyncStore:
    """Jobs and rows. Reads are strongly consistent, except lists for people.

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

    # Headers

    def create_job(self, job: Job, places: Places = _PLACES) -> bool:
        """Store a new header, mark the job as running and take its places among those that run.

        The header of one that could not be started makes room for a repeat of its request.

        Args:
            job: the job.
            places: how many there are.

        Returns:
            False where the job exists already.

        Raises:
            StorageThrottledError: other jobs kept taking and giving back places at the same moments.
            TooManyJobsError: as many jobs as allowed are running.
        """
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

    def release_slot(self, job: Job, busy_s: float = 0) -> None:
        """Give back the places that a job took among the running ones, and take its mark away.

        Args:
            job: the job.
            busy_s: for how many seconds something of it may still run: nobody takes its places before.
        """
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

    def is_marked_running(self, job: Job) -> bool:
        """Tell whether a job has its mark among the running ones: nobody has given back its place yet."""
        return bool(self._find_mark(job))

    def _find_mark(self, job: Job) -> dict[str, Any]:
        key = keys.running_job(job.org_id, job.id, job.kind)
        answer: Any = self._client.get_item(TableName=self._jobs, Key=key, ConsistentRead=True)
        return dict(answer.get("Item", {}))

    def note_progress(self, org_id: str, job_id: str) -> None:
        """Note that a step brought a job on just now; nothing happens where the job has ended."""
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

    def note_wait(self, org_id: str, job_id: str) -> int:
        """Count a wait of a job and return how many it has had by now; 0 where the job has ended."""
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
        items = self._query(
            {
                "TableName": self._jobs,
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": keys.running_jobs_partition(self._kind)},
            }
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

    def get_job(self, org_id: str, job_id: str) -> Job:
        """Return a header.

        Raises:
            NotFoundError: this organisation has no such job.
        """
        item = self._client.get_item(
            TableName=self._jobs, Key=keys.job(org_id, job_id, self._kind), ConsistentRead=True
        ).get("Item")
        if item is None:
            raise NotFoundError(f"There is no {self._kind} job {job_id}.")
        return read_job(item)

    def list_jobs(self, org_id: str, status: str | None, size: int, cursor: str | None) -> tuple[list[Job], str | None]:
        """Return one page of an organisation's jobs, newest first, and the cursor of the next.

        Raises:
            InvalidRequestError: the cursor is not one of this list.
        """
        filters = {"status": status}
        query: dict[str, Any] = {
            "TableName": self._jobs,
            "IndexName": "by_created",
            "KeyConditionExpression": "org_key = :org",
            "ExpressionAttributeValues": {":org": keys.jobs_partition(org_id, self._kind)},
            "ScanIndexForward": False,
        }
        if status:
            query |= {"FilterExpression": "#status = :status", "ExpressionAttributeNames": {"#status": "status"}}
            query["ExpressionAttributeValues"][":status"] = status
        for created_key in decode_cursor(cursor, self._list_jobs, org_id, filters, 1):
            query["ExclusiveStartKey"] = {
                **keys.job(org_id, keys.split(created_key)[-1], self._kind),
                "org_key": keys.jobs_partition(org_id, self._kind),
                "created_key": created_key,
            }
        items, last = self._page(query, size)
        next_cursor = encode_cursor(self._list_jobs, org_id, filters, [last["created_key"]]) if last else None
        return [read_job(item) for item in items], next_cursor

    def start_job(self, org_id: str, job_id: str, execution_id: str) -> Job:
        """Mark a job as running under an execution and return its header.

        Raises:
            NotFoundError: there is no such job.
            ConflictError: it is final, or another execution drives it.
        """
        try:
            answer = self._client.update_item(
                TableName=self._jobs,
                Key=keys.job(org_id, job_id, self._kind),
                UpdateExpression="SET #status = :running, execution_id = :execution",
                ConditionExpression="#status IN (:pending, :running) "
                "AND (attribute_not_exists(execution_id) OR execution_id = :execution)",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={
                    ":running": JobStatus.IN_PROGRESS.value,
                    ":pending": JobStatus.PENDING.value,
                    ":execution": execution_id,
                },
                ReturnValues="ALL_NEW",
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            job = self.get_job(org_id, job_id)
            raise ConflictError(f"The job is {job.status} or driven by another execution.") from None
        return read_job(answer["Attributes"])

    def begin_plan(self, job: Job, planner: str) -> Job:
        """Let only this invocation plan a job from now on, and return the header as it then stands.

        Raises:
            ConflictError: it is planned already, or final.
        """
        self._update_header(
            job.org_id,
            job.id,
            "SET planner = :planner",
            {":planner": planner},
            condition="planned = :no",
            values={":no": False},
        )
        return replace(job, planner=planner)

    def mark_planned(
        self,
        job: Job,
        *,
        total: int,
        stages: Sequence[Sequence[int]],
        batches: Mapping[str, Sequence[int]],
        counts: Mapping[str, Mapping[str, int]],
        next_seq: int,
    ) -> None:
        """Record that the plan stands: totals, stages, batches and where the activity log goes on.

        From then on nothing else can write counters or rows of a plan.

        Args:
            job: the header.
            total: number of rows.
            stages: batch numbers per stage.
            batches: batch numbers per kind of later work.
            counts: batch -> counter -> number of rows.
            next_seq: how many events the plan wrote.

        Raises:
            ConflictError: it is recorded already, another invocation plans by now, or the job is final.
            StorageThrottledError: the tables kept refusing.
        """
        expires_at = self._expires_at()
        self._put_planned(
            job,
            self._jobs,
            [
                {
                    **keys.counts(job.org_id, job.id, batch, job.kind),
                    **{name: numbers.get(name, 0) for name in COUNTERS},
                    "expires_at": expires_at,
                }
                for batch, numbers in counts.items()
            ]
            + [{**keys.sequence(job.org_id, job.id, job.kind), "next_seq": next_seq, "expires_at": expires_at}],
        )
        try:
            self._client.update_item(
                TableName=self._jobs,
                Key=keys.job(job.org_id, job.id, job.kind),
                UpdateExpression="SET planned = :yes, #total = :total, stages = :stages, batches = :batches",
                ConditionExpression=f"{_IS_PLANNER} AND #status IN (:pending, :running)",
                ExpressionAttributeNames={"#total": "total", "#status": "status"},
                ExpressionAttributeValues={
                    ":yes": True,
                    **_planner_values(job),
                    ":total": total,
                    ":stages": [list(stage) for stage in stages],
                    ":batches": {work: list(numbers) for work, numbers in batches.items()},
                    ":pending": JobStatus.PENDING.value,
                    ":running": JobStatus.IN_PROGRESS.value,
                },
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            raise ConflictError(_NOT_PLANNER) from None

    def _put_planned(self, job: Job, table: str, items: Sequence[dict[str, Any]]) -> None:
        """Put items of a plan, each block on condition that this invocation still plans."""
        check = {
            "TableName": self._jobs,
            "Key": keys.job(job.org_id, job.id, job.kind),
            "ConditionExpression": _IS_PLANNER,
            "ExpressionAttributeValues": _planner_values(job),
        }
        for block in batched(items, MAX_TRANSACTION - 1, strict=False):
            puts = [{"Put": {"TableName": table, "Item": item}} for item in block]
            if transact(self._client, [{"ConditionCheck": check}, *puts]) is not None:
                raise ConflictError(_NOT_PLANNER)

    def hand_out_stage(self, job: Job, stage: int, hand_outs: int) -> None:
        """Remember that a stage of phase_a was handed out, and how often by now."""
        self._update_header(
            job.org_id, job.id, "SET next_stage = :stage, hand_outs = :times", {":stage": stage, ":times": hand_outs}
        )

    def enter_phase(self, job: Job, phase: Phase, current_batch: Mapping[str, int] | None) -> None:
        """Say where a running job is; a job that is further or final is left alone."""
        try:
            self._update_header(
                job.org_id,
                job.id,
                "SET phase = :phase, phase_order = :order, current_batch = :batch,"
                f" {entered_name(phase)} = if_not_exists({entered_name(phase)}, :now)",
                {
                    ":phase": phase.value,
                    ":order": phase.order,
                    ":batch": dict(current_batch or {}) or None,
                    ":now": int(self._clock() * 1000),
                },
                condition="(attribute_not_exists(phase_order) OR phase_order <= :order)",
            )
        except ConflictError:
            return

    def stop_for(self, org_id: str, job_id: str, error: RowError) -> None:
        """Record the error that belongs to no row and ends the job; the first one stays."""
        try:
            self._update_header(
                org_id,
                job_id,
                "SET job_error = :error",
                {":error": error_item(error)},
                condition="(attribute_not_exists(job_error) OR attribute_type(job_error, :null))",
                values={":null": "NULL"},
            )
        except ConflictError:
            return

    def finish_job(
        self,
        job: Job,
        status: JobStatus,
        finished_at: str,
        errors_sample: Sequence[Mapping[str, str]],
        counts: Mapping[str, int],
        *,
        rebuild_triggered: bool = False,
    ) -> Job:
        """Close a job; one that is final keeps its status and end, and gets the sample of errors and the counters only.

        Returns:
            The header as it stands afterwards.
        """
        known: dict[str, Any] = {":sample": [dict(entry) for entry in errors_sample], ":counts": dict(counts)}
        update = "SET errors_sample = :sample, final_counts = :counts"
        if rebuild_triggered:
            known[":rebuilt"], update = True, f"{update}, rebuild_triggered = :rebuilt"
        closing = {":status": status.value, ":at": finished_at, ":none": None}
        try:
            self._update_header(
                job.org_id,
                job.id,
                f"{update}, #status = :status, finished_at = :at, current_batch = :none",
                {**known, **closing},
            )
        except ConflictError:
            self._client.update_item(
                TableName=self._jobs,
                Key=keys.job(job.org_id, job.id, job.kind),
                UpdateExpression=update,
                ExpressionAttributeValues=known,
            )
        return self.get_job(job.org_id, job.id)

    def cancel_job(self, org_id: str, job_id: str, finished_at: str) -> Job:
        """Mark a running job as cancelled and return its header.

        Raises:
            NotFoundError: this organisation has no such job.
            ConflictError: it is final already.
        """
        self.get_job(org_id, job_id)
        try:
            self._update_header(
                org_id,
                job_id,
                "SET #status = :cancelled, finished_at = :at",
                {":cancelled": JobStatus.CANCELLED.value, ":at": finished_at},
            )
        except ConflictError:
            raise ConflictError(f"The job has ended already ({self.get_job(org_id, job_id).status}).") from None
        return self.get_job(org_id, job_id)

    def _update_header(
        self,
        org_id: str,
        job_id: str,
        update: str,
        updated: dict[str, Any],
        condition: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> None:
        try:
            self._client.update_item(
                TableName=self._jobs,
                Key=keys.job(org_id, job_id, self._kind),
                UpdateExpression=update,
                ConditionExpression="#status IN (:run1, :run2)" + (f" AND {condition}" if condition else ""),
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues={":run1": _RUNNING[0], ":run2": _RUNNING[1], **updated, **(values or {})},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            raise ConflictError("The job is final, or further than that.") from None

    # Counters and activity log

    def counts(self, org_id: str, job_id: str) -> dict[str, dict[str, int]]:
        """Return batch -> counter -> number of rows."""
        items = self._query(
            {
                "TableName": self._jobs,
                "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
                "ExpressionAttributeValues": {
                    ":pk": keys.job_partition(org_id, job_id, self._kind),
                    ":prefix": keys.COUNTS_PREFIX,
                },
                "ConsistentRead": True,
            }
        )
        return {keys.split(item["sk"])[1]: {name: int(item.get(name, 0)) for name in COUNTERS} for item in items}

    def total_counts(self, org_id: str, job_id: str) -> dict[str, int]:
        """Return the sum of all batches' counters."""
        batches = self.counts(org_id, job_id).values()
        return {name: sum(numbers[name] for numbers in batches) for name in COUNTERS}

    def list_events(self, org_id: str, job_id: str, limit: int = 10) -> list[Event]:
        """Return the latest events, the newest first."""
        answer = self._client.query(
            TableName=self._index,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": keys.operation_log_partition(org_id, job_id)},
            ScanIndexForward=False,
            Limit=limit,
        )
        return [read_event(item) for item in answer["Items"]]

    def put_events(self, org_id: str, job_id: str, events: Sequence[Event]) -> None:
        """Write events whose `seq` is set."""
        expires_at = self._expires_at()
        batch_put(
            self._client,
            self._index,
            [event_item(org_id, job_id, event, event.seq, expires_at) for event in events],
        )

    # Rows

    def put_rows(self, job: Job, rows: Sequence[Row]) -> None:
        """Write the rows of a plan, over those of an earlier attempt to plan.

        Raises:
            ConflictError: a plan stands already, or another invocation plans by now.
            StorageThrottledError: the tables kept refusing.
        """
        expires_at = self._expires_at()
        self._put_planned(job, self._rows, [row_item(job, row, expires_at) for row in rows])

    def get_rows(self, org_id: str, job_id: str, wanted: Iterable[ResourceKey]) -> dict[ResourceKey, Row]:
        """Return the rows of the given source configs; those that the job does not have are left out."""
        items = batch_get(self._client, self._rows, [keys.row(org_id, job_id, key, self._kind) for key in wanted])
        rows = (read_row(item) for item in items)
        return {row.key: row for row in rows}

    def list_rows(self, org_id: str, job_id: str) -> Iterator[Row]:
        """Yield all rows of a job, strongly consistent."""
        items = self._query(
            {
                "TableName": self._rows,
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": keys.job_partition(org_id, job_id, self._kind)},
                "ConsistentRead": True,
            }
        )
        yield from (read_row(item) for item in items)

    def list_rows_page(
        self, org_id: str, job_id: str, status: str | None, size: int, cursor: str | None
    ) -> tuple[list[Row], str | None]:
        """Return one page of rows for a person, and the cursor of the next.

        Raises:
            InvalidRequestError: the cursor is not one of this list.
        """
        filters = {"job_id": job_id, "status": status}
        query: dict[str, Any] = {
            "TableName": self._rows,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": keys.job_partition(org_id, job_id, self._kind)},
        }
        key_names = ["sk"]
        if status:
            key_names = ["sk", "status_key"]
            query["IndexName"] = "by_status"
            query["KeyConditionExpression"] += " AND begins_with(status_key, :status)"
            query["ExpressionAttributeValues"][":status"] = f"{keys.encode(status)}#"
        if last_keys := decode_cursor(cursor, self._list_rows, org_id, filters, len(key_names)):
            query["ExclusiveStartKey"] = {
                "pk": keys.job_partition(org_id, job_id, self._kind),
                **dict(zip(key_names, last_keys, strict=True)),
            }
        items, last = self._page(query, size)
        next_cursor = None
        if last:
            next_cursor = encode_cursor(self._list_rows, org_id, filters, [last[name] for name in key_names])
        return [read_row(item) for item in items], next_cursor

    # Requests

    def _query(self, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        while True:
            answer: dict[str, Any] = dict(self._client.query(**query))
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            query = {**query, "ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _page(self, query: dict[str, Any], size: int) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """Read until the page is full or a few requests are spent: a filter may leave a short page with more behind it.

        Returns:
            The items, and where there may be more the last item or key that was looked at.
        """
        found: list[dict[str, Any]] = []
        for _ in range(_REQUESTS_A_PAGE):
            limit = size if "FilterExpression" not in query else _FILTERED_ITEMS
            with begun_at(query):
                answer: dict[str, Any] = dict(self._client.query(**{**query, "Limit": limit}))
            found += answer["Items"]
            last = answer.get("LastEvaluatedKey")
            if len(found) > size:
                return found[:size], found[size - 1]
            if last is None or len(found) == size:
                return found, last
            query = {**query, "ExclusiveStartKey": last}
        return found, last

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


def _planner_values(job: Job) -> dict[str, Any]:
    return {":no": False, ":planner": job.planner}
