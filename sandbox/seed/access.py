"""Roles, user groups, access tokens and role assignments."""

from sandbox.seed.factory import Factory, Payload
from sandbox.seed.inventory import SharedBase, SolutionPack
from sandbox.seed.vocabulary import GROUPS, ROLES

PARTNER = "partnerbetrieb"
"""An organisation that is neither source nor target."""


def role(
    factory: Factory, slug: str, name: str, kind: str, grants: list[Payload], parent: str | None = None
) -> Payload:
    """Build a role, named `<organisation>:<slug>`."""
    payload: Payload = {
        "id": f"{factory.org_id}:{slug}",
        "name": name,
        "slug": slug,
        "type": kind,
        "organization_id": factory.org_id,
        "grants": grants,
    }
    if parent:
        payload["parent_role"] = f"{factory.org_id}:{parent}"
    return payload


def usergroup(factory: Factory, name: str) -> Payload:
    """Build a user group; its members are ids of local users."""
    created, updated = factory.stamps()
    return {
        "id": factory.uuid(),
        "org_id": factory.org_id,
        "name": name,
        "created_at": created,
        "updated_at": updated,
        "created_by": factory.user(),
        "users": [{"id": factory.user()}],
    }


def add_base_access(base: SharedBase) -> None:
    """Add the roles that the platform provides and one group of everybody."""
    factory = base.factory
    base.add("role", role(factory, "root", "Organisation", "org_role", [{"action": "*", "resource": "*"}]))
    base.add("role", role(factory, "owner", "Inhaber", "user_role", [{"action": "*", "resource": "*"}], parent="root"))
    portal_grants = [
        {"action": "entity:view", "resource": "contact:*"},
        {"action": "entity:view", "resource": "contract:*"},
    ]
    base.add("role", role(factory, "portal_user", "Portalnutzer", "portal_role", portal_grants))
    base.add("usergroup", usergroup(factory, "Alle Mitarbeitenden"))
    _add_partner(base)
    for user in factory.users:
        base.add("_assignment", {"user_id": user, "roles": [f"{factory.org_id}:owner"]})


def _add_partner(base: SharedBase) -> None:
    """Add a role and a group that another organisation owns and shares: lists show them among the own ones."""
    shared = {"id": f"{PARTNER}:montage", "name": "Montagepartner", "slug": "montage", "type": "partner_role"}
    grants = [{"action": "entity:view", "resource": "order:*"}]
    base.add("role", shared | {"organization_id": PARTNER, "partner_org_id": base.factory.org_id, "grants": grants})
    base.add("usergroup", usergroup(base.factory, "Montagepartner") | {"org_id": PARTNER})


def add_access(pack: SolutionPack) -> None:
    """Add the groups and a chain of roles, each the parent of the next."""
    factory = pack.factory
    for name in GROUPS:
        pack.add("usergroup", usergroup(factory, pack.named(name)))
    parent = "owner"
    for name in ROLES:
        slug = pack.key(name.lower())
        grants: list[Payload] = [
            {"action": "entity:view", "resource": "contact:*", "effect": "allow"},
            {"action": "entity:edit", "resource": f"{pack.key('vorgang')}:*", "effect": "allow"},
            {
                "action": "entity:delete",
                "resource": "opportunity:*",
                "effect": "deny",
                "conditions": [{"attribute": "status", "operation": "equals", "values": ["abgeschlossen"]}],
            },
        ]
        pack.add("role", role(factory, slug, pack.named(name), "user_role", grants, parent))
        pack.add("_assignment", {"user_id": factory.new_user(), "roles": [f"{factory.org_id}:{slug}"]})
        parent = slug


def add_access_tokens(pack: SolutionPack) -> None:
    """Add a technical token, and one that the platform made for a journey or the portal."""
    factory = pack.factory
    for kind, extra in (
        ("api", {"assignments": [pack.ids("role")[0]]}),
        ("journey", {"journey_id": pack.journey_ids[1], "assignments": [f"{factory.org_id}:portal_user"]}),
        ("portal", {"portal_id": pack.portal_id, "assignments": [f"{factory.org_id}:portal_user"]}),
    ):
        created, _ = factory.stamps()
        pack.add(
            "access_token",
            {
                "id": f"{kind}_{factory.nanoid()}",
                "created_at": created,
                "name": pack.named(f"Zugang {kind}"),
                "token_type": kind,
                "last_used": created[:10],
                **extra,
            },
        )
