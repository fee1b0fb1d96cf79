"""No pattern and no walker over what others wrote takes more time than grows with it.

CPU time of this thread at two sizes, the larger of them eight times the smaller: the slope in a log-log plot is 1 where
time is linear and 2 where it goes by the square. The best of several runs counts, with the garbage collector off.
"""

from __future__ import annotations

import ast
import cProfile
import gc
import importlib
import json
import math
import pkgutil
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

import shared
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain import (
    bounds,
    comparison,
    escapes,
    fingerprint,
    leftovers,
    paths,
    redaction,
    referable_fields,
    references,
    remap,
    rewriting,
    sendable,
    text_scan,
)
from shared.domain.identifiers import identifying_fields
from shared.domain.matching import Pair
from shared.domain.natural_keys import natural_key_of
from shared.domain.plan import Action, PlannedResource
from shared.domain.read_config import read_config
from shared.domain.references import Identified
from shared.domain.resource_type import ResourceKey, ResourceType
from shared.domain.rewriting import Replacement
from shared.domain.since_last_sync import SinceLastSync, conflicts

KIB = 1024
LARGE = 1024 * KIB
FACTOR = 8
# n log n has 1.1; what leaves the caches of the processor up to 1.4.
MAX_SLOPE = 1.5
# Below, what a timer says is noise; at 1 MB nobody minds.
QUICK_S = 0.05
# Of an eighth of the largest input; what takes longer stops everybody else, whether it is linear or not.
TOO_LONG_S = 4.0

UUID = "123e4567-e89b-12d3-a456-426614174000"


