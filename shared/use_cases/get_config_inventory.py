"""List every configuration of an organisation live, as type and id."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from shared.domain.errors import HubError
from shared.domain.job import iso_time
from shared.domain.redaction import redact
from shared.use_cases.reading.live_configs import LiveConfigs, OutOfTimeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from shared.domain.ports.configs import ConfigRepository
    from shared.domain.resource_type import Catalogue, ResourceType

_TYPES_AT_ONCE = 12


def get_config_inventory(
    catalogue: Catalogue,
    current: ConfigRepository,
    *,
    inventory_id: str,
    include_dependency_only: bool,
    ends_at: float,
    now: Callable[[], float],
) -> dict[str, Any]:
    """Return what the organisation has right now; a type that cannot be listed is named with the reason.

    Args:
        catalogue: all resource types.
        current: the caller's organisation.
        inventory_id: a new UUID.
        include_dependency_only: list types too that have no list of their own: what other configs name of them.
        ends_at: epoch seconds at which reading ends.
        now: epoch seconds.

    Returns:
        The contract's `ConfigInventoryResponse`.

    Raises:
        OutOfTimeError: not every type could be read in the time; the message names those and the count so far.
    """
    inventory = _Inventory(LiveConfigs(catalogue, current, ends_at, now))
    inventory.read(entry for entry in catalogue.values() if entry.list is not None)
    if include_dependency_only:
        inventory.read(entry for entry in catalogue.values() if entry.list is None)
    resources = [
        {"type": name, "id": config_id} for name in catalogue for config_id in sorted(inventory.found.get(name, ()))
    ]
    if inventory.unfinished:
        raise OutOfTimeError(
            f"{len(resources):,} configs were read in the time that a request has, but not all of"
            f" {', '.join(sorted(inventory.unfinished))}."
        )
    return {
        "inventory_id": inventory_id,
        "org_id": current.org_id,
        "indexed_at": iso_time(now()),
        "resources_count": len(resources),
        "resources": resources,
        "skipped_types": [
            {"type": name, "reason": inventory.skipped[name]} for name in catalogue if name in inventory.skipped
        ],
    }


class _Inventory:
    """What was found so far.

    Attributes:
        found: type -> ids.
        skipped: type -> why it could not be listed.
        unfinished: types that there was no time for.
    """

    def __init__(self, live: LiveConfigs) -> None:
        self._live = live
        self.found: dict[str, list[str]] = {}
        self.skipped: dict[str, str] = {}
        self.unfinished: list[str] = []

    def read(self, types: Iterable[ResourceType]) -> None:
        """List types at the same time; what fails is noted."""
        with ThreadPoolExecutor(_TYPES_AT_ONCE) as pool:
            list(pool.map(self._read_type, types))

    def _read_type(self, resource_type: ResourceType) -> None:
        name = resource_type.name
        failed = [owner for owner in resource_type.collected_from if owner in self.skipped]
        if failed:
            self.skipped[name] = f"It is collected from {', '.join(failed)}, which could not be listed."
            return
        try:
            self.found[name] = list(self._live.list_items(resource_type))
        except OutOfTimeError:
            self.unfinished.append(name)
        except HubError as error:
            self.skipped[name] = redact(error.message)
