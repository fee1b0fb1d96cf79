import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.config_node import Blueprint
from shared.domain.errors import (
    CredentialsExpiredError,
    DownstreamRejectedError,
    DownstreamThrottledError,
    DownstreamUnavailableError,
    NotFoundError,
)
from shared.domain.index_items import ItemKind
from shared.domain.index_state import QUEUED_S, new_build_token
from shared.domain.resource_type import ResourceKey
from shared.use_cases.build_index import MAX_CONTINUATIONS, build_index
from shared.use_cases.indexing import build_run, reading
from shared.use_cases.indexing.build_run import BuildReport, BuildRun
from tests.fakes.api import Clock
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.index import FakeIndex
from tests.fakes.types import BOARD, CATALOGUE, FORM, MAPPING, PICTURE, THEME

DAY = 86_400
UUID = "3f34ce73-089c-4d45-a5ee-c161234e41c3"


class FakeCheckpoints:
    def __init__(self):
        self.values: dict[str, str] = {}

    def put(self, key, value):
        self.values[key] = json.dumps(value)

    def get(self, key):
        if key not in self.values:
            raise NotFoundError("gone")
        return json.loads(self.values[key])

    def delete(self, prefix):
        self.values = {key: value for key, value in self.values.items() if not key.startswith(prefix)}


class Organisation:
    """An organisation, its index, and builds of it."""

    def __init__(self):
        self.clock = Clock()
        self.index = FakeIndex(self.clock)
        self.repository = FakeConfigRepository()
        self.checkpoints = FakeCheckpoints()
        self.handed_over: list[Mapping[str, Any]] = []
        self.token = ""

    def start(self) -> None:
        self.clock.now += 60
        self.token = new_build_token(self.clock(), b"0123456789")
        assert self.index.start_build("org-a", self.token, self.clock() + 960, 10)

    def invoke(
        self, *, user: str = "user-1", continuation: int = 0, time_left: float = 900, **more: Any
    ) -> BuildReport:
        run = BuildRun(
            org_id="org-a",
            build_token=self.token,
            user_id=user,
            deadline=self.clock() + time_left,
            continuation=continuation,
            **more,
        )
        return build_index(
            run,
            catalogue=CATALOGUE,
            index=self.index,
            open_repository=lambda: self.repository,
            checkpoints=self.checkpoints,
            hand_over=self.handed_over.append,
            now=self.clock,
        )

    def build(self, **how: Any) -> BuildReport:
        self.start()
        return self.invoke(**how)

    def nodes(self) -> dict[str, dict[str, Any]]:
        return {f"{key[1]}:{key[2]}": item["content"] for key, item in self.index.items.items() if key[0] == "node"}

    def used_by(self, type_name: str, config_id: str) -> dict[str, list[str]]:
        page = self.index.list_used_by("org-a", ResourceKey(type_name, config_id), 1000, None)
        return {f"{one['type']}:{one['id']}": one["pointers"] for one in page.results}


@pytest.fixture
def org() -> Organisation:
    made = Organisation()
    made.repository.add(THEME, {"id": "theme-1", "name": "Blue", "key": "blue"}, {"id": "theme-2", "name": "Red"})
    made.repository.add(
        FORM,
        {"id": "form-1", "form_id": "form-1", "name": "Contact", "theme": "theme-1", "linked": ["form-2", "form-1"]},
        {"id": "form-2", "form_id": "form-2", "name": "Offer", "theme": "theme-1", "slug": "offer", "mapping": "map-1"},
        {"id": "form-3", "form_id": "form-3", "name": "Old", "theme": "gone", "html": "<a href='#form-1'>"},
    )
    made.repository.add(MAPPING, {"id": "map-1", "form": "form-2"}, {"id": "map-2", "form": "form-3"})
    made.repository.add(BOARD, {"id": "board-1", "name": "Mine", "themes": [{"id": "theme-2"}]})
    return made


