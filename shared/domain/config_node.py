"""The summary of one configuration, as the index keeps it, and the edges between configurations."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from shared.domain.immutable import EMPTY
from shared.domain.paths import find_value, values_at
from shared.domain.resource_type import ActiveFlag, Fields, ResourceKey, ResourceType, UsageSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


#: Characters of a title, tag or alias. Every inverse edge repeats the summary of the config it comes from, and its
#: title in its row, and an item of DynamoDB ends at 400 KB.
MAX_TEXT = 300
_MAX_TEXTS = 50


@dataclass(frozen=True, slots=True)
class Blueprint:
    """An installed blueprint."""

    id: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigNode:
    """Summary of one configuration; field names and meaning are the contract's `ConfigNode`.

    Attributes:
        updated_at: ISO 8601 in UTC with milliseconds, or None where the API has no such field.
        active: None where the type has no such flag.
        usage: the value of the type's usage metric, None where there is none; also in `metadata`.
    """

    key: ResourceKey
    title: str
    updated_at: str | None = None
    updated_by: str | None = None
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    purposes: tuple[str, ...] = ()
    link: str | None = None
    active: bool | None = None
    blueprints: tuple[Blueprint, ...] = ()
    usage: float | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class Edge:
    """One configuration uses another.

    Attributes:
        pointers: JSON pointers of the places in the using config's payload.
    """

    source: ResourceKey
    target: ResourceKey
    pointers: tuple[str, ...]


def read_node(
    resource_type: ResourceType,
    payload: Mapping[str, Any],
    item: Mapping[str, Any] | None = None,
    *,
    now: datetime,
) -> ConfigNode:
    """Summarise a configuration.

    Args:
        resource_type: its type.
        payload: the payload as `get` returns it.
        item: the list item, where the list is a summary: it fills what the payload does not have.
        now: decides whether a config that expires is still active.

    Raises:
        ValueError: the payload has no id.
    """
    config_id = find_value(payload, resource_type.fields.id)
    if config_id is None and item is not None:
        config_id = find_value(item, _listed(resource_type).id)
    if config_id is None:
        raise ValueError(f"a {resource_type.name} payload has no {resource_type.fields.id}")

    def first(name: str) -> Any:
        value = find_value(payload, getattr(resource_type.fields, name))
        if value is None and item is not None:
            value = find_value(item, getattr(_listed(resource_type), name))
        return value

    def strings(name: str) -> tuple[str, ...]:
        paths = [(payload, getattr(resource_type.fields, name))]
        if item is not None:
            paths.append((item, getattr(_listed(resource_type), name)))
        found: list[str] = []
        for source, path in paths:
            for one in (path,) if isinstance(path, str) else path:
                found.extend(strings_at(source, one))
        return tuple(dict.fromkeys(text for text in found if len(text) <= MAX_TEXT))[:_MAX_TEXTS]

    updated_by = first("updated_by")
    return with_usage(
        ConfigNode(
            key=ResourceKey(resource_type.name, str(config_id)),
            title=title_of(resource_type, payload, str(config_id), item),
            updated_at=normalise_time(first("updated_at")),
            updated_by=updated_by if isinstance(updated_by, str) else None,
            tags=strings("tags"),
            aliases=tuple(alias for alias in strings("aliases") if alias != str(config_id)),
            purposes=strings("purposes"),
            link=resource_type.link.replace("{id}", quote(str(config_id), safe="")) or None,
            active=read_active(resource_type.active, payload, now),
        ),
        resource_type,
        _usage(resource_type, payload),
    )


def with_usage(node: ConfigNode, resource_type: ResourceType, usage: float | None) -> ConfigNode:
    """Return the node with the value of its type's usage metric; unchanged where there is none."""
    if resource_type.usage is None or usage is None:
        return node
    return replace(node, usage=usage, metadata={**node.metadata, resource_type.usage.name: usage})


def summary_of(node: ConfigNode) -> dict[str, Any]:
    """Return a node as the contract's `ConfigNode`; what is not known is left out."""
    optional: dict[str, Any] = {
        "updated_at": node.updated_at,
        "updated_by": node.updated_by,
        "tags": list(node.tags),
        "aliases": list(node.aliases),
        "purposes": list(node.purposes),
        "link": node.link,
        "active": node.active,
        "blueprints": [{"id": blueprint.id, "title": blueprint.title} for blueprint in node.blueprints],
        "metadata": dict(node.metadata),
    }
    known = {name: value for name, value in optional.items() if value not in (None, [], {})}
    return {"type": node.key.type, "id": node.key.id, "title": node.title, **known}


def _listed(resource_type: ResourceType) -> Fields:
    return resource_type.listed_fields


def title_of(
    resource_type: ResourceType,
    payload: Mapping[str, Any],
    config_id: str,
    item: Mapping[str, Any] | None = None,
) -> str:
    """Return what a person calls a config, in up to 300 characters: its first title, else its id.

    Args:
        resource_type: its type.
        payload: the payload.
        config_id: its id.
        item: the list item, where the list is a summary.
    """
    for source, fields in ((payload, resource_type.fields), (item, _listed(resource_type))):
        for path in fields.title if source is not None else ():
            value = find_value(source, path)
            if isinstance(value, str) and value.strip():
                return value[:MAX_TEXT]
    return config_id


def strings_at(payload: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """Return the strings at a field path, those of an array at its end included, each once; none for an empty path."""
    if not path:
        return ()
    found: list[str] = []
    for value in values_at(payload, path):
        found.extend(str(v) for v in (value if isinstance(value, list) else [value]) if isinstance(v, str) and v)
    return tuple(dict.fromkeys(found))


def _usage(resource_type: ResourceType, payload: Mapping[str, Any]) -> float | None:
    metric = resource_type.usage
    if metric is None or not metric.path:
        return None
    value = find_value(payload, metric.path)
    if metric.source is UsageSource.FIELD:
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if metric.source is UsageSource.LENGTH:
        return len(value) if isinstance(value, list | dict) else 0
    if metric.source is UsageSource.SUM:
        numbers: Sequence[Any] = list(value.values()) if isinstance(value, dict) else value or ()
        return sum(n for n in numbers if isinstance(n, int | float))
    return None


def read_active(flag: ActiveFlag | None, payload: Mapping[str, Any], now: datetime) -> bool | None:
    """Read whether a config is in use; None where the type has no flag or the payload does not say."""
    if flag is None:
        return None
    values = [value for value in values_at(payload, flag.path) if value is not None]
    if flag.expiry:
        expiry = normalise_time(values[0]) if values else None
        return expiry is None or expiry > (normalise_time(now.isoformat()) or "")
    if not values:
        return None
    return any(map(flag.is_active, values))


def normalise_time(value: Any) -> str | None:
    """Write a point in time as ISO 8601 in UTC with milliseconds.

    Args:
        value: an ISO 8601 text, or seconds or milliseconds since the epoch.

    Returns:
        Such as `2026-03-01T08:00:00.000Z`, so that texts sort by time; None where it is no point in time.
    """
    try:
        if isinstance(value, str) and value:
            moment = datetime.fromisoformat(value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
