"""The verbs that operations are made of: list, get, create, replace, merge, put, delete and the few odd ones."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

from sandbox.server.call import Answer, Call
from sandbox.server.effects import AFTER, EFFECTS, GUARDS
from sandbox.server.errors import ApiError
from sandbox.server.filters import FILTERS, taxonomy_of
from sandbox.server.grants import require_grant, roles_of_caller
from sandbox.server.identifiers import NEW_ID
from sandbox.server.kind import Kind, Paging
from sandbox.server.kinds import KIND_OF, entity_kind
from sandbox.server.paging import PAGINATORS
from sandbox.server.paths import drop_dotted, find_values, keep_dotted, read_dotted, write_indexed
from sandbox.server.references import check_references
from sandbox.server.search import narrow, parse_query
from sandbox.server.stamps import STAMPS, now
from sandbox.server.store import Payload, Record
from sandbox.server.views import VIEWS

Verb = Callable[[Call], Answer]

# Largest page of searchEntities; a larger size is lowered to it.
_LARGEST_SEARCH = 1000
_OPERATION_VIEWS = {"getEntity": "entity_detail"}
_MISSING = object()


def encode(value: Any) -> bytes:
    """Return compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def render(record: Record, view: str) -> bytes:
    """Return a record as an answer shows it; rendered once per version of the record."""
    rendered = record.rendered.get(view)
    if rendered is None:
        rendered = record.rendered[view] = encode(VIEWS[view](record.payload))
    return rendered


def _view(call: Call) -> str:
    operation = call.endpoint.operation
    return _OPERATION_VIEWS.get(operation) or call.kind.views.get(operation, call.kind.view)


def _shown(call: Call, record: Record, status: int | None = None) -> Answer:
    body = render(record, _view(call)) if call.endpoint.answers_json else b""
    return Answer(status or call.endpoint.status, body)


def _found(call: Call, ident: str | None = None) -> Record:
    wanted = call.ident if ident is None else ident
    record = call.organisation.find(call.kind, wanted)
    if record is None and call.kind.alias:
        record = call.organisation.find_by(call.kind, call.kind.alias, wanted)
    if record is None or record.payload.get("deleted_at"):
        raise ApiError(404, f"{call.kind.type.removeprefix('_')} {wanted!r} not found")
    return record


# ---------------------------------------------------------------- reading


def list_records(call: Call, paging: Paging | None = None) -> Answer:
    """Answer one page of a kind's records."""
    kind = call.kind
    paging = paging or kind.paging
    records = call.organisation.records(kind)
    for name in kind.filters:
        records = FILTERS[name](call, records)
    view = _view(call)
    if kind.whole_flag and call.query_flag(kind.whole_flag):
        view = kind.view
    fields = _wanted_fields(call)
    if fields:
        shown = VIEWS[view]

        def narrowed(record: Record) -> bytes:
            return encode(narrow(shown(record.payload), fields))

        body = PAGINATORS[paging.family](call, paging, records, narrowed)
    else:
        body = PAGINATORS[paging.family](call, paging, records, partial(render, view=view))
    return Answer(call.endpoint.status, body)


def _wanted_fields(call: Call) -> list[str]:
    if isinstance(call.body, dict) and isinstance(call.body.get("fields"), list):
        return [str(name) for name in call.body["fields"]]
    return [name for value in call.query.get("fields", ()) for name in value.split(",")] if call.query_string else []


def get_record(call: Call) -> Answer:
    """Answer one record."""
    return _shown(call, _found(call))


def search_entities(call: Call) -> Answer:
    """Answer a page of entities that match a query of the Lucene subset."""
    body = call.object()
    text = body.get("q")
    if not isinstance(text, str):
        raise ApiError(400, "q is required")
    slug, matches = parse_query(text)
    if slug is None:
        kinds = [entity_kind(name.removeprefix("entity:")) for name in call.organisation.collections if ":" in name]
        records = [
            record for kind in kinds for record in call.organisation.collections.get(kind.store_name, {}).values()
        ]
    elif slug == "journey":
        mirror = VIEWS["journey_summary"]
        records = [Record(mirror(record.payload)) for record in call.organisation.records(KIND_OF["journey"])]
    else:
        records = list(call.organisation.collections.get(f"entity:{slug}", {}).values())
    records = [record for record in records if matches(record.payload)]
    records, cursor = _sorted_entities(records, body)
    start, size = body.get("from", 0), body.get("size", 10)
    if not all(isinstance(number, int) and number >= 0 for number in (start, size)):
        raise ApiError(400, "from and size must be integers of at least 0")
    page = records[start : start + min(size, _LARGEST_SEARCH)] if cursor is None else records[cursor:][:size]
    fields = body.get("fields") or []
    if body.get("hydrate"):
        items = [encode(_hydrated(call, record.payload)) for record in page]
    elif fields:
        items = [encode(narrow(record.payload, fields)) for record in page]
    else:
        items = [render(record, "payload") for record in page]
    end = encode({"sort_end": [page[-1].payload["_id"]]})[1:-1] if page else b""
    return Answer(
        200,
        b'{"hits":%d,"results":[%s]%s}' % (len(records), b",".join(items), b"," + end if end else b""),
    )