def test_indexes_every_config_that_is_listed_or_referred_to(org):
    report = org.build()

    assert report.status == "done"
    assert set(org.nodes()) == {
        "theme:theme-1",
        "theme:theme-2",
        "form:form-1",
        "form:form-2",
        "form:form-3",
        "mapping:map-1",
        "board:board-1",
    }
    assert org.index.state.totals == {"form": 3, "theme": 2, "mapping": 1, "board": 1}
    assert report.indexed == 7


def test_gets_an_item_only_where_the_list_is_a_summary(org):
    org.build()

    assert org.repository.calls["get", "form"] == 3
    assert org.repository.calls["get", "theme"] == 0


def test_keeps_edges_in_both_directions_with_the_places(org):
    org.build()

    assert org.used_by("theme", "theme-1") == {"form:form-1": ["/theme"], "form:form-2": ["/theme"]}
    assert org.index.list_edges("org-a", ResourceKey("form", "form-2")) == {
        ("theme", "theme-1"): ["/theme"],
        ("mapping", "map-1"): ["/mapping"],
    }


def test_an_inverse_edge_carries_the_using_configs_summary(org):
    org.build()

    page = org.index.list_used_by("org-a", ResourceKey("mapping", "map-1"), 10, None)
    assert page.results == [
        {"type": "form", "id": "form-2", "title": "Offer", "aliases": ["offer"], "pointers": ["/mapping"]}
    ]


def test_a_config_that_names_itself_does_not_use_itself(org):
    org.build()

    assert org.used_by("form", "form-1") == {}
    assert org.used_by("form", "form-2") == {"form:form-1": ["/linked/0"], "mapping:map-1": ["/form"]}


def test_a_reference_to_something_unknown_makes_no_edge(org):
    org.build()

    assert org.index.list_edges("org-a", ResourceKey("form", "form-3")) == {}


def test_finds_an_alias_at_a_typed_place_and_an_id_anywhere(org):
    org.repository.add(THEME, {"id": UUID, "name": "Green"})
    org.repository.add(
        FORM,
        {"id": "form-4", "form_id": "form-4", "name": "Aliased", "theme_name": "blue", "note": f"see {UUID} or blue"},
    )
    org.build()

    edges = org.index.list_edges("org-a", ResourceKey("form", "form-4"))
    assert edges == {("theme", "theme-1"): ["/theme_name"], ("theme", UUID): ["/note"]}


def test_remembers_of_which_field_an_alias_is_the_value(org):
    org.build()

    found = org.index.find_identifiers("org-a", ["blue", "theme-1"])
    assert [(one.key.id, one.field) for one in found["blue"]] == [("theme-1", "key")]
    assert [(one.key.id, one.field) for one in found["theme-1"]] == [("theme-1", "id")]


def test_keeps_no_secret(org):
    org.repository.add(FORM, {"id": "form-4", "form_id": "form-4", "name": "With", "secret": "hunter2-hunter2"})
    org.start()
    org.invoke(time_left=0)
    org.invoke(continuation=1)

    assert "hunter2" not in repr(org.index.items)
    assert "hunter2" not in repr(org.checkpoints.values)


def test_a_second_build_of_an_unchanged_organisation_writes_nothing(org):
    org.build()
    before = org.index.writes
    report = org.build()

    assert before > 0
    assert report.status == "done"
    assert org.index.writes == before


def test_writes_only_what_changed(org):
    org.build()
    before = org.index.writes
    org.repository.configs["form"]["form-3"]["name"] = "Older"
    org.build()

    assert org.index.writes - before == 1
    assert org.nodes()["form:form-3"]["summary"]["title"] == "Older"


def test_a_changed_config_changes_its_summary_wherever_it_is_named_as_user(org):
    org.build()
    org.repository.configs["form"]["form-2"]["name"] = "New offer"
    org.build()

    page = org.index.list_used_by("org-a", ResourceKey("theme", "theme-1"), 10, None)
    assert [one["title"] for one in page.results] == ["Contact", "New offer"]


def test_a_deleted_config_leaves_with_its_edges_and_identifiers(org):
    org.build()
    del org.repository.configs["form"]["form-2"]
    org.build()

    assert "form:form-2" not in org.nodes()
    assert not [key for key in org.index.items if "form-2" in key]
    assert "mapping:map-1" not in org.nodes()
    assert org.index.find_identifiers("org-a", ["offer"]) == {}


