"""Values that the server writes into a resource on its own."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sandbox.server.call import Call
from sandbox.server.identifiers import NEW_ID


def now() -> str:
    """Return the current time as the APIs write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# A stamp sees the call and the value that the field held before.
STAMPS: dict[str, Callable[[Call, Any], Any]] = {
    "now": lambda call, old: now(),
    "user": lambda call, old: call.user,
    "user_reference": lambda call, old: f"user:{call.user}",
    "org": lambda call, old: call.organisation.id,
    "owner": lambda call, old: {"type": "user", "org_id": call.organisation.id, "user_id": call.user},
    "owners": lambda call, old: [{"org_id": call.organisation.id, "user_id": call.user}],
    "creator": lambda call, old: {"org_id": call.organisation.id, "user_id": call.user},
    "editor": lambda call, old: {"userid": call.user, "name": call.user, "fullname": f"User {call.user}"},
    "acl": lambda call, old: {right: [f"org_{call.organisation.id}"] for right in ("view", "edit", "delete")},
    "source": lambda call, old: {"id": call.user, "type": "user"},
    "uuid": lambda call, old: NEW_ID["uuid"](),
    "secret": lambda call, old: NEW_ID["secret"](),
    "counter": lambda call, old: int(old or 0) + 1,
    "zero": lambda call, old: 0,
    "user_defined": lambda call, old: "user_defined",
}
