"""What a run needs beside storage: tokens, executions, events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class Credentials(Protocol):
    """Tokens of a run by role; reading one raises NotFoundError and CredentialsExpiredError."""

    def put(self, run_id: str, role: str, token: str, expires_at: int) -> None:
        """Seal a token and keep it until it expires, for a week at most.

        Args:
            run_id: sync job, index build or delete job that it belongs to.
            role: what it is for.
            token: the bearer token, without the scheme.
            expires_at: when the token expires, epoch seconds; None where it never does.

        Raises:
            InvalidRequestError: the token is over 16 KB.
        """
        ...

    def get(self, run_id: str, role: str) -> str:
        """Return a token.

        Raises:
            NotFoundError: the run has none for this role.
            CredentialsExpiredError: its time is over, whether or not the table has dropped it yet.
        """
        ...

    def get_kept(self, run_id: str, role: str) -> KeptToken:
        """Return a token with the time at which it goes.

        Raises:
            NotFoundError: the run has none for this role.
            CredentialsExpiredError: its time is over, whether or not the table has dropped it yet.
        """
        ...

    def limit(self, run_id: str, until: int) -> None:
        """Let the run's tokens go at a point in time (epoch seconds), or when they expire if that is earlier."""
        ...

    def delete(self, run_id: str) -> None:
        """Delete all tokens of a run; it is no error if there are none."""
        ...


class Executions(Protocol):
    """Starts the state machine for a job."""

    def start(self, job_id: str, execution_input: Mapping[str, Any]) -> str:
        """Start the execution of a job and return its ARN; a job that was started before is left alone.

        Raises:
            PayloadTooLargeError: the input has 256 KB or more.
        """
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
