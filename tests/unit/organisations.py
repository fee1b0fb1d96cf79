"""Random organisations of a small catalogue that has every form of reference, and a target to apply plans to.

An organisation is drawn as abstract items that name each other by number. `payload_of` writes an item down with the ids
of an organisation, so that what a sync should make of it on the target is the same function with the target's ids: a
second way to the result that shares nothing with the product's walker.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from hypothesis import strategies as st

from shared.domain.api_operation import Operation, WriteOperation
from shared.domain.fingerprint import fingerprint
from shared.domain.leftovers import leftover_source_ids, remapped_ids
from shared.domain.paths import copy_json, find_value, values_at
from shared.domain.plan import Action, LineageEntry, Plan, PlannedResource, Resolution, SourceConfig, TargetConfig
from shared.domain.planner import plan
from shared.domain.referable_fields import read_referable_fields
from shared.domain.references import Identified, find_references
from shared.domain.remap import (
    WrittenTarget,
    activation_body,
    build_body,
    missing_referents,
)
from shared.domain.resource_type import (
    ActiveFlag,
    Fields,
    Form,
    Identity,
    NaturalKey,
    Reference,
    ResourceKey,
    ResourceType,
    Strength,
    SystemManaged,
)
from shared.domain.row import RowError
from shared.domain.sendable import referents_of

SOURCE, TARGET = "org-source", "org-target"
SOFT = Strength.SOFT


def _writes(*, merge: bool, client_id: bool = False) -> dict[str, Any]:
    call = {"api": "any", "host": "any", "path": "/{id}"}
    return {
        "get": Operation(**call, operation_id="get", method="GET"),
        "create": WriteOperation(**call, operation_id="create", method="POST", client_id=client_id),
        "update": WriteOperation(**call, operation_id="update", method="PUT", merge=merge),
    }


def _type(name: str, title: str, identity: Identity, *, merge: bool = False, **more: Any) -> ResourceType:
    fields = Fields(id=more.pop("id", "id"), title=(title,), aliases=more.pop("aliases", ()))
    more.setdefault("natural_key", NaturalKey(fields=((title,),)))
    client_id = identity is not Identity.SERVER
    return ResourceType(
        name=name,
        label=name,
        icon="",
        source_api="",
        sdk_client="",
        fields=fields,
        identity=identity,
        strip=(fields.id, "org", "created_at", "updated_at", *more.pop("strip", ())),
        **_writes(merge=merge, client_id=client_id),
        **more,
    )


CATALOGUE: dict[str, ResourceType] = {
    one.name: one
    for one in (
        _type(
            "page",
            "name",
            Identity.SERVER,
            id="page_id",
            aliases=("settings.mirror_id",),
            merge=True,
            active=ActiveFlag(path="settings.active"),
            strip=("settings.mirror_id",),
            external_strip=("shared_with[]",),
            keep_target=("settings.mirror_id",),
            sets=("tags",),
            references=(
                Reference(to=("theme",), path="$.settings.theme_id", required=True),
                Reference(to=("mapping",), path="$.settings.mapping_id", deferrable=True),
                Reference(to=("page",), path="$.parent"),
                Reference(to=("page",), path="$.links[].id", deferrable=True, unit=1),
                Reference(to=("word",), path="$.words[]", form=Form.SLUG, strength=SOFT),
                Reference(to=("word",), path="$.kinds[].word", form=Form.SLUG, unit=1),
                Reference(to=("group",), path="$.shared_with[]", form=Form.PREFIXED_ID, prefix="group_", strength=SOFT),
                Reference(to=("variable",), path="$.notes[]", form=Form.HANDLEBARS, strength=SOFT),
                Reference(to=("variable",), path="$.notes[]", form=Form.ENV_TEMPLATE, strength=SOFT),
            ),
        ),
        _type(
            "theme",
            "style_name",
            Identity.SERVER,
            references=(
                Reference(to=("asset",), path="$.logo", form=Form.URL, strength=SOFT, field="public_url"),
                Reference(
                    to=("asset",),
                    path="$.files[].key",
                    form=Form.CONTENT,
                    field="s3.key",
                    siblings={"bucket": "s3.bucket"},
                    unit=1,
                ),
            ),
        ),
        _type(
            "mapping",
            "label",
            Identity.CLIENT,
            strip=("version",),
            derived_fields=("version",),
            natural_key=NaturalKey(fields=(("source.page",),)),
            references=(
                Reference(to=("page",), path="$.source.page", required=True),
                Reference(to=("flow",), path="$.flows[]", strength=SOFT),
            ),
        ),
        _type(
            "flow",
            "flow_name",
            Identity.SERVER,
            active=ActiveFlag(path="enabled"),
            keep_target=("manifest",),
            stringified=("document",),
            references=(
                Reference(to=("mapping",), path="$.steps[].mapping.id", siblings={"version": "version"}, unit=1),
                Reference(to=("page",), path="$.pages[]"),
                Reference(to=("hook",), path="$.hook", deferrable=True),
                Reference(to=("guard",), path="$.guards.{*}", form=Form.ROLE_ID),
            ),
        ),
        _type(
            "hook",
            "name",
            Identity.SERVER,
            references=(
                Reference(to=("flow",), path="$.secure.flow", unit=1),
                Reference(to=("hook",), path="$.filter.values[]", when=("kind", "hook")),
            ),
        ),
        _type(
            "word",
            "label",
            Identity.PORTABLE,
            id="slug",
            natural_key=NaturalKey(fields=(("slug",),), strong=True),
            references=(Reference(to=("word",), path="$.reverse.{key}", form=Form.SLUG),),
        ),
        _type(
            "guard",
            "name",
            Identity.ORG_PREFIXED,
            aliases=("slug",),
            sets=("grants",),
            natural_key=NaturalKey(fields=(("slug",),), strong=True),
            system_managed=(SystemManaged(path="kind", values=("system",), reason="The platform owns it."),),
            references=(
                Reference(to=("guard",), path="$.parent", form=Form.ROLE_ID),
                Reference(to=("word",), path="$.grants[].on", form=Form.SLUG_PREFIX, strength=SOFT, unit=1),
            ),
        ),
        _type(
            "asset",
            "filename",
            Identity.SERVER,
            aliases=("public_url",),
            strip=("public_url", "s3"),
            derived_fields=("public_url", "s3.key", "s3.bucket"),
        ),
        _type("group", "name", Identity.SERVER),
        _type(
            "variable",
            "name",
            Identity.SERVER,
            aliases=("key",),
            natural_key=NaturalKey(fields=(("key",),), strong=True),
        ),
    )
}

#: slot -> (referring type, types it may name)
SLOTS: Mapping[str, tuple[str, str]] = {
    "theme": ("page", "theme"),
    "mapping": ("page", "mapping"),
    "parent": ("page", "page"),
    "link": ("page", "page"),
    "word": ("page", "word"),
    "kind": ("page", "word"),
    "group": ("page", "group"),
    "variable": ("page", "variable"),
    "note": ("page", ""),
    "mirror": ("page", "page"),
    "logo": ("theme", "asset"),
    "file": ("theme", "asset"),
    "page": ("mapping", "page"),
    "flow": ("mapping", "flow"),
    "step": ("flow", "mapping"),
    "pages": ("flow", "page"),
    "hook": ("flow", "hook"),
    "guard": ("flow", "guard"),
    "json": ("flow", ""),
    "secure": ("hook", "flow"),
    "filter": ("hook", "hook"),
    "reverse": ("word", "word"),
    "above": ("guard", "guard"),
    "grant": ("guard", "word"),
}
REQUIRED = frozenset({"theme", "page"})
#: Left out where the referent is not there, but the config cannot do without a referent that failed.
HARD = (
    frozenset(
        {
            "mapping",
            "parent",
            "link",
            "kind",
            "file",
            "step",
            "pages",
            "hook",
            "guard",
            "secure",
            "filter",
            "reverse",
            "above",
        }
    )
    | REQUIRED
)
ONE_PER_ITEM = frozenset({"theme", "mapping", "parent", "page", "hook", "secure", "above"})
BY_NAME = frozenset({"word", "guard"})


@dataclass(frozen=True)
class Item:
    """A config that names others by number; a negative number names what does not exist."""

    number: int
    type: str
    name: str
    refs: tuple[tuple[str, int], ...]
    text: str = ""


Ids = Mapping[int, Mapping[str, Any] | None]


def _optional(**values: list[Any]) -> dict[str, Any]:
    return {name: found[0] for name, found in values.items() if found}


def _page(
    item: Item, named: Callable[..., list[Any]], texts: Callable[..., list[str]], kept_names: list[str]
) -> dict[str, Any]:
    return {
        "name": item.name,
        "settings": {
            "active": len(item.text) % 2 == 0,
            **_optional(theme_id=named("theme"), mapping_id=named("mapping")),
        },
        **_optional(parent=named("parent")),
        "links": [{"id": one, "label": item.text} for one in named("link")],
        "words": kept_names,
        "kinds": [{"word": one} for one in named("kind")],
        "shared_with": [f"group_{one}" for one in named("group")],
        "notes": [
            item.text,
            *(f"open https://app.example/{one}?x={item.text}" for one in texts("note")),
            *(f"{item.text}[{one}]" for one in texts("mirror", "mirror")),
            *(f"Dear {{{{{one}}}}} / {{{{ env.{one} }}}}" for one in texts("variable", "key")),
        ],
        "tags": sorted({item.text, item.name}),
    }


def payload_of(item: Item, ids: Ids, fallback: Ids | None = None) -> dict[str, Any]:
    """Write an item down; a reference whose referent has no ids is left out, inside texts it keeps the fallback's."""

    def named(slot: str, part: str = "id") -> list[Any]:
        return [ids[number][part] for name, number in item.refs if name == slot and ids[number] is not None]

    def texts(slot: str, part: str = "id") -> list[str]:
        known = [(ids[n] or (fallback or ids)[n] or {}) for name, n in item.refs if name == slot]
        return [one[part] for one in known]

    kept_names = [(fallback or ids)[n]["id"] for name, n in item.refs if name in ("word", "grant")]
    match item.type:
        case "page":
            return _page(item, named, texts, kept_names)
        case "theme":
            return {
                "style_name": item.name,
                **_optional(logo=[f"<img src='{url}'/>" for url in texts("logo", "public_url")]),
                "files": [
                    {"key": key, "bucket": bucket, "n": item.text}
                    for key, bucket in zip(named("file", "key"), named("file", "bucket"), strict=True)
                ],
            }
        case "mapping":
            return {"label": item.text, "source": dict(_optional(page=named("page"))), "flows": named("flow")}
        case "flow":
            return {
                "flow_name": item.name,
                "enabled": len(item.text) % 3 != 0,
                "steps": [
                    {} if ids[n] is None else {"mapping": {"id": ids[n]["id"], "version": ids[n]["version"]}}
                    for name, n in item.refs
                    if name == "step"
                ],
                "pages": named("pages"),
                **_optional(hook=named("hook")),
                "guards": {f"g{n}": ids[n]["id"] for name, n in item.refs if name == "guard" and ids[n] is not None},
                "document": json.dumps({"text": item.text, "ids": [f"\n{one}" for one in texts("json")]}),
            }
        case "hook":
            return {
                "name": item.name,
                **_optional(secure=[{"flow": one} for one in named("secure")]),
                "filter": {"kind": "hook", "values": named("filter")},
            }
        case "word":
            return {"label": item.text, "reverse": dict.fromkeys(named("reverse"), item.name)}
        case "guard":
            return {
                "name": item.text,
                "slug": f"guard-{item.number}",
                **_optional(parent=named("above")),
                "grants": [{"on": f"{one}:*"} for one in kept_names],
            }
        case "variable":
            return {"name": item.name, "key": f"var_{item.number}"}
        case "asset":
            return {"filename": item.name, "size": item.text}
    return {"name": item.name}


