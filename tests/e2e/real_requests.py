"""Puts what an organisation really has into random requests, so that most of them are let in."""

from __future__ import annotations

import copy
import zlib
from collections import Counter, deque
from random import Random
from typing import Any

import schemathesis
from schemathesis import GenerationMode

from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.matching import Pair as Organisations
from shared.domain.matching import portable_id
from tests.e2e.conftest import Pair

#: Operations that start jobs.
STARTING = frozenset({"createSyncJob", "retrySyncJob", "createDeleteJob"})
# As many jobs run into an organisation at the same time.
_RUNNING_AT_MOST = 3
_RESOURCES_AT_MOST = 5
# One request of so many stays as it was drawn.
_AS_DRAWN = 8
_COUNTERPARTS = ("compareConfigs", "suggestMatches", "confirmLineage")


class RealRequests:
    """Changes requests of a caller in the source of a pair.

    Args:
        pair: two indexed organisations that nobody else uses.
        starts_at_most: how many jobs each operation may start.

    Attributes:
        started: accepted starts by operation.
    """

    def __init__(self, pair: Pair, starts_at_most: int) -> None:
        self._pair = pair
        self._starts_at_most = starts_at_most
        self._own = {name: self._ids(pair.source, name) for name in RESOURCE_TYPES}
        self._other = {name: self._ids(pair.target, name) for name in RESOURCE_TYPES}
        self._with_natural_key = [
            name for name, entry in RESOURCE_TYPES.items() if entry.natural_key and self._other[name]
        ]
        # What is deleted stays out of all other requests; deleting it again is as good.
        self._doomed = [{"type": name, "id": self._own[name].pop()} for name in ("price", "tax", "file", "webhook")]
        self._pairs: list[dict[str, str]] = []
        self._cursors: dict[str, list[str]] = {}
        self._accepted: dict[str, list[tuple[Any, str]]] = {}
        self._running: dict[str, deque[str]] = {"sync": deque(), "delete": deque()}
        self.started: Counter[str] = Counter()
        self._unresolved = [
            pair.source.post("/v1/configs/sync-jobs", pair.request(name, dry_run=True))["id"]
            for name in ("dangling", "ambiguous")
        ]
        self._scope: dict[str, list[str]] = {}
        for job_id in self._unresolved:
            assert pair.source.run_job(job_id)["status"] == "partial"
            rows = pair.source.pages(f"/v1/configs/sync-jobs/{job_id}/resources", size=100, status="failed")
            self._scope[job_id] = [f"{row['type']}:{row['source_id']}" for row in rows]
        self._jobs: dict[str, list[str]] = {"sync": list(self._unresolved), "delete": []}

    @staticmethod
    def _ids(hub: Any, type_name: str) -> list[str]:
        return [one["id"] for one in hub.pages(f"/v1/configs/{type_name}", size=100)]

    def fill(self, name: str, case: schemathesis.Case) -> None:
        """Change a request of an operation; what breaks its declaration keeps everything but the organisations."""
        draw = Random(zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode(errors="replace")))
        if draw.randrange(_AS_DRAWN):
            if isinstance(case.body, dict):
                self._fill_organisations(name, case.body)
            if case.meta is None or case.meta.generation.mode is GenerationMode.POSITIVE:
                self._fill_path(name, case, draw)
                self._fill_query(name, case, draw)
                if isinstance(case.body, dict):
                    self._fill_body(name, case, draw)
        if name in STARTING:
            self._bound(name, case, draw)

    def may_start(self, name: str) -> bool:
        """Tell whether an operation may start another job; if not, its requests repeat others or name no job."""
        return self.started[name] < self._starts_at_most

    def note(self, name: str, case: schemathesis.Case, answer: Any) -> None:
        """Remember what was accepted."""
        if name in STARTING and answer.status_code == 201:
            kind = "delete" if name == "createDeleteJob" else "sync"
            job_id = answer.json()["id"]
            if job_id not in self._jobs[kind]:
                self.started[name] += 1
                self._jobs[kind].append(job_id)
                self._running[kind].append(job_id)
                if key := (case.headers or {}).get("Idempotency-Key"):
                    self._accepted.setdefault(name, []).append((copy.deepcopy(case.body), key))
        if name == "confirmLineage" and answer.status_code == 201:
            entry = answer.json()
            self._pairs.append({field: entry[field] for field in ("type", "source_id", "source_org_id")})
        if answer.status_code == 200 and (cursor := answer.json().get("next_cursor")):
            self._cursors.setdefault(name, []).append(cursor)

    def _fill_organisations(self, name: str, body: dict[str, Any]) -> None:
        pair = self._pair
        valid = {
            "source_org_id": pair.source_id,
            "target_org_id": pair.target_id,
            "target_auth_token": pair.target_token,
            "source_auth_token": pair.source_token,
        }
        if name in _COUNTERPARTS:
            valid |= {"source_org_id": pair.target_id, "source_auth_token": pair.target_token}
        body.update({field: value for field, value in valid.items() if isinstance(body.get(field), str)})

    def _fill_path(self, name: str, case: schemathesis.Case, draw: Random) -> None:
        path = case.path_parameters or {}
        if "id" not in path:
            return
        if "type" in path:
            named = [one for one, ids in self._own.items() if ids]
            if not self._own.get(path["type"]):
                path["type"] = draw.choice(named)
            path["id"] = draw.choice(self._own[path["type"]])
        else:
            known = self._jobs["delete" if "DeleteJob" in name else "sync"]
            if name == "retrySyncJob":
                known = self._unresolved
            elif name == "cancelSyncJob" and self._running["sync"]:
                known = [*self._running["sync"]]
            if known and path["id"] not in known:
                path["id"] = draw.choice(known)

    def _fill_query(self, name: str, case: schemathesis.Case, draw: Random) -> None:
        query = case.query or {}
        if "cursor" in query:
            known = self._cursors.get(name, [])
            query["cursor"] = draw.choice(known) if known and draw.randrange(2) else ""
        if (
            name == "breakLineage"
            and self._pairs
            and not any(query.get("source_id") == one["source_id"] for one in self._pairs)
        ):
            query.update(self._pairs.pop(draw.randrange(len(self._pairs))))

    def _fill_body(self, name: str, case: schemathesis.Case, draw: Random) -> None:
        body: dict[str, Any] = case.body
        if isinstance(body.get("resources"), list):
            pool = self._doomed if name == "createDeleteJob" else self._pair.selections["clean"]
            body["resources"] = [
                {**one, **draw.choice(pool)} for one in body["resources"][:_RESOURCES_AT_MOST] if isinstance(one, dict)
            ]
        if name == "suggestMatches":
            body["type"] = draw.choice(self._with_natural_key)
            body["source_ids"] = [draw.choice(self._other[body["type"]]) for _ in body["source_ids"]]
        if name == "confirmLineage":
            body["type"] = draw.choice([one for one, ids in self._own.items() if ids])
            body["target_id"] = draw.choice(self._own[body["type"]])
            # One source a target, and the namesake where names are the same everywhere: else it would be a conflict.
            way_back = Organisations(self._pair.source_id, self._pair.target_id)
            namesake = portable_id(RESOURCE_TYPES[body["type"]], body["target_id"], way_back)
            body["source_id"] = namesake or f"source of {body['target_id']}"[:100]
        if name == "retrySyncJob" and body.get("payload_overrides"):
            scope = self._scope[case.path_parameters["id"]]
            body["payload_overrides"] = dict(zip(scope, body["payload_overrides"].values(), strict=False))
            body["target_auth_token"] = self._pair.target_token

    def _bound(self, name: str, case: schemathesis.Case, draw: Random) -> None:
        """Wait where as many jobs run as may; repeat an accepted request where as many were started as may."""
        kind = "delete" if name == "createDeleteJob" else "sync"
        while len(self._running[kind]) >= _RUNNING_AT_MOST:
            self._pair.source.run_job(self._running[kind].popleft(), kind=kind)
        if name == "retrySyncJob":
            if not self.may_start(name):
                case.path_parameters["id"] = "no-such-job"
            return
        if not self.may_start(name) and self._accepted.get(name):
            body, key = draw.choice(self._accepted[name])
            case.body = copy.deepcopy(body)
        else:
            key = f"{name} {draw.getrandbits(64)}"
        case.headers["Idempotency-Key"] = key
