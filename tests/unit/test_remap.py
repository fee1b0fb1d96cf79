from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.api_operation import WriteOperation
from shared.domain.errors import DependencyFailedError
from shared.domain.plan import Action, PlannedResource, Resolution, ResolutionKind, Rule
from shared.domain.plan_json import planned_from_json, planned_to_json
from shared.domain.references import find_references
from shared.domain.remap import WrittenTarget, activation_body, build_body, missing_referents
from shared.domain.resource_type import ActiveFlag, Reference, ResourceKey, ResourceType, Strength
from shared.domain.row import RowError
from tests.unit.test_references import type_with

UUID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
HARD = Reference(to=("t",), path="$.hard", siblings={"version": "v"})
SOFT = Reference(to=("t",), path="$.soft[]", strength=Strength.SOFT)
REFERENT = ResourceKey("t", "r")


def updating(*, merge: bool, path: str = "active", **more: Any) -> ResourceType:
    call = {"api": "", "host": "", "operation_id": "", "method": "PUT", "path": "/{id}"}
    return type_with(
        HARD,
        SOFT,
        update=WriteOperation(**call, merge=merge),
        active=ActiveFlag(path=path),
        # As in every entry of the catalogue, what stays the target's own is stripped of the source.
        strip=("id", *more.get("keep_target", ())),
        **more,
    )


def planned(
    resource_type: ResourceType, payload: dict[str, Any], *kinds: ResolutionKind, **more: Any
) -> PlannedResource:
    found = find_references(resource_type, payload, lambda value: value == UUID)
    assert len(found) == len(kinds)
    return PlannedResource(
        key=ResourceKey("any", "x"),
        title="x",
        action=more.pop("action", Action.CREATE),
        resolutions=tuple(
            Resolution(found=one, kind=kind, referent=REFERENT, value="known" if kind is ResolutionKind.KNOWN else None)
            for one, kind in zip(found, kinds, strict=True)
        ),
        **more,
    )


WRITTEN = {REFERENT: WrittenTarget("new", {"v": 4})}


def test_create_leaves_deferred_references_out_and_stays_inactive_until_activated() -> None:
    resource_type = updating(merge=False)
    payload = {"id": "x", "hard": "r", "version": 1, "soft": ["r"], "active": True}
    one = planned(resource_type, payload, ResolutionKind.DEFERRED, ResolutionKind.WRITTEN, activate=True)
    assert build_body(resource_type, payload, one, WRITTEN, stage="create") == {
        "version": 1,
        "soft": ["new"],
        "active": False,
    }
    full = {"hard": "new", "version": 4, "soft": ["new"], "active": False}
    assert build_body(resource_type, payload, one, WRITTEN, stage="full") == full
    assert activation_body(resource_type, payload, one, WRITTEN) == {**full, "active": True}


def test_activation_of_a_merging_api_sends_only_the_part_with_the_flag() -> None:
    resource_type = updating(merge=True, path="settings.on", keep_target=("settings.own",))
    payload = {"name": "n", "settings": {"on": True, "own": "s", "x": 1}}
    one = planned(resource_type, payload, activate=True)
    body = activation_body(resource_type, payload, one, {}, {"settings": {"on": False, "own": "t"}})
    assert body == {"settings": {"on": True, "own": "t", "x": 1}}


@pytest.mark.parametrize("merge", [True, False])
def test_patching_keeps_the_active_flag_and_the_targets_own_fields(merge: bool) -> None:
    resource_type = updating(merge=merge, path="settings.on", keep_target=("settings.own", "mine", "gone"))
    payload = {"settings": {"on": True, "own": "s"}, "mine": "s", "name": "n"}
    one = planned(resource_type, payload, action=Action.PATCH)
    target = {"id": "y", "settings": {"on": False, "own": "t"}, "mine": "t"}
    body = build_body(resource_type, payload, one, {}, stage="patch", target_payload=target)
    expected = {"settings": {"on": False, "own": "t"}, "name": "n"}
    assert body == (expected if merge else {**expected, "mine": "t"})


@pytest.mark.parametrize("merge", [True, False])
@pytest.mark.parametrize("settings", [None, {}, {"deep": None}, {"deep": {}}, {"deep": "text"}, "text"])
def test_what_is_the_targets_own_stays_below_what_the_source_has_as_null(merge: bool, settings: Any) -> None:
    resource_type = updating(merge=merge, keep_target=("settings.deep.own",))
    payload = {"settings": settings}
    one = planned(resource_type, payload, action=Action.PATCH)
    target = {"id": "y", "settings": {"deep": {"own": [1], "other": 2}}}
    body = build_body(resource_type, payload, one, {}, stage="patch", target_payload=target)
    assert body == {"settings": {"deep": {"own": [1]}}}


