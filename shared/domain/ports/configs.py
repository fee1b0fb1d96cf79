"""The configs of an organisation, as its downstream APIs give and take them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from shared.domain.config_node import Blueprint
    from shared.domain.resource_type import ResourceKey, ResourceType


Payload = dict[str, Any]


class ConfigPage(NamedTuple):
    """One page of a list.

    Attributes:
        items: the items as the API returns them (whole payloads only where the type's list says so).
        resume: a JSON value that continues the list behind this page; None: this is the last page.
    """

    items: list[Payload]
    resume: Any | None


class WrittenConfig(NamedTuple):
    """What a create or update answered.

    Attributes:
        id: of the config.
        payload: what it became, where the API returns it.
        unanswered: an update was sent before this one that had no answer: it may still be done, late.
        outlived: the API was seen to work on behind that one.
    """

    id: str
    payload: Payload | None
    unanswered: bool = False
    outlived: bool = False


class ConfigRepository(Protocol):
    """The configs of one organisation, through its downstream APIs.

    Every method raises CredentialsExpiredError (401), DownstreamThrottledError, DownstreamUnavailableError and
    DownstreamRejectedError; OperationUnsupportedError where the type's API has no such operation.
    """

    org_id: str

    def list_pages(self, resource_type: ResourceType, resume: Any | None = None) -> Iterator[ConfigPage]:
        """Yield the pages of a list, all variants in turn, behind `resume` where given.

        Raises:
            OperationUnsupportedError: the API has no list of this type.
            HubError: whatever a call raises.
        """
        ...

    def get_config(self, resource_type: ResourceType, config_id: str) -> Payload:
        """Return one payload, unwrapped; secrets are still in it.

        Raises:
            NotFoundError: there is none with this id.
            OperationUnsupportedError: the API can neither get nor list this type.
            HubError: whatever a call raises.
        """
        ...

    def create_config(
        self, resource_type: ResourceType, payload: Payload, config_id: str | None = None, content: bytes | None = None
    ) -> WrittenConfig:
        """Create a config from a payload that is ready to send.

        Args:
            resource_type: its type.
            payload: body without server-assigned fields.
            config_id: the id, where the client chooses it.
            content: bytes of the file, for types with a `bytes_field`.

        Raises:
            UnknownOutcomeError: the request left, but no answer came, or one without an id.
            OperationUnsupportedError: the API cannot create this type.
            HubError: whatever a call raises.
        """
        ...

    def update_config(
        self, resource_type: ResourceType, config_id: str, payload: Payload, content: bytes | None = None
    ) -> WrittenConfig:
        """Update a config; merge or replace is the operation's own semantics.

        Raises:
            NotFoundError: there is none with this id.
            UnknownOutcomeError: the request left, but no answer came.
            OperationUnsupportedError: the API cannot update this type.
            HubError: whatever a call raises.
        """
        ...

    def delete_config(self, resource_type: ResourceType, config_id: str) -> None:
        """Delete a config.

        Raises:
            NotFoundError: there is none with this id.
            OperationUnsupportedError: the API cannot delete this type.
            HubError: whatever a call raises.
        """
        ...

    def read_content(self, resource_type: ResourceType, config_id: str) -> bytes:
        """Return the bytes of a file, for types with a `bytes_field`.

        Raises:
            NotFoundError: there is no such file.
            OperationUnsupportedError: the type has no bytes.
            HubError: whatever a call raises.
        """
        ...

    def count_usage(self, resource_type: ResourceType, config_ids: Sequence[str]) -> Mapping[str, float]:
        """Return the usage metric per id for metrics that no payload carries; empty for all others.

        Raises:
            HubError: whatever a call raises.
        """
        ...

    def list_own_grants(self) -> Sequence[Mapping[str, Any]]:
        """Return the grants of all roles that the token's user has.

        Raises:
            HubError: whatever a call raises.
        """
        ...

    def list_blueprint_members(self) -> Iterable[tuple[Blueprint, Sequence[ResourceKey]]]:
        """Yield each blueprint of the organisation with the configs that its lineage and resources name.

        Types are named as the blueprint API names them; some are none of ours.

        Raises:
            HubError: whatever a call raises.
        """
        ...
