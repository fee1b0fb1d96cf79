"""Tell which configs the platform owns, and which no delete job takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.domain.paths import values_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.domain.resource_type import ResourceType, SystemManaged


def find_system_managed(resource_type: ResourceType, payload: Mapping[str, Any], org_id: str) -> SystemManaged | None:
    """Return the kind of system-managed config that a payload is, if it is one.

    Args:
        resource_type: its type.
        payload: the payload.
        org_id: the organisation that it was read from.
    """
    return _first_marked(resource_type.system_managed, payload, org_id)


def find_delete_guard(resource_type: ResourceType, payload: Mapping[str, Any], org_id: str) -> SystemManaged | None:
    """Return the kind that keeps a config from being deleted by a job, if there is one.

    Args:
        resource_type: its type.
        payload: the payload.
        org_id: the organisation that it was read from.
    """
    return _first_marked((*resource_type.system_managed, *resource_type.delete_guards), payload, org_id)


def _first_marked(kinds: Iterable[SystemManaged], payload: Mapping[str, Any], org_id: str) -> SystemManaged | None:
    for kind in kinds:
        for value in values_at(payload, kind.path):
            if kind.foreign_org:
                marked = isinstance(value, str) and value not in ("", org_id)
            elif kind.prefix:
                marked = isinstance(value, str) and value.startswith(kind.prefix)
            elif kind.values:
                marked = any(type(value) is type(one) and value == one for one in kind.values)
            else:
                marked = value is not None and value is not False
            if marked:
                return kind
    return None
