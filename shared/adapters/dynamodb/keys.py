"""Build every key of the six tables: percent-encoded parts joined by `#`, the caller's organisation first.

Keys are read back only where `split` says so; every other fact about an item stands in an attribute of its own.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import unquote

from shared.domain.bounds import MAX_ID_BYTES, MAX_IDENTIFIER_BYTES
from shared.domain.errors import InvalidRequestError
from shared.domain.job import JobKind
from shared.domain.resource_type import can_be_id

if TYPE_CHECKING:
    from shared.domain.resource_type import ResourceKey

Key = dict[str, str]

_MAX_TITLE_BYTES = 400

#: Sorts before every digit, so that configs without the value come last in a descending order.
_ABSENT = "-"


def encode(part: str) -> str:
    """Return a key part in which the separator cannot occur."""
    return part.replace("%", "%25").replace("#", "%23")


def join(*parts: str) -> str:
    """Return the parts as one key."""
    return "#".join(encode(part) for part in parts)


def split(key: str) -> tuple[str, ...]:
    """Return the parts that `join` was given."""
    return tuple(unquote(part) for part in key.split("#"))


def config_id(value: str, name: str = "id") -> str:
    """Return an id as key part.

    Raises:
        InvalidRequestError: it can be no id (`can_be_id`).
    """
    if not can_be_id(value):
        raise InvalidRequestError(f"{name}: an id has 1 to {MAX_ID_BYTES} bytes of UTF-8 and no control characters.")
    return encode(value)


def _key(pk: str, sk: str) -> Key:
    return {"pk": pk, "sk": sk}


# IndexTable


def type_partition(org_id: str, type_name: str) -> str:
    """Partition of the nodes and forward edges of one type."""
    return join("ORG", org_id, "TYPE", type_name)


def used_by_partition(org_id: str, type_name: str) -> str:
    """Partition of the inverse edges that lead to configs of one type."""
    return join("ORG", org_id, "USEDBY", type_name)


def identifiers_partition(org_id: str) -> str:
    """Partition of all ids and aliases of an organisation."""
    return join("ORG", org_id, "IDS")


def node(org_id: str, config: ResourceKey) -> Key:
    """Key of a config's summary."""
    return _key(type_partition(org_id, config.type), f"NODE#{config_id(config.id)}")


def edge(org_id: str, source: ResourceKey, target: ResourceKey) -> Key:
    """Key of a forward edge: `source` uses `target`."""
    return _key(
        type_partition(org_id, source.type), f"{edges_prefix(source)}{encode(target.type)}#{config_id(target.id)}"
    )


def edges_prefix(source: ResourceKey) -> str:
    """Beginning of the sort keys of all forward edges of a config."""
    return f"EDGE#{config_id(source.id)}#"


def used_by(org_id: str, target: ResourceKey, source: ResourceKey) -> Key:
    """Key of an inverse edge: `target` is used by `source`."""
    return _key(
        used_by_partition(org_id, target.type), f"{used_by_prefix(target)}{encode(source.type)}#{config_id(source.id)}"
    )


def used_by_prefix(target: ResourceKey) -> str:
    """Beginning of the sort keys of all inverse edges of a config."""
    return f"{config_id(target.id)}#"


def identifier(org_id: str, value: str) -> Key:
    """Key of an id or alias.

    Raises:
        InvalidRequestError: it is empty or over 1,000 bytes.
    """
    encoded = encode(value)
    if not 0 < len(encoded.encode()) <= MAX_IDENTIFIER_BYTES:
        raise InvalidRequestError(f"identifier: 1 to {MAX_IDENTIFIER_BYTES} bytes are expected.")
    return _key(identifiers_partition(org_id), encoded)


def can_be_identifier(value: str) -> bool:
    """Tell whether `identifier` takes a value."""
    try:
        identifier("", value)
    except (InvalidRequestError, UnicodeEncodeError):
        return False
    return True


def index_state(org_id: str) -> Key:
    """Key of an organisation's build state."""
    return _key(join("ORG", org_id, "STATE"), "STATE")


def index_standing(status: str, size: str = "") -> str:
    """Partition of the build states of all organisations that stand alike, in the GSI `by_standing`."""
    return join("INDEXES", status, *([size] if size else []))


def operation_log(org_id: str, job_id: str, seq: int) -> Key:
    """Key of one entry of a job's operation log."""
    return _key(operation_log_partition(org_id, job_id), f"SYNC#{config_id(job_id)}#OP#{seq:010d}")


def operation_log_partition(org_id: str, job_id: str) -> str:
    """Partition of a job's operation log."""
    return join("ORG", org_id, "SYNC", job_id)


def updated_key(updated_at: str | None, value: str) -> str:
    """Sort key of the order by date: ISO 8601 in UTC, then the id; configs without a date sort before all others."""
    return f"{updated_at or _ABSENT}#{config_id(value)}"


def name_key(title: str, value: str) -> str:
    """Sort key of the order by name: the title without case and runs of white space, then the id."""
    folded = " ".join(unicodedata.normalize("NFKC", title).casefold().split())
    cut = folded.encode(errors="replace")[:_MAX_TITLE_BYTES].decode(errors="ignore")
    return f"{cut}\t{config_id(value)}"


def usage_key(usage: float | None, value: str) -> str:
    """Sort key of the order by usage: the number with leading zeros, then the id."""
    return f"{_ABSENT if usage is None else format(max(0.0, usage), '020.3f')}#{config_id(value)}"


# SyncJobsTable


_JOB_SEGMENT = {JobKind.SYNC: "JOB", JobKind.DELETE: "DELETE"}


