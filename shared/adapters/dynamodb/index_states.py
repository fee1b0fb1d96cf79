"""The build states of indexes in IndexTable: one build is the latest, and only that one writes."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, override

from boto3.dynamodb.conditions import Key
from botocore.exceptions import ClientError

from shared.adapters.aws import translated_errors
from shared.adapters.dynamodb import keys
from shared.adapters.dynamodb.cursor import begun_at
from shared.adapters.dynamodb.index_items import (
    read_standing,
    read_state,
)
from shared.adapters.dynamodb.requests import query_all, stored
from shared.domain.config_node import normalise_time
from shared.domain.immutable import EMPTY
from shared.domain.index_state import (
    INDEX_LIFETIME_S,
    SIZE_CLASSES,
    BuildResult,
    BuildStatus,
    IndexStanding,
    IndexState,
    size_class,
)
from shared.domain.ports.index import IndexWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_dynamodb.client import DynamoDBClient


# If TTL removed the state row meanwhile, this build still counts as the latest.
_STILL_LATEST = "attribute_not_exists(pk) OR build_token = :token"


class IndexStates(IndexWriter):
    """The state of every organisation's index.

    Args:
        client: the client of a DynamoDB *resource* (`resource.meta.client`), which takes and returns Python values.
        table_name: IndexTable.
        clock: epoch seconds.
    """

    def __init__(self, client: DynamoDBClient, table_name: str, clock: Callable[[], float] = time.time) -> None:
        self._client: Any = client
        self._table = table_name
        self._clock = clock

    @override
    def find_state(self, org_id: str) -> IndexState | None:
        with translated_errors():
            answer = self._client.get_item(TableName=self._table, Key=keys.index_state(org_id), ConsistentRead=True)
        return read_state(answer["Item"]) if "Item" in answer else None

    @override
    def start_build(
        self, org_id: str, build_token: str, lease_until: float, debounce_s: float, event: Mapping[str, Any] = EMPTY
    ) -> bool:
        now = self._clock()
        state = self.find_state(org_id)
        gone = state is not None and state.expires_at is not None and not state.has_nodes(now)
        forget = (
            " REMOVE expires_at, last_built_at, size_class, build_duration_ms, totals, failed_types, not_listed,"
            " capped, #error"
            if gone
            else " REMOVE #error"
        )
        return self._update_state(
            org_id,
            "SET build_token = :token, #status = :building, standing = :standing, started_at = :now,"
            " lease_until = :lease, event = :event" + forget,
            "attribute_not_exists(pk) OR #status <> :building OR started_at <= :debounced OR lease_until <= :now",
            {
                ":token": build_token,
                ":building": BuildStatus.BUILDING,
                ":standing": keys.index_standing(BuildStatus.BUILDING),
                ":now": stored(now),
                ":lease": stored(lease_until),
                ":event": dict(event),
                ":debounced": stored(now - debounce_s),
            },
            {"#status": "status", "#error": "error"},
        )

    @override
    def extend_lease(
        self, org_id: str, build_token: str, lease_until: float, event: Mapping[str, Any] | None = None
    ) -> IndexState | None:
        extended = self._update_state(
            org_id,
            "SET #status = :building, standing = :standing, lease_until = :lease, build_token = :token,"
            " started_at = if_not_exists(started_at, :now)" + (", event = :event" if event else ""),
            _STILL_LATEST,
            {
                ":token": build_token,
                ":building": BuildStatus.BUILDING,
                ":standing": keys.index_standing(BuildStatus.BUILDING),
                ":lease": stored(lease_until),
                ":now": stored(self._clock()),
                **({":event": dict(event)} if event else {}),
            },
            {"#status": "status"},
        )
        return self.find_state(org_id) if extended else None

    @override
    def is_latest(self, org_id: str, build_token: str) -> bool:
        state = self.find_state(org_id)
        return state is None or state.build_token == build_token

    @override
    def finish_build(self, org_id: str, build_token: str, user_id: str, result: BuildResult) -> bool:
        now = self._clock()
        state = self.find_state(org_id)
        started_at = state.started_at if state else now
        size = size_class(sum(result.totals.values()))
        return self._update_state(
            org_id,
            "SET #status = :ready, standing = :standing, size_class = :size, started_at = :started,"
            " last_built_at = :built, build_duration_ms = :duration, totals = :totals,"
            " failed_types = :failed, not_listed = :not_listed, capped = :capped, built_by = :user,"
            " expires_at = :expires, build_token = :token REMOVE #error",
            _STILL_LATEST,
            {
                ":token": build_token,
                ":ready": BuildStatus.READY,
                ":standing": keys.index_standing(BuildStatus.READY, size),
                ":size": size,
                ":started": stored(started_at),
                ":built": normalise_time(datetime.fromtimestamp(now, UTC).isoformat()),
                ":duration": max(0, round((now - started_at) * 1000)),
                ":totals": dict(result.totals),
                ":failed": dict(result.failed_types),
                ":not_listed": dict(result.not_listed),
                ":capped": dict(result.capped),
                ":user": user_id,
                ":expires": int(now) + INDEX_LIFETIME_S,
            },
            {"#status": "status", "#error": "error"},
        )

    @override
    def fail_build(self, org_id: str, build_token: str, error: str) -> None:
        self._update_state(
            org_id,
            "SET #status = :failed, standing = :standing, #error = :error",
            "build_token = :token",
            {
                ":token": build_token,
                ":failed": BuildStatus.FAILED,
                ":standing": keys.index_standing(BuildStatus.FAILED),
                ":error": error[:500],
            },
            {"#status": "status", "#error": "error"},
        )

    def list_standings(self, since: float) -> list[IndexStanding]:
        """Return the state of every index that is not ready, and of each size the one that is ready the longest.

        Args:
            since: epoch seconds; where the latest build began before, it is left out.

        Raises:
            StorageThrottledError: the table is busy.
        """
        ready = [(keys.index_standing(BuildStatus.READY, size), {"Limit": 1}) for size in SIZE_CLASSES]
        others: list[tuple[str, dict[str, Any]]] = [
            (keys.index_standing(status), {}) for status in (BuildStatus.BUILDING, BuildStatus.FAILED)
        ]
        found: list[IndexStanding] = []
        for standing, limit in [*ready, *others]:
            request = {
                "TableName": self._table,
                "IndexName": "by_standing",
                "KeyConditionExpression": Key("standing").eq(standing) & Key("started_at").gt(stored(since)),
                **limit,
            }
            items = self._query_page(request)["Items"] if limit else query_all(self._client, request)
            found += [read_standing(item) for item in items]
        return found

    def list_building(self) -> list[IndexStanding]:
        """Return the state of every index whose latest build has not ended, as of a moment ago.

        Raises:
            StorageThrottledError: the table is busy.
        """
        request = {
            "TableName": self._table,
            "IndexName": "by_standing",
            "KeyConditionExpression": Key("standing").eq(keys.index_standing(BuildStatus.BUILDING)),
        }
        return [read_standing(item) for item in query_all(self._client, request)]

    def _update_state(
        self, org_id: str, update: str, condition: str, values: Mapping[str, Any], names: Mapping[str, str]
    ) -> bool:
        try:
            with translated_errors():
                self._client.update_item(
                    TableName=self._table,
                    Key=keys.index_state(org_id),
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ExpressionAttributeNames=names,
                )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def _query_page(self, request: Mapping[str, Any]) -> Any:
        with begun_at(request), translated_errors():
            return self._client.query(**request)
