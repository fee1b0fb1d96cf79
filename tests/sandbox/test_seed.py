"""The seed makes organisations that are whole, repeatable and as awkward as real ones."""

import base64
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest

from sandbox.seed.factory import Resource
from sandbox.seed.organisations import Seed, build
from shared.catalog.registry import RESOURCE_TYPES
from tests.effort import count_calls

SOURCE, TARGET = "739224", "911210"
TYPES = set(RESOURCE_TYPES)
SAME_EVERYWHERE = {"schema", "taxonomy", "environment_variable", "app"}

REFERENCES = (
    ("journey", "settings.designId", "designbuilder"),
    ("journey", "settings.mappingsAutomationId", "entity_mapping"),
    ("journey", "validationRules.{*}", "validation_rule"),
    ("journey", "validationRules.{*}.{*}", "validation_rule"),
    ("journey", "validationRules.{*}[]", "validation_rule"),
    ("journey", "contextSchema[].type", "schema"),
    ("journey", "settings.addressSuggestionsFileId", "file"),
    ("journey", "settings.filePurposes[]", "taxonomy_classification"),
    ("journey", "steps[].uischema.**.products[]", "product"),
    ("journey", "steps[].uischema.**.linkedJourneys[].id", "journey"),
    ("journey", "steps[].uischema.**.appId", "app"),
    ("journey", "steps[].uischema.**.environmentKey", "environment_variable"),
    ("journey", "steps[].uischema.**.imageFileId", "file"),
    ("journey", "steps[].uischema.**.optionsSource.fileId", "file"),
    ("automation_flow", "triggers[].configuration.source_id", "journey"),
    ("automation_flow", "triggers[].configuration.journey_id", "journey"),
    ("automation_flow", "triggers[].configuration.ecp_config.portal_id", "portal_config"),
    ("automation_flow", "triggers[].configuration.schema", "schema"),
    ("automation_flow", "triggers[].configuration.entity_schema", "schema"),
    ("automation_flow", "entity_schema", "schema"),
    ("automation_flow", "conditions[].statements[].source.schema", "schema"),
    ("automation_flow", "actions[].config.journey_id", "journey"),
    ("automation_flow", "actions[].config.mapping_config.config_id", "entity_mapping"),
    ("automation_flow", "actions[].config.target_schema", "schema"),
    ("automation_flow", "actions[].config.target_workflow", "flow_template workflow_definition"),
    ("automation_flow", "actions[].config.email_template_id", "emailtemplate"),
    ("automation_flow", "actions[].config.template_id", "document_template"),
    ("automation_flow", "actions[].config.target_webhook_id", "webhook"),
    ("automation_flow", "actions[].config.app_id", "app"),
    ("automation_flow", "actions[].config.selected_reasons[].id", "closing_reason"),
    ("automation_flow", "actions[].config.assignees[].group_id", "usergroup"),
    ("automation_flow", "actions[].config.candidate_group.group_id", "usergroup"),
    ("automation_flow", "actions[].config.fallback_assignees[].group_id", "usergroup"),
    ("automation_flow", "actions[].config.mapping_attributes[].operation._set[]", "taxonomy_classification"),
    ("workflow_definition", "flow[].steps[].automationConfig.flowId", "automation_flow"),
    ("workflow_definition", "flow[].automationConfig.flowId", "automation_flow"),
    ("workflow_definition", "flow[].steps[].journey.journeyId", "journey"),
    ("workflow_definition", "flow[].journey.journeyId", "journey"),
    ("workflow_definition", "flow[].steps[].ecp.journey.journeyId", "journey"),
    ("workflow_definition", "flow[].steps[].installer.journey.journeyId", "journey"),
    ("workflow_definition", "flow[].ecp.journey.journeyId", "journey"),
    ("workflow_definition", "flow[].installer.journey.journeyId", "journey"),
    ("workflow_definition", "closingReasons[].id", "closing_reason"),
    ("workflow_definition", "taxonomies[]", "taxonomy_classification"),
    ("workflow_definition", "flow[].taxonomies[]", "taxonomy_classification"),
    ("workflow_definition", "flow[].steps[].taxonomies[]", "taxonomy_classification"),
    ("workflow_definition", "updateEntityAttributes[].target.entitySchema", "schema"),
    ("flow_template", "tasks[].automation_config.flow_id", "automation_flow"),
    ("flow_template", "trigger.automation_id", "automation_flow"),
    ("flow_template", "additional_triggers[].automation_id", "automation_flow"),
    ("flow_template", "trigger.journey_id", "journey"),
    ("flow_template", "additional_triggers[].journey_id", "journey"),
    ("flow_template", "tasks[].journey.journeyId", "journey"),
    ("flow_template", "tasks[].ecp.journey.journeyId", "journey"),
    ("flow_template", "tasks[].installer.journey.journeyId", "journey"),
    ("flow_template", "closing_reasons[].id", "closing_reason"),
    ("flow_template", "taxonomies[]", "taxonomy_classification"),
    ("flow_template", "phases[].taxonomies[]", "taxonomy_classification"),
    ("flow_template", "tasks[].taxonomies[]", "taxonomy_classification"),
    ("flow_template", "trigger.entity_schema", "schema"),
    ("flow_template", "additional_triggers[].entity_schema", "schema"),
    ("flow_template", "tasks[].schedule.reference.schema", "schema"),
    ("flow_template", "entity_sync[].target.entitySchema", "schema"),
    ("flow_template", "tasks[].conditions[].statements[].source.schema", "schema"),
    ("schema", "attributes[].allowedSchemas[]", "schema"),
    ("schema", "capabilities[].schemas[].schema", "schema"),
    ("schema", "capabilities[].adjust_installment.journey_id", "journey"),
    ("schema", "capabilities[].app_id", "app"),
    ("schema", "_purpose[]", "taxonomy_classification"),
    ("schema", "attributes[]._purpose[]", "taxonomy_classification"),
    ("schema", "capabilities[]._purpose[]", "taxonomy_classification"),
    ("schema", "group_settings[]._purpose[]", "taxonomy_classification"),
    ("schema", "group_headlines[]._purpose[]", "taxonomy_classification"),
    ("emailtemplate", "file.$relation[].entity_id", "file"),
    ("emailtemplate", "_purpose[]", "taxonomy_classification"),
    ("product", "price_options.$relation[].entity_id", "price"),
    ("product", "cross_sellable_products.$relation[].entity_id", "product"),
    ("product", "product_images.$relation[].entity_id", "file"),
    ("product", "product_downloads.$relation[].entity_id", "file"),
    ("product", "_availability_files[].$relation.entity_id", "file"),
    ("product", "_purpose[]", "taxonomy_classification"),
    ("price", "tax.$relation[].entity_id", "tax"),
    ("price", "price_components.$relation[].entity_id", "price"),
    ("price", "price_components.$relation[]._product_id", "product"),
    ("coupon", "prices.$relation[].entity_id", "price"),
    ("file", "_purpose[]", "taxonomy_classification"),
    ("document_template", "_purpose[]", "taxonomy_classification"),
    ("webhook", "secureProxy.integration_id", "integration"),
    ("saved_view", "slug[]", "schema"),
    ("saved_view", "ui_config.filters[].value[]", "taxonomy_classification"),
    ("saved_view", "ui_config.filters[].value", "flow_template"),
    ("dashboard", "tiles[].visualisation_config.query.filters[].entity_schema", "schema"),
    ("kanban", "config.board_filter.items[].value[]", "usergroup"),
    ("kanban", "config.swimlanes[].filter.items[].value", "flow_template"),
    ("role", "parent_role", "role"),
    ("validation_rule", "rule.conditions[].value.key", "environment_variable"),
    ("validation_rule", "rule.conditions[].value.min.key", "environment_variable"),
    ("validation_rule", "rule.conditions[].value.max.app_id", "app"),
    ("validation_rule", "rule.conditions[].value.adjust.value.key", "environment_variable"),
    ("validation_rule", "rule.conditions[].applies_when.value.key", "environment_variable"),
    ("validation_rule", "rule.conditions[].value.app_id", "app"),
    ("validation_rule", "contexts[].schema", "schema"),
    ("integration", "use_cases[].configuration.mappings[].delivery.webhook_id", "webhook"),
    ("integration", "app_ids[]", "app"),
    ("integration", "access_token_ids[]", "access_token"),
    ("integration", "environment_config[].key", "environment_variable"),
    ("integration", "maps[].key", "environment_variable"),
    ("integration", "use_cases[].configuration.entities[].fields[].env_var_ref.key", "environment_variable"),
    ("integration", "use_cases[].configuration.entities[].entity_schema", "schema"),
    ("integration", "use_cases[].configuration.entities[].scope.schema", "schema"),
    ("integration", "use_cases[].configuration.entities[].fields[].relations.items[].entity_schema", "schema"),
    ("integration", "use_cases[].configuration.entities[].fields[].relation_refs.items[].entity_schema", "schema"),
    ("designbuilder", "style.logo.main.file_id", "file"),
    ("custom_variable", "config.journeyId", "journey"),
    ("taxonomy_classification", "parents[]", "taxonomy_classification"),
    ("entity_mapping", "source.config.journey_id", "journey"),
    ("entity_mapping", "source.config.entity_schema", "schema"),
    ("entity_mapping", "targets[].target_schema", "schema"),
    ("entity_mapping", "targets[].mapping_attributes[].operation._append[]", "taxonomy_classification"),
    ("portal_config", "design_id", "designbuilder"),
    ("portal_config", "entity_actions[].journey_id", "journey"),
    ("portal_config", "triggered_journeys[].journey_id", "journey"),
    ("portal_config", "email_templates.{*}", "emailtemplate"),
    ("portal_config", "extension_hooks.{*}.app_id", "app"),
    ("portal_config", "surfaces[].data_access.role_id", "role"),
    ("portal_config", "surfaces[].data_access.entities[].target_ids[]", "target"),
    ("portal_config", "surfaces[].data_access.entities[].schema", "schema"),
    ("portal_config", "pages[].visibility.visible_for_targets[]", "target"),
    ("portal_config", "pages[].visibility.hidden_for_targets[]", "target"),
    ("portal_config", "pages[].blocks.{*}.props.visibility.visible_for_targets[]", "target"),
    ("portal_config", "pages[].blocks.{*}.props.visibility.hidden_for_targets[]", "target"),
    ("portal_config", "pages[].blocks.{*}.props.content.journeyId", "journey"),
    ("portal_config", "global_blocks.{*}.props.visibility.visible_for_targets[]", "target"),
    ("portal_config", "global_blocks.{*}.props.visibility.hidden_for_targets[]", "target"),
    ("portal_config", "allowed_portal_entities[]", "schema"),
    ("portal_config", "entity_actions[].slug", "schema"),
    ("portal_config", "contract_identifiers[].schema", "schema"),
    ("portal_config", "registration_identifiers[].schema", "schema"),
    ("portal_config", "contact_identifiers_for_account[].schema", "schema"),
    ("portal_config", "entity_edit_rules[].slug", "schema"),
    ("portal_config", "pages[].schema[]", "schema"),
    ("portal_config", "pages[].detail_schema", "schema"),
    ("target", "entity_schema", "schema"),
    ("target", "entity_filters.filter.items[].value[]", "taxonomy_classification"),
    ("target", "_purpose[]", "taxonomy_classification"),
    ("product_recommendation", "source_price.$relation[].entity_id", "price"),
    ("product_recommendation", "source_product.$relation[].entity_id", "product"),
    ("product_recommendation", "offers[].items[].price_id", "price"),
    ("product_recommendation", "offers[].items[].product_id", "product"),
    ("product_recommendation", "offers[].target_id", "target"),
    ("access_token", "assignments[]", "role"),
    ("access_token", "journey_id", "journey"),
    ("access_token", "portal_id", "portal_config"),
)  # fmt: skip

