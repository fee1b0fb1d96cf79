"""The OpenAPI definition: routes from template.yaml, request bodies from the code's models, answers as declared here.

In the declarations, `!` behind a name means that it is always there, `+` in front that the published definition of the
API does not have it; a type that begins with a capital letter is a schema of its own, `[type]` a list,
`type?` may be null.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.comparison import Change
from shared.domain.job import DELETE_STATUSES, SYNC_STATUSES, JobStatus
from shared.domain.node_query import SORT_ORDERS
from shared.domain.row import MAX_ERRORS_SAMPLE, Phase
from shared.use_cases.confirm_lineage import ConfirmLineageRequest
from shared.use_cases.create_delete_job import DeleteJobRequest
from shared.use_cases.create_sync_job import SyncJobRequest
from shared.use_cases.reading.two_organisations import OtherOrganisation
from shared.use_cases.retry_sync_job import RetryRequest
from shared.use_cases.suggest_matches import SuggestMatchesRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import BaseModel

Json = dict[str, Any]
_TEMPLATE = Path(__file__).parent.parent / "template.yaml"
#: Marks what the published definition does not have.
EXTENSION = "x-configuration-hub-extension"

ABOUT = """One list of every configuration of an organisation, what uses what, and jobs that copy a selection into
another organisation or delete it.

Every call needs a bearer token; the organisation that it acts for is the one in the token. An error is always
`{"status": <number>, "error": "<one sentence>"}`. Lists are paged: pass `next_cursor` of a page as `cursor`, with all
other parameters as they were; a page may be short although another follows. Times are ISO 8601 in UTC. Ids are opaque
strings of up to 256 bytes and must be percent-encoded in paths.

