"""Record that a person says which config of the caller a config of another organisation is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, StrictStr

from shared.domain.errors import ConflictError, DownstreamMalformedError, InvalidRequestError, NotFoundError
from shared.domain.job import iso_time
from shared.domain.matching import Pair, portable_id
from shared.domain.node_query import resource_type_named
from shared.domain.plan import MANUAL_CONFIRM, LineageEntry
from shared.use_cases.jobs.request_fields import Id
from shared.use_cases.reading.check_rights import check_may_update

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.domain.ports.configs import ConfigRepository
    from shared.domain.ports.lineage import LineageRegistry
    from shared.domain.resource_type import Catalogue


class ConfirmLineageRequest(BaseModel):
    """The body of confirmLineage; fields that it does not know are ignored."""

    type: StrictStr
    source_org_id: Id
    source_id: Id
    target_id: Id


def confirm_lineage(
    catalogue: Catalogue,
    lineage: LineageRegistry,
    current: ConfigRepository,
    body: Mapping[str, Any],
    *,
    user_id: str,
    now: float,
) -> dict[str, Any]:
    """Pair a source config with a config of the caller, so that the next sync patches that instead of creating another.

    Whoever runs that sync writes what this pair names, so the caller must be one who may change it. A repeat answers
    with the entry that is there.

    Args:
        catalogue: all resource types.
        lineage: where the entry goes.
        current: the caller's organisation.
        body: the request's body.
        user_id: the caller.
        now: epoch seconds.

    Returns:
        The contract's `LineageEntryResponse`.

    Raises:
        ValidationError: a field breaks the contract.
        InvalidRequestError: the type is unknown, the source is the caller's own organisation, or there is no such
            target.
        ForbiddenError: the caller may not change the target.
        ConflictError: the source config has another target, the target is another source config's already, or the type
            has the same identifier in every organisation and these differ.
        HubError: the downstream API throttles, fails or refuses.
    """
    request = ConfirmLineageRequest.model_validate(body)
    resource_type = resource_type_named(catalogue, request.type)
    if request.source_org_id == current.org_id:
        raise InvalidRequestError("source_org_id: another organisation than that of your token is expected.")
    check_may_update(current, resource_type, request.target_id)
    try:
        current.get_config(resource_type, request.target_id)
    except (NotFoundError, DownstreamMalformedError):
        raise InvalidRequestError(
            f"target_id: there is no {resource_type.name} {request.target_id} in your organisation."
        ) from None
    namesake = portable_id(resource_type, request.source_id, Pair(request.source_org_id, current.org_id))
    if namesake not in (None, request.target_id):
        raise ConflictError(
            f"target_id: {resource_type.name} {request.source_id} of another organisation is {namesake} here: others"
            f" refer to it by that, so it cannot be {request.target_id}."
        )
    stored = lineage.confirm_entry(
        LineageEntry(
            type=resource_type.name,
            source_org_id=request.source_org_id,
            source_id=request.source_id,
            target_org_id=current.org_id,
            target_id=request.target_id,
            origin=MANUAL_CONFIRM,
            confirmed_by=user_id,
            confirmed_at=iso_time(now),
        )
    )
    return lineage_answer(stored)


def lineage_answer(entry: LineageEntry) -> dict[str, Any]:
    """Return an entry as the contract's `LineageEntryResponse`; what is not known is left out."""
    optional = {
        "last_synced_at": entry.last_synced_at,
        "origin": entry.origin,
        "confirmed_by": entry.confirmed_by,
        "confirmed_at": entry.confirmed_at,
    }
    return {
        "type": entry.type,
        "target_org_id": entry.target_org_id,
        "source_org_id": entry.source_org_id,
        "source_id": entry.source_id,
        "target_id": entry.target_id,
        **{name: value for name, value in optional.items() if value is not None},
    }
