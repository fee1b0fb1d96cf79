"""The operations of a downstream API, as a resource type declares them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from shared.domain.immutable import EMPTY

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of a downstream API.

    Attributes:
        api: stem of the published definition that has it.
        host: server of that API.
        operation_id: its name there.
        method: HTTP method.
        path: path template; its one `{parameter}` is replaced by the config's id, percent-encoded.
        query: constant query parameters.
        answer: field path of the payload inside the answer; empty where the answer is the payload.
    """

    api: str
    host: str
    operation_id: str
    method: str
    path: str
    query: Mapping[str, str] = EMPTY
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOperation(Operation):
    """An operation that lists all configs of a type.

    Attributes:
        paging: name of a paginator: none, from_size_query, from_size_body, limit_offset, page_number, entity_search.
        page_size: what to ask for per page; None where there is no paging.
        items: field path of the items in the answer; empty for a bare array.
        total: field path of the number of hits, if stated.
        body: constant fields of the request body.
        variants: query parameters of further calls, one call each, where one call does not list everything.
        whole: items are whole payloads; otherwise each needs a `get`.
        only_own_org: field path and the caller's organisation must be equal, where a list shows other organisations'
            too.
    """

    paging: str = "none"
    page_size: int | None = None
    items: str = ""
    total: str | None = None
    body: Mapping[str, Any] = EMPTY
    variants: tuple[Mapping[str, str], ...] = ()
    whole: bool = True
    only_own_org: str | None = None


class Removal(StrEnum):
    """How an update that merges takes a top-level property away: no definition says so, this is what we assume."""

    NULL = "null"  # a body whose properties are free
    EMPTY = "empty"  # a typed body: an empty text, array or object; a number or flag cannot be taken away
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOperation(Operation):
    """An operation that creates or updates one config.

    Attributes:
        wrapper: the property that holds the payload in the request body; empty where the body is the payload.
        body: constant fields added to the payload; `{id}` and `{org_id}` inside strings are filled in.
        rename: payload property -> property of the request body.
        omit: payload properties that this operation does not take, though others do.
        required: body properties without which the API refuses.
        answer_id: field path of the id in the answer; empty where the answer carries none.
        merge: True where properties that are not sent stay as they are (PATCH), False where the body replaces the
            config. An object or array that is sent replaces the one that is there: only the top level merges.
        removal: how an update that merges takes a property away.
        client_id: the caller chooses the id (the path carries it, or it is the config's slug or key).
        mints_secret: the answer carries a secret that must never be logged or kept.
    """

    wrapper: str = ""
    body: Mapping[str, Any] = EMPTY
    rename: Mapping[str, str] = EMPTY
    omit: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    answer_id: str = ""
    merge: bool = False
    removal: Removal = Removal.EMPTY
    client_id: bool = False
    mints_secret: bool = False
