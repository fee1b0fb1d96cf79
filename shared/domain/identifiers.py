"""What names a config: its id, its aliases, and the values that references compare."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from shared.domain.bounds import MAX_IDENTIFIER_BYTES
from shared.domain.config_node import strings_at

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from shared.domain.resource_type import Catalogue


def identifying_fields(catalogue: Catalogue) -> Mapping[str, tuple[str, ...]]:
    """Return per type the fields whose values name a config: aliases, and what references of other types compare."""
    fields = {name: dict.fromkeys(resource_type.fields.aliases) for name, resource_type in catalogue.items()}
    for resource_type in catalogue.values():
        for reference in resource_type.references:
            for target in reference.to:
                if reference.field != "id" and target in fields:
                    fields[target][reference.field] = None
    return {name: tuple(paths) for name, paths in fields.items()}


def identifiers_in(payload: Mapping[str, Any], config_id: str, fields: Sequence[str]) -> dict[str, str]:
    """Return what names a config: identifier -> the field of its payload whose value it is.

    Args:
        payload: its payload, without secrets.
        config_id: its id.
        fields: fields besides the id whose values name it.
    """
    identifiers = {config_id: "id"}
    for path in fields:
        for value in strings_at(payload, path):
            identifiers.setdefault(value, path)
    return {value: path for value, path in identifiers.items() if is_storable_identifier(value)}


def is_storable_identifier(value: str) -> bool:
    """Tell whether the index can look a config up by this value."""
    return 0 < _encoded_size(value) <= MAX_IDENTIFIER_BYTES and _is_text(value)


def _is_text(value: str) -> bool:
    """Tell whether a value is neither control characters nor half a surrogate pair anywhere."""
    return not any(unicodedata.category(character) in ("Cc", "Cs") for character in value)


def _encoded_size(value: str) -> int:
    return len(value.encode(errors="replace")) + 2 * (value.count("%") + value.count("#"))