@pytest.mark.parametrize(
    "error",
    [
        DownstreamUnavailableError("down"),
        DownstreamThrottledError("slow down"),
        DownstreamRejectedError("forbidden"),
        KeyError("results"),
    ],
)
def test_a_failed_type_keeps_its_nodes_and_edges_and_is_named(org, error):
    org.build()
    before = dict(org.index.items)
    org.repository.fail("list", "form", error)
    report = org.build()

    assert report.status == "done"
    assert org.index.items == before
    assert set(org.index.state.failed_types) == {"form", "mapping"}
    assert org.index.state.totals["form"] == 3


def test_what_refers_to_a_config_of_a_failed_type_still_finds_it(org):
    org.build()
    org.repository.fail("list", "theme", DownstreamUnavailableError("down"))
    org.repository.add(FORM, {"id": "form-9", "form_id": "form-9", "name": "New", "theme_name": "blue"})
    org.build()

    assert "form:form-9" in org.used_by("theme", "theme-1")


def test_a_payload_without_an_id_fails_its_type_only(org):
    org.repository.configs["theme"]["bad"] = {"name": "no id"}
    report = org.build()

    assert set(report.failed_types) == {"theme"}
    assert "form:form-1" in org.nodes()


def test_leaves_out_a_config_that_the_index_cannot_hold(org):
    org.repository.add(THEME, {"id": "x" * 300, "name": "Endless"})
    report = org.build()

    assert report.failed_types == {}
    assert len(report.warnings) == 1
    assert org.index.state.totals["theme"] == 2


def test_what_is_nested_too_deep_is_indexed_by_what_can_be_read_of_it(org):
    deep = "x"
    for _ in range(1_000):
        deep = [deep]
    org.repository.add(FORM, {"id": "odd", "form_id": "odd", "name": "Odd \ud83d", "theme": "theme-1", "deep": deep})
    report = org.build()

    assert report.failed_types == {}
    assert report.warnings == []
    assert org.nodes()["form:odd"]["summary"]["title"] == "Odd \ufffd"


def test_fails_when_no_type_can_be_read(org):
    for name in ("form", "theme", "picture", "board"):
        org.repository.fail("list", name, DownstreamUnavailableError("down"))
    report = org.build()

    assert (report.status, report.code) == ("failed", "DOWNSTREAM_UNAVAILABLE")
    assert org.index.state.status_at(org.clock()) == "failed"


def test_an_expired_token_fails_the_build_with_that_reason(org):
    org.repository.fail("list", "board", CredentialsExpiredError("The token has expired."))
    report = org.build()

    assert report.code == "CREDENTIALS_EXPIRED"
    assert org.index.state.error.startswith("CREDENTIALS_EXPIRED")
    assert org.index.items == {}


def test_an_error_of_another_kind_marks_the_build_as_failed_and_is_raised(org):
    org.repository.fail("list", "board", MemoryError())
    with pytest.raises(MemoryError):
        org.build()

    assert org.index.state.status_at(org.clock()) == "failed"


def test_names_types_that_cannot_be_listed_with_the_reason(org):
    org.build()

    assert org.index.state.not_listed == {"mapping": "The API cannot list mappings."}


def test_does_nothing_when_a_newer_build_has_begun(org):
    org.start()
    old = org.token
    org.start()
    org.token = old
    report = org.invoke()

    assert report.status == "superseded"
    assert org.repository.calls.total() == 0


def test_stops_quietly_at_its_next_write_when_a_newer_build_begins(org):
    org.start()

    def newer_build_begins():
        org.index.state = None
        org.index.start_build("org-a", "Z" * 26, org.clock() + 960, 10)

    org.index.before_apply = newer_build_begins
    report = org.invoke()

    assert report.status == "superseded"
    assert org.index.state.build_token == "Z" * 26
    assert org.index.state.status == "building"


