"""The index of an organisation in IndexTable: what reads see, and what builds write on condition."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import batched
from typing import TYPE_CHECKING, Any, override

from boto3.dynamodb.conditions import Attr, Key
from botocore.exceptions import ClientError

from shared.adapters.aws import translated_errors
from shared.adapters.dynamodb import keys
from shared.adapters.dynamodb.index_items import (
    attributes_of,
    item_key,
    partition_key,
    table_key,
)
from shared.adapters.dynamodb.index_reads import IndexReads
from shared.adapters.dynamodb.requests import query_all
from shared.domain.config_node import Blueprint
from shared.domain.index_items import (
    ITEM_LIFETIME_S,
    Changes,
    Content,
    ItemKey,
    ItemKind,
    Partition,
    StoredItem,
)
from shared.domain.index_state import (
    SupersededError,
)
from shared.domain.resource_type import ResourceKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_WRITE_THREADS = 8
_WRITES_PER_ROUND = 400
_NEWEST_IS_OURS = "attribute_not_exists(pk) OR attribute_not_exists(build) OR build <= :mine"


class IndexStore(IndexReads):
    """An index as builds see it; each write is on condition that no newer build wrote the item."""

    @override
    def load_partition(self, org_id: str, partition: Partition) -> Mapping[ItemKey, StoredItem]:
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
            for item in query_all(self._client, request)
        }

    @override
    def load_blueprints(self, org_id: str, type_name: str) -> Mapping[ResourceKey, Sequence[Blueprint]]:
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
            for item in query_all(self._client, request)
        }

    @override
    def apply(self, org_id: str, build_token: str, user_id: str, changes: Changes) -> Iterator[int]:
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
