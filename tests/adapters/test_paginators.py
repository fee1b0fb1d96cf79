import pytest

from shared.adapters.downstream import paginators
from shared.adapters.downstream.paginators import PAGINATORS
from shared.domain.api_operation import ListOperation
from shared.domain.errors import DownstreamRejectedError, DownstreamUnavailableError

FAMILIES = ["from_size_query", "from_size_body", "limit_offset", "page_number", "entity_search"]


class Pages:
    """An API that holds that many items and pages through them in every way."""

    def __init__(self, count, max_size=1000, total=True, sort_end=True):
        self.items = [{"id": number} for number in range(count)]
        self.max_size = max_size
        self.total = total
        self.sort_end = sort_end
        self.calls = []

    def __call__(self, query, body):
        position = {**query, **body}
        self.calls.append(position)
        size = min(self.max_size, position.get("size") or position.get("limit") or position.get("pageSize"))
        if "page" in position:
            start = (position["page"] - 1) * size
        elif position.get("search_after"):
            start = position["search_after"][0] + 1
        else:
            start = position.get("from", position.get("offset", 0))
        found = self.items[start : start + size]
        answer = {"results": found}
        if self.total:
            answer["hits"] = self.total if self.total is not True else len(self.items)
        if self.sort_end and found:
            answer["sort_end"] = [found[-1]["id"], "tie"]
        return answer


def operation(paging, page_size=10, items="results"):
    return ListOperation(
        api="x", host="x.example", operation_id="listX", method="GET", path="/x", paging=paging, page_size=page_size,
        items=items, total="hits",
    )  # fmt: skip


def walk(api, paging, resume=None, **options):
    return list(PAGINATORS[paging](api, operation(paging, **options), resume))


def ids(pages):
    return [item["id"] for items, _ in pages for item in items]


@pytest.mark.parametrize("paging", FAMILIES)
@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 35])
def test_sees_every_item_once_and_ends(paging, count):
    pages = walk(Pages(count), paging)

    assert ids(pages) == list(range(count))
    assert pages[-1][1] is None
    assert all(resume is not None for _, resume in pages[:-1])


@pytest.mark.parametrize("paging", FAMILIES)
def test_ends_on_an_empty_page_where_no_total_is_stated(paging):
    assert ids(walk(Pages(25, total=False), paging)) == list(range(25))


@pytest.mark.parametrize("paging", FAMILIES)
def test_ends_on_an_empty_page_although_the_total_promises_more(paging):
    assert ids(walk(Pages(25, total=1_000), paging)) == list(range(25))


@pytest.mark.parametrize("paging", FAMILIES)
def test_asks_for_no_page_behind_the_last_one(paging):
    api = Pages(20)
    walk(api, paging)

    assert len(api.calls) == 2


@pytest.mark.parametrize("paging", FAMILIES)
def test_goes_on_where_the_api_gives_fewer_than_asked_for(paging):
    assert ids(walk(Pages(35, max_size=7), paging)) == list(range(35))


@pytest.mark.parametrize("paging", FAMILIES)
def test_continues_behind_any_page(paging):
    for _, resume in walk(Pages(35), paging)[:-1]:
        done = ids(walk(Pages(35), paging))
        rest = ids(walk(Pages(35), paging, resume))
        assert rest == done[-len(rest) :]
        assert 0 < len(rest) < 35


@pytest.mark.parametrize("paging", FAMILIES)
def test_notices_an_api_that_ignores_paging(paging):
    def same(query, body):
        return {"results": [{"id": 1}], "hits": 100}

    with pytest.raises(DownstreamRejectedError, match="same page"):
        walk(same, paging)


@pytest.mark.parametrize("paging", FAMILIES)
def test_notices_an_api_that_never_ends(paging, monkeypatch):
    monkeypatch.setattr(paginators, "MAX_PAGES", 5)
    with pytest.raises(DownstreamRejectedError, match="more than 5 pages"):
        walk(Pages(1_000), paging)


@pytest.mark.parametrize("answer", [{}, {"results": None}, {"results": {}}, {"results": ["text"]}, None, []])
def test_an_answer_without_items_is_no_empty_list(answer):
    with pytest.raises(DownstreamUnavailableError, match="without a list"):
        walk(lambda query, body: answer, "none")


def test_reads_a_bare_array():
    assert walk(lambda query, body: [{"id": 1}], "none", items="") == [([{"id": 1}], None)]


def test_a_search_goes_on_behind_the_window_of_the_search_engine():
    api = Pages(23_500)

    assert ids(walk(api, "entity_search", page_size=1000)) == list(range(23_500))
    assert max(call.get("from") or 0 for call in api.calls) == 9_000
    assert {"from": None, "search_after": [9_999, "tie"], "size": 1000} in api.calls


def test_a_search_continues_behind_the_window():
    pages = walk(Pages(12_500), "entity_search", page_size=1000)

    assert ids(walk(Pages(12_500), "entity_search", pages[10][1], page_size=1000)) == list(range(11_000, 12_500))


def test_a_count_that_ends_with_the_window_is_not_believed():
    assert len(ids(walk(Pages(10_700, total=10_000), "entity_search", page_size=1000))) == 10_700


def test_a_search_that_cannot_go_on_says_so_and_loses_nothing_silently():
    with pytest.raises(DownstreamRejectedError, match="no way to page on"):
        walk(Pages(12_000, sort_end=False), "entity_search", page_size=1000)


def test_puts_its_position_where_the_family_says():
    seen = []

    def fetch(query, body):
        seen.append((dict(query), dict(body)))
        return {"results": [], "hits": 0}

    for paging in FAMILIES:
        walk(fetch, paging)
    assert seen == [
        ({"from": 0, "size": 10}, {}),
        ({}, {"from": 0, "size": 10}),
        ({"offset": 0, "limit": 10}, {}),
        ({"page": 1, "pageSize": 10}, {}),
        ({}, {"from": 0, "size": 10}),
    ]
