"""phase_0: fetch what was selected from the source and, with dependencies, all that it leads to."""

from __future__ import annotations

import threading
from contextlib import closing, suppress
from datetime import datetime
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any, Protocol
from uuid import uuid4

from shared.domain.bounds import check_depth
from shared.domain.config_node import title_of
from shared.domain.errors import (
    ClosureTooLargeError,
    ConflictError,
    CredentialsExpiredError,
    DownstreamRejectedError,
    HubError,
    NotFoundError,
    OperationUnsupportedError,
    TransientError,
)
from shared.domain.fingerprint import fingerprint, override_fingerprint
from shared.domain.natural_keys import naming_paths
from shared.domain.paths import merge_patch
from shared.domain.redaction import redact
from shared.domain.resource_type import ResourceKey
from shared.domain.row import Phase, RowError
from shared.domain.sendable import referents_of, without_secrets
from shared.use_cases.jobs.closure import Closure, identifiers_from_json, identifiers_to_json, read_identifiers
from shared.use_cases.jobs.payloads import request_key, source_key
from shared.use_cases.jobs.step import READ_TRIES, TRY_AGAIN_S, JobStoppedError, StepInput, StepPorts
from shared.use_cases.reading.list_organisation import KeptPayloads, Listing, list_organisation, list_type
from shared.use_cases.reading.work_off import READS_AT_ONCE, work_off
from shared.use_cases.writing.job_guard import JobGuard
from shared.use_cases.writing.recover_creates import recover_creates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.domain.index_state import IndexState
    from shared.domain.job import Job
    from shared.domain.ports.configs import Payload
    from shared.domain.references import Identified, Identifiers

MAX_CLOSURE = 20_000
INDEX_FRESH_S = 3600
_PART_SIZE = 100


class SourceIndex(Protocol):
    """What the index knows of the source organisation."""

    def find_state(self, org_id: str) -> IndexState | None:
        """Return the state of the index; None before any build."""
        ...

    def load_identifiers(self, org_id: str) -> Identifiers:
        """Return all ids and aliases."""
        ...


def fetch_sources(step: StepInput, ports: StepPorts, index: SourceIndex) -> Mapping[str, Any]:
    """Fetch the closure of a job, as far as this invocation's time allows.

    Returns:
        `status` done with the `types` whose target is to be looked at, more, wait, or failed where the job ends here.

    Raises:
        HubError: storage failed; the step can run again.
    """
    try:
        job = ports.jobs.start_job(step.org_id, step.job_id, step.execution_id)
    except ConflictError:
        return {"status": "failed", "code": "JOB_STOPPED", "wait_seconds": 0, "types": []}
    ports.jobs.enter_phase(job, Phase.FETCH_AND_PLAN, None)
    try:
        with JobGuard(ports.jobs, step) as guard:
            return _Crawl(step, ports, job, index, guard).run()
    except TransientError:
        raise
    except JobStoppedError as error:
        return {"status": "failed", "code": error.code, "wait_seconds": 0, "types": []}
    except HubError as error:
        ports.jobs.stop_for(step.org_id, step.job_id, RowError(error.code, redact(error.message)))
        return {"status": "failed", "code": error.code, "wait_seconds": 0, "types": []}