NATURAL_KEYS = {
    "automation_flow": ("flow_name",),
    "closing_reason": ("title",),
    "coupon": ("name",),
    "custom_variable": ("key",),
    "dashboard": ("title",),
    "designbuilder": ("style_name",),
    "document_template": ("filename", "etag"),
    "emailtemplate": ("name",),
    "file": ("filename", "etag"),
    "flow_template": ("name",),
    "integration": ("name",),
    "journey": ("name",),
    "kanban": ("title",),
    "notification_template": ("type", "name"),
    "portal_config": ("name",),
    "price": ("description", "type", "unit_amount_decimal"),
    "role": ("slug",),
    "saved_view": ("name", "slug"),
    "target": ("name", "entity_schema"),
    "tax": ("type", "region", "rate"),
    "taxonomy_classification": ("slug",),
    "usergroup": ("name",),
    "validation_rule": ("title",),
    "webhook": ("name", "eventName"),
    "workflow_definition": ("name",),
}


@pytest.fixture(scope="module")
def seed() -> Seed:
    return build(SOURCE, TARGET, 1, 42)


def configurations(resources: list[Resource]) -> list[Resource]:
    return [resource for resource in resources if not resource.is_auxiliary]


def title(resource: Resource) -> str:
    names = ("name", "title", "flow_name", "style_name", "_title")
    return next((str(resource.payload[name]) for name in names if resource.payload.get(name)), resource.id)


def strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        yield from chain.from_iterable(strings(item) for pair in node.items() for item in pair)
    elif isinstance(node, list):
        yield from chain.from_iterable(map(strings, node))


def values(node: Any, path: str) -> Iterator[str]:
    """Read the strings at a path: `[]` is any item, `{*}` any key, `**` any depth."""
    head, _, rest = path.partition(".")
    if not path:
        if isinstance(node, str):
            yield node
    elif head == "**":
        yield from values(node, rest)
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        yield from chain.from_iterable(values(child, path) for child in children)
    elif head.endswith("[]"):
        items = list(steps(node, head.removesuffix("[]")))
        yield from chain.from_iterable(values(i, rest) for listed in items if isinstance(listed, list) for i in listed)
    else:
        yield from chain.from_iterable(values(child, rest) for child in steps(node, head))


def steps(node: Any, name: str) -> Iterator[Any]:
    if isinstance(node, dict):
        yield from node.values() if name == "{*}" else ([node[name]] if name in node else [])


def reached(resources: list[Resource], roots: list[dict[str, str]]) -> list[Resource]:
    """Follow every string that contains the identifier or key of another resource."""
    by_id = {resource.id: resource for resource in resources}
    by_id |= {resource.payload["key"]: resource for resource in resources if resource.type == "custom_variable"}
    found: dict[tuple[str, str], Resource] = {}
    waiting = [by_id[root["id"]] for root in roots]
    while waiting:
        resource = waiting.pop()
        if (resource.type, resource.id) in found:
            continue
        found[resource.type, resource.id] = resource
        for text in strings(resource.payload):
            words = set(re.findall(r"[\w:.-]+", text))
            words |= {word.removeprefix("group_").removeprefix("env.").rstrip(":.") for word in words}
            words |= {word.partition(":")[0] for word in words}
            waiting += [by_id[word] for word in words & by_id.keys()]
    return list(found.values())


