"""Automations, flow templates, workflow definitions and closing reasons."""

from itertools import pairwise

from sandbox.seed.factory import Factory, Payload, global_id
from sandbox.seed.inventory import SharedBase, SolutionPack
from sandbox.seed.vocabulary import CLOSING_REASONS, JOURNEYS, LONG_TEXT


def automation(
    factory: Factory, identifier: str, name: str, trigger: Payload, actions: list[Payload], **extra: object
) -> Payload:
    """Build an automation with one trigger; its actions are numbered in order."""
    created, updated = factory.stamps()
    return {
        "id": identifier,
        "org_id": factory.org_id,
        "flow_name": name,
        "enabled": True,
        "triggers": [{"id": global_id(f"trigger {name}"), **trigger}],
        "entity_schema": "opportunity",
        "conditions": [],
        "actions": [
            {"id": f"a{position}", "flow_action_id": f"f{position}", **action}
            for position, action in enumerate(actions)
        ],
        "runs": factory.content.randrange(0, 5000),
        "version": factory.content.randrange(1, 20),
        "system_flow": False,
        "created_at": created,
        "updated_at": updated,
        "created_by": f"user:{factory.user()}",
        "last_updated_by": f"user:{factory.user()}",
        **extra,
    }


def action(kind: str, name: str, config: Payload, **extra: object) -> Payload:
    """Build an action of an automation."""
    return {"type": kind, "name": name, "config": config, "allow_failure": False, **extra}


def journey_trigger(journey_id: str) -> Payload:
    """Build the trigger that starts an automation when a journey is submitted."""
    return {"type": "journey_submission", "configuration": {"source_id": journey_id}}


def entity_trigger(schema: str, **extra: object) -> Payload:
    """Build the trigger that starts an automation when an entity of the schema changes."""
    return {"type": "entity_operation", "configuration": {"schema": schema, "operations": ["createEntity"], **extra}}


def closing_reason(factory: Factory, title: str) -> Payload:
    """Build a closing reason."""
    created, updated = factory.stamps()
    identifier = factory.nanoid()
    return {"id": identifier, "title": title, "status": "ACTIVE", "creationTime": created, "lastUpdateTime": updated}


def add_base_workflows(base: SharedBase) -> None:
    """Add an automation that the system itself generated."""
    factory = base.factory
    trigger = {"type": "entity_manual", "configuration": {"schema": "contact"}}
    actions = [action("assign-entity", "Zuweisen", {"assignment_type": "direct", "assignees": []})]
    system = automation(
        factory, factory.short_id(), "Portalnutzer verknüpfen (System)", trigger, actions, system_flow=True
    )
    base.add("automation_flow", system)


def add_closing_reasons(pack: SolutionPack) -> None:
    """Add closing reasons; the id of the first starts with an underscore, the last is no longer in use."""
    for position, title in enumerate(CLOSING_REASONS):
        reason = closing_reason(pack.factory, pack.named(title))
        if position == 0:
            reason["id"] = f"_{reason['id'][1:]}"
        if title == CLOSING_REASONS[-1]:
            reason["status"] = "INACTIVE"
        pack.add("closing_reason", reason)


def add_automations(pack: SolutionPack) -> None:
    """Add one automation per journey, which runs its mapping, and those that tasks of workflows start."""
    _add_journey_automations(pack)
    _add_task_automations(pack)


