"""Reads and writes places in a payload by short path expressions."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

# name | [] any item | {*} any key | ** any depth | (key=value) only objects where that holds
_TOKEN = re.compile(
    r"\((?P<key>[^=()]+)=(?P<value>[^()]*)\)|(?P<items>\[\])|(?P<keys>\{\*\})|(?P<deep>\*\*)|(?P<name>[^.\[\](){}*]+)"
)
_INDEXED = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_MISSING = object()


@cache
def _tokens(path: str) -> tuple[tuple[str, ...], ...]:
    steps: list[tuple[str, ...]] = []
    for match in _TOKEN.finditer(path):
        if match["key"] is not None:
            steps.append(("where", match["key"], match["value"]))
        else:
            kind = match.lastgroup or "name"
            steps.append((kind, match[0]))
    return tuple(steps)


def find_values(payload: Any, path: str) -> Iterator[Any]:
    """Yield every value at a path expression; absent places yield nothing."""
    yield from _walk(payload, _tokens(path))


def _walk(node: Any, steps: tuple[tuple[str, ...], ...]) -> Iterator[Any]:
    if not steps:
        yield node
        return
    step, rest = steps[0], steps[1:]
    match step[0]:
        case "name" if isinstance(node, dict):
            if step[1] in node:
                yield from _walk(node[step[1]], rest)
        case "items" if isinstance(node, list):
            for item in node:
                yield from _walk(item, rest)
        case "keys" if isinstance(node, dict):
            for item in node.values():
                yield from _walk(item, rest)
        case "where" if isinstance(node, dict):
            if str(node.get(step[1])) == step[2]:
                yield from _walk(node, rest)
        case "deep":
            yield from _walk(node, rest)
            for item in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
                yield from _walk(item, steps)


def read_dotted(payload: dict[str, Any], path: str, default: Any = None) -> Any:
    """Return the value at a dotted path of nested objects."""
    node: Any = payload
    for name in path.split("."):
        if not isinstance(node, dict) or name not in node:
            return default
        node = node[name]
    return node


def drop_dotted(payload: dict[str, Any], path: str) -> None:
    """Remove the value at a dotted path of nested objects."""
    *parents, name = path.split(".")
    node: Any = payload
    for parent in parents:
        node = node.get(parent) if isinstance(node, dict) else None
    if isinstance(node, dict):
        node.pop(name, None)


def keep_dotted(old: dict[str, Any], new: dict[str, Any], path: str) -> None:
    """Copy the value at a dotted path from one payload into another."""
    value = read_dotted(old, path, _MISSING)
    if value is _MISSING:
        return
    *parents, name = path.split(".")
    node = new
    for parent in parents:
        node = node.setdefault(parent, {})
    node[name] = value


def write_indexed(payload: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a path with list indexes, as in ``steps[0].uischema.elements[1]``.

    Raises:
        LookupError: the path leads through something that does not exist.
    """
    steps: list[Any] = [int(index) if index else name for name, index in _INDEXED.findall(path)]
    node: Any = payload
    try:
        for step in steps[:-1]:
            node = node[step]
        if isinstance(node, list):
            node[steps[-1]]  # a list does not grow
        node[steps[-1]] = value
    except (KeyError, IndexError, TypeError):
        raise LookupError(path) from None