def natural_key(resource: Resource) -> tuple[str, ...] | None:
    fields = NATURAL_KEYS.get(resource.type)
    if resource.type == "product":
        fields = ("code",) if resource.payload.get("code") else ("name",)
    return (resource.type, *(str(resource.payload.get(name)) for name in fields)) if fields else None


def is_titled(resource: Resource, *words: str) -> bool:
    return title(resource).startswith(words)


def test_same_arguments_give_the_same_organisations(seed: Seed) -> None:
    again = build(SOURCE, TARGET, 1, 42)
    assert (again.source, again.target, again.selections) == (seed.source, seed.target, seed.selections)


def test_another_seed_gives_other_identifiers(seed: Seed) -> None:
    other = build(SOURCE, TARGET, 1, 43)
    assert not {r.id for r in other.source if r.type == "journey"} & {r.id for r in seed.source if r.type == "journey"}


@pytest.mark.parametrize(("scale", "least", "most"), [(0.1, 180, 260), (1, 180, 260), (3, 500, 700)])
def test_every_scale_has_all_types_and_about_two_hundred_resources_each(scale: float, least: int, most: int) -> None:
    resources = configurations(build(SOURCE, TARGET, scale, 1).source)
    assert {resource.type for resource in resources} == TYPES
    assert least <= len(resources) <= most


