"""The caller's organisation and another one in memory, as compare and suggest see them."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.domain.errors import ForbiddenError
from shared.domain.resource_type import Catalogue
from shared.use_cases.reading.two_organisations import Reading
from tests.fakes.api import Clock
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.lineage import FakeLineage

HERE, THERE = "org-a", "org-b"


@dataclass
class _Identity:
    user_id: str = "user-1"
    expires_at: int | None = None


class _Tokens:
    def verify_for_org(self, token: str, org_id: str, field: str = "target_auth_token") -> _Identity:
        if token != f"token-of-{org_id}":
            raise ForbiddenError(f"{field}: another organisation.")
        return _Identity()


@dataclass
class World:
    """What a reading needs."""

    catalogue: Catalogue
    clock: Clock = field(default_factory=Clock)
    here: FakeConfigRepository = field(default_factory=lambda: FakeConfigRepository(HERE))
    there: FakeConfigRepository = field(default_factory=lambda: FakeConfigRepository(THERE))
    lineage: FakeLineage = field(default_factory=FakeLineage)
    ends_at: float = float("inf")

    def reading(self) -> Reading:
        return Reading(
            catalogue=self.catalogue,
            lineage=self.lineage,
            tokens=_Tokens(),
            current=self.here,
            open_other=lambda _token, _org_id: self.there,
            ends_at=self.ends_at,
            now=self.clock,
        )
