"""Random histories of organisations that are synced with one another, and the laws that hold for their last job.

A history is drawn from a seed: organisations of configs of the real catalogue, then jobs, failures, retries, edits,
deletions and lineage operations, through the product's own use cases; the APIs are the sandbox's. `HISTORY_SEED=17`
replays one, with its story.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, NamedTuple

from sandbox.server.kinds import KIND_OF
from sandbox.server.store import Store
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.errors import ConflictError, DownstreamRejectedError, HubError
from shared.domain.job import Job
from shared.domain.paths import find_value, merge_patch
from shared.domain.resource_type import Identity, ResourceKey
from shared.domain.row import Row, RowStatus
from shared.use_cases.break_lineage import break_lineage
from shared.use_cases.confirm_lineage import confirm_lineage
from shared.use_cases.jobs.payloads import request_key
from shared.use_cases.retry_sync_job import _scope
from tests.fakes.dynamodb import MemoryDynamoDB
from tests.fakes.sandbox_api import SandboxRepository, seeded, store_unchecked, without_threads
from tests.fakes.sync_world import SOURCE_ORG, SyncWorld
from tests.unit.isomorphism import (
    Names,
    carried_over,
    differences,
    ever_sent,
    identifying_values,
    is_shaped,
    kept_though_dropped,
    left_ids,
    named_by_id,
    names_between,
    stale_siblings,
)
from tests.unit.random_configs import (
    FREE_TEXT,
    ROLES,
    SLUGS,
    TYPES,
    WORDS,
    Payload,
    Referent,
    body_of,
    can_hold_more,
    is_found_in_text,
    is_known_by_name,
    is_portable,
    mention,
    new_id,
    odd_value,
    plant,
    plant_freely,
    plant_unsent,
    plantable,
    portable_name,
    title_field,
)

ORGS = ("11001", "22002", "33003")
#: Labels cannot be made without their taxonomy, nor mappings without the schema that they all lead to.
EVERYWHERE = (ResourceKey("taxonomy", "region"), ResourceKey("taxonomy", "purpose"), ResourceKey("schema", "contact"))
_START = 1_780_000_000.0
FILES = ("file", "document_template")
_DONE = (RowStatus.CREATED, RowStatus.PATCHED, RowStatus.SKIPPED)
#: Why a row may fail though nothing is planted: the plan says so, and what it needs cannot be had.
_FAIR = frozenset(
    {
        "AMBIGUOUS_MATCH",
        "CYCLE_NOT_BREAKABLE",
        "DANGLING_REFERENCE",
        "DEPENDENCY_FAILED",
        "DEPENDENCY_NOT_SELECTED",
        "NOT_FOUND",
        "TARGET_TAKEN",
    }
)

#: All that may happen between two jobs, and all that organisations may hold, by name.
LANGUAGE = frozenset(
    {
        # What organisations hold.
        "clone",
        "dangling",
        "odd",
        "known_by_name",
        "twins",
        "text",
        "sentence",
        "whole",
        "key",
        "json",
        "mention",
        "unsent",
        # What happens.
        "fault",
        "retry",
        "edit",
        "edit_target",
        "rename",
        "remove_property",
        "remove_reference",
        "delete",
        "delete_target",
        "recreate",
        "break",
        "confirm",
        "override",
        "back",
        "onward",
        "alone",
        "catalogue",
        # Overrides of what the source itself does not have.
        "override_adds",
        # A config made anew whose name is its own, in a place where the old one's twin has that name.
        "namesake",
    }
)


class HistoryWorld(SyncWorld):
    """Three organisations of the sandbox, and jobs between any two of them."""

    def __init__(self) -> None:
        self._clock = _START
        super().__init__(MemoryDynamoDB(), RESOURCE_TYPES)
        self.store = Store()
        self.organisations = {org_id: SandboxRepository(self.store, org_id) for org_id in ORGS}

    def now(self) -> float:
        self._clock += 0.001
        return self._clock + self.skipped_s

    def _open(self, job: Job, role: str) -> Any:
        return self.organisations[job.source_org_id if role == "source" else job.target_org_id]

    def configs(self, org_id: str) -> dict[ResourceKey, Payload]:
        """Return all configs of an organisation, raw."""
        organisation = self.store.organisation(org_id)
        return {
            ResourceKey(name, str(record.payload[kind.id_field])): record.payload
            for name, kind in KIND_OF.items()
            for record in organisation.records(kind)
            if not record.payload.get("deleted_at")
        }

    def place(self, org_id: str, key: ResourceKey, payload: Payload) -> None:
        """Store a config by hand."""
        store_unchecked(self.store, org_id, key.type, payload)

    def delete(self, org_id: str, key: ResourceKey) -> None:
        """Delete a config by hand."""
        self.store.organisation(org_id).collection(KIND_OF[key.type].store_name).pop(key.id, None)

    def written(self) -> int:
        """How many writes all organisations have seen."""
        return sum(sum(one.client.writes.values()) for one in self.organisations.values())


class Settled(NamedTuple):
    """A pair of configs as a job left it.

    Attributes:
        target_id: of the target's.
        source, target: the payloads.
        differences: what the source does not have as the target has it, references as the source would name them.
    """

    target_id: str
    source: Payload
    target: Payload
    differences: frozenset[str]


class BrokenLawError(AssertionError):
    """A law does not hold; the message says which, and tells the history."""


class History:
    """One history, as it is drawn.

    Attributes:
        story: what happened, one line each.
    """

    def __init__(self, seed: int, language: frozenset[str] = LANGUAGE) -> None:
        self.seed = seed
        self.language = language
        self.drawn = random.Random(f"history {seed}")
        self.world = HistoryWorld()
        self.story: list[str] = []
        self.ever: dict[str, set[str]] = {org_id: {*SLUGS, *(f"{org_id}:{slug}" for slug in ROLES)} for org_id in ORGS}
        self.synced: dict[tuple[str, str], dict[ResourceKey, tuple[str, Payload, Payload]]] = {}
        self.settled: dict[tuple[tuple[str, str], ResourceKey], Settled] = {}
        self.deleted: list[tuple[str, ResourceKey, Payload]] = []
        self.numbers = iter(range(10_000))
        self.laws_broken: list[str] = []

    def run(self) -> None:
        """Draw and live through the history, and check the laws on its last job.

        Raises:
            BrokenLawError: one does not hold.
        """
        with seeded(random.Random(f"ids {self.seed}")), without_threads():
            try:
                self._live()
            except BrokenLawError:
                raise
            except Exception as error:
                raise BrokenLawError(self._told(f"{type(error).__name__}: {error}")) from error

    def _live(self) -> None:
        self._found_organisations()
        pair = (ORGS[0], ORGS[1])
        last: Job | None = None
        for _ in range(self.drawn.randrange(1, 5)):
            for _ in range(self.drawn.randrange(4)):
                self._happen(pair, last)
            pair = self._next_pair(pair)
            last = self._sync(pair, faulty=self._may("fault", 0.35))
        for _ in range(self.drawn.randrange(4)):
            self._happen(pair, last)
        self._sync_lawfully(self._next_pair(pair))

    def _may(self, name: str, chance: float = 1.0) -> bool:
        return self.drawn.random() < chance and name in self.language

    def _say(self, sentence: str) -> None:
        self.story.append(sentence)

    def _told(self, law: str) -> str:
        return f"seed {self.seed}: {law}\n" + "\n".join(f"  {line}" for line in self.story)

    # Organisations

    def _found_organisations(self) -> None:
        drawn = self.drawn
        for org_id in ORGS:
            for key in EVERYWHERE:
                self._put(org_id, key, body_of(drawn, RESOURCE_TYPES[key.type], org_id, key.id, 0))
        self._fill(ORGS[0], drawn.randrange(8, 26))
        self.cloned = self._may("clone", 0.25)
        if self.cloned:
            for key, payload in self.world.configs(ORGS[0]).items():
                if drawn.random() < 0.8:
                    other = ResourceKey(key.type, key.id.replace(f"{ORGS[0]}:", f"{ORGS[1]}:"))
                    self._put(ORGS[1], other, json.loads(json.dumps(payload).replace(ORGS[0], ORGS[1])))
            self._say(f"{ORGS[1]} is a clone of {ORGS[0]}")
        else:
            self._fill(ORGS[1], drawn.randrange(0, 6))
            if self._may("known_by_name", 0.5):
                self._meet_by_name(ORGS[0], ORGS[1])
        self._fill(ORGS[2], drawn.randrange(0, 4))

    def _fill(self, org_id: str, count: int) -> None:
        # A few types at a time, so that configs find others to refer to.
        chosen = self.drawn.sample(TYPES, k=min(len(TYPES), 8 + count // 4))
        keys = [self._new(org_id, self.drawn.choice(chosen)) for _ in range(count)]
        for key in keys:
            self._refer(org_id, key, self.drawn.randrange(4))

    def _new(self, org_id: str, type_name: str) -> ResourceKey:
        resource_type = RESOURCE_TYPES[type_name]
        number = next(self.numbers)
        config_id = new_id(self.drawn, resource_type, org_id, number)
        body = body_of(self.drawn, resource_type, org_id, config_id, number)
        if "twins" not in self.language and (title := title_field(body)) is not None:
            body[title] += f" {number}"
        key = ResourceKey(type_name, config_id)
        self._put(org_id, key, body)
        return key

    def _put(self, org_id: str, key: ResourceKey, payload: Payload) -> None:
        unique = KIND_OF[key.type].unique
        if unique and any(
            other.type == key.type and other != key and held.get(unique) == payload.get(unique)
            for other, held in self.world.configs(org_id).items()
        ):
            payload = {**payload, unique: f"{payload[unique]}-{next(self.numbers)}"}
        self.world.place(org_id, key, payload)
        if key.type in FILES:
            content = {"file_id": key.id, "content_base64": "aGVsbG8="}
            self.world.store.load(org_id, "_file_bytes", content)

    def _meet_by_name(self, source: str, target: str) -> None:
        """Let the target have configs of its own that have names of the source's."""
        for key, payload in self.world.configs(source).items():
            if self.drawn.random() > 0.25:
                continue
            resource_type = RESOURCE_TYPES[key.type]
            number = next(self.numbers)
            config_id = key.id.replace(f"{source}:", f"{target}:")
            if not is_portable(resource_type) and ":" not in key.id:
                config_id = new_id(self.drawn, resource_type, target, 2 * number)
            body = body_of(self.drawn, resource_type, target, config_id, number)
            for name in ("name", "title", "flow_name", "style_name", "description", "key", "code", "slug", "eventName"):
                if name in payload and name in body:
                    body[name] = payload[name]
            self._put(target, ResourceKey(key.type, config_id), body)

    def _refer(self, org_id: str, key: ResourceKey, count: int) -> None:
        """Let a config refer to others, at places that the catalogue declares and at places of its own."""
        configs = self.world.configs(org_id)
        resource_type = RESOURCE_TYPES[key.type]
        payload = deepcopy(configs[key])
        places = [name for name in ("text", "sentence", "whole", "key", "json") if name in self.language]
        required = [one for one in plantable(resource_type) if one.required]
        chosen = [*required, *self.drawn.choices(plantable(resource_type) or [None], k=count)]  # type: ignore[list-item]
        for reference in chosen:
            if reference is None:
                continue
            of_type = sorted(one for one in configs if one.type in reference.to)
            if self._may("dangling", 0.08):
                to = RESOURCE_TYPES[reference.to[0]]
                dead_id = odd_value(self.drawn) if self._may("odd", 0.3) else new_id(self.drawn, to, org_id, 1)
                dead = ResourceKey(to.name, dead_id)
                self.ever[org_id].add(dead.id)
                plant(self.drawn, payload, reference, Referent(dead, {}))
            elif of_type or reference.required:
                other = self.drawn.choice(of_type) if of_type else self._new(org_id, reference.to[0])
                plant(self.drawn, payload, reference, Referent(other, self.world.configs(org_id)[other]))
        others = sorted(one for one in configs if one != key and is_found_in_text(RESOURCE_TYPES[one.type]))
        if places and others and can_hold_more(resource_type) and self.drawn.random() < 0.4:
            other = self.drawn.choice(others)
            plant_freely(self.drawn, payload, Referent(other, configs[other]), places)
        names = sorted({name for one, held in configs.items() if one != key and (name := portable_name(one, held))})
        if names and can_hold_more(resource_type) and self._may("mention", 0.1):
            mention(self.drawn, payload, self.drawn.choice(names))
        if others and self._may("unsent", 0.15):
            other = self.drawn.choice([one for one in others if one.type == "usergroup"] or others)
            plant_unsent(payload, resource_type, Referent(other, configs[other]))
        options = [option for values in payload.get("option_values", ()) for option in values.get("options", ())]
        if options:
            payload["option_values"] = [{"component_id": "c1", "options": [{**options[-1], "key": "url"}]}]
        self._put(org_id, key, payload)

    # What happens

    def _next_pair(self, pair: tuple[str, str]) -> tuple[str, str]:
        there = (ORGS[0], ORGS[1])
        possible = [there, there, pair]
        if "back" in self.language:
            possible.append((ORGS[1], ORGS[0]))
        if "onward" in self.language:
            possible.append((ORGS[1], ORGS[2]))
        return self.drawn.choice(possible)

    def _happen(self, pair: tuple[str, str], last: Job | None) -> None:
        events: dict[str, Callable[[], object]] = {
            "retry": lambda: last is not None and self._retry(last),
            "edit": lambda: self._edit(pair[0]),
            "edit_target": lambda: self._edit(pair[1]),
            "rename": lambda: self._rename(self.drawn.choice(pair)),
            "remove_property": lambda: self._remove_property(pair[0]),
            "remove_reference": lambda: self._remove_part(pair[0]),
            "delete": lambda: self._delete(pair[0]),
            "delete_target": lambda: self._delete(pair[1]),
            "recreate": self._recreate,
            "break": lambda: self._break(pair),
            "confirm": lambda: self._confirm(pair),
        }
        events[self.drawn.choice(sorted(name for name in events if name in self.language))]()

    def _some(self, org_id: str) -> tuple[ResourceKey, Payload] | None:
        configs = self.world.configs(org_id)
        if not configs:
            return None
        key = self.drawn.choice(sorted(configs))
        return key, deepcopy(configs[key])

    def _edit(self, org_id: str) -> None:
        found = self._some(org_id)
        if found is None:
            return
        key, payload = found
        if can_hold_more(RESOURCE_TYPES[key.type]) and self.drawn.random() < 0.5:
            payload[FREE_TEXT] = f"{self.drawn.choice(WORDS)} {self.drawn.randrange(1000)}"
            self._put(org_id, key, payload)
        else:
            self._refer(org_id, key, 1)
        self._say(f"{org_id}: {key} is edited")

    def _rename(self, org_id: str) -> None:
        found = self._some(org_id)
        if found is not None and (name := title_field(found[1])) is not None and found[0].type not in FILES:
            found[1][name] = f"{self.drawn.choice(WORDS)} neu {next(self.numbers)}"
            self._put(org_id, *found)
            self._say(f"{org_id}: {found[0]} is renamed")

    def _remove_property(self, org_id: str) -> None:
        found = self._some(org_id)
        if found is None:
            return
        key, payload = found
        kind = KIND_OF[key.type]
        owned = {*kind.server_owned, *kind.required, *kind.defaults, kind.id_field, "slug", "key", "targets", "name"}
        natural = RESOURCE_TYPES[key.type].natural_key
        owned |= {path.partition(".")[0] for paths in (natural.fields if natural else ()) for path in paths}
        free = sorted(payload.keys() - owned - {path.partition(".")[0] for path in (*owned, *kind.read_only)})
        if free:
            name = self.drawn.choice(free)
            del payload[name]
            self.world.delete(org_id, key)
            self._put(org_id, key, payload)
            self._say(f"{org_id}: {key} loses {name}")

    def _remove_part(self, org_id: str) -> None:
        """Take the last item of some array away."""
        found = self._some(org_id)
        if found is None:
            return
        arrays = [value for value in _values(found[1]) if isinstance(value, list) and value]
        if arrays and not RESOURCE_TYPES[found[0].type].keep_only:
            self.drawn.choice(arrays).pop()
            self._put(org_id, *found)
            self._say(f"{org_id}: {found[0]} loses an item")

    def _delete(self, org_id: str) -> None:
        found = self._some(org_id)
        if found is not None and found[0] not in EVERYWHERE:
            self._note_ids(org_id)
            self.world.delete(org_id, found[0])
            self.deleted.append((org_id, *found))
            self._say(f"{org_id}: {found[0]} is deleted")

    def _recreate(self) -> None:
        """Make a config anew that was deleted: under another id, where the server chooses it."""
        if not self.deleted:
            return
        org_id, key, payload = self.deleted.pop()
        resource_type = RESOURCE_TYPES[key.type]
        again = key
        if resource_type.identity is Identity.SERVER and ":" not in key.id:
            again = ResourceKey(key.type, new_id(self.drawn, resource_type, org_id, 2 * next(self.numbers)))
            payload[resource_type.fields.id] = again.id
            unique = KIND_OF[key.type].unique
            if unique and "namesake" not in self.language:
                payload[unique] += f"-{next(self.numbers)}"
        self._put(org_id, again, payload)
        self._say(f"{org_id}: {key} is made anew as {again.id}")

    def _break(self, pair: tuple[str, str]) -> None:
        entries = sorted(self.world.lineage.list_entries(pair[1], pair[0]), key=lambda one: (one.type, one.source_id))
        if not entries:
            return
        entry = self.drawn.choice(entries)
        try:
            break_lineage(
                RESOURCE_TYPES,
                self.world.lineage,
                self.world.organisations[pair[1]],
                type_name=entry.type,
                source_id=entry.source_id,
                source_org_id=pair[0],
            )
        except HubError as error:
            self._say(f"lineage of {entry.type}:{entry.source_id} is not broken: {error}")
            return
        for direction in (pair, pair[::-1]):
            self.synced.get(direction, {}).pop(ResourceKey(entry.type, entry.source_id), None)
        self._say(f"lineage {pair[0]}>{pair[1]} of {entry.type}:{entry.source_id} is broken")

    def _confirm(self, pair: tuple[str, str]) -> None:
        source, target = (self.world.configs(org_id) for org_id in pair)
        pairs = sorted(
            (one, other)
            for one in source
            for other in target
            if one.type == other.type and not is_known_by_name(RESOURCE_TYPES[one.type])
        )
        if not pairs:
            return
        one, other = self.drawn.choice(pairs)
        body = {"type": one.type, "source_org_id": pair[0], "source_id": one.id, "target_id": other.id}
        try:
            confirm_lineage(
                RESOURCE_TYPES,
                self.world.lineage,
                self.world.organisations[pair[1]],
                body,
                user_id="user",
                now=self.world.now(),
            )
        except HubError as error:
            self._say(f"{one} > {other.id} is not confirmed: {error}")
            return
        self.synced.get(pair, {}).pop(one, None)
        self._say(f"{one} > {other.id} is confirmed")

    # Jobs

    def _select(self, source: str) -> list[ResourceKey]:
        possible = sorted(key for key in self.world.configs(source) if key.type != "access_token")
        count = min(len(possible), self.drawn.choice((1, 2, 3, 5, 30)))
        return self.drawn.sample(possible, k=count)

    def _sync(self, pair: tuple[str, str], *, faulty: bool) -> Job | None:
        selection = self._select(pair[0])
        if not selection:
            return None
        overrides = {}
        key = self.drawn.choice(selection)
        if self._may("override", 0.25) and (
            FREE_TEXT in self.world.configs(pair[0])[key] or self._may("override_adds")
        ):
            overrides = {str(key): {FREE_TEXT: f"overridden {self.drawn.randrange(100)}"}}
        more = {"include_dependencies": not self._may("alone", 0.2), "overrides": overrides}
        if faulty:
            self._plant_faults(pair)
        job = self._carry_out(pair, selection, more)
        self._remember(pair, job, overrides)
        return job

    def _plant_faults(self, pair: tuple[str, str]) -> None:
        for org_id, operations in zip(pair, (("get", "list"), ("create", "update", "list")), strict=True):
            if self.drawn.random() < 0.7:
                fault = (self.drawn.choice(operations), self.drawn.choice(TYPES))
                refusal = lambda: DownstreamRejectedError("refused by the history")  # noqa: E731
                self.world.organisations[org_id].faults[fault] = refusal
                self._say(f"{org_id} refuses to {fault[0]} {fault[1]}")

    def _retry(self, job: Job) -> None:
        intake: Any = SimpleNamespace(jobs=self.world.jobs, payloads=self.world.payloads)
        try:
            scope = _scope(intake, self.world.jobs.get_job(SOURCE_ORG, job.id))
        except ConflictError:
            return
        selection = [ResourceKey(entry["type"], entry["id"]) for entry in scope["resources"]]
        pair = (job.source_org_id, job.target_org_id)
        more = {"include_dependencies": job.include_dependencies, "retry_of": job.id}
        self._remember(pair, self._carry_out(pair, selection, more, scope), scope["payload_overrides"])

    def _carry_out(
        self,
        pair: tuple[str, str],
        selection: list[ResourceKey],
        more: Mapping[str, Any],
        request: Mapping[str, Any] | None = None,
    ) -> Job:
        world = self.world
        job_id = world.create_job(*selection, source_org_id=pair[0], target_org_id=pair[1], **more)
        if request is not None:
            stored = {"payload_overrides": {}, **request}
            world.payloads.put(request_key(SOURCE_ORG, job_id), stored)
        job = world.run(job_id)
        for organisation in world.organisations.values():
            organisation.faults.clear()
        named = ", ".join(map(str, selection))
        kind = "retry" if "retry_of" in more else "sync"
        how = "" if more.get("include_dependencies", True) else " without dependencies"
        self._say(f"{kind} {pair[0]}>{pair[1]}{how} of {named}: {job.status} {_summary(world.rows(job_id).values())}")
        return job

    def _remember(self, pair: tuple[str, str], job: Job, overrides: Mapping[str, Any]) -> None:
        source, target = (self.world.configs(org_id) for org_id in pair)
        known = self.synced.setdefault(pair, {})
        rows = self.world.rows(job.id)
        back = {
            ResourceKey(key.type, target_id): key.id
            for key, target_id in self._id_map(pair, source, target, rows).items()
        }
        names = names_between(RESOURCE_TYPES, target, source, back, set().union(*self.ever.values()))
        for key, row in rows.items():
            there = target.get(ResourceKey(key.type, row.target_id or ""))
            if str(key) in overrides:
                # What an override changed is on one side only: the way back has to look.
                self.settled.pop((pair, key), None)
            elif row.status in _DONE and there is not None and key in source:
                self.settled[pair, key] = self._settled(key, str(row.target_id), source[key], there, names, source)
            if row.status in (RowStatus.CREATED, RowStatus.PATCHED) and there is not None and key in source:
                content = merge_patch(source[key], overrides.get(str(key), {}))
                known[key] = (str(row.target_id), deepcopy(content), deepcopy(there))
            elif row.status is not RowStatus.SKIPPED:
                known.pop(key, None)
        self._note_ids(pair[0])

    @staticmethod
    def _settled(
        key: ResourceKey,
        target_id: str,
        ours: Payload,
        theirs: Payload,
        names: Names,
        source: Mapping[ResourceKey, Payload],
    ) -> Settled:
        resource_type = RESOURCE_TYPES[key.type]
        found = [
            *differences(resource_type, names, theirs, ours),
            *stale_siblings(resource_type, names, theirs, ours, source),
        ]
        return Settled(target_id, deepcopy(ours), deepcopy(theirs), frozenset(found))

    def _note_ids(self, org_id: str) -> None:
        for key, payload in self.world.configs(org_id).items():
            resource_type = RESOURCE_TYPES[key.type]
            paths = (*resource_type.fields.aliases, *resource_type.derived_fields)
            aliases = (find_value(payload, path) for path in paths)
            self.ever[org_id] |= {key.id, *(one for one in aliases if isinstance(one, str) and len(one) >= 8)}

    # Laws

    def _sync_lawfully(self, pair: tuple[str, str]) -> None:
        world = self.world
        selection = self._select(pair[0])
        if not selection:
            return
        for org_id in ORGS:
            self._note_ids(org_id)
        half_done = {
            ResourceKey(one.type, one.source_id)
            for one in world.lineage.list_entries(pair[1], pair[0])
            if one.half_done
        }
        claims = {
            ResourceKey(one.type, one.target_id): one.source_id for one in world.lineage.list_entries(pair[1], pair[0])
        }
        synced = deepcopy(self.synced.get(pair, {}))
        source, before = deepcopy(world.configs(pair[0])), deepcopy(world.configs(pair[1]))
        job = self._carry_out(pair, selection, {})
        after, rows = deepcopy(world.configs(pair[1])), world.rows(job.id)
        broken = self.laws_broken
        broken += [
            f"unfair failure: {key}: {row.error}"
            for key, row in rows.items()
            if not _is_fair(row, before.get(ResourceKey(key.type, row.target_id or ""), {}))
        ]
        broken += [f"law 8: {key} was selected and has no row" for key in selection if key not in rows]
        broken += _strangers(source, rows, {*selection})
        allowed = self._allowed(source, rows, {*selection} | half_done)
        broken += self._twins(pair, before, rows, claims)
        broken += _law_7(source, before, after, rows, allowed)
        broken += self._laws_1_and_5(pair, source, before, after, rows, allowed)
        written = {
            key: row for key, row in rows.items() if key in allowed and not RESOURCE_TYPES[key.type].never_overwrite
        }
        broken += _removals(source, before, after, written, synced)
        if not broken:
            self._sync_again(pair, selection, rows)
        if not broken and "catalogue" in self.language:
            self._sync_under_another_catalogue(pair, selection)
        if broken:
            raise BrokenLawError(self._told("\n".join(broken)))

    def _twins(
        self,
        pair: tuple[str, str],
        before: Mapping[ResourceKey, Payload],
        rows: Mapping[ResourceKey, Row],
        claims: Mapping[ResourceKey, str],
    ) -> Iterator[str]:
        """Yield what was made anew on the way back, though it is still there where it came from.

        What lineage of this direction claims for another config is that one's, even where the other is gone by now.
        """
        entries = self.world.lineage.list_entries(pair[0], pair[1])
        origins = {ResourceKey(one.type, one.target_id): one.source_id for one in entries}
        for key, row in sorted(rows.items()):
            origin = ResourceKey(key.type, origins.get(key, ""))
            is_free = claims.get(origin, key.id) == key.id
            if row.status is RowStatus.CREATED and origin in before and row.target_id != origin.id and is_free:
                yield f"law 8: {key} is created as {row.target_id}, though it came from {origin.id}"

    def _allowed(
        self, source: Mapping[ResourceKey, Payload], rows: Mapping[ResourceKey, Row], chosen: set[ResourceKey]
    ) -> set[ResourceKey]:
        """Return what a job may touch on the target: what was selected, and what the rest names by id."""
        sent = {key: carried_over(RESOURCE_TYPES[key.type], source[key]) for key in rows if key in source}

        def is_named(key: ResourceKey) -> bool:
            others = {other: payload for other, payload in sent.items() if other != key}
            return named_by_id(RESOURCE_TYPES, key, source.get(key, {}), others)

        return {key for key in rows if key in chosen or is_named(key)}

    def _laws_1_and_5(
        self,
        pair: tuple[str, str],
        source: Mapping[ResourceKey, Payload],
        before: Mapping[ResourceKey, Payload],
        target: Mapping[ResourceKey, Payload],
        rows: Mapping[ResourceKey, Row],
        allowed: set[ResourceKey],
    ) -> Iterator[str]:
        id_map = self._id_map(pair, source, target, rows)
        names = names_between(RESOURCE_TYPES, source, target, id_map, set().union(*self.ever.values()))
        own = {key.id for key in target} | self.ever[pair[1]]
        gone = [
            one
            for one, other in names.counterparts.items()
            if one != other and one not in own and is_shaped(one) and not one.startswith(f"{pair[0]}:")
        ]
        taken: dict[ResourceKey, ResourceKey] = {}
        for key, row in sorted(rows.items()):
            there = ResourceKey(key.type, row.target_id or "")
            if row.status not in _DONE or row.target_id is None:
                continue
            told = f"{key} ({row.status}) > {row.target_id}"
            if there not in target:
                yield f"law 1: {told} is not there"
                continue
            if taken.setdefault(there, key) != key:
                yield f"law 1: {told} is {taken[there]}'s too"
            is_ours = key in allowed or row.status is RowStatus.CREATED
            if not is_ours or RESOURCE_TYPES[key.type].never_overwrite or key not in source:
                continue
            resource_type, ours, theirs = RESOURCE_TYPES[key.type], source[key], target[there]
            then = self._left_then(pair, key, ours, there, theirs) if row.status is RowStatus.SKIPPED else ()
            found = [
                *differences(resource_type, names, ours, theirs),
                *stale_siblings(resource_type, names, ours, theirs, target),
            ]
            yield from (f"law 1: {told} {one}" for one in found if one not in then)
            # A clone's configs name, by themselves, what the other organisation has too.
            was = json.dumps(before.get(there)) if self.cloned else ""
            left = left_ids(carried_over(resource_type, theirs), gone)
            yield from (f"law 5: {told} names {one}" for one in left if one not in was)

    def _id_map(
        self,
        pair: tuple[str, str],
        source: Mapping[ResourceKey, Payload],
        target: Mapping[ResourceKey, Payload],
        rows: Mapping[ResourceKey, Row],
    ) -> dict[ResourceKey, str]:
        """Return which config of the target each of the source is: by lineage, by its name, and by the job's rows."""
        id_map = {
            ResourceKey(one.type, one.source_id): one.target_id
            for one in self.world.lineage.list_entries(pair[1], pair[0])
            if ResourceKey(one.type, one.source_id) in source and ResourceKey(one.type, one.target_id) in target
        }
        for key in source:
            portable = key.id.replace(f"{pair[0]}:", f"{pair[1]}:")
            if is_portable(RESOURCE_TYPES[key.type]) and ResourceKey(key.type, portable) in target:
                id_map[key] = portable
        for key, row in rows.items():
            id_map.pop(key, None)
            if row.status in _DONE and row.target_id is not None:
                id_map[key] = row.target_id
        return id_map

    def _left_then(
        self, pair: tuple[str, str], key: ResourceKey, ours: Payload, there: ResourceKey, theirs: Payload
    ) -> frozenset[str]:
        """Return how two configs differed when the last sync in the other direction left them, if they are the same.

        What only one had then is its own, and the way back leaves it so. What differs since, because something that
        they name has been made anew, is a fault.
        """
        then = self.settled.get(((pair[1], pair[0]), there))
        resource_type = RESOURCE_TYPES[key.type]
        if (
            then is not None
            and then.target_id == key.id
            and carried_over(resource_type, then.source) == carried_over(resource_type, theirs)
            and carried_over(resource_type, then.target) == carried_over(resource_type, ours)
        ):
            return then.differences
        return frozenset()

    def _sync_again(self, pair: tuple[str, str], selection: list[ResourceKey], rows: Mapping[ResourceKey, Row]) -> None:
        count = self.world.written()
        again = self.world.rows(self._carry_out(pair, selection, {}).id)
        if self.world.written() != count:
            self.laws_broken.append(f"law 2: syncing again wrote {self.world.written() - count} times")
        for key, row in sorted(again.items()):
            failed_before = key in rows and rows[key].status is RowStatus.FAILED
            if row.status is not RowStatus.SKIPPED and not failed_before:
                self.laws_broken.append(f"law 2: {key} is {row.status}, {row.error or row.action}")

    def _sync_under_another_catalogue(self, pair: tuple[str, str], selection: list[ResourceKey]) -> None:
        world, count = self.world, self.world.written()
        world.catalogue = {
            name: replace(one, strip=(*one.strip, FREE_TEXT), sets=(*one.sets, "chosen"))
            for name, one in RESOURCE_TYPES.items()
        }
        again = world.rows(self._carry_out(pair, selection, {}).id)
        if world.written() != count:
            self.laws_broken.append(f"law 10: another catalogue wrote {world.written() - count} times")
        for key, row in sorted(again.items()):
            if row.status is not RowStatus.SKIPPED and row.error is None:
                self.laws_broken.append(f"law 10: {key} is {row.status}, {row.action}")


