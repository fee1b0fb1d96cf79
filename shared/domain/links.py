"""What the references of a payload name, and how they read on the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.domain.graph import CHEAP, FREE, HARD, REQUIRED, SOFT
from shared.domain.paths import is_plain, values_at
from shared.domain.referable_fields import read_fields, referable_fields
from shared.domain.references import FoundReference, Identified, Identifiers, find_references, is_copied, resolve
from shared.domain.resource_type import Catalogue, ResourceKey, ResourceType, Strength

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.domain.plan import SourceConfig, TargetConfig


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """A found reference and the field of the config that it names.

    Attributes:
        referent: the config; None where it is of no resource type or not known.
        field: the field path whose value the reference holds.
        position: of several values of the field, which one.
        copied: the field goes to the target as it is, so that the reference holds there too.
    """

    found: FoundReference
    referent: ResourceKey | None
    field: str = "id"
    position: int = 0
    copied: bool = False

    @property
    def required(self) -> bool:
        """The API refuses a create without it."""
        return self.found.reference is not None and self.found.reference.required

    @property
    def hard(self) -> bool:
        """The config is not written where the referent could not be."""
        return self.required or self.found.strength is Strength.HARD

    @property
    def free(self) -> bool:
        """It stays in the payload whether the referent is there or not."""
        return (self.found.portable or self.copied) and not self.required and not (self.hard and self.found.certain)

    @property
    def cost(self) -> int:
        """What it costs to write it later."""
        if self.free:
            return FREE
        if self.required:
            return REQUIRED
        if self.found.reference is not None and self.found.reference.deferrable:
            return CHEAP
        return HARD if self.hard else SOFT


class Links:
    """Finds the references of payloads of a closure.

    Args:
        catalogue: all resource types.
        configs: the closure; what its payloads say of their own ids and aliases is known, too.
        identifiers: ids and aliases that the source organisation knows.
    """

    def __init__(
        self, catalogue: Catalogue, configs: Mapping[ResourceKey, SourceConfig], identifiers: Identifiers
    ) -> None:
        self._catalogue = catalogue
        self._configs = configs
        self._fields = {name: referable_fields(catalogue, name) for name in catalogue}
        self._identifiers = self._with_own(identifiers)

    def knows(self, identifier: str) -> bool:
        """Tell whether the source organisation has something by this id or alias."""
        return identifier in self._identifiers

    def _with_own(self, identifiers: Identifiers) -> dict[str, Sequence[Identified]]:
        """Add what the fetched payloads themselves say about their ids and aliases."""
        known: dict[str, Sequence[Identified]] = dict(identifiers)
        for key, config in self._configs.items():
            named = {key.id: "id"}
            for path, value in read_fields(self._fields[key.type], config.payload or {}).items():
                for one in value if isinstance(value, list) else (value,):
                    if isinstance(one, str) and one:
                        named.setdefault(one, path)
            for identifier, path in named.items():
                others = [one for one in known.get(identifier, ()) if one.key != key]
                known[identifier] = (*others, Identified(key, path))
        return known

    def find(self, resource_type: ResourceType, payload: Any) -> list[Link]:
        """Return the references in a payload, in the order of the walk."""
        return [self._link(found) for found in find_references(resource_type, payload, self._identifiers.__contains__)]

    def _link(self, found: FoundReference) -> Link:
        identified = resolve(found, self._identifiers, self._catalogue)
        if identified is None or identified.key.type not in self._catalogue:
            return Link(found, None)
        if found.identifier == identified.key.id:
            return Link(found, identified.key)
        position = 0
        config = self._configs.get(identified.key)
        if config is not None and config.payload is not None and not is_plain(identified.field):
            values = list(values_at(config.payload, identified.field))
            position = values.index(found.identifier) if found.identifier in values else 0
        copied = is_copied(self._catalogue[identified.key.type], identified.field)
        return Link(found, identified.key, identified.field, position, copied)

    def value(self, link: Link, target_id: str, fields: Mapping[str, Any]) -> str | None:
        """Return what a reference says on the target, given its referent there; None where that is not known yet."""
        if link.field == "id":
            return target_id
        value = fields.get(link.field)
        if isinstance(value, list):
            value = value[link.position] if link.position < len(value) else None
        if isinstance(value, str):
            return value
        return link.found.identifier if link.copied else None

    def read(self, target: TargetConfig) -> dict[str, Any]:
        """Return the fields of a target config by which others may name it."""
        return read_fields(self._fields[target.key.type], target.payload)