def _add_journey_automations(pack: SolutionPack) -> None:
    emails, documents, webhooks = pack.ids("emailtemplate"), pack.ids("document_template"), pack.ids("webhook")
    groups, key = pack.ids("usergroup"), pack.key
    by_position: dict[int, list[Payload]] = {
        1: [
            action("send-email", "Bestätigen", {"email_template_id": emails[0], "language_code": "de"}),
            action("trigger-workflow", "Starten", {"target_workflow": pack.flow_template_ids[0]}),
        ],
        2: [
            action("create-document", "Angebot erzeugen", {"template_id": documents[0], "filename": "angebot.pdf"}),
            action("send-email", "Senden", {"email_template_id": emails[1], "journey_id": pack.journey_ids[2]}),
            action("trigger-workflow", "Starten", {"target_workflow": pack.flow_template_ids[1]}),
        ],
        3: [
            action("inform-erp", "ERP melden", {"target_webhook_id": webhooks[1], "entity_sources": ["order"]}),
            action("trigger-webhook", "Melden", {"target_webhook_id": webhooks[0], "entity_sources": ["order"]}),
            action("trigger-workflow", "Starten", {"target_workflow": pack.workflow_ids[0]}),
        ],
        4: [
            action(
                "custom-action",
                "Netz prüfen",
                {"app_id": pack.app_id, "component_id": pack.component_id, "name": f"{{{{{key('anrede')}}}}}"},
            ),
        ],
        5: [
            action(
                "assign-entity",
                "Verteilen",
                {
                    "attribute": "assignee",
                    "assignment_type": "even_distribution",
                    "assignees": [{"type": "group", "group_id": groups[0]}],
                    "candidate_group": {"type": "group", "group_id": groups[1]},
                    "fallback_assignees": [{"type": "group", "group_id": groups[2]}],
                    "source": {"id": "f0", "origin": "action", "schema": key("vorgang")},
                },
            ),
        ],
        6: [action("reply-email", "Antworten", {"email_template_id": emails[4], "reply_mode": "new_email"})],
        7: [
            action(
                "cancel-flow-execution",
                "Abbrechen",
                {
                    "configured_reasons": [],
                    "selected_reasons": [
                        {"id": reason["id"], "title": reason["title"]} for reason in pack.payloads("closing_reason")[:2]
                    ],
                },
            ),
        ],
    }
    for position in range(1, len(JOURNEYS)):
        mapped = action(
            "map-entity",
            "Vorgang anlegen",
            {
                "mapping_config": {
                    "config_id": pack.mapping_ids[position],
                    "target_id": pack.mapping_target_ids[position],
                    "version": pack.mapping_versions[position],
                },
                "target_schema": pack.payloads("entity_mapping")[position]["targets"][0]["target_schema"],
                "mapping_attributes": [
                    {"target": "_purpose", "operation": {"_set": [pack.purposes[position % 3]]}, "targetPath": []}
                ],
            },
            created_automatically=True,
        )
        pack.add(
            "automation_flow",
            automation(
                pack.factory,
                pack.trigger_automation_ids[position],
                pack.named(f"Eingang {JOURNEYS[position][0]}"),
                journey_trigger(pack.journey_ids[position]),
                [mapped, *by_position[position]],
                **({"_manifest": pack.manifest} if position < 3 else {}),
            ),
        )


def _add_task_automations(pack: SolutionPack) -> None:
    emails, webhooks, key = pack.ids("emailtemplate"), pack.ids("webhook"), pack.key
    portal_upload = entity_trigger("file", ecp_config={"portal_id": pack.portal_id, "origin": "END_CUSTOMER_PORTAL"})
    flows_trigger = {"type": "flows_trigger", "configuration": {"journey_id": pack.journey_ids[6]}}
    manual = {"type": "entity_manual", "configuration": {"schema": key("vorgang")}}
    event = {
        "type": "event_catalog",
        "configuration": {
            "event_name": "contract_created",
            "event_version": "1.0",
            "entity_node_id": "contract",
            "entity_schema": "contract",
        },
    }
    condition = {
        "id": "c1",
        "statements": [
            {
                "id": global_id("statement status"),
                "source": {"id": "f0", "origin": "trigger", "schema": key("vorgang"), "attribute": "status"},
                "operation": "equals",
                "values": ["neu"],
            }
        ],
    }
    enrich = {
        "mapping_config": {
            "config_id": pack.mapping_ids[0],
            "target_id": pack.mapping_target_ids[0],
            "version": pack.mapping_versions[0],
        },
        "target_schema": "contact",
    }
    flows: tuple[tuple[str, Payload, list[Payload], Payload], ...] = (
        (
            "Aufgabe Dokument prüfen",
            portal_upload,
            [
                action("send-email", "Nachfassen", {"email_template_id": emails[4], "language_code": "de"}),
                action("trigger-workflow", "Neu starten", {"target_workflow": pack.flow_template_ids[0]}),
            ],
            {},
        ),
        (
            "Aufgabe Termin bestätigen",
            flows_trigger,
            [
                action("send-email", "Bestätigen", {"email_template_id": emails[3], "language_code": "de"}),
                action("trigger-workflow", "Weiter", {"target_workflow": pack.workflow_ids[1]}),
            ],
            {"entity_schema": key("vorgang"), "conditions": [condition]},
        ),
        (
            "Aufgabe Netz melden",
            event,
            [
                action("trigger-webhook", "Netz", {"target_webhook_id": webhooks[2], "entity_sources": ["contract"]}),
                action(
                    "trigger-event",
                    "Ereignis",
                    {"event_name": "netz", "event_inputs": {"url": f"{{{{env.{key('netz.url')}}}}}"}},
                ),
            ],
            {},
        ),
        ("Kontakt anreichern", manual, [action("map-entity", "Anreichern", enrich)], {"enabled": False}),
    )
    for identifier, (name, trigger, actions, extra) in zip(pack.task_automation_ids, flows, strict=True):
        pack.add("automation_flow", automation(pack.factory, identifier, pack.named(name), trigger, actions, **extra))


