"""A small catalogue that has every kind of type an index build knows."""

from __future__ import annotations

from shared.domain.api_operation import ListOperation, Operation
from shared.domain.resource_type import (
    ActiveFlag,
    Fields,
    Form,
    Identity,
    Reference,
    ResourceType,
    UsageMetric,
    UsageSource,
)

_WHERE = {"api": "sample", "host": "sample.example", "operation_id": "x", "method": "GET", "path": "/{id}"}
_GET = Operation(**_WHERE)
_LIST = ListOperation(**_WHERE)


def _fields(**more) -> Fields:
    return Fields(id="id", title=("name",), updated_at="updated_at", manifest="_manifest", tags="tags", **more)


def _type(name: str, **more) -> ResourceType:
    described = {"label": name.title(), "icon": "Box", "source_api": "https://sample.example", "sdk_client": "sample"}
    return ResourceType(**({"name": name, **described, "identity": Identity.SERVER, "get": _GET, "list": _LIST} | more))


#: Its list is a summary.
FORM = _type(
    "form",
    list=ListOperation(**_WHERE, whole=False),
    list_fields=Fields(id="form_id", title=("form_name",)),
    fields=_fields(purposes="purposes", aliases=("slug",)),
    active=ActiveFlag(path="enabled"),
    secrets=("secret",),
    references=(
        Reference(to=("theme",), path="$.theme"),
        Reference(to=("form",), path="$.linked[]"),
        Reference(to=("mapping",), path="$.mapping"),
        Reference(to=("picture",), path="$.picture"),
        Reference(to=("picture",), path="$.html", form=Form.URL),
        Reference(to=("theme",), path="$.theme_name", form=Form.SLUG),
    ),
)
#: Usage stands in no payload.
THEME = _type(
    "theme", fields=_fields(aliases=("key",)), usage=UsageMetric(name="uses", source=UsageSource.ENTITY_COUNT)
)
#: Cannot be listed.
MAPPING = _type(
    "mapping",
    list=None,
    missing={"list": "The API cannot list mappings."},
    collected_from=("form",),
    fields=_fields(),
    references=(Reference(to=("form",), path="$.form"),),
)
#: Indexed only where it is used.
PICTURE = _type("picture", fields=_fields(aliases=("url",)), indexed_when_used=True)
#: Its list shows only what a user may see.
BOARD = _type(
    "board", fields=_fields(), limited_view=True, references=(Reference(to=("theme",), path="$.themes[].id"),)
)

CATALOGUE = {entry.name: entry for entry in (FORM, THEME, MAPPING, PICTURE, BOARD)}