def _is_fair(row: Row, before: Payload) -> bool:
    """Tell whether a row may end as it did; an API refuses to patch what names, by hand, what is not there."""
    if row.status in _DONE:
        return True
    dead = re.search("'([^']+)', which does not exist", row.error.message) if row.error else None
    if dead is not None and dead[1] in json.dumps(before):
        return True
    return row.status is RowStatus.FAILED and row.error is not None and row.error.code in _FAIR


def _strangers(
    source: Mapping[ResourceKey, Payload], rows: Mapping[ResourceKey, Row], chosen: set[ResourceKey]
) -> Iterator[str]:
    """Yield what a job takes along though nothing that it sends names it."""
    sent = {
        key: json.dumps(ever_sent(RESOURCE_TYPES[key.type], source[key]), ensure_ascii=False)
        for key in rows
        if key in source
    }
    for key in sorted(rows.keys() - chosen):
        names = {key.id, *identifying_values(RESOURCE_TYPES[key.type], source.get(key, {}))}
        if not any(name in text for other, text in sent.items() if other != key for name in names):
            yield f"law 1: {key} is in the job, though nothing that is sent names it"


def _law_7(
    source: Mapping[ResourceKey, Payload],
    before: Mapping[ResourceKey, Payload],
    after: Mapping[ResourceKey, Payload],
    rows: Mapping[ResourceKey, Row],
    allowed: set[ResourceKey],
) -> Iterator[str]:
    """Only what a row is about changes, and only where the row was selected or is named by id."""
    of_target = {ResourceKey(key.type, row.target_id): key for key, row in rows.items() if row.target_id is not None}
    touched = {there for there, key in of_target.items() if key in allowed}
    for there, payload in sorted(before.items()):
        if there not in after:
            yield f"law 7: {there} is gone"
        elif after[there] != payload and there not in touched:
            yield f"law 7: {there} was changed, for {of_target.get(there)}"
    # An integration's maps make environment variables of their own.
    for there in sorted(after.keys() - before.keys() - of_target.keys()):
        if there.type != "environment_variable":
            yield f"law 1: {there} was made for no row"


