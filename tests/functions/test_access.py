"""Nobody reaches what is another organisation's or another user's, whatever an operation lets a request name.

Every operation of docs/openapi.json is called with everything that it takes: ids, cursors, keys, tokens and pairs of an
organisation whose member the caller is not, or of a colleague. Each attempt is made a second time with values that
nobody has: the answers must be the same, so that none tells whether something exists.
"""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from functions.index.build_index import handler as build_index
from shared.bootstrap import sync_api
from shared.bootstrap.delete_jobs import delete_jobs
from shared.bootstrap.sync_jobs import sync_jobs
from shared.domain.job import JobKind, JobStatus
from shared.domain.resource_type import ResourceKey
from shared.domain.row import Phase, Row, RowStatus
from shared.use_cases.jobs.closure import Closure
from shared.use_cases.jobs.payloads import source_key
from tests.fakes.sandbox_api import store_unchecked
from tests.functions.whole_api import Operation, WholeApi, forged_tokens, operations, token_of

Fields = Mapping[str, Any]
#: What is tried, the change of a request, and the same change with what nobody has.
Change = tuple[str, Fields, Fields]

THEIRS, MINE, OTHER, THIRD = "org-theirs", "org-mine", "org-other", "org-third"
NOBODYS = "org-nobody"
#: Stands in whatever the victim's configs and jobs are called.
MARK = "Hushed"
OWNER, COLLEAGUE, STRANGER = token_of(THEIRS, "owner"), token_of(THEIRS, "colleague"), token_of(MINE, "stranger")
#: The organisation that the victim's jobs write to.
PARTNER = token_of(OTHER, "partner")

#: What a request may hold that names nothing of anybody's. All else must be in `World.foreign`.
HARMLESS = {"type", "size", "status", "name", "q", "sort", "match", "activation", "dry_run", "include_dependencies"}
HARMLESS |= {"include_dependency_only", "active_only", "updated_after", "updated_before", "purposes", "blueprint_ids"}
#: Headers by which the APIs behind the hub are told to answer for another organisation.
OVERRIDES = ("x-epilot-org-id", "x-ivy-org-id")


def _id(number: int) -> str:
    return str(uuid.UUID(int=0x5EC2_0000_4000_8000_0000_0000_0000 + number))


THEIR_JOURNEYS, THEIR_DESIGNS, THEIR_SOURCE = (_id(1), _id(2)), (_id(3), _id(4)), _id(5)
MY_JOURNEY, MY_SOURCE = _id(11), _id(12)
MISSING = _id(99)
KEY = "their-key"


@dataclass(frozen=True)
class Attempt:
    """One request that must lead nowhere.

    Attributes:
        fields: of the request, foreign values among them.
        twin: the same with values that nobody has; None where there is no such request.
        private: only some of the organisation may do it, the caller not among them: it is refused.
    """

    operation: Operation
    token: str | None
    fields: Fields
    twin: Fields | None
    what: str
    headers: Mapping[str, str] = field(default_factory=dict)
    private: bool = False

    def __str__(self) -> str:
        return f"{self.operation.id}: {self.what}"


