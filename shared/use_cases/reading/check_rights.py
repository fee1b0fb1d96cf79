"""Ask whether the caller may do what only this service would do: no downstream API is there to refuse it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.errors import ForbiddenError
from shared.domain.permissions import may_do_everything, may_update, update_actions

if TYPE_CHECKING:
    from shared.domain.ports.configs import ConfigRepository
    from shared.domain.resource_type import ResourceType


def check_may_update(current: ConfigRepository, resource_type: ResourceType, config_id: str) -> None:
    """Refuse a caller who may not change a config of the own organisation.

    Raises:
        ForbiddenError: no grant of the caller allows it, or one denies it.
        HubError: the permissions API throttles, fails or refuses.
    """
    if not may_update(current.list_own_grants(), resource_type, current.org_id, config_id):
        wanted = " or ".join(update_actions(resource_type))
        raise ForbiddenError(f"You may not change {resource_type.name} {config_id}: {wanted} is needed for it.")


def check_may_do_everything(current: ConfigRepository, what: str) -> None:
    """Refuse a caller who is no administrator of the own organisation.

    Raises:
        ForbiddenError: no grant of the caller allows every action on everything.
        HubError: the permissions API throttles, fails or refuses.
    """
    if not may_do_everything(current.list_own_grants()):
        raise ForbiddenError(f"{what} needs whoever created it, or a user who may do everything.")
