"""Start a build of an organisation's index and answer at once; start one again that got lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from shared.domain.index_state import QUEUED_LEASE_S, new_build_token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.domain.ports.index import IndexWriter

DEBOUNCE_S = 10.0
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
    event = {"org_id": org_id, "build_token": build_token, "user_id": user_id}
    status = "already_building"
    if index.start_build(org_id, build_token, now + QUEUED_LEASE_S, debounce_s, event):
        status = "building"
        latest = now + _LONGEST_CREDENTIALS_S
        try:
            credentials.put(build_token, "caller", token, int(min(token_expires_at or latest, latest)))
            start(event)
        except Exception:
            index.fail_build(org_id, build_token, "INTERNAL: The build could not be started.")
            credentials.delete(build_token)
            raise
    state = index.find_state(org_id)
    return {"status": status, **(state.facts_at(now) if state else {})}


def restart_build(
    index: IndexWriter,
    start: Callable[[Mapping[str, Any]], None],
    go_on: Callable[[Mapping[str, Any]], None],
    *,
    org_id: str,
    now: float,
) -> bool:
    """Start the invocation of a build again that got lost; once, since what got lost twice is lost for a reason.

    Args:
        index: where the index is kept.
        start: invokes a build that begins, with the event it had.
        go_on: invokes one that goes on after its first invocation.
        org_id: whose index.
        now: epoch seconds.

    Returns:
        False where no build is lost, or it was started again already: whoever asks closes it.

    Raises:
        StorageThrottledError: the table is busy.
    """
    state = index.find_state(org_id)
    if state is None or not state.is_lost(now) or not state.event or "restarted" in state.event:
        return False
    event = {**state.event, "restarted": True}
    if index.extend_lease(org_id, state.build_token, now + QUEUED_LEASE_S, event) is None:
        return False
    (go_on if event.get("continuation") else start)(event)
    return True
