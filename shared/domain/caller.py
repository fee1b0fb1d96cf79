"""Who asks, as the door has verified it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Caller:
    """Who asks, with the token that was verified at the door.

    Attributes:
        expires_at: of the token, epoch seconds; None where it has no end.
    """

    org_id: str
    user_id: str
    token: str
    expires_at: int | None
