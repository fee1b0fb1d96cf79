"""Fields that requests share: ids, tokens, selections of resources."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, StrictStr

from shared.domain.bounds import MAX_ID_BYTES, MAX_TOKEN_BYTES
from shared.domain.errors import InvalidRequestError
from shared.domain.resource_type import ResourceKey

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence


MAX_RESOURCES = 1000


def _id(value: str) -> str:
    if not 1 <= len(value.encode(errors="replace")) <= MAX_ID_BYTES:
        raise ValueError(f"1 to {MAX_ID_BYTES} bytes are expected")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise ValueError("control characters are not allowed")
    return value


def _token(value: str) -> str:
    if not 1 <= len(value.encode(errors="replace")) <= MAX_TOKEN_BYTES:
        raise ValueError(f"a token of 1 to {MAX_TOKEN_BYTES:,} bytes is expected")
    return value


Id = Annotated[StrictStr, AfterValidator(_id)]
Token = Annotated[StrictStr, AfterValidator(_token)]


class ResourceSelection(BaseModel):
    """One resource that the request names."""

    type: StrictStr
    id: Id


def selected(resources: Sequence[ResourceSelection], known_types: Collection[str]) -> list[ResourceKey]:
    """Return what a request names, each resource once.

    Raises:
        InvalidRequestError: a type is unknown.
    """
    for index, one in enumerate(resources):
        if one.type not in known_types:
            raise InvalidRequestError(f"resources[{index}].type: one of {', '.join(sorted(known_types))} is expected.")
    return list(dict.fromkeys(ResourceKey(one.type, one.id) for one in resources))
