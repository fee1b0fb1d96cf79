from __future__ import annotations

from typing import Any

import pytest

from shared.domain.comparison import (
    Change,
    Counterparts,
    change_of,
    differences,
    own_identifiers,
    pair_up,
    unread_counterparts,
)
from shared.domain.matching import Pair
from shared.domain.plan import LineageEntry
from shared.domain.references import Identified
from shared.domain.resource_type import Fields, Form, Identity, Reference, ResourceKey, ResourceType
from shared.domain.since_last_sync import SinceLastSync

HERE, THERE = "org-a", "org-b"
_NAMED = {"label": "", "icon": "", "source_api": "", "sdk_client": ""}
PAGE = ResourceType(
    name="page",
    **_NAMED,
    fields=Fields(id="id", title=("name",)),
    identity=Identity.SERVER,
    strip=("id",),
    secrets=("token",),
    sets=("tags", "mappings"),
    stringified=("script",),
    references=(
        Reference(to=("page",), path="$.next"),
        Reference(to=("mapping",), path="$.mapping.id", siblings={"version": "version"}),
        Reference(to=("mapping",), path="$.mappings[].id", siblings={"version": "version"}),
        Reference(to=("mapping",), path="$.by_page.{*}.id", siblings={"version": "version"}),
        Reference(to=("page",), path="$.by_page.{key}"),
        Reference(to=("picture",), path="$.html", form=Form.URL, field="url"),
        Reference(to=("role",), path="$.role", form=Form.ROLE_ID),
    ),
)
MAPPING = ResourceType(name="mapping", **_NAMED, fields=Fields(id="id", title=()), identity=Identity.SERVER)
PICTURE = ResourceType(name="picture", **_NAMED, fields=Fields(id="id", title=()), identity=Identity.SERVER)
ROLE = ResourceType(name="role", **_NAMED, fields=Fields(id="id", title=()), identity=Identity.ORG_PREFIXED)
CATALOGUE = {one.name: one for one in (PAGE, MAPPING, PICTURE, ROLE)}


def an_entry(source_id: str = "s", target_id: str = "t", **more: Any) -> LineageEntry:
    known = {"type": "page", "source_org_id": THERE, "target_org_id": HERE, "source_fingerprint": "1"}
    return LineageEntry(**(known | {"target_fingerprint": "2"} | more), source_id=source_id, target_id=target_id)


def paired(current: str, other: str, pulled: list[LineageEntry], pushed: list[LineageEntry]) -> list[tuple[str, ...]]:
    return [row[:3] for row in pair_up({*current}, {*other}, pulled, pushed)]


def test_pairs_what_was_pulled_and_what_was_pushed() -> None:
    pulled, pushed = [an_entry("x", "a")], [an_entry("b", "y")]
    assert paired("abc", "xyz", pulled, pushed) == [("a", "x", "pull"), ("b", "y", "push")]


def test_an_entry_of_which_a_side_is_gone_pairs_nothing() -> None:
    assert paired("a", "y", [an_entry("x", "a")], [an_entry("b", "y")]) == []


def test_of_rival_pairs_the_one_synced_last_counts() -> None:
    old, new = "2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z"
    pulled = [an_entry("x", "a", last_synced_at=old), an_entry("y", "b", last_synced_at=new)]
    pushed = [an_entry("a", "x", last_synced_at=new), an_entry("c", "x", last_synced_at=old)]
    assert paired("abc", "xy", pulled, pushed) == [("b", "y", "pull"), ("a", "x", "push")]


@pytest.mark.parametrize(
    ("source", "target", "change"),
    [
        ("1", "2", Change.EQUAL),
        ("9", "2", Change.SOURCE_CHANGED),
        ("1", "9", Change.TARGET_CHANGED),
        ("9", "9", Change.BOTH_CHANGED),
    ],
)
def test_tells_who_changed_since_the_last_sync(source: str, target: str, change: Change) -> None:
    then = an_entry()
    since = SinceLastSync(source_same=then.source_fingerprint == source, target_same=then.target_fingerprint == target)
    assert change_of(since) is change