class World:
    """An organisation with all that an operation can name, and what others send to get at it."""

    def __init__(self, api: WholeApi, context: Any) -> None:
        self.api = api
        for org_id, journeys, designs in ((THEIRS, THEIR_JOURNEYS, THEIR_DESIGNS), (MINE, (MY_JOURNEY,), ())):
            name = MARK if org_id == THEIRS else "Mine"
            for design in designs:
                store_unchecked(api.store, org_id, "designbuilder", {"id": design, "style_name": name})
            for journey in journeys:
                named = {"designId": designs[0], "text": designs[1]} if designs else {}
                payload = {"journeyId": journey, "name": f"{name} {journey}", "settings": named, "steps": []}
                store_unchecked(api.store, org_id, "journey", payload)
        role = {"id": f"{THEIRS}:reader", "slug": "reader", "name": "Reader", "type": "user_role"}
        grants = [{"action": f"{word}:view"} for word in ("journey", "entity", "role")]
        api.store.load(THEIRS, "role", {**role, "organization_id": THEIRS, "grants": grants})
        api.store.load(THEIRS, "_assignment", {"user_id": "colleague", "roles": [role["id"]]})
        self._build_index(context)
        self.jobs = {kind: self._ended_job(kind) for kind in JobKind}
        self.running = self._owner("createSyncJob", self._sync_request())["id"]
        pair = {"type": "journey", "source_org_id": THIRD, "source_id": THEIR_SOURCE, "target_id": THEIR_JOURNEYS[0]}
        self._owner("confirmLineage", pair)
        self.cursors = {one.id: self._cursor(one) for one in operations().values() if "cursor" in one.fields}

    def _owner(self, operation_id: str, fields: Fields) -> Any:
        status, body = self.api.call(operations()[operation_id], OWNER, fields)
        assert status < 300, (operation_id, status, body)
        return body

    def _build_index(self, context: Any) -> None:
        self._owner("rebuildIndex", {})
        context.remaining_ms = 900_000
        assert build_index.lambda_handler(self.api.invoked.pop(), context)["status"] == "done"

    @staticmethod
    def _sync_request() -> dict[str, Any]:
        return {
            "source_org_id": THEIRS,
            "target_org_id": OTHER,
            "target_auth_token": PARTNER,
            "name": MARK,
            "resources": [{"type": "journey", "id": one} for one in THEIR_JOURNEYS],
        }

    def _ended_job(self, kind: JobKind) -> str:
        """Make two jobs, close both with failed rows, and return the second, which has an idempotency key."""
        jobs = delete_jobs() if kind is JobKind.DELETE else sync_jobs()
        operation = f"create{kind.capitalize()}Job"
        request = self._sync_request()
        if kind is JobKind.DELETE:
            request = {"name": MARK, "resources": request["resources"]}
        for key in ({}, {"Idempotency-Key": KEY}):
            job_id: str = self._owner(operation, request | key)["id"]
            job = jobs.start_job(THEIRS, job_id, "execution")
            rows = [
                Row(
                    key=ResourceKey("journey", one),
                    title=f"{MARK} {one}",
                    status=RowStatus.FAILED,
                    phase=Phase.CREATE,
                    action="create",
                    batch=1,
                )
                for one in THEIR_JOURNEYS
            ]
            jobs.put_rows(job, rows)
            closure = Closure(selected={row.key for row in rows}, by_id={row.key for row in rows})
            sync_api._outside()[0].put(source_key(THEIRS, job_id, "closure"), closure.to_json())
            counts = {"1": {"failed": len(rows)}}
            jobs.mark_planned(job, total=len(rows), stages=[[1]], batches={}, counts=counts, next_seq=0)
            jobs.finish_job(job, JobStatus.FAILED, "2026-03-01T08:00:00.000Z", [], {"failed": len(rows)})
            jobs.release_slot(job)
        return job_id

    def _cursor(self, operation: Operation) -> str:
        fields = self.own_request(operation) | {"size": 1}
        return str(self._owner(operation.id, fields)["next_cursor"])

    def own_request(self, operation: Operation) -> dict[str, Any]:
        """Return the owner's own request."""
        return {name: self.named(operation, name) for name in (*operation.required, *({"name"} & {*operation.fields}))}

    def named(self, operation: Operation, name: str) -> Any:
        """Return what a field of the owner's own request holds."""
        named = {
            "type": "designbuilder" if operation.id == "getConfigUsedBy" else "journey",
            "id": self.their_id(operation),
            "cursor": getattr(self, "cursors", {}).get(operation.id),
            "Idempotency-Key": KEY,
            "source_id": THEIR_SOURCE,
            "source_ids": [THEIR_SOURCE],
            "target_id": THEIR_JOURNEYS[0],
            "source_auth_token": PARTNER,
            **self._sync_request(),
        }
        if operation.id in ("confirmLineage", "breakLineage"):
            named["source_org_id"] = THIRD
        elif operation.id != "createSyncJob":
            named["source_org_id"] = OTHER
        return named[name]

    def their_id(self, operation: Operation) -> str:
        if operation.id == "getConfigUsedBy":
            return THEIR_DESIGNS[0]
        if operation.id == "getConfigDependencies":
            return THEIR_JOURNEYS[0]
        if operation.id == "cancelSyncJob":
            return self.running
        return self.jobs[JobKind.DELETE if "DeleteJob" in operation.id else JobKind.SYNC]

    # Attempts

    def attempts(self, operation: Operation) -> Iterator[Attempt]:
        """Yield everything that can be tried with an operation."""
        for kind, token in {"nobody": None, **forged_tokens(THEIRS, "owner")}.items():
            yield Attempt(operation, token, self._request(operation, MINE), None, f"as the owner by a token: {kind}")
        for who, token, org_id in (("a stranger", STRANGER, MINE), ("the partner", PARTNER, OTHER)):
            base = self._request(operation, org_id)
            for header in OVERRIDES:
                what = f"as {who} with {header}"
                yield Attempt(operation, token, base, base, what, {header: THEIRS})
            for name in operation.fields:
                for label, change, twin in self.foreign(operation, name, org_id):
                    yield Attempt(operation, token, base | change, base | twin, f"as {who} with their {label}")
        if operation.method != "GET":
            yield from self._of_a_colleague(operation)

    def _request(self, operation: Operation, org_id: str) -> dict[str, Any]:
        """Return a request about the caller's own things."""
        own = {
            "type": "journey",
            "id": MISSING,
            "source_id": MY_SOURCE,
            "source_ids": [MY_SOURCE],
            "target_id": MY_JOURNEY,
            "source_org_id": org_id if operation.id == "createSyncJob" else OTHER if org_id == MINE else MINE,
            "target_org_id": OTHER if org_id == MINE else MINE,
            "source_auth_token": PARTNER if org_id == MINE else STRANGER,
            "target_auth_token": PARTNER if org_id == MINE else STRANGER,
            "resources": [{"type": "journey", "id": MY_JOURNEY}],
        }
        return {name: own[name] for name in operation.required}

    def foreign(self, operation: Operation, name: str, org_id: str) -> Iterator[Change]:
        """Yield what a field can be given of the victim's: a label, the change, and the same with what nobody has."""
        if name in HARMLESS:
            return
        assert name in _FOREIGN, f"Say what of others' {name} of {operation.id} can be, or that it is harmless."
        yield from _FOREIGN[name](self, operation, name, org_id)

    def _ids(self, operation: Operation, _name: str, _org_id: str) -> Iterator[Change]:
        ids = [self.their_id(operation), *self.jobs.values(), self.running, *THEIR_JOURNEYS, *THEIR_DESIGNS]
        for one in dict.fromkeys(ids):
            for kind in ("journey", "designbuilder") if "type" in operation.fields else ("",):
                typed = {"type": kind} if kind else {}
                yield f"{kind} {one}", typed | {"id": one}, typed | {"id": MISSING}

    def _cursors(self, operation: Operation, _name: str, _org_id: str) -> Iterator[Change]:
        for source, cursor in self.cursors.items():
            yield f"cursor of {source}", {"cursor": cursor}, {"cursor": cursor[::-1]}
            if "id" in operation.fields:
                ours = {"id": self.their_id(operation), "cursor": cursor}
                yield f"id and cursor of {source}", ours, {"id": MISSING, "cursor": cursor}

    def _keys(self, _operation: Operation, name: str, _org_id: str) -> Iterator[Change]:
        yield "key", {name: KEY}, {name: "nobodys-key"}

    def _configs(self, _operation: Operation, name: str, _org_id: str) -> Iterator[Change]:
        for one in (THEIR_SOURCE, *THEIR_JOURNEYS):
            for other in (THEIRS, THIRD):
                named = {"source_org_id": other}
                yield f"{name} {one} of {other}", {name: one, **named}, {name: MISSING, **named}

    def _selections(self, _operation: Operation, name: str, _org_id: str) -> Iterator[Change]:
        def selected(*ids: str) -> Fields:
            return {name: [*ids] if name == "source_ids" else [{"type": "journey", "id": one} for one in ids]}

        yield name, selected(*THEIR_JOURNEYS), selected(MISSING)

    def _overrides(self, operation: Operation, name: str, _org_id: str) -> Iterator[Change]:
        overrides = {name: {f"journey:{THEIR_JOURNEYS[0]}": {"name": "Taken"}}}
        yield "rows to override", {"id": self.their_id(operation)} | overrides, overrides

    def _organisations(self, operation: Operation, name: str, org_id: str) -> Iterator[Change]:
        field_name = f"{name.partition('_')[0]}_auth_token"
        for kind, token in _tokens(org_id).items() if field_name in operation.fields else [("none", "")]:
            brought = {field_name: token} if token else {}
            yield f"{name}, token: {kind}", brought | {name: THEIRS}, brought | {name: NOBODYS}

    def _job_tokens(self, operation: Operation, name: str, org_id: str) -> Iterator[Change]:
        # Elsewhere a token goes with the organisation that the request states.
        for kind, token in _tokens(org_id).items() if "id" in operation.fields else ():
            yield f"job, {name}: {kind}", {"id": self.their_id(operation), name: token}, {name: token}

    def _of_a_colleague(self, operation: Operation) -> Iterator[Attempt]:
        """Yield what a member of the organisation tries with a colleague's things, without the right to it."""
        base = self.own_request(operation)
        changes: dict[str, Fields] = {}
        if operation.id == "retrySyncJob":
            changes["token, kept"] = {}
            changes["token, kept, with overrides"] = {"payload_overrides": {f"journey:{THEIR_JOURNEYS[0]}": {"a": 1}}}
            for kind, token in {"the own": COLLEAGUE, **forged_tokens(OTHER, "partner")}.items():
                changes[f"job with a token: {kind}"] = {"target_auth_token": token}
        elif operation.id in ("cancelSyncJob", "confirmLineage"):
            changes[f"{operation.id}"] = {}
        elif operation.id == "breakLineage":
            changes |= {"pair": {}, "pair, by organisation": {"source_org_id": THIRD}}
        if operation.id == "confirmLineage":
            changes["other config"] = {"source_id": MISSING, "target_id": THEIR_JOURNEYS[1]}
        if "Idempotency-Key" in operation.fields:
            changes["key"] = {"Idempotency-Key": KEY}
            changes["key, for another request"] = {"Idempotency-Key": KEY, "name": "Other"}
        for label, change in changes.items():
            what = f"as a colleague with the {label}"
            yield Attempt(operation, COLLEAGUE, base | change, None, what, private=True)


