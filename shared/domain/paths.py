"""Paths into payloads: the two notations of the catalogue, and RFC 6901 JSON pointers."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

ITEMS = "[]"
ANY_KEY = "{*}"
KEY_ITSELF = "{key}"
DEEP = "**"


@lru_cache(maxsize=4096)
def parse_path(path: str) -> tuple[str, ...]:
    """Split a catalogue path into segments.

    Args:
        path: such as `$.steps[].uischema.**.products[]` or `settings.designId`.

    Returns:
        Property names and the wildcards `[]`, `{*}`, `{key}` and `**`; empty for the whole payload.

    Raises:
        ValueError: the path has an empty segment.
    """
    body = path.removeprefix("$.")
    if body in ("", "$"):
        return ()
    segments: list[str] = []
    for part in body.split("."):
        name = part
        items = 0
        while name.endswith(ITEMS):
            name = name[: -len(ITEMS)]
            items += 1
        if not name and not items:
            raise ValueError(f"path {path!r} has an empty segment")
        if name:
            segments.append(name)
        segments.extend([ITEMS] * items)
    return tuple(segments)


def values_at(payload: Any, path: str) -> Iterator[Any]:
    """Yield all values at a path, in payload order; nothing where it leads nowhere.

    Args:
        payload: any JSON value.
        path: a catalogue path; `**` stands for any depth, the level itself included.

    Raises:
        ValueError: the path has an empty segment.
    """
    yield from _values(payload, parse_path(path))


def _values(node: Any, segments: Sequence[str]) -> Iterator[Any]:
    if not segments:
        yield node
        return
    head, rest = segments[0], segments[1:]
    if head == ITEMS:
        for item in node if isinstance(node, list) else ():
            yield from _values(item, rest)
    elif head == ANY_KEY:
        for value in node.values() if isinstance(node, dict) else ():
            yield from _values(value, rest)
    elif head == KEY_ITSELF:
        yield from node if isinstance(node, dict) else ()
    elif head == DEEP:
        yield from _values(node, rest)
        for value in _children(node):
            yield from _values(value, segments)
    elif isinstance(node, dict) and head in node:
        yield from _values(node[head], rest)


def _children(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        yield from node.values()
    elif isinstance(node, list):
        yield from node


def find_value(payload: Any, path: str) -> Any:
    """Return the first value at a path that is not null, else None.

    Raises:
        ValueError: the path has an empty segment.
    """
    if not path:
        return None
    return next((value for value in values_at(payload, path) if value is not None), None)


def remove_paths(payload: Any, paths: Sequence[str]) -> Any:
    """Return a copy of a payload without the values at the given paths.

    Array items that a path ends at are emptied out of their array; containers stay, even where they become empty.

    Raises:
        ValueError: a path has an empty segment.
    """
    copied = copy_json(payload)
    for path in paths:
        segments = parse_path(path)
        if segments:
            _remove(copied, segments)
    return copied


def _remove(node: Any, segments: Sequence[str]) -> None:
    head, rest = segments[0], segments[1:]
    if rest:
        for child in _values(node, (head,)) if head != DEEP else _descend(node):
            _remove(child, rest)
    elif (head == ITEMS and isinstance(node, list)) or (head == ANY_KEY and isinstance(node, dict)):
        node.clear()
    elif isinstance(node, dict):
        node.pop(head, None)


def _descend(node: Any) -> Iterator[Any]:
    yield node
    for child in _children(node):
        yield from _descend(child)


def set_value(payload: Any, path: str, value: Any) -> None:
    """Set a value at a path of plain property names, in place; what is no object on the way gives place to one.

    Raises:
        ValueError: the path has a wildcard, an empty segment, or leads nowhere; or the payload is no object.
    """
    *parents, last = parse_path(path) or (ITEMS,)
    if not isinstance(payload, dict) or not is_plain(path) or last == ITEMS:
        raise ValueError(f"cannot set a value at {path!r}")
    node = payload
    for name in parents:
        if not isinstance(node.get(name), dict):
            node[name] = {}
        node = node[name]
    node[last] = value


def places_at(payload: Any, path: str) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the chain of keys and indexes that leads to each value at a path, and the value, in payload order.

    Raises:
        ValueError: the path has an empty segment.
    """
    yield from _places(payload, parse_path(path), ())