@pytest.mark.parametrize("absent", ["source_same", "target_same"])
def test_tells_nothing_where_nobody_can_tell_of_both_sides(absent: str) -> None:
    assert change_of(SinceLastSync(**({"source_same": True, "target_same": True} | {absent: None}))) is None


def known(targets: dict[ResourceKey, str] | None = None, **identifiers: Any) -> Counterparts:
    targets = targets or {}
    there = [ResourceKey(key.type, target_id) for key, target_id in targets.items()]
    return Counterparts(
        catalogue=CATALOGUE,
        pair=Pair(THERE, HERE),
        targets=targets,
        source_identifiers=own_identifiers(targets, identifiers.get("source", {})),
        target_identifiers=own_identifiers(there, identifiers.get("target", {})),
    )


def differing(source: dict[str, Any], target: dict[str, Any], counterparts: Counterparts | None = None) -> list[str]:
    return differences(PAGE, source, target, counterparts or known())


def test_names_the_places_that_differ_and_no_others() -> None:
    source = {"id": "s", "name": "A", "steps": [{"x": 1}, {"x": 2}], "on": True, "same": {"k": [1, 2]}}
    target = {"id": "t", "name": "B", "steps": [{"x": 1}, {"x": 3}], "on": 1, "same": {"k": [1.0, 2]}, "more/": 1}
    assert differing(source, target) == ["/more~1", "/name", "/on", "/steps/1/x"]


def test_what_no_job_would_write_is_no_difference() -> None:
    assert differing({"id": "s", "token": "one", "empty": None}, {"id": "t", "token": "two"}) == []


def test_an_array_of_another_length_is_one_place() -> None:
    assert differing({"steps": [1, 2, 3]}, {"steps": [0, 1, 2, 3]}) == ["/steps"]


def test_sets_compare_in_any_order_and_as_one_place() -> None:
    assert differing({"tags": ["a", "b"]}, {"tags": ["b", "a"]}) == []
    assert differing({"tags": ["a", "b"]}, {"tags": ["a", "c"]}) == ["/tags"]


def test_a_string_that_holds_json_is_one_place() -> None:
    assert differing({"script": '{"a": 1, "b": 2}'}, {"script": '{"b":2,"a":1}'}) == []
    assert differing({"script": '{"a": 1}'}, {"script": '{"a": 2}'}) == ["/script"]


def test_a_reference_to_the_counterpart_is_no_difference() -> None:
    counterparts = known({ResourceKey("page", "next-in-b"): "next-in-a"})
    assert differing({"next": "next-in-b"}, {"next": "next-in-a"}, counterparts) == []
    assert differing({"next": "next-in-b"}, {"next": "other-in-a"}, counterparts) == ["/next"]
    assert differing({"next": "unknown-b"}, {"next": "unknown-a"}, counterparts) == ["/next"]


def test_an_id_inside_of_a_text_counts_as_a_reference() -> None:
    counterparts = known({ResourceKey("page", "page-0000-b"): "page-0000-a"})
    assert differing({"note": "see page-0000-b!"}, {"note": "see page-0000-a!"}, counterparts) == []


def test_values_derived_from_the_counterpart_are_no_difference() -> None:
    counterparts = known({ResourceKey("mapping", "m-b"): "m-a"})
    source, target = {"mapping": {"id": "m-b", "version": 3}}, {"mapping": {"id": "m-a", "version": 8}}
    assert differing(source, target, counterparts) == []
    assert differing(source, {"mapping": {"id": "m-x", "version": 8}}, counterparts) == [
        "/mapping/id",
        "/mapping/version",
    ]


