"""Each API pages its lists in its own way."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest

from tests.sandbox.conftest import Client
from tests.sandbox.samples import APP, ORG

TOTAL = 7


def _payloads(type_: str, id_field: str, **rest: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for number in range(TOTAL):
        yield type_, {id_field: f"00000000-0000-4000-8000-{number:012d}", **rest}


def _at(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


AUDIT = {"created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z"}

# type, id, payload, (api, operation), the total's key, whether the page is asked for in the body
FROM_SIZE = [
    (
        "automation_flow",
        "id",
        {"flow_name": "F", "triggers": [], "actions": []},
        ("automation", "searchFlows"),
        "total",
        False,
    ),
    (
        "flow_template",
        "id",
        {"name": "Flow", "tasks": [], "edges": []},
        ("workflow-definition", "searchFlowTemplates"),
        "hits",
        True,
    ),
    (
        "custom_variable",
        "id",
        {"key": "k", "template": "t"},
        ("template-variables", "searchCustomVariables"),
        "hits",
        True,
    ),
    ("saved_view", "id", {"slug": ["a"], "name": "V", "ui_config": {}}, ("entity", "listSavedViews"), "hits", False),
    (
        "journey",
        "journeyId",
        {"name": "J", "steps": [], "settings": {"entityId": _at(1)}},
        ("journey", "searchJourneys"),
        "hits",
        True,
    ),
]


@pytest.mark.parametrize(("type_", "id_field", "payload", "operation", "total", "in_body"), FROM_SIZE)
def test_from_and_size_cut_a_list(
    client: Client, alpha: Client, type_: str, id_field: str, payload: Any, operation: Any, total: str, in_body: bool
) -> None:
    client.load(ORG, *_payloads(type_, id_field, **payload))

    def page(**asked: int) -> Any:
        return alpha.call(*operation, body=asked if in_body else None, query=None if in_body else asked)

    seen = []
    for start in (0, 3, 6, 9):
        answer = page(**{"from": start, "size": 3}).json()
        assert answer[total] == TOTAL
        seen.append([item.get(id_field) or item["journey_id"] for item in answer["results"]])
    assert [len(items) for items in seen] == [3, 3, 1, 0]
    assert sorted(chain.from_iterable(seen)) == [_at(number) for number in range(TOTAL)]
    assert page(**{"from": -1}).status == 400


@pytest.mark.parametrize(
    ("operation", "name", "largest"),
    [
        (("entity", "listSavedViews"), "size", 250),
        (("dashboard", "listDashboards"), "limit", 200),
        (("notification", "listNotificationTemplates"), "size", 1000),
    ],
)
def test_page_size_is_bounded_where_the_api_says_so(lenient: Client, operation: Any, name: str, largest: int) -> None:
    assert lenient.call(*operation, query={name: largest}).status == 200
    assert lenient.call(*operation, query={name: largest + 1}).status == 400


def test_default_page_is_short(client: Client, alpha: Client) -> None:
    variables = [("custom_variable", {"id": str(number), "key": f"k{number}", "template": ""}) for number in range(30)]
    client.load(ORG, *variables)
    answer = alpha.call("template-variables", "searchCustomVariables", body={}).json()
    assert (len(answer["results"]), answer["hits"]) == (25, 30)


def test_dashboards_come_all_at_once_or_by_limit_and_offset(client: Client, alpha: Client) -> None:
    client.load(ORG, *_payloads("dashboard", "id", title="D", tiles=[]))
    everything = alpha.call("dashboard", "listDashboards").json()
    assert len(everything["results"]) == TOTAL
    assert everything["pagination"]["has_more"] is False
    last = alpha.call("dashboard", "listDashboards", query={"limit": 3, "offset": 3}).json()
    assert last["pagination"] == {"total": TOTAL, "limit": 3, "offset": 3, "has_more": True}
    assert [item["id"] for item in last["results"]] == [_at(3), _at(4), _at(5)]


def test_groups_page_by_limit_and_offset(client: Client, alpha: Client) -> None:
    client.load(ORG, *_payloads("usergroup", "id", name="G", org_id=ORG, **AUDIT))
    answer = alpha.call("user", "getGroups", query={"limit": 2, "offset": 6}).json()
    assert (answer["hits"], [item["id"] for item in answer["groups"]]) == (TOTAL, [_at(6)])


def test_apps_page_by_number_from_one(client: Client, alpha: Client) -> None:
    client.load(ORG, *(("app", {**APP, "app_id": f"a{number}"}) for number in range(TOTAL)))
    answer = alpha.call("app", "listInstallations", query={"page": 3, "pageSize": 3}).json()
    assert answer["pagination"] == {"total": TOTAL, "page": 3, "pageSize": 3}
    assert [item["app_id"] for item in answer["apps"]] == ["a6"]
    assert alpha.call("app", "listInstallations", query={"page": 0}).status == 400


@pytest.fixture
def products(client: Client, alpha: Client) -> Client:
    client.load(
        ORG,
        *(
            (
                "product",
                {"_id": _at(number), "_schema": "product", "_org": ORG, "name": f"P{number % 2}", "rank": number},
            )
            for number in range(1005)
        ),
    )
    return alpha


def _search(client: Client, q: str, **rest: Any) -> Any:
    return client.call("entity", "searchEntities", body={"q": q, **rest}).json()


def test_entity_search_gives_ten_by_default_and_a_thousand_at_most(products: Client) -> None:
    assert len(_search(products, "_schema:product")["results"]) == 10
    answer = _search(products, "_schema:product", size=5000)
    assert (len(answer["results"]), answer["hits"]) == (1000, 1005)
    assert len(_search(products, "_schema:product", **{"from": 1000, "size": 1000})["results"]) == 5


def test_entity_search_of_size_zero_only_counts(products: Client) -> None:
    assert _search(products, "_schema:product", size=0) == {"hits": 1005, "results": []}


def test_entity_search_goes_on_after_the_end_of_a_page(products: Client) -> None:
    first = _search(products, "_schema:product", size=3, sort="_id:desc")
    second = _search(products, "_schema:product", size=3, sort="_id:desc", search_after=first["sort_end"])
    assert [item["_id"] for item in first["results"] + second["results"]] == [_at(n) for n in range(1004, 998, -1)]


@pytest.mark.parametrize(
    ("q", "hits"),
    [
        ("_schema:product AND name:P1", 502),
        ("_schema:product AND NOT name:P1", 503),
        ('_schema:product AND name:"P1"', 502),
        ("_schema:product AND rank:(3 OR 4 OR 4000)", 2),
        ("_schema:product AND rank:3 OR rank:4", 2),
        ("_schema:product AND name:P*", 1005),
        ("_schema:nothing", 0),
        (f"_id:{_at(7)}", 1),
    ],
)
def test_entity_search_understands_the_query_language(products: Client, q: str, hits: int) -> None:
    assert _search(products, q)["hits"] == hits


def test_entity_search_refuses_what_it_cannot_parse(products: Client) -> None:
    assert products.call("entity", "searchEntities", body={"q": "_schema:product AND (("}).status == 400


def test_entity_search_narrows_fields(products: Client) -> None:
    (item,) = _search(products, f"_id:{_at(7)}", fields=["_*", "name", "!_org"])["results"]
    assert item == {"_id": _at(7), "_schema": "product", "name": "P1"}


def test_file_and_document_template_lists_are_disjoint(client: Client, alpha: Client) -> None:
    for number, type_ in enumerate(("document", "document_template")):
        client.load(ORG, (type_ if number else "file", {"_id": _at(number), "_schema": "file", "type": type_}))
    assert [item["_id"] for item in _search(alpha, "_schema:file AND type:document_template")["results"]] == [_at(1)]
    assert [item["_id"] for item in _search(alpha, "_schema:file AND NOT type:document_template")["results"]] == [
        _at(0)
    ]
