"""The index of an organisation in IndexTable: reads by page, builds by conditional writes."""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from itertools import batched
from operator import and_, or_
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from shared.adapters.aws import translated_errors
from shared.adapters.dynamodb import keys
from shared.adapters.dynamodb.cursor import begun_at, decode_cursor, encode_cursor
from shared.adapters.dynamodb.index_items import (
    attributes_of,
    item_key,
    partition_key,
    read_standing,
    read_state,
    table_key,
)
from shared.domain.config_node import Blueprint, normalise_time
from shared.domain.errors import StorageThrottledError
from shared.domain.index_items import (
    ITEM_LIFETIME_S,
    Changes,
    Content,
    ItemKey,
    ItemKind,
    Partition,
    StoredItem,
    identified_in,
)
from shared.domain.index_state import (
    INDEX_LIFETIME_S,
    SIZE_CLASSES,
    BuildResult,
    BuildStatus,
    IndexStanding,
    IndexState,
    SupersededError,
    size_class,
)
from shared.domain.node_query import NodeQuery, Page
from shared.domain.resource_type import EMPTY, ResourceKey

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

    from shared.domain.references import Identified, Identifiers


# A read ends here and answers a short page, so that no filter makes a call cost or last without bound.
MAX_READ_BYTES = 4 * 1024 * 1024
MAX_READ_S = 2.0
# An eventually consistent read of 4 KB takes half a unit:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
_BYTES_PER_UNIT = 8192
# BatchGetItem takes 100 keys.
_BATCH_GET = 100
# An expression has at most 300 operators; more values than this are looked for in what was read.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
_MAX_FILTER_VALUES = 50
# A query takes about as long as reading two hundred edges for nothing; a page ends at 1 MB anyway.
_EDGES_A_QUERY = 200
_MAX_EDGES_A_PAGE = 3200
_READ_THREADS = 8
_WRITE_THREADS = 8
_WRITES_PER_ROUND = 400
_MAX_BATCH_TRIES = 6
_INDEX_BY_SORT = {
    "updated_at": ("by_updated_at", "updated_key", False),
    "name": ("by_name", "name_key", True),
    "usage": ("by_usage", "usage_key", False),
}
# A state row that lived out its time during the build counts as our own.
_STILL_LATEST = "attribute_not_exists(pk) OR build_token = :token"
_NEWEST_IS_OURS = "attribute_not_exists(pk) OR attribute_not_exists(build) OR build <= :mine"


