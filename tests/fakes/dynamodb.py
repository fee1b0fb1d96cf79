"""A DynamoDB client in memory, quick enough for a thousand jobs: what the stores of sync jobs ask of it, no more."""

from __future__ import annotations

import ast
import re
import threading
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from types import CodeType, SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

Item = dict[str, Any]


class ConditionalCheckFailedError(ClientError):
    """A condition did not hold."""


class TransactionCanceledError(ClientError):
    """A condition of a transaction did not hold, and nothing was written."""


class MemoryDynamoDB:
    """Items by table and key; each call is atomic, transactions included.

    Expressions are those that the stores write: comparisons joined by AND and OR, IN, `attribute_exists`,
    `attribute_not_exists`, `attribute_type`, `begins_with`; SET, also of what is absent only, ADD and REMOVE of whole
    attributes.
    """

    def __init__(self) -> None:
        self.exceptions = SimpleNamespace(
            ConditionalCheckFailedException=ConditionalCheckFailedError,
            TransactionCanceledException=TransactionCanceledError,
        )
        self.meta = SimpleNamespace(client=self)
        self._tables: dict[str, dict[tuple[str, str], Item]] = {}
        self._lock = threading.RLock()

    def get_item(self, *, TableName: str, Key: Item, **_: Any) -> Item:  # noqa: N803 - DynamoDB's names
        item = self._table(TableName).get((Key["pk"], Key["sk"]))
        return {} if item is None else {"Item": _copy(item)}

    def put_item(self, **put: Any) -> Item:
        return self._write_one("Put", put)

    def delete_item(self, **delete: Any) -> Item:
        return self._write_one("Delete", delete)

    def update_item(self, *, ReturnValues: str = "", **update: Any) -> Item:  # noqa: N803 - DynamoDB's names
        self._write_one("Update", update)
        return {"Attributes": self.get_item(**update)["Item"]} if ReturnValues else {}

    def query(
        self,
        *,
        TableName: str,  # noqa: N803 - DynamoDB's names
        KeyConditionExpression: str,  # noqa: N803
        ScanIndexForward: bool = True,  # noqa: N803
        Limit: int | None = None,  # noqa: N803
        **more: Any,
    ) -> Item:
        assert "IndexName" not in more
        with self._lock:
            found = [
                item for _, item in sorted(self._table(TableName).items()) if _holds(KeyConditionExpression, item, more)
            ]
        return {"Items": _copy((found if ScanIndexForward else found[::-1])[:Limit])}

    def get_paginator(self, operation: str) -> SimpleNamespace:
        """Everything is one page."""
        call = getattr(self, operation)
        return SimpleNamespace(paginate=lambda **request: [call(**request)])

    def scan(self, *, TableName: str) -> Item:  # noqa: N803 - DynamoDB's names
        return {"Items": _copy([*self._table(TableName).values()])}

    def forget(self, *, TableName: str) -> None:  # noqa: N803 - DynamoDB's names
        """Drop all items of a table."""
        self._table(TableName).clear()

    def batch_get_item(self, *, RequestItems: Mapping[str, Any]) -> Item:  # noqa: N803 - DynamoDB's names
        [(table, request)] = RequestItems.items()
        assert 0 < len(request["Keys"]) <= 100
        answers = (self.get_item(TableName=table, Key=key) for key in request["Keys"])
        return {"Responses": {table: [answer["Item"] for answer in answers if answer]}}

    def batch_write_item(self, *, RequestItems: Mapping[str, Any]) -> Item:  # noqa: N803 - DynamoDB's names
        [(table, requests)] = RequestItems.items()
        assert 0 < len(requests) <= 25
        for request in requests:
            self.put_item(TableName=table, Item=request["PutRequest"]["Item"])
        return {}

    def transact_write_items(self, *, TransactItems: list[Item]) -> Item:  # noqa: N803 - DynamoDB's names
        writes = [write for item in TransactItems for write in item.items()]
        places = {(write["TableName"], *_key(write)) for _, write in writes}
        assert 0 < len(places) == len(writes) <= 100
        with self._lock:
            failed = [not self._may(write) for _, write in writes]
            if any(failed):
                reasons = [{"Code": "ConditionalCheckFailed" if one else "None"} for one in failed]
                answer = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
                raise TransactionCanceledError(answer, "TransactWriteItems")
            for kind, write in writes:
                self._apply(kind, write)
        return {}

    def _table(self, name: str) -> dict[tuple[str, str], Item]:
        return self._tables.setdefault(name, {})

    def _write_one(self, kind: str, write: Item) -> Item:
        with self._lock:
            if not self._may(write):
                raise ConditionalCheckFailedError({"Error": {"Code": "ConditionalCheckFailedException"}}, kind)
            self._apply(kind, write)
        return {}

    def _may(self, write: Item) -> bool:
        item = self._table(write["TableName"]).get(_key(write), {})
        return "ConditionExpression" not in write or _holds(write["ConditionExpression"], item, write)

    def _apply(self, kind: str, write: Item) -> None:
        table, key = self._table(write["TableName"]), _key(write)
        if kind == "Put":
            table[key] = _copy(write["Item"])
        elif kind == "Delete":
            table.pop(key, None)
        elif kind == "Update":
            item = table.setdefault(key, {"pk": key[0], "sk": key[1]})
            _update(item, write["UpdateExpression"], write)


