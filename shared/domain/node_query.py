"""What a read of the index may ask for, and a page of its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.domain.config_node import normalise_time
from shared.domain.errors import InvalidRequestError

if TYPE_CHECKING:
    from datetime import datetime

    from shared.domain.resource_type import Catalogue, ResourceType


def resource_type_named(catalogue: Catalogue, name: str) -> ResourceType:
    """Return a type of the catalogue.

    Raises:
        InvalidRequestError: there is none of this name; the message names those that there are.
    """
    if name not in catalogue:
        raise InvalidRequestError(f"type: one of {', '.join(sorted(catalogue))} is expected.")
    return catalogue[name]


# Reads


SORT_ORDERS = ("updated_at", "name", "usage")


def iso_time(moment: datetime | None) -> str:
    """Return a point in time as nodes have it, so that texts compare by time; empty for None."""
    return (normalise_time(moment.isoformat()) or "") if moment is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeQuery:
    """Which nodes of a type, in which order.

    Attributes:
        sort: updated_at, name or usage.
        q: part of the title, whatever its case, or a whole id or alias.
        updated_after, updated_before: exclusive, ISO 8601 in UTC with milliseconds.
        purposes, blueprint_ids: any of these.
        active_only: leave out what says that it is inactive.
    """

    type: str
    sort: str = "updated_at"
    q: str = ""
    updated_after: str = ""
    updated_before: str = ""
    purposes: tuple[str, ...] = ()
    blueprint_ids: tuple[str, ...] = ()
    active_only: bool = False

    @property
    def is_filtered(self) -> bool:
        """Tell whether any node may be left out."""
        return any(
            (self.q, self.updated_after, self.updated_before, self.purposes, self.blueprint_ids, self.active_only)
        )


class Page(NamedTuple):
    """One page of an answer.

    Attributes:
        results: contract summaries.
        next_cursor: continues behind this page; None: there is nothing behind it.
    """

    results: list[dict[str, Any]]
    next_cursor: str | None