@cache
def source_ids(item_type: str, number: int) -> dict[str, Any]:
    """The ids of an item in the source organisation."""
    unique = uuid5(NAMESPACE_OID, f"{SOURCE} {number}")
    by_type = {"word": f"word{number}" if number % 2 else f"plain_{number}", "guard": f"{SOURCE}:guard-{number}"}
    short = number % 3 == 0 and item_type == "flow"
    config_id = by_type.get(item_type, f"Fl0w{unique.hex[:8]}" if short else str(unique))
    return {"id": config_id, **_server_fields(SOURCE, item_type, config_id, 7), "key": _key(SOURCE, item_type, number)}


def _key(org_id: str, item_type: str, number: int) -> str:
    if item_type == "variable":
        return f"var_{number}"
    return f"{org_id}/bytes/{source_number(number)}"


def source_number(number: int) -> str:
    return uuid5(NAMESPACE_OID, f"{SOURCE} bytes {number}").hex


def _server_fields(org_id: str, item_type: str, config_id: str, version: int) -> dict[str, Any]:
    return {
        "mirror": str(uuid5(NAMESPACE_OID, f"mirror {config_id}")),
        "public_url": f"https://files.example/{org_id}/{config_id}/logo.png",
        "bucket": f"bucket-{org_id}",
        "version": version,
    }


