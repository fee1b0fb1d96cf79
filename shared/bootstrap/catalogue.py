"""Hand out the catalogue: what every function that names a resource type needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.catalog.registry import RESOURCE_TYPES

if TYPE_CHECKING:
    from shared.domain.resource_type import Catalogue


def catalogue() -> Catalogue:
    """Return every resource type by name."""
    return RESOURCE_TYPES
