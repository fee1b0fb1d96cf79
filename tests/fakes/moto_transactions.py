"""Make moto's transactions usable: it copies a whole table once per item of a transaction, where once is enough."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import Any

import pytest
from moto.dynamodb import models
from moto.dynamodb.models.table import Table


def speed_up_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every transaction copy each of its tables once."""
    copies: dict[int, Table] = {}
    original = models.DynamoDBBackend.transact_write_items

    def deepcopy(value: Any, *more: Any) -> Any:
        if not isinstance(value, Table):
            return copy.deepcopy(value, *more)
        if id(value) not in copies:
            copies[id(value)] = copy.deepcopy(value)
        return copies[id(value)]

    def transact_write_items(self: Any, transact_items: list[dict[str, Any]]) -> None:
        copies.clear()
        original(self, transact_items)

    monkeypatch.setattr(models, "copy", SimpleNamespace(deepcopy=deepcopy, copy=copy.copy))
    monkeypatch.setattr(models.DynamoDBBackend, "transact_write_items", transact_write_items)