def test_overwrites_nothing_that_a_newer_build_wrote(org):
    org.build()
    for item in org.index.items.values():
        item["build"] = "Z" * 26
    org.repository.configs["theme"]["theme-1"]["name"] = "Changed"
    report = org.build()

    assert report.status == "superseded"
    assert org.nodes()["theme:theme-1"]["summary"]["title"] == "Blue"


# Limited views


def test_what_another_user_saw_is_looked_up_before_it_goes(org):
    org.build(user="user-1")
    org.repository.unlisted.add(ResourceKey("board", "board-1"))
    org.build(user="user-2")

    assert "board:board-1" in org.nodes()
    assert org.repository.calls["get", "board"] == 1


def test_what_another_user_saw_goes_when_it_is_no_longer_there(org):
    org.build(user="user-1")
    del org.repository.configs["board"]["board-1"]
    org.build(user="user-2")

    assert "board:board-1" not in org.nodes()


def test_what_another_user_saw_stays_when_looking_is_refused(org):
    org.build(user="user-1")
    org.repository.unlisted.add(ResourceKey("board", "board-1"))
    org.repository.fail("get", "board", DownstreamRejectedError("forbidden"))
    org.build(user="user-2")

    assert "board:board-1" in org.nodes()
    assert org.used_by("theme", "theme-2") == {"board:board-1": ["/themes/0/id"]}
    assert org.index.state.totals["board"] == 1


def test_what_the_same_user_no_longer_sees_goes_without_a_look(org):
    org.build(user="user-1")
    org.repository.unlisted.add(ResourceKey("board", "board-1"))
    org.build(user="user-1")

    assert "board:board-1" not in org.nodes()
    assert org.repository.calls["get", "board"] == 0


def test_the_state_names_the_builder(org):
    org.build(user="user-7")

    assert org.index.state.built_by == "user-7"


# Types that are indexed only where used


def add_pictures(org):
    org.repository.add(
        PICTURE,
        {"id": "pic-unused", "name": "upload.pdf", "url": "https://files.example/unused"},
        {"id": "pic-manifest", "name": "logo.png", "_manifest": ["bp-1"]},
        {"id": "pic-by-id", "name": "by id"},
        {"id": "pic-by-url", "name": "by url", "url": "https://files.example/by-url"},
        {"id": "pic-unlisted", "name": "deep in the list"},
    )
    org.repository.unlisted.add(ResourceKey("picture", "pic-unlisted"))
    org.repository.add(
        FORM,
        {"id": "f1", "form_id": "f1", "picture": "pic-by-id", "html": "<img src='https://files.example/by-url'>"},
        {"id": "f2", "form_id": "f2", "picture": "pic-unlisted"},
    )


def test_indexes_a_picture_only_with_a_manifest_or_where_it_is_referred_to(org):
    add_pictures(org)
    org.build()

    pictures = {name for name in org.nodes() if name.startswith("picture:")}
    assert pictures == {"picture:pic-manifest", "picture:pic-by-id", "picture:pic-by-url", "picture:pic-unlisted"}
    assert org.used_by("picture", "pic-by-url") == {"form:f1": ["/html"]}
    assert org.index.find_identifiers("org-a", ["https://files.example/unused"]) == {}


def test_reports_a_cap(org, monkeypatch):
    add_pictures(org)
    monkeypatch.setattr(reading, "MAX_INDEXED_WHEN_USED", 2)
    org.build()

    assert org.index.state.capped == {"picture": 2}
    assert org.index.state.totals["picture"] == 2


def test_keeps_pictures_while_a_type_that_may_use_them_failed(org):
    add_pictures(org)
    org.build()
    org.repository.fail("list", "form", DownstreamUnavailableError("down"))
    org.build()

    assert "picture:pic-by-id" in org.nodes()


# Blueprints and usage


def test_takes_blueprints_from_members_and_from_the_payloads_manifest(org):
    org.repository.blueprints = [
        (Blueprint("bp-1", "Starter"), [ResourceKey("theme", "theme-1")]),
        (Blueprint("bp-2", "Extra"), []),
    ]
    org.repository.configs["theme"]["theme-2"]["_manifest"] = ["bp-2", "bp-9"]
    org.build()

    assert org.nodes()["theme:theme-1"]["summary"]["blueprints"] == [{"id": "bp-1", "title": "Starter"}]
    assert org.nodes()["theme:theme-2"]["summary"]["blueprints"] == [
        {"id": "bp-2", "title": "Extra"},
        {"id": "bp-9", "title": "bp-9"},
    ]
    assert org.nodes()["theme:theme-2"]["blueprint_ids"] == ["bp-2", "bp-9"]