def test_scale_fifty_is_about_ten_thousand_resources() -> None:
    large = build(SOURCE, TARGET, 50, 1)
    assert 8_500 <= len(configurations(large.source)) <= 11_500
    assert len(large.selections["large"]) == 1_000
    keys = Counter(key for r in large.source if (key := natural_key(r)))
    assert not [key for key, count in keys.items() if count > 1]


def test_the_effort_of_seeding_grows_with_the_scale() -> None:
    few, many = (count_calls(build, SOURCE, TARGET, scale, 1) for scale in (2, 16))
    print(f"\n{few:,} and {many:,} calls")
    assert many < 8 * few * 1.5


def test_identifiers_are_unique_and_differ_between_the_organisations(seed: Seed) -> None:
    for resources in (seed.source, seed.target):
        counts = Counter((resource.type, resource.id) for resource in configurations(resources))
        assert not [key for key, count in counts.items() if count > 1]
    source, target = (
        {r.id for r in resources if r.type not in SAME_EVERYWHERE} for resources in (seed.source, seed.target)
    )
    shared = source & target
    assert all(re.fullmatch(r"[a-zäöü_]+:[a-zäöü_]+", identifier) for identifier in shared), shared


def test_natural_keys_are_unique_on_both_sides_but_for_what_is_titled_clash(seed: Seed) -> None:
    for resources in (seed.source, seed.target):
        counts = Counter(
            key for resource in resources if not is_titled(resource, "Clash") and (key := natural_key(resource))
        )
        assert not [key for key, count in counts.items() if count > 1]


def test_what_is_titled_clash_matches_several_on_the_target(seed: Seed) -> None:
    on_target = Counter(key for resource in seed.target if (key := natural_key(resource)))
    clashes = [resource for resource in seed.source if is_titled(resource, "Clash")]
    assert {resource.id for resource in clashes} == {item["id"] for item in seed.selections["ambiguous"]}
    assert len(clashes) >= 8
    for resource in clashes:
        key = natural_key(resource)
        assert key is not None
        assert on_target[key] >= 2, key


@pytest.mark.parametrize(("kind", "path", "to"), REFERENCES)
def test_reference_is_present_and_never_dead_outside_of_what_is_titled_broken(
    seed: Seed, kind: str, path: str, to: str
) -> None:
    for resources in (seed.source, seed.target):
        known = {resource.id for resource in resources if resource.type in to.split()}
        found = [
            (title(resource), value)
            for resource in resources
            if resource.type == kind and not is_titled(resource, "Broken")
            for value in values(resource.payload, path)
        ]
        dead = [pair for pair in found if pair[1] not in known and not _stands_for_something_else(kind, path, pair[1])]
        assert not dead
        if resources is seed.source:
            assert any(value in known for _, value in found)


def _stands_for_something_else(kind: str, path: str, value: str) -> bool:
    literal = {
        ("journey", "contextSchema[].type"): {"text"},
        ("schema", "attributes[].allowedSchemas[]"): {"entity"},
        ("kanban", "config.swimlanes[].filter.items[].value"): {"neu"},
    }
    return value in literal.get((kind, path), set())