def flow_template(
    factory: Factory, identifier: str, name: str, trigger: Payload, tasks: list[Payload], **extra: object
) -> Payload:
    """Build a flow template whose tasks follow each other in one phase."""
    created, updated = factory.stamps()
    edges = [
        {"id": f"e{number}", "from_id": before["id"], "to_id": after["id"]}
        for number, (before, after) in enumerate(pairwise(tasks))
    ]
    return {
        "id": identifier,
        "org_id": factory.org_id,
        "name": name,
        "description": f"Ablauf: {name}",
        "trigger": {"id": "t0", **trigger},
        "additional_triggers": [],
        "enabled": True,
        "version": "v3",
        "assigned_to": [{"variable": "{{entity.owner}}"}],
        "available_in_ecp": True,
        "phases": [{"id": "p1", "name": "Bearbeitung"}],
        "tasks": tasks,
        "edges": edges,
        "created_at": created,
        "updated_at": updated,
        **extra,
    }


def task(number: int, name: str, kind: str = "MANUAL", **extra: object) -> Payload:
    """Build a task of a flow template."""
    return {"id": f"task{number}", "name": name, "task_type": kind, "phase_id": "p1", **extra}


def _journey_link(pack: SolutionPack, position: int) -> Payload:
    identifier = pack.journey_ids[position]
    return {"id": identifier, "journeyId": identifier, "name": pack.named(JOURNEYS[position][0])}


def add_flow_templates(pack: SolutionPack) -> None:
    """Add flow templates that automations start and that start automations."""
    factory, key, purposes, reasons = pack.factory, pack.key, pack.purposes, pack.payloads("closing_reason")
    portal = {"enabled": True, "label": "Unterlagen", "journey": _journey_link(pack, 4)}
    installer = {"enabled": True, "label": "Montage", "journey": _journey_link(pack, 6)}
    schedule = {
        "mode": "relative",
        "direction": "after",
        "duration": 2,
        "unit": "days",
        "reference": {
            "id": "task1",
            "origin": "trigger_entity_attribute",
            "schema": key("vorgang"),
            "attribute": "_created_at",
        },
    }
    decision = {
        "trigger_mode": "automatic",
        "conditions": [
            {
                "id": "b1",
                "branch_name": "ja",
                "logical_operator": "AND",
                "statements": [
                    {
                        "id": "s1",
                        "source": {"id": "t0", "origin": "trigger", "schema": key("vorgang"), "attribute": "status"},
                        "operator": "equals",
                        "values": ["geprüft"],
                    }
                ],
            }
        ],
    }
    automations = pack.task_automation_ids
    request_tasks = [
        task(1, "Unterlagen prüfen", journey=_journey_link(pack, 1), ecp=portal, taxonomies=[purposes[0]]),
        task(
            2,
            "Nachfassen",
            "AUTOMATION",
            automation_config={"flow_id": automations[0]},
            trigger_mode="automatic",
            schedule=schedule,
        ),
        task(3, "Entscheiden", "DECISION", **decision),
        task(4, "Montage", installer=installer, description={"enabled": True, "value": LONG_TEXT}),
    ]
    submission = {
        "type": "journey_submission",
        "journey_id": pack.journey_ids[1],
        "journey_name": pack.named(JOURNEYS[1][0]),
    }
    templates: tuple[tuple[str, Payload, list[Payload], Payload], ...] = (
        (
            "Anfrage bearbeiten",
            {**submission, "automation_id": pack.trigger_automation_ids[1]},
            request_tasks,
            {
                "phases": [{"id": "p1", "name": "Bearbeitung", "taxonomies": [purposes[1]]}],
                "taxonomies": purposes[:2],
                "entity_sync": [
                    {
                        "trigger": {"event": "FlowStarted"},
                        "value": {"source": "workflow_status"},
                        "target": {"entitySchema": key("vorgang"), "entityAttribute": "status"},
                    }
                ],
                "_manifest": pack.manifest,
            },
        ),
        (
            "Angebot nachverfolgen",
            {"type": "automation", "automation_id": pack.trigger_automation_ids[2]},
            [
                task(1, "Angebot besprechen"),
                task(2, "Termin bestätigen", "AUTOMATION", automation_config={"flow_id": automations[1]}),
            ],
            {
                "additional_triggers": [
                    {"id": "t1", "type": "journey_submission", "journey_id": pack.journey_ids[6]},
                    {"id": "t2", "type": "automation", "automation_id": automations[1]},
                    {"id": "t3", "type": "manual", "entity_schema": key("vorgang")},
                ]
            },
        ),
        (
            "Netzanschluss herstellen",
            {"type": "manual", "entity_schema": key("vorgang")},
            [
                task(1, "Netz melden", "AUTOMATION", automation_config={"flow_id": automations[2]}),
                task(2, "Zähler setzen"),
            ],
            {},
        ),
    )
    for identifier, (name, trigger, tasks, extra) in zip(pack.flow_template_ids, templates, strict=True):
        extra |= {"closing_reasons": [dict(reason) for reason in reasons[:3]]}
        pack.add("flow_template", flow_template(factory, identifier, pack.named(name), trigger, tasks, **extra))