_FOREIGN: Mapping[str, Callable[[World, Operation, str, str], Iterator[Change]]] = {
    "id": World._ids,
    "cursor": World._cursors,
    "Idempotency-Key": World._keys,
    "source_id": World._configs,
    "target_id": World._configs,
    "source_ids": World._selections,
    "resources": World._selections,
    "payload_overrides": World._overrides,
    "source_org_id": World._organisations,
    "target_org_id": World._organisations,
    "source_auth_token": World._job_tokens,
    "target_auth_token": World._job_tokens,
}


def _tokens(org_id: str) -> Mapping[str, str]:
    """Return tokens that do not speak for the victim: the caller's own and forged ones."""
    return {"my own": token_of(org_id, "somebody"), **forged_tokens(THEIRS, "owner")}


def _scanned(api: WholeApi, world: World) -> dict[str, str]:
    """Return all that is kept of the victim, and what was begun with it."""
    client = boto3.client("dynamodb")
    owned = (THEIRS, world.running, *world.jobs.values())
    kept = {
        f"{table} {item['pk']['S']} {item['sk']['S']}": json.dumps(item, sort_keys=True, default=repr)
        for table in client.list_tables()["TableNames"]
        for page in client.get_paginator("scan").paginate(TableName=table)
        for item in page["Items"]
        if any(one in item["pk"]["S"] for one in owned) and not item["pk"]["S"].startswith("BUDGET#")
    }
    begun = [one for one in (*api.started, *api.invoked) if one["org_id"] == THEIRS]
    return {**kept, "begun": json.dumps(begun), "downstream": json.dumps(api.store.dump(THEIRS))}


