"""Read the configs of one organisation live, many at a time, within the time that a request has."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from shared.domain.errors import DownstreamTimeoutError, HubError, NotFoundError, PayloadTooLargeError
from shared.domain.read_config import MAX_INDEXED_WHEN_USED
from shared.domain.references import find_references
from shared.domain.resource_type import can_be_id
from shared.domain.sendable import without_secrets
from shared.use_cases.reading.list_organisation import list_type
from shared.use_cases.reading.work_off import READS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from shared.domain.ports.configs import ConfigRepository, Payload
    from shared.domain.resource_type import Catalogue, ResourceType


class OutOfTimeError(DownstreamTimeoutError):
    """The configs could not all be read in the time that a request has."""

    code = "OUT_OF_TIME"


class LiveConfigs:
    """The configs of one organisation as they are now, without secrets; what was listed once is not listed again.

    Args:
        catalogue: all resource types.
        repository: the organisation.
        ends_at: epoch seconds at which reading ends, done or not; the repository ends its waiting then, too.
        now: epoch seconds.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        repository: ConfigRepository,
        ends_at: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._catalogue = catalogue
        self._repository = repository
        self._ends_at = ends_at
        self._now = now
        self._listed: dict[str, dict[str, Payload]] = {}

    def list_items(self, resource_type: ResourceType) -> Mapping[str, Payload]:
        """Return id -> list item; a type without a list is collected, whole, from those whose references name it.

        Raises:
            OutOfTimeError: the time ended before; the message says how far it came.
            PayloadTooLargeError: it has more configs than are read of a type that holds every upload.
            HubError: whatever the list raises.
        """
        name = resource_type.name
        if name not in self._listed:
            if resource_type.list is None:
                self._listed[name] = self.get_all(resource_type, self._ids_named(resource_type))
            else:
                self._listed[name] = self._list(resource_type)
        return self._listed[name]

    def whole(self, resource_type: ResourceType, config_ids: Collection[str]) -> dict[str, Payload]:
        """Return payloads, from the list where it shows whole configs, else one by one; deleted configs are left out.

        Raises:
            HubError: as `list_items`.
        """
        if resource_type.list is None or resource_type.list.whole:
            items = self.list_items(resource_type)
            return {config_id: items[config_id] for config_id in config_ids if config_id in items}
        return self.get_all(resource_type, config_ids)

    def get_all(self, resource_type: ResourceType, config_ids: Collection[str]) -> dict[str, Payload]:
        """Return payloads, each with a call of its own; those that are gone are left out.

        Raises:
            OutOfTimeError: the time ended before.
            HubError: whatever a call raises.
        """
        ids = sorted(config_ids)

        def find(config_id: str) -> Payload | None:
            try:
                return without_secrets(resource_type, self._repository.get_config(resource_type, config_id))
            except NotFoundError:
                return None

        found: dict[str, Payload] = {}
        pool = ThreadPoolExecutor(READS_AT_ONCE)
        try:
            for config_id, payload in zip(ids, pool.map(find, ids), strict=True):
                self._check(resource_type, f"{len(found):,} of {len(ids):,}")
                if payload is not None:
                    found[config_id] = payload
        except HubError:
            self._check(resource_type, f"{len(found):,} of {len(ids):,}")
            raise
        finally:
            pool.shutdown(cancel_futures=True)
        return found

    def _list(self, resource_type: ResourceType) -> dict[str, Payload]:
        read = 0

        def on_page(number: int, more: bool) -> None:
            nonlocal read
            read = number
            if more and resource_type.indexed_when_used and number >= MAX_INDEXED_WHEN_USED:
                raise PayloadTooLargeError(
                    f"{resource_type.name}: there are more than the {MAX_INDEXED_WHEN_USED:,} that are read of it."
                )
            if more:
                self._check(resource_type, f"{number:,}")

        try:
            return list_type(resource_type, self._repository, on_page)
        except HubError:
            self._check(resource_type, f"{read:,}")
            raise

    def _ids_named(self, resource_type: ResourceType) -> set[str]:
        named: set[str] = set()
        for name in resource_type.collected_from:
            owner = self._catalogue[name]
            for payload in self.whole(owner, self.list_items(owner).keys()).values():
                found = find_references(owner, payload, lambda _: False)
                named |= {one.identifier for one in found if resource_type.name in one.to and can_be_id(one.identifier)}
        return named

    def _check(self, resource_type: ResourceType, read: str) -> None:
        if self._now() >= self._ends_at:
            raise OutOfTimeError(f"{resource_type.name}: only {read} could be read in the time that a request has.")
