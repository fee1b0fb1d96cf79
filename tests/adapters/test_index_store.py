import threading
from bisect import bisect_left, bisect_right
from types import SimpleNamespace
from unittest import mock

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.dynamodb import index_reads, index_store, keys
from shared.adapters.dynamodb.index_store import IndexStore
from shared.domain.config_node import Blueprint, ConfigNode, Edge
from shared.domain.errors import InvalidRequestError, StorageThrottledError
from shared.domain.index_items import (
    Changes,
    ItemKind,
    Partition,
    edge_items,
    identifier_items,
    node_items,
    plan_changes,
    used_by_items,
)
from shared.domain.index_state import INDEX_LIFETIME_S, BuildResult, SupersededError
from shared.domain.node_query import SORT_ORDERS, NodeQuery
from shared.domain.read_config import ReadConfig
from shared.domain.references import Identified
from shared.domain.resource_type import ResourceKey
from tests.fakes.api import Clock

OLD, NEW = "0" * 26, "1" * 26
ODD = "50% off#1 / ü ?&"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(aws, tables):
    return aws.resource("dynamodb").meta.client


@pytest.fixture
def store(client, clock):
    return IndexStore(client, "IndexTable", clock)


def node(config_id, title="Title", **more):
    return ConfigNode(key=ResourceKey("journey", config_id), title=title, **more)


def put(store, desired, build=NEW, org="org-a", user="user-1"):
    list(store.apply(org, build, user, plan_changes(desired, {}, lambda _: False, store._clock())))


def put_nodes(store, *nodes, org="org-a"):
    put(store, node_items(ReadConfig(one, "hash", {}, {}) for one in nodes), org=org)


def listed(store, size=100, cursor=None, org="org-a", **query):
    page = store.list_nodes(org, NodeQuery(type="journey", **query), size, cursor)
    return [one["id"] for one in page.results]


def paged(store, size, **query):
    ids, cursor, pages = [], None, 0
    while True:
        page = store.list_nodes("org-a", NodeQuery(type="journey", **query), size, cursor)
        ids += [one["id"] for one in page.results]
        pages += 1
        cursor = page.next_cursor
        if cursor is None:
            return ids, pages


def counted(client):
    """Counts the calls of a client by operation."""
    calls = []
    client.meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
    return calls


# Nodes


def test_gives_a_node_back_as_the_contract_has_it(store):
    one = node(
        "j-1",
        "Heat pump",
        updated_at="2026-03-01T08:00:00.000Z",
        updated_by="user-7",
        tags=("a",),
        aliases=("x",),
        purposes=("p",),
        active=False,
        blueprints=(Blueprint("b", "Starter"),),
        usage=2.5,
        metadata={"submissions": 2.5},
    )
    put_nodes(store, one)

    assert store.list_nodes("org-a", NodeQuery(type="journey"), 10, None).results == [
        {
            "type": "journey",
            "id": "j-1",
            "title": "Heat pump",
            "updated_at": "2026-03-01T08:00:00.000Z",
            "updated_by": "user-7",
            "tags": ["a"],
            "aliases": ["x"],
            "purposes": ["p"],
            "active": False,
            "blueprints": [{"id": "b", "title": "Starter"}],
            "metadata": {"submissions": 2.5},
        }
    ]


def test_orders_by_date_newest_first_and_missing_dates_last(store):
    put_nodes(
        store,
        node("none"),
        node("old", updated_at="2024-01-01T00:00:00.000Z"),
        node("new", updated_at="2026-01-01T00:00:00.000Z"),
    )

    assert listed(store) == ["new", "old", "none"]


def test_orders_by_name_whatever_the_case(store):
    put_nodes(store, node("1", "beta"), node("2", "Alpha"), node("3", "alpha 2"), node("4", "BETA b"))

    assert listed(store, sort="name") == ["2", "3", "1", "4"]


def test_orders_by_usage_highest_first_and_unused_before_unknown(store):
    put_nodes(store, node("unknown"), *(node(f"u{usage}", usage=usage) for usage in (9, 10, 0, 9.5)))

    assert listed(store, sort="usage") == ["u10", "u9.5", "u9", "u0", "unknown"]


