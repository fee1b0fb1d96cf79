"""What a user may do, by the grants of the roles that the permissions API says the user has.

The published definitions say what a grant is (an action, a resource that it is for, allow or deny, conditions) and name
few actions. So what is asked for is a list of words that may stand for a type, with `edit`, `update` or `manage`; a
type that none of them stands for is left to those who may do everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from shared.domain.resource_type import ResourceType

Grant = Mapping[str, Any]

_VERBS = ("edit", "update", "manage")
#: Every entity of every schema is changed under this word.
_ENTITY = "entity"


def may_update(grants: Collection[Grant], resource_type: ResourceType, org_id: str, config_id: str) -> bool:
    """Tell whether grants let a user change a config.

    An allowing grant with conditions counts for nothing, since nobody here can tell whether they hold; a denying one
    counts whatever its conditions.

    Args:
        grants: of all roles of the user.
        resource_type: type of the config.
        org_id: its organisation.
        config_id: its id.
    """
    actions = update_actions(resource_type)
    names = _names(resource_type, org_id, config_id)
    denied = any(_denies(grant) and _concerns(grant, actions, names, denies=True) for grant in grants)
    return not denied and any(_allows(grant) and _concerns(grant, actions, names, denies=False) for grant in grants)


def may_do_everything(grants: Collection[Grant]) -> bool:
    """Tell whether grants let a user do whatever the organisation can."""
    denied = any(_denies(grant) and grant.get("action") == "*" for grant in grants)
    return not denied and any(_allows(grant) and _is_for_all(grant) for grant in grants)


def update_actions(resource_type: ResourceType) -> list[str]:
    """Return the actions of which one lets a user change configs of a type."""
    return [f"{word}:{verb}" for word in _words(resource_type) for verb in _VERBS]


def _words(resource_type: ResourceType) -> list[str]:
    if _slug(resource_type):
        return [_ENTITY]
    operation = resource_type.update or resource_type.create
    api = operation.api.replace("-", "_") if operation is not None else ""
    # What the entity API has beside entities is not for everybody who may change these.
    return list(dict.fromkeys([resource_type.name, *([api] if api not in ("", _ENTITY) else [])]))


def _slug(resource_type: ResourceType) -> str:
    """Return the schema whose entities the configs of a type are; empty for all others."""
    update = resource_type.update
    return update.path.split("/")[3] if update is not None and update.operation_id == "patchEntity" else ""


def _names(resource_type: ResourceType, org_id: str, config_id: str) -> list[str]:
    """Return the ways in which the resource of a grant may name a config."""
    if slug := _slug(resource_type):
        return [config_id, f"{slug}:{config_id}", f"{_ENTITY}:{org_id}:{slug}:{config_id}"]
    named = [f"{word}:{part}{config_id}" for word in _words(resource_type) for part in ("", f"{org_id}:")]
    return [config_id, *named]


def _allows(grant: Grant) -> bool:
    return grant.get("effect", "allow") == "allow" and not grant.get("conditions")


def _denies(grant: Grant) -> bool:
    return grant.get("effect") == "deny"


def _is_for_all(grant: Grant) -> bool:
    return grant.get("action") == "*" and grant.get("resource") in (None, "", "*")


def _concerns(grant: Grant, actions: Iterable[str], names: Iterable[str], *, denies: bool) -> bool:
    action, resource = str(grant.get("action") or ""), str(grant.get("resource") or "*")
    return any(_covers(action.replace("-", ":"), one, denies) for one in actions) and any(
        _covers(resource, one, denies) for one in names
    )


def _covers(pattern: str, text: str, denies: bool) -> bool:
    """Tell whether a pattern with one `*` at its end covers a text; one that denies ends at its first `*`."""
    prefix, star, rest = pattern.partition("*")
    return pattern == text or (bool(star) and (denies or not rest) and text.startswith(prefix))