def test_a_role_is_named_by_its_organisation() -> None:
    assert differing({"role": f"{THERE}:admin"}, {"role": f"{HERE}:admin"}) == []
    assert differing({"role": f"{THERE}:admin"}, {"role": f"{HERE}:clerk"}) == ["/role"]


def test_an_alias_of_the_counterpart_at_the_same_place_is_no_difference() -> None:
    there, here = "https://files.example/b/logo.png", "https://files.example/a/x.png"
    counterparts = known(
        {ResourceKey("picture", "p-b"): "p-a"},
        source={there: [Identified(ResourceKey("picture", "p-b"), "url")]},
        target={here: [Identified(ResourceKey("picture", "p-a"), "url")]},
    )
    assert differing({"html": f"<img src='{there}'>"}, {"html": f"<img src='{here}'>"}, counterparts) == []
    assert differing({"html": f"<b src='{there}'>"}, {"html": f"<img src='{here}'>"}, counterparts) == ["/html"]


def test_items_of_a_set_are_remapped_wherever_they_stand() -> None:
    counterparts = known({ResourceKey("mapping", f"m{n}-b"): f"m{n}-a" for n in (1, 2)})
    source = {"mappings": [{"id": "m1-b", "version": 1}, {"id": "m2-b", "version": 2}]}
    target = {"mappings": [{"id": "m2-a", "version": 8}, {"id": "m1-a", "version": 7}]}
    assert differing(source, target, counterparts) == []
    assert differing(source, {"mappings": [*target["mappings"][1:], {"id": "m3-a", "version": 9}]}, counterparts) == [
        "/mappings"
    ]


def test_what_stands_below_a_key_that_is_an_id_is_compared_with_what_stands_below_its_counterpart() -> None:
    counterparts = known({ResourceKey("page", "page-0000-b"): "page-0000-a", ResourceKey("mapping", "m-b"): "m-a"})
    source = {"by_page": {"page-0000-b": {"id": "m-b", "version": 1, "note": "x"}}}
    target = {"by_page": {"page-0000-a": {"id": "m-a", "version": 7, "note": "x"}}}
    assert differing(source, target, counterparts) == []
    target["by_page"]["page-0000-a"]["note"] = "y"
    assert differing(source, target, counterparts) == ["/by_page/page-0000-a/note"]


@pytest.mark.parametrize("shape", ["{}", "see {} there", '{{"a": ["{}"]}}', "group_{}", "https://x.example/?p={}&q=1"])
@pytest.mark.parametrize("place", ["note", "script"])
def test_an_id_is_no_difference_whatever_stands_around_it(shape: str, place: str) -> None:
    counterparts = known({ResourceKey("page", "0b1c2d3e-page-b"): "9f8e7d6c-page-a"})
    source, target = ({place: shape.format(one)} for one in ("0b1c2d3e-page-b", "9f8e7d6c-page-a"))
    assert differing(source, target, counterparts) == []
    assert differing(source, {place: shape.format("another-page-a")}, counterparts) == [f"/{place}"]


def test_says_whose_aliases_are_not_known_yet_on_either_side() -> None:
    there, here = "https://files.example/b/logo.png", "https://files.example/a/x.png"
    source, target = {"html": f"<img src='{there}'>"}, {"html": f"<img src='{here}'>"}
    in_b, in_a = ResourceKey("picture", "p-b"), ResourceKey("picture", "p-a")
    pairs = {in_b: "p-a"}
    knows_b, knows_a = {there: [Identified(in_b, "url")]}, {here: [Identified(in_a, "url")]}

    assert unread_counterparts(PAGE, source, target, known(pairs, source=knows_b)) == {in_a}
    assert unread_counterparts(PAGE, source, target, known(pairs, source=knows_b, target=knows_a)) == set()
    assert unread_counterparts(PAGE, target, source, known(pairs, target=knows_a).reverse()) == {in_b}
    assert unread_counterparts(PAGE, target, source, known(pairs, source=knows_b).reverse()) == set()
