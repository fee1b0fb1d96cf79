"""List a whole organisation live: what its ids and aliases stand for, round by round until all of it is read."""

from __future__ import annotations

import json
import zlib
from collections import Counter, deque
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.domain.errors import CredentialsExpiredError, HubError, NotFoundError, TransientError
from shared.domain.identifiers import identifiers_in, identifying_fields
from shared.domain.paths import find_value
from shared.domain.read_config import MAX_INDEXED_WHEN_USED
from shared.domain.references import Identified
from shared.domain.resource_type import ResourceKey, can_be_id
from shared.domain.sendable import without_secrets
from shared.use_cases.reading.work_off import READS_AT_ONCE, work_off

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from shared.domain.ports.configs import ConfigPage, ConfigRepository, Payload
    from shared.domain.resource_type import Catalogue, ResourceType

# A page may be a thousand payloads: this bounds how many of them are in memory.
_PAGES_AT_ONCE = 4
_MAX_IDLE_ROUNDS = 5
_MAX_KEPT_BYTES = 64 * 1024 * 1024


class KeptPayloads:
    """Payloads that were read whole and need not be read again: packed, and no more than a bounded memory takes."""

    def __init__(self, max_bytes: int = _MAX_KEPT_BYTES) -> None:
        self._bytes_left = max_bytes
        self._packed: dict[ResourceKey, bytes] = {}

    def keep(self, key: ResourceKey, packed: bytes) -> None:
        """Keep a packed payload, unless there is no room for it."""
        if len(packed) <= self._bytes_left:
            self._bytes_left -= len(packed)
            self._packed[key] = packed

    def find(self, key: ResourceKey) -> Payload | None:
        """Return a payload; None where it is not kept."""
        packed = self._packed.get(key)
        return None if packed is None else _unpack(packed)


def _pack(payload: Payload) -> bytes:
    return zlib.compress(json.dumps(payload).encode(), 1)


def _unpack(packed: bytes) -> Payload:
    payload: Payload = json.loads(zlib.decompress(packed))
    return payload


@dataclass(slots=True)
class TypeProgress:
    """How far the listing of one type is.

    Attributes:
        resume: where its list goes on.
        listed: its list is at its end, or given up.
        read: how many configs its list has had.
        left: ids whose payloads are still to be read.
        idle_rounds: how many rounds in a row brought nothing but failures.
        list_error: why its list was given up.
        unread: how many configs were given up.
        read_error: why the last of them was.
    """

    resume: Any = None
    listed: bool = False
    read: int = 0
    left: dict[str, None] = field(default_factory=dict)
    idle_rounds: int = 0
    list_error: str = ""
    unread: int = 0
    read_error: str = ""

    @property
    def is_done(self) -> bool:
        """Nothing is left to be read."""
        return self.listed and not self.left


@dataclass(slots=True)
class Listing:
    """What a whole organisation was seen to have, and how far the looking is.

    Attributes:
        identifiers: id or alias -> what it stands for.
        fresh: the part of it that was found since the listing was begun or loaded.
        types: type -> how far it is; empty before the first round.
        kept: payloads that were read whole since the listing was begun or loaded.
    """

    identifiers: dict[str, list[Identified]] = field(default_factory=dict)
    fresh: dict[str, list[Identified]] = field(default_factory=dict)
    types: dict[str, TypeProgress] = field(default_factory=dict)
    kept: KeptPayloads = field(default_factory=KeptPayloads)

    @property
    def is_done(self) -> bool:
        """Nothing is left to be read."""
        return bool(self.types) and all(progress.is_done for progress in self.types.values())

    @property
    def warnings(self) -> list[str]:
        """What could not be looked at, at most two sentences a type."""
        said: list[str] = []
        for name, progress in self.types.items():
            if progress.list_error:
                said.append(f"{name} could not be listed in the source: {progress.list_error}")
            if progress.unread:
                said.append(f"{name}: {progress.unread:,} could not be read in the source: {progress.read_error}")
        return said

    def add(self, key: ResourceKey, identifiers: Mapping[str, str]) -> None:
        """Take up a config with what names it: identifier -> the field whose value it is."""
        for value, path in identifiers.items():
            for known in (self.identifiers, self.fresh):
                known.setdefault(value, []).append(Identified(key, path))

    def progress_to_json(self) -> dict[str, Any]:
        """Return the progress of every type as a JSON object; found identifiers are stored apart."""
        return {name: asdict(progress) for name, progress in self.types.items()}

    @classmethod
    def from_json(cls, progress: Mapping[str, Any], identifiers: dict[str, list[Identified]]) -> Listing:
        """Return a listing that goes on from stored progress, with what was found until then."""
        return cls(identifiers, types={name: TypeProgress(**value) for name, value in progress.items()})


