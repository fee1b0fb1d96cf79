"""Finds operations in the published OpenAPI definitions: method, path, host and answers are read, never copied."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

Json = dict[str, Any]

DEFINITIONS = Path(__file__).resolve().parents[2] / "node_modules" / "@epilot" / "sdk" / "definitions"
METHODS = ("get", "post", "put", "patch", "delete")


class UnknownOperationError(LookupError):
    """A declared operation is missing from the published definition."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One published operation of one API."""

    api: str
    operation: str
    host: str
    method: str
    path: str
    status: int
    answers_json: bool
    specification: Json
    shared_parameters: tuple[Json, ...]


@cache
def load_definition(api: str) -> Json:
    """Return the parsed definition of an API.

    Args:
        api: file stem of the definition.

    Raises:
        FileNotFoundError: the definitions are not installed.
    """
    definition: Json = json.loads((DEFINITIONS / f"{api}.json").read_bytes())
    return definition


def resolve(definition: Json, node: Json) -> Json:
    """Follow local references until the node is no longer a reference.

    Raises:
        KeyError: the reference points nowhere.
    """
    while "$ref" in node:
        target: Any = definition
        for step in node["$ref"][2:].split("/"):
            target = target[step.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


@cache
def _operations(api: str) -> dict[str, tuple[str, str, Json, tuple[Json, ...]]]:
    return {
        item["operationId"]: (method.upper(), path, item, tuple(path_item.get("parameters", ())))
        for path, path_item in load_definition(api)["paths"].items()
        for method, item in path_item.items()
        if method in METHODS and "operationId" in item
    }


@cache
def api_host(api: str) -> str:
    """Return the host of an API's first server.

    Raises:
        FileNotFoundError: the definitions are not installed.
    """
    url: str = load_definition(api)["servers"][0]["url"]
    return url.removeprefix("https://").strip("/")


def read_endpoint(api: str, operation: str) -> Endpoint:
    """Return what the published definition says about an operation.

    Raises:
        UnknownOperationError: the definition has no such operation.
    """
    try:
        method, path, specification, shared = _operations(api)[operation]
    except KeyError:
        raise UnknownOperationError(f"{api} defines no operation {operation}") from None
    status = min(int(code) for code in specification["responses"] if code.startswith("2"))
    answer = resolve(load_definition(api), specification["responses"][str(status)])
    return Endpoint(
        api=api,
        operation=operation,
        host=api_host(api),
        method=method,
        path=path,
        status=status,
        answers_json="application/json" in answer.get("content", {}),
        specification=specification,
        shared_parameters=shared,
    )
