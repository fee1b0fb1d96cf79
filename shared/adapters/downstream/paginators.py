"""Walk the pages of a list: one function per paging family, chosen by name in the catalogue.

Each yields `(items, resume)`, `resume` being the JSON value that continues behind the page, None behind the last one.
Each ends: on the last page, or with an error when the API turns in circles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from shared.domain.api_operation import ListOperation
from shared.domain.errors import DownstreamRejectedError, DownstreamUnavailableError
from shared.domain.paths import find_value

Items = list[dict[str, Any]]
Page = tuple[Items, Any | None]
#: Takes query parameters and body fields of one call (None leaves a constant field out), returns the answer.
Fetch = Callable[[Mapping[str, Any], Mapping[str, Any]], Any]
Paginator = Callable[[Fetch, ListOperation, Any | None], Iterator[Page]]

MAX_PAGES = 2_000
DEFAULT_PAGE_SIZE = 100
# Elasticsearch's own window; the entity API's documentation advises against more than 25,000.
MAX_OFFSET_OF_SEARCH = 10_000


def _single(fetch: Fetch, operation: ListOperation, _resume: Any | None) -> Iterator[Page]:
    yield _items(fetch({}, {}), operation), None


def _by_offset(size_name: str, offset_name: str, *, in_body: bool) -> Paginator:
    def pages(fetch: Fetch, operation: ListOperation, resume: Any | None) -> Iterator[Page]:
        size = operation.page_size or DEFAULT_PAGE_SIZE
        offset = int(resume or 0)

        def turn() -> Iterator[tuple[Items, Any, bool]]:
            nonlocal offset
            while True:
                position = {offset_name: offset, size_name: size}
                answer = fetch({}, position) if in_body else fetch(position, {})
                items = _items(answer, operation)
                offset += len(items)
                yield items, offset, _is_last(items, answer, operation, offset)

        yield from _guarded(turn(), operation)

    return pages


def _by_page_number(fetch: Fetch, operation: ListOperation, resume: Any | None) -> Iterator[Page]:
    size = operation.page_size or DEFAULT_PAGE_SIZE
    number, seen = resume or (1, 0)

    def turn() -> Iterator[tuple[Items, Any, bool]]:
        nonlocal number, seen
        while True:
            answer = fetch({"page": number, "pageSize": size}, {})
            items = _items(answer, operation)
            number, seen = number + 1, seen + len(items)
            yield items, [number, seen], _is_last(items, answer, operation, seen)

    yield from _guarded(turn(), operation)


def _by_entity_search(fetch: Fetch, operation: ListOperation, resume: Any | None) -> Iterator[Page]:
    """Page by offset as far as that goes, then behind the sort value of the last item."""
    size = operation.page_size or DEFAULT_PAGE_SIZE
    position: dict[str, Any] = dict(resume or {"from": 0})
    seen = int(position.pop("seen", position.get("from", 0)))

    def turn() -> Iterator[tuple[Items, Any, bool]]:
        nonlocal position, seen
        while True:
            answer = fetch({}, {**position, "size": size})
            items = _items(answer, operation)
            seen += len(items)
            if seen + size <= MAX_OFFSET_OF_SEARCH:
                position = {"from": seen}
            elif sort_end := find_value(answer, "sort_end"):
                position = {"from": None, "search_after": sort_end}
            # A search engine stops counting hits where its window ends.
            is_full_window = seen == MAX_OFFSET_OF_SEARCH and len(items) == size
            is_last = _is_last(items, answer, operation, seen) and not is_full_window
            if not is_last and seen + size > MAX_OFFSET_OF_SEARCH and "search_after" not in position:
                raise DownstreamRejectedError(
                    f"{operation.operation_id} has more than {MAX_OFFSET_OF_SEARCH:,} items and no way to page on."
                )
            yield items, {**position, "seen": seen}, is_last

    yield from _guarded(turn(), operation)


PAGINATORS: Mapping[str, Paginator] = {
    "none": _single,
    "from_size_query": _by_offset("size", "from", in_body=False),
    "from_size_body": _by_offset("size", "from", in_body=True),
    "limit_offset": _by_offset("limit", "offset", in_body=False),
    "page_number": _by_page_number,
    "entity_search": _by_entity_search,
}


def _guarded(turns: Iterator[tuple[Items, Any, bool]], operation: ListOperation) -> Iterator[Page]:
    """Yield pages until the last one, and not for ever."""
    previous: Items | None = None
    for count, (items, resume, is_last) in enumerate(turns, start=1):
        if items and items == previous:
            raise DownstreamRejectedError(f"{operation.operation_id} answers the same page again and again.")
        if count > MAX_PAGES:
            raise DownstreamRejectedError(f"{operation.operation_id} has more than {MAX_PAGES:,} pages.")
        yield items, None if is_last else resume
        if is_last:
            return
        previous = items


def _items(answer: Any, operation: ListOperation) -> Items:
    found = find_value(answer, operation.items) if operation.items else answer
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise DownstreamUnavailableError(
            f"The {operation.api} API answered {operation.operation_id} without a list of items."
        )
    return found


def _is_last(items: Items, answer: Any, operation: ListOperation, seen: int) -> bool:
    """Tell whether a page is the last: it is empty, or as many items were seen as there are.

    A short page proves nothing, because an API may answer with fewer than were asked for.
    """
    if not items:
        return True
    total = find_value(answer, operation.total) if operation.total else None
    return isinstance(total, int | float) and seen >= total