def _key(write: Item) -> tuple[str, str]:
    named = write["Item"] if "Item" in write else write["Key"]
    return named["pk"], named["sk"]


def _copy(value: Any) -> Any:
    """Copy as DynamoDB stores: numbers come back as decimals, floats are refused."""
    if isinstance(value, Mapping):
        return {name: _copy(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(part) for part in value]
    if isinstance(value, float):
        raise TypeError("Float types are not supported. Use Decimal types instead.")
    return Decimal(value) if isinstance(value, int) and not isinstance(value, bool) else value


@cache
def _compiled(expression: str) -> CodeType:
    """Translate a condition into Python: names become `item(…)`, values `value(…)`."""
    text = re.sub(r"\bIN \(([^)]*)\)", r"in (\1,)", expression)
    text = re.sub(r"\b(attribute_\w+|begins_with)\(#?(\w+)", r"\1('\2'", text)
    text = re.sub(r":(\w+)", r"value('\1')", text)
    text = re.sub(
        r"(?<![\w'])#?(?!(?:AND|OR|in|value|attribute_\w+|begins_with)\b)([a-z_]\w*)(?![\w']|\()", r"item('\1')", text
    )
    text = text.replace(" AND ", " and ").replace(" OR ", " or ")
    text = re.sub(r"(?<![<>=])=(?!=)", "==", text).replace("<==", "<=").replace(">==", ">=")
    ast.parse(text, mode="eval")
    return compile(text, expression, "eval")


def _holds(expression: str, item: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    names, values = _placeholders(request)

    def attribute(name: str) -> Any:
        return item.get(names.get(name, name), _ABSENT)

    def begins_with(name: str, prefix: str) -> bool:
        return str(attribute(name)).startswith(prefix)

    known = {
        "item": attribute,
        "value": values.__getitem__,
        "begins_with": begins_with,
        "attribute_exists": lambda name: attribute(name) is not _ABSENT,
        "attribute_not_exists": lambda name: attribute(name) is _ABSENT,
        "attribute_type": lambda name, kind: kind == "NULL" and attribute(name) is None,
    }
    return bool(eval(_compiled(expression), {"__builtins__": {}}, known))


class _Absent:
    """A missing attribute: no comparison with it holds."""

    def __eq__(self, other: object) -> bool:
        return False

    def __lt__(self, other: object) -> bool:
        return False

    __le__ = __gt__ = __ge__ = __lt__
    __hash__ = None  # type: ignore[assignment]


_ABSENT = _Absent()


def _placeholders(request: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    names = {name[1:]: attribute for name, attribute in request.get("ExpressionAttributeNames", {}).items()}
    values = {name[1:]: value for name, value in request.get("ExpressionAttributeValues", {}).items()}
    return names, values


def _update(item: Item, expression: str, request: Mapping[str, Any]) -> None:
    names, values = _placeholders(request)
    for verb, clause in re.findall(r"(SET|ADD|REMOVE) (.*?)(?= SET | ADD | REMOVE |$)", expression):
        for part in re.split(r", (?![^(]*\))", clause):
            name, value, *default = _parts(part)
            attribute = names.get(name, name)
            if value == "if_not_exists":
                if attribute in item:
                    continue
                value = default[-1]
            if verb == "REMOVE":
                item.pop(attribute, None)
            elif verb == "SET":
                item[attribute] = _copy(values[value])
            else:
                item[attribute] = _copy(item.get(attribute, Decimal(0)) + values[value])


def _parts(part: str) -> list[str]:
    words: list[str] = re.findall(r"[#:]?(\w+)", part)
    return words if len(words) > 1 else [*words, ""]