def _places(
    node: Any, segments: Sequence[str], steps: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if not segments:
        yield steps, node
        return
    head, rest = segments[0], segments[1:]
    children: list[tuple[str | int, Any]] = (
        list(node.items()) if isinstance(node, dict) else list(enumerate(node)) if isinstance(node, list) else []
    )
    if head == DEEP:
        yield from _places(node, rest, steps)
        for step, value in children:
            yield from _places(value, segments, (*steps, step))
        return
    for step, value in children:
        if isinstance(step, int) if head == ITEMS else isinstance(step, str) and head in (ANY_KEY, step):
            yield from _places(value, rest, (*steps, step))


class _Removed:
    """Marks an array item that is taken out when all are marked, so that indexes hold until then."""


_REMOVED = _Removed()


def remove_places(payload: Any, places: Iterable[Sequence[str | int]]) -> None:
    """Remove properties and array items, in place; one below a removed part is gone with it.

    Args:
        payload: any JSON value.
        places: chains of keys and indexes, as they are before anything is removed; the payload itself is never removed.
    """
    touched: dict[int, list[Any]] = {}
    for steps in places:
        container = follow(payload, steps[:-1])
        if not steps or container is None:
            continue
        if isinstance(container, list) and isinstance(steps[-1], int) and steps[-1] < len(container):
            container[steps[-1]] = _REMOVED
            touched[id(container)] = container
        elif isinstance(container, dict):
            container.pop(str(steps[-1]), None)
    for items in touched.values():
        items[:] = [item for item in items if item is not _REMOVED]


def follow(payload: Any, steps: Iterable[str | int]) -> Any:
    """Return the value at the end of a chain of keys and indexes; None where it leads nowhere."""
    node = payload
    for step in steps:
        fits = isinstance(node, dict) if isinstance(step, str) else isinstance(node, list) and step < len(node)
        if not fits or (isinstance(step, str) and step not in node):
            return None
        node = node[step]
    return node


def replace_values(payload: Any, path: str, replace: Callable[[Any], Any]) -> bool:
    """Replace every value at a path, in place.

    Args:
        payload: any JSON value.
        path: a catalogue path that ends in a property name.
        replace: from the old value to the new one.

    Returns:
        Whether there was any value.

    Raises:
        ValueError: the path has an empty segment.
    """
    *way, name = parse_path(path)
    found = False
    for container in list(_values(payload, way)):
        if isinstance(container, dict) and name in container:
            container[name] = replace(container[name])
            found = True
    return found


def is_plain(path: str) -> bool:
    """Tell whether a path has property names only: it leads to one place."""
    return not {ITEMS, ANY_KEY, KEY_ITSELF, DEEP} & set(parse_path(path))


def covers(path: str, steps: Sequence[str | int]) -> bool:
    """Tell whether a place in a payload is at or below a path.

    Args:
        path: a catalogue path.
        steps: keys and indexes that lead to the place.
    """
    return _covers(parse_path(path), steps)


def _covers(segments: Sequence[str], steps: Sequence[str | int]) -> bool:
    if not segments:
        return True
    head = segments[0]
    if head == DEEP:
        return any(_covers(segments[1:], steps[skipped:]) for skipped in range(len(steps) + 1))
    if not steps:
        return False
    fits = isinstance(steps[0], int) if head == ITEMS else head in (ANY_KEY, steps[0]) and isinstance(steps[0], str)
    return fits and _covers(segments[1:], steps[1:])


def copy_json(value: Any) -> Any:
    """Return a deep copy of a JSON value, faster than `copy.deepcopy`."""
    if isinstance(value, dict):
        return {key: copy_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy_json(item) for item in value]
    return value


def pointer_of(steps: Sequence[str | int]) -> str:
    """Return the JSON pointer of a chain of keys and indexes (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def merge_patch(payload: Any, patch: Any) -> Any:
    """Return a payload with a JSON merge patch applied (RFC 7386): null removes, arrays are replaced as a whole."""
    return _merged_into(copy_json(payload), copy_json(patch))


def _merged_into(node: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = node if isinstance(node, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged_into(merged.get(name), value)
    return merged