def test_what_is_titled_broken_names_something_that_does_not_exist(seed: Seed) -> None:
    selected = {item["id"] for item in seed.selections["dangling"]}
    broken = [resource for resource in seed.source if is_titled(resource, "Broken")]
    assert {resource.id for resource in broken} == selected
    known = defaultdict(set)
    for resource in seed.source:
        known[resource.type].add(resource.id)
    for resource in broken:
        assert any(
            value not in set().union(*(known[name] for name in to.split()))
            for kind, path, to in REFERENCES
            if kind == resource.type
            for value in values(resource.payload, path)
        ), title(resource)


def test_clean_selection_reaches_a_hundred_resources_of_twenty_types_with_cycles(seed: Seed) -> None:
    assert len(seed.selections["clean"]) <= 15
    closure = reached(configurations(seed.source), seed.selections["clean"])
    assert len(closure) >= 100
    assert len({resource.type for resource in closure}) >= 20
    journeys = {resource.id for resource in closure if resource.type == "journey"}
    mapped = {r.payload["source"]["config"].get("journey_id") for r in closure if r.type == "entity_mapping"}
    assert len(journeys & mapped) >= 5


@pytest.mark.parametrize("selection", ["clean", "large"])
def test_selection_reaches_nothing_that_cannot_be_synced(seed: Seed, selection: str) -> None:
    closure = reached(configurations(seed.source), seed.selections[selection])
    assert not [title(resource) for resource in closure if is_titled(resource, "Clash", "Broken")]
    assert not [title(resource) for resource in closure if "Zählerfoto" in title(resource)]
    identifiers = {resource.id for resource in closure}
    stray = [title(r) for r in seed.source if is_titled(r, "Clash", "Broken") and r.id in identifiers]
    assert not stray


def test_what_the_system_manages_and_clean_reaches_exists_on_the_target(seed: Seed) -> None:
    system = [
        resource
        for resource in reached(configurations(seed.source), seed.selections["clean"])
        if resource.payload.get("system_template")
        or resource.payload.get("blueprint")
        or resource.payload.get("kind") == "system"
        or resource.payload.get("type") in ("org_role", "portal_role")
        or resource.payload.get("is_default")
    ]
    assert len({resource.type for resource in system}) >= 4
    on_target = {natural_key(resource) or (resource.type, resource.id) for resource in seed.target}
    assert not [title(r) for r in system if (natural_key(r) or (r.type, r.id)) not in on_target]


def test_nothing_that_clean_reaches_is_protected(seed: Seed) -> None:
    closure = reached(configurations(seed.source), seed.selections["clean"])
    assert not [title(resource) for resource in closure if resource.payload.get("protected")]
    assert len([resource for resource in seed.source if resource.payload.get("protected")]) >= 3


def test_cycles_of_every_kind_are_there(seed: Seed) -> None:
    by_id = {resource.id: resource.payload for resource in seed.source}

    def of(kind: str) -> list[dict[str, Any]]:
        return [resource.payload for resource in seed.source if resource.type == kind]

    mapped = [j for j in of("journey") if j["settings"].get("mappingsAutomationId")]
    assert len(mapped) >= 7
    for journey in mapped:
        mapping = by_id[journey["settings"]["mappingsAutomationId"]]
        assert mapping["source"]["config"]["journey_id"] == journey["journeyId"]
    starts = {
        (flow["id"], value)
        for flow in of("automation_flow")
        for value in values(flow, "actions[].config.target_workflow")
    }
    for kind, path in (
        ("flow_template", "trigger.automation_id"),
        ("flow_template", "tasks[].automation_config.flow_id"),
        ("workflow_definition", "flow[].steps[].automationConfig.flowId"),
    ):
        assert any((flow, payload["id"]) in starts for payload in of(kind) for flow in values(payload, path))
    proxied = {(hook["id"], value) for hook in of("webhook") for value in values(hook, "secureProxy.integration_id")}
    delivery = "use_cases[].configuration.mappings[].delivery.webhook_id"
    assert any((hook, i["id"]) in proxied for i in of("integration") for hook in values(i, delivery))
    assert any(hook["id"] in values(hook, "filter.supportedValues[]") for hook in of("webhook"))
    described = {(p["_id"], v) for p in of("price") for v in values(p, "price_components.$relation[]._product_id")}
    assert any(
        (v, p["_id"]) in described for p in of("product") for v in values(p, "price_options.$relation[].entity_id")
    )