@pytest.mark.parametrize("sort", SORT_ORDERS)
def test_pages_through_ties_without_loss_or_repetition(store, sort):
    ids = [f"j-{number:02}" for number in range(11)]
    put_nodes(store, *(node(one, "Same", updated_at="2026-01-01T00:00:00.000Z", usage=1) for one in ids))

    found, pages = paged(store, 3, sort=sort)
    assert sorted(found) == ids
    assert pages == 4


def test_a_full_last_page_has_no_cursor(store):
    put_nodes(store, *(node(f"j-{number}") for number in range(4)))

    assert store.list_nodes("org-a", NodeQuery(type="journey"), 4, None).next_cursor is None


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"q": "PUMP"}, {"pump", "pump2"}),
        ({"q": "j-id"}, {"j-id"}),
        ({"q": "short-1"}, {"alias"}),
        ({"q": "short"}, set()),
        ({"purposes": ("p1", "p9")}, {"pump"}),
        ({"purposes": ("p1", "p2")}, {"pump", "alias"}),
        ({"blueprint_ids": ("b1",)}, {"pump2"}),
        ({"active_only": True}, {"pump", "alias", "j-id"}),
        ({"q": "pump", "active_only": True}, {"pump"}),
        ({"updated_after": "2025-06-01T00:00:00.000Z"}, {"pump"}),
        ({"updated_before": "2025-06-01T00:00:00.000Z"}, {"pump2"}),
        ({"updated_before": "2027-01-01T00:00:00.000Z"}, {"pump", "pump2"}),
        ({"updated_after": "2025-01-01T00:00:00.000Z", "updated_before": "2026-01-01T00:00:00.000Z"}, set()),
        (
            {"updated_after": "2024-12-31T23:59:59.999Z", "updated_before": "2026-01-01T00:00:00.001Z"},
            {"pump", "pump2"},
        ),
        ({"updated_after": "2027-01-01T00:00:00.000Z", "updated_before": "2026-01-01T00:00:00.001Z"}, set()),
    ],
)
def test_filters_in_every_order(store, filters, expected):
    put_nodes(
        store,
        node("pump", "Heat Pump", purposes=("p1",), updated_at="2026-01-01T00:00:00.000Z", active=True),
        node("pump2", "pumps", active=False, blueprints=(Blueprint("b1", "B"),), updated_at="2025-01-01T00:00:00.000Z"),
        node("alias", "Other", aliases=("short-1",), purposes=("p2",)),
        node("j-id", "Third"),
    )

    for sort in SORT_ORDERS:
        assert set(listed(store, sort=sort, **filters)) == expected


def test_filters_by_more_values_than_an_expression_holds(store):
    put_nodes(store, node("p", purposes=("p-99",)), node("b", blueprints=(Blueprint("b-99", "B"),)), node("none"))
    many = [f"-{number}" for number in range(120)]

    assert listed(store, purposes=tuple(f"p{one}" for one in many)) == ["p"]
    assert listed(store, blueprint_ids=tuple(f"b{one}" for one in many)) == ["b"]


def test_stores_half_a_surrogate_pair_as_a_question_mark(store):
    put_nodes(store, node("1", "broken \ud83d emoji \U0001f600"))

    assert (
        store.list_nodes("org-a", NodeQuery(type="journey"), 1, None).results[0]["title"] == "broken ? emoji \U0001f600"
    )


def test_fills_a_page_across_several_queries(store, client, monkeypatch):
    put_nodes(store, *(node(f"j-{number:03}", "hit" if number % 90 == 0 else "miss") for number in range(300)))
    calls = counted(client)

    assert listed(store, size=4, sort="name", q="hit") == ["j-000", "j-090", "j-180", "j-270"]
    assert calls.count("Query") >= 2


def test_ends_a_page_early_with_a_cursor_when_enough_is_read(store, monkeypatch):
    put_nodes(store, *(node(f"j-{number:03}", "hit" if number == 250 else "miss") for number in range(260)))
    monkeypatch.setattr(index_reads, "MAX_READ_BYTES", 1)
    query = NodeQuery(type="journey", sort="updated_at", q="hit")
    short = store.list_nodes("org-a", query, 5, None)
    found, pages = paged(store, 5, sort="updated_at", q="hit")

    assert short.next_cursor
    assert found == ["j-250"]
    assert pages == 2


