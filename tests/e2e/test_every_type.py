"""Every type is created, left alone, patched and matched on the running stack, in as few requests as it takes.

A platform gives every organisation some configs of its own; the target here has those and nothing else.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

import pytest

from sandbox.control import SandboxControl
from sandbox.equality import differences
from sandbox.hub_client import HubClient, Json
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.identifiers import identifying_fields
from shared.domain.paths import find_value
from shared.domain.resource_type import Identity, ResourceKey, ResourceType
from shared.domain.system_managed import find_system_managed
from tests.e2e.test_sync_corners import JOBS, load, secret_values

#: List operation -> how often it is asked to list all types that it lists, of which each has one page here.
LISTS: Counter[str] = Counter()
for _entry in RESOURCE_TYPES.values():
    if _entry.list:
        LISTS[_entry.list.operation_id] += max(1, len(_entry.list.variants))
NAMED_BY = identifying_fields(RESOURCE_TYPES)
GETS = {entry.get.operation_id for entry in RESOURCE_TYPES.values() if entry.get}


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that has ended: its rows, and the requests that each organisation's APIs were asked meanwhile."""

    job: Json
    rows: list[Json]
    read: list[Json]
    written: list[Json]

    def by_type(self, status: str) -> set[str]:
        """Return the types of which a row has a status."""
        return {row["type"] for row in self.rows if row["status"] == status}

    def writes(self) -> Counter[str]:
        """Return how often each config of the target was written, as `type:id`."""
        return Counter(entry["wrote"] for entry in self.written if entry["wrote"])


@dataclass(frozen=True, slots=True)
class Story:
    """A target, and what jobs of two like sources did to it, one after the other."""

    target_id: str
    created: Ended
    again: Ended
    planned: Ended
    matched: Ended
    patched: Ended
    edited: set[ResourceKey]
    after_edits: dict[ResourceKey, Json]


@pytest.fixture(scope="module")
def story(stack: Json, control: SandboxControl) -> Story:
    source_id, twin_id, target_id, other_id = (control.make_organisation() for _ in range(4))
    selection = control.seed(source_id, other_id, seed=31)["clean"]
    twins = control.seed(twin_id, control.make_organisation(), seed=31)["clean"]
    load(control, target_id, list(given_by_the_platform(control, other_id, target_id)))
    tokens = {org_id: control.make_token(org_id) for org_id in (source_id, twin_id, target_id)}

    def run(org_id: str, resources: list[Json], **changes: Any) -> Ended:
        hub = HubClient(stack["api_url"], tokens[org_id])
        body = {"source_org_id": org_id, "target_org_id": target_id, "target_auth_token": tokens[target_id]}
        since = time.time()
        job = hub.run_job(hub.post(JOBS, {**body, "resources": resources, **changes})["id"])
        assert job["status"] == "succeeded", job["errors_sample"]
        rows = list(hub.pages(f"{JOBS}/{job['id']}/resources", size=100))
        # The rebuild of the target's index behind the job is not counted.
        until = datetime.fromisoformat(job["finished_at"]).timestamp()
        asked = ([one for one in control.requests(side, since) if one["at"] < until] for side in (org_id, target_id))
        return Ended(job, rows, *asked)

    created = run(source_id, selection)
    again = run(source_id, selection)
    planned, matched = run(twin_id, twins, dry_run=True), run(twin_id, twins)
    edits = list(edited(control.dump(RESOURCE_TYPES, source_id), created.rows))
    load(control, source_id, edits)
    keys = {ResourceKey(kind, row_id(kind, payload)) for kind, payload in edits}
    patched = run(source_id, [*selection, *({"type": key.type, "id": key.id} for key in keys)])
    after = control.dump(RESOURCE_TYPES, source_id)
    return Story(target_id, created, again, planned, matched, patched, keys, after)


def given_by_the_platform(control: SandboxControl, org_id: str, heir_id: str) -> Iterable[tuple[str, Json]]:
    """Yield the system-managed configs of a seeded organisation as another one has them."""
    for key, payload in control.dump(RESOURCE_TYPES, org_id).items():
        if find_system_managed(RESOURCE_TYPES[key.type], payload, org_id):
            yield key.type, json.loads(json.dumps(payload).replace(org_id, heir_id))


