"""What a user may write: the grants of the roles that the user is assigned to. A user without any is an owner."""

from sandbox.server.call import Call
from sandbox.server.errors import ApiError
from sandbox.server.kinds import KIND_OF, SUPPORTING
from sandbox.server.store import Payload

_ASSIGNMENT = next(kind for kind in SUPPORTING if kind.type == "_assignment")


def roles_of_caller(call: Call) -> list[Payload]:
    """Return the roles of the user who calls."""
    org_id = call.organisation.id
    assignment = call.organisation.find(_ASSIGNMENT, call.user)
    if assignment is None:
        owner = {"id": f"{org_id}:owner", "slug": "owner", "name": "Owner", "type": "user_role"}
        return [{**owner, "organization_id": org_id, "grants": [{"action": "*", "resource": "*", "effect": "allow"}]}]
    roles = (call.organisation.find(KIND_OF["role"], role_id) for role_id in assignment.payload.get("roles") or ())
    return [role.payload for role in roles if role is not None]


def require_grant(call: Call, verb: str, ident: str) -> None:
    """Refuse a write that no grant allows or one denies.

    Args:
        call: the request.
        verb: `create`, `edit` or `delete`.
        ident: id of the resource; empty where it has none yet.

    Raises:
        ApiError: 403.
    """
    is_entity = call.kind.api == "entity" and call.kind.store_name.startswith("entity:")
    word = "entity" if is_entity else call.kind.type
    resource = f"{call.kind.store_name.removeprefix('entity:') if is_entity else word}:{ident}"
    wanted = f"{word}:{verb}"
    grants = [grant for role in roles_of_caller(call) for grant in role["grants"]]
    effects = {
        grant.get("effect") or "allow"
        for grant in grants
        if _matches(grant["action"], wanted) and _matches(grant.get("resource") or "*", resource)
    }
    if effects != {"allow"}:
        raise ApiError(403, f"You are not allowed to do {wanted} on {resource}")


def _matches(pattern: str, text: str) -> bool:
    return text.startswith(pattern[:-1]) if pattern.endswith("*") else text == pattern