def test_ends_a_page_early_after_two_seconds(store, client, clock):
    put_nodes(store, *(node(f"j-{number:03}", "miss") for number in range(260)))

    def slow(**_):
        clock.now += 3

    client.meta.events.register("before-call.dynamodb.Query", slow)
    page = store.list_nodes("org-a", NodeQuery(type="journey", q="hit"), 5, None)

    assert page.results == []
    assert page.next_cursor


def test_a_cursor_belongs_to_one_query_of_one_organisation(store):
    put_nodes(store, node("1"), node("2"))
    cursor = store.list_nodes("org-a", NodeQuery(type="journey"), 1, None).next_cursor

    for org, query in (
        ("org-b", NodeQuery(type="journey")),
        ("org-a", NodeQuery(type="role")),
        ("org-a", NodeQuery(type="journey", sort="name")),
        ("org-a", NodeQuery(type="journey", q="x")),
    ):
        with pytest.raises(InvalidRequestError, match="cursor"):
            store.list_nodes(org, query, 1, cursor)


def test_one_organisation_sees_nothing_of_another(store):
    put_nodes(store, node("mine"))

    assert listed(store, org="org-b") == []
    assert store.find_summaries("org-b", [ResourceKey("journey", "mine")]) == {}


def test_finds_more_summaries_than_one_call_returns(store):
    put_nodes(store, *(node(f"j-{number}") for number in range(120)))
    wanted = [ResourceKey("journey", f"j-{number}") for number in range(125)]

    assert len(store.find_summaries("org-a", [*wanted, wanted[0]])) == 120


# Edges and identifiers


def used_by(store, target, *sources):
    nodes = {ResourceKey("journey", one): node(one, f"Title {one}") for one in sources}
    edges = [Edge(source, target, ("/a/b",)) for source in nodes]
    put(store, used_by_items(edges, nodes) | edge_items(edges))


def test_used_by_is_one_query_however_many_edges_there_are(store, client):
    used_by(store, ResourceKey("schema", "contact"), "j-1", "j-2")
    used_by(store, ResourceKey("schema", "contact2"), *(f"k-{number}" for number in range(50)))
    calls = counted(client)
    page = store.list_used_by("org-a", ResourceKey("schema", "contact"), 1000, None)

    assert [(one["id"], one["title"], one["pointers"]) for one in page.results] == [
        ("j-1", "Title j-1", ["/a/b"]),
        ("j-2", "Title j-2", ["/a/b"]),
    ]
    assert calls == ["Query"]


def test_the_cost_of_used_by_grows_with_the_answer_only(store, client):
    used_by(store, ResourceKey("schema", "contact"), "j-1")
    used_by(store, ResourceKey("schema", "other"), *(f"k-{number}" for number in range(300)))
    scanned = []
    client.meta.events.register("after-call.dynamodb.Query", lambda parsed, **_: scanned.append(parsed["ScannedCount"]))
    store.list_used_by("org-a", ResourceKey("schema", "contact"), 1000, None)

    assert scanned == [1]


def test_pages_through_users(store):
    target = ResourceKey("schema", ODD)
    used_by(store, target, "j-1", ODD, "j-3")
    first = store.list_used_by("org-a", target, 2, None)
    second = store.list_used_by("org-a", target, 2, first.next_cursor)

    assert len(first.results) == 2
    assert {one["id"] for one in (*first.results, *second.results)} == {"j-1", ODD, "j-3"}
    assert second.next_cursor is None


class ManyEdges:
    """The inverse edges of one type, sorted; answers queries as DynamoDB does and notes how many edges each read."""

    def __init__(self, users_by_id):
        keyed = (
            keys.used_by("org-a", ResourceKey("file", used), ResourceKey("journey", user))
            for used, users in users_by_id.items()
            for user in users
        )
        self.sort_keys = sorted((key["sk"] for key in keyed), key=str.encode)
        self.read = []

    def query(self, *, KeyConditionExpression, Limit, ExclusiveStartKey=None, **_):  # noqa: N803 - DynamoDB's names
        _, between = KeyConditionExpression.get_expression()["values"]
        _, low, high = between.get_expression()["values"]
        first, behind = bisect_left(self.sort_keys, low), bisect_right(self.sort_keys, high)
        if ExclusiveStartKey is not None:
            assert low <= ExclusiveStartKey["sk"] <= high
            first = bisect_right(self.sort_keys, ExclusiveStartKey["sk"])
        page = self.sort_keys[first : min(behind, first + Limit)]
        self.read.append(len(page))
        more = {"LastEvaluatedKey": {"pk": "p", "sk": page[-1]}} if len(page) == Limit else {}
        return {"Items": [{"sk": one, "summary": {"title": "T"}} for one in page], **more}

    def users_of(self, *ids):
        loaded = IndexStore(self, "IndexTable").load_users("org-a", [ResourceKey("file", one) for one in ids])
        return {used.id: [user["id"] for user in users] for used, users in loaded.items()}


