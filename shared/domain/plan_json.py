"""Write a planned resource as JSON, and read it again."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from shared.domain.immutable import EMPTY
from shared.domain.paths import KEY_ITSELF
from shared.domain.plan import Action, PlannedResource, Resolution, ResolutionKind, Rule
from shared.domain.references import FoundReference
from shared.domain.resource_type import ResourceKey, ResourceType
from shared.domain.row import RowError

if TYPE_CHECKING:
    from collections.abc import Mapping


def planned_to_json(resource_type: ResourceType, planned: PlannedResource) -> dict[str, Any]:
    """Write a planned resource as JSON; a reference becomes its place in `resource_type.references`."""
    positions = {reference: position for position, reference in enumerate(resource_type.references)}
    plain = {name: getattr(planned, name) for name in _PLAIN_FIELDS}
    return plain | {
        "key": list(planned.key),
        "target_fields": dict(planned.target_fields),
        "removals": dict(planned.removals),
        "warnings": list(planned.warnings),
        "error": None
        if planned.error is None
        else [planned.error.code, planned.error.message, planned.error.root and list(planned.error.root)],
        "resolutions": [
            {
                "steps": list(one.found.steps),
                "identifier": one.found.identifier,
                "span": [one.found.start, one.found.end],
                "in_key": one.found.in_key,
                "reference": None if one.found.reference is None else positions[one.found.reference],
                "kind": one.kind.value,
                "referent": one.referent and list(one.referent),
                "field": one.field,
                "value": one.value,
                "siblings": dict(one.siblings),
                "position": one.position,
            }
            for one in planned.resolutions
        ],
    }


# As packs name them that were written before rules had names.
_EARLIER_RULES = {
    "1": "unreadable",
    "2": "platform_owned",
    "2a": "by_name",
    "3": "lineage",
    "3b": "way_back",
    "4": "same_id",
    "5": "natural_key",
    "6": "ambiguous",
    "7": "new",
}


def planned_from_json(resource_type: ResourceType, data: Mapping[str, Any]) -> PlannedResource:
    """Read what `planned_to_json` wrote.

    Raises:
        KeyError, IndexError, TypeError, ValueError: the data is something else.
    """
    # What an older version wrote lacks what was added since.
    plain = {name: data[name] for name in _PLAIN_FIELDS if name in data}
    plain["action"] = Action(plain["action"])
    if plain.get("rule"):
        plain["rule"] = Rule(_EARLIER_RULES.get(plain["rule"], plain["rule"]))
    error = data["error"]
    return PlannedResource(
        **plain,
        key=ResourceKey(*data["key"]),
        target_fields=data["target_fields"],
        removals=data.get("removals", EMPTY),
        warnings=tuple(data["warnings"]),
        error=None if error is None else RowError(error[0], error[1], ResourceKey(*error[2]) if error[2] else None),
        resolutions=tuple(_resolution_from_json(resource_type, one) for one in data["resolutions"]),
    )


_PLAIN_FIELDS = tuple(
    field.name
    for field in fields(PlannedResource)
    if field.name not in ("key", "target_fields", "removals", "warnings", "error", "resolutions")
)


def _resolution_from_json(resource_type: ResourceType, data: Mapping[str, Any]) -> Resolution:
    reference = None if data["reference"] is None else resource_type.references[data["reference"]]
    # What an older version wrote says it only by the path of the reference.
    is_key = reference is not None and reference.path.endswith(KEY_ITSELF)
    return Resolution(
        found=FoundReference(
            steps=tuple(data["steps"]),
            identifier=data["identifier"],
            start=data["span"][0],
            end=data["span"][1],
            reference=reference,
            in_key=data.get("in_key", is_key),
        ),
        kind=ResolutionKind(data["kind"]),
        referent=ResourceKey(*data["referent"]) if data["referent"] else None,
        field=data["field"],
        value=data["value"],
        siblings=data["siblings"],
        position=data["position"],
    )
