"""Invoke every function of `events/` in a container against the local stack: `python -m tests.containers [event]`."""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from uuid import uuid4

from sandbox.stack import deployment
from sandbox.stack.bridge import NoDockerError, find_bridge, open_bridge, write_environment, write_template
from sandbox.stack.processes import StackError
from sandbox.stack.settings import StackSettings, read_settings
from shared.use_cases.list_config_types import list_config_types
from tests.containers import debugger
from tests.containers.invoke import Containers, InvocationFailedError, Invoker, logical_id, serve
from tests.containers.world import World, prepare
from tests.events import EVENTS
from tests.published import published_operations, violations

# Containers at the same time, beside those of the job: most of a start is waiting.
_PARALLEL = 3
# By the command that a person types; it also makes the one image that all functions share.
_FIRST = "api/authorizer"
_SCHEDULED = ("operations/measure_health", "operations/sweep_ended_runs")
# A build that was superseded long ago: nothing is left of it to go on with.
_CONTINUED = "index/continue_index"
# Where the debugger is tried, and its use case as the container sees it.
_DEBUGGED, _DEBUGGED_FILE = "api/list_config_types", "/opt/python/shared/use_cases/list_config_types.py"
# These start a job of the engine's in the same organisations, which would do the work of the one in containers.
_STARTING = ("api/create_sync_job", "api/retry_sync_job")
# These change what the others read.
_CHANGING = ("api/confirm_lineage", "api/break_lineage", "api/create_delete_job")

_DELETION = ("delete/plan_deletion", "delete/delete_batch", "delete/finish_deletion")

# What an event needs beyond the ids and tokens that stand in all of them.
_CHANGES: Mapping[str, Callable[[], Mapping[str, Any]]] = {
    "api/retry_sync_job": lambda: {"body": "{}"},
    "api/create_sync_job": lambda: {"headers": {"Idempotency-Key": str(uuid4())}},
}