def test_blueprints_stay_when_they_cannot_be_read(org):
    org.repository.blueprints = [(Blueprint("bp-1", "Starter"), [ResourceKey("theme", "theme-1")])]
    org.build()
    before = org.index.writes
    org.repository.fail("blueprints", "", DownstreamUnavailableError("down"))
    report = org.build()

    assert report.warnings
    assert org.index.writes == before


def test_counts_usage_where_no_payload_carries_it(org):
    org.repository.usage = {"theme": {"theme-1": 12}}
    org.build()

    assert org.nodes()["theme:theme-1"]["usage"] == 12
    assert org.nodes()["theme:theme-1"]["summary"]["metadata"] == {"uses": 12}
    assert "metadata" not in org.nodes()["theme:theme-2"]["summary"]


def test_a_type_without_its_usage_is_still_indexed(org):
    org.repository.fail("usage", "theme", DownstreamThrottledError("slow"))
    report = org.build()

    assert "theme:theme-1" in org.nodes()
    assert report.failed_types == {}
    assert len(report.warnings) == 1


def test_writes_absolute_links_only_where_the_app_is_known(org, monkeypatch):
    monkeypatch.setitem(CATALOGUE, "theme", replace(THEME, link="/app/themes/{id}"))
    org.build()
    without = org.nodes()["theme:theme-1"]["summary"]
    org.build(app_url="https://portal.example/")

    assert "link" not in without
    assert org.nodes()["theme:theme-1"]["summary"]["link"] == "https://portal.example/app/themes/theme-1"


# Lifetime


def test_refreshes_items_only_in_the_second_half_of_their_lifetime(org):
    org.build()
    items, before = len(org.index.items), org.index.writes
    org.clock.now += 14 * DAY
    org.build()
    unchanged = org.index.writes
    org.clock.now += 2 * DAY
    org.build()

    assert unchanged == before
    assert org.index.writes - before == items


def test_items_of_a_failed_type_live_on(org):
    org.build()
    org.clock.now += 20 * DAY
    org.repository.fail("list", "theme", DownstreamUnavailableError("down"))
    org.build()

    assert org.index.items[ItemKind.NODE, "theme", "theme-1"]["expires_at"] > org.clock() + 29 * DAY


# Going on in another invocation


def test_hands_over_before_its_time_is_up_and_finishes_in_the_next_invocation(org):
    org.start()
    first = org.invoke(time_left=119)
    assert org.index.state.event == org.handed_over[0]
    assert org.index.state.lease_until > org.clock() + QUEUED_S, "the next invocation may wait as long"
    second = org.invoke(continuation=org.handed_over[0]["continuation"])

    assert (first.status, second.status) == ("more", "done")
    assert [event["continuation"] for event in org.handed_over] == [1]
    assert len(org.nodes()) == 7
    assert org.checkpoints.values == {}


def test_reads_no_page_twice(org):
    org.start()
    org.invoke(time_left=0)
    org.invoke(continuation=1)

    assert org.repository.calls["list", "theme"] == 1
    assert org.repository.calls["list", "board"] == 1


def test_hands_over_in_the_middle_of_a_page_whose_configs_answer_slowly(org):
    org.repository.page_size = 100
    org.repository.add(FORM, *({"id": f"f-{number}", "form_id": f"f-{number}"} for number in range(60)))
    answer = org.repository.get_config

    def slowly(entry, config_id):
        org.clock.now += 60
        return answer(entry, config_id)

    org.repository.get_config = slowly
    org.start()
    first = org.invoke(time_left=900)
    took = org.clock.now - org.index.state.started_at
    org.repository.get_config = answer
    second = org.invoke(continuation=1)

    assert (first.status, second.status) == ("more", "done")
    assert took < 900 + 8 * 60
    assert org.index.state.totals["form"] == 63


