"""Every resource type of the catalogue against the published definitions of the API that owns it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import networkx as nx
import pytest

from docs import generate
from shared.adapters.downstream.paginators import PAGINATORS
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.paths import ANY_KEY, DEEP, ITEMS, KEY_ITSELF, parse_path
from shared.domain.resource_type import PORTABLE_FORMS, Form, Identity, Reference, ResourceType, Strength, UsageSource
from shared.domain.sendable import sendable, without_secrets
from tests.published import load_definition

OPERATIONS = ("list", "get", "create", "update", "delete")
TYPES = tuple(RESOURCE_TYPES.values())
WILDCARDS = frozenset({ITEMS, ANY_KEY, KEY_ITSELF, DEEP})

#: Where the payload of a type is modelled, if not in the answer of its get.
MODELS = {
    "product": ("pricing", "Product"),
    "price": ("pricing", "Price", "NonHydratedCompositePrice"),
    "tax": ("pricing", "Tax"),
    "coupon": ("pricing", "Coupon"),
    "product_recommendation": ("pricing", "ProductRecommendation"),
    "target": ("targeting", "Target"),
}

#: Paths that no definition declares: (type, path) -> why the entry has it.
UNDECLARED_PATHS = {
    ("product", "active"): "attribute of the built-in schema; the model is open",
    ("price", "price_components.$relation[]._product_id"): "shown by the example of a composite price",
    ("portal_config", "certificate_details"): "declared by the older read of the same portal only",
    ("custom_variable", "config.**"): "declared as an object without a word on its content",
}

#: Constant body fields that no definition declares: (type, property) -> why they are sent.
UNDECLARED_BODY = {
    ("designbuilder", "status"): "required without being declared",
    ("designbuilder", "edited"): "required without being declared",
}

#: Required body properties where entry and definition differ: (type, operation) -> why.
REQUIRED_BY_MODEL_ONLY = {
    ("price", "create"): "the operation is open; the model of a simple price requires it",
    ("tax", "create"): "the operation is open; the model requires it",
    ("coupon", "create"): "the operation is open; the model requires it",
}

#: What a create declares as read-only and is sent all the same: (type, property) -> why.
READ_ONLY_BUT_SENT = {
    ("automation_flow", "actions"): "required by the same definition",
}

#: Which types the configs of a type may refer to, back references left out.
EDGES = {
    "journey": "app designbuilder document_template entity_mapping environment_variable file journey product schema "
    "taxonomy_classification validation_rule",
    "automation_flow": "app closing_reason custom_variable document_template emailtemplate entity_mapping "
    "environment_variable file flow_template journey portal_config schema usergroup webhook workflow_definition",
    "workflow_definition": "automation_flow closing_reason journey schema taxonomy_classification",
    "closing_reason": "",
    "flow_template": "automation_flow closing_reason journey schema taxonomy_classification",
    "schema": "app journey schema taxonomy_classification",
    "emailtemplate": "custom_variable document_template environment_variable file journey taxonomy_classification",
    "product": "file price product taxonomy_classification",
    "price": "price product tax taxonomy_classification",
    "tax": "taxonomy_classification",
    "coupon": "price taxonomy_classification",
    "file": "taxonomy_classification",
    "document_template": "taxonomy_classification",
    "webhook": "environment_variable integration webhook",
    "saved_view": "flow_template schema taxonomy_classification usergroup",
    "dashboard": "schema",
    "kanban": "flow_template usergroup workflow_definition",
    "role": "role schema",
    "usergroup": "",
    "validation_rule": "app environment_variable schema",
    "integration": "access_token app environment_variable schema webhook",
    "app": "environment_variable role",
    "designbuilder": "file",
    "notification_template": "custom_variable environment_variable",
    "custom_variable": "custom_variable environment_variable journey",
    "environment_variable": "",
    "taxonomy": "",
    "taxonomy_classification": "taxonomy taxonomy_classification",
    "entity_mapping": "custom_variable environment_variable journey schema",
    "portal_config": "app designbuilder document_template emailtemplate environment_variable file journey role schema "
    "target",
    "target": "schema taxonomy_classification",
    "product_recommendation": "price product target taxonomy_classification",
    "access_token": "journey portal_config role",
}


def for_each_type(entries: Iterable[ResourceType] = TYPES) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("entry", entries, ids=lambda entry: entry.name)


def operations_of(entry: ResourceType) -> Iterator[tuple[str, Operation]]:
    for name in OPERATIONS:
        operation: Operation | None = getattr(entry, name)
        if operation is not None:
            yield name, operation


def writes_of(entry: ResourceType) -> Iterator[tuple[str, WriteOperation]]:
    for name, operation in operations_of(entry):
        if isinstance(operation, WriteOperation):
            yield name, operation


def resolved(api: str, node: Any) -> Any:
    while isinstance(node, dict) and "$ref" in node:
        target: Any = load_definition(api)
        for name in node["$ref"].removeprefix("#/").split("/"):
            target = target[name]
        node = target
    return node


class Place:
    """A place in a published schema: all alternatives that may stand there, references resolved."""

    def __init__(self, *roots: tuple[str, Any]) -> None:
        self.nodes: list[tuple[str, dict[str, Any]]] = []
        self._seen: set[int] = set()
        for api, node in roots:
            self._flatten(api, node)

    def _flatten(self, api: str, node: Any) -> None:
        node = resolved(api, node)
        if not isinstance(node, dict) or id(node) in self._seen:
            return
        self._seen.add(id(node))
        parts = [part for word in ("allOf", "oneOf", "anyOf") for part in node.get(word, ())]
        if not parts or "properties" in node or "items" in node:
            self.nodes.append((api, node))
        for part in parts:
            self._flatten(api, part)

    @property
    def properties(self) -> dict[str, list[tuple[str, Any]]]:
        declared: dict[str, list[tuple[str, Any]]] = {}
        for api, node in self.nodes:
            for name, value in node.get("properties", {}).items():
                declared.setdefault(name, []).append((api, value))
        return declared

    @property
    def is_open(self) -> bool:
        """Nothing is said about what stands here, or only that it is an object."""
        return bool(self.nodes) and not self.properties and any(self._is_free(node) for _, node in self.nodes)

    @staticmethod
    def _is_free(node: Mapping[str, Any]) -> bool:
        is_object = node.get("type", "object") == "object" and "enum" not in node
        return is_object and node.get("additionalProperties", True) in (True, {})

    def step(self, segment: str) -> Place:
        if segment == ITEMS:
            return Place(*((api, node.get("items", {})) for api, node in self.nodes if node.get("type") == "array"))
        values = [
            (api, node["additionalProperties"])
            for api, node in self.nodes
            if isinstance(node.get("additionalProperties"), dict)
        ]
        if segment == ANY_KEY:
            return Place(*values, *(value for group in self.properties.values() for value in group))
        required = [(api, {}) for api, node in self.nodes if segment in node.get("required", ())]
        return Place(*(self.properties.get(segment) or values or required))

    def leads_to(self, segments: Sequence[str]) -> bool:
        """Tell whether a path exists, as far as the schema is typed."""
        if not self.nodes:
            return False
        if not segments or self.is_open or segments[0] in (DEEP, KEY_ITSELF):
            return True
        return self.step(segments[0]).leads_to(segments[1:])


@cache
def published(api: str, operation_id: str) -> tuple[str, str, dict[str, Any]]:
    for path, item in load_definition(api)["paths"].items():
        for method, specification in item.items():
            if isinstance(specification, dict) and specification.get("operationId") == operation_id:
                shared = item.get("parameters", [])
                return (
                    method.upper(),
                    path,
                    {**specification, "parameters": [*shared, *specification.get("parameters", [])]},
                )
    raise LookupError(f"{api} has no operation {operation_id}")


def _json_of(api: str, container: Any) -> Any:
    return resolved(api, container).get("content", {}).get("application/json", {}).get("schema")


def _request_schema(operation: Operation) -> Any:
    specification = published(operation.api, operation.operation_id)[2]
    return _json_of(operation.api, specification.get("requestBody", {}))


def body_of(operation: Operation) -> Place:
    schema = _request_schema(operation)
    body = Place((operation.api, schema)) if schema is not None else Place()
    wrapper = operation.wrapper if isinstance(operation, WriteOperation) else ""
    return body.step(wrapper) if wrapper else body


def answer_of(operation: Operation) -> Place:
    responses = published(operation.api, operation.operation_id)[2]["responses"]
    schemas = [_json_of(operation.api, response) for status, response in responses.items() if status.startswith("2")]
    return Place(*((operation.api, schema) for schema in schemas if schema is not None))


def walk(place: Place, path: str) -> Place:
    for segment in parse_path(path):
        place = place.step(segment)
    return place


def payload_of(entry: ResourceType) -> Place:
    return _payload_of(entry.name)


@cache
def _payload_of(name: str) -> Place:
    entry = RESOURCE_TYPES[name]
    if entry.name in MODELS:
        api, *names = MODELS[entry.name]
        models = [(api, load_definition(api)["components"]["schemas"][name]) for name in names]
    elif entry.get is not None:
        models = list(walk(answer_of(entry.get), entry.get.answer).nodes)
    else:
        assert entry.list is not None
        models = list(answer_of(entry.list).step(ITEMS).nodes)
    if name == "notification_template" or (entry.list and entry.list.operation_id == "searchEntities"):
        envelope = {name: {} for name in _entity_properties()}
        models.append(("entity", {"type": "object", "properties": envelope}))
    return Place(*models)


def _entity_properties() -> Iterable[str]:
    """Name what the entity API puts on every entity."""
    read = RESOURCE_TYPES["product"].get
    assert read is not None
    return answer_of(read).properties


def parameters_of(operation: Operation, place: str) -> set[str]:
    api = operation.api
    declared = [resolved(api, parameter) for parameter in published(api, operation.operation_id)[2]["parameters"]]
    return {parameter["name"] for parameter in declared if parameter["in"] == place}


def required_in(operation: WriteOperation) -> set[str]:
    """Collect the properties that every alternative of the body requires."""
    schema = _request_schema(operation) or {}
    if operation.wrapper:
        schema = resolved(operation.api, schema)["properties"][operation.wrapper]
    return _required(operation.api, schema)


def _required(api: str, schema: Any) -> set[str]:
    schema = resolved(api, schema)
    required = set(schema.get("required", ()))
    for part in schema.get("allOf", ()):
        required |= _required(api, part)
    for word in ("oneOf", "anyOf"):
        if word in schema:
            required |= set.intersection(*(_required(api, part) for part in schema[word]))
    return required


def field_paths(entry: ResourceType) -> set[str]:
    """Collect all field paths of an entry that lead into a payload."""
    fields = entry.fields
    paths = {fields.id, *fields.title, fields.created_at, fields.updated_at, fields.updated_by, fields.tags}
    paths |= {fields.purposes, fields.manifest, *fields.aliases}
    paths |= {*entry.external, *entry.strip, *entry.external_strip, *entry.keep_only, *entry.keep_target}
    paths |= {*entry.secrets, *entry.derived_fields, *entry.sets, *entry.stringified, *entry.drop_without}
    paths |= {entry.bytes_field, entry.active.path if entry.active else "", entry.usage.path if entry.usage else ""}
    paths |= {managed.path for managed in entry.system_managed}
    paths |= {path for key in (entry.natural_key.fields if entry.natural_key else ()) for path in key}
    return paths - {""}


def test_has_the_types_of_the_contract_in_its_order() -> None:
    enum = load_definition()["components"]["schemas"]["ResourceType"]["enum"]
    assert list(RESOURCE_TYPES) == enum
    assert all(entry.name == name for name, entry in RESOURCE_TYPES.items())


def test_reports_source_and_client_as_the_contract_tables_them() -> None:
    table = re.findall(r"^\| `(\w+)` \| (\S+) \| `(\S+)` \|$", load_definition()["info"]["description"], re.MULTILINE)
    assert {name: (f"https://{host}", client) for name, host, client in table} == {
        entry.name: (entry.source_api, entry.sdk_client) for entry in TYPES
    }


def test_labels_and_icons_tell_the_types_apart() -> None:
    assert len({entry.label for entry in TYPES}) == len({entry.icon for entry in TYPES}) == len(TYPES)


@for_each_type()
def test_operations_are_published_with_this_method_and_path(entry: ResourceType) -> None:
    for name, operation in operations_of(entry):
        method, path, _ = published(operation.api, operation.operation_id)
        assert operation.method == method, name
        pattern = re.sub(r"\\\{\w+\\\}", lambda _: r"(\{\w+\}|[\w-]+)", re.escape(path))
        matched = re.fullmatch(pattern, operation.path)
        assert matched, f"{name}: {operation.path} is not {path}"
        own = [part for part in matched.groups() if part.startswith("{")]
        assert len(own) <= 1, f"{name} has more than one parameter for the id"
        assert all(f"{{{parameter}}}" in path for parameter in (part[1:-1] for part in own)), name


@for_each_type()
def test_hosts_are_servers_of_the_definition(entry: ResourceType) -> None:
    for name, operation in operations_of(entry):
        servers = {server["url"] for server in load_definition(operation.api)["servers"]}
        assert f"https://{operation.host}" in servers, name


@for_each_type()
def test_an_operation_finds_its_config_by_path_or_body(entry: ResourceType) -> None:
    for name, operation in operations_of(entry):
        in_body = isinstance(operation, WriteOperation) and "{id}" in operation.body.values()
        has_parameter = "{" in operation.path
        if name in ("get", "update", "delete"):
            assert has_parameter or in_body, f"{name} does not say which config it means"
        elif name == "list":
            assert not has_parameter
        else:
            assert not has_parameter or (isinstance(operation, WriteOperation) and operation.client_id)


@for_each_type()
def test_constant_parameters_are_declared(entry: ResourceType) -> None:
    for name, operation in operations_of(entry):
        constants = set(operation.query)
        if isinstance(operation, ListOperation):
            constants |= {parameter for variant in operation.variants for parameter in variant}
        assert constants <= parameters_of(operation, "query"), name


@for_each_type()
def test_constant_body_fields_are_declared(entry: ResourceType) -> None:
    for name, operation in operations_of(entry):
        if isinstance(operation, ListOperation | WriteOperation):
            renamed = set(operation.rename.values()) if isinstance(operation, WriteOperation) else set()
            undeclared = (set(operation.body) | renamed) - set(body_of(operation).properties)
            assert {(entry.name, field) for field in undeclared} <= set(UNDECLARED_BODY), name


@for_each_type()
def test_required_body_fields_are_those_of_the_definition(entry: ResourceType) -> None:
    for name, operation in writes_of(entry):
        required = required_in(operation)
        if (entry.name, name) in REQUIRED_BY_MODEL_ONLY:
            api, model, *_ = MODELS[entry.name]
            own = _required(api, load_definition(api)["components"]["schemas"][model])
            required = {field for field in own if not field.startswith("_")}
        assert set(operation.required) == required, name


@for_each_type()
def test_lists_are_paged_by_a_paginator_that_exists_and_by_parameters_that_are_declared(entry: ResourceType) -> None:
    operation = entry.list
    if operation is None:
        return
    assert operation.paging in PAGINATORS
    assert (operation.page_size is None) == (operation.paging == "none")
    in_query = {
        "from_size_query": {"from", "size"},
        "limit_offset": {"limit", "offset"},
        "page_number": {"page", "pageSize"},
    }
    in_body = {"from_size_body": {"from", "size"}, "entity_search": {"from", "size", "search_after", "sort"}}
    assert in_query.get(operation.paging, set()) <= parameters_of(operation, "query")
    assert in_body.get(operation.paging, set()) <= set(body_of(operation).properties)
    for declared in published(operation.api, operation.operation_id)[2]["parameters"]:
        parameter = resolved(operation.api, declared)
        if parameter.get("name") in ("size", "limit", "pageSize") and "maximum" in parameter["schema"]:
            assert operation.page_size is not None
            assert operation.page_size <= parameter["schema"]["maximum"]


@for_each_type()
def test_items_totals_answers_and_ids_stand_where_the_entry_says(entry: ResourceType) -> None:
    for name, operation in operations_of(entry):
        answer = answer_of(operation)
        paths = {operation.answer}
        if isinstance(operation, ListOperation):
            paths |= {f"{operation.items}[]", operation.total or ""}
        if isinstance(operation, WriteOperation):
            paths.add(operation.answer_id)
        for path in paths - {""}:
            assert answer.leads_to(parse_path(path)), f"{name}: the answer has no {path}"


@for_each_type([entry for entry in TYPES if entry.list is not None])
def test_list_items_have_the_fields_of_the_index(entry: ResourceType) -> None:
    assert entry.list is not None
    if entry.list.operation_id == "searchEntities":
        return
    fields = entry.list_fields or entry.fields
    items = walk(answer_of(entry.list), f"{entry.list.items}[]")
    summary = [fields.id, *fields.title[:1], fields.created_at]
    if entry.list.only_own_org:
        summary.append(entry.list.only_own_org)
    for path in filter(None, summary):
        assert items.leads_to(parse_path(path)), path


@for_each_type()
def test_every_field_path_exists_in_the_payload(entry: ResourceType) -> None:
    payload = payload_of(entry)
    missing = {path for path in field_paths(entry) if not payload.leads_to(parse_path(path))}
    assert {(entry.name, path) for path in missing} <= set(UNDECLARED_PATHS)


@for_each_type()
def test_every_reference_path_exists_in_the_payload(entry: ResourceType) -> None:
    payload = payload_of(entry)
    for reference in entry.references:
        segments = parse_path(reference.path)
        place = reference.path.removeprefix("$.")
        assert payload.leads_to(segments) or (entry.name, place) in UNDECLARED_PATHS, reference.path


def test_every_exception_is_still_needed() -> None:
    for name, path in UNDECLARED_PATHS:
        if path != "config.**":
            assert not payload_of(RESOURCE_TYPES[name]).leads_to(parse_path(path)), (name, path)
    for name, field in UNDECLARED_BODY:
        create = RESOURCE_TYPES[name].create
        assert create is not None
        assert field not in body_of(create).properties


@for_each_type()
def test_paths_are_well_formed(entry: ResourceType) -> None:
    for path in field_paths(entry):
        assert not path.startswith("$."), path
        assert parse_path(path)
    for reference in entry.references:
        assert reference.path.startswith("$."), reference.path
        segments = parse_path(reference.path)
        assert KEY_ITSELF not in segments[:-1], reference.path
        assert reference.unit < len(segments), reference.path
    for path in (*entry.keep_target, *entry.keep_only, *entry.derived_fields):
        assert WILDCARDS.isdisjoint(parse_path(path)), path


@for_each_type()
def test_what_stays_on_the_target_is_not_taken_from_the_source(entry: ResourceType) -> None:
    removed = {*entry.strip, *entry.external_strip, *entry.secrets}
    assert all(path in removed or f"{path}[]" in removed for path in entry.keep_target)


@for_each_type()
def test_what_create_does_not_take_is_stripped(entry: ResourceType) -> None:
    if entry.create is None or entry.keep_only or entry.skip_sync or entry.name in MODELS:
        return
    removed = {*entry.strip, *entry.external_strip, *entry.secrets}
    sent = set(payload_of(entry).properties) - removed
    body = body_of(entry.create)
    read_only = {
        name
        for name, declared in body.properties.items()
        if any(node.get("readOnly") for _, node in Place(*declared).nodes)
        or any(v.get("readOnly") for _, v in declared)
    }
    undeclared = sent - set(body.properties) - set(entry.create.body) if body.properties else set()
    assert not undeclared
    assert {(entry.name, name) for name in sent & read_only} <= set(READ_ONLY_BUT_SENT)


@for_each_type()
def test_nothing_that_create_requires_is_stripped(entry: ResourceType) -> None:
    if entry.create is None or entry.skip_sync:
        return
    dropped = {f"{holder}.{name}" for holder, name in entry.drop_without.items()}
    for path in {*entry.strip, *entry.external_strip, *entry.secrets} - dropped:
        *parents, last = parse_path(path)
        place = body_of(entry.create)
        for segment in parents:
            place = place.step(segment)
        for api, node in place.nodes:
            if last in node.get("required", ()) and (parents or last not in entry.create.body):
                assert resolved(api, node["properties"][last]).get("readOnly"), path


def test_a_journey_sends_no_setting_that_version_two_refuses() -> None:
    entry = RESOURCE_TYPES["journey"]
    assert entry.create is not None
    accepted = set(body_of(entry.create).step("settings").properties)
    offered = {f"settings.{name}" for name in payload_of(entry).step("settings").properties if name not in accepted}
    assert offered
    assert offered <= set(entry.strip)


@for_each_type()
def test_missing_operations_are_explained_and_only_those(entry: ResourceType) -> None:
    absent = {name for name in OPERATIONS if getattr(entry, name) is None}
    assert set(entry.missing) == absent
    assert all(reason.endswith(".") for reason in entry.missing.values())
    assert ("list" in absent) == bool(entry.collected_from)


@for_each_type()
def test_ids_come_from_where_the_identity_says(entry: ResourceType) -> None:
    if entry.create is not None:
        assert entry.create.client_id == (entry.identity is not Identity.SERVER)
        assert entry.create.answer_id


@for_each_type()
def test_refusals_have_a_reason(entry: ResourceType) -> None:
    assert entry.deletable == (not entry.undeletable_reason)
    assert all(managed.reason.endswith(".") for managed in entry.system_managed)
    assert bool(entry.secrets) <= bool(entry.secret_note)
    assert entry.natural_key is not None
    if entry.name in ("entity_mapping", "access_token"):
        assert not entry.deletable


@for_each_type()
def test_refers_to_the_types_that_it_should(entry: ResourceType) -> None:
    forward = {to for ref in entry.references if ref.strength is not Strength.BACK_REFERENCE for to in ref.to}
    assert forward == set(EDGES[entry.name].split())
    assert forward <= set(RESOURCE_TYPES)


def _all_references() -> Iterator[tuple[ResourceType, Reference]]:
    for entry in TYPES:
        for reference in entry.references:
            yield entry, reference


def test_references_are_consistent_in_themselves() -> None:
    for entry, reference in _all_references():
        where = f"{entry.name} {reference.path}"
        assert bool(reference.prefix) == (reference.form is Form.PREFIXED_ID), where
        assert not (reference.required and (reference.deferrable or reference.unit)), where
        assert not (reference.deferrable and reference.form in PORTABLE_FORMS), where
        if reference.field != "id":
            assert reference.form in (Form.CONTENT, Form.URL), where
        if reference.form is Form.CONTENT:
            assert all(reference.field in RESOURCE_TYPES[to].fields.aliases for to in reference.to), where
        for field in reference.siblings.values():
            assert all(field in RESOURCE_TYPES[to].derived_fields for to in reference.to), where
        if reference.strength is Strength.BACK_REFERENCE:
            removed = {path.removesuffix("[]") for path in (*entry.strip, *entry.secrets)}
            assert any(reference.path.removeprefix("$.").startswith(path) for path in removed), where


def test_no_path_is_declared_twice() -> None:
    for entry in TYPES:
        typed = [(ref.path, ref.when, ref.form) for ref in entry.references]
        assert len(typed) == len(set(typed)), entry.name


def test_cycles_of_hard_references_have_a_deferrable_one() -> None:
    graph: nx.DiGraph[str] = nx.DiGraph()
    for entry, reference in _all_references():
        if reference.strength is Strength.HARD and reference.form not in PORTABLE_FORMS and not reference.deferrable:
            graph.add_edges_from((entry.name, to) for to in reference.to if to != entry.name)
    cycles = [set(component) for component in nx.strongly_connected_components(graph) if len(component) > 1]
    assert not cycles


def test_configs_that_can_run_half_configured_are_created_inactive() -> None:
    for name in ("journey", "automation_flow", "flow_template", "workflow_definition", "webhook", "portal_config"):
        active = RESOURCE_TYPES[name].active
        assert active is not None
        assert active.settable, name
    for name in ("schema", "app", "role", "taxonomy", "taxonomy_classification"):
        active = RESOURCE_TYPES[name].active
        assert active is not None
        assert not active.settable, name


def test_usage_metrics_that_are_read_from_a_payload_say_where() -> None:
    for entry in TYPES:
        if entry.usage is not None:
            from_payload = entry.usage.source in (UsageSource.FIELD, UsageSource.LENGTH, UsageSource.SUM)
            assert from_payload == bool(entry.usage.path), entry.name


def test_strong_natural_keys_are_those_that_the_apis_keep_unique() -> None:
    strong = {entry.name for entry in TYPES if entry.natural_key and entry.natural_key.strong}
    assert strong == {
        "schema",
        "role",
        "app",
        "custom_variable",
        "environment_variable",
        "taxonomy",
        "taxonomy_classification",
    }


@pytest.mark.parametrize(("path", "write"), generate.PAGES, ids=lambda value: getattr(value, "name", None))
def test_generated_pages_are_up_to_date(path: Any, write: Any) -> None:
    assert path.read_text(encoding="utf-8") == write(), f"run `python -m docs.generate`: {path.name} is stale"


def test_a_file_inside_of_a_product_is_sent_without_what_its_storage_says() -> None:
    file = {"_id": "f", "$relation": {"entity_id": "f"}, "filename": "a.png", "_org": "source"}
    versions = {"versions": [{"s3ref": {"bucket": "b", "key": "source/f/a.png"}}]}
    product = {"name": "P", "product_images": [file | versions], "_availability_files": [file | versions]}
    kept = [{name: value for name, value in file.items() if name != "_org"}]
    assert sendable(RESOURCE_TYPES["product"], product) == {
        "name": "P",
        "product_images": kept,
        "_availability_files": kept,
    }


def _planted(path: str, value: Any, name: str = "X-Any") -> dict[str, Any]:
    """Return a payload that has a value at a path; `name` is what the value belongs to in maps and lists of pairs."""
    node: Any = value
    beside = {"key": name} if path.endswith("[].value") else {}
    for segment in reversed(parse_path(path)):
        node = [node] if segment == ITEMS else {name if segment == ANY_KEY else segment: node, **beside}
        beside = {}
    return dict(node)


_SECRETS = [(entry, path) for entry in TYPES for path in entry.secrets]


@pytest.mark.parametrize(("entry", "path"), _SECRETS, ids=lambda value: getattr(value, "name", value))
@pytest.mark.parametrize("literal", ["abc123", "Bearer abc123", "{{ env.a }}abc123", "Bearer {{ env.a }} abc123", "{{"])
def test_a_credential_in_plain_text_goes_nowhere(entry: ResourceType, path: str, literal: str) -> None:
    payload = _planted(path, literal)
    for left in (without_secrets(entry, payload), sendable(entry, payload)):
        assert literal not in repr(left)
    assert entry.secret_note


@pytest.mark.parametrize(("entry", "path"), _SECRETS, ids=lambda value: getattr(value, "name", value))
@pytest.mark.parametrize("template", ["{{ env.a.b }}", "{{env.a}}", "Bearer {{ env.a }}", "Basic {{env.a}}:{{env.b}}"])
def test_a_credential_that_is_a_template_stays(entry: ResourceType, path: str, template: str) -> None:
    payload = _planted(path, template)
    assert without_secrets(entry, payload) == payload


@pytest.mark.parametrize(
    ("entry", "path"),
    [(entry, path) for entry, path in _SECRETS if path.endswith((ANY_KEY, "[].value"))],
    ids=lambda value: getattr(value, "name", value),
)
def test_headers_and_parameters_that_are_plainly_no_credentials_stay(entry: ResourceType, path: str) -> None:
    for name in ("Content-Type", "accept", "grant_type"):
        payload = _planted(path, "text/plain", name)
        assert without_secrets(entry, payload) == payload


def test_whatever_must_be_a_template_by_contract_is_a_secret() -> None:
    entry = RESOURCE_TYPES["integration"]
    assert entry.create is not None
    place = body_of(entry.create).step("connector_config").step("auth")
    by_contract = {
        f"connector_config.auth.{name}"
        for name, declared in place.properties.items()
        for _, node in Place(*declared).nodes
        if "Must be an {{env.key}} reference" in node.get("description", "")
    }
    assert len(by_contract) == 3
    assert by_contract <= set(entry.secrets)


def test_what_is_sent_back_is_a_secret() -> None:
    for entry in TYPES:
        assert set(entry.secrets_sent_back) <= set(entry.secrets)
