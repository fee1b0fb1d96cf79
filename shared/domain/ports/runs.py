"""What a run needs beside storage: tokens, executions, events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Credentials(Protocol):
    """Tokens of a run by role; reading one raises NotFoundError and CredentialsExpiredError."""

    def put(self, run_id: str, role: str, token: str, expires_at: int) -> None:
        """Keep a token until it expires."""
        ...

    def get(self, run_id: str, role: str) -> str:
        """Return a token."""
        ...

    def get_kept(self, run_id: str, role: str) -> KeptToken:
        """Return a token with its end."""
        ...

    def limit(self, run_id: str, until: int) -> None:
        """Let a run's tokens go at a point in time."""
        ...

    def delete(self, run_id: str) -> None:
        """Delete all tokens of a run."""
        ...


class Executions(Protocol):
    """Starts the state machine for a job."""

    def start(self, job_id: str, execution_input: Mapping[str, Any]) -> str:
        """Start an execution named by the job; a second start does nothing."""
        ...


class KeptToken(NamedTuple):
    """A token that is kept for a run, and when it goes (epoch seconds)."""

    token: str
    expires_at: int


class Events(Protocol):
    """Publishes events."""

    def put(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Publish one event."""
        ...
