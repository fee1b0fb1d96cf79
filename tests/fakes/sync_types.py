"""A small catalogue that has every kind of type a sync job knows."""

from __future__ import annotations

from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.resource_type import (
    ActiveFlag,
    Fields,
    Form,
    Identity,
    NaturalKey,
    Reference,
    ResourceType,
    Strength,
)

_WHERE = {"api": "sample", "host": "sample.example", "operation_id": "x", "method": "POST", "path": "/{id}"}
_GET = Operation(**_WHERE)
_LIST = ListOperation(**_WHERE)


def _type(name: str, **more) -> ResourceType:
    described = {"label": name.title(), "icon": "Box", "source_api": "https://sample.example", "sdk_client": "sample"}
    operations = {
        "get": _GET,
        "list": _LIST,
        "create": WriteOperation(**_WHERE, answer_id="id"),
        "update": WriteOperation(**_WHERE, answer_id="id"),
    }
    fields = {"fields": Fields(id="id", title=("name",)), "identity": Identity.SERVER, "strip": ("id", "version")}
    named = {"natural_key": NaturalKey(fields=(("name",),))}
    return ResourceType(**({"name": name, **described, **operations, **fields, **named} | more))


#: Refers to all others, may be in a cycle with itself and with flows, is created inactive where it waits for others.
JOURNEY = _type(
    "journey",
    secrets=("secret",),
    active=ActiveFlag(path="enabled"),
    references=(
        Reference(to=("journey",), path="$.next", deferrable=True),
        Reference(to=("flow",), path="$.flow"),
        Reference(to=("design",), path="$.design", required=True),
        Reference(to=("schema",), path="$.schema", form=Form.SLUG),
        Reference(to=("journey",), path="$.related[]", strength=Strength.SOFT),
        Reference(to=("mapping",), path="$.mapping.id", siblings={"version": "version"}),
        Reference(to=("attachment",), path="$.attachment"),
    ),
)
FLOW = _type("flow", references=(Reference(to=("journey",), path="$.journeys[]", deferrable=True),))
#: Its list is a summary, its update merges.
DESIGN = _type(
    "design",
    list=ListOperation(**_WHERE, whole=False),
    update=WriteOperation(**_WHERE, answer_id="id", merge=True),
)
#: The same slug in every organisation.
SCHEMA = _type(
    "schema",
    fields=Fields(id="slug", title=("name",)),
    identity=Identity.PORTABLE,
    natural_key=None,
    strip=("version",),
    create=WriteOperation(**_WHERE, answer_id="slug", client_id=True),
)
#: Each write bumps its version, to which others refer.
MAPPING = _type(
    "mapping",
    derived_fields=("version",),
    references=(Reference(to=("journey",), path="$.journey", deferrable=True),),
)
#: Copied with its bytes.
ATTACHMENT = _type("attachment", bytes_field="stored")

CATALOGUE = {entry.name: entry for entry in (JOURNEY, FLOW, DESIGN, SCHEMA, MAPPING, ATTACHMENT)}