def list_organisation(
    catalogue: Catalogue,
    repository: ConfigRepository,
    now: float | Callable[[], float],
    listing: Listing | None = None,
    hand_back_at: float = inf,
) -> Listing:
    """List every type that can be listed, until time runs low or what is left has to be tried again later.

    What fails for a passing reason is left to the next round. A type is given up once five rounds in a row brought
    nothing but failures; its configs are known by the ids that its list had.

    Args:
        catalogue: all resource types.
        repository: the organisation.
        now: epoch seconds, or what tells them.
        listing: goes on with this one; None begins a new one.
        hand_back_at: epoch seconds from which nothing new is begun.

    Returns:
        The listing; `is_done` says whether it takes a further round.

    Raises:
        CredentialsExpiredError: the token is not accepted.
    """
    listing = listing or Listing()
    _Round(catalogue, repository, listing, lambda: (now() if callable(now) else now) < hand_back_at).run()
    if listing.is_done:
        for known in listing.identifiers.values():
            known.sort(key=lambda one: (one.key, one.field))
    return listing


class _Config(NamedTuple):
    """What is kept of a config that was read."""

    id: str
    identifiers: Mapping[str, str]
    packed: bytes | None = None


class _Pages(NamedTuple):
    """What is kept of pages: their configs, or, where each has to be read by itself, only the ids."""

    configs: list[_Config]
    ids: list[str]
    resume: Any


#: A type, and the config whose payload is read; None: its list is read on.
_Task = tuple[str, str | None]