def _blurred(value: Any, *named: Fields) -> str:
    """Return an answer without the values that the request named, and without what is new each time."""
    text = json.dumps(value, sort_keys=True)
    for fields in named:
        for given in fields.values():
            for one in given if isinstance(given, list) else [given]:
                shown = one.get("id") if isinstance(one, dict) else one
                if isinstance(shown, str):
                    text = text.replace(json.dumps(shown)[1:-1], "…")
    return text


def _undo(api: WholeApi, operation: Operation, token: str | None, status: int, body: Any) -> None:
    """Take back what a caller did to the own organisation: places for jobs are few, and a config has one pair."""
    if status != 201:
        return
    if operation.id == "confirmLineage":
        pair = {name: body[name] for name in ("type", "source_id", "source_org_id")}
        assert api.call(operations()["breakLineage"], token, pair)[0] == 200
        return
    jobs = delete_jobs() if "Delete" in operation.id else sync_jobs()
    job = jobs.get_job(MINE if token == STRANGER else OTHER, body["id"])
    jobs.finish_job(job, JobStatus.FAILED, "2026-03-01T08:00:00.000Z", [], {})
    jobs.release_slot(job)


def _try(world: World, attempt: Attempt) -> list[str]:
    """Make an attempt and return what it led to that it must not."""
    faults = []
    call, token = attempt.operation, attempt.token
    status, body = world.api.call(call, token, attempt.fields, attempt.headers)
    if not attempt.private:
        _undo(world.api, call, token, status, body)
    if MARK in json.dumps(body) and MARK not in json.dumps(dict(attempt.fields)):
        faults.append("shows what is theirs")
    if status >= 500 or (status == 429 and attempt.twin is not None):
        faults.append(f"answers {status}: {body}")
    if (attempt.private and status not in (403, 409)) or (
        token not in (STRANGER, PARTNER, COLLEAGUE) and status != 401
    ):
        faults.append(f"answers {status}")
    if attempt.twin is not None:
        other, beside = world.api.call(call, token, attempt.twin)
        _undo(world.api, call, token, other, beside)
        same = status == other and (
            status < 300 or _blurred(body, attempt.fields) == _blurred(beside, attempt.fields, attempt.twin)
        )
        if not same:
            faults.append(f"tells that it exists: {status} {body}, but {other} {beside}")
    if world.api.mixed:
        faults.append(f"opens {world.api.mixed.pop()}")
    return faults