def own_fields(org_id: str, item_type: str, ids: Mapping[str, Any]) -> dict[str, Any]:
    """What the API of an organisation adds to a payload."""
    added: dict[str, Any] = {
        CATALOGUE[item_type].fields.id: ids["id"],
        "org": org_id,
        "created_at": "2026-01-01",
        "updated_at": f"2026-01-{ids['version']:02}",
    }
    if item_type == "mapping":
        added["version"] = ids["version"]
    if item_type == "asset":
        added |= {"public_url": ids["public_url"], "s3": {"key": ids["key"], "bucket": ids["bucket"]}}
    return added


@dataclass(frozen=True)
class Organisation:
    """A source organisation: items, and what they look like there."""

    items: tuple[Item, ...]

    @cached_property
    def by_number(self) -> dict[int, Item]:
        return {item.number: item for item in self.items}

    @cached_property
    def ids(self) -> dict[int, dict[str, Any]]:
        """The ids of all items and of what is missing."""
        known = {item.number: source_ids(item.type, item.number) for item in self.items}
        for item in self.items:
            for slot, number in item.refs:
                known.setdefault(number, source_ids(SLOTS[slot][1] or "page", number))
        return known

    def key(self, number: int) -> ResourceKey:
        return ResourceKey(self.by_number[number].type, self.ids[number]["id"])

    def payloads(self) -> dict[ResourceKey, dict[str, Any]]:
        ids = self.ids
        written = {}
        for item in self.items:
            payload = payload_of(item, ids) | own_fields(SOURCE, item.type, ids[item.number])
            if item.type == "page":
                payload["settings"]["mirror_id"] = ids[item.number]["mirror"]
                payload["shared_with"].append("user-1")
            written[ResourceKey(item.type, ids[item.number]["id"])] = payload
        return written


