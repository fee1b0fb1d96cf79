"""Build the index of an organisation: fan out over the downstream APIs, resolve references, write what changed.

list types ──► collect unlisted ──► bound `when used` ──► look after limited views ──► resolve ──► write ──► finish
└───────────── every stage hands over to the next invocation when time runs short ─────────────┘
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import batched
from typing import TYPE_CHECKING, Any, Protocol

from shared.domain.config_node import Blueprint, Edge, with_usage
from shared.domain.edges import claimed_keys, edges_of, identifiers_of
from shared.domain.errors import CredentialsExpiredError, DownstreamUnavailableError, HubError, NotFoundError
from shared.domain.identifiers import identifying_fields
from shared.domain.index_items import (
    Changes,
    Content,
    ItemKey,
    ItemKind,
    Partition,
    StoredItem,
    edge_items,
    identified_in,
    identifier_items,
    node_items,
    plan_changes,
    used_by_items,
)
from shared.domain.index_state import QUEUED_LEASE_S, BuildResult, SupersededError
from shared.domain.paths import find_value
from shared.domain.read_config import (
    MAX_INDEXED_WHEN_USED,
    ReadConfig,
    UnindexableConfigError,
    read_config,
    with_blueprints,
)
from shared.domain.resource_type import Catalogue, Form, ResourceKey, ResourceType, UsageSource, can_be_id

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from shared.domain.ports.configs import ConfigRepository, Payload
    from shared.domain.ports.index import IndexWriter
    from shared.domain.references import Identified

# Lambda stops a function that invokes itself after about 16 times:
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
MAX_CONTINUATIONS = 12
#: Left of an invocation's time when it hands over: what runs then still ends, and a checkpoint is written.
HANDOVER_S = 120.0
# Lambda tries a killed invocation again after a minute:
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
_LEASE_MARGIN_S = 120.0
_TYPES_AT_ONCE = 8
_DETAILS_AT_ONCE = 8
_DETAILS_PER_ROUND = 64
_PARTITIONS_AT_ONCE = 8
# A stored object ends at 64 MB; what is kept of the largest payloads has some ten kilobytes.
_CONFIGS_PER_CHECKPOINT = 1_000
_COUNTED_SOURCES = frozenset({UsageSource.ENTITY_COUNT, UsageSource.ASSIGNMENTS})


class Checkpoints(Protocol):
    """JSON values by key, kept for some days."""

    def put(self, key: str, value: Any) -> None:
        """Store a value."""
        ...

    def get(self, key: str) -> Any:
        """Return a stored value. Raises NotFoundError."""
        ...

    def delete(self, prefix: str) -> None:
        """Forget all values whose keys begin so."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRun:
    """One invocation of a build.

    Attributes:
        continuation: how many invocations of the same build came before.
        deadline: when the invocation ends, epoch seconds.
        app_url: base of deep links; empty leaves them out.
    """

    org_id: str
    build_token: str
    user_id: str
    deadline: float
    continuation: int = 0
    app_url: str = ""

    @property
    def checkpoint_prefix(self) -> str:
        """Where the build keeps its checkpoints."""
        return f"index/{self.org_id}/{self.build_token}/"

    @property
    def next_event(self) -> dict[str, Any]:
        """What the next invocation of the build is started with."""
        who = {"org_id": self.org_id, "build_token": self.build_token, "user_id": self.user_id}
        return {**who, "continuation": self.continuation + 1}


