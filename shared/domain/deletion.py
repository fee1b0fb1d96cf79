"""Plan a delete job, purely: what is left alone by its type, and who goes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.domain.graph import order
from shared.domain.row import Phase, Row, RowError, RowStatus, Work

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from shared.domain.resource_type import Catalogue, ResourceKey

ACTION = "delete"
#: All rows of a delete job are counted together.
BATCH = 1


def plan_deletion(
    catalogue: Catalogue,
    titles: Mapping[ResourceKey, str],
    uses: Collection[tuple[ResourceKey, ResourceKey]],
    now: str,
) -> list[Row]:
    """Return the rows of a delete job; a row's generation says when it is deleted: users before what they use.

    Args:
        catalogue: all resource types.
        titles: what was selected, with titles for people.
        uses: (user, used), both selected. In a cycle one of the references is passed over.
        now: for the rows, as the contract writes times.
    """
    arcs = {(used, user): 1 for user, used in uses if user != used}
    generations = order(titles.keys(), arcs).generations
    return [
        _row(catalogue, key, titles[key], number, now) for number, keys in enumerate(generations, 1) for key in keys
    ]


def _row(catalogue: Catalogue, key: ResourceKey, title: str, generation: int, now: str) -> Row:
    entry = catalogue[key.type]
    deletable = entry.deletable and entry.delete is not None
    reason = entry.undeletable_reason or entry.missing.get("delete", "Its API cannot delete it.")
    return Row(
        key=key,
        title=title,
        status=RowStatus.PENDING if deletable else RowStatus.SKIPPED,
        phase=Phase.CREATE,
        action=ACTION,
        batch=BATCH,
        generation=generation,
        left=(Work.WRITE,) if deletable else (),
        error=None if deletable else RowError("NOT_DELETABLE", reason),
        updated_at=now,
    )