def test_what_ends_the_build_ends_the_reading_of_other_types_at_their_next_page(org):
    org.repository.page_size = 1
    org.repository.add(THEME, *({"id": f"t-{number}", "name": "Many"} for number in range(3000)))
    org.repository.fail("list", "board", CredentialsExpiredError("The token has expired."))
    report = org.build()

    assert report.code == "CREDENTIALS_EXPIRED"
    assert org.repository.calls["list", "theme"] < 3000


def slow_after(org: Organisation, calls: int) -> Callable[[], float]:
    """A clock that jumps to the deadline after so many readings of the state."""
    original, seen = org.index.is_latest, iter(range(10_000))

    def is_latest(org_id, token):
        if next(seen) == calls:
            org.clock.now += 790
        return original(org_id, token)

    return is_latest


@pytest.mark.parametrize("calls", range(24))
def test_an_interrupted_build_ends_with_the_same_index(org, monkeypatch, calls):
    add_pictures(org)
    org.repository.blueprints = [(Blueprint("bp-1", "Starter"), [ResourceKey("theme", "theme-1")])]
    monkeypatch.setattr(build_run, "_CONFIGS_PER_CHECKPOINT", 2)
    whole = Organisation()
    whole.repository = org.repository
    whole.build()

    org.start()
    monkeypatch.setattr(org.index, "is_latest", slow_after(org, calls))
    report, continuation = org.invoke(), 0
    while report.status == "more":
        continuation += 1
        report = org.invoke(continuation=continuation)

    assert report.status == "done"
    assert {key: item["digest"] for key, item in org.index.items.items()} == {
        key: item["digest"] for key, item in whole.index.items.items()
    }


def test_gives_up_after_the_last_continuation(org):
    org.start()
    report = org.invoke(time_left=0, continuation=0)
    report = org.invoke(time_left=0, continuation=MAX_CONTINUATIONS)

    assert (report.status, report.code) == ("failed", "TOO_LONG")
    assert [event["continuation"] for event in org.handed_over] == [1]
    assert org.checkpoints.values == {}


# Laws

names = st.sampled_from(["a1", "b2", "c3", "d4"])
organisations = st.fixed_dictionaries(
    {
        "forms": st.dictionaries(
            names, st.fixed_dictionaries({"theme": names, "linked": st.lists(names, max_size=3)}), max_size=4
        ),
        "themes": st.dictionaries(names, st.text(max_size=5), max_size=4),
    }
)
failing = st.sets(st.sampled_from(["form", "theme"]), max_size=2)


def load(org: Organisation, content: dict[str, Any]) -> None:
    org.repository.configs = {}
    org.repository.add(
        FORM, *({"id": f"form-{k}", "form_id": f"form-{k}", **value} for k, value in content["forms"].items())
    )
    org.repository.add(THEME, *({"id": k, "name": value} for k, value in content["themes"].items()))


@given(organisations, organisations)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_law_a_rebuild_ends_where_a_first_build_would(before, after):
    rebuilt, fresh = Organisation(), Organisation()
    load(rebuilt, before)
    rebuilt.build()
    load(rebuilt, after)
    rebuilt.build()
    load(fresh, after)
    fresh.build()
    written = rebuilt.index.writes
    rebuilt.build()

    assert {k: v["digest"] for k, v in rebuilt.index.items.items()} == {
        k: v["digest"] for k, v in fresh.index.items.items()
    }
    assert rebuilt.index.writes == written


@given(organisations, organisations, failing)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_law_a_failed_type_keeps_exactly_its_nodes(before, after, failed):
    org = Organisation()
    load(org, before)
    org.build()
    nodes = org.nodes()
    load(org, after)
    for name in failed:
        org.repository.fail("list", name, DownstreamUnavailableError("down"))
    org.build()

    for name in failed:
        kept = {key: content for key, content in org.nodes().items() if key.startswith(f"{name}:")}
        assert kept == {key: content for key, content in nodes.items() if key.startswith(f"{name}:")}
