"""Headers and counters of jobs, in SyncJobsTable; one update at a time decides where a job stands."""

from __future__ import annotations

from dataclasses import replace
from itertools import batched
from typing import TYPE_CHECKING, Any, override

from shared.adapters.dynamodb import keys
from shared.adapters.dynamodb.cursor import begun_at, decode_cursor, encode_cursor
from shared.adapters.dynamodb.job_items import (
    entered_name,
    error_item,
    read_job,
)
from shared.adapters.dynamodb.requests import MAX_TRANSACTION, query_all, transact
from shared.adapters.dynamodb.running_jobs import RunningJobs
from shared.domain.errors import ConflictError, NotFoundError
from shared.domain.job import COUNTERS, Job, JobStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.domain.row import Phase, RowError

_REQUESTS_A_PAGE = 4
_FILTERED_ITEMS = 100
# An invocation that was given up and goes on all the same must not touch what the steps behind the plan work on.
_IS_PLANNER = "planned = :no AND planner = :planner"
_NOT_PLANNER = "The job is planned already, another invocation plans it, or it is final."
_RUNNING = (JobStatus.PENDING.value, JobStatus.IN_PROGRESS.value)


class JobHeaders(RunningJobs):
    """Headers and counters. Reads are strongly consistent, except lists for people."""

    @override
    def get_job(self, org_id: str, job_id: str) -> Job:
        item = self._client.get_item(
            TableName=self._jobs, Key=keys.job(org_id, job_id, self._kind), ConsistentRead=True
        ).get("Item")
        if item is None:
            raise NotFoundError(f"There is no {self._kind} job {job_id}.")
        return read_job(item)

    @override
    def list_jobs(self, org_id: str, status: str | None, size: int, cursor: str | None) -> tuple[list[Job], str | None]:
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

    @override
    def start_job(self, org_id: str, job_id: str, execution_id: str) -> Job:
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

    @override
    def begin_plan(self, job: Job, planner: str) -> Job:
        self._update_header(
            job.org_id,
            job.id,
            "SET planner = :planner",
            {":planner": planner},
            condition="planned = :no",
            values={":no": False},
        )
        return replace(job, planner=planner)

    @override
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

    @override
    def hand_out_stage(self, job: Job, stage: int, hand_outs: int) -> None:
        self._update_header(
            job.org_id, job.id, "SET next_stage = :stage, hand_outs = :times", {":stage": stage, ":times": hand_outs}
        )

    @override
    def enter_phase(self, job: Job, phase: Phase, current_batch: Mapping[str, int] | None) -> None:
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

    @override
    def stop_for(self, org_id: str, job_id: str, error: RowError) -> None:
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

    @override
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

    @override
    def cancel_job(self, org_id: str, job_id: str, finished_at: str) -> Job:
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

    @override
    def counts(self, org_id: str, job_id: str) -> dict[str, dict[str, int]]:
        items = query_all(
            self._client,
            {
                "TableName": self._jobs,
                "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
                "ExpressionAttributeValues": {
                    ":pk": keys.job_partition(org_id, job_id, self._kind),
                    ":prefix": keys.COUNTS_PREFIX,
                },
                "ConsistentRead": True,
            },
        )
        return {keys.split(item["sk"])[1]: {name: int(item.get(name, 0)) for name in COUNTERS} for item in items}

    @override
    def total_counts(self, org_id: str, job_id: str) -> dict[str, int]:
        batches = self.counts(org_id, job_id).values()
        return {name: sum(numbers[name] for numbers in batches) for name in COUNTERS}

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


def _planner_values(job: Job) -> dict[str, Any]:
    return {":no": False, ":planner": job.planner}
