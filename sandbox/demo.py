"""Show the main job on the local stack: index two organisations, look around, plan, sync, and prove the result."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from sandbox.control import SandboxControl
from sandbox.equality import differences
from sandbox.hub_client import HubClient, Json
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.resource_type import ResourceKey

STACK_FILE = Path(".local/stack.json")
PHASES = {
    "phase_0": "fetch and plan",
    "phase_a": "create",
    "phase_a5": "derived references",
    "phase_b": "patch",
    "finalize": "finalize and verify",
}

#: What a row of the real run may be, given its row of the dry run: a match that is equal already is not written.
BECOMES = {
    "would_create": ("created",),
    "would_patch": ("patched",),
    "would_match_heuristic": ("patched", "skipped"),
    "would_skip_unchanged": ("skipped",),
}

console = Console(width=None if sys.stdout.isatty() else 110)


def main() -> int:
    """Run the demo and return 0 only where every promise of it held."""
    began = time.monotonic()
    stack = json.loads(STACK_FILE.read_text())
    control = SandboxControl(stack["sandbox_url"])
    # Two organisations of the demo's own: it shows the same each time, and leaves what others work on alone.
    org_ids = {side: control.make_organisation() for side in ("source", "target")}
    selections = control.seed(org_ids["source"], org_ids["target"], scale=1, seed=7)
    tokens = {side: control.make_token(org_id) for side, org_id in org_ids.items()}
    hubs = {side: HubClient(stack["api_url"], token) for side, token in tokens.items()}
    console.print(
        f"API [bold]{stack['api_url']}[/]   source [bold]{org_ids['source']}[/]   target {org_ids['target']}\n"
    )

    failures = [*_show_indexes(hubs), *_look_around(hubs["source"])]
    body = {
        "source_org_id": org_ids["source"],
        "target_org_id": org_ids["target"],
        "target_auth_token": tokens["target"],
        "resources": selections["clean"],
    }
    planned = _dry_run(hubs["source"], body)
    job, rows = _sync(hubs["source"], body)
    failures += _judge(planned, job, rows)
    failures += _prove(control, org_ids, rows)

    console.rule("Result")
    for failure in failures:
        console.print(f"[red]✗[/] {failure}")
    if not failures:
        console.print(f"[green]✓[/] everything held, in {time.monotonic() - began:.0f} s")
        console.print(f"  look at it again: GET {stack['api_url']}/v1/configs/sync-jobs/{job['id']}")
    return 1 if failures else 0


def _show_indexes(hubs: dict[str, HubClient]) -> list[str]:
    console.rule("1 · Index both organisations")
    failures = []
    totals: dict[str, dict[str, Any]] = {}
    for side, hub in hubs.items():
        began = time.monotonic()
        state = hub.rebuild_index()
        console.print(
            f"{side}: {state['status']}, {state['total_items']} configurations, "
            f"build {state['build_duration_ms']} ms ({time.monotonic() - began:.1f} s with polling)"
        )
        if state["status"] != "ready" or state.get("failed_types"):
            failures.append(f"the index of the {side} is {state}")
        totals[side] = {name: hub.get(f"/v1/configs/{name}", size=1).get("total", 0) for name in RESOURCE_TYPES}
    table = Table("type", "source", "target", "type ", "source ", "target ", title="Configurations per type")
    names = list(RESOURCE_TYPES)
    half = (len(names) + 1) // 2
    for left, right in zip(names[:half], [*names[half:], ""], strict=False):
        cells = [left, str(totals["source"][left]), str(totals["target"][left])]
        table.add_row(*cells, *([right, str(totals["source"][right]), str(totals["target"][right])] if right else []))
    console.print(table)
    for name in names:
        if not totals["source"][name]:
            reason = RESOURCE_TYPES[name].missing.get("list")
            console.print(f"  {name}: not listed — {reason or 'the source has none'}")
            if not reason:
                failures.append(f"the source's index has no {name}")
    return failures


def _look_around(hub: HubClient) -> list[str]:
    console.rule("2 · Look around")
    listed = hub.get("/v1/configs/journey", sort="name", size=5)
    table = Table("journey", "active", "updated", title=f"First of {listed['total']} journeys by name")
    for node in listed["results"]:
        table.add_row(node["title"], str(node.get("active", "–")), node.get("updated_at", "–"))
    console.print(table)
    journey = listed["results"][0]
    uses = hub.get(f"/v1/configs/journey/{journey['id']}/dependencies", size=100)["results"]
    console.print(f"[bold]{journey['title']}[/] uses: " + _names(uses))
    if not uses:
        return ["the journey has no dependencies"]
    used = uses[0]
    users = hub.get(f"/v1/configs/{used['type']}/{used['id']}/used_by")["results"]
    console.print(f"[bold]{used['title']}[/] [dim]({used['type']})[/] is used by: " + _names(users))
    if journey["id"] not in {node["id"] for node in users}:
        return ["what the journey uses does not say that the journey uses it"]
    return []


def _names(nodes: list[Json]) -> str:
    return ", ".join(f"{node['title']} [dim]({node['type']})[/]" for node in nodes[:8]) + (
        " …" if len(nodes) > 8 else ""
    )


def _dry_run(hub: HubClient, body: Json) -> dict[ResourceKey, str]:
    console.rule("3 · Dry run: the plan, without a write")
    job = hub.run_job(hub.post("/v1/configs/sync-jobs", {**body, "name": "Demo, dry run", "dry_run": True})["id"])
    rows = _rows(hub, job["id"])
    table = Table("type", "create", "patch", "match by name", "leave as it is", title=f"{len(rows)} resources planned")
    per_type: dict[str, Counter[str]] = {}
    for row in rows:
        per_type.setdefault(row["type"], Counter())[row["status"]] += 1
    for name in (n for n in RESOURCE_TYPES if n in per_type):
        counts = per_type[name]
        columns = ("would_create", "would_patch", "would_match_heuristic", "would_skip_unchanged")
        table.add_row(name, *(str(counts[status] or "") for status in columns))
    console.print(table)
    console.print(f"job {job['id']}: [bold]{job['status']}[/]")
    return {ResourceKey(row["type"], row["source_id"]): row["status"] for row in rows}


def _rows(hub: HubClient, job_id: str) -> list[Json]:
    return list(hub.pages(f"/v1/configs/sync-jobs/{job_id}/resources", size=100))


def _sync(hub: HubClient, body: Json) -> tuple[Json, list[Json]]:
    console.rule("4 · Sync")
    created = hub.post("/v1/configs/sync-jobs", {**body, "name": "Demo"})
    with Progress(
        TextColumn("{task.description:<22}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    ) as progress:
        task = progress.add_task("waiting", total=None)

        def show(job: Json) -> None:
            counts = job["counts"]
            done = counts["succeeded"] + counts["failed"] + counts["skipped_unchanged"]
            phase = PHASES.get(job.get("current_phase", ""), "waiting")
            progress.update(task, description=phase, total=counts["total"] or None, completed=done)
            if not sys.stdout.isatty() and phase != shown[-1]:
                shown.append(phase)
                console.print(f"  {phase}: {done} of {counts['total']} done, {counts['in_progress']} in progress")

        shown = [""]
        job = hub.run_job(created["id"], show)
    return job, _rows(hub, job["id"])


def _judge(planned: dict[ResourceKey, str], job: Json, rows: list[Json]) -> list[str]:
    counts = job["counts"]
    statuses = Counter(row["status"] for row in rows)
    console.print(f"job {job['id']}: [bold]{job['status']}[/]  " + "  ".join(f"{k} {v}" for k, v in statuses.items()))
    skipped = Counter(
        row.get("error") or "unchanged, system-managed or there by name" for row in rows if row["status"] == "skipped"
    )
    for reason, number in skipped.most_common():
        console.print(f"  skipped {number}: {reason}")
    for event in job.get("events", [])[:5]:
        console.print(f"  [dim]{event['ts']} {event.get('type', '')} {event['status']} {event.get('message', '')}[/]")
    for error in job.get("errors_sample", []):
        console.print(f"  [yellow]{error['type']} {error['source_id']}: {error['error']}[/]")
    failures = []
    if job["status"] != "succeeded":
        failures.append(f"the job ended {job['status']}")
    if len(rows) < 100 or len({row["type"] for row in rows}) < 20:
        failures.append(f"the closure has only {len(rows)} resources of {len({r['type'] for r in rows})} types")
    if counts["total"] != sum(v for k, v in counts.items() if k != "total") or counts["total"] != len(rows):
        failures.append(f"the counters do not add up: {counts} over {len(rows)} rows")
    for row in rows:
        plan = planned.get(ResourceKey(row["type"], row["source_id"]))
        if row["status"] not in BECOMES.get(plan or "", ()):
            failures.append(f"{row['type']} {row['source_id']} was planned as {plan} and became {row['status']}")
    return failures


def _prove(control: SandboxControl, org_ids: dict[str, str], rows: list[Json]) -> list[str]:
    console.rule("5 · Proof: dumps of both organisations, compared under the id map")
    dumps = {side: control.dump(RESOURCE_TYPES, org_id) for side, org_id in org_ids.items()}
    id_map = {
        ResourceKey(row["type"], row["source_id"]): row["target_id"] for row in rows if row.get("target_id") is not None
    }
    written = [ResourceKey(row["type"], row["source_id"]) for row in rows if row["status"] in ("created", "patched")]
    unmapped = [row["source_id"] for row in rows if not row.get("target_id")]
    found = list(differences(RESOURCE_TYPES, dumps["source"], dumps["target"], id_map, written, unmapped))
    console.print(f"{len(written)} configurations written, {len(id_map)} ids mapped, {len(found)} differences")
    leftovers = _source_ids_in_target(id_map, dumps["target"], written)
    console.print(f"source ids left in what was written: {len(leftovers)}")
    return [str(difference) for difference in found[:10]] + leftovers[:10]


def _source_ids_in_target(
    id_map: dict[ResourceKey, str], target: dict[ResourceKey, Json], written: list[ResourceKey]
) -> list[str]:
    remapped = {key.id for key, target_id in id_map.items() if key.id != target_id and len(key.id) >= 8}
    texts = {
        key: json.dumps(target[ResourceKey(key.type, id_map[key])])
        for key in written
        if ResourceKey(key.type, id_map[key]) in target
    }
    return [
        f"the target's copy of {key} still names source id {source_id}"
        for key, text in texts.items()
        for source_id in remapped
        if source_id in text
    ]


if __name__ == "__main__":
    sys.exit(main())