def test_pinned_mapping_agrees_with_the_mapping(seed: Seed) -> None:
    mappings = {resource.id: resource.payload for resource in seed.source if resource.type == "entity_mapping"}
    pinned = [
        action["config"]["mapping_config"]
        for resource in seed.source
        if resource.type == "automation_flow"
        for action in resource.payload["actions"]
        if "mapping_config" in action["config"]
    ]
    assert len(pinned) >= 7
    for pin in pinned:
        mapping = mappings[pin["config_id"]]
        assert pin["version"] == mapping["version"]
        assert pin["target_id"] in [target["id"] for target in mapping["targets"]]


def test_references_inside_longer_strings_are_there(seed: Seed) -> None:
    journeys = {resource.id for resource in seed.source if resource.type == "journey"}
    public = {resource.payload["public_url"] for resource in seed.source if "public_url" in resource.payload}
    keys = {resource.id for resource in seed.source if resource.type == "environment_variable"}
    variables = {resource.payload["key"] for resource in seed.source if resource.type == "custom_variable"}
    groups = {resource.id for resource in seed.source if resource.type == "usergroup"}
    stored = {r.payload["s3ref"]["key"] for r in seed.source if r.type == "document_template"}
    texts: dict[str, list[str]] = defaultdict(list)
    for resource in seed.source:
        texts[resource.type] += strings(resource.payload)

    def captured(kind: str, pattern: str) -> set[str]:
        return {match for text in texts[kind] for match in re.findall(pattern, text)}

    link = r'generateJourneyLink hash\.journeyId="([0-9a-f-]{36})"'
    for kind, pattern, known in (
        ("emailtemplate", link, journeys),
        ("custom_variable", link, journeys),
        ("portal_config", r"\?journeyId=([0-9a-f-]{36})", journeys),
        ("emailtemplate", r'src="(https://[^"]+)"', public),
        ("designbuilder", r"^(https://file\..+)$", public),
        ("portal_config", r"^(https://file\..+)$", public),
        ("saved_view", r"^group_(.+)$", groups),
        *((kind, r"\{\{ ?env\.([\w.-]+) ?\}\}", keys) for kind in ("webhook", "integration", "entity_mapping", "app")),
        *(
            (kind, r"\{\{ ?env\.([\w.-]+) ?\}\}", keys)
            for kind in ("emailtemplate", "custom_variable", "portal_config")
        ),
        ("automation_flow", r"\{\{ ?env\.([\w.-]+) ?\}\}", keys),
        ("notification_template", r"\{\{ ?env\.([\w.-]+) ?\}\}", keys),
    ):
        found = captured(kind, pattern)
        assert found, (kind, pattern)
        assert found <= known, (kind, pattern, found - known)
    for kind in ("emailtemplate", "custom_variable", "notification_template", "entity_mapping", "automation_flow"):
        assert captured(kind, r"\{\{~?~?(\w+)\}\}") & variables, kind
    attached = {a["object_key"] for r in seed.source if r.type == "emailtemplate" for a in r.payload["attachments"]}
    assert attached
    assert attached <= stored
    slugs = {resource.id for resource in seed.source if resource.type == "schema"}
    granted = {
        r.payload["grants"][1]["resource"] for r in seed.source if r.type == "role" if len(r.payload["grants"]) > 2
    }
    assert {resource.partition(":")[0] for resource in granted} <= slugs