def row_id(kind: str, payload: Json) -> str:
    return str(find_value(payload, RESOURCE_TYPES[kind].fields.id))


def edited(payloads: dict[ResourceKey, Json], rows: list[Json]) -> Iterable[tuple[str, Json]]:
    """Yield one changed config of every type of which a row was created."""
    # Ids are new each time; titles are the same for the same seed.
    by_title = sorted(rows, key=lambda row: str(row.get("title")))
    wanted = {row["type"]: row["source_id"] for row in by_title if row["status"] == "created"}
    for key, payload in payloads.items():
        if wanted.get(key.type) == row_id(key.type, payload):
            changed = deepcopy(payload)
            change(key.type, changed)
            yield key.type, changed


def change(kind: str, payload: Json) -> None:
    """Change something that a job sends: a tag where there are tags, else a name or a value."""
    match kind:
        case "app":
            payload["option_values"][0]["options"][0]["value"] = "Leipzig"
        case "entity_mapping":
            payload["targets"][0]["name"] = "Neu"
        case "environment_variable":
            payload["value"] = "neu"
        case _ if isinstance(payload.get("_tags"), list):
            payload["_tags"].append("neu")
        case _:
            titles = RESOURCE_TYPES[kind].fields.title
            payload[next(one for one in titles if isinstance(payload.get(one), str))] += " (neu)"


def missing_from(types: set[str], because: Callable[[ResourceType], object]) -> tuple[set[str], set[str]]:
    """Return what is not among some types, and what must not be, as the entries say."""
    return set(RESOURCE_TYPES) - types, {name for name, entry in RESOURCE_TYPES.items() if because(entry)}


def test_every_type_is_created_or_its_entry_says_why_not(story: Story) -> None:
    absent, declared = missing_from(story.created.by_type("created"), lambda entry: entry.skip_sync)
    print(f"\ncreated: {Counter(row['type'] for row in story.created.rows if row['status'] == 'created')}")
    assert absent == declared


def test_every_type_is_skipped_when_nothing_has_changed(story: Story) -> None:
    assert story.again.by_type("skipped") == set(RESOURCE_TYPES)
    assert {row["status"] for row in story.again.rows} == {"skipped"}
    assert story.again.writes() == {}


def test_every_type_is_patched_or_its_entry_says_why_not(story: Story) -> None:
    def never(entry: ResourceType) -> object:
        return entry.skip_sync or entry.never_overwrite or entry.update is None

    absent, declared = missing_from(story.patched.by_type("patched"), never)
    assert absent == declared
    patched = {
        ResourceKey(row["type"], row["source_id"]): row["target_id"]
        for row in story.patched.rows
        if row["status"] == "patched"
    }
    assert patched.keys() >= {key for key in story.edited if not never(RESOURCE_TYPES[key.type])}
    # What the twin's job wrote is a hand edit to this one; what names a version, or a file's address, follows it.
    by_the_twin = {row["target_id"] for row in story.matched.rows if row["status"] == "patched"}
    beside = {key for key, target_id in patched.items() if key not in story.edited and target_id not in by_the_twin}
    assert all(follows_derived_values(RESOURCE_TYPES[key.type]) for key in beside), beside


def follows_derived_values(entry: ResourceType) -> bool:
    named = (kind for one in entry.references for kind in one.to)
    return any(RESOURCE_TYPES[kind].derived_fields for kind in named if kind in RESOURCE_TYPES)


def test_every_type_is_matched_by_its_natural_key_or_by_an_id_that_is_the_same_everywhere(story: Story) -> None:
    by_id = set(RESOURCE_TYPES) - story.planned.by_type("would_match_heuristic")
    strong = {name for name, entry in RESOURCE_TYPES.items() if entry.natural_key and entry.natural_key.strong}
    assert by_id <= strong | {name for name, entry in RESOURCE_TYPES.items() if entry.skip_sync}
    # In the run: whatever the key, the twin's configs are those that the first source's job made or met.
    assert {row["status"] for row in story.matched.rows} == {"skipped", "patched"}
    twins = Counter((row["type"], row["target_id"]) for row in story.matched.rows if "target_id" in row)
    assert twins == Counter((row["type"], row["target_id"]) for row in story.created.rows if "target_id" in row)


