"""What a sync remembers beyond fingerprints: what it wrote for each reference, and contents by their hash."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from shared.domain.resource_type import ResourceKey


class WrittenReference(NamedTuple):
    """One reference of a config as it was, or would be, written.

    Attributes:
        referent: the source config that it names.
        value: the identifier on the target with the derived values beside it, as JSON; None where it was left out.
    """

    referent: ResourceKey
    value: str | None


def written_value(identifier: str, siblings: Mapping[str, Any]) -> str:
    """Return the `value` of a reference that is written.

    Args:
        identifier: what names the referent on the target.
        siblings: the derived values beside it, by property.
    """
    return json.dumps([identifier, dict(siblings)], ensure_ascii=False, sort_keys=True)


def references_hash(references: Iterable[WrittenReference]) -> str:
    """Return a SHA-256 over a multiset of references, in hex: equal where every reference would be written as it was.

    Where a reference stands does not count: as long as the source says the same, it stands where it stood.
    """
    texts = sorted(json.dumps([*one.referent, one.value], ensure_ascii=False) for one in references)
    return _digest("\n".join(texts))


def content_hash(org_ids: Iterable[str], content: Any) -> str:
    """Return the key under which a content is remembered, the same in both directions of a pair of organisations.

    Args:
        org_ids: both organisations; equal contents of other organisations have other keys.
        content: any JSON value, canonical.
    """
    return _digest(json.dumps([sorted(org_ids), content], ensure_ascii=False, sort_keys=True, separators=(",", ":")))


def remember(contents: dict[str, Any], org_ids: Iterable[str], content: Any) -> str:
    """Put a content among those to be kept, and return its hash."""
    digest = content_hash(org_ids, content)
    contents[digest] = content
    return digest


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
