"""Which grants let a user change a config, and which make an administrator."""

from __future__ import annotations

from typing import Any

import pytest

from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.permissions import may_do_everything, may_update, update_actions

ORG = "739224"


def grant(action: str, resource: str | None = None, **more: Any) -> dict[str, Any]:
    return {"action": action, **({"resource": resource} if resource else {}), **more}


def deny(action: str, resource: str | None = None, **more: Any) -> dict[str, Any]:
    return grant(action, resource, effect="deny", **more)


ALL = grant("*", "*")
CONDITION = {"conditions": [{"attribute": "status", "operation": "equals", "values": ["x"]}]}


@pytest.mark.parametrize(
    ("type_name", "grants", "allowed"),
    [
        ("journey", [], False),
        ("journey", [ALL], True),
        ("journey", [grant("*")], True),
        ("journey", [grant("journey:*")], True),
        ("journey", [grant("journey:edit")], True),
        ("journey", [grant("journey-update")], True),
        ("journey", [grant("journey:view"), grant("journey:create"), grant("automation:edit")], False),
        ("journey", [grant("journey:edit", "journey:other")], False),
        ("journey", [grant("journey:edit", "journey:the-id")], True),
        ("journey", [grant("journey:edit", f"journey:{ORG}:*")], True),
        ("journey", [grant("journey:edit", "*:other")], False),
        ("journey", [grant("journey:edit", **CONDITION)], False),
        ("journey", [ALL, deny("journey:edit")], False),
        ("journey", [ALL, deny("*:edit")], False),
        ("journey", [ALL, deny("journey:edit", **CONDITION)], False),
        ("journey", [ALL, deny("journey:edit", "journey:other")], True),
        ("journey", [ALL, deny("journey:edit", "journey:the*d")], False),
        ("journey", [ALL, deny("journey:delete"), deny("entity:edit")], True),
        ("closing_reason", [grant("workflow-definition:edit")], False),
        ("closing_reason", [grant("workflow_definition:edit")], True),
        ("integration", [grant("integration:manage")], True),
        ("product", [grant("entity:edit")], True),
        ("product", [grant("entity:edit", "product:*")], True),
        ("product", [grant("entity:edit", f"entity:{ORG}:product:the-id")], True),
        ("product", [grant("entity:edit", "contact:*")], False),
        ("product", [grant("product:edit")], False),
        ("schema", [grant("entity:edit"), grant("entity:*")], False),
        ("schema", [grant("schema:edit")], True),
        ("saved_view", [grant("entity:edit")], False),
        ("role", [grant("role:view"), grant("role:assign")], False),
        ("role", [grant("role:edit", "the-id")], True),
    ],
)
def test_grants_let_a_user_change_a_config(type_name: str, grants: list[dict[str, Any]], allowed: bool) -> None:
    assert may_update(grants, RESOURCE_TYPES[type_name], ORG, "the-id") is allowed


@pytest.mark.parametrize("resource_type", RESOURCE_TYPES.values(), ids=lambda one: one.name)
def test_every_type_has_words_of_its_own_and_none_is_changed_by_who_only_reads(resource_type: Any) -> None:
    word = update_actions(resource_type)[0].partition(":")[0]
    assert word in (resource_type.name, "entity")
    assert may_update([grant(f"{word}:edit")], resource_type, ORG, "the-id")
    assert not may_update([grant(f"{word}:view"), grant("*:view")], resource_type, ORG, "the-id")


@pytest.mark.parametrize(
    ("grants", "allowed"),
    [
        ([], False),
        ([ALL], True),
        ([grant("*"), deny("entity:delete")], True),
        ([grant("*:edit"), grant("*", "journey:*"), grant("*", **CONDITION)], False),
        ([ALL, deny("*")], False),
    ],
)
def test_an_administrator_is_who_may_do_everything_with_everything(grants: list[Any], allowed: bool) -> None:
    assert may_do_everything(grants) is allowed
