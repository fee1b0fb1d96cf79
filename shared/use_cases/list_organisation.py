"""List a whole organisation live: what its ids and aliases stand for, and the payloads that were read whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from shared.domain.errors import CredentialsExpiredError, HubError, NotFoundError
from shared.domain.index import MAX_INDEXED_WHEN_USED, identifiers_of, identifying_fields, read_config
from shared.domain.paths import find_value
from shared.domain.references import Identified, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.domain.index import ReadConfig
    from shared.domain.ports import ConfigRepository, Payload
    from shared.domain.resource_type import Catalogue, ResourceType

_TYPES_AT_ONCE = 8


@dataclass(slots=True)
class Listing:
    """What a whole organisation was seen to have.

    Attributes:
        identifiers: id or alias -> what it stands for.
        payloads: type -> id -> payload without secrets, of types that were read whole.
        warnings: types that could not be listed, one sentence each.
    """

    identifiers: dict[str, list[Identified]] = field(default_factory=dict)
    payloads: dict[str, dict[str, Payload]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def list_organisation(catalogue: Catalogue, repository: ConfigRepository, now: float) -> Listing:
    """List every type that can be listed.

    Args:
        catalogue: all resource types.
        repository: the organisation.
        now: epoch seconds.

    Raises:
        CredentialsExpiredError: the token is not accepted.
    """
    fields = identifying_fields(catalogue)
    moment = datetime.fromtimestamp(now, UTC)
    listing = Listing()
    configs: list[ReadConfig] = []

    def read(resource_type: ResourceType) -> None:
        try:
            items = list_type(resource_type, repository)
            is_whole = resource_type.list is not None and resource_type.list.whole
            if not is_whole and fields[resource_type.name]:
                items, is_whole = _details(resource_type, repository, items), True
            configs.extend(_read(resource_type, config_id, item, fields, moment) for config_id, item in items.items())
            if is_whole:
                listing.payloads[resource_type.name] = items
        except CredentialsExpiredError:
            raise
        except HubError as error:
            listing.warnings.append(f"{resource_type.name} could not be listed in the source: {error.message}")

    with ThreadPoolExecutor(_TYPES_AT_ONCE) as pool:
        for done in [pool.submit(read, entry) for entry in catalogue.values() if entry.list is not None]:
            done.result()
    listing.identifiers = identifiers_of(configs)
    return listing


def list_type(
    resource_type: ResourceType,
    repository: ConfigRepository,
    on_page: Callable[[int, bool], None] = lambda _read, _more: None,
) -> dict[str, Payload]:
    """Return id -> list item of a type, without secrets.

    Args:
        resource_type: its type.
        repository: the organisation.
        on_page: called after every page with the number of items so far and whether there are more; what it raises
            ends the list.

    Raises:
        HubError: whatever the list raises.
    """
    path = (resource_type.list_fields or resource_type.fields).id
    items: dict[str, Payload] = {}
    for page in repository.list_pages(resource_type):
        for item in page.items:
            config_id = find_value(item, path)
            if config_id is not None:
                items[str(config_id)] = without_secrets(resource_type, item)
        on_page(len(items), page.resume is not None)
        if resource_type.indexed_when_used and len(items) >= MAX_INDEXED_WHEN_USED:
            break
    return items


def _details(
    resource_type: ResourceType, repository: ConfigRepository, items: Mapping[str, Payload]
) -> dict[str, Payload]:
    details: dict[str, Payload] = {}
    for config_id in items:
        try:
            details[config_id] = without_secrets(resource_type, repository.get_config(resource_type, config_id))
        except NotFoundError:
            continue
    return details


def _read(
    resource_type: ResourceType, config_id: str, item: Payload, fields: Mapping[str, Any], moment: datetime
) -> ReadConfig:
    has_id = find_value(item, resource_type.fields.id) is not None
    payload = item if has_id else {**item, resource_type.fields.id: config_id}
    return read_config(resource_type, payload, None, fields[resource_type.name], moment)
