"""The fields of a config, beside its id, that references of others are to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.domain.paths import is_plain, values_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.domain.resource_type import Catalogue


def referable_fields(catalogue: Catalogue, type_name: str) -> tuple[str, ...]:
    """Return the fields of a type, its id apart, that references of any type may be to: aliases, derived fields."""
    resource_type = catalogue[type_name]
    paths = dict.fromkeys((*resource_type.fields.aliases, *resource_type.derived_fields))
    for other in catalogue.values():
        for reference in other.references:
            if type_name in reference.to:
                paths.update(dict.fromkeys((reference.field, *reference.siblings.values())))
    return tuple(path for path in paths if path != "id")


def read_referable_fields(catalogue: Catalogue, type_name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Read from a payload of the target what others may refer to: the `target_fields` of a row.

    Returns:
        Field path -> value; a list of all values where the path has wildcards.
    """
    return read_fields(referable_fields(catalogue, type_name), payload)


def read_fields(paths: Iterable[str], payload: Mapping[str, Any]) -> dict[str, Any]:
    """Read fields as `read_referable_fields` does."""
    fields: dict[str, Any] = {}
    for path in paths:
        values = list(values_at(payload, path))
        if values and values[0] is not None:
            fields[path] = values[0] if is_plain(path) else values
    return fields