def test_the_target_equals_the_source_in_every_type(story: Story, control: SandboxControl) -> None:
    target = control.dump(RESOURCE_TYPES, story.target_id)
    mapped = [row for row in story.created.rows if row.get("target_id")]
    ids = {ResourceKey(row["type"], row["source_id"]): row["target_id"] for row in mapped}
    gone = [row["source_id"] for row in story.created.rows if not row.get("target_id")]
    wrote = [row for row in (*story.created.rows, *story.patched.rows) if row["status"] in ("created", "patched")]
    written = {ResourceKey(row["type"], row["source_id"]) for row in wrote}
    written -= {key for key in story.edited if RESOURCE_TYPES[key.type].never_overwrite}
    assert [str(one) for one in differences(RESOURCE_TYPES, story.after_edits, target, ids, written, gone)] == []
    assert secret_values(story.after_edits)
    assert secret_values(target) & secret_values(story.after_edits) == set()


def written_name(row: Json) -> str:
    """Return how the sandbox calls a row's target: document templates are files there."""
    return f"{'file' if RESOURCE_TYPES[row['type']].bytes_field else row['type']}:{row['target_id']}"


def test_a_config_is_written_as_often_as_it_has_to_be(story: Story) -> None:
    """Once; twice with a reference that had to wait; three times where it also is switched on last."""
    writes = story.created.writes()
    created = {written_name(row) for row in story.created.rows if row["status"] == "created"}
    print(f"\n{len(created)} created, by number of writes: {dict(sorted(Counter(writes.values()).items()))}")
    assert writes.keys() ^ created == set()
    assert max(writes.values()) <= 3
    waiting = {name.partition(":")[0] for name, number in writes.items() if number > 1}
    assert all(any(one.deferrable or one.siblings for one in RESOURCE_TYPES[kind].references) for kind in waiting)
    switched = {name.partition(":")[0] for name, number in writes.items() if number == 3}
    assert all((flag := RESOURCE_TYPES[kind].active) and flag.settable for kind in switched)
    assert set(story.patched.writes().values()) == {1}


def test_reads_are_one_list_a_page_and_one_get_of_what_a_list_does_not_carry_whole(story: Story) -> None:
    reads = Counter(entry["operation"] for entry in story.created.read)
    print(f"\nsource: {reads.total()} reads for {len(story.created.rows)} rows: {dict(reads.most_common())}")
    gets = Counter(entry["path"] for entry in story.created.read if entry["operation"] in GETS)
    assert set(gets.values()) == {1}
    assert {name: number for name, number in reads.items() if number > LISTS[name] and name in LISTS} == {}
    # Nothing else is read but the bytes of files.
    assert reads.keys() - GETS - LISTS.keys() == {"downloadFile"}


def test_the_target_is_read_before_a_config_is_replaced_and_once_to_verify_it(story: Story) -> None:
    paths = Counter(unquote(entry["path"]) for entry in story.created.written if entry["operation"] in GETS)
    writes = story.created.writes()
    print(f"\ntarget: {paths.total()} gets for {len(writes)} written configs")
    for row in story.created.rows:
        if row["status"] != "created":
            continue
        entry = RESOURCE_TYPES[row["type"]]
        asked = sum(number for path, number in paths.items() if path.endswith(f"/{row['target_id']}"))
        # Later writes read what the target manages itself; an id that is known beforehand is asked for where no list
        # shows it; fields by which others name the config are read back where the answer to the write lacks them.
        later = writes[written_name(row)] - 1
        known = entry.identity is not Identity.SERVER
        named = bool(entry.derived_fields or NAMED_BY[entry.name])
        assert 1 <= asked <= later + 1 + named + known, row
    lists = Counter(entry["operation"] for entry in story.created.written if entry["operation"] in LISTS)
    owners = Counter(name for entry in RESOURCE_TYPES.values() for name in entry.collected_from)
    for kind, number in owners.items():
        lists[RESOURCE_TYPES[kind].list.operation_id] -= number
    assert {name: number for name, number in lists.items() if number > LISTS[name]} == {}
