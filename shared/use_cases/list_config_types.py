"""List the resource types, from the catalogue alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shared.domain.resource_type import Catalogue


def list_config_types(catalogue: Catalogue) -> dict[str, Any]:
    """Return every type as the contract's `ConfigTypeInfo`, in the catalogue's order."""
    return {
        "results": [
            {
                "type": entry.name,
                "label": entry.label,
                "icon": entry.icon,
                "source_api": entry.source_api,
                "sdk_client": entry.sdk_client,
                "deletable": entry.deletable,
            }
            for entry in catalogue.values()
        ]
    }
