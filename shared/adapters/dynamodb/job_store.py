"""Rows and activity logs of jobs, in SyncResourcesTable and IndexTable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, override

from shared.adapters.dynamodb import keys
from shared.adapters.dynamodb.cursor import decode_cursor, encode_cursor
from shared.adapters.dynamodb.job_headers import JobHeaders
from shared.adapters.dynamodb.job_items import (
    event_item,
    read_event,
    read_row,
    row_item,
)
from shared.adapters.dynamodb.requests import batch_get, batch_put, query_all

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from shared.domain.job import Job
    from shared.domain.resource_type import ResourceKey
    from shared.domain.row import Event, Row


class JobStore(JobHeaders):
    """Jobs and rows. Reads are strongly consistent, except lists for people."""

    @override
    def list_events(self, org_id: str, job_id: str, limit: int = 10) -> list[Event]:
        answer = self._client.query(
            TableName=self._index,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": keys.operation_log_partition(org_id, job_id)},
            ScanIndexForward=False,
            Limit=limit,
        )
        return [read_event(item) for item in answer["Items"]]

    @override
    def put_events(self, org_id: str, job_id: str, events: Sequence[Event]) -> None:
        expires_at = self._expires_at()
        batch_put(
            self._client,
            self._index,
            [event_item(org_id, job_id, event, event.seq, expires_at) for event in events],
        )

    @override
    def put_rows(self, job: Job, rows: Sequence[Row]) -> None:
        expires_at = self._expires_at()
        self._put_planned(job, self._rows, [row_item(job, row, expires_at) for row in rows])

    @override
    def get_rows(self, org_id: str, job_id: str, wanted: Iterable[ResourceKey]) -> dict[ResourceKey, Row]:
        items = batch_get(self._client, self._rows, [keys.row(org_id, job_id, key, self._kind) for key in wanted])
        rows = (read_row(item) for item in items)
        return {row.key: row for row in rows}

    @override
    def list_rows(self, org_id: str, job_id: str) -> Iterator[Row]:
        items = query_all(
            self._client,
            {
                "TableName": self._rows,
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": keys.job_partition(org_id, job_id, self._kind)},
                "ConsistentRead": True,
            },
        )
        yield from (read_row(item) for item in items)

    @override
    def list_rows_page(
        self, org_id: str, job_id: str, status: str | None, size: int, cursor: str | None
    ) -> tuple[list[Row], str | None]:
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