@dataclass(slots=True)
class BuildReport:
    """What an invocation did.

    Attributes:
        status: done, more (handed over), superseded or failed.
        code, reason: why it failed.
        indexed: nodes of a finished build.
        failed_types: type -> why.
        warnings: what was left out besides, one sentence each.
        timings_ms: step -> milliseconds.
        writes: items written or deleted.
    """

    status: str = "done"
    code: str = ""
    reason: str = ""
    indexed: int = 0
    failed_types: Mapping[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    timings_ms: dict[str, float] = field(default_factory=dict)
    writes: int = 0


@dataclass(slots=True)
class TypeReading:
    """How far the reading of one type is.

    Attributes:
        configs: by id.
        resume: where its list goes on.
        listed: its list is at its end.
        done: it is read.
        failure: why it could not be read.
        capped: it has more configs than are read.
    """

    configs: dict[str, ReadConfig] = field(default_factory=dict)
    resume: Any = None
    listed: bool = False
    done: bool = False
    failure: str = ""
    capped: bool = False


#: The attributes of a TypeReading that a checkpoint keeps beside the configs.
_PROGRESS = ("resume", "listed", "done", "failure", "capped")


class _OutOfTimeError(Exception):
    """The invocation must hand over."""


def build_index(
    run: BuildRun,
    *,
    catalogue: Catalogue,
    index: IndexWriter,
    open_repository: Callable[[], ConfigRepository],
    checkpoints: Checkpoints,
    hand_over: Callable[[Mapping[str, Any]], None],
    now: Callable[[], float],
) -> BuildReport:
    """Work on a build until it is finished, superseded, failed, or has to be handed over.

    Args:
        run: the build and this invocation of it.
        catalogue: all resource types.
        index: where the index is kept.
        open_repository: returns the organisation's configs as the build's user sees them.
        checkpoints: where a build that hands over keeps what it read.
        hand_over: starts the next invocation with an event.
        now: epoch seconds.

    Raises:
        Exception: what is no error of ours; the build is marked as failed before.
    """
    report = BuildReport()
    if index.extend_lease(run.org_id, run.build_token, run.deadline + _LEASE_MARGIN_S) is None:
        report.status = "superseded"
        return report
    build: _Build | None = None
    try:
        build = _Build(run, catalogue, index, open_repository(), checkpoints, now, report)
        build.run_stages()
    except SupersededError:
        report.status = "superseded"
    except _OutOfTimeError:
        if run.continuation >= MAX_CONTINUATIONS:
            _fail(index, run, report, "TOO_LONG", "The organisation could not be read in the time a build has.")
        elif build is not None:
            build.save()
            index.extend_lease(run.org_id, run.build_token, now() + QUEUED_LEASE_S, run.next_event)
            hand_over(run.next_event)
            report.status = "more"
    except HubError as error:
        _fail(index, run, report, error.code, error.message)
    except Exception:
        _fail(index, run, report, "INTERNAL", "The build broke off.")
        raise
    if report.status != "more" and run.continuation:
        checkpoints.delete(run.checkpoint_prefix)
    return report


def _fail(index: IndexWriter, run: BuildRun, report: BuildReport, code: str, reason: str) -> None:
    report.status, report.code, report.reason = "failed", code, reason
    index.fail_build(run.org_id, run.build_token, f"{code}: {reason}")


class _Build:
    """One invocation at work."""

    def __init__(
        self,
        run: BuildRun,
        catalogue: Catalogue,
        index: IndexWriter,
        repository: ConfigRepository,
        checkpoints: Checkpoints,
        now: Callable[[], float],
        report: BuildReport,
    ) -> None:
        self._run = run
        self._catalogue = catalogue
        self._index = index
        self._repository = repository
        self._checkpoints = checkpoints
        self._now = now
        self._report = report
        self._fields = identifying_fields(catalogue)
        self._stop = threading.Event()
        self._readings = {name: TypeReading() for name in catalogue}
        self._blueprints: list[tuple[Blueprint, list[ResourceKey]]] | None = None
        if run.continuation:
            self._load()

    def run_stages(self) -> None:
        """Read, resolve, write and finish."""
        with ThreadPoolExecutor(_DETAILS_AT_ONCE) as details:
            self._details = details
            self._timed("ListTypes", self._read_listed_types)
            self._timed("CollectUnlistedTypes", self._read_unlisted_types)
            self._timed("BoundTypesIndexedWhenUsed", self._bound_types_indexed_when_used)
            self._timed("CheckLimitedViews", self._check_limited_views)
        if all(self._readings[name].failure for name, entry in self._catalogue.items() if entry.list):
            first = next(reading.failure for reading in self._readings.values() if reading.failure)
            raise DownstreamUnavailableError(f"No type could be read. {first}")
        self._timed("AssignBlueprints", self._assign_blueprints)
        self._timed("WriteIndex", self._write)

    def _timed(self, step: str, work: Callable[[], None]) -> None:
        start = time.perf_counter()
        try:
            work()
        finally:
            self._report.timings_ms[step] = (time.perf_counter() - start) * 1000

    def _check(self) -> None:
        """Stop where the build is superseded or out of time; called between pages and rounds of writes."""
        self._check_time()
        if not self._index.is_latest(self._run.org_id, self._run.build_token):
            raise SupersededError("A newer build of this index has begun.")

    def _check_time(self) -> None:
        if self._stop.is_set() or self._now() > self._run.deadline - HANDOVER_S:
            raise _OutOfTimeError

    def save(self) -> None:
        """Write a checkpoint of everything read."""
        prefix = self._run.checkpoint_prefix
        for name, reading in self._readings.items():
            parts = list(batched(reading.configs.values(), _CONFIGS_PER_CHECKPOINT, strict=False))
            for number, configs in enumerate(parts):
                self._checkpoints.put(f"{prefix}{name}/{number}", [config.to_json() for config in configs])
            progress = {field_name: getattr(reading, field_name) for field_name in _PROGRESS}
            self._checkpoints.put(f"{prefix}{name}", {**progress, "parts": len(parts)})
        blueprints: Any = self._blueprints and [
            [blueprint.id, blueprint.title, [list(member) for member in members]]
            for blueprint, members in self._blueprints
        ]
        self._checkpoints.put(f"{prefix}_blueprints", blueprints)

    def _load(self) -> None:
        prefix = self._run.checkpoint_prefix
        for name in self._readings:
            progress = self._checkpoints.get(f"{prefix}{name}")
            parts = (self._checkpoints.get(f"{prefix}{name}/{number}") for number in range(progress.pop("parts")))
            configs = [ReadConfig.from_json(value) for part in parts for value in part]
            self._readings[name] = TypeReading(configs={config.key.id: config for config in configs}, **progress)
        blueprints: Any = self._checkpoints.get(f"{prefix}_blueprints")
        self._blueprints = blueprints and [
            (Blueprint(blueprint_id, title), [ResourceKey(*member) for member in members])
            for blueprint_id, title, members in blueprints
        ]

    # Reading

    def _read_listed_types(self) -> None:
        pending = [entry for name, entry in self._catalogue.items() if entry.list and not self._readings[name].done]
        with ThreadPoolExecutor(_TYPES_AT_ONCE) as types:
            futures: list[Future[None]] = [types.submit(self._read_type, entry) for entry in pending]
            if self._blueprints is None:
                futures.append(types.submit(self._read_blueprints))
            self._settle(futures)

    def _settle(self, futures: Iterable[Future[None]]) -> None:
        """Wait for all; the first one that stops the build stops the others at their next page."""
        fatal: BaseException | None = None
        for future in as_completed(futures):
            error = future.exception()
            if error is None:
                continue
            if fatal is None or isinstance(fatal, _OutOfTimeError):
                fatal = error
            self._stop.set()
        if fatal is not None:
            raise fatal

    def _read_type(self, entry: ResourceType) -> None:
        reading = self._readings[entry.name]
        with _failures_of(reading):
            if not reading.listed:
                self._read_pages(entry, reading)
            self._check()
            self._count_usage(entry, reading)
            reading.done = True

    def _read_pages(self, entry: ResourceType, reading: TypeReading) -> None:
        for page in self._repository.list_pages(entry, reading.resume):
            # Whole pages only: the next invocation reads a page again that this one does not finish.
            configs = list(self._read_items(entry, page.items))
            reading.configs |= {config.key.id: config for config in configs}
            reading.resume = page.resume
            if entry.indexed_when_used and len(reading.configs) >= MAX_INDEXED_WHEN_USED and page.resume is not None:
                reading.capped = True
                break
            if page.resume is not None:
                self._check()
        reading.listed = True

    def _read_items(self, entry: ResourceType, items: Collection[Payload]) -> Iterator[ReadConfig]:
        if entry.list is not None and entry.list.whole:
            yield from self._reduced(entry, ((item, None) for item in items))
            return
        path = (entry.list_fields or entry.fields).id
        by_id = {str(config_id): item for item in items if (config_id := find_value(item, path)) is not None}
        payloads = self._details.map(lambda config_id: self._find(entry, config_id), by_id)
        yield from self._reduced(entry, zip(payloads, by_id.values(), strict=True))

    def _find(self, entry: ResourceType, config_id: str) -> Payload | None:
        self._check_time()
        try:
            return self._repository.get_config(entry, config_id)
        except NotFoundError:
            return None

    def _reduced(
        self, entry: ResourceType, found: Iterable[tuple[Payload | None, Payload | None]]
    ) -> Iterator[ReadConfig]:
        """Yield what is kept of payloads, each given with its list item where the list is a summary."""
        for payload, item in found:
            if payload is None:
                continue
            moment = datetime.fromtimestamp(self._now(), UTC)
            try:
                config = read_config(entry, payload, item, self._fields[entry.name], moment)
            except UnindexableConfigError as error:
                self._report.warnings.append(error.message)
                continue
            link = config.node.link and self._run.app_url and f"{self._run.app_url.rstrip('/')}{config.node.link}"
            yield replace(config, node=replace(config.node, link=link or None))

    def _count_usage(self, entry: ResourceType, reading: TypeReading) -> None:
        """Ask for a metric that no payload carries; without an answer the nodes have none, which is no failed type."""
        if entry.usage is None or entry.usage.source not in _COUNTED_SOURCES or not reading.configs:
            return
        try:
            usage = self._repository.count_usage(entry, list(reading.configs))
        except CredentialsExpiredError:
            raise
        except HubError as error:
            self._report.warnings.append(f"{entry.name}: usage could not be counted. {error.message}")
            return
        for config_id, value in usage.items():
            if config_id in reading.configs:
                config = reading.configs[config_id]
                reading.configs[config_id] = replace(config, node=with_usage(config.node, entry, value))

    def _read_blueprints(self) -> None:
        try:
            members = self._repository.list_blueprint_members()
            self._blueprints = [(blueprint, list(configs)) for blueprint, configs in members]
        except CredentialsExpiredError:
            raise
        except HubError as error:
            self._report.warnings.append(f"Blueprints could not be read: configs keep those they had. {error.message}")

    def _read_unlisted_types(self) -> None:
        """Get the configs of types without a list by the references that other configs make to them."""
        for entry in self._catalogue.values():
            reading = self._readings[entry.name]
            if entry.list is not None or reading.done or not entry.collected_from:
                continue
            failed = [name for name in entry.collected_from if self._readings[name].failure]
            sources = (config for name in entry.collected_from for config in self._readings[name].configs.values())
            with _failures_of(reading):
                self._get_all(entry, reading, self._claimed_ids(entry, sources))
            if failed and not reading.failure:
                reading.failure = f"It is collected from {', '.join(failed)}, which could not be read."
            reading.done = True

    def _claimed_ids(self, entry: ResourceType, sources: Iterable[ReadConfig]) -> dict[str, None]:
        """Return the ids of a type that typed references of other configs claim, in a stable order."""
        claimed: dict[str, None] = {}
        for config in sources:
            references = self._catalogue[config.key.type].references
            for candidate in config.candidates:
                reference = references[candidate.reference] if candidate.reference >= 0 else None
                if reference is None or entry.name not in reference.to or not can_be_id(candidate.identifier):
                    continue
                if reference.field == "id" and reference.form in (Form.ID, Form.PREFIXED_ID, Form.ROLE_ID):
                    claimed[candidate.identifier] = None
        return claimed

    def _get_all(self, entry: ResourceType, reading: TypeReading, ids: Iterable[str]) -> None:
        missing = [config_id for config_id in ids if config_id not in reading.configs]
        for group in batched(missing, _DETAILS_PER_ROUND, strict=False):
            self._check()
            payloads = self._details.map(lambda config_id: self._find(entry, config_id), group)
            for config in self._reduced(entry, ((payload, None) for payload in payloads)):
                reading.configs[config.key.id] = config

    def _bound_types_indexed_when_used(self) -> None:
        """Keep of such a type only what has a manifest or what an indexed config refers to, up to the limit."""
        bounded = [entry for entry in self._catalogue.values() if entry.indexed_when_used]
        for entry in bounded:
            reading = self._readings[entry.name]
            if reading.failure:
                continue
            others = [
                config
                for name, other in self._readings.items()
                if name != entry.name and not other.failure
                for config in other.configs.values()
            ]
            claimed = self._claimed_ids(entry, others)
            with _failures_of(reading):
                self._get_all(entry, reading, list(claimed)[:MAX_INDEXED_WHEN_USED])
            identifiers = identifiers_of([*others, *reading.configs.values()])
            used = {
                key
                for config in others
                for _, key in claimed_keys(self._catalogue, config.key.type, config.candidates, identifiers)
                if key.type == entry.name
            }
            wanted = [config for config in reading.configs.values() if config.manifest or config.key in used]
            reading.capped = reading.capped or len(wanted) > MAX_INDEXED_WHEN_USED
            reading.configs = {config.key.id: config for config in wanted[:MAX_INDEXED_WHEN_USED]}

    def _check_limited_views(self) -> None:
        """Look each config up that a list no longer shows, unless this user's own build saw it there before."""
        self._unseen: set[ResourceKey] = set()
        for entry in self._catalogue.values():
            reading = self._readings[entry.name]
            if not entry.limited_view or reading.failure:
                continue
            stored = self._index.load_partition(self._run.org_id, Partition(ItemKind.NODE, entry.name))
            for key, item in stored.items():
                if key[0] == ItemKind.NODE and key[2] not in reading.configs and item.seen_by != self._run.user_id:
                    self._check()
                    self._look_up_unseen(entry, reading, key[2])

    def _look_up_unseen(self, entry: ResourceType, reading: TypeReading, config_id: str) -> None:
        try:
            for config in self._reduced(entry, [(self._find(entry, config_id), None)]):
                reading.configs[config.key.id] = config
        except CredentialsExpiredError:
            raise
        except (HubError, *_UNREADABLE):
            self._unseen.add(ResourceKey(entry.name, config_id))

    def _assign_blueprints(self) -> None:
        members: dict[ResourceKey, list[Blueprint]] = {}
        titles: dict[str, str] = {}
        if self._blueprints is None:
            for name in self._catalogue:
                stored = self._index.load_blueprints(self._run.org_id, name)
                members |= {key: list(blueprints) for key, blueprints in stored.items()}
        for blueprint, configs in self._blueprints or ():
            titles[blueprint.id] = blueprint.title
            for key in configs:
                members.setdefault(key, []).append(blueprint)
        for reading in self._readings.values():
            for config_id, config in reading.configs.items():
                reading.configs[config_id] = with_blueprints(config, members, titles)

    # Writing

    def _is_kept(self, key: ResourceKey) -> bool:
        """Tell whether a config stays in the index although the build did not read it."""
        entry = self._catalogue.get(key.type)
        if entry is None:
            return False
        if self._readings[key.type].failure or key in self._unseen:
            return True
        return entry.indexed_when_used and any(reading.failure for reading in self._readings.values())

    def _write(self) -> None:
        configs = [
            config for reading in self._readings.values() if not reading.failure for config in reading.configs.values()
        ]
        nodes = {config.key: config.node for config in configs}
        stored = self._index.load_partition(self._run.org_id, Partition(ItemKind.IDENTIFIER))
        identifiers: dict[str, list[Identified]] = identifiers_of(configs)
        known = set(nodes)
        for key, item in stored.items():
            for one in identified_in(item.content) if item.content else ():
                if one.key not in nodes and self._is_kept(one.key):
                    identifiers.setdefault(key[1], []).append(one)
                    known.add(one.key)

        by_type: dict[str, list[ReadConfig]] = {}
        edges: dict[str, list[Edge]] = {}
        inverse: dict[str, list[Edge]] = {}
        for config in configs:
            by_type.setdefault(config.key.type, []).append(config)
            for edge in edges_of(self._catalogue, config.key, config.candidates, identifiers, known.__contains__):
                edges.setdefault(edge.source.type, []).append(edge)
                inverse.setdefault(edge.target.type, []).append(edge)

        totals = dict.fromkeys(self._catalogue, 0)
        for partition, held in self._load_partitions():
            name = partition.type
            if partition.kind == ItemKind.NODE:
                desired = node_items(by_type.get(name, ())) | edge_items(edges.get(name, ()))
            elif partition.kind == ItemKind.USED_BY:
                desired = used_by_items(inverse.get(name, ()), nodes)
            else:
                desired = identifier_items(identifiers)
            changes = self._apply(desired, stored if partition.kind == ItemKind.IDENTIFIER else held)
            if partition.kind == ItemKind.NODE:
                kept = sum(key[0] == ItemKind.NODE for key in changes.kept)
                totals[name] = len(by_type.get(name, ())) + kept
        self._finish(totals)

    def _load_partitions(self) -> Iterator[tuple[Partition, Mapping[ItemKey, StoredItem]]]:
        """Yield what every partition holds, nodes before inverse edges before identifiers, reading some ahead."""
        partitions = [Partition(kind, name) for kind in (ItemKind.NODE, ItemKind.USED_BY) for name in self._catalogue]
        with ThreadPoolExecutor(_PARTITIONS_AT_ONCE) as pool:
            held = pool.map(lambda partition: self._index.load_partition(self._run.org_id, partition), partitions)
            yield from zip(partitions, held, strict=True)
        yield Partition(ItemKind.IDENTIFIER), {}

    def _apply(self, desired: Mapping[ItemKey, Content], stored: Mapping[ItemKey, StoredItem]) -> Changes:
        changes = plan_changes(desired, stored, self._is_kept, self._now())
        if changes:
            self._check()
            for _ in self._index.apply(self._run.org_id, self._run.build_token, self._run.user_id, changes):
                self._check()
            self._report.writes += len(changes)
        return changes

    def _finish(self, totals: Mapping[str, int]) -> None:
        failed = {name: reading.failure for name, reading in self._readings.items() if reading.failure}
        result = BuildResult(
            totals={name: total for name, total in totals.items() if total},
            failed_types=failed,
            not_listed={name: _why_not_listed(entry) for name, entry in self._catalogue.items() if not entry.list},
            capped={name: totals[name] for name, reading in self._readings.items() if reading.capped},
        )
        if not self._index.finish_build(self._run.org_id, self._run.build_token, self._run.user_id, result):
            raise SupersededError("A newer build of this index has begun.")
        self._report.indexed = sum(totals.values())
        self._report.failed_types = failed


#: What a payload that has not the declared shape raises.
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class _failures_of:  # noqa: N801 - reads as a statement
    """Record what keeps a type from being read; what stops the whole build passes."""

    def __init__(self, reading: TypeReading) -> None:
        self._reading = reading

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if error is None or isinstance(error, CredentialsExpiredError | SupersededError):
            return False
        if isinstance(error, HubError):
            self._reading.failure = error.message
        elif isinstance(error, _UNREADABLE):
            self._reading.failure = f"Its API answered something unexpected ({type(error).__name__})."
        else:
            return False
        self._reading.configs = {}
        self._reading.done = True
        return True


def _why_not_listed(entry: ResourceType) -> str:
    return entry.missing.get("list", "Its API has no list.")
