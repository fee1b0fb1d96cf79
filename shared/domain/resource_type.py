"""The vocabulary in which a resource type is declared: one value says all that the hub knows about a type.

A 34th type is one more `ResourceType` in `shared/catalog/`. Listing, paging, indexing, references, planning, writing
and the population tests follow from it; what an API does in its own way is a named strategy that the entry chooses.

Paths. `$` is the payload that `get` returns, unwrapped. A path is dotted: `settings.designId`; `[]` is any array item,
`{*}` any key of an object, `{key}` the key itself is the value, `**` any depth (as the last segment: any string below).
A field path (`Fields`, `strip`, `natural_key`) is the same without the leading `$.`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple
from unicodedata import category

from shared.domain.bounds import MAX_ID_BYTES
from shared.domain.immutable import EMPTY

if TYPE_CHECKING:
    from shared.domain.api_operation import ListOperation, Operation, WriteOperation


# A partition key of DynamoDB ends at 2,048 bytes and a sort key at 1,024. A sort key holds at most two ids, and `%` and
# `#` take three bytes there.
# https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
MAX_ENCODED_ID_BYTES = 480


def can_be_id(value: str) -> bool:
    """Tell whether a value can be the id of a config: 1 to 256 bytes of UTF-8 (480 encoded), no control character."""
    if value.isascii() and value.isprintable() and 0 < 3 * len(value) <= MAX_ID_BYTES:
        return True
    size = len(value.encode(errors="replace"))
    if not 0 < size <= MAX_ID_BYTES or size + 2 * (value.count("%") + value.count("#")) > MAX_ENCODED_ID_BYTES:
        return False
    return not any(category(character) in ("Cc", "Cs") for character in value)


def claimed_id(value: str) -> str:
    """Return the id that a value claims; a value that can be no id is cut and marked, so that no config has it."""
    return value if can_be_id(value) else "".join(filter(str.isprintable, value[:60])) + "…"


class ResourceKey(NamedTuple):
    """One configuration: its type and its id in the organisation that is spoken of."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}:{self.id}"


class Form(StrEnum):
    """How a value names another configuration."""

    ID = "id"  # the whole string is the id
    PREFIXED_ID = "prefixed_id"  # a fixed prefix, then the id: group_<id>
    ROLE_ID = "role_id"  # <org id>:<slug>
    URL = "url"  # an id or a public URL inside a longer string
    CONTENT = "content"  # another field of the referent, such as the storage key of a file
    SLUG = "slug"  # the same identifier in every organisation
    SLUG_PREFIX = "slug_prefix"  # the slug is the part before the first colon
    KEY = "key"  # like slug, for variables
    NAME = "name"  # the other's name, compared as text
    HANDLEBARS = "handlebars"  # {{key}} or {{~~key}} inside any string
    ENV_TEMPLATE = "env_template"  # {{ env.key }} inside any string


#: Forms whose value is the same in every organisation: only existence matters, nothing is rewritten.
PORTABLE_FORMS = frozenset({Form.SLUG, Form.SLUG_PREFIX, Form.KEY, Form.NAME, Form.HANDLEBARS, Form.ENV_TEMPLATE})
#: Forms that are searched for inside strings and count only where the identifier is known.
TEXT_FORMS = frozenset({Form.URL, Form.HANDLEBARS, Form.ENV_TEMPLATE})


