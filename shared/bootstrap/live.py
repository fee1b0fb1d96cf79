"""Build what operations need that read one or two organisations live, and their lineage."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from shared import settings
from shared.bootstrap.catalogue import catalogue
from shared.bootstrap.downstream import open_repository
from shared.bootstrap.lineage import lineage_store
from shared.bootstrap.security import token_verifier
from shared.use_cases.reading.two_organisations import Reading

if TYPE_CHECKING:
    from shared.adapters.downstream.repository import DownstreamRepository
    from shared.entrypoints.request import Request

# The gateway ends a request after 29 s, a cold start before it and the writing of the answer included.
READ_FOR_S = 24.0
# One API that does not answer must not use up the time of all.
_LONGEST_CALL_S = 15.0


def live_repository(token: str, org_id: str, ends_at: float) -> DownstreamRepository:
    """Return the configs of an organisation to be read until a point in time; nothing can be written through it."""
    return open_repository(token, org_id, read_only=True, ends_at=ends_at, call_deadline_s=_LONGEST_CALL_S)


def reading(request: Request) -> Reading:
    """Return what reading the caller's organisation and another one takes, as of now."""
    ends_at = time.time() + READ_FOR_S
    return Reading(
        catalogue=catalogue(),
        lineage=lineage_store(),
        tokens=token_verifier(),
        current=live_repository(request.token, request.org_id, ends_at),
        open_other=lambda token, org_id: live_repository(token, org_id, ends_at),
        ends_at=ends_at,
        now=time.time,
    )


def app_url() -> str:
    """Return the base URL of deep links; empty leaves them out."""
    return settings.app_url_template()