def _removals(
    source: Mapping[ResourceKey, Payload],
    before: Mapping[ResourceKey, Payload],
    after: Mapping[ResourceKey, Payload],
    rows: Mapping[ResourceKey, Row],
    synced: Mapping[ResourceKey, tuple[str, Payload, Payload]],
) -> Iterator[str]:
    for key, (target_id, base, left) in sorted(synced.items()):
        row, there = rows.get(key), ResourceKey(key.type, target_id)
        if row is None or row.status not in _DONE or row.target_id != target_id or there not in before:
            continue
        for kept in kept_though_dropped(RESOURCE_TYPES[key.type], base, source[key], left, before[there], after[there]):
            yield f"law 1: {key} ({row.status}) > {target_id} {kept}"


def _summary(rows: Any) -> str:
    told = []
    for row in sorted(rows, key=lambda row: row.key):
        target, error = f" as {row.target_id}" if row.target_id else "", f" ({row.error})" if row.error else ""
        told.append(f"{row.key} {row.status}{target}{error}")
    return "; ".join(told)


def _values(value: Any) -> Iterator[Any]:
    yield value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        yield from _values(part)


def run_history(seed: int, language: frozenset[str] = LANGUAGE) -> None:
    """Live through the history of a seed. Raises BrokenLawError."""
    History(seed, language).run()