class _Round:
    """One go at what is left of a listing."""

    def __init__(
        self, catalogue: Catalogue, repository: ConfigRepository, listing: Listing, has_time: Callable[[], bool]
    ) -> None:
        if not listing.types:
            listing.types = {name: TypeProgress() for name, entry in catalogue.items() if entry.list is not None}
        self._catalogue = catalogue
        self._repository = repository
        self._listing = listing
        self._has_time = has_time
        self._fields = identifying_fields(catalogue)
        self._seen = {one.key for known in listing.identifiers.values() for one in known}
        self._lists = deque(name for name, progress in listing.types.items() if not progress.listed)
        self._pages: dict[str, Iterator[ConfigPage]] = {}
        self._pages_running = 0
        self._details: deque[ResourceKey] = deque()
        for name, progress in listing.types.items():
            self._details += (ResourceKey(name, config_id) for config_id in progress.left)
        self._seen |= set(self._details)
        self._advanced: set[str] = set()
        self._why_unlisted: dict[str, str] = {}
        self._why_unread: dict[str, str] = {}
        self._failures_in_a_row: Counter[str] = Counter()

    def run(self) -> None:
        """Read pages and payloads side by side, then see which types came on."""
        with closing(work_off(self._pick, READS_AT_ONCE)) as ended:
            for (name, config_id), outcome in ended:
                if config_id is None:
                    self._pages_running -= 1
                try:
                    self._take(name, outcome.result())
                except CredentialsExpiredError:
                    raise
                except HubError as error:
                    self._fail(name, config_id, error)
        for name in self._why_unlisted.keys() | self._why_unread.keys():
            progress = self._listing.types[name]
            progress.idle_rounds = 0 if name in self._advanced else progress.idle_rounds + 1
            if progress.idle_rounds < _MAX_IDLE_ROUNDS:
                continue
            if name in self._why_unlisted:
                self._give_up_list(name, progress)
            if name in self._why_unread:
                self._give_up_configs(name, progress, list(progress.left))

    def _pick(self) -> tuple[_Task, Callable[[], _Pages | _Config]] | None:
        if not self._has_time():
            return None
        if self._lists and self._pages_running < _PAGES_AT_ONCE:
            name = self._lists.popleft()
            self._pages_running += 1
            return (name, None), partial(self._read_pages, self._catalogue[name], self._listing.types[name].resume)
        while self._details:
            key = self._details.popleft()
            # An API that is down is asked no more in this round.
            if self._failures_in_a_row[key.type] < READS_AT_ONCE:
                return key, partial(self._read_config, self._catalogue[key.type], key.id)
        return None

    # In a worker

    def _read_pages(self, entry: ResourceType, resume: Any) -> _Pages:
        """Read a page, and on to where the list can be resumed or ends."""
        if entry.name not in self._pages:
            self._pages[entry.name] = self._repository.list_pages(entry, resume)
        path = entry.listed_fields.id
        is_summary = entry.list is not None and not entry.lists_whole and bool(self._fields[entry.name])
        read = _Pages([], [], None)
        for page in self._pages[entry.name]:
            found = ((find_value(item, path), item) for item in page.items)
            items = {str(config_id): item for config_id, item in found if config_id is not None}
            if is_summary:
                read.ids.extend(items)
            else:
                read.configs.extend(self._reduced(entry, *item) for item in items.items())
            if page.resume is not None:
                return read._replace(resume=page.resume)
        return read

    def _read_config(self, entry: ResourceType, config_id: str) -> _Config:
        return self._reduced(entry, config_id, self._repository.get_config(entry, config_id), whole=True)

    def _reduced(self, entry: ResourceType, config_id: str, payload: Payload, *, whole: bool = False) -> _Config:
        cleaned = without_secrets(entry, payload)
        is_whole = whole or entry.lists_whole
        identifiers = identifiers_in(cleaned, config_id, self._fields[entry.name])
        return _Config(config_id, identifiers, _pack(cleaned) if is_whole else None)

    # As a task ends

    def _take(self, name: str, read: _Pages | _Config) -> None:
        self._advanced.add(name)
        progress = self._listing.types[name]
        if isinstance(read, _Config):
            self._failures_in_a_row[name] = 0
            progress.left.pop(read.id, None)
            self._add(name, read)
            return
        # A page may show once more what an earlier one had.
        for config in read.configs:
            if self._is_new(name, config.id):
                self._add(name, config)
        for config_id in read.ids:
            if self._is_new(name, config_id):
                progress.left[config_id] = None
                self._details.append(ResourceKey(name, config_id))
        progress.read += len(read.configs) + len(read.ids)
        progress.resume = read.resume
        is_enough = self._catalogue[name].indexed_when_used and progress.read >= MAX_INDEXED_WHEN_USED
        progress.listed = read.resume is None or is_enough
        if progress.listed:
            del self._pages[name]
        else:
            # Lists that are open go first: each holds a page.
            self._lists.appendleft(name)

    def _is_new(self, name: str, config_id: str) -> bool:
        key = ResourceKey(name, config_id)
        if key in self._seen:
            return False
        self._seen.add(key)
        if can_be_id(config_id):
            return True
        self._listing.types[name].unread += 1
        self._listing.types[name].read_error = "Its id is too long or has control characters."
        return False

    def _add(self, name: str, config: _Config) -> None:
        key = ResourceKey(name, config.id)
        self._listing.add(key, config.identifiers)
        if config.packed is not None:
            self._listing.kept.keep(key, config.packed)

    def _fail(self, name: str, config_id: str | None, error: HubError) -> None:
        progress = self._listing.types[name]
        if config_id is None:
            self._pages.pop(name, None)
            self._why_unlisted[name] = error.message
            if not isinstance(error, TransientError):
                self._give_up_list(name, progress)
        elif isinstance(error, NotFoundError):
            # It was deleted since it was listed.
            del progress.left[config_id]
            self._advanced.add(name)
            self._failures_in_a_row[name] = 0
        else:
            self._failures_in_a_row[name] += 1
            self._why_unread[name] = error.message
            if not isinstance(error, TransientError):
                self._give_up_configs(name, progress, [config_id])

    def _give_up_list(self, name: str, progress: TypeProgress) -> None:
        progress.listed = True
        progress.list_error = self._why_unlisted[name]

    def _give_up_configs(self, name: str, progress: TypeProgress, config_ids: Sequence[str]) -> None:
        for config_id in config_ids:
            del progress.left[config_id]
            self._listing.add(ResourceKey(name, config_id), {config_id: "id"})
        progress.unread += len(config_ids)
        progress.read_error = self._why_unread[name]


def list_type(
    resource_type: ResourceType,
    repository: ConfigRepository,
    on_page: Callable[[int, bool], None] = lambda _read, _more: None,
) -> dict[str, Payload]:
    """Return id -> list item of a type, without secrets.

    Args:
        resource_type: its type.
        repository: the organisation.
        on_page: called after every page with the number of items so far and whether there are more; what it raises
            ends the list.

    Raises:
        HubError: whatever the list raises.
    """
    path = resource_type.listed_fields.id
    items: dict[str, Payload] = {}
    for page in repository.list_pages(resource_type):
        for item in page.items:
            config_id = find_value(item, path)
            if config_id is not None:
                items[str(config_id)] = without_secrets(resource_type, item)
        on_page(len(items), page.resume is not None)
        if resource_type.indexed_when_used and len(items) >= MAX_INDEXED_WHEN_USED:
            break
    return items
