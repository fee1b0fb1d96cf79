"""Two realistic organisations of an energy utility, the same for the same arguments."""

import json
from dataclasses import dataclass

from sandbox.seed import (
    access,
    content,
    edge_cases,
    entities,
    integrations,
    journeys,
    matches,
    portals,
    pricing,
    views,
    workflows,
)
from sandbox.seed.factory import Factory, Payload, Resource
from sandbox.seed.inventory import SharedBase, SolutionPack

LARGEST_SELECTION = 1_000
"""The contract's limit for the resources of one sync request."""

Selection = list[dict[str, str]]

BASE_STEPS = (
    access.add_base_access,
    entities.add_base_entities,
    content.add_base_content,
    pricing.add_base_pricing,
    portals.add_base_designs,
    journeys.add_base_journeys,
    workflows.add_base_workflows,
    integrations.add_base_integrations,
    views.add_base_views,
)
PACK_STEPS = (
    access.add_access,
    content.add_environment,
    entities.add_taxonomy,
    entities.add_schemas,
    entities.add_targets,
    content.add_files,
    pricing.add_prices,
    pricing.add_products,
    pricing.add_offers,
    integrations.add_app,
    portals.add_designs,
    journeys.add_validation_rules,
    journeys.add_journeys,
    journeys.add_mappings,
    content.add_custom_variables,
    content.add_templates,
    access.add_access_tokens,
    integrations.add_webhooks,
    integrations.add_integrations,
    workflows.add_closing_reasons,
    workflows.add_automations,
    workflows.add_flow_templates,
    workflows.add_workflow_definitions,
    portals.add_portal,
    views.add_views,
    journeys.add_submissions,
)
"""In the order in which a pack grows; a step may refer to what earlier steps added and to reserved identifiers."""

CLEAN_ROOTS = {
    "journey": (0,),
    "portal_config": (0,),
    "automation_flow": (2,),
    "kanban": (0,),
    "integration": (0,),
    "webhook": (3,),
    "saved_view": (0,),
    "dashboard": (0,),
    "coupon": (2,),
    "product_recommendation": (0,),
    "role": (2,),
    "notification_template": (0,),
}
"""Which resources of the first pack a person would pick, by type and position."""


@dataclass(frozen=True, slots=True)
class Seed:
    """Two organisations and the selections that a sync from one to the other may start with."""

    source: list[Resource]
    target: list[Resource]
    selections: dict[str, Selection]


@dataclass(frozen=True, slots=True)
class _Organisation:
    base: SharedBase
    packs: list[SolutionPack]


def build(source_org_id: str, target_org_id: str, scale: float, seed: int) -> Seed:
    """Build two organisations.

    Args:
        source_org_id: The organisation that has everything.
        target_org_id: The organisation that has its built-ins and about a fifth of the source's names.
        scale: Number of solution packs, rounded, at least one; 1 is about 200 resources of the source, 50 about 10,000.
        seed: Equal seeds give equal organisations.

    Raises:
        ValueError: When both organisations are the same.
    """
    if source_org_id == target_org_id:
        raise ValueError("source and target must be different organisations")
    source = _organisation(source_org_id, scale, seed)
    twin = _organisation(target_org_id, scale, seed)
    clashes, breaks = edge_cases.clashing(source.base, 0), edge_cases.broken(source.base)
    everything = [
        *source.base.resources,
        *(resource for pack in source.packs for resource in pack.resources),
    ]
    sound, texts = [], []
    for resource in everything:
        text = json.dumps(resource.payload, ensure_ascii=False)
        texts.append(text)
        sound.append(Resource(resource.type, json.loads(text)))
    return Seed(
        source=[*sound, *clashes, *breaks],
        target=_target(twin, sound, texts, seed),
        selections={
            "clean": _select(_clean_roots(source.packs[0])),
            "ambiguous": _select(clashes),
            "dangling": _select(breaks),
            "large": _select(_selectable(sound, source))[:LARGEST_SELECTION],
        },
    )


def _organisation(org_id: str, scale: float, seed: int) -> _Organisation:
    base = SharedBase(Factory(org_id, identity_seed=f"{seed}/{org_id}", content_seed=str(seed)))
    for step in BASE_STEPS:
        step(base)
    packs: list[SolutionPack] = []
    for number in range(max(1, round(scale))):
        pack = SolutionPack(base, number, packs[-1] if packs else None)
        for add in PACK_STEPS:
            add(pack)
        pack.add("_blueprint", _blueprint(pack))
        packs.append(pack)
    return _Organisation(base, packs)


def _blueprint(pack: SolutionPack) -> Payload:
    """Build the blueprint of a pack, with the resources that name it and the views, which cannot."""
    created, updated = pack.factory.stamps()
    members = [
        {"id": resource.id, "type": resource.type, "is_root": resource.type in ("journey", "saved_view")}
        for resource in pack.resources
        if resource.type == "saved_view" or pack.blueprint in (resource.payload.get("_manifest") or ())
    ]
    return {
        "id": pack.blueprint,
        "title": pack.named("Lösungspaket"),
        "slug": pack.slug,
        "version": f"1.{pack.number}.0",
        "source_type": "marketplace" if pack.number % 2 else "custom",
        "installation_status": "SUCCESS",
        "resources": members,
        "created_at": created,
        "updated_at": updated,
    }


def _target(twin: _Organisation, source: list[Resource], texts: list[str], seed: int) -> list[Resource]:
    """Keep the twin's base and a fifth of its packs, with content of its own, and add what clashes."""
    base, packed = twin.base.resources, [resource for pack in twin.packs for resource in pack.resources]
    both = [*base, *packed]
    candidates = [number for number, resource in enumerate(both) if number >= len(base) and not resource.is_auxiliary]
    chosen = matches.choose_matches(source, matches.dependencies(source, texts), candidates, f"{seed}/matches")
    built_in = [resource for resource in base if resource.type not in ("file", "_file_bytes")]
    matching = [both[number] for number in sorted(chosen)]
    clashes = [resource for edition in (1, 2) for resource in edge_cases.clashing(twin.base, edition)]
    return [
        *matches.localised(built_in, equal_every=None),
        *matches.localised(matching, equal_every=4),
        *_accompanying(packed, {resource.id for resource in matching}),
        *clashes,
    ]


def _accompanying(packed: list[Resource], kept: set[str]) -> list[Resource]:
    """Take the bytes of the kept files, and the blueprints as far as their resources are kept."""
    taken = []
    for resource in packed:
        if resource.type == "_file_bytes" and resource.id in kept:
            taken.append(resource)
        elif resource.type == "_blueprint":
            members = [member for member in resource.payload["resources"] if member["id"] in kept]
            taken.append(Resource("_blueprint", resource.payload | {"resources": members}))
    return taken


def _clean_roots(pack: SolutionPack) -> list[Resource]:
    return [
        Resource(kind, pack.payloads(kind)[position])
        for kind, positions in CLEAN_ROOTS.items()
        for position in positions
    ]


def _selectable(resources: list[Resource], organisation: _Organisation) -> list[Resource]:
    """Leave out auxiliary kinds, customer uploads and what another organisation shares."""
    uploads = set(organisation.base.ids("file"))
    return [
        resource
        for resource in resources
        if not resource.is_auxiliary
        and resource.id not in uploads
        and access.PARTNER not in (resource.payload.get("org_id"), resource.payload.get("organization_id"))
    ]


def _select(resources: list[Resource]) -> Selection:
    return [{"type": resource.type, "id": resource.id} for resource in resources]