def test_target_has_its_built_ins_and_a_fifth_of_the_names(seed: Seed) -> None:
    on_target = {natural_key(resource): resource for resource in seed.target if not is_titled(resource, "Clash")}
    packed = [r for r in configurations(seed.source) if "Wärmepumpe Köln" in json.dumps(r.payload, ensure_ascii=False)]
    shared = [r for r in packed if (key := natural_key(r)) and key in on_target]
    assert 0.1 <= len(shared) / len(packed) <= 0.25
    contact = {r.id: r.payload for r in seed.target if r.type == "schema"}["contact"]
    assert "ortsteil" in [attribute["name"] for attribute in contact["attributes"]]
    values_of = [
        {r.id: r.payload.get("value") for r in resources if r.type == "environment_variable"}
        for resources in (seed.source, seed.target)
    ]
    assert values_of[0]["erp_base_url"] != values_of[1]["erp_base_url"]


def test_some_matches_are_equal_and_most_differ() -> None:
    large = build(SOURCE, TARGET, 5, 42)
    written = {"price": "long_description", "coupon": "description", "custom_variable": "template", "tax": "active"}
    written |= {"file": "_tags", "taxonomy_classification": "color"}
    source = {natural_key(r): r for r in large.source if r.type in written and not is_titled(r, "Clash")}
    equal = [
        r.payload.get(written[r.type]) == source[natural_key(r)].payload.get(written[r.type])
        for r in large.target
        if natural_key(r) in source
    ]
    assert 0.1 <= sum(equal) / len(equal) <= 0.4


def test_what_another_organisation_shares_is_there_but_not_selected(seed: Seed) -> None:
    foreign = {
        resource.id
        for resource in seed.source
        if resource.payload.get("org_id", resource.payload.get("organization_id", SOURCE)) not in (SOURCE, None)
    }
    assert len(foreign) == 2
    assert not foreign & {item["id"] for selection in seed.selections.values() for item in selection}


def test_secrets_are_recognisable(seed: Seed) -> None:
    marked = {r.type for r in seed.source if any(text.startswith("SECRET-") for text in strings(r.payload))}
    assert {"journey", "portal_config", "environment_variable", "app", "coupon"} <= marked
    secret = [
        r.payload["value"]
        for r in (*seed.source, *seed.target)
        if r.type == "environment_variable" and "SecretString" in (r.payload["type"], r.payload.get("item_type"))
    ]
    assert secret
    assert all("SECRET-" in json.dumps(value) for value in secret)
    auth = [r.payload["auth"] for r in seed.source if r.type == "webhook"]
    assert None in [config["basicAuthConfig"]["password"] for config in auth if "basicAuthConfig" in config]
    assert None in [config["oauthConfig"]["clientSecret"] for config in auth if "oauthConfig" in config]


def test_customer_uploads_are_there_and_nothing_refers_to_them(seed: Seed) -> None:
    uploads = {r.id for r in seed.source if r.type == "file" and "Zählerfoto" in title(r)}
    assert len(uploads) >= 5
    assert not [r for r in seed.source if r.id in uploads and "_manifest" in r.payload]
    others = [r for r in configurations(seed.source) if r.id not in uploads]
    assert not [title(r) for r in others if any(upload in text for upload in uploads for text in strings(r.payload))]


def test_texts_are_long_and_in_many_scripts(seed: Seed) -> None:
    text = json.dumps([r.payload for r in seed.source], ensure_ascii=False)
    for pattern in ("[äöüß]", "[\u0600-\u06ff]", "[\u4e00-\u9fff]", "[\U0001f300-\U0001faff]"):
        assert re.search(pattern, text)
    assert max(len(item) for r in seed.source for item in strings(r.payload)) > 3_000


def test_every_file_has_bytes_of_its_etag(seed: Seed) -> None:
    for resources in (seed.source, seed.target):
        content = {r.payload["file_id"]: r.payload["content_base64"] for r in resources if r.type == "_file_bytes"}
        files = [r for r in resources if r.type in ("file", "document_template")]
        assert files
        for resource in files:
            digest = hashlib.md5(base64.b64decode(content[resource.id]), usedforsecurity=False).hexdigest()
            assert digest == resource.payload["etag"]


def test_the_same_organisation_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="different organisations"):
        build(SOURCE, SOURCE, 1, 1)
