"""Build what is sent to the target: payloads without server-assigned values and secrets, references remapped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from shared.domain.errors import DependencyFailedError
from shared.domain.immutable import EMPTY
from shared.domain.memory import WrittenReference, written_value
from shared.domain.paths import (
    copy_json,
    find_value,
    follow,
    is_plain,
    parse_path,
    places_at,
    remove_places,
    replace_values,
    set_value,
)
from shared.domain.plan import PlannedResource, Resolution, ResolutionKind
from shared.domain.resource_type import ResourceKey, ResourceType
from shared.domain.rewriting import Replacement, rewrite
from shared.domain.sendable import secrets_at, sendable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from shared.domain.resource_type import ActiveFlag


Stage = Literal["create", "patch", "full"]


class WrittenTarget(NamedTuple):
    """The target config that a row became: its id, and what `references.read_referable_fields` reads from it."""

    id: str
    fields: Mapping[str, Any] = EMPTY


IdMap = Mapping[ResourceKey, WrittenTarget]


def missing_referents(planned: PlannedResource, id_map: IdMap, stage: Stage) -> tuple[Resolution, ...]:
    """Return the resolutions of a stage whose referent is not in the id map (for `hard` ones: wait or fail)."""
    return tuple(
        one
        for one in planned.resolutions
        if (one.kind is ResolutionKind.WRITTEN or (one.kind is ResolutionKind.DEFERRED and stage == "full"))
        and (one.referent not in id_map if one.found.portable else _written_value(one, id_map) is None)
    )


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

    A soft reference whose referent is not in the id map is left out.

    Args:
        resource_type: the type of the config.
        payload: the source payload that the plan was made from.
        planned: the plan for it.
        id_map: what was written so far in this job.
        stage: `create` for a new config (deferred references left out, inactive where it is activated later); `patch`
            for one that exists on the target (complete; its own fields stay, and its active flag unless it follows the
            source's); `full` for the second write of one that this job created (complete; still inactive where it is
            activated later).
        target_payload: what is on the target now, for `patch` and `full`. Without it a replacing update would lose the
            target's own fields.

    Raises:
        DependencyFailedError: a hard reference of this stage is to a resource that is not in the id map.
    """
    body = _remapped(resource_type, payload, planned, id_map, stage)
    if resource_type.active is not None:
        if stage == "patch" and not planned.follows:
            _keep_active_flag(resource_type.active, body, target_payload or {})
        elif planned.activate:
            _set_active_flag(resource_type.active, body, resource_type.active.inactive)
    if stage != "create":
        _keep_own_fields(resource_type, body, target_payload or {})
    if stage == "patch":
        body |= planned.removals
    return body


def written_references(planned: PlannedResource, id_map: IdMap) -> list[WrittenReference]:
    """Return what the last write of a resource says for each of its references to resources of the source."""
    return [
        WrittenReference(one.referent, _text_of(one, id_map)) for one in planned.resolutions if one.referent is not None
    ]


def _text_of(resolution: Resolution, id_map: IdMap) -> str | None:
    if resolution.kind is ResolutionKind.KEEP:
        return written_value(resolution.found.identifier, EMPTY)
    value = _value(resolution, id_map, "full")
    return None if value is None else written_value(*value)


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
    body = _remapped(resource_type, payload, planned, id_map, "full")
    flag = resource_type.active
    if flag is not None and find_value(body, flag.path) is None:
        _set_active_flag(flag, body, flag.active)
    _keep_own_fields(resource_type, body, target_payload or {})
    if flag is not None and resource_type.update is not None and resource_type.update.merge:
        name = parse_path(flag.path)[0]
        return {name: body[name]}
    return body


def _remapped(
    resource_type: ResourceType, payload: Mapping[str, Any], planned: PlannedResource, id_map: IdMap, stage: Stage
) -> dict[str, Any]:
    missing = next((one for one in missing_referents(planned, id_map, stage) if one.hard), None)
    if missing is not None:
        raise DependencyFailedError(f"{missing.found.pointer} names {missing.referent}, which is not written.")
    replacements = [
        Replacement(one.found, None if value is None else value[0], EMPTY if value is None else value[1])
        for one in planned.resolutions
        for value in ([] if one.kind is ResolutionKind.KEEP else [_value(one, id_map, stage)])
    ]
    body: dict[str, Any] = rewrite(sendable(resource_type, payload), replacements)
    return body


def _value(resolution: Resolution, id_map: IdMap, stage: Stage) -> tuple[str, Mapping[str, Any]] | None:
    """Return what to write for a reference and its siblings; None leaves it out."""
    if resolution.kind is ResolutionKind.LEFT_OUT:
        return None
    provisional = None if resolution.value is None else (resolution.value, resolution.siblings)
    if resolution.kind is ResolutionKind.KNOWN or (resolution.kind is ResolutionKind.DEFERRED and stage == "create"):
        return provisional
    written = _written_value(resolution, id_map)
    return provisional if written is None and resolution.kind is ResolutionKind.DEFERRED else written