def _sorted_entities(records: list[Record], body: Payload) -> tuple[list[Record], int | None]:
    orders = body.get("sort") or []
    for order in reversed([orders] if isinstance(orders, str) else orders):
        field, _, direction = order.partition(":")
        field = field.removesuffix(".keyword")
        records = sorted(
            records, key=lambda record: str(record.payload.get(field) or ""), reverse=direction.lower() == "desc"
        )
    after = body.get("search_after")
    if not after:
        return records, None
    positions = [index for index, record in enumerate(records) if record.payload["_id"] == after[-1]]
    return records, positions[0] + 1 if positions else len(records)


def _hydrated(call: Call, payload: Payload) -> Payload:
    entities = {
        ident: record.payload
        for name, collection in call.organisation.collections.items()
        if name.startswith("entity:")
        for ident, record in collection.items()
    }
    shown = dict(payload)
    for key, value in payload.items():
        if isinstance(value, dict) and isinstance(value.get("$relation"), list):
            ids = [item.get("entity_id") for item in value["$relation"] if isinstance(item, dict)]
            shown[key] = [entities[ident] for ident in ids if ident in entities]
    return shown


# ---------------------------------------------------------------- writing


def _writable(kind: Kind, body: Payload) -> Payload:
    for path in kind.refused:
        if read_dotted(body, path, _MISSING) is not _MISSING or path in body:
            raise ApiError(400, f"{path} is not allowed")
    payload = dict(body)
    for path in kind.server_owned:
        payload.pop(path, None)
        if "." in path:
            drop_dotted(payload, path)
    return payload


def _require(kind: Kind, payload: Payload) -> None:
    missing = [name for name in kind.required if payload.get(name) is None]
    if missing:
        raise ApiError(400, f"missing required field {', '.join(missing)}")


def _guard(kind: Kind, stored: Payload, writing: bool) -> None:
    for name in kind.guards:
        reason = GUARDS[name](stored, writing)
        if reason is not None:
            raise ApiError(403, reason)


def _require_fresh(kind: Kind, body: Payload, stored: Payload) -> None:
    field = kind.stale_field
    if field and body.get(field) and stored.get(field) and body[field] < stored[field]:
        raise ApiError(409, "the resource was changed since it was loaded")


def _require_unique(call: Call, payload: Payload, ident: str | None) -> None:
    kind = call.kind
    if kind.unique is None:
        return
    for record in call.organisation.collection(kind.store_name).values():
        if record.payload.get(kind.unique) == payload.get(kind.unique) and record.payload[kind.id_field] != ident:
            raise ApiError(409, f"{kind.unique} {payload.get(kind.unique)!r} exists already")


def _stamp(call: Call, stamps: Mapping[str, str], old: Payload, new: Payload) -> None:
    for path, name in stamps.items():
        parent, _, field = path.rpartition(".")
        holder = new.setdefault(parent, {}) if parent else new
        holder[field] = STAMPS[name](call, read_dotted(old, path))


def store_payload(call: Call, old: Payload | None, new: Payload) -> Record:
    """Check, complete and store what a body and the stored resource amount to.

    Raises:
        ApiError: the write is refused.
    """
    kind = call.kind
    require_grant(call, "create" if old is None else "edit", "" if old is None else str(old[kind.id_field]))
    check_references(kind, call.organisation, new)
    if old is None:
        _stamp(call, kind.on_create, {}, new)
    _stamp(call, kind.on_write, old or {}, new)
    for name in kind.sets:
        if isinstance(new.get(name), list):
            new[name] = sorted(set(new[name]))
    for name in kind.effects:
        EFFECTS[name](call, old, new)
    record = call.organisation.put(kind, new)
    call.note(new)
    for name in kind.after:
        AFTER[name](call, old, new)
    return record


