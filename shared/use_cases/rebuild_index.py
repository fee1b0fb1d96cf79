"""Start a build of an organisation's index and answer at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from shared.domain.index import new_build_token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.domain.index_ports import IndexWriter

DEBOUNCE_S = 10.0
#: How long the first invocation may take to begin and work before nobody is believed to work on the build.
FIRST_LEASE_S = 960.0
# A build ends long before; an access token without an expiry is kept no longer than that of a run.
_LONGEST_CREDENTIALS_S = 86_400


class RunCredentials(Protocol):
    """Tokens of runs, as ciphertext."""

    def put(self, run_id: str, role: str, token: str, expires_at: int) -> None:
        """Keep a token until it expires. Raises InvalidRequestError."""
        ...

    def delete(self, run_id: str) -> None:
        """Delete all tokens of a run."""
        ...


def rebuild_index(
    index: IndexWriter,
    credentials: RunCredentials,
    start: Callable[[Mapping[str, Any]], None],
    *,
    org_id: str,
    user_id: str,
    token: str,
    token_expires_at: int | None,
    now: float,
    randomness: bytes,
    debounce_s: float = DEBOUNCE_S,
) -> dict[str, Any]:
    """Make a new build the latest one, keep the caller's token for it and start it.

    Args:
        index: where the index is kept.
        credentials: keeps the token for the build alone.
        start: invokes the build with an event that carries ids only.
        org_id: the caller's organisation.
        user_id: the caller, whose view of the organisation the index will have.
        token: the caller's bearer token.
        token_expires_at: epoch seconds; None for a token without expiry.
        now: epoch seconds.
        randomness: ten random bytes.
        debounce_s: how long after a start another build is not begun.

    Returns:
        The contract's `IndexRebuildResponse`: `building`, or `already_building` within that time of the last start.

    Raises:
        InvalidRequestError: the token is over 16 KB.
        StorageThrottledError: the table is busy.
    """
    build_token = new_build_token(now, randomness)
    status = "already_building"
    if index.start_build(org_id, build_token, now + FIRST_LEASE_S, debounce_s):
        status = "building"
        latest = now + _LONGEST_CREDENTIALS_S
        try:
            credentials.put(build_token, "caller", token, int(min(token_expires_at or latest, latest)))
            start({"org_id": org_id, "build_token": build_token, "user_id": user_id})
        except Exception:
            index.fail_build(org_id, build_token, "INTERNAL: The build could not be started.")
            credentials.delete(build_token)
            raise
    state = index.find_state(org_id)
    return {"status": status, **(state.facts_at(now) if state else {})}