What is marked `x-configuration-hub-extension` is an addition of this service: clients of the published API can ignore
it."""

ENUMS: Mapping[str, tuple[str, Iterable[str]]] = {
    "ResourceType": ("Name of a type of configuration.", RESOURCE_TYPES),
    "SyncJobStatus": ("Where a sync job is; the last four are final.", JobStatus),
    "SyncDirection": ("`push`: the caller's organisation is the source; `pull`: it is the target.", ("push", "pull")),
    "SyncPhase": (
        (
            "phase_0 reads and plans, phase_a creates and patches, phase_a5 settles what only the target knows, phase_b"
            " patches references that had to wait, finalize activates and verifies."
        ),
        Phase,
    ),
    "SyncJobResourceStatus": ("What became of a resource; `would_…` in a dry run.", SYNC_STATUSES),
    "DeleteJobStatus": ("Where a delete job is; the last four are final.", JobStatus),
    "DeleteJobResourceStatus": (
        "What became of a resource; one that was gone already counts as deleted.",
        DELETE_STATUSES,
    ),
}

_FACTS = {
    "last_built_at": ("date-time", "When the last successful build ended."),
    "total_items": ("integer", "How many configurations the index holds."),
    "build_duration_ms": ("integer", "How long the last successful build took."),
}
_MORE_FACTS = {
    "+failures": ("object", "By type, why it could not be read."),
    "+skipped_types": ("[SkippedType]", "Types without a complete list, with the reason."),
    "+totals": ("object", "Configurations by type."),
    "+capped_types": ("object", "Types of which only so many are indexed."),
}
_PAGED = {"next_cursor": ("string", "Leads to the next page; absent on the last one.")}
_HEAD = {
    "type!": ("ResourceType", "The type that was asked for."),
    "label!": ("string", "Its name for people."),
    "icon!": ("string", "Its icon."),
}

#: name -> (description, properties)
SCHEMAS: Mapping[str, tuple[str, Mapping[str, tuple[str, str]]]] = {
    "ErrorResponse": (
        "Every error.",
        {"status!": ("integer", "The HTTP status."), "error!": ("string", "What is wrong, in one sentence.")},
    ),
    "ConfigTypeInfo": (
        "A type of configuration.",
        {
            "type!": ("ResourceType", "Its name."),
            "label!": ("string", "Its name for people."),
            "icon!": ("string", "Icon to show with it."),
            "source_api!": ("string", "Base URL of the API that owns it."),
            "sdk_client!": ("string", "Client package of that API."),
            "deletable!": ("boolean", "Whether a delete job takes it."),
        },
    ),
    "+ConfigTypeList": ("All types.", {"results!": ("[ConfigTypeInfo]", "In a fixed order.")}),
    "+Blueprint": (
        "A blueprint that a configuration belongs to.",
        {"id!": ("string", "Id."), "title!": ("string", "Title.")},
    ),
    "ConfigNode": (
        "Summary of a configuration; what its API does not tell is left out.",
        {
            "type!": ("ResourceType", "Its type."),
            "id!": ("string", "Its id."),
            "title!": ("string", "Its title."),
            "updated_at": ("date-time", "Last change."),
            "updated_by": ("string", "Who changed it last."),
            "tags": ("[string]", "Tags."),
            "aliases": ("[string]", "Other identifiers by which configurations refer to it."),
            "purposes": ("[string]", "Ids of its purposes."),
            "link": ("uri", "Where to open it in the application."),
            "active": ("boolean", "Whether it is in use."),
            "blueprints": ("[Blueprint]", "The blueprints that name it."),
            "metadata": ("object", "What else its type tells, such as a usage number."),
            "+pointers": ("[string]", "JSON pointers of the places in the payload that hold the reference."),
        },
    ),
    "ConfigListResponse": (
        "A page of the configurations of one type.",
        {
            **_HEAD,
            "total": ("integer", "How many there are; left out where a filter is set."),
            **_PAGED,
            "results!": ("[ConfigNode]", "The page."),
        },
    ),
    "ConfigDependenciesResponse": (
        "A page of configurations at the other end of references.",
        {"total": ("integer", "How many there are."), **_PAGED, "results!": ("[ConfigNode]", "The page.")},
    ),
    "IndexStatusResponse": (
        "State of the organisation's index.",
        {
            "status!": ("missing|building|ready|failed", "`missing` before the first build and a week after the last."),
            "org_id": ("string", "The organisation."),
            **_FACTS,
            "+failed_types": ("[string]", "Types that could not be read; what was known of them stays."),
            **_MORE_FACTS,
            "+error": ("string", "Why the latest build failed."),
        },
    ),
    "IndexRebuildResponse": (
        "What became of the wish for a rebuild.",
        {
            "status!": ("ready|building|failed|already_building", "`already_building` within 10 s of the last start."),
            **_FACTS,
            "failed_types": ("[string]", "Types that the last build could not read."),
            **_MORE_FACTS,
        },
    ),
    "SyncJobCounts": (
        "Resources by what became of them; `total` is their sum.",
        {
            "total!": ("integer", "All."),
            "pending!": ("integer", "Not reached."),
            "in_progress!": ("integer", "Begun: something is left to do."),
            "succeeded!": ("integer", "Created or patched; in a dry run, would be."),
            "failed!": ("integer", "Failed; each row says why."),
            "skipped_unchanged!": ("integer", "Left as it was: equal already, protected, or there by name."),
        },
    ),
    "SyncJobBatch": (
        "How far the running phase is.",
        {
            "index!": ("integer", "Batch that is worked on."),
            "of!": ("integer", "How many batches there are."),
            "level!": ("integer", "Topological generation."),
        },
    ),
    "SyncJobEvent": (
        "An entry of the activity log.",
        {
            "seq!": ("integer", "Increases, with gaps."),
            "ts!": ("date-time", "When it happened."),
            "phase": ("SyncPhase", "In which phase."),
            "type": ("string", "Type of the resource."),
            "source_id": ("string", "Its id in the source."),
            "target_id": ("string", "Its id in the target."),
            "status!": ("SyncJobResourceStatus", "Its status then."),
            "message": ("string", "What was done."),
            "error": ("string", "What went wrong."),
        },
    ),
    "+SyncJobError": (
        "Why a resource failed.",
        {
            "type!": ("string", "Type of the resource."),
            "source_id!": ("string", "Its id in the source."),
            "error!": ("string", "A code, a colon, a sentence."),
        },
    ),
    "SyncJob": (
        "A sync job.",
        {
            "id!": ("string", "Its id."),
            "name": ("string", "Its name."),
            "status!": ("SyncJobStatus", "Where it is."),
            "direction!": ("SyncDirection", "Seen from the organisation that created it."),
            "source_org_id!": ("string", "Organisation that is read."),
            "target_org_id!": ("string", "Organisation that is written."),
            "dry_run!": ("boolean", "Whether it only plans."),
            "counts!": ("SyncJobCounts", "Resources by what became of them."),
            "current_phase": ("SyncPhase", "Phase that runs or ran last."),
            "current_batch": ("SyncJobBatch", "Progress inside of the phase."),
            "started_at!": ("date-time", "When it was created."),
            "finished_at": ("date-time", "When it ended."),
            "events": ("[SyncJobEvent]", "The latest ten, newest first; only of a single job."),
            "errors_sample": (f"[SyncJobError]<={MAX_ERRORS_SAMPLE}", "Root causes first; only of a single job."),
            "+include_dependencies": ("boolean", "Whether dependencies are copied too."),
            "+match": ("string", "How targets are found."),
            "+activation": ("string", "Whether active flags on the target stay, or follow those of the source."),
            "+retry_of": ("string", "The job whose unresolved resources this one takes up."),
            "+error": ("string", "What ended the job and belongs to no single resource."),
        },
    ),
    "SyncJobListResponse": ("A page of sync jobs, newest first.", {**_PAGED, "results!": ("[SyncJob]", "The page.")}),
    "SyncJobResource": (
        "One resource of a sync job.",
        {
            "type!": ("string", "Its type."),
            "source_id!": ("string", "Its id in the source."),
            "target_id": ("string", "Its id in the target, once known."),
            "title": ("string", "Its title."),
            "status!": ("SyncJobResourceStatus", "What became of it."),
            "phase!": ("SyncPhase", "Where it is."),
            "attempt!": ("integer", "How often it was tried."),
            "error": ("string", "Why it failed: a code such as `AMBIGUOUS_MATCH`, a colon, a sentence."),
            "updated_at!": ("date-time", "Last change of this row."),
            "+generation": ("integer", "Topological generation in which it is created."),
            "+paired_by": (
                "string",
                "The user who paired it with its target by hand, where no sync had used that pair before.",
            ),
        },
    ),
    "SyncJobResourceListResponse": (
        "A page of a sync job's resources.",
        {**_PAGED, "results!": ("[SyncJobResource]", "The page.")},
    ),
    "DeleteJobCounts": (
        "Resources by what became of them; `total` is their sum.",
        {
            "total!": ("integer", "All."),
            "pending!": ("integer", "Not reached."),
            "in_progress!": ("integer", "Asked to go, without an answer so far."),
            "deleted!": ("integer", "Gone; also those that were gone before."),
            "skipped!": ("integer", "Left alone: protected, system-managed, or of a type that no job deletes."),
            "failed!": ("integer", "Refused, or not to be reached; each row says why."),
        },
    ),
    "+ConfigKey": ("A configuration by type and id.", {"type!": ("string", "Type."), "id!": ("string", "Id.")}),
    "+DeleteWarning": (
        "A configuration that uses selected ones and was not selected.",
        {
            "type!": ("string", "Its type."),
            "id!": ("string", "Its id."),
            "title!": ("string", "Its title."),
            "uses!": ("[ConfigKey]", "Selected configurations that it uses, at most 20."),
        },
    ),
    "DeleteJob": (
        "A delete job.",
        {
            "id!": ("string", "Its id."),
            "name": ("string", "Its name."),
            "status!": ("DeleteJobStatus", "Where it is."),
            "org_id!": ("string", "The organisation that it deletes in."),
            "counts!": ("DeleteJobCounts", "Resources by what became of them."),
            "started_at!": ("date-time", "When it was created."),
            "finished_at": ("date-time", "When it ended."),
            "rebuild_triggered": ("boolean", "Whether the rebuild of the index was started."),
            "+error": ("string", "What ended the job early; the same selection can be asked for again."),
            "+warnings": (
                "[DeleteWarning]",
                "What will refer to nothing; in the answer to the creation, at most 1,000.",
            ),
            "+warnings_total": ("integer", "How many warnings there are."),
            "+index_status": ("string", "State of the index that the warnings come from."),
        },
    ),
    "DeleteJobListResponse": (
        "A page of delete jobs, newest first.",
        {**_PAGED, "results!": ("[DeleteJob]", "The page.")},
    ),
    "DeleteJobResource": (
        "One resource of a delete job.",
        {
            "type!": ("string", "Its type."),
            "id!": ("string", "Its id."),
            "title": ("string", "Its title."),
            "status!": ("DeleteJobResourceStatus", "What became of it."),
            "attempt!": ("integer", "How often it was tried."),
            "error": ("string", "Why it failed or was skipped: a code, a colon, a sentence."),
            "updated_at!": ("date-time", "Last change of this row."),
            "+generation": ("integer", "Its turn: what uses others is deleted before them."),
        },
    ),
    "DeleteJobResourceListResponse": (
        "A page of a delete job's resources.",
        {**_PAGED, "results!": ("[DeleteJobResource]", "The page.")},
    ),
    "CompareLineage": (
        "Where a pair comes from.",
        {
            "direction!": ("pull|push", "`pull`: the caller's configuration is the copy."),
            "last_synced_at": ("date-time", "Last sync of the pair."),
            "last_sync_job_id": ("string", "The job that did it."),
            "origin": ("string", "What made the pair, such as a person who confirmed it."),
        },
    ),
    "CompareRow": (
        "A pair, or a configuration without counterpart.",
        {
            "match_status!": ("matched|only_current|only_source", "Which of the two organisations has it."),
            "current": ("ConfigNode", "The caller's."),
            "source": ("ConfigNode", "The other organisation's."),
            "lineage": ("CompareLineage", "Where the pair comes from."),
            "+change": (
                "|".join(Change),
                "What has changed since the last sync: nothing, the original, the copy, or both.",
            ),
            "+differences": ("[string]", "JSON pointers of the places that differ, at most 100; no values."),
            "+differences_count": ("integer", "How many places differ."),
        },
    ),
    "CompareCounts": (
        "Rows by status.",
        {
            "matched!": ("integer", "Pairs."),
            "only_current!": ("integer", "The caller's, without counterpart."),
            "only_source!": ("integer", "The other organisation's, without counterpart."),
        },
    ),
    "CompareResponse": (
        "The configurations of a type in two organisations.",
        {**_HEAD, "rows!": ("[CompareRow]", "Ordered by title."), "counts!": ("CompareCounts", "Rows by status.")},
    ),
    "+MatchCandidate": (
        "A configuration of the caller that may be the same.",
        {
            "id!": ("string", "Its id."),
            "title": ("string", "Its title."),
            "+matched_by": ("string", "What speaks for it."),
            "+fields": ("[string]", "Fields that agree."),
        },
    ),
    "MatchSuggestion": (
        "What one configuration of the other organisation may be.",
        {
            "source_id!": ("string", "Its id there."),
            "candidate": ("MatchCandidate?", "The best candidate; null where there is none."),
            "+candidates": ("[MatchCandidate]", "All candidates, best first."),
        },
    ),
    "SuggestMatchesResponse": (
        "Suggestions in the order of the request; nothing is stored.",
        {"type!": ("ResourceType", "The type."), "suggestions!": ("[MatchSuggestion]", "One per id.")},
    ),
    "LineageEntryResponse": (
        "Which configuration of the caller one of another organisation is.",
        {
            "type!": ("ResourceType", "Type of both."),
            "target_org_id!": ("string", "The caller's organisation."),
            "source_org_id!": ("string", "The other organisation."),
            "source_id!": ("string", "Id there."),
            "target_id!": ("string", "Id here."),
            "last_synced_at": ("date-time", "Last sync of the pair."),
            "origin": ("string", "What made the pair."),
            "+confirmed_by": ("string", "The user who made it by hand."),
            "+confirmed_at": ("date-time", "When."),
        },
    ),
    "BreakLineageResponse": ("The pair is gone.", {"deleted!": ("boolean", "Always true.")}),
    "SnapshotInventoryItem": (
        "A configuration that is there.",
        {"type!": ("ResourceType", "Type."), "id!": ("string", "Id.")},
    ),
    "SnapshotInventorySkippedType": (
        "A type that could not be listed.",
        {"type!": ("string", "Type."), "reason!": ("string", "Why.")},
    ),
    "+SkippedType": ("A type without a complete list.", {"type!": ("string", "Type."), "reason!": ("string", "Why.")}),
    "ConfigInventoryResponse": (
        "Everything the organisation has right now.",
        {
            "inventory_id!": ("string", "Id of this inventory."),
            "org_id!": ("string", "The organisation."),
            "indexed_at!": ("date-time", "When it was taken."),
            "resources_count!": ("integer", "How many configurations there are."),
            "resources!": ("[SnapshotInventoryItem]", "All of them."),
            "skipped_types!": ("[SnapshotInventorySkippedType]", "What is missing, and why."),
        },
    ),
}

_SELECTION = {
    "type": "Type of the resource.",
    "id": "Its id; in a sync, the one in the source.",
    "title": "For people who read the rows.",
}
_FOR_THE_JOB = "Bearer token of the {}; used for this job alone, encrypted until it ends, never shown."
_OTHER = {
    "source_org_id": "The other organisation.",
    "source_auth_token": "Bearer token of the other organisation; it is verified before anything is read.",
    "type": "The type to look at.",
}
#: name -> (model, description of the body, descriptions of its properties, those that are ours)
BODIES: Mapping[str, tuple[type[BaseModel], str, Mapping[str, str], frozenset[str]]] = {
    "SyncJobRequest": (
        SyncJobRequest,
        "What to copy, and where to.",
        {
            "source_org_id": "Organisation to read from; it or the target must be the caller's.",
            "target_org_id": "Organisation to write to; another one than the source.",
            "target_auth_token": _FOR_THE_JOB.format("target organisation"),
            "source_auth_token": _FOR_THE_JOB.format("source organisation")
            + " Needed where the source is not the caller's.",
            "name": "For the list of jobs.",
            "dry_run": "Plan and show what would be done, write nothing.",
            "include_dependencies": "Copy too what the selection needs.",
            "match": "`heuristic` also pairs by natural key; `lineage_only` creates what was never paired.",
            "activation": (
                "`keep` leaves the active flag of what exists on the target; `follow` sets it as in the source."
            ),
            "resources": "The selection.",
        },
        frozenset({"source_auth_token", "match", "activation"}),
    ),
    "SyncJobRetryRequest": (
        RetryRequest,
        "How to try again; every field is optional.",
        {
            "payload_overrides": (
                "By `<type>:<source_id>`, a JSON merge patch (RFC 7386) for the payload; merged over those of the job"
                " that is retried."
            ),
            "target_auth_token": _FOR_THE_JOB.format("target organisation"),
            "source_auth_token": _FOR_THE_JOB.format("source organisation"),
        },
        frozenset({"target_auth_token", "source_auth_token"}),
    ),
    "DeleteJobRequest": (
        DeleteJobRequest,
        "What to delete.",
        {"name": "For the list of jobs.", "resources": "The selection."},
        frozenset(),
    ),
    "CompareRequest": (OtherOrganisation, "What to compare with the caller's organisation.", _OTHER, frozenset()),
    "SuggestMatchesRequest": (
        SuggestMatchesRequest,
        "Which configurations to find counterparts for.",
        {**_OTHER, "source_ids": "Ids in the other organisation."},
        frozenset(),
    ),
    "ConfirmLineageRequest": (
        ConfirmLineageRequest,
        "Which two configurations are the same.",
        {
            "type": "Type of both.",
            "source_org_id": "The other organisation.",
            "source_id": "Id there.",
            "target_id": "Id in the caller's organisation; it must exist.",
        },
        frozenset(),
    ),
}

#: name -> (where, schema, required, description)
PARAMETERS: Mapping[str, tuple[str, Json, bool, str]] = {
    "type": ("path", {"$ref": "#/components/schemas/ResourceType"}, True, "Type of the configuration."),
    "id": ("path", {"type": "string"}, True, "The id."),
    "cursor": ("query", {"type": "string"}, False, "`next_cursor` of the page before."),
    "size": ("query", {"type": "integer", "minimum": 1, "maximum": 100, "default": 25}, False, "Results a page."),
    "+large_size": (
        "query",
        {"type": "integer", "minimum": 1, "maximum": 1000, "default": 1000},
        False,
        "Results a page.",
    ),
    "q": ("query", {"type": "string"}, False, "Part of the title in any case, or a whole id or alias."),
    "updated_after": ("query", {"type": "string", "format": "date-time"}, False, "Changed at or after."),
    "updated_before": ("query", {"type": "string", "format": "date-time"}, False, "Changed at or before."),
    "purposes": ("query", {"type": "string"}, False, "Has one of these purposes, separated by commas."),
    "blueprint_ids": ("query", {"type": "string"}, False, "Belongs to one of these blueprints, separated by commas."),
    "sort": ("query", {"type": "string", "enum": list(SORT_ORDERS)}, False, "Newest, most used, or by name."),
    "active_only": ("query", {"type": "boolean"}, False, "Leave out what is not in use."),
    "sync_status": ("query", {"$ref": "#/components/schemas/SyncJobStatus"}, False, "Only jobs with this status."),
    "row_status": ("query", {"$ref": "#/components/schemas/SyncJobResourceStatus"}, False, "Only these resources."),
    "+delete_row_status": (
        "query",
        {"$ref": "#/components/schemas/DeleteJobResourceStatus"},
        False,
        "Only resources with this status.",
    ),
    "lineage_type": ("query", {"$ref": "#/components/schemas/ResourceType"}, True, "Type of the pair."),
    "source_id": ("query", {"type": "string"}, True, "Id in the other organisation."),
    "+source_org_id": ("query", {"type": "string"}, False, "The other organisation, where several share the id."),
    "include_dependency_only": (
        "query",
        {"type": "boolean", "default": True},
        False,
        "Collect also what cannot be listed, from what refers to it.",
    ),
    "+Idempotency-Key": (
        "header",
        {"type": "string", "maxLength": 256},
        False,
        "A repeat with the same key and body answers with the job that is there.",
    ),
}
_NAMED_OTHERWISE = {
    "large_size": "size",
    "sync_status": "status",
    "row_status": "status",
    "delete_row_status": "status",
    "lineage_type": "type",
}

_LIST = ("cursor", "size")
_LINEAGE_KEYS = ("lineage_type", "source_id", "+source_org_id")
#: operation -> (group, what it does, parameters, body, status and schema of the answer, further error statuses)
OPERATIONS: Mapping[str, tuple[str, str, tuple[str, ...], str, tuple[int, str], tuple[int, ...]]] = {
    "listConfigTypes": ("Configs", "List the types of configuration.", (), "", (200, "ConfigTypeList"), ()),
    "listConfigs": (
        "Configs",
        "List configurations of one type from the index. Without an index the list is empty.",
        (
            "type",
            *_LIST,
            "q",
            "updated_after",
            "updated_before",
            "purposes",
            "blueprint_ids",
            "sort",
            "active_only",
        ),
        "",
        (200, "ConfigListResponse"),
        (400,),
    ),
    "getConfigDependencies": (
        "Configs",
        "List what a configuration uses, from its payload as it is now.",
        ("type", "id", *_LIST),
        "",
        (200, "ConfigDependenciesResponse"),
        (400, 404, 502),
    ),
    "getConfigUsedBy": (
        "Configs",
        "List what uses a configuration, from the index alone.",
        ("type", "id", "+cursor", "+large_size"),
        "",
        (200, "ConfigDependenciesResponse"),
        (400, 404),
    ),
    "getIndex": ("Configs", "Show the state of the index.", (), "", (200, "IndexStatusResponse"), ()),
    "rebuildIndex": (
        "Configs",
        "Start a rebuild of the index and answer at once; a newer one ends an older one.",
        (),
        "",
        (200, "IndexRebuildResponse"),
        (400,),
    ),
    "getConfigInventory": (
        "Configs",
        (
            "List everything there is, live. A type that cannot be listed is named and does not fail the rest. Where"
            " 24 s are not enough, the answer is a 504 that says how many were read, never a part of the list."
        ),
        ("include_dependency_only",),
        "",
        (200, "ConfigInventoryResponse"),
        (400, 502),
    ),
    "compareConfigs": (
        "Compare",
        (
            "Put the configurations of a type in two organisations side by side, both read live, paired by what was"
            " synced or confirmed in either direction. More than can be read in 24 s is a 504, more than 5 MB a 413;"
            " both say how many there are."
        ),
        (),
        "CompareRequest",
        (200, "CompareResponse"),
        (400, 404, 502),
    ),
    "suggestMatches": (
        "Compare",
        (
            "Suggest which of the caller's configurations up to 25 of another organisation are, as a sync would match"
            " them by natural key. A type without one is refused."
        ),
        (),
        "SuggestMatchesRequest",
        (200, "SuggestMatchesResponse"),
        (400, 404, 502),
    ),
    "confirmLineage": (
        "Compare",
        (
            "Pair two configurations: the next sync patches the target, and its dry run tells who paired them. Only who"
            " may change the target may do it; else the answer is a 403. A repeat answers with the pair that is there;"
            " where one of the two has another partner, or a namesake by its slug, key or role, the answer is a 409."
        ),
        (),
        "ConfirmLineageRequest",
        (201, "LineageEntryResponse"),
        (400, 409, 502),
    ),
    "breakLineage": (
        "Compare",
        (
            "Forget a pair, in both directions: the next sync does not know it. Where several organisations share the"
            " id, or only a sync of the way back made the pair, say which organisation. Only who may change the"
            " caller's configuration of the pair may do it; else the answer is a 403."
        ),
        _LINEAGE_KEYS,
        "",
        (200, "BreakLineageResponse"),
        (400, 404, 409, 502),
    ),
    "createSyncJob": (
        "Sync",
        (
            "Create a sync job for 1 to 1,000 resources, start it, and answer at once: follow it with getSyncJob. At"
            " most three jobs run into an organisation at the same time, and three of one caller's organisation."
        ),
        ("+Idempotency-Key",),
        "SyncJobRequest",
        (201, "SyncJob"),
        (400, 409),
    ),
    "listSyncJobs": (
        "Sync",
        "List the sync jobs that the organisation created.",
        (*_LIST, "sync_status"),
        "",
        (200, "SyncJobListResponse"),
        (400,),
    ),
    "getSyncJob": ("Sync", "Show a sync job.", ("id",), "", (200, "SyncJob"), (400, 404)),
    "retrySyncJob": (
        "Sync",
        (
            "Create a new job for what another one left failed or unfinished, asked for as that one was. Where that one"
            " still runs, left nothing or is too old, the answer is a 409 that says so; so is it where the token of the"
            " other organisation is needed anew: the kept one serves only who brought it, until it expires, and"
            " no retry with overrides."
        ),
        ("id",),
        "SyncJobRetryRequest",
        (201, "SyncJob"),
        (400, 404, 409),
    ),
    "cancelSyncJob": (
        "Sync",
        (
            "Stop a running job before its next write; what is written stays. Only who created it, or may do everything"
            " in the organisation, may do it; else the answer is a 403. One that has ended answers with a 409."
        ),
        ("id",),
        "",
        (200, "SyncJob"),
        (400, 404, 409, 502),
    ),
    "listSyncJobResources": (
        "Sync",
        "List the resources of a sync job.",
        ("id", *_LIST, "row_status"),
        "",
        (200, "SyncJobResourceListResponse"),
        (400, 404),
    ),
    "createDeleteJob": (
        "Delete",
        (
            "Delete a selection of 1 to 1,000 resources, and answer at once: follow it with getDeleteJob. Users go"
            " before what they use, one that fails does not hold up the others, protected and system-managed"
            " configurations are skipped, and the index is rebuilt at the end. Nothing is refused because something"
            " else uses it: read `warnings`."
        ),
        ("+Idempotency-Key",),
        "DeleteJobRequest",
        (201, "DeleteJob"),
        (400, 409),
    ),
    "listDeleteJobs": (
        "Delete",
        "List the organisation's delete jobs.",
        _LIST,
        "",
        (200, "DeleteJobListResponse"),
        (400,),
    ),
    "getDeleteJob": ("Delete", "Show a delete job.", ("id",), "", (200, "DeleteJob"), (400, 404)),
    "listDeleteJobResources": (
        "Delete",
        "List the resources of a delete job.",
        ("id", *_LIST, "+delete_row_status"),
        "",
        (200, "DeleteJobResourceListResponse"),
        (400, 404),
    ),
}

_JOB = {"id": "$response.body#/id"}
#: operation -> what its answer leads to, with where the parameters come from
LINKS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "listConfigs": {
        name: {"type": "$request.path.type", "id": "$response.body#/results/0/id"}
        for name in ("getConfigDependencies", "getConfigUsedBy")
    }
    | {"listConfigs": {"type": "$request.path.type", "cursor": "$response.body#/next_cursor"}},
    "createSyncJob": dict.fromkeys(("getSyncJob", "listSyncJobResources", "cancelSyncJob", "retrySyncJob"), _JOB),
    "retrySyncJob": dict.fromkeys(("getSyncJob", "cancelSyncJob"), _JOB),
    "createDeleteJob": dict.fromkeys(("getDeleteJob", "listDeleteJobResources"), _JOB),
    "listSyncJobs": {
        "listSyncJobs": {"cursor": "$response.body#/next_cursor"},
        "getSyncJob": {"id": "$response.body#/results/0/id"},
    },
    "listDeleteJobs": {
        "listDeleteJobs": {"cursor": "$response.body#/next_cursor"},
        "getDeleteJob": {"id": "$response.body#/results/0/id"},
    },
    "confirmLineage": {
        "breakLineage": {name: f"$response.body#/{name}" for name in ("type", "source_id", "source_org_id")}
    },
}

ERRORS = {
    400: "The request breaks the contract; the sentence names the field and what it expects.",
    401: "There is no bearer token, or it does not verify.",
    403: "The token acts for another organisation than the one stated, or its user may not do this.",
    404: "The caller's organisation has no such thing.",
    409: "The state of things forbids it.",
    413: "The body or the answer is too large.",
    429: "Too many requests or running jobs; `Retry-After` says when to come back.",
    500: "The service failed; the sentence has the id to quote.",
    502: "An API behind the service failed; the sentence says which.",
    503: "The service or an API behind it is busy; `Retry-After` says when to come back.",
    504: "The answer took too long.",
}
#: What any operation may answer, besides those that it names itself.
_ANY = (401, 403, 413, 429, 500, 503, 504)


def write_openapi() -> str:
    """Return docs/openapi.json."""
    return json.dumps(build(), indent=2, ensure_ascii=False) + "\n"


@cache
def routes() -> Mapping[str, tuple[str, str]]:
    """Return method and path per operation, as the template routes them."""
    found = {}
    template = yaml.load(_TEMPLATE.read_text(), Loader=_template_loader())  # noqa: S506 - it is a safe one
    for name, resource in template["Resources"].items():
        # Loops are lists; there is no operation in one.
        properties = resource.get("Properties", {}) if isinstance(resource, dict) else {}
        for event in properties.get("Events", {}).values():
            if event["Type"] == "Api":
                operation = name[0].lower() + name[1:].removesuffix("Function")
                found[operation] = (event["Properties"]["Method"].lower(), event["Properties"]["Path"])
    return found


def _template_loader() -> type[yaml.SafeLoader]:
    class Loader(yaml.SafeLoader):
        """Reads past intrinsic functions: no route has one."""

    Loader.add_multi_constructor("!", lambda _loader, _tag, _node: None)
    return Loader


def build() -> Json:
    """Return the definition."""
    paths: Json = {}
    for operation_id, (method, path) in routes().items():
        paths.setdefault(path, {})[method] = _operation(operation_id)
    schemas = {
        name: {"type": "string", "description": text, "enum": list(values)} for name, (text, values) in ENUMS.items()
    }
    for name in SCHEMAS:
        schemas |= {name.lstrip("+"): _object(*SCHEMAS[name]) | _mark(name)}
    for name in BODIES:
        schemas |= _body(name)
    return {
        "openapi": "3.0.3",
        "info": {"title": "Configuration Hub API", "version": "0.2.0", "description": ABOUT},
        "servers": [{"url": "https://configuration-hub.example"}],
        "tags": [{"name": name} for name in dict.fromkeys(operation[0] for operation in OPERATIONS.values())],
        "security": [{"EpilotAuth": []}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "securitySchemes": {"EpilotAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "parameters": {name.lstrip("+"): _parameter(name) for name in PARAMETERS},
            "responses": {
                str(status): {"description": text, "content": _content("ErrorResponse")}
                for status, text in ERRORS.items()
            },
            "schemas": dict(sorted(schemas.items())),
        },
    }


def _operation(operation_id: str) -> Json:
    tag, text, parameters, body, (status, schema), errors = OPERATIONS[operation_id]
    operation: Json = {"operationId": operation_id, "summary": operation_id, "description": text, "tags": [tag]}
    if parameters:
        operation["parameters"] = [
            _parameter(name) if name == "+cursor" else {"$ref": f"#/components/parameters/{name.lstrip('+')}"}
            for name in parameters
        ]
    if body:
        operation["requestBody"] = {"required": body != "SyncJobRetryRequest", "content": _content(body)}
    operation["responses"] = {
        str(status): {"description": SCHEMAS.get(schema, SCHEMAS.get(f"+{schema}"))[0], "content": _content(schema)}
    }
    if operation_id in LINKS:
        operation["responses"][str(status)]["links"] = {
            name: {"operationId": name, "parameters": dict(values)} for name, values in LINKS[operation_id].items()
        }
    for error in sorted({*_ANY, *errors}):
        operation["responses"][str(error)] = {"$ref": f"#/components/responses/{error}"}
    return operation


def _content(schema: str) -> Json:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _parameter(name: str) -> Json:
    where, schema, required, text = PARAMETERS.get(name) or PARAMETERS[name.lstrip("+")]
    plain = name.lstrip("+")
    described = {"name": _NAMED_OTHERWISE.get(plain, plain), "in": where, "required": required, "description": text}
    return described | {"schema": schema} | _mark(name)


def _mark(name: str) -> Json:
    return {EXTENSION: True} if name.startswith("+") else {}


def _object(text: str, properties: Mapping[str, tuple[str, str]]) -> Json:
    schema: Json = {"type": "object", "description": text}
    if required := [name.strip("+!") for name in properties if name.endswith("!")]:
        schema["required"] = required
    schema["properties"] = {name.strip("+!"): _property(name, *known) for name, known in properties.items()}
    return schema


def _property(name: str, kind: str, text: str) -> Json:
    schema = _type(kind)
    described = ({"description": text} if text else {}) | _mark(name)
    if "$ref" in schema and described:
        schema = {"allOf": [schema]}
    return schema | described


def _type(kind: str) -> Json:
    if kind.endswith("?"):
        return {"allOf": [_type(kind[:-1])], "nullable": True}
    if listed := re.fullmatch(r"\[(\w+)\](?:<=(\d+))?", kind):
        return {"type": "array", "items": _type(listed[1])} | ({"maxItems": int(listed[2])} if listed[2] else {})
    if "|" in kind:
        return {"type": "string", "enum": kind.split("|")}
    if kind[0].isupper():
        return {"$ref": f"#/components/schemas/{kind}"}
    if kind in ("date-time", "uri"):
        return {"type": "string", "format": kind}
    return {"type": "object", "additionalProperties": True} if kind == "object" else {"type": kind}


def _body(name: str) -> Json:
    """Return the schema of a request body and of the models in it."""
    model, text, texts, ours = BODIES[name]
    schema = _plain(model.model_json_schema(ref_template="#/components/schemas/{model}"))
    parts: Json = schema.pop("$defs", {})
    schema["description"] = text
    for prop, described in schema["properties"].items():
        described["description"] = texts[prop]
        described.update(_mark("+" if prop in ours else ""))
        if prop.endswith("_token"):
            described["writeOnly"] = True
    for part in parts.values():
        part["description"] = "A resource by type and id."
        for prop, described in part["properties"].items():
            described["description"] = _SELECTION[prop]
    for one in (schema, *parts.values()):
        if "type" in one["properties"]:
            one["properties"]["type"] = {
                "allOf": [{"$ref": "#/components/schemas/ResourceType"}],
                "description": one["properties"]["type"]["description"],
            }
    return {name: schema, **parts}


def _plain(node: Any) -> Any:
    """Turn pydantic's JSON schema into one of OpenAPI 3.0: no titles, optional values without null."""
    if isinstance(node, list):
        return [_plain(one) for one in node]
    if not isinstance(node, dict):
        return node
    node = {key: value for key, value in node.items() if not (key == "title" and isinstance(value, str))}
    choices = node.pop("anyOf", None)
    if choices is not None:
        (only,) = (one for one in choices if one.get("type") != "null")
        node = {**only, **node, "nullable": True}
        if node.get("default", 0) is None:
            del node["default"]
        node.pop("title", None)
    return {key: _plain(value) for key, value in node.items()}