TEXTS = st.sampled_from(["", "x", "Grüße 🌻", "e\u0301", "a~/b", "{{", "12", "naïve\n"])
NAMES = st.sampled_from(["Heat", "Wärme", "Solar", "Solar ", "ソーラー"])


@st.composite
def organisations(draw: st.DrawFn, *, max_items: int = 14, dangling: bool = True) -> Organisation:
    """Draw an organisation with cycles inside and across types, self-references and, if asked, missing referents."""
    types = ["theme", "page", *draw(st.lists(st.sampled_from(sorted(CATALOGUE)), max_size=max_items - 2))]
    numbers = {name: [n for n, one in enumerate(types) if one == name] for name in CATALOGUE}
    items = []
    for number, item_type in enumerate(types):
        slots = [slot for slot, (of, _) in SLOTS.items() if of == item_type]
        chosen = draw(st.lists(st.tuples(st.sampled_from(slots), st.integers(0, 99)), max_size=4)) if slots else []
        wanted = [(slot, draw(st.integers(0, 99))) for slot in slots if slot in REQUIRED] + chosen
        refs: dict[tuple[str, int], None] = {}
        taken: set[str] = set()
        for slot, pick in wanted:
            if slot in ONE_PER_ITEM and slot in taken:
                continue
            candidates = numbers[SLOTS[slot][1]] if SLOTS[slot][1] else range(len(types))
            missing = dangling and (pick >= 95 or (pick >= 85 and slot not in REQUIRED))
            if not candidates or missing:
                if not dangling and not candidates:
                    continue
                refs[slot, -1 - pick % 5] = None
            else:
                refs[slot, candidates[pick % len(candidates)]] = None
            taken.add(slot)
        items.append(Item(number, item_type, draw(NAMES), tuple(refs), draw(TEXTS)))
    return Organisation(tuple(items))