class _Crawl:
    def __init__(self, step: StepInput, ports: StepPorts, job: Job, index: SourceIndex, guard: JobGuard) -> None:
        self._step = step
        self._guard = guard
        self._ports = ports
        self._job = job
        self._index = index
        self._source = ports.open_repository(job, "source")
        self._request: Mapping[str, Any] = ports.payloads.get(request_key(job.org_id, job.id))
        self._overrides: Mapping[str, Any] = self._request.get("payload_overrides") or {}
        self._finished = {ResourceKey(*key) for key in self._request.get("finished") or ()}
        self._buffers: dict[str, list[dict[str, Any]]] = {}
        self._listed: dict[str, dict[str, Payload]] = {}
        self._kept = KeptPayloads()
        self._lists = threading.Lock()
        self._invocation = uuid4().hex

    def run(self) -> Mapping[str, Any]:
        identifiers = self._identifiers()
        if identifiers is None:
            return self._unfinished([], waits=self._has_time())
        closure = self._load()
        waits = self._crawl(closure, identifiers)
        for type_name in list(self._buffers):
            self._flush(closure, type_name)
        if closure.frontier:
            self._ports.payloads.put(self._key("state"), closure.to_json())
            return self._unfinished(closure.types, waits=waits)
        # The first that comes to the end says what the closure is: the steps behind us read it by now.
        closure = Closure.from_json(self._ports.payloads.put_once(self._key("closure"), closure.to_json()))
        if wait_s := recover_creates(self._step, self._ports, self._job, closure.known):
            return {"status": "wait", "code": "BLOCKED", "wait_seconds": ceil(wait_s), "types": closure.types}
        return {"status": "done", "code": "", "wait_seconds": 0, "types": closure.types}

    @staticmethod
    def _unfinished(types: list[str], *, waits: bool) -> Mapping[str, Any]:
        if waits:
            return {"status": "wait", "code": "DOWNSTREAM_UNAVAILABLE", "wait_seconds": TRY_AGAIN_S, "types": types}
        return {"status": "more", "code": "OUT_OF_TIME", "wait_seconds": 0, "types": types}

    def _now(self) -> float:
        """Return the time, which is asked before every read: a job that was cancelled reads no more."""
        self._guard.check()
        return self._ports.now()

    def _has_time(self) -> bool:
        return self._now() < self._step.hand_back_at

    def _key(self, part: str) -> str:
        return source_key(self._job.org_id, self._job.id, part)

    def _load(self) -> Closure:
        for part in ("closure", "state"):
            with suppress(NotFoundError):
                return Closure.from_json(self._ports.payloads.get(self._key(part)))
        reached = {ResourceKey(one["type"], one["id"]): one.get("reached") for one in self._request["resources"]}
        return Closure(
            frontier=list(reached),
            known=set(reached),
            selected={key for key, how in reached.items() if how is None},
            by_id={key for key, how in reached.items() if how != "name"},
        )

    def _identifiers(self) -> Identifiers | None:
        """Return what the source's ids and aliases stand for; None where a listing of it has not come to its end."""
        try:
            return read_identifiers(self._ports, self._job.org_id, self._job.id)
        except NotFoundError:
            pass
        state = self._index.find_state(self._job.source_org_id)
        now = self._ports.now()
        if state is not None and state.status_at(now) == "ready" and state.last_built_at:
            age = now - datetime.fromisoformat(state.last_built_at).timestamp()
            if age < INDEX_FRESH_S:
                return self._keep(self._index.load_identifiers(self._job.source_org_id))
        return self._list_source()

    def _list_source(self) -> Identifiers | None:
        """List the source, from where an earlier invocation left off."""
        progress, parts = self._load_listing()
        found: dict[str, list[Identified]] = {}
        for part in parts:
            for name, known in identifiers_from_json(self._ports.payloads.get(self._key(part))).items():
                found.setdefault(name, []).extend(known)
        listing = Listing.from_json(progress, found)
        list_organisation(self._ports.catalogue, self._source, self._now, listing, self._step.hand_back_at)
        if not listing.is_done:
            part = f"listing/{len(parts):05d}-{self._invocation}"
            self._ports.payloads.put(self._key(part), identifiers_to_json(listing.fresh))
            progress = {"types": listing.progress_to_json(), "parts": [*parts, part]}
            self._ports.payloads.put(self._key("listing"), progress)
            return None
        self._kept = listing.kept
        if listing.warnings:
            # Whoever finds the identifiers finds the warnings, too.
            closure = self._load()
            closure.warnings = listing.warnings
            self._ports.payloads.put(self._key("state"), closure.to_json())
        return self._keep(listing.identifiers)

    def _load_listing(self) -> tuple[Mapping[str, Any], list[str]]:
        with suppress(NotFoundError):
            stored = self._ports.payloads.get(self._key("listing"))
            return stored["types"], stored["parts"]
        return {}, []

    def _keep(self, identifiers: Identifiers) -> Identifiers:
        """Store identifiers for all steps, unless another invocation did, and return what is stored."""
        value = identifiers_to_json(identifiers)
        stored = self._ports.payloads.put_once(self._key("identifiers"), value)
        return identifiers if stored is value else identifiers_from_json(stored)

    def _crawl(self, closure: Closure, identifiers: Identifiers) -> bool:
        """Fetch until nothing new appears or time runs low; True where something has to be tried again later."""
        later: list[ResourceKey] = []

        def pick() -> tuple[ResourceKey, Callable[[], Payload]] | None:
            if not closure.frontier or not self._has_time():
                return None
            key = closure.frontier.pop()
            return key, partial(self._read, key)

        with closing(work_off(pick, READS_AT_ONCE)) as ended:
            for key, outcome in ended:
                try:
                    payload = self._prepared(key, outcome.result())
                except CredentialsExpiredError:
                    raise
                except TransientError as error:
                    closure.tries[key] = closure.tries.get(key, 0) + 1
                    if closure.tries[key] < READ_TRIES:
                        later.append(key)
                    else:
                        self._store(closure, key, None, error)
                except HubError as error:
                    self._store(closure, key, None, error)
                else:
                    self._store(closure, key, payload, None)
                    self._follow(closure, key, payload["payload"], identifiers)
        closure.frontier += later
        return bool(later)

    def _read(self, key: ResourceKey) -> Payload:
        kept = self._kept.find(key)
        if kept is not None:
            return kept
        resource_type = self._ports.catalogue[key.type]
        if resource_type.get is not None:
            return self._source.get_config(resource_type, key.id)
        if resource_type.list is None:
            raise OperationUnsupportedError(resource_type.missing.get("get", f"{resource_type.label} cannot be read."))
        with self._lists:
            if key.type not in self._listed:
                self._listed[key.type] = list_type(resource_type, self._source)
        if key.id not in self._listed[key.type]:
            raise NotFoundError(f"{resource_type.label}: there is none with the id {key.id}.")
        return self._listed[key.type][key.id]

    def _prepared(self, key: ResourceKey, payload: Payload) -> dict[str, Any]:
        """Return what is kept of a payload: no secret is in it, and overrides are applied.

        Raises:
            TooDeepError: it is nested too deep to be copied.
        """
        resource_type = self._ports.catalogue[key.type]
        kept = without_secrets(resource_type, payload)
        override = self._overrides.get(str(key))
        entry: dict[str, Any] = {"title": title_of(resource_type, kept, key.id)}
        if override is not None:
            entry["source_fingerprint"] = fingerprint(resource_type, kept)
            entry["override_fingerprint"] = override_fingerprint(override)
            kept = without_secrets(resource_type, merge_patch(kept, override))
        check_depth(kept)
        return {**entry, "payload": kept}

    def _store(self, closure: Closure, key: ResourceKey, entry: dict[str, Any] | None, error: HubError | None) -> None:
        kept = {"id": key.id, **(entry or {})}
        if error is not None:
            # An API that refuses the very id has no such config; one that was selected fails with what the API said.
            is_absent = isinstance(error, DownstreamRejectedError) and key not in closure.selected
            kept["error"] = [NotFoundError.code if is_absent else error.code, redact(error.message)]
        buffer = self._buffers.setdefault(key.type, [])
        buffer.append(kept)
        if len(buffer) >= _PART_SIZE:
            self._flush(closure, key.type)

    def _flush(self, closure: Closure, type_name: str) -> None:
        parts = closure.parts.setdefault(type_name, [])
        part = f"{type_name}/{len(parts):05d}-{self._invocation}"
        self._ports.payloads.put(self._key(part), self._buffers.pop(type_name))
        parts.append(part)

    def _follow(self, closure: Closure, key: ResourceKey, payload: Payload, identifiers: Identifiers) -> None:
        catalogue = self._ports.catalogue
        # Of what is only resolved, its natural key alone leads further: it cannot be matched without what that names.
        only_resolved = key in closure.referents
        paths = naming_paths(catalogue[key.type]) if only_resolved else None
        for other, by_name in referents_of(catalogue[key.type], payload, identifiers, catalogue, paths).items():
            if other.type not in catalogue or other == key:
                continue
            if not by_name:
                closure.by_id.add(other)
            has_row = not only_resolved and self._job.include_dependencies and other not in self._finished
            if other in closure.known and not (has_row and other in closure.referents):
                continue
            closure.known.add(other)
            closure.frontier.append(other)
            if has_row:
                closure.referents.discard(other)
            else:
                closure.referents.add(other)
            if len(closure.known) > MAX_CLOSURE:
                raise ClosureTooLargeError(
                    f"The selection with its dependencies has over {MAX_CLOSURE:,} resources: select less at a time."
                )