def test_users_of_a_thousand_configs_take_a_handful_of_queries():
    users = {f"f-{number:04}": ["j-1", "j-2"][: 1 + number % 2] for number in range(1000)}
    edges = ManyEdges(users)

    assert edges.users_of(*users) == users
    assert len(edges.read) <= 4


def test_users_of_three_configs_take_three_queries_however_many_edges_there_are():
    users = {f"f-{number:05}": ["j-1"] for number in range(50_000)}
    edges = ManyEdges(users)

    assert edges.users_of("f-00007", "f-25000", "f-49999").keys() == {"f-00007", "f-25000", "f-49999"}
    assert len(edges.read) == 3
    assert sum(edges.read) <= 600


def test_many_users_of_one_config_are_read_by_growing_pages_and_nothing_behind_them():
    users = {"f-1": [f"j-{number:05}" for number in range(10_000)], "f-2": ["j-1"]}
    edges = ManyEdges(users)

    assert edges.users_of("f-1") == {"f-1": users["f-1"]}
    assert (len(edges.read), sum(edges.read)) == (7, 10_000)


@pytest.mark.parametrize(("selected", "queries"), [(10, 10), (100, 100), (1000, 20), (10_000, 20)])
def test_users_take_a_query_for_each_config_or_one_scan_whatever_is_less(selected, queries):
    users = {f"f-{number:05}": ["j-1", "j-2"] for number in range(20_000)}
    edges = ManyEdges(users)

    assert len(edges.users_of(*list(users)[:: len(users) // selected])) == selected
    assert len(edges.read) <= queries
    assert sum(edges.read) <= min(200 * selected, 40_000)


@given(
    st.dictionaries(
        st.text("aZ$#%!ü\U0001f600\uffff", min_size=1, max_size=3), st.sets(st.text("a$#%", min_size=1, max_size=2))
    ),
    st.data(),
)
def test_users_of_any_configs_are_complete_and_of_no_other(users, data):
    wanted = data.draw(st.sets(st.sampled_from(sorted(users))) if users else st.just(set()))
    with mock.patch.object(index_reads, "_EDGES_A_QUERY", 2):
        found = ManyEdges(users).users_of(*wanted, "absent")

    assert {used: set(one) for used, one in found.items()} == {used: users[used] for used in wanted if users[used]}


def test_loads_users_with_their_titles_by_type(store, client, monkeypatch):
    monkeypatch.setattr(index_reads, "_EDGES_A_QUERY", 2)
    for type_name in ("schema", "file"):
        for config_id in ("contact", "contact$", "contract", ODD):
            used_by(store, ResourceKey(type_name, config_id), "j-1", "j-2", ODD)
    wanted = [ResourceKey("schema", "contact"), ResourceKey("file", ODD), ResourceKey("file", "contract")]
    calls = counted(client)

    users = store.load_users("org-a", [*wanted, ResourceKey("role", "none")])

    titles = {"j-1": "Title j-1", "j-2": "Title j-2", ODD: f"Title {ODD}"}
    assert users.keys() == set(wanted)
    for found in users.values():
        assert all(one.keys() == {"type", "id", "title"} and one["type"] == "journey" for one in found)
        assert {one["id"]: one["title"] for one in found} == titles
    assert set(calls) == {"Query"}
    assert store.load_users("org-b", wanted) == {}


def test_lists_what_a_config_uses(store):
    used_by(store, ResourceKey("schema", ODD), ODD)

    assert store.list_edges("org-a", ResourceKey("journey", ODD)) == {("schema", ODD): ["/a/b"]}


def test_finds_and_loads_identifiers(store, client, clock):
    known = {
        ODD: [Identified(ResourceKey("journey", ODD))],
        "blue": [Identified(ResourceKey("schema", "1"), "slug"), Identified(ResourceKey("role", "2"), "slug")],
    }
    put(store, identifier_items(known))

    assert store.find_identifiers("org-a", ["blue", ODD, "gone", "", "x" * 3000]) == known
    assert store.load_identifiers("org-a") == {}
    finish(store)
    assert store.load_identifiers("org-a") == known
    clock.now += INDEX_LIFETIME_S
    assert store.load_identifiers("org-a") == {}


def test_asks_again_for_keys_that_were_not_answered(store, client, monkeypatch):
    put_nodes(store, node("1"), node("2"))
    original, rounds = client.batch_get_item, []

    def first_only(**request):
        asked = request["RequestItems"]["IndexTable"]
        rounds.append(len(asked["Keys"]))
        answer = original(RequestItems={"IndexTable": {**asked, "Keys": asked["Keys"][:1]}})
        left = {"IndexTable": {**asked, "Keys": asked["Keys"][1:]}} if len(asked["Keys"]) > 1 else {}
        return answer | {"UnprocessedKeys": left}

    slow = IndexStore(SimpleNamespace(batch_get_item=first_only), "IndexTable")
    assert len(slow.find_summaries("org-a", [ResourceKey("journey", "1"), ResourceKey("journey", "2")])) == 2
    assert rounds == [2, 1]


# Builds


def result(**more):
    return BuildResult(**({"totals": {"journey": 2}, "failed_types": {}, "not_listed": {}, "capped": {}} | more))


def finish(store, build=NEW, org="org-a"):
    assert store.start_build(org, build, store._clock() + 960, 10)
    assert store.finish_build(org, build, "user-1", result())


def test_there_is_no_state_before_any_build(store):
    assert store.find_state("org-a") is None


def test_a_build_starts_and_ends(store, clock):
    assert store.start_build("org-a", OLD, clock() + 960, 10)
    building = store.find_state("org-a")
    clock.now += 2.5
    assert store.finish_build("org-a", OLD, "user-1", result(failed_types={"app": "down"}, capped={"file": 9}))
    ready = store.find_state("org-a")

    assert building.status_at(clock()) == "building"
    assert ready.status_at(clock()) == "ready"
    assert ready.build_duration_ms == 2500
    assert ready.total_items == 2
    assert ready.last_built_at == "2027-01-15T08:00:02.500Z"
    assert ready.failed_types == {"app": "down"}
    assert ready.capped == {"file": 9}
    assert ready.built_by == "user-1"
    assert ready.expires_at == int(clock()) + INDEX_LIFETIME_S


def test_a_second_start_within_ten_seconds_is_refused(store, clock):
    assert store.start_build("org-a", OLD, clock() + 960, 10)
    clock.now += 9
    assert not store.start_build("org-a", NEW, clock() + 960, 10)
    assert store.is_latest("org-a", OLD)
    clock.now += 1
    assert store.start_build("org-a", NEW, clock() + 960, 10)
    assert not store.is_latest("org-a", OLD)


def test_a_finished_build_does_not_hold_the_next_one_up(store, clock):
    finish(store, OLD)

    assert store.start_build("org-a", NEW, clock() + 960, 10)


def test_an_older_build_can_neither_extend_finish_nor_fail(store, clock):
    store.start_build("org-a", OLD, clock() + 960, 10)
    clock.now += 20
    store.start_build("org-a", NEW, clock() + 960, 10)
    store.fail_build("org-a", OLD, "INTERNAL: no")

    assert store.extend_lease("org-a", OLD, clock() + 9999) is None
    assert not store.finish_build("org-a", OLD, "user-1", result())
    assert store.find_state("org-a").status_at(clock()) == "building"


def test_a_lease_that_is_over_means_failed(store, clock):
    store.start_build("org-a", OLD, clock() + 960, 10)
    clock.now += 961

    assert store.find_state("org-a").status_at(clock()) == "failed"


def test_an_extended_lease_means_building(store, clock):
    store.start_build("org-a", OLD, clock() + 960, 10)
    state = store.extend_lease("org-a", OLD, clock() + 2000)
    clock.now += 961

    assert state.build_token == OLD
    assert store.find_state("org-a").status_at(clock()) == "building"


def test_a_failed_build_leaves_what_the_last_success_found(store, clock):
    finish(store, OLD)
    clock.now += 60
    store.start_build("org-a", NEW, clock() + 960, 10)
    store.fail_build("org-a", NEW, "CREDENTIALS_EXPIRED: The token has expired.")
    state = store.find_state("org-a")

    assert state.status_at(clock()) == "failed"
    assert state.error == "CREDENTIALS_EXPIRED: The token has expired."
    assert state.has_nodes(clock())
    assert state.total_items == 2


def standings(store, clock, within_s=7 * 86_400):
    return {one.org_id: one for one in store.list_standings(clock() - within_s)}


def test_builds_that_have_not_ended_are_found_whatever_their_organisation(store, clock):
    finish(store, OLD, "ready")
    assert store.start_build("building", NEW, clock() + 960, 10)
    assert store.start_build("failing", NEW, clock() + 960, 10)
    store.fail_build("failing", NEW, "LOST: Nobody works on it.")

    (building,) = store.list_building()
    assert (building.org_id, building.lease_until) == ("building", clock() + 960)
    state = store.find_state("building")
    assert not state.is_lost(clock())
    assert state.is_lost(clock() + 960)


def test_the_oldest_ready_index_of_each_size_is_found_and_all_that_are_not_ready(store, clock):
    for org in ("oldest", "younger", "failing", "building"):
        finish(store, OLD, org)
        clock.now += 60
    assert store.start_build("large", OLD, clock() + 960, 10)
    store.finish_build("large", OLD, "user-1", result(totals={"journey": 10_000}))
    assert store.start_build("failing", NEW, clock() + 960, 10)
    store.fail_build("failing", NEW, "CREDENTIALS_EXPIRED: The token has expired.")
    assert store.start_build("building", NEW, clock() + 960, 10)
    assert store.start_build("never", NEW, clock() + 960, 10)
    store.extend_lease("never", NEW, clock() + 30)

    found = standings(store, clock)
    assert {org: (one.status, one.size) for org, one in found.items()} == {
        "oldest": ("ready", "small"),
        "large": ("ready", "large"),
        "failing": ("failed", "small"),
        "building": ("building", "small"),
        "never": ("building", ""),
    }
    assert (found["never"].succeeded_at, found["failing"].succeeded_at) == (None, pytest.approx(clock() - 120, abs=0.1))
    assert {org for org, one in found.items() if one.fails_at(clock() + 31)} == {"failing", "never"}


def test_builds_of_before_an_index_lifetime_are_over(store, clock):
    assert store.start_build("org-a", OLD, clock() + 960, 10)
    store.fail_build("org-a", OLD, "INTERNAL: It broke.")
    clock.now += 7 * 86_400

    assert standings(store, clock) == {}


def test_a_new_start_forgets_what_lived_out_its_time(store, clock):
    finish(store, OLD)
    clock.now += INDEX_LIFETIME_S
    expired = store.find_state("org-a")
    store.start_build("org-a", NEW, clock() + 960, 10)
    state = store.find_state("org-a")

    assert expired.status_at(clock()) == "missing"
    assert state.status_at(clock()) == "building"
    assert state.expires_at is None
    assert state.totals == {}


def test_a_state_row_that_is_deleted_meanwhile_comes_back_with_the_result(store, client, clock):
    store.start_build("org-a", NEW, clock() + 960, 10)
    client.delete_item(TableName="IndexTable", Key=keys.index_state("org-a"))

    assert store.is_latest("org-a", NEW)
    assert store.finish_build("org-a", NEW, "user-1", result())
    assert store.find_state("org-a").build_token == NEW


def desired_items():
    source, target = ResourceKey("journey", ODD), ResourceKey("schema", "contact")
    edges = [Edge(source, target, ("/a",))]
    one = node(ODD, "Title", usage=1.5, metadata={"submissions": 1.5})
    return {
        Partition(ItemKind.NODE, "journey"): node_items([ReadConfig(one, "h", {}, {})]) | edge_items(edges),
        Partition(ItemKind.USED_BY, "schema"): used_by_items(edges, {source: one}),
        Partition(ItemKind.IDENTIFIER): identifier_items({ODD: [Identified(source)]}),
    }


def test_a_partition_holds_what_was_written_and_a_second_plan_is_empty(store, clock):
    for partition, desired in desired_items().items():
        put(store, desired)
        stored = store.load_partition("org-a", partition)

        assert set(stored) == set(desired)
        assert len(plan_changes(desired, stored, lambda _: False, clock())) == 0


def test_deletes_and_touches(store, clock):
    partition = Partition(ItemKind.NODE, "journey")
    desired = desired_items()[partition]
    put(store, desired)
    node_key, edge_key = sorted(desired, reverse=True)
    clock.now += 86_400
    list(store.apply("org-a", NEW, "user-2", Changes(touches=[node_key], deletes=[edge_key])))
    stored = store.load_partition("org-a", partition)

    assert set(stored) == {node_key}
    assert stored[node_key].expires_at == int(clock()) + 30 * 86_400
    assert stored[node_key].seen_by == "user-1"


@pytest.mark.parametrize("kind", ["put", "touch", "delete"])
def test_an_older_build_overwrites_nothing_of_a_newer_one(store, clock, kind):
    partition = Partition(ItemKind.NODE, "journey")
    desired = desired_items()[partition]
    put(store, desired, build=NEW)
    key = next(iter(desired))
    changes = {
        "put": Changes(puts=[(key, desired[key], "other")]),
        "touch": Changes(touches=[key]),
        "delete": Changes(deletes=[key]),
    }[kind]
    before = store.load_partition("org-a", partition)

    with pytest.raises(SupersededError):
        list(store.apply("org-a", OLD, "user-1", changes))
    assert store.load_partition("org-a", partition) == before


def test_identifiers_come_with_their_content(store):
    partition = Partition(ItemKind.IDENTIFIER)
    put(store, desired_items()[partition])

    (item,) = store.load_partition("org-a", partition).values()
    assert item.content == {"configs": [["journey", ODD, "id"]]}


def test_loads_the_blueprints_of_nodes_that_have_any(store):
    put_nodes(store, node("1", blueprints=(Blueprint("b", "Starter"),)), node("2"))

    assert store.load_blueprints("org-a", "journey") == {("journey", "1"): [Blueprint("b", "Starter")]}


def test_reports_progress_after_every_round(store, monkeypatch):
    monkeypatch.setattr(index_store, "_WRITES_PER_ROUND", 2)
    desired = node_items(ReadConfig(node(str(number)), "h", {}, {}) for number in range(5))

    assert list(store.apply("org-a", NEW, "u", plan_changes(desired, {}, lambda _: False, 0))) == [2, 4, 5]


def test_writes_from_several_threads(store, monkeypatch):
    original, first, joined = store._client.put_item, threading.get_ident(), threading.Event()
    writers = set()

    def put_item(**request):
        writers.add(threading.get_ident())
        if len(writers) > 1:
            joined.set()
        # Nobody goes on before a second thread writes.
        assert joined.wait(60)
        return original(**request)

    monkeypatch.setattr(store._client, "put_item", put_item)
    put_nodes(store, *(node(str(number)) for number in range(40)))

    assert first not in writers
    assert len(listed(store)) == 40


def test_a_cursor_that_the_table_refuses_is_the_callers_mistake(store, client):
    def refuse(**_):
        raise ClientError({"Error": {"Code": "ValidationException", "Message": "outside of the range"}}, "Query")

    put_nodes(store, node("1"), node("2"))
    cursor = store.list_nodes("org-a", NodeQuery(type="journey"), 1, None).next_cursor
    refusing = IndexStore(SimpleNamespace(query=refuse), "IndexTable")

    with pytest.raises(InvalidRequestError, match="cursor"):
        refusing.list_nodes("org-a", NodeQuery(type="journey"), 1, cursor)
    with pytest.raises(ClientError):
        refusing.list_nodes("org-a", NodeQuery(type="journey"), 1, None)


@pytest.mark.parametrize("code", ["ProvisionedThroughputExceededException", "ThrottlingException"])
def test_a_busy_table_is_a_transient_error(code):
    def refuse(**_):
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetItem")

    with pytest.raises(StorageThrottledError):
        IndexStore(SimpleNamespace(get_item=refuse), "IndexTable").find_state("org-a")


def test_any_other_refusal_is_not_hidden():
    def refuse(**_):
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetItem")

    with pytest.raises(ClientError):
        IndexStore(SimpleNamespace(get_item=refuse), "IndexTable").find_state("org-a")
