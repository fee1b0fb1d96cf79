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
        """Return the identity behind a second token, one that the request's body carries.

        Args:
            token: the token.
            org_id: the organisation that it must act for.
            field: name of the body field, for the message.

        Raises:
            ForbiddenError: it does not verify, or acts for another organisation.
        """
        ...