def create_payload(call: Call, body: Payload, ident: str | None = None) -> Record:
    """Store a new resource from a body.

    Raises:
        ApiError: the create is refused.
    """
    kind = call.kind
    _require(kind, body)
    new = {**deepcopy(dict(kind.defaults)), **_writable(kind, body)}
    if ident is None:
        ident = NEW_ID[kind.new_id]() if kind.new_id else str(new[kind.id_field])
    new[kind.id_field] = ident
    _require_unique(call, new, None)
    return store_payload(call, None, new)


def _replacement(kind: Kind, stored: Payload, body: Payload) -> Payload:
    new = _writable(kind, body)
    for path in (*kind.server_owned, kind.id_field):
        keep_dotted(stored, new, path)
    for name in kind.keep_if_absent:
        if name not in new and name in stored:
            new[name] = stored[name]
    return new


def replace_payload(call: Call, stored: Payload, body: Payload) -> Record:
    """Store a body in the place of a resource; what the server owns stays.

    Raises:
        ApiError: the write is refused.
    """
    kind = call.kind
    _guard(kind, stored, writing=True)
    _require_fresh(kind, body, stored)
    new = {**deepcopy(dict(kind.defaults)), **_replacement(kind, deepcopy(stored), body)}
    _require(kind, new)
    _require_unique(call, new, stored[kind.id_field])
    return store_payload(call, stored, new)


def merge_payload(call: Call, stored: Payload, body: Payload) -> Record:
    """Lay the top-level fields of a body over a resource.

    Raises:
        ApiError: the write is refused.
    """
    kind = call.kind
    _guard(kind, stored, writing=True)
    _require_fresh(kind, body, stored)
    new = {**deepcopy(stored), **_writable(kind, body)}
    for path in kind.server_owned:
        keep_dotted(stored, new, path)
    _require_unique(call, new, stored[kind.id_field])
    return store_payload(call, stored, new)


def create_record(call: Call) -> Answer:
    """Create a resource."""
    return _shown(call, create_payload(call, call.object()))


def _addressed(call: Call) -> Record:
    """Find the resource that a write is for: by path, or by the id in the body where the path has none."""
    if call.parameters:
        return _found(call)
    ident = call.object().get(call.kind.id_field)
    if not isinstance(ident, str):
        raise ApiError(400, f"{call.kind.id_field} is required")
    return _found(call, ident)


def replace_record(call: Call) -> Answer:
    """Replace a resource."""
    record = _addressed(call)
    return _shown(call, replace_payload(call, record.payload, call.object()))


def merge_record(call: Call) -> Answer:
    """Merge a body into a resource."""
    record = _addressed(call)
    return _shown(call, merge_payload(call, record.payload, call.object()))


def merge_paths(call: Call) -> Answer:
    """Merge a body whose keys may be deep paths with list indexes."""
    record = _addressed(call)
    kind = call.kind
    new = deepcopy(record.payload)
    for path, value in _writable(kind, call.object()).items():
        try:
            write_indexed(new, path, value)
        except LookupError:
            raise ApiError(400, f"{path} leads nowhere") from None
    for path in kind.server_owned:
        keep_dotted(record.payload, new, path)
    return _shown(call, store_payload(call, record.payload, new))


def put_record(call: Call) -> Answer:
    """Create or replace the resource that the path names."""
    body, kind = call.object(), call.kind
    if body.get(kind.id_field, call.ident) != call.ident:
        raise ApiError(400, f"{kind.id_field} in the body differs from the path")
    body = {**body, kind.id_field: call.ident}
    record = call.organisation.find(kind, call.ident)
    if record is not None:
        return _shown(call, replace_payload(call, record.payload, body))
    _guard(kind, body, writing=True)
    return _shown(call, create_payload(call, body))


def upsert_merge(call: Call) -> Answer:
    """Create the resource that the path names, or merge the body into it."""
    record = call.organisation.find(call.kind, call.ident)
    body = {**call.object(), call.kind.id_field: call.ident}
    if record is None:
        return _shown(call, create_payload(call, body), 201)
    return _shown(call, merge_payload(call, record.payload, body))


def save_record(call: Call) -> Answer:
    """Create a resource, or replace the one whose id the body carries."""
    body = call.object()
    ident = body.get(call.kind.id_field)
    if ident:
        return _shown(call, replace_payload(call, _found(call, ident).payload, body))
    return _shown(call, create_payload(call, body))


def delete_record(call: Call) -> Answer:
    """Delete a resource."""
    record = _found(call)
    require_grant(call, "delete", record.payload[call.kind.id_field])
    _guard(call.kind, record.payload, writing=False)
    del call.organisation.collection(call.kind.store_name)[record.payload[call.kind.id_field]]
    call.note(record.payload)
    return _shown(call, record)


