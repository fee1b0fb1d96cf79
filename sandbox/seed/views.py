"""Saved views, dashboards and kanban boards."""

from sandbox.seed.factory import Factory, Payload, global_id
from sandbox.seed.inventory import SharedBase, SolutionPack
from sandbox.seed.vocabulary import DASHBOARDS, KANBANS, SAVED_VIEWS


def saved_view(factory: Factory, name: str, slugs: list[str], ui_config: Payload, **extra: object) -> Payload:
    """Build a saved view."""
    created, updated = factory.stamps()
    return {
        "id": factory.uuid(),
        "org": factory.org_id,
        "name": name,
        "slug": slugs,
        "shared": True,
        "isFavoritedBy": [factory.user()],
        "created_by": {"user_id": factory.user(), "org_id": factory.org_id},
        "ui_config": ui_config,
        "shared_with": [],
        "created_at": created,
        "updated_at": updated,
        **extra,
    }


def dashboard(factory: Factory, title: str, schemas: list[str]) -> Payload:
    """Build a dashboard with one tile per entity schema."""
    created, updated = factory.stamps()
    tiles = [
        {
            "id": global_id(f"tile {schema}"),
            "title": f"Anzahl {schema}",
            "coordinates": {"x": 4 * position, "y": 0, "w": 4, "h": 3},
            "visualisation_id": "kpi",
            "visualisation_config": {
                "query": {"dataset": "entities", "measure": "count", "filters": [{"entity_schema": schema}]},
                "options": {"color": "#005a8c"},
            },
        }
        for position, schema in enumerate(schemas)
    ]
    user = factory.user()
    return {
        "id": factory.uuid(),
        "title": title,
        "tiles": tiles,
        "created_at": created,
        "created_by": user,
        "updated_at": updated,
        "updated_by": user,
        "owner_org_id": factory.org_id,
        "owners": [user],
        "shared_with": [{"user_id": factory.user(), "permission": "view"}],
        "org_access": "view",
        "favorited": False,
    }


def add_base_views(base: SharedBase) -> None:
    """Add the views that the system provides, and a dashboard that everybody sees."""
    factory = base.factory
    for name, slug in (("Alle Kontakte", "contact"), ("Alle Aufträge", "order")):
        base.add(
            "saved_view", saved_view(factory, name, [slug], {"columns": ["name"]}, created_by={"source": "SYSTEM"})
        )
    base.add("dashboard", dashboard(factory, "Überblick", ["contact", "opportunity"]))


def add_views(pack: SolutionPack) -> None:
    """Add saved views, dashboards and boards that filter by groups, purposes and flow templates."""
    factory, org = pack.factory, pack.factory.org_id
    groups, purposes, flows = pack.ids("usergroup"), pack.purposes, pack.flow_template_ids
    for position, name in enumerate(SAVED_VIEWS):
        slugs = [pack.key("vorgang")] if position == 0 else ["opportunity", "order"][: 1 + position % 2]
        ui_config = {
            "columns": ["name", "status", "_purpose"],
            "filters": [
                {"key": "_purpose", "operator": "IS_ONE_OF", "value": [purposes[position % 3]]},
                {"key": "workflow", "operator": "EQUALS", "value": flows[position % 3]},
            ],
        }
        shared_with = [f"group_{groups[position % 3]}", factory.user(), f"{org}_{factory.user()}"]
        pack.add("saved_view", saved_view(factory, pack.named(name), slugs, ui_config, shared_with=shared_with))
    for name in DASHBOARDS:
        pack.add("dashboard", dashboard(factory, pack.named(name), ["opportunity", pack.key("vorgang"), "order"]))
    for position, name in enumerate(KANBANS):
        pack.add("kanban", kanban(factory, pack.named(name), flows[position], groups))


def kanban(factory: Factory, title: str, flow_template_id: str, groups: list[str]) -> Payload:
    """Build a board with a lane per state of a flow, limited to the given groups."""
    created, updated = factory.stamps()

    def item(key: str, value: object, operator: str = "EQUALS") -> Payload:
        return {"key": key, "operator": operator, "value": value, "data_type": "string"}

    nested = {"combination": "OR", "items": [item("status", "neu"), item("flow_template_id", flow_template_id)]}
    lanes = [
        {
            "id": "neu",
            "title": "Neu",
            "position": 1,
            "filter": {"combination": "AND", "items": [item("flow_template_id", flow_template_id)]},
        },
        {"id": "laufend", "title": "In Arbeit ⚙️", "position": 2, "filter": {"combination": "AND", "items": [nested]}},
    ]
    return {
        "id": factory.uuid(),
        "org_id": factory.org_id,
        "title": title,
        "description": f"Board für {title}",
        "created_at": created,
        "created_by": factory.user(),
        "updated_at": updated,
        "updated_by": factory.user(),
        "owners": [factory.user()],
        "shared_with": [factory.user()],
        "shared_with_org": True,
        "config": {
            "dataset": "flows",
            "swimlanes": lanes,
            "board_filter": {"combination": "AND", "items": [item("group", groups, "IS_ONE_OF")]},
            "card_config": {"fields": ["name", "due_date"]},
            "sorting": {"field": "updated_at", "direction": "desc"},
        },
    }
