"""The vocabulary in which a downstream resource kind is declared."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Paging:
    """How a list is cut into pages.

    Attributes:
        family: a name in ``paging.PAGINATORS``.
        items: key of the items in the answer; None for a bare array.
        total: key of the total in the answer.
        default: page size when the caller names none; None means everything.
        maximum: largest page size, where the API states one.
        clamps: whether a larger size is lowered to the maximum instead of refused.
        in_body: whether the page is asked for in the request body instead of the query.
    """

    family: str = "unpaged"
    items: str | None = None
    total: str | None = None
    default: int | None = None
    maximum: int | None = None
    clamps: bool = False
    in_body: bool = False


@dataclass(frozen=True, slots=True)
class HardReference:
    """A typed place that must name something which exists in the same organisation.

    Attributes:
        path: a path expression (see ``paths``).
        to: the kinds it may name.
        form: a name in ``references.FORMS``.
    """

    path: str
    to: tuple[str, ...]
    form: str = "id"


@dataclass(frozen=True, slots=True)
class Kind:
    """One downstream resource kind.

    Attributes:
        type: the hub's name of the type.
        api: file stem of the published definition.
        operations: operation id -> name in ``operations.VERBS``.
        id_field: the payload field that identifies a resource.
        new_id: a name in ``identifiers.NEW_ID``, or None where the client chooses the id.
        alias: another field by whose value the API finds a resource as well.
        id_parameter: the path parameter that carries the id; None means the only one.
        collection: where records are kept; kinds that share one are told apart by ``only``.
        only: (field, value, whether it must be equal) of the records that are of this kind.
        body_key: the key that wraps a resource in a request body.
        required: fields without which a create is refused.
        read_only: dotted fields that the server owns: ignored in a body, kept on a write.
        refused: dotted fields that a body must not carry at all.
        keep_if_absent: fields that a replacing write leaves alone when the body omits them.
        defaults: what the server fills in on create.
        on_create, on_write: field -> name in ``stamps.STAMPS``.
        sets: array fields without an order of their own: stored sorted, without duplicates.
        title: fields from which an entity's ``_title`` is made, first one wins.
        references: what must exist.
        dead_reference_status: the status of the refusal when it does not.
        dead_reference_codes: kind that a dead reference names -> error code of the refusal.
        effects: names in ``effects.EFFECTS``, run in this order on every write.
        after: names in ``effects.AFTER``, run once the resource is stored.
        guards: names in ``effects.GUARDS`` that can refuse a write or a delete.
        filters: names in ``filters.FILTERS`` that a list applies.
        paging: how lists are cut.
        view: name in ``views.VIEWS`` of an answer.
        views: operation id -> name in ``views.VIEWS`` where it differs.
        whole_flag: the query flag that makes a list of summaries answer whole resources.
        stale_field: the timestamp that makes a write stale when the body carries an older one.
        unique: the field whose value must be unique in the organisation.
    """

    type: str
    api: str
    operations: Mapping[str, str]
    id_field: str = "id"
    new_id: str | None = "uuid"
    alias: str | None = None
    id_parameter: str | None = None
    collection: str = ""
    only: tuple[str, str, bool] | None = None
    body_key: str | None = None
    required: tuple[str, ...] = ()
    read_only: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    keep_if_absent: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    on_create: Mapping[str, str] = field(default_factory=dict)
    on_write: Mapping[str, str] = field(default_factory=dict)
    sets: tuple[str, ...] = ()
    title: tuple[str, ...] = ()
    references: tuple[HardReference, ...] = ()
    dead_reference_status: int = 400
    dead_reference_codes: Mapping[str, str] = field(default_factory=dict)
    effects: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    paging: Paging = Paging()
    view: str = "payload"
    views: Mapping[str, str] = field(default_factory=dict)
    whole_flag: str | None = None
    stale_field: str | None = None
    unique: str | None = None

    @property
    def store_name(self) -> str:
        """The collection that holds the records."""
        return self.collection or self.type

    @property
    def server_owned(self) -> tuple[str, ...]:
        """Every dotted field that a body cannot set."""
        chosen_by_client = () if self.new_id is None else (self.id_field,)
        return tuple(dict.fromkeys((*chosen_by_client, *self.on_create, *self.on_write, *self.read_only)))