def seconds(work: Callable[[], object], runs: int) -> float:
    best = math.inf
    for _ in range(runs):
        start = time.thread_time()
        work()
        best = min(best, time.thread_time() - start)
        if best > 1:
            break
    return best


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def slope(work: Callable[[Any], object], make: Callable[[int], Any], large: int) -> tuple[float, float]:
    """Return the slope and the seconds at the larger size."""
    small_input, large_input = make(large // FACTOR), make(large)
    small = seconds(lambda: work(small_input), 3)
    if small > TOO_LONG_S:
        return math.inf, small  # the larger one may take for ever
    big = min(seconds(lambda: work(large_input), 1 if small > QUICK_S else 2), 1e9)
    return math.log(max(big, 1e-9) / max(small, 1e-9), FACTOR), big


def is_worse_than_linear(found: tuple[float, float]) -> bool:
    return found[0] > MAX_SLOPE and found[1] > QUICK_S


# Texts

PREFIXES = ("", "{{", "https://", "bearer", "2026-01-01T00:00")
PUMPS = (
    "{{", "{{ ", "{{{", "{{env.a", "{{ env.a }} ", "{{ ~~ a }}", " ", "\t\n", "a", "A1", "0", "eyJ", "eyJaaaaaa.",
    "bearer ", "%20", "+", "X-Amz-Signature=", "\\", '\\"', "\\u0041", '"', '"a1b2c3d4",', "%25", "%41", "&#x41;",
    "&amp;", "&", "https://", "https://a/b.pdf ", "https://a'(;", ".pdf", "'(", "-", "a-", "_a1b2c3d4", ":", "a:",
    f"{UUID} ", f"{UUID}-", UUID, "a1b2c3d4 ", "a1b2c3d4,b1b2c3d4e5f6 ", "[", "{", '{"a":', "2026-01-01", "<",
    "\u0301\u0323", "ü",
)  # fmt: skip
SUFFIXES = ("", "!")


@dataclass(frozen=True)
class Text:
    """A prefix, a pump as often as it fits, a suffix."""

    prefix: str
    pump: str
    suffix: str

    def __call__(self, size: int) -> str:
        return self.prefix + self.pump * (size // len(self.pump)) + self.suffix


TEXTS = [Text(*parts) for parts in product(PREFIXES, PUMPS, SUFFIXES)]


def check(
    name: str,
    work: Callable[[Any], object],
    attacks: Iterable[Callable[[int], Any]],
    *,
    first: int = 8 * KIB,
    large: int = LARGE,
    most: int = 3,
) -> None:
    """Hold the worst of many inputs against the limit.

    Args:
        first: at this size all are tried.
        large: bytes of the larger input.
        most: so many of those that take longest, and of those that grow fastest, go on.
    """
    tried = []
    for make in attacks:
        small, middle = make(first // 4), make(first)
        before, after = seconds(lambda i=small: work(i), 1), seconds(lambda i=middle: work(i), 1)
        tried.append((after, after / max(before, 1e-5), len(tried), make))
    slowest = sorted(tried, key=lambda one: (-one[0], one[2]))[:most]
    steepest = sorted(tried, key=lambda one: (-one[1], one[2]))[: most - 1]
    for make in dict.fromkeys(one[3] for one in (*slowest, *steepest)):
        found = slope(work, make, large)
        print(f"{name:40} slope {found[0]:5.2f} {found[1] * 1000:8.1f} ms at {large // KIB} KiB  {make!r:.100}")
        assert not is_worse_than_linear(found), (name, make, found)


# Patterns

SIZES = [
    pytest.param(64 * KIB, id="64 KiB"),
    pytest.param(LARGE, id="1 MiB", marks=pytest.mark.long),
]


def modules() -> list[ModuleType]:
    return [
        importlib.import_module(found.name)
        for found in pkgutil.walk_packages(shared.__path__, "shared.")
        if not found.ispkg
    ]


def patterns_in(value: Any) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from patterns_in(one)
    elif isinstance(value, list | tuple | set | frozenset):
        for one in value:
            yield from patterns_in(one)
    elif is_dataclass(value) and not isinstance(value, type):
        for one in fields(value):
            yield from patterns_in(getattr(value, one.name))


PATTERNS = {
    f"{module.__name__}.{name}.{number}": pattern
    for module in modules()
    for name, value in vars(module).items()
    if not name.startswith("__")
    for number, pattern in enumerate(patterns_in(value))
}


@pytest.mark.parametrize("large", SIZES)
@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_takes_no_more_time_than_grows_with_the_text(name: str, large: int) -> None:
    pattern = PATTERNS[name]
    check(name, lambda text: sum(1 for _ in pattern.finditer(text)), TEXTS, large=large, most=2)


def test_no_pattern_is_missed() -> None:
    written = 0
    for path in sorted(Path(shared.__path__[0]).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "re":
                if node.attr == "compile":
                    written += 1
                assert node.attr in ("compile", "Pattern", "Match") or node.attr.isupper(), f"{path}:{node.lineno}"
            assert not (isinstance(node, ast.ImportFrom) and node.module == "re"), f"{path}:{node.lineno}"
    assert len({id(pattern) for pattern in PATTERNS.values()}) == written


@pytest.mark.parametrize(
    "pattern",
    [
        r"\{\{\s*(?:~~)?\s*([A-Za-z0-9_.-]+)\s*\}\}",
        r"eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){1,4}",
        r"(bearer\s+)+!",
    ],
)
def test_the_measure_catches_a_pattern_that_goes_by_the_square(pattern: str) -> None:
    compiled = re.compile(pattern)
    with pytest.raises(AssertionError, match="slow"):
        check(
            "slow", lambda text: sum(1 for _ in compiled.finditer(text)), TEXTS, first=KIB // 2, large=16 * KIB, most=2
        )


# Walkers: what goes through a text, alone or in a payload

WALKED_TEXTS = [
    *(Text(prefix, pump, "") for prefix in ("", '["') for pump in PUMPS),
    Text("%", "25", "41"),
    Text('["', "a1b2c3d4 ", '"]'),
    Text('["', "a1b2c3d4,b1b2c3d4e5f6 ", '"]'),
]
TEMPLATE = RESOURCE_TYPES["emailtemplate"]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SOURCE_IDS = leftovers.SourceIds.of([UUID, "a1b2c3d4"])


def _found(text: str, is_known: Callable[[str], bool] | None) -> list[references.FoundReference]:
    return references.find_references(TEMPLATE, {"id": "x", "body": text}, is_known)


def _rewritten(text: str) -> None:
    payload = {"id": "x", "body": text}
    found = references.find_references(TEMPLATE, payload, lambda _: True)
    rewriting.rewrite(payload, [Replacement(one, 'a"\\b') for one in found])


def _left(text: str) -> None:
    payload = {"id": "x", "body": text}
    leftovers.leftover_source_ids(TEMPLATE, payload, payload, SOURCE_IDS, ())


def _read(text: str) -> None:
    payload = {"_id": "x", "id": "x", "name": text, "body": text, "_tags": [text]}
    read_config(TEMPLATE, payload, None, identifying_fields(RESOURCE_TYPES)["emailtemplate"], NOW)


def _json_of(text: str) -> None:
    for one in (text, json.dumps({"a": text}), "[" * len(text) if text[:1] == "[" else text):
        try:
            bounds.read_json(one)
        except ValueError:
            bounds.read_json_text(one)


TEXT_WALKERS: dict[str, Callable[[str], object]] = {
    "candidates": lambda text: _found(text, None),
    "known, everything": lambda text: _found(text, lambda _: True),
    "known, some": lambda text: _found(text, lambda one: len(one) < 100 and len(one) % 2 == 0),
    "keys": lambda text: references.find_references(TEMPLATE, {text: {text: 1}}, lambda _: True),
    "rewrite": _rewritten,
    "left over": _left,
    "read config": _read,
    "redact": redaction.redact,
    "digest": redaction.token_digest,
    "whole text": bounds.whole_text,
    "composed text": bounds.composed_text,
    "read JSON": _json_of,
    "natural key": lambda text: natural_key_of(RESOURCE_TYPES["emailtemplate"], {"name": text}),
    "secrets": lambda text: sendable.sendable(RESOURCE_TYPES["webhook"], {"auth": {"a": text}, "b": text}),
}


@pytest.mark.parametrize("large", SIZES)
@pytest.mark.parametrize("name", TEXT_WALKERS)
def test_a_walk_takes_no_more_time_than_grows_with_the_text(name: str, large: int) -> None:
    check(name, TEXT_WALKERS[name], WALKED_TEXTS, first=2 * KIB, large=large, most=2)


# Walkers over the shape of a payload: as many items as fit at each place that the catalogue names


@dataclass(frozen=True)
class Shape:
    """A payload of one type with as many items at the first wildcard of a path as its size has room for.

    A pair of payloads comes of it: the same items, in the other order where the place is a set, and each a little
    different.
    """

    type: str
    path: str

    def __call__(self, size: int) -> tuple[ResourceType, dict[str, Any], dict[str, Any]]:
        entry = RESOURCE_TYPES[self.type]
        segments = list(paths.parse_path(self.path))
        wild = next(n for n, one in enumerate(segments) if one in (paths.ITEMS, paths.ANY_KEY, paths.KEY_ITSELF))
        rest = [one for one in segments[wild + 1 :] if one != paths.DEEP]
        count = max(2, size // 120)
        ours = _within(segments[:wild], [_item(n, rest, "") for n in range(count)], segments[wild] != paths.ITEMS)
        theirs = _within(
            segments[:wild], [_item(n, rest, "x") for n in reversed(range(count))], segments[wild] != paths.ITEMS
        )
        return entry, {**ours, "id": "x"}, {**theirs, "id": "x"}


def _item(number: int, rest: list[str], change: str) -> Any:
    identity = f"{number:08x}-1111-4111-8111-111111111111"
    value: Any = f"{identity}{change}"
    for name in reversed(rest):
        value = [value] if name == paths.ITEMS else {"k" if name in (paths.ANY_KEY, paths.KEY_ITSELF) else name: value}
    item = {"id": identity, "key": f"k{number}", "more": change}
    return item | value if isinstance(value, dict) else item


def _within(names: list[str], items: list[Any], keyed: bool) -> dict[str, Any]:
    held: Any = {item["id"]: item for item in items} if keyed else items
    for name in reversed([one for one in names if one != paths.DEEP]):
        held = [held] if name == paths.ITEMS else {name: held}
    return held if isinstance(held, dict) else {"all": held}


def _declared(entry: ResourceType) -> list[str]:
    return [
        *entry.strip, *entry.external_strip, *entry.secrets, *entry.secrets_sent_back, *entry.sets, *entry.stringified,
        *entry.drop_without, *entry.keep_target, *(reference.path for reference in entry.references),
        *((entry.active.path,) if entry.active else ()),
    ]  # fmt: skip


SHAPES = [
    Shape(name, path)
    for name, entry in RESOURCE_TYPES.items()
    for path in dict.fromkeys(_declared(entry))
    if {paths.ITEMS, paths.ANY_KEY, paths.KEY_ITSELF} & set(paths.parse_path(path))
]


def _known(entry: ResourceType) -> comparison.Counterparts:
    class Everything(dict[str, Any]):
        def __contains__(self, identifier: object) -> bool:
            return isinstance(identifier, str) and len(identifier) >= 36

        def get(self, identifier: Any, default: Any = None) -> Any:
            return [Identified(ResourceKey(entry.name, identifier))] if identifier in self else default

    return comparison.Counterparts(
        catalogue=RESOURCE_TYPES,
        pair=Pair("1", "2"),
        targets={},
        source_identifiers=Everything(),
        target_identifiers=Everything(),
    )


def _differences(entry: ResourceType, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    class Same(dict[Any, Any]):
        def get(self, key: Any, _default: Any = None) -> Any:
            return key.id

    known = replace(_known(entry), targets=Same())
    comparison.differences(entry, ours, theirs, known)
    comparison.unread_counterparts(entry, ours, theirs, known)
    comparison.says_the_same(entry, ours, theirs, known)


def _conflicts(entry: ResourceType, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    base = dict.fromkeys(ours)
    since = SinceLastSync(source_same=False, target_same=False, base=base, left=_blank(theirs))
    conflicts(entry, since, ours, theirs, ours)
    conflicts(entry, replace(since, base=_blank(ours)), ours, theirs, ours)


def _blank(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _blank(item) for name, item in value.items()}
    return [_blank(item) for item in value] if isinstance(value, list) else ""


def _bodies(entry: ResourceType, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    planned = PlannedResource(key=ResourceKey(entry.name, "x"), title="x", action=Action.PATCH)
    remap.build_body(entry, ours, planned, {}, stage="patch", target_payload=theirs)
    remap.activation_body(entry, ours, planned, {}, target_payload=theirs)
    if entry.active is not None:
        list(remap.flags_of_both(entry.active, ours, theirs))


def _prints(entry: ResourceType, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    content = fingerprint.canonical(entry, ours)
    fingerprint.agree(fingerprint.fingerprint(entry, ours), fingerprint.fingerprint_of(entry, content))
    fingerprint.canonical_again(entry, content)
    fingerprint.override_fingerprint(ours)
    fingerprint.equal_where_sent(entry, ours, theirs)


def _paths(entry: ResourceType, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    paths.merge_patch(ours, theirs)
    bounds.check_depth(ours)
    natural_key_of(entry, ours)
    for path in _declared(entry):
        steps = [one for one, _ in paths.places_at(ours, path)]
        paths.remove_places(paths.copy_json(ours), steps[::2])


def _walk(entry: ResourceType, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    ids = leftovers.SourceIds.of(one.identifier for one in references.find_references(entry, ours))
    sendable.referents_of(entry, ours, _known(entry).source_identifiers, RESOURCE_TYPES, below=("a",))
    leftovers.leftover_source_ids(entry, ours, theirs, ids, ())


SHAPE_WALKERS: dict[str, Callable[..., object]] = {
    "references": _walk,
    "fingerprints": _prints,
    "paths": _paths,
    "bodies": _bodies,
    "differences": _differences,
    "conflicts": _conflicts,
}


@pytest.mark.parametrize("large", SIZES)
@pytest.mark.parametrize("name", SHAPE_WALKERS)
def test_a_walk_takes_no_more_time_than_grows_with_the_payload(name: str, large: int) -> None:
    check(name, lambda made: SHAPE_WALKERS[name](*made), SHAPES, first=4 * KIB, large=large, most=3)


# Public functions of the walking modules that see no text of others: declarations, keys and results of ours.
NO_WALKERS = {
    "is_copied", "is_portable", "is_by_name", "referable_fields", "is_plain", "covers", "set_value",
    "catalogue_version", "pair_up", "change_of", "own_identifiers", "remapped_ids", "missing_referents",
    "written_references", "is_identifier_shaped", "read_referable_fields",
    "read_fields", "without_secrets", "remove_paths",
}  # fmt: skip


def test_no_walker_is_missed() -> None:
    profile = cProfile.Profile(builtins=False)
    profile.enable()
    for work in TEXT_WALKERS.values():
        for make in WALKED_TEXTS:
            work(make(200))
    for work in SHAPE_WALKERS.values():
        for make in SHAPES:
            work(*make(500))
    profile.disable()
    reached = {entry.code for entry in profile.getstats()}
    walking = (
        bounds,
        comparison,
        escapes,
        fingerprint,
        leftovers,
        paths,
        redaction,
        referable_fields,
        references,
        remap,
        rewriting,
        sendable,
        text_scan,
    )
    public = {
        name: function.__code__
        for module in walking
        for name, function in vars(module).items()
        if isinstance(function, FunctionType) and function.__module__ == module.__name__ and not name.startswith("_")
    }
    assert sorted(name for name, code in public.items() if code not in reached and name not in NO_WALKERS) == []
    assert public.keys() >= NO_WALKERS
