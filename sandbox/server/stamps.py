"""Values that the server writes into a resource on its own."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.server.call import Call
from sandbox.server.identifiers import NEW_ID


def later(seconds: float) -> str:
    """Return the time in some seconds as the APIs write it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    """Return the current time as the APIs write it."""
    return later(0)


# A stamp sees the call and the value that the field held before.
STAMPS: dict[str, Callable[[Call, Any], Any]] = {
    "now": lambda _call, _old: now(),
    "user": lambda call, _old: call.user,
    "user_reference": lambda call, _old: f"user:{call.user}",
    "org": lambda call, _old: call.organisation.id,
    "owner": lambda call, _old: {"type": "user", "org_id": call.organisation.id, "user_id": call.user},
    "owners": lambda call, _old: [{"org_id": call.organisation.id, "user_id": call.user}],
    "creator": lambda call, _old: {"org_id": call.organisation.id, "user_id": call.user},
    "editor": lambda call, _old: {"userid": call.user, "name": call.user, "fullname": f"User {call.user}"},
    "acl": lambda call, _old: {right: [f"org_{call.organisation.id}"] for right in ("view", "edit", "delete")},
    "source": lambda call, _old: {"id": call.user, "type": "user"},
    "uuid": lambda _call, _old: NEW_ID["uuid"](),
    "secret": lambda _call, _old: NEW_ID["secret"](),
    "counter": lambda _call, old: int(old or 0) + 1,
    "zero": lambda _call, _old: 0,
    "user_defined": lambda _call, _old: "user_defined",
}