class Strength(StrEnum):
    """What it means for the referring config when the referent is not there."""

    HARD = "hard"  # the referring config cannot work without it
    SOFT = "soft"  # may be left out, with a warning
    BACK_REFERENCE = "backref"  # bookkeeping of the API: neither followed nor copied


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """A place in a payload that names another configuration.

    Attributes:
        to: the types it may lead to, the likeliest first.
        path: where, from `$`.
        form: how the value names the referent.
        strength: what its absence means.
        field: the field of the referent that the value equals; `id` unless the form is CONTENT or URL of a file.
        prefix: the fixed prefix of PREFIXED_ID.
        siblings: properties beside the value that must agree with the target's referent, each with the referent's field
            they are read from (`{"version": "version"}`): derived values, known only after the referent is written.
        when: (property, value) of the nearest enclosing object that has the property; elsewhere the value is no
            reference.
        required: create refuses a payload without it, so it is never deferred nor left out.
        deferrable: the first choice when a cycle has to be broken.
        unit: what is removed when the referent is missing: 0 the value itself, 1 the object
            or array item that holds it. A soft portable value is never left out: it means the same everywhere and may
            come to mean something later.
        evidence: D in the definition, P public material, I inferred.
        assumption: where the source of facts is silent, what we assume.
    """

    to: tuple[str, ...]
    path: str
    form: Form = Form.ID
    strength: Strength = Strength.HARD
    field: str = "id"
    prefix: str = ""
    siblings: Mapping[str, str] = EMPTY
    when: tuple[str, str] | None = None
    required: bool = False
    deferrable: bool = False
    unit: int = 0
    evidence: str = "D"
    assumption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Where the summary fields of a config stand in a payload (or in a list item). Empty: the API has none.

    `title` holds alternatives: the first that has a value counts. Of several values at a path with `[]` the first
    counts, of `updated_at` the latest.
    """

    id: str
    title: tuple[str, ...]
    created_at: str = ""
    updated_at: str = ""
    updated_by: str = ""
    tags: str = ""
    purposes: str = ""
    manifest: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveFlag:
    """The field that says whether a config is in use.

    Attributes:
        path: field path.
        active: the value that means in use (`None`: any value but `inactive`).
        inactive: the value that means not in use.
        settable: a config can be created inactive and activated later by this field.
        expiry: the field is a point in time after which the config is inactive.
    """

    path: str
    active: Any = True
    inactive: Any = False
    settable: bool = True
    expiry: bool = False

    def is_active(self, value: Any) -> bool:
        """Tell whether a value of the field means in use."""
        return bool(value == self.active if self.active is not None else value != self.inactive)


class Identity(StrEnum):
    """Where the id of a config comes from."""

    SERVER = "server"  # assigned by the API: differs per organisation
    CLIENT = "client"  # chosen by whoever creates it
    PORTABLE = "portable"  # slug, key or app id: the same in every organisation
    ORG_PREFIXED = "org_prefixed"  # <org id>:<slug>


#: Identities whose id tells by itself which config of another organisation is meant.
PORTABLE_IDENTITIES = frozenset({Identity.PORTABLE, Identity.ORG_PREFIXED})


@dataclass(frozen=True, slots=True, kw_only=True)
class NaturalKey:
    """The fields by which a person would say that two configs are the same.

    Attributes:
        fields: alternatives, each a tuple of field paths compared together; the first whose values are all present
            counts.
        strong: unique by contract; a weak match says so in its event.
        assumption: where the source of facts is silent, what we assume.
    """

    fields: tuple[tuple[str, ...], ...]
    strong: bool = False
    assumption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemManaged:
    """A kind of config that the platform owns: matched, never created, changed or deleted by a job.

    Attributes:
        path: field path to look at.
        values: the values that mark it; empty means any value that is neither absent, null nor false.
        prefix: the value begins with it.
        update_allowed: it exists everywhere and may be updated, but never created or deleted (built-in schemas).
        foreign_org: marked when the value is another organisation than the config's own.
        reason: for the row's event.
    """

    path: str
    reason: str
    values: tuple[Any, ...] = ()
    prefix: str = ""
    update_allowed: bool = False
    foreign_org: bool = False


class UsageSource(StrEnum):
    """How the usage metric of a type is read."""

    FIELD = "field"  # a number in the payload
    LENGTH = "length"  # the length of an array or object in the payload
    SUM = "sum"  # the sum of the numbers in an object in the payload
    ENTITY_COUNT = "entity_count"  # number of entities of the config's slug
    ASSIGNMENTS = "assignments"  # number of role assignments


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageMetric:
    """The number by which `sort=usage` orders a type, kept as `metadata.<name>` of the node."""

    name: str
    source: UsageSource
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceType:
    """All that the hub knows about one of its resource types.

    Attributes:
        name: the contract's identifier.
        label, icon: for people.
        source_api, sdk_client: the contract's own table (it differs from the server for some types).
        list, get, create, update, delete: None where the API has no such operation; `missing` then says why.
        collected_from: types whose references name the configs of this type, where it has no list.
        missing: operation name -> one sentence why there is none and what follows.
        fields, list_fields: in the payload, and in list items where those differ.
        active: the active flag, if any.
        identity: where ids come from.
        natural_key: None where nothing but the id identifies a config.
        references: typed references, in every form.
        external: what the payload refers to outside of the resource types, as field paths; kept as it is and reported.
        strip: field paths removed before writing (server-assigned).
        external_strip: field paths with values of the source organisation that cannot be carried over (users, domains);
            values that `references` can remap stay.
        keep_only: where set, the only properties that are sent.
        drop_without: path -> property; an array item or an object there that lacks the property is not sent.
        keep_target: field paths, without wildcards, whose value on the target stays on an update. The source's own
            value is stripped, so a create sends none.
        secrets: field paths removed before a payload leaves memory; on an update the target's own stay. A text that
            says nothing but templates (`{{ env.key }}`), a scheme such as `Bearer` in front of them or not, is no
            secret and stays. Of headers and parameters, at paths that end in `{*}`, or in `[].value` beside a `key`,
            those stay, too, whose names plainly say that they are no credentials.
        secrets_sent_back: those of `secrets` that the API shows in clear and that a replacing update without them
            would lose: it sends the target's own.
        secret_note: what a person must set by hand afterwards.
        system_managed: kinds that the platform owns.
        skip_sync: reason why a job never writes this type; empty for all others.
        never_overwrite: what exists on the target is never changed.
        derived_fields: fields of a written config that others refer to and only the target knows.
        sets: field paths of arrays whose order means nothing.
        stringified: field paths of strings that hold JSON.
        bytes_field: field path of the stored content of a file, copied with its bytes; empty for all others.
        bytes_size: field path of how many bytes that content has.
        usage: the usage metric, if the API gives one.
        limited_view: the list shows only what the calling user may see.
        indexed_when_used: index a config only where it has a manifest or an indexed config refers to it.
        deletable: whether the hub's delete job takes it; undeletable_reason otherwise.
        delete_guards: kinds that a delete job leaves alone, beside those that the platform owns.
        link: deep link into the app, `{id}` filled in; empty where no public route is known.
        assumptions: what the source of facts leaves open and we settled, one sentence each.
    """

    name: str
    label: str
    icon: str
    source_api: str
    sdk_client: str
    fields: Fields
    identity: Identity
    list: ListOperation | None = None
    get: Operation | None = None
    create: WriteOperation | None = None
    update: WriteOperation | None = None
    delete: Operation | None = None
    missing: Mapping[str, str] = EMPTY
    collected_from: tuple[str, ...] = ()
    list_fields: Fields | None = None
    active: ActiveFlag | None = None
    natural_key: NaturalKey | None = None
    references: tuple[Reference, ...] = ()
    external: tuple[str, ...] = ()
    strip: tuple[str, ...] = ()
    external_strip: tuple[str, ...] = ()
    keep_only: tuple[str, ...] = ()
    drop_without: Mapping[str, str] = EMPTY
    keep_target: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    secrets_sent_back: tuple[str, ...] = ()
    secret_note: str = ""
    system_managed: tuple[SystemManaged, ...] = ()
    skip_sync: str = ""
    never_overwrite: bool = False
    derived_fields: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    stringified: tuple[str, ...] = ()
    bytes_field: str = ""
    bytes_size: str = ""
    usage: UsageMetric | None = None
    limited_view: bool = False
    indexed_when_used: bool = False
    deletable: bool = True
    undeletable_reason: str = ""
    delete_guards: tuple[SystemManaged, ...] = ()
    link: str = ""
    assumptions: tuple[str, ...] = field(default=())

    @property
    def listed_fields(self) -> Fields:
        """Where an item of its list has what."""
        return self.list_fields or self.fields

    @property
    def lists_whole(self) -> bool:
        """Its list shows whole configs, so none has to be read by itself."""
        return self.list is not None and self.list.whole


Catalogue = Mapping[str, ResourceType]