class IndexStore:
    """Nodes, edges, identifiers and build states by organisation.

    Args:
        client: the client of a DynamoDB *resource* (`resource.meta.client`), which takes and returns Python values.
        table_name: IndexTable.
        clock: epoch seconds.
    """

    def __init__(self, client: DynamoDBClient, table_name: str, clock: Callable[[], float] = time.time) -> None:
        self._client: Any = client
        self._table = table_name
        self._clock = clock

    # State

    def find_state(self, org_id: str) -> IndexState | None:
        """Return the build state, None before any build.

        Raises:
            StorageThrottledError: the table is busy.
        """
        with translated_errors():
            answer = self._client.get_item(TableName=self._table, Key=keys.index_state(org_id), ConsistentRead=True)
        return read_state(answer["Item"]) if "Item" in answer else None

    def start_build(
        self, org_id: str, build_token: str, lease_until: float, debounce_s: float, event: Mapping[str, Any] = EMPTY
    ) -> bool:
        """Make a build the latest one, which is about to be invoked with an event.

        What an earlier success found stays readable, unless its time is over.

        Returns:
            False where another build has begun less than `debounce_s` ago and still runs.

        Raises:
            StorageThrottledError: the table is busy.
        """
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

    def extend_lease(
        self, org_id: str, build_token: str, lease_until: float, event: Mapping[str, Any] | None = None
    ) -> IndexState | None:
        """Say that the build is worked on until a point in time (epoch seconds); None where it is not the latest one.

        Args:
            org_id: whose index.
            build_token: the build.
            lease_until: until when.
            event: what its next invocation is about to be started with; by default that is known already.

        Raises:
            StorageThrottledError: the table is busy.
        """
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

    def is_latest(self, org_id: str, build_token: str) -> bool:
        """Tell whether no newer build has begun.

        Raises:
            StorageThrottledError: the table is busy.
        """
        state = self.find_state(org_id)
        return state is None or state.build_token == build_token

    def finish_build(self, org_id: str, build_token: str, user_id: str, result: BuildResult) -> bool:
        """Record the success of a build; False where it is not the latest one.

        Raises:
            StorageThrottledError: the table is busy.
        """
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

    def fail_build(self, org_id: str, build_token: str, error: str) -> None:
        """Record why a build failed, if it is the latest one.

        Raises:
            StorageThrottledError: the table is busy.
        """
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
            items = self._query_page(request)["Items"] if limit else self._query_all(request)
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
        return [read_standing(item) for item in self._query_all(request)]

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

    # Reads

    def find_summaries(self, org_id: str, configs: Sequence[ResourceKey]) -> Mapping[ResourceKey, dict[str, Any]]:
        """Return the summaries of those configs that the index has.

        Raises:
            StorageThrottledError: the table is busy.
        """
        found = self._batch_get((keys.node(org_id, config) for config in dict.fromkeys(configs)), "summary")
        summaries = (plain(item["summary"]) for item in found)
        return {ResourceKey(summary["type"], summary["id"]): summary for summary in summaries}

    def list_nodes(self, org_id: str, query: NodeQuery, size: int, cursor: str | None) -> Page:
        """Return a page of nodes; a short one with a cursor where 4 MB or 2 s are used up.

        Raises:
            InvalidRequestError: the cursor is not one of this query.
            StorageThrottledError: the table is busy.
        """
        index_name, sort_attribute, forward = _INDEX_BY_SORT[query.sort]
        partition = keys.type_partition(org_id, query.type)
        filters = {name: getattr(query, name) for name in query.__slots__}
        last = decode_cursor(cursor, "listConfigs", org_id, filters, 2)
        condition, condition_filter = _date_conditions(query, sort_attribute)
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": index_name,
            "KeyConditionExpression": Key("pk").eq(partition) & condition if condition else Key("pk").eq(partition),
            "ScanIndexForward": forward,
        }
        filter_expression = _node_filter(query, condition_filter)
        if filter_expression is not None:
            request["FilterExpression"] = filter_expression
        start = {"pk": partition, "sk": last[0], sort_attribute: last[1]} if last else None

        def cursor_behind(item: Mapping[str, Any]) -> str:
            return encode_cursor("listConfigs", org_id, filters, [item["sk"], item[sort_attribute]])

        items, behind = self._fill_page(
            request, size, start, keep=_has_any_of_many(query) if query.is_filtered else None
        )
        return Page([plain(item["summary"]) for item in items], cursor_behind(behind) if behind else None)

    def list_used_by(self, org_id: str, config: ResourceKey, size: int, cursor: str | None) -> Page:
        """Return a page of the configs that use one, each with its `pointers`: one Query on the inverse edges.

        Raises:
            InvalidRequestError: the cursor is not one of this query.
            StorageThrottledError: the table is busy.
        """
        filters = {"type": config.type, "id": config.id}
        last = decode_cursor(cursor, "getConfigUsedBy", org_id, filters, 1)
        partition = keys.used_by_partition(org_id, config.type)
        request = {
            "TableName": self._table,
            "KeyConditionExpression": Key("pk").eq(partition) & Key("sk").begins_with(keys.used_by_prefix(config)),
        }
        start = {"pk": partition, "sk": last[0]} if last else None
        items, behind = self._fill_page(request, size, start)
        results = [{**plain(item["summary"]), "pointers": item["pointers"]} for item in items]
        next_cursor = encode_cursor("getConfigUsedBy", org_id, filters, [behind["sk"]]) if behind else None
        return Page(results, next_cursor)

    def load_users(
        self, org_id: str, configs: Iterable[ResourceKey]
    ) -> Mapping[ResourceKey, Sequence[Mapping[str, Any]]]:
        """Return type, id and title of what uses each of many configs; those that nothing uses are left out.

        Raises:
            StorageThrottledError: the table is busy.
        """
        ids_by_type: dict[str, set[str]] = {}
        for config in configs:
            ids_by_type.setdefault(config.type, set()).add(config.id)
        users: dict[ResourceKey, list[Mapping[str, Any]]] = {}

        def load(type_name: str) -> None:
            for used, user in self._walk_users(org_id, type_name, ids_by_type[type_name]):
                users.setdefault(used, []).append(user)

        with ThreadPoolExecutor(_READ_THREADS) as pool:
            list(pool.map(load, ids_by_type))
        return users

    def _walk_users(
        self, org_id: str, type_name: str, ids: Collection[str]
    ) -> Iterator[tuple[ResourceKey, Mapping[str, Any]]]:
        """Yield (used, user) of the edges that lead to some configs of a type.

        One walk through the type's edges, which are sorted by the used config: behind every page it leaps to the next
        wanted config. Pages grow while at most `_EDGES_A_QUERY` edges are read for each of those. So a thousand
        configs with few edges each take a handful of queries, and three among fifty thousand edges take three.

            edges   a b b b c d e e f g g g h i j k l l l m n …      wanted: b c l
            pages     [b b b c] ────────── leap ────▶ [l l l m]
        """
        partition = keys.used_by_partition(org_id, type_name)
        # DynamoDB sorts by UTF-8 bytes, Python by code points: that is the same order.
        prefixes = sorted(keys.used_by_prefix(ResourceKey(type_name, one)) for one in ids)
        # `$` is the next character behind the `#` that a prefix ends with.
        last = f"{prefixes[-1][:-1]}$"
        position, limit = 0, _EDGES_A_QUERY
        start: Mapping[str, Any] | None = None
        while position < len(prefixes):
            request: dict[str, Any] = {
                "TableName": self._table,
                "KeyConditionExpression": Key("pk").eq(partition) & Key("sk").between(prefixes[position], last),
                "ProjectionExpression": "sk, summary.title",
                "Limit": limit,
            }
            with translated_errors():
                answer = self._client.query(**request, **({"ExclusiveStartKey": start} if start else {}))
            for item in answer["Items"]:
                used_id, user_type, user_id = keys.split(item["sk"])
                if used_id in ids:
                    user = {"type": user_type, "id": user_id, "title": item["summary"]["title"]}
                    yield ResourceKey(type_name, used_id), user
            start = answer.get("LastEvaluatedKey")
            if start is None:
                return
            reached = bisect_right(prefixes, start["sk"], lo=position)
            is_within = start["sk"].startswith(prefixes[reached - 1])
            reads_for_nothing = not is_within and (reached - position) * _EDGES_A_QUERY <= limit
            limit = _EDGES_A_QUERY if reads_for_nothing else min(2 * limit, _MAX_EDGES_A_PAGE)
            position = reached - is_within
            start = start if is_within else None

    def list_edges(self, org_id: str, config: ResourceKey) -> Mapping[ResourceKey, Sequence[str]]:
        """Return what a config uses, with the JSON pointers of the places.

        Raises:
            StorageThrottledError: the table is busy.
        """
        partition = keys.type_partition(org_id, config.type)
        condition = Key("pk").eq(partition) & Key("sk").begins_with(keys.edges_prefix(config))
        edges: dict[ResourceKey, Sequence[str]] = {}
        for item in self._query_all({"TableName": self._table, "KeyConditionExpression": condition}):
            to_type, to_id = keys.split(item["sk"])[2:]
            edges[ResourceKey(to_type, to_id)] = item["pointers"]
        return edges

    def find_identifiers(self, org_id: str, values: Iterable[str]) -> Identifiers:
        """Return what the given ids and aliases stand for.

        Raises:
            StorageThrottledError: the table is busy.
        """
        wanted = (keys.identifier(org_id, value) for value in dict.fromkeys(values) if keys.can_be_identifier(value))
        found = self._batch_get(wanted, "sk, configs")
        return {keys.split(item["sk"])[0]: identified_in(item) for item in found}

    def load_identifiers(self, org_id: str) -> Identifiers:
        """Return all ids and aliases of an organisation; empty without a build whose time is not over.

        Raises:
            StorageThrottledError: the table is busy.
        """
        state = self.find_state(org_id)
        if state is None or not state.has_nodes(self._clock()):
            return {}
        request = {
            "TableName": self._table,
            "KeyConditionExpression": Key("pk").eq(keys.identifiers_partition(org_id)),
            "ProjectionExpression": "sk, configs",
        }
        identifiers: dict[str, Sequence[Identified]] = {}
        for item in self._query_all(request):
            identifiers[keys.split(item["sk"])[0]] = identified_in(item)
        return identifiers

    def _fill_page(
        self,
        request: Mapping[str, Any],
        size: int,
        start: Mapping[str, Any] | None,
        *,
        keep: Callable[[Mapping[str, Any]], bool] | None = None,
    ) -> tuple[list[Any], Mapping[str, Any] | None]:
        """Query until a page is full, the range is read, or 4 MB or 2 s are used up.

        Args:
            request: the query.
            size: results wanted.
            start: key behind which to begin.
            keep: which of the items found are results; None: all are, and no filter leaves out any of those read.

        Returns:
            The items, and the key or item to continue behind if there may be more.

        Raises:
            InvalidRequestError: nobody can begin behind `start`.
        """
        until = self._clock() + MAX_READ_S
        items: list[Any] = []
        read_bytes = 0.0
        limit = size + 1 if keep is None else max(4 * size, 200)
        while True:
            paged = {**request, "Limit": limit, "ReturnConsumedCapacity": "TOTAL"}
            if start is not None:
                paged["ExclusiveStartKey"] = start
            answer = self._query_page(paged)
            items.extend(answer["Items"] if keep is None else filter(keep, answer["Items"]))
            if len(items) > size:
                return items[:size], items[size - 1]
            start = answer.get("LastEvaluatedKey")
            if start is None:
                return items, None
            read_bytes += float(answer.get("ConsumedCapacity", {}).get("CapacityUnits", 0)) * _BYTES_PER_UNIT
            if read_bytes >= MAX_READ_BYTES or self._clock() >= until:
                return items, start
            limit = size + 1 - len(items) if keep is None else min(limit * 2, 4000)

    def _query_page(self, request: Mapping[str, Any]) -> Any:
        with begun_at(request), translated_errors():
            return self._client.query(**request)

    def _query_all(self, request: Mapping[str, Any]) -> Iterator[Any]:
        start: Mapping[str, Any] | None = None
        while True:
            paged = dict(request) if start is None else {**request, "ExclusiveStartKey": start}
            with translated_errors():
                answer = self._client.query(**paged)
            yield from answer["Items"]
            start = answer.get("LastEvaluatedKey")
            if start is None:
                return

    def _batch_get(self, wanted: Iterable[keys.Key], projection: str) -> Iterator[Any]:
        for group in batched(wanted, _BATCH_GET, strict=False):
            pending: list[Any] = list(group)
            for attempt in range(_MAX_BATCH_TRIES):
                with translated_errors():
                    answer = self._client.batch_get_item(
                        RequestItems={self._table: {"Keys": pending, "ProjectionExpression": projection}}
                    )
                yield from answer["Responses"].get(self._table, [])
                pending = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
                if not pending:
                    break
                time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311
            else:
                raise StorageThrottledError("The index is busy: try again in a moment.", retry_after=2)

    # Builds

    def load_partition(self, org_id: str, partition: Partition) -> Mapping[ItemKey, StoredItem]:
        """Return all items of a partition, strongly consistent; contents only of identifiers.

        Raises:
            StorageThrottledError: the table is busy.
        """
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": Key("pk").eq(partition_key(org_id, partition)),
            "ProjectionExpression": "sk, digest, expires_at, seen_by, configs",
            "ConsistentRead": True,
        }
        return {
            item_key(partition, item["sk"]): StoredItem(
                digest=item.get("digest", ""),
                expires_at=int(item.get("expires_at", 0)),
                seen_by=item.get("seen_by", ""),
                content={"configs": item["configs"]} if "configs" in item else None,
            )
            for item in self._query_all(request)
        }

    def load_blueprints(self, org_id: str, type_name: str) -> Mapping[ResourceKey, Sequence[Blueprint]]:
        """Return the blueprints of all nodes of a type that have any.

        Raises:
            StorageThrottledError: the table is busy.
        """
        partition = keys.type_partition(org_id, type_name)
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": Key("pk").eq(partition) & Key("sk").begins_with("NODE#"),
            "FilterExpression": Attr("summary.blueprints").exists(),
        }
        return {
            ResourceKey(type_name, item["summary"]["id"]): [
                Blueprint(one["id"], one["title"]) for one in item["summary"]["blueprints"]
            ]
            for item in self._query_all(request)
        }

    def apply(self, org_id: str, build_token: str, user_id: str, changes: Changes) -> Iterator[int]:
        """Write changes, each item on condition that no newer build wrote it.

        Yields:
            How many are done, after every round of writes.

        Raises:
            SupersededError: a newer build wrote an item.
            StorageThrottledError: the table is busy.
        """
        expires_at = int(self._clock()) + ITEM_LIFETIME_S

        def put(change: tuple[ItemKey, Content, str]) -> None:
            key, content, digest = change
            written = {"digest": digest, "build": build_token, "expires_at": expires_at}
            item = {**table_key(org_id, key), **attributes_of(key, content), **written}
            if key[0] == ItemKind.NODE:
                item["seen_by"] = user_id
            self._write(self._client.put_item, build_token, Item=item)

        def touch(key: ItemKey) -> None:
            self._write(
                self._client.update_item,
                build_token,
                Key=table_key(org_id, key),
                UpdateExpression="SET expires_at = :expires, build = :mine",
                values={":expires": expires_at},
            )

        def delete(key: ItemKey) -> None:
            self._write(self._client.delete_item, build_token, Key=table_key(org_id, key))

        done = 0
        with ThreadPoolExecutor(_WRITE_THREADS) as pool:
            for write, batch in ((put, changes.puts), (touch, changes.touches), (delete, changes.deletes)):
                for group in batched(batch, _WRITES_PER_ROUND, strict=False):
                    for _ in pool.map(write, group):
                        done += 1
                    yield done

    def _write(
        self, call: Callable[..., Any], build_token: str, *, values: Mapping[str, Any] | None = None, **request: Any
    ) -> None:
        try:
            with translated_errors():
                call(
                    TableName=self._table,
                    ConditionExpression=_NEWEST_IS_OURS,
                    ExpressionAttributeValues={":mine": build_token, **(values or {})},
                    **request,
                )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            raise SupersededError("A newer build of this index has begun.") from error


