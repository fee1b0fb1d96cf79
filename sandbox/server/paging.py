"""Cuts lists into pages, one strategy per family of paging."""

import json
from collections.abc import Callable
from typing import Any

from sandbox.server.call import Call
from sandbox.server.errors import ApiError
from sandbox.server.kind import Paging
from sandbox.server.store import Record

Render = Callable[[Record], bytes]


def _number(call: Call, paging: Paging, name: str, default: int | None, minimum: int = 0) -> int | None:
    if paging.in_body:
        value: Any = call.body.get(name) if isinstance(call.body, dict) else None
    else:
        value = call.query_text(name)
    if value is None:
        return default
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise ApiError(400, f"{name} must be an integer") from None
    if number < minimum or isinstance(value, bool):
        raise ApiError(400, f"{name} must be at least {minimum}")
    return number


def _size(call: Call, paging: Paging, name: str, minimum: int = 1) -> int | None:
    size = _number(call, paging, name, paging.default, minimum)
    if size is not None and paging.maximum is not None and size > paging.maximum:
        if not paging.clamps:
            raise ApiError(400, f"{name} must be at most {paging.maximum}")
        size = paging.maximum
    return size


def _array(records: list[Record], render: Render) -> bytes:
    return b"[" + b",".join(map(render, records)) + b"]"


def _envelope(paging: Paging, items: bytes, **rest: Any) -> bytes:
    if paging.items is None:
        return items
    tail = json.dumps(rest)[1:-1].encode()
    return b'{"%s":%s%s}' % (paging.items.encode(), items, b"," + tail if tail else b"")


def _unpaged(_call: Call, paging: Paging, records: list[Record], render: Render) -> bytes:
    return _envelope(paging, _array(records, render))


def _counted(_call: Call, paging: Paging, records: list[Record], render: Render) -> bytes:
    return _envelope(paging, _array(records, render), **{paging.total or "total": len(records)})


def _from_size(call: Call, paging: Paging, records: list[Record], render: Render) -> bytes:
    start = _number(call, paging, "from", 0) or 0
    size = _size(call, paging, "size", minimum=0 if paging.in_body else 1)
    end = None if size is None else start + size
    return _envelope(paging, _array(records[start:end], render), **{paging.total or "hits": len(records)})


def _limit_offset(call: Call, paging: Paging, records: list[Record], render: Render) -> bytes:
    start = _number(call, paging, "offset", 0) or 0
    limit = _size(call, paging, "limit")
    end = None if limit is None else start + limit
    return _envelope(paging, _array(records[start:end], render), **{paging.total or "hits": len(records)})


def _limit_offset_pagination(call: Call, paging: Paging, records: list[Record], render: Render) -> bytes:
    start = _number(call, paging, "offset", 0) or 0
    limit = _size(call, paging, "limit")
    end = len(records) if limit is None else start + limit
    pagination = {
        "total": len(records),
        "limit": len(records) if limit is None else limit,
        "offset": start,
        "has_more": end < len(records),
    }
    return _envelope(paging, _array(records[start:end], render), pagination=pagination)


def _page_number(call: Call, paging: Paging, records: list[Record], render: Render) -> bytes:
    page = _number(call, paging, "page", 1, minimum=1) or 1
    size = _size(call, paging, "pageSize") or 1
    start = (page - 1) * size
    pagination = {"total": len(records), "page": page, "pageSize": size}
    return _envelope(paging, _array(records[start : start + size], render), pagination=pagination)


PAGINATORS: dict[str, Callable[[Call, Paging, list[Record], Render], bytes]] = {
    "unpaged": _unpaged,
    "counted": _counted,
    "from_size": _from_size,
    "limit_offset": _limit_offset,
    "limit_offset_pagination": _limit_offset_pagination,
    "page_number": _page_number,
}
