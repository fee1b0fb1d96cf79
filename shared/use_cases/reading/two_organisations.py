"""The caller's organisation and another one, both read live: what comparing and suggesting have in common."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field, StrictStr

from shared.domain.errors import CredentialsExpiredError, ForbiddenError, InvalidRequestError
from shared.domain.node_query import resource_type_named
from shared.use_cases.jobs.intake import verified
from shared.use_cases.jobs.request_fields import Id, Token
from shared.use_cases.reading.live_configs import LiveConfigs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from shared.domain.ports.configs import ConfigRepository
    from shared.domain.ports.lineage import LineageRegistry
    from shared.domain.ports.tokens import Tokens
    from shared.domain.resource_type import Catalogue, ResourceType


class OtherOrganisation(BaseModel):
    """The fields by which a request names another organisation; fields that it does not know are ignored."""

    source_org_id: Id
    source_auth_token: Token = Field(repr=False)
    type: StrictStr


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What live reads of two organisations work with.

    Attributes:
        current: the caller's organisation.
        open_other: opens the other one with a verified token, given that and the organisation.
        ends_at: epoch seconds at which reading ends, done or not.
        now: epoch seconds.
    """

    catalogue: Catalogue
    lineage: LineageRegistry
    tokens: Tokens
    current: ConfigRepository
    open_other: Callable[[str, str], ConfigRepository]
    ends_at: float
    now: Callable[[], float]

    def open(self, request: OtherOrganisation) -> tuple[ResourceType, LiveConfigs, LiveConfigs]:
        """Return the type, the caller's configs and the other organisation's, once its token is verified.

        Raises:
            InvalidRequestError: the type is unknown, or the other organisation is the caller's own.
            ForbiddenError: the token does not act for the organisation that is stated.
        """
        resource_type = resource_type_named(self.catalogue, request.type)
        if request.source_org_id == self.current.org_id:
            raise InvalidRequestError("source_org_id: another organisation than that of your token is expected.")
        verified(self.tokens, request.source_auth_token, request.source_org_id, "source_auth_token")
        other = self.open_other(request.source_auth_token, request.source_org_id)
        return resource_type, self._live(self.current), self._live(other)

    def _live(self, repository: ConfigRepository) -> LiveConfigs:
        return LiveConfigs(self.catalogue, repository, self.ends_at, self.now)


@contextmanager
def with_second_token() -> Iterator[None]:
    """Name the second token where a downstream API refuses it, so that nobody takes it for the caller's own.

    Raises:
        ForbiddenError: it is no longer accepted.
    """
    try:
        yield
    except CredentialsExpiredError as error:
        raise ForbiddenError(f"source_auth_token: {error.message}") from error
