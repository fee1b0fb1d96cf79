"""The small part of the Lucene query language that configuration searches use."""

import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from sandbox.server.errors import ApiError
from sandbox.server.store import Payload

Predicate = Callable[[Payload], bool]

# field:"quoted" | field:[from TO to] | field:(a OR b) | field:value | "quoted" | AND OR NOT | word
_TOKEN = re.compile(
    r"\s*(?:(?P<field>[A-Za-z_$][\w.$-]*):(?:\"(?P<phrase>(?:[^\"\\]|\\.)*)\"|\[(?P<low>\S+) TO (?P<high>\S+)\]"
    r"|\((?P<choices>[^)]*)\)|(?P<value>(?:\\.|[^\s()\\])+))"
    r"|\"(?P<text>[^\"]*)\"|(?P<operator>AND|OR|NOT)\b|(?P<word>[^\s():]+))\s*"
)
_ESCAPE = re.compile(r"\\(.)")


def _values(payload: Payload, field: str) -> Iterator[Any]:
    node: Any = payload
    if field in payload:
        node = payload[field]
    else:
        for name in field.split("."):
            if isinstance(node, list):
                node = [item.get(name) for item in node if isinstance(item, dict)]
            elif isinstance(node, dict):
                node = node.get(name)
            else:
                return
    yield from (item for item in (node if isinstance(node, list) else [node]) if item is not None)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).lower()


def _equals(field: str, wanted: str) -> Predicate:
    wildcard = "*" in _ESCAPE.sub("", wanted)
    wanted = _ESCAPE.sub(r"\1", wanted).lower()
    if wildcard:
        return lambda payload: any(fnmatchcase(_text(value), wanted) for value in _values(payload, field))
    return lambda payload: any(_text(value) == wanted for value in _values(payload, field))


def _contains(field: str, wanted: str) -> Predicate:
    wanted = _ESCAPE.sub(r"\1", wanted).lower()
    return lambda payload: any(wanted in _text(value) for value in _values(payload, field))


def _between(field: str, low: str, high: str) -> Predicate:
    return lambda payload: any(
        (low == "*" or str(value) >= low) and (high == "*" or str(value) <= high) for value in _values(payload, field)
    )


def _mentions(word: str) -> Predicate:
    wanted = word.strip("*").lower()
    return lambda payload: any(wanted in value.lower() for value in payload.values() if isinstance(value, str))


def _term(match: re.Match[str]) -> Predicate:
    field = match["field"]
    if field is None:
        return _mentions(match["text"] if match["text"] is not None else match["word"])
    if match["phrase"] is not None:
        return _contains(field, match["phrase"])
    if match["low"] is not None:
        return _between(field, match["low"], match["high"])
    if match["choices"] is not None:
        choices = [
            _equals(field, choice.strip('" ')) for choice in re.split(r"\s+OR\s+|\s+", match["choices"]) if choice
        ]
        return lambda payload: any(choice(payload) for choice in choices)
    return _equals(field, match["value"])


def _negated(predicate: Predicate) -> Predicate:
    return lambda payload: not predicate(payload)


@lru_cache(maxsize=512)
def parse_query(text: str) -> tuple[str | None, Predicate]:
    """Return the entity slug that a query pins down, if it does, and a predicate for the rest.

    AND binds stronger than OR; two terms beside each other are joined by AND.

    Raises:
        ApiError: the query is outside the supported subset.
    """
    alternatives: list[list[Predicate]] = [[]]
    slugs: list[str] = []
    negate = False
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position:
            raise ApiError(400, f"cannot parse the query at {text[position:]!r}")
        position = match.end()
        if match["operator"] == "NOT":
            negate = True
        elif match["operator"] == "OR":
            alternatives.append([])
        elif match["operator"] is None and match["word"] != "*":
            if match["field"] == "_schema" and match["value"] and not negate:
                slugs.append(_ESCAPE.sub(r"\1", match["value"]))
            predicate = _term(match)
            alternatives[-1].append(_negated(predicate) if negate else predicate)
            negate = False
    slug = slugs[0] if len(slugs) == 1 and len(alternatives) == 1 and "*" not in slugs[0] else None

    def matches(payload: Payload) -> bool:
        return any(all(term(payload) for term in terms) for terms in alternatives)

    return slug, matches


def narrow(payload: Payload, fields: list[str]) -> Payload:
    """Keep the wanted fields of an entity; ``!name`` excludes and ``*`` is a glob."""
    excluded = [name[1:] for name in fields if name.startswith("!")]
    included = [name.split(".")[0] for name in fields if not name.startswith("!")] or ["*"]
    return {
        key: value
        for key, value in payload.items()
        if any(fnmatchcase(key, pattern) for pattern in included)
        and not any(fnmatchcase(key, pattern) for pattern in excluded)
    }
