"""What of a payload may leave its organisation, and what it leads to there: no secret, nothing server-assigned."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from shared.domain.immutable import EMPTY
from shared.domain.paths import (
    ANY_KEY,
    copy_json,
    covers,
    find_value,
    follow,
    parse_path,
    places_at,
    remove_paths,
    remove_places,
)
from shared.domain.references import Identifiers, Step, find_references, held_within, is_by_name, resolve
from shared.domain.resource_type import Catalogue, ResourceKey, ResourceType, can_be_id

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def without_secrets(resource_type: ResourceType, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a payload without its secrets; what says nothing but templates is none."""
    copied: dict[str, Any] = copy_json(payload)
    _remove_secrets(resource_type, copied)
    return copied


def _remove_secrets(resource_type: ResourceType, payload: Any) -> None:
    for path in resource_type.secrets:
        remove_places(payload, [steps for steps, _ in secrets_at(payload, path)])


#: Headers and parameters that carry no credential, in lower case with hyphens.
_NO_CREDENTIALS = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-encoding",
        "accept-language",
        "audience",
        "cache-control",
        "connection",
        "content-encoding",
        "content-language",
        "content-type",
        "grant-type",
        "odata-maxversion",
        "odata-version",
        "prefer",
        "resource",
        "response-type",
        "scope",
        "user-agent",
    }
)
_TEMPLATE = re.compile(r"\{\{\{?\s*+[A-Za-z_][A-Za-z0-9_.-]*+\s*+\}?\}\}")
_SCHEME = re.compile(r"\s*+(?:basic|bearer|token|apikey)?[\s:]*+", re.IGNORECASE)


def secrets_at(payload: Any, path: str) -> list[tuple[tuple[Step, ...], Any]]:
    """Return the places at a path of `ResourceType.secrets`, and the values, that are secrets indeed."""
    return [(steps, value) for steps, value in places_at(payload, path) if _is_secret(payload, path, steps, value)]


def _is_secret(payload: Any, path: str, steps: tuple[Step, ...], value: Any) -> bool:
    name = None
    if path.endswith(ANY_KEY):
        name = steps[-1]
    elif path.endswith("[].value"):
        name = follow(payload, (*steps[:-1], "key"))
    if isinstance(name, str) and name.strip().lower().replace("_", "-") in _NO_CREDENTIALS:
        return False
    if not isinstance(value, str):
        return True
    rest = _TEMPLATE.sub("", value)
    return rest == value or _SCHEME.fullmatch(rest) is None


def sendable(resource_type: ResourceType, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of what of a payload may be sent to another organisation, its references not yet remapped."""
    kept = payload
    if resource_type.keep_only:
        names = {parse_path(path)[0] for path in resource_type.keep_only}
        kept = {name: value for name, value in payload.items() if name in names}
    sent: dict[str, Any] = remove_paths(kept, resource_type.strip)
    _remove_secrets(resource_type, sent)
    for path in resource_type.external_strip:
        held = held_within(resource_type, sent, path)
        remove_places(sent, [steps for steps, _ in places_at(sent, path) if steps not in held])
    for path, name in resource_type.drop_without.items():
        remove_places(sent, [steps for steps, item in places_at(sent, path) if find_value(item, name) is None])
    return sent


def referents_of(
    resource_type: ResourceType,
    payload: Any,
    identifiers: Identifiers,
    catalogue: Catalogue = EMPTY,
    below: Collection[str] | None = None,
) -> dict[ResourceKey, bool]:
    """Return the configs that a payload leads to when it is copied: what a closure follows.

    Places that are not copied (server-assigned, secrets, values bound to the source organisation) do not count, nor
    does a value that can be no id.

    Args:
        resource_type: the type of the payload.
        payload: the payload as it was fetched.
        identifiers: all ids and aliases that the organisation knows.
        catalogue: as for `resolve`.
        below: only what stands at or below these paths counts; None: everything.

    Returns:
        In payload order; True where it is reached only by name (slug, key, template, role).
    """
    reached: dict[ResourceKey, bool] = {}
    for found in find_references(resource_type, sendable(resource_type, payload), identifiers.__contains__):
        if below is not None and not any(covers(path, found.steps) for path in below):
            continue
        identified = resolve(found, identifiers, catalogue)
        if identified is not None and can_be_id(found.identifier):
            reached[identified.key] = reached.get(identified.key, True) and is_by_name(found, identified, catalogue)
    return reached
