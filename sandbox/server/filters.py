"""Narrows lists as each API's parameters ask, and to what the calling user may see."""

from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import Any

from sandbox.server.call import Call
from sandbox.server.paths import find_values
from sandbox.server.search import parse_query
from sandbox.server.store import DEFAULT_USER, Record
from sandbox.server.views import VIEWS

Records = list[Record]


def _keep(records: Records, test: Callable[[dict[str, Any]], bool]) -> Records:
    return [record for record in records if test(record.payload)]


def _body(call: Call) -> dict[str, Any]:
    return call.body if isinstance(call.body, dict) else {}


def _mentions(wanted: str, *texts: Any) -> bool:
    return any(wanted.lower() in str(text).lower() for text in texts if text)


def _text_query(call: Call, records: Records) -> Records:
    text = call.query_text("q") or _body(call).get("q")
    if not text or text == "*":
        return records
    view = VIEWS[call.kind.views.get(call.endpoint.operation, call.kind.view)]
    _, matches = parse_query(text)
    return _keep(records, lambda payload: matches(view(payload)))


def _automations_of_flows(call: Call) -> set[str]:
    paths = ("trigger.automation_id", "additional_triggers[].automation_id", "tasks[].automation_config.flow_id")
    return {
        value
        for record in call.organisation.collection("flow_template").values()
        for path in paths
        for value in find_values(record.payload, path)
        if isinstance(value, str)
    }


def _automation_query(call: Call, records: Records) -> Records:
    if call.endpoint.operation != "searchFlows":
        return records
    if not call.query_flag("include_flows"):
        hidden = _automations_of_flows(call)
        records = _keep(records, lambda payload: payload["id"] not in hidden)
    places = {
        "trigger_source_id": "triggers[].configuration.source_id",
        "target_workflow": "actions[].config.target_workflow",
        "schema": "entity_schema",
        "trigger_event_name": "triggers[].configuration.event_name",
    }
    for name, path in places.items():
        wanted = call.query_text(name)
        if wanted is not None:
            records = [record for record in records if wanted in find_values(record.payload, path)]
    return records


def _ids_in_body(call: Call, records: Records) -> Records:
    ids = _body(call).get("ids")
    return records if ids is None else _keep(records, lambda payload: payload[call.kind.id_field] in ids)


def _active_reasons(call: Call, records: Records) -> Records:
    if call.query_flag("includeInactive"):
        return records
    return _keep(records, lambda payload: payload.get("status") != "INACTIVE")


def _flow_template_query(call: Call, records: Records) -> Records:
    body = _body(call)
    if body.get("name"):
        records = _keep(records, lambda payload: _mentions(body["name"], payload.get("name")))
    if body.get("definition_id"):
        records = _keep(records, lambda payload: payload["id"] == body["definition_id"])
    if "enabled" in body:
        records = _keep(records, lambda payload: payload.get("enabled") is body["enabled"])
    if body.get("trigger_type"):
        records = _keep(records, lambda payload: body["trigger_type"] in find_values(payload, "trigger.type"))
    field, descending = body.get("sort_by", "updated_at"), body.get("sort_order", "desc") == "desc"
    return sorted(records, key=lambda record: record.payload.get(field) or "", reverse=descending)


def _published_schemas(call: Call, records: Records) -> Records:
    include, exclude = call.query.get("include"), call.query.get("exclude", ())
    if not call.query_flag("unpublished"):
        records = _keep(records, lambda payload: bool(payload.get("published")))
    return _keep(
        records, lambda payload: payload["slug"] not in exclude and (not include or payload["slug"] in include)
    )


def _event_name(call: Call, records: Records) -> Records:
    wanted = call.query_text("eventName")
    return records if wanted is None else _keep(records, lambda payload: payload.get("eventName") == wanted)


def _view_query(call: Call, records: Records) -> Records:
    slug, text = call.query_text("slug"), call.query_text("q")
    if slug:
        records = _keep(records, lambda payload: slug in (payload.get("slug") or []))
    if text:
        records = _keep(records, lambda payload: _mentions(text, payload.get("name")))
    field, _, order = (call.query_text("sort") or "name:asc").partition(":")
    return sorted(records, key=lambda record: str(record.payload.get(field) or ""), reverse=order == "desc")


def _shares(shared_with: Iterable[Any], user: str) -> bool:
    return any(user == (share.get("user_id") if isinstance(share, dict) else share) for share in shared_with)


