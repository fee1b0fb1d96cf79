"""phase_0: look at one type of the target: which configs there are, and whole those that a source config may be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import batched
from typing import TYPE_CHECKING
from uuid import uuid4

from shared.domain.errors import CredentialsExpiredError, HubError, NotFoundError, TransientError
from shared.domain.matching import Pair, chosen_id, may_match, portable_id
from shared.domain.paths import find_value
from shared.domain.plan import SourceConfig, TargetConfig
from shared.domain.read_config import MAX_INDEXED_WHEN_USED
from shared.domain.redaction import redact
from shared.domain.references import find_references
from shared.domain.resource_type import ResourceKey, ResourceType, can_be_id
from shared.domain.row import RowError
from shared.domain.sendable import without_secrets
from shared.use_cases.jobs.closure import read_closure, read_sources
from shared.use_cases.jobs.payloads import target_key
from shared.use_cases.jobs.snapshot import Snapshot, load_snapshot
from shared.use_cases.jobs.step import (
    DONE,
    READ_TRIES,
    TRY_AGAIN_S,
    StepInput,
    StepPorts,
    result,
    why_stopped,
)
from shared.use_cases.reading.work_off import READS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from shared.domain.job import Job
    from shared.domain.ports.configs import ConfigRepository, Payload
    from shared.domain.step_result import StepResult


_PART_SIZE = 200


def snapshot_target(step: StepInput, ports: StepPorts) -> StepResult:
    """Snapshot one type of the target, as far as this invocation's time allows.

    Raises:
        HubError: storage failed; the step can run again.
    """
    job = ports.jobs.get_job(step.org_id, step.job_id)
    if stopped := why_stopped(job, step):
        return result("failed", stopped)
    resource_type = ports.catalogue[step.resource_type]
    key = target_key(job.org_id, job.id, resource_type.name, "state")
    done_key = target_key(job.org_id, job.id, resource_type.name, "snapshot")
    snapshot = load_snapshot(ports, job.org_id, job.id, resource_type.name)
    if snapshot.done:
        return DONE
    look = _Look(step, ports, job, resource_type, snapshot)
    try:
        is_done = look.read()
    except CredentialsExpiredError as error:
        ports.jobs.stop_for(job.org_id, job.id, RowError(error.code, redact(error.message)))
        return result("failed", error.code)
    except HubError as error:
        snapshot.tries += 1
        if isinstance(error, TransientError) and snapshot.tries < READ_TRIES:
            ports.payloads.put(key, snapshot.to_json())
            return result("wait", error.code, error.retry_after or TRY_AGAIN_S)
        # Rows of this type fail with this error: nobody can tell what they would be on the target.
        given_up = replace(snapshot, done=True, error=(error.code, redact(error.message)))
        ports.payloads.put_once(done_key, given_up.to_json())
        return DONE
    if is_done:
        # The first that comes to the end stays: one that comes later may see what the job itself has created by then.
        ports.payloads.put_once(done_key, replace(snapshot, done=True).to_json())
        return DONE
    ports.payloads.put(key, snapshot.to_json())
    return result("more", "OUT_OF_TIME")


class _Look:
    def __init__(
        self, step: StepInput, ports: StepPorts, job: Job, resource_type: ResourceType, snapshot: Snapshot
    ) -> None:
        self._step = step
        self._ports = ports
        self._job = job
        self._type = resource_type
        self._snapshot = snapshot
        self._invocation = uuid4().hex
        self._target: ConfigRepository = ports.open_repository(job, "target")
        self._closure = read_closure(ports, job.org_id, job.id)
        self._sources = self._sources_of(resource_type)
        self._wanted = self._wanted_ids(resource_type, self._sources)

    def read(self) -> bool:
        """List, then read details; False where time ran low."""
        if self._type.list is not None and not self._snapshot.listed:
            for page in self._target.list_pages(self._type, self._snapshot.resume):
                items = self._items(self._type, page.items)
                self._snapshot.ids += items
                self._store(self._candidates(self._type, items, self._sources.values(), self._wanted))
                self._snapshot.resume = page.resume
                if page.resume is not None and self._is_enough():
                    self._snapshot.capped = True
                    break
                if page.resume is not None and self._ports.now() > self._step.hand_back_at:
                    return False
        self._snapshot.listed = True
        self._store(self._details(self._type, sorted(self._unlisted_ids() - set(self._snapshot.ids))))
        return True

    def _is_enough(self) -> bool:
        """Tell whether a list that holds every customer's uploads has been read as far as the index would."""
        return self._type.indexed_when_used and len(self._snapshot.ids) >= MAX_INDEXED_WHEN_USED

    def _sources_of(self, resource_type: ResourceType) -> Mapping[ResourceKey, SourceConfig]:
        return read_sources(self._ports, self._job.org_id, self._job.id, self._closure, [resource_type.name])

    def _wanted_ids(self, resource_type: ResourceType, sources: Mapping[ResourceKey, SourceConfig]) -> set[str]:
        """Return the target ids that lineage of either direction or the identity of the sources names."""
        lineage, job = self._ports.lineage, self._job
        entries = lineage.find_entries(job.target_org_id, job.source_org_id, sources)
        origins = lineage.find_claimed_targets(job.source_org_id, job.target_org_id, list(sources))
        pair = Pair(job.source_org_id, job.target_org_id)
        readable = [key for key, source in sources.items() if source.payload is not None]
        named = [portable_id(resource_type, key.id, pair) for key in readable]
        named += [chosen_id(resource_type, key, pair) for key in readable]
        return {
            *(entry.target_id for entry in entries.values()),
            *(origin.id for origin in origins.values()),
            *(one for one in named if one is not None),
        }

    def _unlisted_ids(self) -> set[str]:
        """Return the ids to read one by one: of lineage and identity; without a list, all that other configs name."""
        ids = set(self._wanted)
        if self._type.list is None and self._type.natural_key is not None:
            for name in self._type.collected_from:
                ids |= self._ids_named_by(self._ports.catalogue[name])
        return ids

    def _ids_named_by(self, users: ResourceType) -> set[str]:
        """Return the ids of our type that those configs of another type name which a source config may be."""
        sources = self._sources_of(users)
        if not sources:
            return set()
        wanted = self._wanted_ids(users, sources)
        named: set[str] = set()
        for page in self._target.list_pages(users):
            for config in self._candidates(users, self._items(users, page.items), sources.values(), wanted):
                found = find_references(users, config.payload, lambda _: False)
                named |= {one.identifier for one in found if self._type.name in one.to and can_be_id(one.identifier)}
        return named

    @staticmethod
    def _items(resource_type: ResourceType, items: Sequence[Payload]) -> dict[str, TargetConfig]:
        path = resource_type.listed_fields.id
        is_whole = resource_type.lists_whole
        return {
            str(config_id): TargetConfig(
                key=ResourceKey(resource_type.name, str(config_id)), payload=item, whole=is_whole
            )
            for item in items
            if (config_id := find_value(item, path)) is not None
        }

    def _candidates(
        self,
        resource_type: ResourceType,
        items: Mapping[str, TargetConfig],
        sources: Collection[SourceConfig],
        wanted: set[str],
    ) -> list[TargetConfig]:
        """Return, whole, those list items that a source config may be."""
        payloads = [source.payload for source in sources if source.payload is not None]
        chosen = {config.key.id for config in may_match(resource_type, payloads, items.values())}
        chosen |= items.keys() & wanted
        if resource_type.lists_whole:
            return [items[config_id] for config_id in sorted(chosen)]
        return self._details(resource_type, sorted(chosen))

    def _details(self, resource_type: ResourceType, config_ids: Sequence[str]) -> list[TargetConfig]:
        if not config_ids:
            return []
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            found = pool.map(lambda config_id: self._find(resource_type, config_id), config_ids)
            return [
                TargetConfig(key=ResourceKey(resource_type.name, config_id), payload=payload)
                for config_id, payload in zip(config_ids, found, strict=True)
                if payload is not None
            ]

    def _find(self, resource_type: ResourceType, config_id: str) -> Payload | None:
        try:
            return self._target.get_config(resource_type, config_id)
        except NotFoundError:
            return None

    def _store(self, configs: Sequence[TargetConfig]) -> None:
        for block in batched(configs, _PART_SIZE, strict=False):
            part = [{"id": config.key.id, "payload": without_secrets(self._type, config.payload)} for config in block]
            name = f"{len(self._snapshot.parts):05d}-{self._invocation}"
            self._ports.payloads.put(target_key(self._job.org_id, self._job.id, self._type.name, name), part)
            self._snapshot.parts.append(name)
