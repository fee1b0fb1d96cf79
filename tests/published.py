"""The hub's published definition as a judge of answers."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs

DEFINITIONS = Path(__file__).resolve().parents[1] / "node_modules" / "@epilot" / "sdk" / "definitions"


@cache
def load_definition(api: str = "configuration-hub") -> dict[str, Any]:
    """Return a published definition."""
    definition: dict[str, Any] = json.loads((DEFINITIONS / f"{api}.json").read_bytes())
    return definition


@cache
def published_operations() -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Return method, path and specification per operation id."""
    return {
        operation["operationId"]: (method.upper(), path, operation)
        for path, item in load_definition()["paths"].items()
        for method, operation in item.items()
        if method in {"get", "post", "put", "patch", "delete"}
    }


def _json_schema(node: Any) -> Any:
    """Turn an OpenAPI 3.0 schema into a JSON schema: `nullable` becomes a type."""
    if isinstance(node, list):
        return [_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    converted = {name: _json_schema(value) for name, value in node.items() if name != "nullable"}
    if node.get("nullable") is True:
        return {"anyOf": [converted, {"type": "null"}]}
    return converted


@cache
def _validator(operation_id: str, status: int) -> jsonschema_rs.Validator:
    definition = load_definition()
    responses = published_operations()[operation_id][2]["responses"]
    declared = responses.get(str(status))
    if declared is None:
        schema: Any = {"$ref": "#/components/schemas/ErrorResponse"}
    else:
        schema = declared["content"]["application/json"]["schema"]
    return jsonschema_rs.Draft202012Validator(
        {**_json_schema(schema), "components": _json_schema(definition["components"])}, validate_formats=True
    )


def violations(operation_id: str, status: int, body: Any) -> list[str]:
    """List what in an answer is not as published; an undeclared status counts as an `ErrorResponse`.

    Args:
        operation_id: the published operation.
        status: HTTP status of the answer.
        body: its parsed body.
    """
    found = [
        f"{operation_id} {status} at /{'/'.join(map(str, error.instance_path))}: {error.message}"
        for error in _validator(operation_id, status).iter_errors(body)
    ]
    if status >= 400 and isinstance(body, dict) and body.get("status") != status:
        found.append(f"{operation_id} {status}: the body says {body.get('status')}")
    declared = str(status) in published_operations()[operation_id][2]["responses"]
    if status < 400 and not declared:
        found.append(f"{operation_id} answered the undeclared status {status}")
    return found