def workflow_definition(factory: Factory, identifier: str, name: str, flow: list[Payload], **extra: object) -> Payload:
    """Build a linear workflow of the older kind."""
    created, updated = factory.stamps()
    return {
        "id": identifier,
        "name": name,
        "description": f"Ablauf: {name}",
        "enabled": True,
        "creationTime": created,
        "lastUpdateTime": updated,
        "assignedTo": [],
        "flow": flow,
        **extra,
    }


def add_workflow_definitions(pack: SolutionPack) -> None:
    """Add linear workflows with sections and free steps."""
    purposes, reasons = pack.purposes, pack.ids("closing_reason")
    portal = {"enabled": True, "label": "Portal", "journey": _journey_link(pack, 5)}
    installer = {"enabled": True, "label": "Montage", "journey": _journey_link(pack, 6)}
    automated = {"executionType": "AUTOMATION", "automationConfig": {"flowId": pack.trigger_automation_ids[3]}}
    section = {
        "id": "s1",
        "name": "Vorbereitung",
        "order": 1,
        "type": "SECTION",
        "taxonomies": [purposes[0]],
        "steps": [
            {"id": "st1", "name": "Auftrag melden", "order": 1, "type": "STEP", **automated},
            {
                "id": "st2",
                "name": "Termin",
                "order": 2,
                "type": "STEP",
                "journey": _journey_link(pack, 6),
                "ecp": portal,
            },
            {
                "id": "st3",
                "name": "Montage",
                "order": 3,
                "type": "STEP",
                "installer": installer,
                "taxonomies": [purposes[1]],
            },
        ],
    }
    loose = {
        "id": "st4",
        "name": "Abschluss",
        "order": 2,
        "type": "STEP",
        "journey": _journey_link(pack, 4),
        "ecp": portal,
    }
    confirmed = {
        "id": "st5",
        "name": "Bestätigung",
        "order": 1,
        "type": "STEP",
        "executionType": "AUTOMATION",
        "automationConfig": {"flowId": pack.task_automation_ids[1]},
        "installer": installer,
    }
    for identifier, name, flow in (
        (pack.workflow_ids[0], "Auftrag abwickeln", [section, loose]),
        (pack.workflow_ids[1], "Termin durchführen", [confirmed]),
    ):
        extra: Payload = {
            "closingReasons": [{"id": reason} for reason in reasons[2:5]],
            "taxonomies": [purposes[2]],
            "updateEntityAttributes": [
                {
                    "source": "workflow_status",
                    "target": {"entitySchema": pack.key("vorgang"), "entityAttribute": "status"},
                }
            ],
        }
        pack.add("workflow_definition", workflow_definition(pack.factory, identifier, pack.named(name), flow, **extra))