def soft_delete(call: Call) -> Answer:
    """Hide a resource; its id stays taken."""
    record = _found(call)
    require_grant(call, "delete", record.payload[call.kind.id_field])
    _guard(call.kind, record.payload, writing=False)
    call.organisation.put(call.kind, {**record.payload, "deleted_at": now(), "enabled": False})
    call.note(record.payload)
    return _shown(call, record)


# ---------------------------------------------------------------- odd ones


def create_role(call: Call) -> Answer:
    """Create a role; its id follows from the slug."""
    org_id = call.organisation.id
    body = {**call.object(), "organization_id": org_id}
    body["id"] = f"{org_id}:{body.get('slug')}"
    if call.organisation.find(call.kind, body["id"]) is not None:
        raise ApiError(400, f"role {body['id']} exists already")
    _guard(call.kind, body, writing=True)
    return _shown(call, create_payload(call, body))


def create_classification(call: Call) -> Answer:
    """Create a classification; purposes get an id of their own, all others are known by their slug."""
    body = call.object()
    _require(call.kind, body)
    taxonomy = call.organisation.find(KIND_OF["taxonomy"], taxonomy_of(body))
    if taxonomy is None or taxonomy.payload.get("deleted_at"):
        raise ApiError(400, f"taxonomy {taxonomy_of(body)!r} does not exist")
    ident = NEW_ID["uuid"]() if taxonomy_of(body) == "purpose" else body["slug"]
    return _shown(call, create_payload(call, body, ident))


def add_used_by(call: Call) -> Answer:
    """Note where a validation rule is used."""
    record = _found(call)
    used_by = [*(record.payload.get("used_by") or []), call.object()]
    return _shown(call, merge_payload(call, record.payload, {"used_by": used_by}))


def find_mapping(call: Call) -> Answer:
    """Answer the mapping of a source."""
    source = call.object().get("source") or {}
    journey_id = read_dotted(source, "config.journey_id")
    for record in call.organisation.records(call.kind):
        if journey_id and journey_id in find_values(record.payload, "source.config.journey_id"):
            return _shown(call, record)
    raise ApiError(404, "no mapping of this source")


def store_mapping(call: Call) -> Answer:
    """Store a mapping under the wanted id."""
    body = call.object()
    ident = call.query_text("with_id") or body.get("id") or NEW_ID["uuid"]()
    record = call.organisation.find(call.kind, ident)
    body = {**body, "id": ident}
    if record is not None:
        return _shown(call, replace_payload(call, record.payload, body))
    return _shown(call, create_payload(call, body))


def current_organisation(call: Call) -> Answer:
    """Answer the organisation that the token stands for."""
    organisation = call.organisation
    return Answer(200, encode({"id": organisation.id, "name": organisation.name, "type": "Vendor"}))


def current_roles(call: Call) -> Answer:
    """Answer the roles of the user who calls."""
    return Answer(200, encode({"roles": roles_of_caller(call)}))


def blueprint_lineage(call: Call) -> Answer:
    """Answer what a blueprint has made in the organisation."""
    blueprint = _found(call).payload
    entries = blueprint.get("_lineage") or [
        {
            "lineage_id": f"{resource['type']}:{resource['id']}",
            "target_id": resource["id"],
            "resource_type": resource["type"],
            "blueprint_instance_ids": [blueprint["id"]],
            "fidelity": "full",
        }
        for resource in blueprint.get("resources") or ()
    ]
    return Answer(200, encode({"total": len(entries), "entries": entries}))


VERBS: dict[str, Verb] = {
    "list": list_records,
    "list_all": lambda call: list_records(call, Paging("counted", call.kind.paging.items, call.kind.paging.total)),
    "list_bare": partial(list_records, paging=Paging()),
    "search_roles": partial(list_records, paging=Paging("limit_offset", "results", "hits", default=50, in_body=True)),
    "get": get_record,
    "create": create_record,
    "replace": replace_record,
    "merge": merge_record,
    "merge_paths": merge_paths,
    "put": put_record,
    "upsert_merge": upsert_merge,
    "save": save_record,
    "delete": delete_record,
    "soft_delete": soft_delete,
    "search_entities": search_entities,
    "create_role": create_role,
    "create_classification": create_classification,
    "add_used_by": add_used_by,
    "find_mapping": find_mapping,
    "store_mapping": store_mapping,
    "current_organisation": current_organisation,
    "current_roles": current_roles,
    "blueprint_lineage": blueprint_lineage,
}