@pytest.fixture
def world(monkeypatch: Any, lambda_context: Any, storage: Any) -> World:
    return World(WholeApi(monkeypatch, lambda_context), lambda_context)


def test_no_attempt_on_what_is_anothers_succeeds_or_tells_whether_it_exists(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    found, made = [], Counter[str]()
    before = _scanned(world.api, world)
    for operation in operations().values():
        for attempt in world.attempts(operation):
            made[operation.id] += 1
            found += [f"{attempt}: {fault}" for fault in _try(world, attempt)]
        after = _scanned(world.api, world)
        changed = [name for name in before.keys() | after if before.get(name) != after.get(name)]
        found += [f"{operation.id} changed {name}" for name in changed]
        before = after
    by_kind = f"{made.total()} attempts over {len(made)} operations: {len(found)} succeed or tell whether it exists"
    with capsys.disabled():
        print(f"\n{by_kind}")
    assert found == []
    assert made.keys() == operations().keys()
    assert made.total() > 100
    assert min(made.values()) >= 7


def test_the_owner_reaches_with_the_same_values_what_nobody_else_does(world: World) -> None:
    last = ("retrySyncJob", "cancelSyncJob", "breakLineage")
    for operation in sorted(operations().values(), key=lambda one: last.index(one.id) if one.id in last else -1):
        also = {"cursor", "Idempotency-Key"} & operation.fields.keys()
        fields = world.own_request(operation) | {name: world.named(operation, name) for name in also}
        if "cursor" in fields:
            fields["size"] = 1
        status, body = world.api.call(operation, OWNER, fields)
        assert status < 300, (operation.id, status, body)
    assert world.api.mixed == []
