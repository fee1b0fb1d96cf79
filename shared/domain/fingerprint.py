"""Tell whether two payloads say the same, whatever the server added, reordered or wrote in another number format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.domain.resource_type import ResourceType


def fingerprint(resource_type: ResourceType, payload: Mapping[str, Any]) -> str:
    """Return a SHA-256 of the canonical content of a payload, in hex."""
    raise NotImplementedError


def override_fingerprint(override: Any) -> str:
    """Return a fingerprint of a payload override as it is: keys in any order, nulls counted (they remove)."""
    raise NotImplementedError


def canonical(resource_type: ResourceType, payload: Mapping[str, Any]) -> Any:
    """Return what of a payload counts for its fingerprint."""
    raise NotImplementedError


def equal_where_sent(resource_type: ResourceType, body: Mapping[str, Any], target_payload: Mapping[str, Any]) -> bool:
    """Tell whether writing a body would leave a target config as it is: only the fields of the body count."""
    raise NotImplementedError
