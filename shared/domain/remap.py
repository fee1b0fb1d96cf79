"""Build what is sent to the target: payloads without server-assigned values and secrets, references remapped."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal, NamedTuple

from shared.domain.plan import PlannedResource, Resolution
from shared.domain.references import Identifiers
from shared.domain.resource_type import EMPTY, Catalogue, ResourceKey, ResourceType

Stage = Literal["create", "patch", "full"]


class WrittenTarget(NamedTuple):
    """The target config that a row became: its id and the fields that others refer to (`read_referable_fields`)."""

    id: str
    fields: Mapping[str, Any] = EMPTY


IdMap = Mapping[ResourceKey, WrittenTarget]


def referable_fields(catalogue: Catalogue, type_name: str) -> tuple[str, ...]:
    """Return the field paths of a type, its id apart, that references of any type may be to: aliases, derived fields."""
    raise NotImplementedError


def read_referable_fields(catalogue: Catalogue, type_name: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Read from a payload of the target what others may refer to: the `target_fields` of a row."""
    raise NotImplementedError


def missing_referents(planned: PlannedResource, id_map: IdMap, stage: Stage) -> tuple[Resolution, ...]:
    """Return the resolutions of a stage whose referent is not in the id map (for `hard` ones: wait or fail)."""
    raise NotImplementedError


def build_body(
    resource_type: ResourceType,
    payload: Mapping[str, Any],
    planned: PlannedResource,
    id_map: IdMap,
    *,
    stage: Stage,
    target_payload: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the payload of one write; wrapping, renaming and constant fields are the client's.

    Args:
        resource_type: the type of the config.
        payload: the source payload that the plan was made from.
        planned: the plan for it.
        id_map: what was written so far in this job.
        stage: `create` for a new config (deferred references left out, inactive where it is activated later); `patch` for
            one that exists on the target (complete; its active flag and own fields stay); `full` for the second write of
            one that this job created (complete; still inactive where it is activated later).
        target_payload: what is on the target now; needed for `patch` and `full` where the update replaces the config.

    Raises:
        DependencyFailedError: a hard reference of this stage is to a resource that is not in the id map.
    """
    raise NotImplementedError


def activation_body(
    resource_type: ResourceType,
    payload: Mapping[str, Any],
    planned: PlannedResource,
    id_map: IdMap,
    target_payload: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the payload that activates a config created inactive: where the update merges only the part with the flag.

    Raises:
        DependencyFailedError: as `build_body`.
    """
    raise NotImplementedError


def remapped_identifiers(identifiers: Identifiers, id_map: IdMap) -> frozenset[str]:
    """Return the source identifiers that have another value on the target: none of them may be left in what was written.

    Args:
        identifiers: ids and aliases of the source.
        id_map: every resource of the job with a target, existing ones included.
    """
    raise NotImplementedError


def leftover_source_ids(
    resource_type: ResourceType, target_payload: Mapping[str, Any], remapped: Collection[str]
) -> list[tuple[str, str]]:
    """Return (JSON pointer, identifier) of each source identifier left in a payload of the target."""
    raise NotImplementedError


def planned_to_json(resource_type: ResourceType, planned: PlannedResource) -> dict[str, Any]:
    """Write a planned resource as JSON; references of the catalogue become their place in `resource_type.references`."""
    raise NotImplementedError


def planned_from_json(resource_type: ResourceType, data: Mapping[str, Any]) -> PlannedResource:
    """Read what `planned_to_json` wrote. Raises KeyError, IndexError or ValueError where it is something else."""
    raise NotImplementedError