@dataclass(slots=True)
class Run:
    """One pass over the events; `failures` gets a sentence per event that did not answer as it should."""

    containers: Invoker
    world: World
    seconds: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def check(self, event: str, payload: Mapping[str, Any], judge: Callable[[Any], str]) -> dict[str, Any]:
        """Invoke a function in a container and note what the judge finds wrong with its answer."""
        began = time.monotonic()
        answer: dict[str, Any] = {}
        try:
            answer = self.containers.invoke(event, payload)
            fault = judge(answer)
        except (InvocationFailedError, subprocess.TimeoutExpired) as error:
            fault = str(error)
        self.seconds[event] = time.monotonic() - began
        if fault:
            self.fail(event, fault)
        else:
            print(f"{self.seconds[event]:6.1f} s  {event}", flush=True)
        return answer

    def fail(self, event: str, fault: str) -> None:
        """Note that an event did not lead to what it should."""
        self.failures[event] = fault
        print(f"{self.seconds[event]:6.1f} s  {event}  FAILED: {fault}", flush=True)

    def check_operation(self, event: str, job_id: str = "") -> dict[str, Any]:
        """Invoke the function of an API operation."""
        payload = self.world.filled(event, job_id)
        for name, value in _CHANGES.get(event, dict)().items():
            payload[name] = {**payload[name], **value} if isinstance(value, dict) else value
        return self.check(event, payload, lambda answer: _judge_operation(event, answer))

    def check_step(self, event: str, job_id: str, **changes: Any) -> dict[str, Any]:
        """Invoke the function of a step; where it hands something back, the engine's own function goes on."""
        payload = self.world.filled(event, job_id, **changes)
        answer = self.check(event, payload, _judge_step)
        return self.go_on(event, payload, answer)

    def step(self, event: str, job_id: str, **changes: Any) -> dict[str, Any]:
        """Run a step in the engine."""
        return self.go_on(event, self.world.filled(event, job_id, **changes), {"status": "more"})

    def go_on(self, event: str, payload: Mapping[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        """Run a step in the engine until nothing is left to do."""
        while answer.get("status") in ("more", "wait"):
            time.sleep(answer.get("wait_seconds", 0))
            answer = self.world.invoke_in_engine(logical_id(event), payload)
        return answer


def _judge_operation(event: str, answer: Mapping[str, Any]) -> str:
    first, *others = event.rpartition("/")[2].split("_")
    operation = first + "".join(word.capitalize() for word in others)
    body = json.loads(answer["body"])
    success = min(published_operations()[operation][2]["responses"])
    if str(answer["statusCode"]) != success:
        return f"answered {answer['statusCode']}: {body}"
    return "; ".join(violations(operation, answer["statusCode"], body))


def _judge_step(answer: Mapping[str, Any]) -> str:
    return "" if answer.get("status") in ("done", "more", "wait") else f"answered {answer}"


def _judge_superseded(answer: Mapping[str, Any]) -> str:
    return "" if answer.get("status") == "superseded" else f"answered {answer}"


type Steps = Generator[tuple[str, dict[str, Any]], dict[str, Any]]


def _steps() -> Steps:
    """Yield the event and the input of each step of a job, as the state machine would, and take the step's answer."""
    for resource_type in (yield "sync/fetch_sources", {})["types"]:
        yield "sync/snapshot_target", {"resource_type": resource_type}
    plan = yield "sync/plan_job", {}
    while batches := (yield "sync/next_batches", {})["batches"]:
        for batch in batches:
            yield "sync/sync_batch", {"batch": batch}
    for step, batches in {
        "resolve_derived_references": plan["resolve_batches"],
        "patch_references": plan["patch_batches"],
        "run_finalizers": plan["finalize_batches"],
        "verify_targets": plan["verify_batches"],
    }.items():
        for batch in batches or [1]:
            yield f"sync/{step}", {"batch": batch}
    yield "sync/finish_job", {}


def _drive_job(run: Run) -> None:
    """Take one job through the whole machine: one invocation of each step in a container, the rest in the engine."""
    job_id, answer, steps = run.world.create_job(), None, _steps()
    with suppress(StopIteration):
        while True:
            event, changes = steps.send(answer)  # type: ignore[arg-type]
            answer = (run.step if event in run.seconds else run.check_step)(event, job_id, **changes)
    if answer is None or answer.get("job_status") != "succeeded":
        run.fail("sync/finish_job", f"the job ended with {answer}")


def _advance_to(run: Run, wanted: str) -> tuple[str, dict[str, Any]]:
    """Take a job to just before a step; return its id and the step's input."""
    job_id, answer, steps = run.world.create_job(), None, _steps()
    while True:
        event, changes = steps.send(answer)  # type: ignore[arg-type]
        if event == wanted:
            return job_id, changes
        answer = run.step(event, job_id, **changes)


def _fail_job(run: Run) -> str:
    """Take a job to its first batch, and record that it broke off."""
    job_id, batch = _advance_to(run, "sync/sync_batch")
    run.check_step("sync/record_failure", job_id, **batch, step="SyncBatch")
    run.step("sync/finish_job", job_id)
    return job_id


def _drive_changes(run: Run) -> None:
    """Invoke what changes the organisations that others read, in two of its own: one delete job included."""
    for event in _CHANGING:
        run.check_operation(event)
    job_id = run.world.create_delete_job()
    for event in _DELETION:
        run.check_step(event, job_id)


def invoke_all(run: Run) -> None:
    """Invoke the function of every event file but the first, in an order in which each finds what it needs."""
    world = run.world
    events = sorted(str(file.relative_to(EVENTS).with_suffix("")) for file in EVENTS.rglob("*.json"))
    single = [event for event in events if event.startswith("api/") and event not in {_FIRST, *_STARTING, *_CHANGING}]
    with ThreadPoolExecutor(1 + _PARALLEL) as pool:
        done = pool.submit(_drive_job, run)
        build = pool.submit(run.check, "index/build_index", world.start_build(), _judge_step)
        scheduled = [pool.submit(run.check, event, world.filled(event), _judge_step) for event in _SCHEDULED]
        continued = pool.submit(run.check, _CONTINUED, world.filled(_CONTINUED), _judge_superseded)
        failed_job = _fail_job(run)
        jobs = {"api/cancel_sync_job": world.create_job()}
        delete_job = world.create_delete_job()
        jobs |= {event: delete_job for event in single if "delete_job" in event}
        changes = pool.submit(_drive_changes, replace(run, world=prepare(world.settings)))
        build.result()
        operate = partial(_operate, run, jobs, failed_job)
        list(pool.map(operate, single))
        done.result()
        list(pool.map(operate, _STARTING))
        for chain in (changes, *scheduled, continued):
            chain.result()


def _operate(run: Run, jobs: Mapping[str, str], default_job: str, event: str) -> None:
    run.check_operation(event, jobs.get(event, default_job))


def _check_authorizer(run: Run) -> None:
    run.check(
        _FIRST,
        run.world.filled(_FIRST),
        lambda answer: "" if answer.get("context", {}).get("org_id") == run.world.source else f"answered {answer}",
    )


def invoke_one(run: Run, containers: Containers, event: str) -> None:
    """Invoke the function of one event and show its log, its answer and the command."""
    answer = containers.invoke(event, _payload(run, event))
    print(containers.log(event).read_text())
    print(json.dumps(answer, indent=2))
    print("\nAgain:", " ".join(containers.command(event)))


def debug_one(run: Run, containers: Containers, event: str) -> None:
    """Invoke the function of one event so that it waits for a debugger; with a person at the other end."""
    print(f"Attach a debugger to port {debugger.PORT}: functions/ is below /var/task, shared/ below /opt/python.")
    print("Again:", " ".join(containers.command(event)), flush=True)
    print(json.dumps(containers.invoke(event, _payload(run, event)), indent=2))


def _check_debugger(run: Run, settings: StackSettings) -> None:
    """A debugger in a container: stop in the use case of a function, by the same options that a person gets."""
    line = inspect.getsourcelines(list_config_types)[1] + 2
    containers = Containers(settings, tuple(debugger.prepare(settings)))
    began = time.monotonic()
    frames = debugger.stop_at(containers, _DEBUGGED, run.world.filled(_DEBUGGED), _DEBUGGED_FILE, line)
    if frames[0] != list_config_types.__name__:
        raise InvocationFailedError(f"The debugger stopped in {frames}")
    print(f"{time.monotonic() - began:6.1f} s  {_DEBUGGED} under a debugger, stopped in {frames[0]}", flush=True)


def call_here(run: Run, event: str) -> None:
    """Call the handler of one event in this very process, where a debugger can stop in it, and show its answer."""
    handler = importlib.import_module(f"functions.{event.replace('/', '.')}.handler").lambda_handler
    print(json.dumps(handler(_payload(run, event), LocalContext(logical_id(event))), indent=2))


class LocalContext:
    """What a handler reads of its invocation."""

    memory_limit_in_mb = 512
    aws_request_id = "here"

    def __init__(self, function_name: str) -> None:
        self.function_name = self.invoked_function_arn = function_name

    def get_remaining_time_in_millis(self) -> int:
        return 15 * 60 * 1000


def _payload(run: Run, event: str) -> Mapping[str, Any]:
    if event == "index/build_index":
        return run.world.start_build()
    if event.startswith("operations/"):
        return run.world.filled(event)
    if event.startswith("sync/"):
        job_id, changes = _advance_to(run, "sync/sync_batch" if event == "sync/record_failure" else event)
        return run.world.filled(event, job_id, **changes)
    if event.startswith("delete/"):
        job_id = run.world.create_delete_job()
        for earlier in _DELETION[: _DELETION.index(event)]:
            run.step(earlier, job_id)
        return run.world.filled(event, job_id)
    return run.world.filled(event, run.world.create_delete_job() if "delete_job" in event else run.world.create_job())


def _open_containers(settings: StackSettings, options: tuple[str, ...]) -> Containers:
    address = find_bridge(settings)
    open_bridge(settings, address)
    deployment.build(settings)
    write_template(settings)
    write_environment(settings, address)
    return Containers(settings, options)


def main() -> int:
    """Return 0 where every function answered as it should, or where there is no Docker engine and no CI."""
    parser = argparse.ArgumentParser(prog="python -m tests.containers", description=__doc__)
    parser.add_argument("event", nargs="?", default="", help="path below events/, without the ending; default: all")
    parser.add_argument("--here", action="store_true", help="call the one handler in this process, without a container")
    parser.add_argument("--debug", action="store_true", help="let the one wait for a debugger in its container")
    arguments = parser.parse_args()
    settings = read_settings()
    began = time.monotonic()
    if arguments.here:
        call_here(Run(Containers(settings), prepare(settings)), arguments.event)
        return 0
    try:
        options = tuple(debugger.prepare(settings)) if arguments.debug else ()
        containers = _open_containers(settings, options)
        run = Run(containers, prepare(settings))
        if arguments.event:
            (debug_one if arguments.debug else invoke_one)(run, containers, arguments.event)
            return 0
        _check_authorizer(run)
        with serve(settings) as run.containers:
            invoke_all(run)
        _check_debugger(run, settings)
    except NoDockerError as error:
        print(f"SKIPPED: no function was invoked in a container, {error}.")
        return 1 if os.environ.get("CI") == "true" else 0
    except (StackError, InvocationFailedError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{len(run.seconds)} functions, {len(run.failures)} failures, {time.monotonic() - began:.0f} s")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
