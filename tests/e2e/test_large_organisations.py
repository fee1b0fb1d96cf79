"""What a request can hold: 10,000 configs and more at 50 ms a downstream call, and clear errors beyond."""

from __future__ import annotations

import gzip
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import batched
from typing import Any
from uuid import UUID

import pytest

from sandbox.control import SandboxControl
from sandbox.hub_client import HubClient, Json
from shared.catalog.registry import RESOURCE_TYPES
from tests.e2e.conftest import Pair, make_pair
from tests.published import violations

pytestmark = pytest.mark.long

#: What API Gateway waits for an answer, and what Lambda lets out.
LIMIT_S = 29
LIMIT_BYTES = 6 * 1024 * 1024
LATENCY_MS = 50
_PAIRED = "journey"

Say = Callable[[str], None]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def say(text: str) -> None:
        with capsys.disabled():
            print(f"\n{text}", end=" ")

    return say


@pytest.fixture(scope="module")
def large(stack: Json, control: SandboxControl) -> Iterator[Pair]:
    """A source of more than 10,000 configs; its journeys, which a list does not carry whole, are paired one to one."""
    pair = make_pair(stack, control, seed=7, scale=58)
    dump = control.dump(RESOURCE_TYPES, pair.source_id)
    assert len(dump) >= 10_000
    journeys = {key.id: payload for key, payload in dump.items() if key.type == _PAIRED}
    resources = [{"type": _PAIRED, "payload": payload} for payload in journeys.values()]
    control.call("POST", f"/orgs/{pair.target_id}/resources", {"resources": resources})

    def confirm(journey_id: str) -> int:
        body = {"type": _PAIRED, "source_org_id": pair.target_id, "source_id": journey_id, "target_id": journey_id}
        return pair.source.send("POST", "/v1/configs/lineage", json=body).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(confirm, journeys)) == {201}
    yield pair
    control.reset("behaviour")


def timed(say: Say, what: str, operation: str, send: Callable[[], Any]) -> tuple[int, Json]:
    """Send a request; what comes back must conform, and be within the limits."""
    began = time.monotonic()
    answer = send()
    seconds = time.monotonic() - began
    body: Json = answer.json()
    size, compressed = len(answer.content), len(gzip.compress(answer.content))
    count = body.get("resources_count") or len(body.get("rows", ())) or body.get("error") or body.get("warnings_total")
    say(f"{what}: {answer.status_code}, {count}, {seconds:.1f} s, {size:,} bytes, {compressed:,} compressed")
    assert seconds < LIMIT_S
    assert size < LIMIT_BYTES
    assert violations(operation, answer.status_code, body) == []
    return answer.status_code, body


def inventory(say: Say, hub: HubClient) -> tuple[int, Json]:
    return timed(say, "inventory", "getConfigInventory", lambda: hub.send("GET", "/v1/configs/inventory"))


def compare(say: Say, pair: Pair, type_name: str) -> tuple[int, Json]:
    body = {"source_org_id": pair.target_id, "source_auth_token": pair.target_token, "type": type_name}
    return timed(
        say,
        f"compare {type_name}",
        "compareConfigs",
        lambda: pair.source.send("POST", "/v1/configs/compare", json=body),
    )


def test_an_inventory_of_ten_thousand_configs_is_whole_and_in_time(
    large: Pair, control: SandboxControl, say: Say
) -> None:
    control.behave(latency_ms=LATENCY_MS)
    status, body = inventory(say, large.source)

    assert status == 200
    assert body["skipped_types"] == []
    assert body["resources_count"] == len(body["resources"]) >= 10_000


def test_every_type_of_a_large_organisation_is_compared_whole_and_in_time(
    large: Pair, control: SandboxControl, say: Say
) -> None:
    control.behave(latency_ms=LATENCY_MS)
    rows = {}
    for name in RESOURCE_TYPES:
        status, body = compare(say, large, name)
        assert status == 200, body
        rows[name] = body["counts"]

    assert sum(counts["only_current"] + counts["matched"] for counts in rows.values()) >= 10_000
    assert rows[_PAIRED]["matched"] > 400


def test_what_cannot_be_read_in_time_is_a_504_that_says_how_far_it_came(
    large: Pair, control: SandboxControl, say: Say
) -> None:
    control.behave(latency_ms=40 * LATENCY_MS)
    try:
        answers = [inventory(say, large.source), compare(say, large, _PAIRED)]
    finally:
        control.behave(latency_ms=LATENCY_MS)

    for status, body in answers:
        assert status == 504
        assert re.search(r"\d", body["error"])


def test_a_type_of_fifteen_thousand_is_compared_whole_and_one_of_25_000_is_a_413_that_says_how_many(
    stack: Json, control: SandboxControl, say: Say
) -> None:
    pair = make_pair(stack, control, seed=8)
    org_id = control.make_organisation()
    own = HubClient(stack["api_url"], control.make_token(org_id))
    dump = control.dump(RESOURCE_TYPES, pair.source_id)
    sample = next(payload for key, payload in dump.items() if key.type == "product")

    def load(numbers: range) -> None:
        for some in batched(numbers, 1000, strict=True):
            copies = [{**sample, "_id": str(UUID(int=one)), "_org": org_id} for one in some]
            resources = [{"type": "product", "payload": payload} for payload in copies]
            control.call("POST", f"/orgs/{org_id}/resources", {"resources": resources})

    control.behave(latency_ms=LATENCY_MS)
    load(range(15_000))
    status, body = compare(say, replace(pair, source=own), "product")
    assert (status, body["counts"]["only_current"]) == (200, 15_000)

    load(range(15_000, 25_000))
    status, body = compare(say, replace(pair, source=own), "product")
    assert status == 413
    held = re.search(r"for ([\d,]+) rows", body["error"])
    assert held is not None
    assert int(held[1].replace(",", "")) >= 25_000
    status, body = inventory(say, own)
    assert (status, body["resources_count"]) == (200, 25_000)


def test_a_thousand_configs_selected_for_deletion_are_taken_in_time(
    stack: Json, control: SandboxControl, say: Say
) -> None:
    hub = make_pair(stack, control, seed=7, scale=10).source
    assert hub.rebuild_index()["status"] == "ready"
    selected = hub.get("/v1/configs/inventory")["resources"][:1000]
    control.behave(latency_ms=LATENCY_MS)

    def send() -> Any:
        return hub.send("POST", "/v1/configs/delete-jobs", json={"name": "All", "resources": selected})

    status, job = timed(say, "1,000 selected for deletion", "createDeleteJob", send)

    assert (status, job["counts"]["total"]) == (201, 1000)
    assert job["warnings_total"] > 0
    ended = hub.run_job(job["id"], kind="delete")
    counts = ended["counts"]
    assert counts["deleted"] + counts["skipped"] + counts["failed"] == 1000
    say(f"deleted, skipped, failed: {counts['deleted']}, {counts['skipped']}, {counts['failed']}")
