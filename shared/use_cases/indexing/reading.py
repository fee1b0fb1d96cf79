"""Read an organisation for its index: all types side by side, those without a list by what names them.

list types ──► collect unlisted ──► bound `when used` ──► look after limited views ──► assign blueprints
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import replace
from datetime import UTC, datetime
from itertools import batched
from typing import TYPE_CHECKING

from shared.domain.config_node import Blueprint, with_usage
from shared.domain.edges import claimed_keys, identifiers_of
from shared.domain.errors import CredentialsExpiredError, HubError, NotFoundError
from shared.domain.identifiers import identifying_fields
from shared.domain.index_items import (
    ItemKind,
    Partition,
)
from shared.domain.index_state import SupersededError
from shared.domain.paths import find_value
from shared.domain.read_config import (
    MAX_INDEXED_WHEN_USED,
    ReadConfig,
    UnindexableConfigError,
    read_config,
    with_blueprints,
)
from shared.domain.resource_type import Form, ResourceKey, ResourceType, UsageSource, can_be_id
from shared.use_cases.indexing.build_run import Build, OutOfTimeError, TypeReading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from shared.domain.ports.configs import Payload

_TYPES_AT_ONCE = 8

_DETAILS_PER_ROUND = 64

_COUNTED_SOURCES = frozenset({UsageSource.ENTITY_COUNT, UsageSource.ASSIGNMENTS})


class Reading:
    """The reading stages of a build.

    Args:
        build: what they share.
        details: reads payloads one by one, for all types.
    """

    def __init__(self, build: Build, details: ThreadPoolExecutor) -> None:
        self._build = build
        self._details = details
        self._fields = identifying_fields(build.catalogue)

    def read_listed_types(self) -> None:
        """Read all types that have a list, and the blueprints beside them."""
        pending = [
            entry for name, entry in self._build.catalogue.items() if entry.list and not self._build.readings[name].done
        ]
        with ThreadPoolExecutor(_TYPES_AT_ONCE) as types:
            futures: list[Future[None]] = [types.submit(self._read_type, entry) for entry in pending]
            if self._build.blueprints is None:
                futures.append(types.submit(self._read_blueprints))
            self._settle(futures)

    def _settle(self, futures: Iterable[Future[None]]) -> None:
        """Wait for all; the first one that stops the build stops the others at their next page."""
        fatal: BaseException | None = None
        for future in as_completed(futures):
            error = future.exception()
            if error is None:
                continue
            if fatal is None or isinstance(fatal, OutOfTimeError):
                fatal = error
            self._build.stop.set()
        if fatal is not None:
            raise fatal

    def _read_type(self, entry: ResourceType) -> None:
        reading = self._build.readings[entry.name]
        with failures_of(reading):
            if not reading.listed:
                self._read_pages(entry, reading)
            self._build.check()
            self._count_usage(entry, reading)
            reading.done = True

    def _read_pages(self, entry: ResourceType, reading: TypeReading) -> None:
        for page in self._build.repository.list_pages(entry, reading.resume):
            # Whole pages only: the next invocation reads a page again that this one does not finish.
            configs = list(self._read_items(entry, page.items))
            reading.configs |= {config.key.id: config for config in configs}
            reading.resume = page.resume
            if entry.indexed_when_used and len(reading.configs) >= MAX_INDEXED_WHEN_USED and page.resume is not None:
                reading.capped = True
                break
            if page.resume is not None:
                self._build.check()
        reading.listed = True

    def _read_items(self, entry: ResourceType, items: Collection[Payload]) -> Iterator[ReadConfig]:
        if entry.lists_whole:
            yield from self._reduced(entry, ((item, None) for item in items))
            return
        path = entry.listed_fields.id
        by_id = {str(config_id): item for item in items if (config_id := find_value(item, path)) is not None}
        payloads = self._details.map(lambda config_id: self._find(entry, config_id), by_id)
        yield from self._reduced(entry, zip(payloads, by_id.values(), strict=True))

    def _find(self, entry: ResourceType, config_id: str) -> Payload | None:
        self._build.check_time()
        try:
            return self._build.repository.get_config(entry, config_id)
        except NotFoundError:
            return None

    def _reduced(
        self, entry: ResourceType, found: Iterable[tuple[Payload | None, Payload | None]]
    ) -> Iterator[ReadConfig]:
        """Yield what is kept of payloads, each given with its list item where the list is a summary."""
        for payload, item in found:
            if payload is None:
                continue
            moment = datetime.fromtimestamp(self._build.now(), UTC)
            try:
                config = read_config(entry, payload, item, self._fields[entry.name], moment)
            except UnindexableConfigError as error:
                self._build.report.warnings.append(error.message)
                continue
            link = (
                config.node.link
                and self._build.run.app_url
                and f"{self._build.run.app_url.rstrip('/')}{config.node.link}"
            )
            yield replace(config, node=replace(config.node, link=link or None))

    def _count_usage(self, entry: ResourceType, reading: TypeReading) -> None:
        """Ask for a metric that no payload carries; without an answer the nodes have none, which is no failed type."""
        if entry.usage is None or entry.usage.source not in _COUNTED_SOURCES or not reading.configs:
            return
        try:
            usage = self._build.repository.count_usage(entry, list(reading.configs))
        except CredentialsExpiredError:
            raise
        except HubError as error:
            self._build.report.warnings.append(f"{entry.name}: usage could not be counted. {error.message}")
            return
        for config_id, value in usage.items():
            if config_id in reading.configs:
                config = reading.configs[config_id]
                reading.configs[config_id] = replace(config, node=with_usage(config.node, entry, value))

    def _read_blueprints(self) -> None:
        try:
            members = self._build.repository.list_blueprint_members()
            self._build.blueprints = [(blueprint, list(configs)) for blueprint, configs in members]
        except CredentialsExpiredError:
            raise
        except HubError as error:
            self._build.report.warnings.append(
                f"Blueprints could not be read: configs keep those they had. {error.message}"
            )

    def read_unlisted_types(self) -> None:
        """Get the configs of types without a list by the references that other configs make to them."""
        for entry in self._build.catalogue.values():
            reading = self._build.readings[entry.name]
            if entry.list is not None or reading.done or not entry.collected_from:
                continue
            failed = [name for name in entry.collected_from if self._build.readings[name].failure]
            sources = (
                config for name in entry.collected_from for config in self._build.readings[name].configs.values()
            )
            with failures_of(reading):
                self._get_all(entry, reading, self._claimed_ids(entry, sources))
            if failed and not reading.failure:
                reading.failure = f"It is collected from {', '.join(failed)}, which could not be read."
            reading.done = True

    def _claimed_ids(self, entry: ResourceType, sources: Iterable[ReadConfig]) -> dict[str, None]:
        """Return the ids of a type that typed references of other configs claim, in a stable order."""
        claimed: dict[str, None] = {}
        for config in sources:
            references = self._build.catalogue[config.key.type].references
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
            self._build.check()
            payloads = self._details.map(lambda config_id: self._find(entry, config_id), group)
            for config in self._reduced(entry, ((payload, None) for payload in payloads)):
                reading.configs[config.key.id] = config

    def bound_types_indexed_when_used(self) -> None:
        """Keep of such a type only what has a manifest or what an indexed config refers to, up to the limit."""
        bounded = [entry for entry in self._build.catalogue.values() if entry.indexed_when_used]
        for entry in bounded:
            reading = self._build.readings[entry.name]
            if reading.failure:
                continue
            others = [
                config
                for name, other in self._build.readings.items()
                if name != entry.name and not other.failure
                for config in other.configs.values()
            ]
            claimed = self._claimed_ids(entry, others)
            with failures_of(reading):
                self._get_all(entry, reading, list(claimed)[:MAX_INDEXED_WHEN_USED])
            identifiers = identifiers_of([*others, *reading.configs.values()])
            used = {
                key
                for config in others
                for _, key in claimed_keys(self._build.catalogue, config.key.type, config.candidates, identifiers)
                if key.type == entry.name
            }
            wanted = [config for config in reading.configs.values() if config.manifest or config.key in used]
            reading.capped = reading.capped or len(wanted) > MAX_INDEXED_WHEN_USED
            reading.configs = {config.key.id: config for config in wanted[:MAX_INDEXED_WHEN_USED]}

    def check_limited_views(self) -> None:
        """Look each config up that a list no longer shows, unless this user's own build saw it there before."""
        self._build.unseen = set()
        for entry in self._build.catalogue.values():
            reading = self._build.readings[entry.name]
            if not entry.limited_view or reading.failure:
                continue
            stored = self._build.index.load_partition(self._build.run.org_id, Partition(ItemKind.NODE, entry.name))
            for key, item in stored.items():
                if (
                    key[0] == ItemKind.NODE
                    and key[2] not in reading.configs
                    and item.seen_by != self._build.run.user_id
                ):
                    self._build.check()
                    self._look_up_unseen(entry, reading, key[2])

    def _look_up_unseen(self, entry: ResourceType, reading: TypeReading, config_id: str) -> None:
        try:
            for config in self._reduced(entry, [(self._find(entry, config_id), None)]):
                reading.configs[config.key.id] = config
        except CredentialsExpiredError:
            raise
        except (HubError, *_UNREADABLE):
            self._build.unseen.add(ResourceKey(entry.name, config_id))

    def assign_blueprints(self) -> None:
        """Give each config the blueprints that name it; if they could not be read, it keeps its earlier ones."""
        members: dict[ResourceKey, list[Blueprint]] = {}
        titles: dict[str, str] = {}
        if self._build.blueprints is None:
            for name in self._build.catalogue:
                stored = self._build.index.load_blueprints(self._build.run.org_id, name)
                members |= {key: list(blueprints) for key, blueprints in stored.items()}
        for blueprint, configs in self._build.blueprints or ():
            titles[blueprint.id] = blueprint.title
            for key in configs:
                members.setdefault(key, []).append(blueprint)
        for reading in self._build.readings.values():
            for config_id, config in reading.configs.items():
                reading.configs[config_id] = with_blueprints(config, members, titles)


#: What a payload that has not the declared shape raises.
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


class failures_of:  # noqa: N801 - reads as a statement
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
