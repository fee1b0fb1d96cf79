"""Natural keys: what tells configs of one type apart for people, the same in every organisation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.domain.bounds import composed_text
from shared.domain.paths import parse_path, values_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from shared.domain.resource_type import ResourceType


class NaturalKeyValue(NamedTuple):
    """The value of a natural key.

    Attributes:
        alternative: which of the type's alternatives it is.
        text: the values of its fields, canonical.
        fields: the fields.
        strong: it is unique by contract.
    """

    alternative: int
    text: str
    fields: tuple[str, ...]
    strong: bool


def natural_key_of(resource_type: ResourceType, payload: Any) -> NaturalKeyValue | None:
    """Return the natural key of a payload: its first alternative whose values are all present; None without one."""
    natural_key = resource_type.natural_key
    for alternative, fields in enumerate(natural_key.fields if natural_key else ()):
        text = natural_key_text(fields, lambda path: natural_key_values(resource_type, payload, path))
        if text is not None:
            return NaturalKeyValue(alternative, text, fields, natural_key is not None and natural_key.strong)
    return None


def natural_key_text(fields: tuple[str, ...], read: Callable[[str], list[Any]]) -> str | None:
    """Return the values of a natural key's fields as one text; None where one of them has none."""
    values = [read(path) for path in fields]
    return json.dumps(values, ensure_ascii=False, sort_keys=True) if all(values) else None


def natural_key_values(resource_type: ResourceType, payload: Any, path: str) -> list[Any]:
    """Return the values at a path that say something; sets sorted, whole numbers as integers.

    Texts that a person cannot tell apart are the same: blanks around them and the Unicode form do not count. Case does:
    no API states that it ignores it, and two configs whose names differ in case stand side by side in the app.
    """
    values = [_comparable(value) for value in values_at(payload, path)]
    if path in resource_type.sets:
        values = [sorted(value, key=repr) if isinstance(value, list) else value for value in values]
    return [value for value in values if value not in (None, "", [], {})]


def _comparable(value: Any) -> Any:
    if isinstance(value, str):
        return composed_text(value).strip()
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, dict):
        return {name: _comparable(item) for name, item in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def names_another(resource_type: ResourceType, path: str) -> bool:
    """Tell whether what stands at or below a path may name another config."""
    segments = parse_path(path)
    return any(parse_path(r.path)[: len(segments)] == segments for r in resource_type.references)


def naming_paths(resource_type: ResourceType) -> tuple[str, ...]:
    """Return the paths of a type's natural keys at or below which other configs may be named."""
    keys = resource_type.natural_key.fields if resource_type.natural_key else ()
    return tuple(dict.fromkeys(path for fields in keys for path in fields if names_another(resource_type, path)))
