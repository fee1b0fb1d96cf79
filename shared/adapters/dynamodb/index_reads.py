"""Reads of an index in IndexTable, by page and by many keys at once."""

from __future__ import annotations

from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any, override

from boto3.dynamodb.conditions import Attr, Key

from shared.adapters.aws import translated_errors
from shared.adapters.dynamodb import keys
from shared.adapters.dynamodb.cursor import decode_cursor, encode_cursor
from shared.adapters.dynamodb.index_states import IndexStates
from shared.adapters.dynamodb.requests import batch_get, plain, query_all
from shared.domain.index_items import (
    identified_in,
)
from shared.domain.node_query import NodeQuery, Page
from shared.domain.resource_type import ResourceKey

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from shared.domain.references import Identified, Identifiers

# A read ends here and answers a short page, so that no filter makes a call cost or last without bound.
MAX_READ_BYTES = 4 * 1024 * 1024
MAX_READ_S = 2.0
# An eventually consistent read of 4 KB takes half a unit:
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
_BYTES_PER_UNIT = 8192
# An expression has at most 300 operators; more values than this are looked for in what was read.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
_MAX_FILTER_VALUES = 50
# A query takes about as long as reading two hundred edges for nothing; a page ends at 1 MB anyway.
_EDGES_A_QUERY = 200
_MAX_EDGES_A_PAGE = 3200
_READ_THREADS = 8
_INDEX_BY_SORT = {
    "updated_at": ("by_updated_at", "updated_key", False),
    "name": ("by_name", "name_key", True),
    "usage": ("by_usage", "usage_key", False),
}


class IndexReads(IndexStates):
    """Nodes, edges and identifiers of an organisation, as reads see them."""

    @override
    def find_summaries(self, org_id: str, configs: Sequence[ResourceKey]) -> Mapping[ResourceKey, dict[str, Any]]:
        found = batch_get(
            self._client,
            self._table,
            [keys.node(org_id, config) for config in configs],
            projection="summary",
            consistent=False,
        )
        summaries = (plain(item["summary"]) for item in found)
        return {ResourceKey(summary["type"], summary["id"]): summary for summary in summaries}

    @override
    def list_nodes(self, org_id: str, query: NodeQuery, size: int, cursor: str | None) -> Page:
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

    @override
    def list_used_by(self, org_id: str, config: ResourceKey, size: int, cursor: str | None) -> Page:
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

    @override
    def load_users(
        self, org_id: str, configs: Iterable[ResourceKey]
    ) -> Mapping[ResourceKey, Sequence[Mapping[str, Any]]]:
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

    @override
    def list_edges(self, org_id: str, config: ResourceKey) -> Mapping[ResourceKey, Sequence[str]]:
        partition = keys.type_partition(org_id, config.type)
        condition = Key("pk").eq(partition) & Key("sk").begins_with(keys.edges_prefix(config))
        edges: dict[ResourceKey, Sequence[str]] = {}
        for item in query_all(self._client, {"TableName": self._table, "KeyConditionExpression": condition}):
            to_type, to_id = keys.split(item["sk"])[2:]
            edges[ResourceKey(to_type, to_id)] = item["pointers"]
        return edges

    @override
    def find_identifiers(self, org_id: str, values: Iterable[str]) -> Identifiers:
        wanted = [keys.identifier(org_id, value) for value in values if keys.can_be_identifier(value)]
        found = batch_get(self._client, self._table, wanted, projection="sk, configs", consistent=False)
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
        for item in query_all(self._client, request):
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
