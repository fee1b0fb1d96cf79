"""The closure of a job as phase_0 fetched it: how far the crawl is, and what it stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared.domain.plan import SourceConfig
from shared.domain.references import Identified, Identifiers
from shared.domain.resource_type import ResourceKey
from shared.domain.row import RowError
from shared.use_cases.jobs.payloads import source_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from shared.use_cases.jobs.step import StepPorts


@dataclass(slots=True)
class Closure:
    """How far the crawl is.

    Attributes:
        frontier: what is to be fetched.
        known: everything that was ever in the frontier.
        selected: what the request named.
        by_id: what some reference names by an id, or the request named.
        referents: fetched only to resolve references to them: they get no row.
        parts: type -> names of the stored parts. An invocation has names of its own, so none overwrites another.
        tries: how often each could not be read for a passing reason.
        warnings: what could not be looked at, one sentence each.
    """

    frontier: list[ResourceKey] = field(default_factory=list)
    known: set[ResourceKey] = field(default_factory=set)
    selected: set[ResourceKey] = field(default_factory=set)
    by_id: set[ResourceKey] = field(default_factory=set)
    referents: set[ResourceKey] = field(default_factory=set)
    parts: dict[str, list[str]] = field(default_factory=dict)
    tries: dict[ResourceKey, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def types(self) -> list[str]:
        """The types of everything in it."""
        return sorted({key.type for key in self.known})

    def to_json(self) -> dict[str, Any]:
        """Return a JSON object from which `from_json` makes the same value."""
        return {
            **{name: sorted(getattr(self, name)) for name in ("frontier", "known", "selected", "by_id", "referents")},
            "parts": self.parts,
            "tries": [[*key, number] for key, number in self.tries.items()],
            "warnings": self.warnings,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Closure:
        """Return the value that `to_json` was called on."""
        sets = {
            name: {ResourceKey(*key) for key in value[name]} for name in ("known", "selected", "by_id", "referents")
        }
        return cls(
            frontier=[ResourceKey(*key) for key in value["frontier"]],
            parts={kind: list(names) for kind, names in value["parts"].items()},
            tries={ResourceKey(kind, config_id): number for kind, config_id, number in value["tries"]},
            warnings=list(value["warnings"]),
            **sets,
        )


def read_closure(ports: StepPorts, org_id: str, job_id: str) -> Closure:
    """Return how the crawl ended.

    Raises:
        NotFoundError: it has not ended, or its payloads have been dropped.
    """
    return Closure.from_json(ports.payloads.get(source_key(org_id, job_id, "closure")))


def read_sources(
    ports: StepPorts, org_id: str, job_id: str, closure: Closure, types: Iterable[str]
) -> dict[ResourceKey, SourceConfig]:
    """Return what was fetched of the given types, the referents without a row included."""
    found: dict[ResourceKey, SourceConfig] = {}
    for type_name in types:
        for part in closure.parts.get(type_name, ()):
            entries: Sequence[Mapping[str, Any]] = ports.payloads.get(source_key(org_id, job_id, part))
            for entry in entries:
                key = ResourceKey(type_name, entry["id"])
                found[key] = SourceConfig(
                    key=key,
                    payload=entry.get("payload"),
                    title=entry.get("title", ""),
                    error=RowError(*entry["error"]) if "error" in entry else None,
                    selected=key in closure.selected,
                    by_name_only=key not in closure.by_id,
                    overridden="override_fingerprint" in entry,
                    source_fingerprint=entry.get("source_fingerprint", ""),
                    override_fingerprint=entry.get("override_fingerprint", ""),
                )
    return found


def read_identifiers(ports: StepPorts, org_id: str, job_id: str) -> Identifiers:
    """Return the ids and aliases of the source that the job works with.

    Raises:
        NotFoundError: they are not stored yet, or have been dropped.
    """
    return identifiers_from_json(ports.payloads.get(source_key(org_id, job_id, "identifiers")))


def identifiers_from_json(stored: Mapping[str, Any]) -> dict[str, list[Identified]]:
    """Return stored identifiers."""
    return {
        name: [Identified(ResourceKey(kind, config_id), path) for kind, config_id, path in known]
        for name, known in stored.items()
    }


def identifiers_to_json(identifiers: Identifiers) -> dict[str, Any]:
    """Return a JSON object from which `identifiers_from_json` makes the same identifiers."""
    return {name: [[*one.key, one.field] for one in known] for name, known in identifiers.items()}