@dataclass
class Target:
    """The target organisation: assigns ids, fills defaults, reorders sets, refuses references to what is not there."""

    org_id: str = TARGET
    configs: dict[ResourceKey, dict[str, Any]] = field(default_factory=dict)
    lineage: dict[ResourceKey, LineageEntry] = field(default_factory=dict)
    writes: list[ResourceKey] = field(default_factory=list)
    refuse: frozenset[ResourceKey] = frozenset()
    made: int = 0

    def create(self, resource_type: ResourceType, body: dict[str, Any], create_id: str | None) -> str:
        self.made += 1
        config_id = create_id or str(uuid5(NAMESPACE_OID, f"{self.org_id} {resource_type.name} {self.made}"))
        key = ResourceKey(resource_type.name, config_id)
        assert key not in self.configs, f"{key} exists already"
        assert (create_id is None) == (resource_type.identity is Identity.SERVER)
        self._check(resource_type, body, config_id if resource_type.identity is not Identity.SERVER else "")
        self._store(key, body, {}, 1)
        return config_id

    def update(self, resource_type: ResourceType, config_id: str, body: dict[str, Any]) -> None:
        key = ResourceKey(resource_type.name, config_id)
        self._check(resource_type, body)
        old = self.configs[key]
        merged = {**old, **body} if resource_type.update and resource_type.update.merge else body
        self._store(key, merged, old, self.version(key) + 1)

    def version(self, key: ResourceKey) -> int:
        return int(self.configs[key]["updated_at"][-2:])

    def _store(self, key: ResourceKey, body: dict[str, Any], old: dict[str, Any], version: int) -> None:
        ids = {"id": key.id, **_server_fields(self.org_id, key.type, key.id, version), "key": f"{self.org_id}/{key.id}"}
        payload = copy_json(body) | own_fields(self.org_id, key.type, ids)
        if key.type == "page":
            mirror = old.get("settings", {}).get("mirror_id")
            assert mirror is None or body.get("settings", {}).get("mirror_id") == mirror, "lost the target's own field"
            payload["settings"]["mirror_id"] = ids["mirror"]
        payload.setdefault("default_filled_in", {"by": "server"})
        for path in CATALOGUE[key.type].sets:
            for items in values_at(payload, path):
                items.sort(key=repr, reverse=True)
        self.configs[key] = payload
        self.writes.append(key)

    def _check(self, resource_type: ResourceType, body: dict[str, Any], own_id: str = "") -> None:
        for path in (resource_type.fields.id, "org", "created_at", "version", "public_url"):
            assert find_value(body, path) is None or path not in resource_type.strip, f"{path} is read-only"
        for found in find_references(resource_type, body, lambda _: False):
            if found.portable and found.strength is Strength.SOFT:
                continue
            known = {own_id} | {
                value
                for key, payload in self.configs.items()
                if key.type in found.to
                for value in (key.id, *values_at(payload, "s3.key"))
            }
            assert found.identifier in known, f"{resource_type.name} {found.pointer} names {found.identifier}, unknown"
        for path in ("settings.theme_id", "source.page"):
            parent = path.partition(".")[0]
            if resource_type.name in ("page", "mapping") and parent in body:
                assert find_value(body, path) is not None, f"{path} is required"

    def snapshot(self) -> dict[str, list[TargetConfig]]:
        found: dict[str, list[TargetConfig]] = {}
        for key, payload in self.configs.items():
            found.setdefault(key.type, []).append(TargetConfig(key=key, payload=copy_json(payload)))
        return found


