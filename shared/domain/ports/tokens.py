"""Verifies tokens that the body of a request carries."""

from __future__ import annotations

from typing import Protocol


class Identity(Protocol):
    """What a verified token says."""

    @property
    def user_id(self) -> str:
        """Who acts."""
        ...

    @property
    def expires_at(self) -> int | None:
        """Epoch seconds."""
        ...


class Tokens(Protocol):
    """Verifies tokens that a body carries."""

    def verify_for_org(self, token: str, org_id: str, field: str = "target_auth_token") -> Identity:
        """Return who a token speaks for. Raises ForbiddenError."""
        ...