def stored(value: Any) -> Any:
    """Return a JSON value as DynamoDB stores it: fractions as Decimal, no half of a surrogate pair in a text."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="replace").decode()
    if isinstance(value, float):
        return int(value) if value.is_integer() else Decimal(repr(value))
    if isinstance(value, Mapping):
        return {name: stored(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [stored(item) for item in value]
    return value


def plain(value: Any) -> Any:
    """Return a stored value in which every Decimal is a number of JSON."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _date_conditions(query: NodeQuery, sort_attribute: str) -> tuple[Any, Any]:
    """Return the limits of the date as key condition, where the order is by date, else as filter."""
    after, before = query.updated_after, query.updated_before
    if not after and not before:
        return None, None
    # `#` separates the date from the id and `$` is the next character; a digit sorts behind the mark of an absent date.
    if sort_attribute == "updated_key":
        key = Key(sort_attribute)
        if not before:
            return key.gt(f"{after}$"), None
        return key.between(f"{after}$" if after else "0", max(before, f"{after}$")), None
    date = Attr("summary.updated_at")
    if not after or not before:
        return None, date.gt(after) if after else date.lt(before)
    return None, date.gt(after) & date.lt(before)


def _node_filter(query: NodeQuery, dates: Any) -> Any:
    conditions: list[Any] = [dates] if dates is not None else []
    if query.q:
        conditions.append(
            Attr("title_folded").contains(query.q.casefold())
            | Attr("summary.id").eq(query.q)
            | Attr("summary.aliases").contains(query.q)
        )
    for attribute, values in (("summary.purposes", query.purposes), ("blueprint_ids", query.blueprint_ids)):
        if 0 < len(values) <= _MAX_FILTER_VALUES:
            anyone: list[Any] = [Attr(attribute).contains(value) for value in values]
            conditions.append(reduce(or_, anyone))
    if query.active_only:
        conditions.append(Attr("summary.active").not_exists() | Attr("summary.active").ne(False))
    return reduce(and_, conditions) if conditions else None


def _has_any_of_many(query: NodeQuery) -> Callable[[Mapping[str, Any]], bool]:
    """Return the part of the filter that is too long for an expression."""
    purposes = frozenset(query.purposes if len(query.purposes) > _MAX_FILTER_VALUES else ())
    blueprints = frozenset(query.blueprint_ids if len(query.blueprint_ids) > _MAX_FILTER_VALUES else ())

    def keep(item: Mapping[str, Any]) -> bool:
        return not (
            (purposes and purposes.isdisjoint(item["summary"].get("purposes", ())))
            or (blueprints and blueprints.isdisjoint(item["blueprint_ids"]))
        )

    return keep
