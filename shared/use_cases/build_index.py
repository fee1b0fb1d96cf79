"""Build the index of an organisation: fan out over the downstream APIs, resolve references, write what changed.

list types ──► collect unlisted ──► bound `when used` ──► look after limited views ──► resolve ──► write ──► finish
└───────────── every stage hands over to the next invocation when time runs short ─────────────┘
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from shared.domain.errors import DownstreamUnavailableError, HubError
from shared.domain.index_state import QUEUED_LEASE_S, SupersededError
from shared.use_cases.indexing.build_run import Build, BuildReport, BuildRun, OutOfTimeError, TypeReading
from shared.use_cases.indexing.reading import Reading
from shared.use_cases.indexing.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.domain.ports.configs import ConfigRepository
    from shared.domain.ports.index import Checkpoints, IndexWriter
    from shared.domain.resource_type import Catalogue

# Lambda stops a function that invokes itself after about 16 times:
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html
MAX_CONTINUATIONS = 12

# Lambda tries a killed invocation again after a minute:
# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
_LEASE_MARGIN_S = 120.0

_DETAILS_AT_ONCE = 8


def build_index(
    run: BuildRun,
    *,
    catalogue: Catalogue,
    index: IndexWriter,
    open_repository: Callable[[], ConfigRepository],
    checkpoints: Checkpoints,
    hand_over: Callable[[Mapping[str, Any]], None],
    now: Callable[[], float],
) -> BuildReport:
    """Work on a build until it is finished, superseded, failed, or has to be handed over.

    Args:
        run: the build and this invocation of it.
        catalogue: all resource types.
        index: where the index is kept.
        open_repository: returns the organisation's configs as the build's user sees them.
        checkpoints: where a build that hands over keeps what it read.
        hand_over: starts the next invocation with an event.
        now: epoch seconds.

    Raises:
        Exception: what is no error of ours; the build is marked as failed before.
    """
    report = BuildReport()
    if index.extend_lease(run.org_id, run.build_token, run.deadline + _LEASE_MARGIN_S) is None:
        report.status = "superseded"
        return report
    build: Build | None = None
    try:
        build = Build(
            run=run,
            catalogue=catalogue,
            index=index,
            repository=open_repository(),
            now=now,
            report=report,
            readings={name: TypeReading() for name in catalogue},
        )
        if run.continuation:
            build.load(checkpoints)
        _run_stages(build)
    except SupersededError:
        report.status = "superseded"
    except OutOfTimeError:
        if run.continuation >= MAX_CONTINUATIONS:
            _fail(index, run, report, "TOO_LONG", "The organisation could not be read in the time a build has.")
        elif build is not None:
            build.save(checkpoints)
            index.extend_lease(run.org_id, run.build_token, now() + QUEUED_LEASE_S, run.next_event)
            hand_over(run.next_event)
            report.status = "more"
    except HubError as error:
        _fail(index, run, report, error.code, error.message)
    except Exception:
        _fail(index, run, report, "INTERNAL", "The build broke off.")
        raise
    if report.status != "more" and run.continuation:
        checkpoints.delete(run.checkpoint_prefix)
    return report


def _run_stages(build: Build) -> None:
    """Read, resolve, write and finish."""
    with ThreadPoolExecutor(_DETAILS_AT_ONCE) as details:
        reading = Reading(build, details)
        build.measured("ListTypes", reading.read_listed_types)
        build.measured("CollectUnlistedTypes", reading.read_unlisted_types)
        build.measured("BoundTypesIndexedWhenUsed", reading.bound_types_indexed_when_used)
        build.measured("CheckLimitedViews", reading.check_limited_views)
    if all(build.readings[name].failure for name, entry in build.catalogue.items() if entry.list):
        first = next(reading.failure for reading in build.readings.values() if reading.failure)
        raise DownstreamUnavailableError(f"No type could be read. {first}")
    build.measured("AssignBlueprints", reading.assign_blueprints)
    build.measured("WriteIndex", Writing(build).write)


def _fail(index: IndexWriter, run: BuildRun, report: BuildReport, code: str, reason: str) -> None:
    report.status, report.code, report.reason = "failed", code, reason
    index.fail_build(run.org_id, run.build_token, f"{code}: {reason}")