@dataclass
class Sync:
    """One job from an organisation into a target."""

    organisation: Organisation
    target: Target
    selected: frozenset[int] | None = None
    match: str = "heuristic"
    batch_size: int = 5
    id_map: dict[ResourceKey, WrittenTarget] = field(default_factory=dict)
    failed: set[ResourceKey] = field(default_factory=set)
    resolutions: dict[ResourceKey, tuple[Resolution, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.payloads = self.organisation.payloads()
        self.identifiers: dict[str, list[Identified]] = {}
        for key, payload in self.payloads.items():
            for identifier, path in ((key.id, "id"), (find_value(payload, "settings.mirror_id"), "settings.mirror_id")):
                if identifier:
                    self.identifiers.setdefault(identifier, []).append(Identified(key, path))
            for path in ("public_url", "key"):
                if isinstance(payload.get(path), str):
                    self.identifiers.setdefault(payload[path], []).append(Identified(key, path))
        self.sources = self._fetch()

    def _fetch(self) -> dict[ResourceKey, SourceConfig]:
        numbers = range(len(self.organisation.items)) if self.selected is None else sorted(self.selected)
        roots = [self.organisation.key(number) for number in numbers]
        by_name: dict[ResourceKey, bool] = {}
        queue = list(roots)
        seen = set(roots)
        while queue:
            key = queue.pop()
            if key not in self.payloads:
                continue
            for referent, name_only in referents_of(
                CATALOGUE[key.type], self.payloads[key], self.identifiers, CATALOGUE
            ).items():
                by_name[referent] = by_name.get(referent, True) and name_only
                if referent not in seen:
                    seen.add(referent)
                    queue.append(referent)
        return {
            key: SourceConfig(
                key=key,
                payload=self.payloads.get(key),
                title=str(key),
                error=None if key in self.payloads else RowError("NOT_FOUND", "404"),
                selected=key in roots,
                by_name_only=key not in roots and by_name.get(key, False),
            )
            for key in seen
        }

    def plan(self, **changes: Any) -> Plan:
        arguments: dict[str, Any] = {
            "catalogue": CATALOGUE,
            "source_org_id": SOURCE,
            "target_org_id": TARGET,
            "sources": self.sources,
            "identifiers": self.identifiers,
            "targets": self.target.snapshot(),
            "lineage": self.target.lineage,
            "claimed": {(entry.type, entry.target_id) for entry in self.target.lineage.values()},
            "match": self.match,
            "batch_size": self.batch_size,
        }
        return plan(**{**arguments, **changes})

    def run(self, made: Plan | None = None) -> Plan:
        """Carry a plan out the way the steps do: batches, then phases a5 and b, activation, verification."""
        made = made or self.plan()
        self.resolutions = {planned.key: planned.resolutions for planned in made.resources}
        by_batch: dict[int, list[PlannedResource]] = {}
        for planned in made.resources:
            if planned.batch:
                by_batch.setdefault(planned.batch, []).append(planned)
            elif planned.action is Action.FAIL:
                self.failed.add(planned.key)
            elif planned.target_id:
                self.id_map[planned.key] = WrittenTarget(planned.target_id, planned.target_fields)
        assert sorted(by_batch) == sorted(number for stage in made.stages for number in stage)
        for stage in made.stages:
            for number in stage:
                for planned in sorted(by_batch[number], key=lambda one: one.generation):
                    self._write(planned)
        self._finish(made, [one for ones in by_batch.values() for one in ones if one.key in self.id_map])
        return made

    def _finish(self, made: Plan, written: list[PlannedResource]) -> None:
        for again in ("resolve", "patch"):
            for planned in written:
                if getattr(planned, again):
                    self._rewrite(planned)
        for planned in written:
            if planned.activate and planned.key not in self.failed:
                body = activation_body(
                    CATALOGUE[planned.key.type], self._payload(planned), planned, self.id_map, self._current(planned)
                )
                self.target.update(CATALOGUE[planned.key.type], self.id_map[planned.key].id, body)
        self._verify(made, [one for one in written if one.key not in self.failed])

    def _payload(self, planned: PlannedResource) -> dict[str, Any]:
        payload = self.sources[planned.key].payload
        assert payload is not None
        return payload

    def _current(self, planned: PlannedResource) -> dict[str, Any] | None:
        known = self.id_map.get(planned.key)
        config_id = known.id if known else planned.target_id
        return copy_json(self.target.configs[ResourceKey(planned.key.type, config_id)]) if config_id else None

    def _write(self, planned: PlannedResource) -> None:
        resource_type = CATALOGUE[planned.key.type]
        stage = "create" if planned.action is Action.CREATE else "patch"
        missing = missing_referents(planned, self.id_map, stage)
        assert all(one.referent in self.failed for one in missing), "written before its referent"
        if planned.key in self.target.refuse or any(one.hard for one in missing):
            self.failed.add(planned.key)
            return
        current = self._current(planned)
        body = build_body(
            resource_type, self._payload(planned), planned, self.id_map, stage=stage, target_payload=current
        )
        if planned.action is Action.CREATE:
            config_id = self.target.create(resource_type, body, planned.create_id)
        else:
            assert planned.target_id is not None
            config_id = planned.target_id
            self.target.update(resource_type, config_id, body)
        self._remember(planned, config_id)

    def _rewrite(self, planned: PlannedResource) -> None:
        resource_type = CATALOGUE[planned.key.type]
        stage = "full" if planned.action is Action.CREATE else "patch"
        if any(one.hard and one.referent in self.failed for one in missing_referents(planned, self.id_map, stage)):
            self.failed.add(planned.key)
            return
        body = build_body(
            resource_type,
            self._payload(planned),
            planned,
            self.id_map,
            stage=stage,
            target_payload=self._current(planned),
        )
        self.target.update(resource_type, self.id_map[planned.key].id, body)
        self._remember(planned, self.id_map[planned.key].id)

    def _remember(self, planned: PlannedResource, config_id: str) -> None:
        payload = self.target.configs[ResourceKey(planned.key.type, config_id)]
        fields = read_referable_fields(CATALOGUE, planned.key.type, payload)
        self.id_map[planned.key] = WrittenTarget(config_id, fields)

    def _verify(self, made: Plan, written: list[PlannedResource]) -> None:
        for planned in [*written, *(one for one in made.resources if one.record_lineage)]:
            there = self.id_map[planned.key].id
            read_back = self.target.configs[ResourceKey(planned.key.type, there)]
            self.target.lineage[planned.key] = LineageEntry(
                type=planned.key.type,
                source_org_id=SOURCE,
                source_id=planned.key.id,
                target_org_id=TARGET,
                target_id=there,
                source_fingerprint=planned.source_fingerprint,
                target_fingerprint=fingerprint(CATALOGUE[planned.key.type], read_back),
                override_fingerprint=planned.override_fingerprint,
            )

    def leftovers(self) -> list[tuple[str, str]]:
        ids = remapped_ids(CATALOGUE, self.identifiers, self.id_map)
        return [
            found
            for key, there in self.id_map.items()
            for found in leftover_source_ids(
                CATALOGUE[key.type],
                self.payloads[key],
                self.target.configs[ResourceKey(key.type, there.id)],
                ids,
                self.resolutions.get(key, ()),
            )
        ]

    def expected(self, item: Item) -> dict[str, Any]:
        """What the target should hold of an item: the item written down with the target's ids."""
        ids: dict[int, Mapping[str, Any] | None] = {}
        for number in self.organisation.ids:
            known = self.id_map.get(self.organisation.key(number)) if number in self.organisation.by_number else None
            ids[number] = None if known is None else self._ids_there(self.organisation.by_number[number].type, known.id)
        return payload_of(item, ids, self.organisation.ids)

    def _ids_there(self, item_type: str, config_id: str) -> dict[str, Any]:
        payload = self.target.configs[ResourceKey(item_type, config_id)]
        return {
            "id": config_id,
            "version": payload.get("version"),
            "public_url": payload.get("public_url"),
            "mirror": find_value(payload, "settings.mirror_id"),
            "bucket": find_value(payload, "s3.bucket"),
            "key": payload.get("key") or find_value(payload, "s3.key"),
        }


def content_of(payload: Mapping[str, Any], expected: Mapping[str, Any]) -> Any:
    """Reduce a payload of the target to the properties that are expected, sets sorted, the JSON text read."""
    found = {name: copy_json(payload.get(name)) for name in expected}
    if "settings" in found and isinstance(found["settings"], dict):
        found["settings"].pop("mirror_id", None)
    return comparable(found)


def comparable(payload: Mapping[str, Any]) -> Any:
    copied = copy_json(dict(payload))
    for name in ("tags", "grants"):
        if name in copied and copied[name] is not None:
            copied[name] = sorted(copied[name], key=repr)
    return copied
