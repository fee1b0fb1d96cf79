"""Read the sample events that also feed `sam local invoke`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).parent.parent / "events"


def load_event(
    name: str, *, body: Any = None, query: Mapping[str, str | list[str]] | None = None, **changes: Any
) -> dict[str, Any]:
    """Read an event and change it.

    Args:
        name: its path below `events/`, without the ending: `api/create_sync_job`.
        body: the request's body; anything but a string is written as JSON.
        query: replaces the query parameters, in both places where a proxy event has them.
        changes: merged into the event, objects deeply: `pathParameters={"id": "x"}`.
    """
    event = json.loads((EVENTS / f"{name}.json").read_text())
    if body is not None:
        event["body"] = body if isinstance(body, str) else json.dumps(body)
    if query is not None:
        many = {key: value if isinstance(value, list) else [value] for key, value in query.items()}
        event["multiValueQueryStringParameters"] = many or None
        event["queryStringParameters"] = {key: values[-1] for key, values in many.items()} or None
    return verified(_merged(event, changes))


def verified(event: dict[str, Any]) -> dict[str, Any]:
    """Let the authorizer's context be of the token that the request carries."""
    identity = (event.get("requestContext") or {}).get("authorizer")
    if isinstance(identity, dict) and "token_digest" in identity:
        headers = event.get("headers") or {}
        sent = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
        token = (sent or "").partition(" ")[2].strip()
        identity["token_digest"] = hashlib.sha256(token.encode()).hexdigest()
    return event


def _merged(old: Any, new: Any) -> Any:
    if not (isinstance(old, dict) and isinstance(new, Mapping)):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
