"""What the index of an organisation should hold, and what has to be written so that it does."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from shared.domain.config_node import ConfigNode, Edge, summary_of
from shared.domain.references import Identified, Identifiers
from shared.domain.resource_type import ResourceKey

if TYPE_CHECKING:
    from shared.domain.read_config import ReadConfig

# Items outlive a rebuild that does not touch them; one under half of its time is given the whole again.
ITEM_LIFETIME_S = 30 * 86_400
_REFRESH_BELOW_S = 15 * 86_400
#: An identifier that names more configs than this tells none of them apart.
MAX_CONFIGS_PER_IDENTIFIER = 100


# Desired items and what has to be written


class ItemKind:
    """The kinds of index items that a build keeps."""

    NODE = "node"
    EDGE = "edge"
    USED_BY = "used_by"
    IDENTIFIER = "identifier"


#: A kind, then what tells its items apart: node: type, id; edge: from type, from id, to type, to id;
#: used_by: to type, to id, from type, from id; identifier: the value.
ItemKey = tuple[str, ...]
#: JSON attributes of an item.
Content = Mapping[str, Any]


class Partition(NamedTuple):
    """A part of the index that is read and written together.

    Attributes:
        kind: NODE (nodes and forward edges of one type), USED_BY (inverse edges to one type) or IDENTIFIER (all).
        type: the type; empty for identifiers.
    """

    kind: str
    type: str = ""


class StoredItem(NamedTuple):
    """What a build needs to know of an item that the index holds.

    Attributes:
        digest: of its content.
        expires_at: epoch seconds.
        seen_by: user whose build wrote it.
        content: only for identifiers, where types share an item.
    """

    digest: str
    expires_at: int
    seen_by: str = ""
    content: Content | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What has to be written.

    Attributes:
        puts: items that are new, changed or near the end of their lifetime, with content and digest.
        touches: items whose content stays unread and whose lifetime begins anew.
        deletes: items that must go.
        kept: items that stay though the build did not read what they are made of.
    """

    puts: list[tuple[ItemKey, Content, str]] = field(default_factory=list)
    touches: list[ItemKey] = field(default_factory=list)
    deletes: list[ItemKey] = field(default_factory=list)
    kept: list[ItemKey] = field(default_factory=list)

    def __len__(self) -> int:
        """Return how many writes there are."""
        return len(self.puts) + len(self.touches) + len(self.deletes)


def node_items(configs: Iterable[ReadConfig]) -> dict[ItemKey, Content]:
    """Return the node items of configs."""
    return {
        (ItemKind.NODE, *config.key): {
            "summary": summary_of(config.node),
            "usage": config.node.usage,
            "title_folded": config.node.title.casefold(),
            "blueprint_ids": [blueprint.id for blueprint in config.node.blueprints],
            "content_hash": config.content_hash,
        }
        for config in configs
    }


def edge_items(edges: Iterable[Edge]) -> dict[ItemKey, Content]:
    """Return the forward items of edges."""
    return {(ItemKind.EDGE, *edge.source, *edge.target): {"pointers": list(edge.pointers)} for edge in edges}


def used_by_items(edges: Iterable[Edge], nodes: Mapping[ResourceKey, ConfigNode]) -> dict[ItemKey, Content]:
    """Return the inverse items of edges; each carries the summary of the using config."""
    return {
        (ItemKind.USED_BY, *edge.target, *edge.source): {
            "summary": summary_of(nodes[edge.source]),
            "pointers": list(edge.pointers),
        }
        for edge in edges
    }


def identifier_items(identifiers: Identifiers) -> dict[ItemKey, Content]:
    """Return the items by which a config is found from its id or an alias."""
    return {
        (ItemKind.IDENTIFIER, value): {
            "configs": [[*one.key, one.field] for one in identified[:MAX_CONFIGS_PER_IDENTIFIER]]
        }
        for value, identified in identifiers.items()
    }


def identified_in(content: Content) -> list[Identified]:
    """Return what the content of an identifier item says."""
    return [Identified(ResourceKey(type_name, config_id), path) for type_name, config_id, path in content["configs"]]


def owner_of(key: ItemKey) -> ResourceKey | None:
    """Return the config whose payload an item is made of; None for an identifier, which several may share."""
    if key[0] == ItemKind.IDENTIFIER:
        return None
    return ResourceKey(*(key[3:5] if key[0] == ItemKind.USED_BY else key[1:3]))


def plan_changes(
    desired: Mapping[ItemKey, Content],
    stored: Mapping[ItemKey, StoredItem],
    is_kept: Callable[[ResourceKey], bool],
    now: float,
) -> Changes:
    """Compare what a partition should hold with what it holds.

    Args:
        desired: items made of what the build read.
        stored: items that the partition holds.
        is_kept: whether items made of a config stay although the build did not read it.
        now: epoch seconds.
    """
    changes = Changes()
    refresh_below = now + _REFRESH_BELOW_S
    for key, content in desired.items():
        digest = digest_of(content)
        old = stored.get(key)
        if old is None or old.digest != digest or old.expires_at < refresh_below:
            changes.puts.append((key, content, digest))
    for key, old in stored.items():
        if key in desired:
            continue
        owner = owner_of(key)
        if owner is None or not is_kept(owner):
            changes.deletes.append(key)
            continue
        changes.kept.append(key)
        if old.expires_at < refresh_below:
            changes.touches.append(key)
    return changes


def digest_of(value: Any) -> str:
    """Return a hash of a JSON value that does not depend on the order of keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