def test_patching_leaves_the_active_flag_out_where_the_target_does_not_say() -> None:
    resource_type = updating(merge=True)
    one = planned(resource_type, {"active": True}, action=Action.PATCH)
    assert build_body(resource_type, {"active": True}, one, {}, stage="patch") == {}


def test_flags_of_array_items_are_those_of_the_same_item_on_the_target() -> None:
    resource_type = updating(merge=True, path="cases[].on")
    payload = {"cases": [{"slug": "a", "on": True}, {"slug": "b", "on": True}, {"slug": "c", "on": True}]}
    target = {"cases": [{"slug": "b", "on": True}, {"slug": "a", "on": False}]}
    one = planned(resource_type, payload, action=Action.PATCH)
    body = build_body(resource_type, payload, one, {}, stage="patch", target_payload=target)
    assert [case["on"] for case in body["cases"]] == [False, True, True]


def test_a_hard_reference_to_what_is_not_written_stops_the_write_and_a_soft_one_is_left_out() -> None:
    resource_type = updating(merge=False)
    payload = {"hard": "r", "soft": ["r"], "version": 1}
    hard = planned(resource_type, payload, ResolutionKind.WRITTEN, ResolutionKind.WRITTEN)
    assert [one.hard for one in missing_referents(hard, {}, "create")] == [True, False]
    with pytest.raises(DependencyFailedError, match="t:r"):
        build_body(resource_type, payload, hard, {}, stage="create")
    soft = planned(resource_type, payload, ResolutionKind.KNOWN, ResolutionKind.WRITTEN)
    assert build_body(resource_type, payload, soft, {}, stage="create")["soft"] == []


def test_a_deferred_reference_is_missing_in_the_second_write_only() -> None:
    resource_type = updating(merge=False)
    one = planned(resource_type, {"hard": "r"}, ResolutionKind.DEFERRED)
    assert missing_referents(one, {}, "create") == ()
    assert len(missing_referents(one, {}, "full")) == 1
    assert missing_referents(one, WRITTEN, "full") == ()


def test_a_provisional_value_is_sent_until_the_referent_is_written() -> None:
    resource_type = updating(merge=False)
    one = planned(resource_type, {"hard": "r"}, ResolutionKind.DEFERRED)
    (deferred,) = one.resolutions
    one = replace(one, resolutions=(replace(deferred, value="there", siblings={"version": 3}),))
    first = build_body(resource_type, {"hard": "r"}, one, {}, stage="create")
    assert first == {"hard": "there", "version": 3}
    assert build_body(resource_type, {"hard": "r"}, one, WRITTEN, stage="full") == {"hard": "new", "version": 4}


def test_of_several_values_of_a_field_the_one_at_the_same_place_is_taken() -> None:
    resource_type = updating(merge=False)
    one = planned(resource_type, {"soft": ["r"]}, ResolutionKind.WRITTEN)
    (written,) = one.resolutions
    one = replace(one, resolutions=(replace(written, field="parts[].id", position=1),))
    id_map = {REFERENT: WrittenTarget("new", {"parts[].id": ["p0", "p1"]})}
    assert build_body(resource_type, {"soft": ["r"]}, one, id_map, stage="create") == {"soft": ["p1"]}


def test_a_planned_resource_is_the_same_after_storage() -> None:
    resource_type = updating(merge=False)
    one = replace(
        planned(resource_type, {"hard": "r", "free": UUID}, ResolutionKind.WRITTEN, ResolutionKind.KEEP),
        error=RowError("CODE", "text", REFERENT),
        warnings=("w",),
        target_fields={"v": 1},
        remaining=3,
    )
    stored = json.loads(json.dumps(planned_to_json(resource_type, one)))
    assert planned_from_json(resource_type, stored) == one
    for added in ("follows", "removals", "references"):
        del stored[added]
    for resolution in stored["resolutions"]:
        del resolution["in_key"]
    assert planned_from_json(resource_type, stored) == one, "what an older version wrote"


def test_a_reference_in_a_key_is_read_as_one_from_what_an_older_version_wrote() -> None:
    keyed = Reference(to=("t",), path="$.map.{key}")
    resource_type = replace(updating(merge=False), references=(keyed,))
    one = planned(resource_type, {"map": {"r": 1}}, ResolutionKind.WRITTEN)
    stored = json.loads(json.dumps(planned_to_json(resource_type, one)))
    (resolution,) = stored["resolutions"]
    assert resolution.pop("in_key")
    assert planned_from_json(resource_type, stored) == one


def test_a_pack_that_names_its_rule_by_number_is_read() -> None:
    resource_type = updating(merge=False)
    stored = {**planned_to_json(resource_type, planned(resource_type, {})), "rule": "3b"}
    assert planned_from_json(resource_type, stored).rule is Rule.WAY_BACK