def _written_value(resolution: Resolution, id_map: IdMap) -> tuple[str, Mapping[str, Any]] | None:
    """Return identifier and siblings of a referent that this job wrote; None where they are not known yet."""
    written = id_map.get(resolution.referent) if resolution.referent is not None else None
    if written is None:
        return None
    if resolution.found.portable:
        return resolution.found.identifier, EMPTY
    value: Any = written.id
    if resolution.field != "id":
        value = written.fields.get(resolution.field, resolution.value)
        if isinstance(value, list):
            value = value[resolution.position] if resolution.position < len(value) else None
    if not isinstance(value, str):
        return None
    siblings = resolution.found.reference.siblings if resolution.found.reference is not None else EMPTY
    return value, {name: written.fields[path] for name, path in siblings.items() if path in written.fields}


def _set_active_flag(flag: ActiveFlag, body: dict[str, Any], value: Any) -> None:
    if not replace_values(body, flag.path, lambda _: value) and is_plain(flag.path):
        set_value(body, flag.path, value)


def _keep_active_flag(flag: ActiveFlag, body: dict[str, Any], target_payload: Mapping[str, Any]) -> None:
    """Give the active flag the value that it has on the target; leave it out where the target does not say.

    A flag of array items is that of the target's item of the same slug, id, name or key; a new item keeps its own.
    """
    if is_plain(flag.path):
        current = find_value(target_payload, flag.path)
        if current is None:
            remove_places(body, [parse_path(flag.path)])
        else:
            set_value(body, flag.path, current)
        return
    find = _Counterparts()
    for steps, _ in list(places_at(body, flag.path)):
        current = find.at(body, target_payload, steps)
        if current is not None:
            follow(body, steps[:-1])[steps[-1]] = current


def flags_of_both(
    flag: ActiveFlag, body: Mapping[str, Any], target_payload: Mapping[str, Any]
) -> Iterator[tuple[Any, Any]]:
    """Yield the active flags of a body, each with that of the target at the same place, where both say."""
    find = _Counterparts()
    for steps, ours in places_at(body, flag.path):
        theirs = find.at(body, target_payload, steps)
        if ours is not None and theirs is not None:
            yield ours, theirs


class _Counterparts:
    """Finds the objects of an array by what identifies them: slug, id, name or key. Each array is read once."""

    def __init__(self) -> None:
        self._arrays: dict[int, tuple[list[Any], dict[tuple[str, str], Any]]] = {}

    def at(self, body: Any, target_payload: Any, steps: Sequence[str | int]) -> Any:
        """Return what the target has at a place of the body; None where it has nothing there."""
        ours, theirs = body, target_payload
        for step in steps:
            ours = ours[step]
            if isinstance(step, int):
                theirs = self.same_item(ours, theirs) if isinstance(theirs, list) else None
            else:
                theirs = theirs.get(step) if isinstance(theirs, dict) else None
        return theirs

    def same_item(self, ours: Any, items: list[Any]) -> Any:
        """Return the first object of an array that is the same as ours, else None."""
        identity = next(_identities(ours), None)
        return self._by_identity(items).get(identity) if identity is not None else None

    def append(self, item: Any, items: list[Any]) -> None:
        """Add an object to an array."""
        found = self._by_identity(items)
        items.append(item)
        for identity in _identities(item):
            found.setdefault(identity, item)

    def _by_identity(self, items: list[Any]) -> dict[tuple[str, str], Any]:
        if id(items) not in self._arrays:
            found: dict[tuple[str, str], Any] = {}
            for item in items:
                for identity in _identities(item):
                    found.setdefault(identity, item)
            self._arrays[id(items)] = items, found
        return self._arrays[id(items)][1]


def _identities(item: Any) -> Iterator[tuple[str, str]]:
    """Yield what identifies an object, the surest first."""
    for name in ("slug", "id", "name", "key"):
        value = item.get(name) if isinstance(item, dict) else None
        if isinstance(value, str | int) and value:
            yield name, str(value)


def _keep_own_fields(resource_type: ResourceType, body: dict[str, Any], target_payload: Mapping[str, Any]) -> None:
    """Send the target's own fields back where an update would lose them: in a replacing one, and inside of objects."""
    merges = resource_type.update is not None and resource_type.update.merge
    for path in resource_type.keep_target:
        current = find_value(target_payload, path)
        if current is not None and not (merges and parse_path(path)[0] not in body):
            set_value(body, path, copy_json(current))
    for path in resource_type.secrets_sent_back:
        find = _Counterparts()
        for steps, _ in secrets_at(target_payload, path):
            _send_back(find, body, target_payload, steps)


def _send_back(find: _Counterparts, body: Any, target_payload: Any, steps: Sequence[str | int]) -> None:
    """Put into a body what the target has at a place, with the object or array item around it where that is lacking."""
    for depth in range(max(0, len(steps) - 2), len(steps)):
        step = steps[depth]
        container = find.at(target_payload, body, steps[:depth])
        theirs = follow(target_payload, steps[: depth + 1])
        if isinstance(step, int) and isinstance(container, list) and isinstance(theirs, dict) and "key" in theirs:
            if find.same_item(theirs, container) is None:
                find.append(copy_json(theirs), container)
                return
        elif isinstance(step, str) and isinstance(container, dict) and container.get(step) is None:
            container[step] = copy_json(theirs)
            return
