"""docs/openapi.json promises all that the published definition promises, and asks for nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from docs import openapi
from tests.published import load_definition, published_operations

OURS = openapi.build()
PUBLISHED = load_definition()
TYPES = OURS["components"]["schemas"]["ResourceType"]["enum"]
OPERATIONS = sorted(published_operations())
#: The limits of the contract that the published definition does not state.
LIMITS = {
    ("name", "maxLength"): 200,
    ("title", "maxLength"): 1000,
    ("resources", "minItems"): 1,
    ("resources", "maxItems"): 1000,
}
CONSTRAINTS = ("maxLength", "minLength", "minItems", "maxItems", "minimum", "maximum", "pattern", "format")


def resolved(definition: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """A node with its reference followed; what stands beside the reference stays."""
    if "allOf" in node:
        (only,) = node["allOf"]
        node = {**only, **{key: value for key, value in node.items() if key != "allOf"}}
    if "$ref" not in node:
        return node
    found: Any = definition
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return {**resolved(definition, found), **{key: value for key, value in node.items() if key != "$ref"}}


def operation(definition: dict[str, Any], operation_id: str) -> dict[str, Any]:
    method, path, _ = published_operations()[operation_id]
    found: dict[str, Any] = definition["paths"][path][method.lower()]
    return found


def parameters(definition: dict[str, Any], operation_id: str) -> dict[tuple[str, str], dict[str, Any]]:
    listed = [resolved(definition, one) for one in operation(definition, operation_id).get("parameters", [])]
    return {(one["name"], one["in"]): one for one in listed}


def schema_of(definition: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    return resolved(definition, content["content"]["application/json"]["schema"])


def compare(published: dict[str, Any], ours: dict[str, Any], where: str, *, request: bool) -> Iterator[str]:
    """Yield what our schema takes away, or what it asks for beyond the published one and the contract's limits."""
    published, ours = resolved(PUBLISHED, published), resolved(OURS, ours)
    yield from compare_values(published, ours, where, request=request)
    required, promised = set(ours.get("required", ())), set(published.get("required", ()))
    stricter = required - promised if request else promised - required
    if stricter:
        yield f"{where}: required differs by {sorted(stricter)}"
    theirs, mine = published.get("properties", {}), ours.get("properties", {})
    yield from (f"{where}.{name}: is gone" for name in theirs.keys() - mine.keys())
    for name, schema in mine.items():
        if (openapi.EXTENSION in schema) is (name in theirs):
            yield f"{where}.{name}: is wrongly marked as ours or not"
    for name in theirs.keys() & mine.keys():
        yield from compare(theirs[name], mine[name], f"{where}.{name}", request=request)
    if "items" in published:
        yield from compare(published["items"], ours["items"], where, request=request)


def compare_values(published: dict[str, Any], ours: dict[str, Any], where: str, *, request: bool) -> Iterator[str]:
    """Yield where type, values or limits differ in the wrong direction."""
    if published.get("type", "object") != ours.get("type", "object"):
        yield f"{where}: type {ours.get('type')} instead of {published.get('type')}"
    if "enum" in published and sorted(published["enum"]) != sorted(ours.get("enum", ())):
        yield f"{where}: other values"
    # An unknown type is refused, whether or not the published body says which there are.
    if "enum" in ours and "enum" not in published and ours["enum"] != TYPES:
        yield f"{where}: values are limited"
    if not request and ours.get("nullable") and not published.get("nullable"):
        yield f"{where}: may be null"
    for key in CONSTRAINTS:
        if ours.get(key) == published.get(key):
            continue
        allowed = LIMITS.get((where.rpartition(".")[2], key))
        if request and ours.get(key) is not None and ours[key] != allowed:
            yield f"{where}: {key} {ours[key]}"
        if not request and published.get(key) is not None:
            yield f"{where}: {key} is gone"


def test_it_has_the_operations_that_the_template_routes_and_that_are_published() -> None:
    published = {name: (method.lower(), path) for name, (method, path, _) in published_operations().items()}
    assert dict(openapi.routes()) == published
    assert set(openapi.OPERATIONS) == set(published)


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_parameters_are_those_that_are_published_and_optional_ones_of_ours(operation_id: str) -> None:
    published, ours = parameters(PUBLISHED, operation_id), parameters(OURS, operation_id)
    assert published.keys() <= ours.keys()
    for key, parameter in ours.items():
        if key in published:
            assert bool(published[key].get("required")) is parameter["required"], key
            assert list(compare(published[key]["schema"], parameter["schema"], key[0], request=True)) == []
        elif key != ("size", "query") or operation_id != "getConfigUsedBy":
            assert parameter[openapi.EXTENSION] is True, key
        assert parameter["required"] <= (key in published), key


@pytest.mark.parametrize(
    "operation_id", [name for name in OPERATIONS if "requestBody" in published_operations()[name][2]]
)
def test_bodies_ask_for_nothing_beyond_the_published_ones_and_the_contracts_limits(operation_id: str) -> None:
    published, ours = (operation(one, operation_id)["requestBody"] for one in (PUBLISHED, OURS))
    assert ours.get("required", False) <= published.get("required", False)
    schemas = schema_of(PUBLISHED, published), schema_of(OURS, ours)
    assert list(compare(*schemas, operation_id, request=True)) == []


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_answers_hold_everything_that_is_published(operation_id: str) -> None:
    published, ours = (operation(one, operation_id)["responses"] for one in (PUBLISHED, OURS))
    for status, answer in published.items():
        schemas = schema_of(PUBLISHED, answer), schema_of(OURS, resolved(OURS, ours[status]))
        assert list(compare(*schemas, f"{operation_id}.{status}", request=False)) == []
    assert {status for status in ours if status < "400"} == {status for status in published if status < "400"}


def descriptions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("description", "summary") and isinstance(value, str):
                yield value
            else:
                yield from descriptions(value)
    elif isinstance(node, list):
        for one in node:
            yield from descriptions(one)


def test_descriptions_are_there_and_in_our_own_words() -> None:
    theirs = {" ".join(text.split()) for text in descriptions(PUBLISHED) if len(text) > 30}
    assert not theirs & {" ".join(text.split()) for text in descriptions(OURS)}
    for operation_id in OPERATIONS:
        assert len(operation(OURS, operation_id)["description"]) > len(operation_id)


def test_every_reference_leads_somewhere_and_every_schema_is_one() -> None:
    def walk(node: Any) -> Iterator[dict[str, Any]]:
        if isinstance(node, dict):
            yield node
        for one in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            yield from walk(one)

    for node in walk(OURS):
        if "$ref" in node:
            assert resolved(OURS, node)
    for name, schema in OURS["components"]["schemas"].items():
        assert jsonschema_rs.Draft202012Validator({**schema, "components": OURS["components"]}), name