def _visible_to_user(call: Call, records: Records) -> Records:
    """Resources that a user created, owns or was given, and those shared with the whole organisation."""

    def visible(payload: dict[str, Any]) -> bool:
        return (
            payload.get("created_by", call.user) == call.user
            or call.user in (payload.get("owners") or ())
            or bool(payload.get("org_access") or payload.get("shared_with_org"))
            or _shares(payload.get("shared_with") or (), call.user)
        )

    return _keep(records, visible)


def _title_query(call: Call, records: Records) -> Records:
    text = call.query_text("q")
    if text:
        records = _keep(records, lambda payload: _mentions(text, payload.get("title")))
    return records


def _role_query(call: Call, records: Records) -> Records:
    body = _body(call)
    if body.get("role_ids"):
        records = _keep(records, lambda payload: payload["id"] in body["role_ids"])
    if body.get("org_ids"):
        records = _keep(records, lambda payload: payload["organization_id"] in body["org_ids"])
    if body.get("slugs"):
        records = _keep(records, lambda payload: payload["slug"] in body["slugs"])
    if body.get("query"):
        records = _keep(records, lambda payload: _mentions(body["query"], payload.get("name"), payload.get("slug")))
    return records


def _name_query(call: Call, records: Records) -> Records:
    text = call.query_text("query")
    return _keep(records, lambda payload: _mentions(text, payload.get("name"))) if text else records


def _app_query(call: Call, records: Records) -> Records:
    enabled, component = call.query_text("enabled"), call.query_text("componentType")
    if enabled is not None:
        records = _keep(records, lambda payload: payload.get("enabled") is (enabled == "true"))
    if component is not None:
        records = _keep(records, lambda payload: component in find_values(payload, "components[].component_type"))
    return records


def _variable_query(call: Call, records: Records) -> Records:
    body = _body(call)
    if body.get("type"):
        records = _keep(records, lambda payload: payload.get("type") == body["type"])
    if body.get("tags"):
        records = _keep(records, lambda payload: bool(set(body["tags"]) & set(payload.get("_tags") or ())))
    if body.get("query"):
        records = _keep(records, lambda payload: _mentions(body["query"], payload.get("name"), payload.get("key")))
    return records


def _taxonomy_query(call: Call, records: Records) -> Records:
    """Only entity and relation taxonomies can be asked for."""
    wanted = call.query_text("type") or "entity"
    records = _keep(records, lambda payload: payload.get("type", "entity") == wanted and not payload.get("deleted_at"))
    if not call.query_flag("include_disabled"):
        records = _keep(records, lambda payload: payload.get("enabled", True))
    return records


def taxonomy_of(classification: dict[str, Any]) -> str:
    """Return the slug of the taxonomy that a classification belongs to."""
    return str(classification.get("slug") or "").partition(":")[0]


def _classification_query(call: Call, records: Records) -> Records:
    taxonomies, text = call.query.get("taxonomySlug"), call.query_text("query")
    wanted = _body(call).get("classificationIds")
    if taxonomies:
        records = _keep(records, lambda payload: taxonomy_of(payload) in taxonomies)
    if text:
        records = _keep(records, lambda payload: _mentions(text, payload.get("name")))
    archived = call.query_text("include_archived") or "false"
    if archived != "true":
        records = _keep(records, lambda payload: bool(payload.get("archived")) is (archived == "only"))
    if wanted is not None:
        patterns = [item["pattern"] if isinstance(item, dict) else item for item in wanted]
        records = _keep(
            records,
            lambda payload: any(
                fnmatchcase(ident, pattern) for ident in (payload["id"], payload["slug"]) for pattern in patterns
            ),
        )
    return records


def _own_tokens(call: Call, records: Records) -> Records:
    types = call.query.get("token_type") or ["api"]
    return _keep(
        records,
        lambda payload: (
            payload.get("_user_id", DEFAULT_USER) == call.user and payload.get("token_type", "api") in types
        ),
    )


def _unarchived(call: Call, records: Records) -> Records:
    wanted = call.query_flag("archived")
    return _keep(records, lambda payload: bool(payload.get("archived")) is wanted)


FILTERS: dict[str, Callable[[Call, Records], Records]] = {
    "text_query": _text_query,
    "automation_query": _automation_query,
    "ids_in_body": _ids_in_body,
    "active_reasons": _active_reasons,
    "flow_template_query": _flow_template_query,
    "published_schemas": _published_schemas,
    "event_name": _event_name,
    "view_query": _view_query,
    "visible_to_user": _visible_to_user,
    "title_query": _title_query,
    "role_query": _role_query,
    "name_query": _name_query,
    "app_query": _app_query,
    "variable_query": _variable_query,
    "taxonomy_query": _taxonomy_query,
    "classification_query": _classification_query,
    "own_tokens": _own_tokens,
    "unarchived": _unarchived,
}