def job_partition(org_id: str, job_id: str, kind: JobKind = JobKind.SYNC) -> str:
    """Partition of a job, in SyncJobsTable and in SyncResourcesTable."""
    return f"{join('ORG', org_id, _JOB_SEGMENT[kind])}#{config_id(job_id)}"


def job(org_id: str, job_id: str, kind: JobKind = JobKind.SYNC) -> Key:
    """Key of a job's header."""
    return _key(job_partition(org_id, job_id, kind), "JOB")


def jobs_by_created(org_id: str, created_at: str, job_id: str, kind: JobKind = JobKind.SYNC) -> Key:
    """Attributes of a job's header that put it into the list of its kind, newest first."""
    return {"org_key": jobs_partition(org_id, kind), "created_key": join(created_at, job_id)}


def jobs_partition(org_id: str, kind: JobKind = JobKind.SYNC) -> str:
    """Partition of the list of an organisation's jobs of one kind, in the GSI `by_created`."""
    return join("ORG", org_id) if kind is JobKind.SYNC else join("ORG", org_id, _JOB_SEGMENT[kind])


def counts(org_id: str, job_id: str, batch: str, kind: JobKind = JobKind.SYNC) -> Key:
    """Key of the counters that one batch keeps."""
    return _key(job_partition(org_id, job_id, kind), join("COUNTS", batch))


COUNTS_PREFIX = "COUNTS#"


def sequence(org_id: str, job_id: str, kind: JobKind = JobKind.SYNC) -> Key:
    """Key of the counter from which blocks of `seq` are taken."""
    return _key(job_partition(org_id, job_id, kind), "SEQ")


def running_slot(target_org: str, number: int) -> Key:
    """Key of one of the places for jobs that run into an organisation at the same time."""
    return _key(join("ORG", target_org, "RUNNING"), join("SLOT", str(number)))


def caller_slot(org_id: str, number: int) -> Key:
    """Key of one of the places for jobs that an organisation has asked for and that run at the same time."""
    return _key(join("ORG", org_id, "RUNNING"), join("CALLER", str(number)))


def service_slot(number: int) -> Key:
    """Key of one of the places for all jobs that run at the same time; no request reaches its partition."""
    return _key(join("RUNNING", "SLOTS"), join("SLOT", str(number)))


def running_jobs_partition(kind: JobKind) -> str:
    """Partition of the marks of all running jobs of one kind, whatever their organisation; no request reaches it."""
    return join("RUNNING", kind)


def running_job(org_id: str, job_id: str, kind: JobKind = JobKind.SYNC) -> Key:
    """Key of the mark of a running job."""
    return _key(running_jobs_partition(kind), f"{join(org_id)}#{config_id(job_id)}")


def rate_budget(host: str, org_id: str) -> Key:
    """Key of the token bucket of one downstream host and organisation."""
    return _key(join("BUDGET", host, org_id), "BUDGET")


# SyncResourcesTable


def row(org_id: str, job_id: str, config: ResourceKey, kind: JobKind = JobKind.SYNC) -> Key:
    """Key of one row of a job."""
    return _key(job_partition(org_id, job_id, kind), f"{encode(config.type)}#{config_id(config.id)}")


def status_key(status: str, config: ResourceKey) -> str:
    """Sort key of a row in the GSI `by_status`."""
    return f"{join(status, config.type)}#{config_id(config.id)}"


# LineageTable


def lineage_partition(target_org: str) -> str:
    """Partition of everything that was synced into an organisation."""
    return join("ORG", target_org)


def lineage(target_org: str, source: ResourceKey, source_org: str) -> Key:
    """Key of the entry of one source config."""
    return _lineage_key(target_org, "SOURCE", source, source_org)


def lineage_target(target_org: str, target: ResourceKey, source_org: str) -> Key:
    """Key of the item that makes a target config unique per source organisation."""
    return _lineage_key(target_org, "TARGET", target, source_org)


#: Beginning of the sort keys of all claims on source configs.
CLAIM_PREFIX = "CLAIM#"


def claim(target_org: str, source: ResourceKey, source_org: str) -> Key:
    """Key of the claim that a job holds on a source config until its lineage is recorded."""
    return _lineage_key(target_org, "CLAIM", source, source_org)


def target_claim(target_org: str, target: ResourceKey) -> Key:
    """Key of the item of a target config that says which job writes it now (its claim), and which wrote it last."""
    return _key(lineage_partition(target_org), f"{join('CLAIM-TARGET', target.type)}#{config_id(target.id)}")


def lineage_prefix(kind: str, config: ResourceKey) -> str:
    """Beginning of the sort keys of SOURCE, TARGET or CLAIM items of one config, over all source organisations."""
    return f"{join(kind, config.type)}#{config_id(config.id)}#"


def lineage_sources_prefix(type_name: str | None = None) -> str:
    """Beginning of the sort keys of the entries of one type, or of all."""
    return f"{join('SOURCE', type_name)}#" if type_name is not None else "SOURCE#"


def _lineage_key(target_org: str, kind: str, config: ResourceKey, source_org: str) -> Key:
    return _key(lineage_partition(target_org), f"{lineage_prefix(kind, config)}{config_id(source_org, 'org_id')}")


# MemoryTable


def memory(digest: str) -> Key:
    """Key of a content that is remembered under its hash."""
    return _key(join("MEMORY", digest), "CONTENT")


def before(org_id: str, root_job: str, config: ResourceKey) -> Key:
    """Key of what the target of a source config was before a chain of retries, whose first job is given, wrote it."""
    return _key(f"{join('BEFORE', org_id, root_job, config.type)}#{config_id(config.id)}", "BEFORE")


# CredentialsTable


def credentials(run_id: str, role: str) -> Key:
    """Key of one token of a run."""
    return _key(join("RUN", run_id), encode(role))
