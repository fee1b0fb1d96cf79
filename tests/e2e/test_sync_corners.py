"""The corners of a sync on the running stack: overlaps, cancels, retries, faults, hand edits."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest

from sandbox.control import SandboxControl
from sandbox.equality import differences
from sandbox.hub_client import DEADLINE_S, HubClient, Json
from sandbox.seed.factory import Factory, relation
from sandbox.seed.journeys import block, journey, step
from sandbox.seed.portals import design
from sandbox.seed.pricing import product, simple_price, tax
from sandbox.seed.workflows import automation, entity_trigger, journey_trigger
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.resource_type import ResourceKey
from tests.e2e.conftest import Pair, make_pair

JOBS = "/v1/configs/sync-jobs"
#: Operations that write a config.
WRITES = {
    operation.operation_id
    for entry in RESOURCE_TYPES.values()
    for operation in (entry.create, entry.update, entry.delete)
    if operation is not None
}
PRODUCTS = 20


@dataclass(frozen=True, slots=True)
class Shop:
    """A source of taxes, prices and products, an empty target, and a caller in each."""

    source_id: str
    target_id: str
    target_token: str
    source_token: str
    source: HubClient
    target: HubClient
    roots: tuple[Json, ...]

    def start(self, **changes: Any) -> Json:
        """Create a sync job of everything, or as the changes say."""
        return self.source.post(JOBS, self.request(**changes))

    def request(self, **changes: Any) -> Json:
        body = {"source_org_id": self.source_id, "target_org_id": self.target_id}
        return {**body, "target_auth_token": self.target_token, "resources": list(self.roots), **changes}

    def run(self, **changes: Any) -> Json:
        return self.source.run_job(self.start(**changes)["id"])

    def rows(self, job: Mapping[str, Any]) -> list[Json]:
        return list(self.source.pages(f"{JOBS}/{job['id']}/resources", size=100))


def load(control: SandboxControl, org_id: str, resources: list[tuple[str, Json]]) -> None:
    body = {"resources": [{"type": kind, "payload": payload} for kind, payload in resources]}
    control.call("POST", f"/orgs/{org_id}/resources", body)


def open_shop(stack: Json, control: SandboxControl, resources: list[tuple[str, Json]], source_id: str) -> Shop:
    target_id = control.make_organisation()
    load(control, source_id, resources)
    tokens = control.make_token(source_id), control.make_token(target_id)
    id_paths = {kind: RESOURCE_TYPES[kind].fields.id for kind, _ in resources}
    return Shop(
        source_id,
        target_id,
        tokens[1],
        tokens[0],
        HubClient(stack["api_url"], tokens[0]),
        HubClient(stack["api_url"], tokens[1]),
        tuple({"type": kind, "id": payload[id_paths[kind]]} for kind, payload in resources),
    )


def make_shop(stack: Json, control: SandboxControl, *, pairs: int = 1, prices_of: int = PRODUCTS) -> Shop:
    """A tax, prices with it, one product more (42 resources); so many pairs of products sell each other."""
    factory = Factory(source_id := control.make_organisation(), source_id, "shop")
    vat = tax(factory, "VAT", "DE", "Deutschland", 19, "Steuer", [])
    prices = [simple_price(factory, f"Preis {n}", 100 + n, vat["_id"], recurring=False) for n in range(prices_of)]
    products = [product(factory, f"Produkt {n}", [prices[n % prices_of]["_id"]]) for n in range(prices_of + 1)]
    for n in range(pairs):
        one, other = products[2 * n : 2 * n + 2]
        one["cross_sellable_products"] = relation(other["_id"])
        other["cross_sellable_products"] = relation(one["_id"])
    resources = [("tax", vat), *(("price", one) for one in prices), *(("product", one) for one in products)]
    return open_shop(stack, control, resources, source_id)


@pytest.fixture
def shop(stack: Json, control: SandboxControl) -> Iterator[Shop]:
    """A shop whose products 0 and 1 sell each other."""
    yield make_shop(stack, control)
    control.reset("behaviour")


@pytest.fixture
def paired_shop(stack: Json, control: SandboxControl) -> Iterator[Shop]:
    """A shop of ten pairs of products that sell each other."""
    yield make_shop(stack, control, pairs=10)
    control.reset("behaviour")


def writes_into(control: SandboxControl, org_id: str, since: float = 0.0) -> Counter[str]:
    entries = control.requests(org_id, since)
    return Counter(one["operation"] for one in entries if one["operation"] in WRITES)


def titles(control: SandboxControl, org_id: str) -> Counter[tuple[str, str]]:
    dumped = control.dump(RESOURCE_TYPES, org_id)
    return Counter((key.type, str(payload.get("name") or payload["description"])) for key, payload in dumped.items())


def assert_equal(control: SandboxControl, shop: Shop, *jobs: Json) -> None:
    """Every resource is on the target once, and says what its source says."""
    source, target = control.dump(RESOURCE_TYPES, shop.source_id), control.dump(RESOURCE_TYPES, shop.target_id)
    assert titles(control, shop.target_id) == titles(control, shop.source_id)
    id_map = {
        ResourceKey(row["type"], row["source_id"]): row["target_id"]
        for job in jobs
        for row in shop.rows(job)
        if row.get("target_id")
    }
    assert id_map.keys() == source.keys()
    assert [str(one) for one in differences(RESOURCE_TYPES, source, target, id_map, list(id_map))] == []


def assert_counted(shop: Shop, job: Json) -> Counter[str]:
    """The counters are those of the rows."""
    statuses = Counter(row["status"] for row in shop.rows(job))
    counts = shop.source.get(f"{JOBS}/{job['id']}")["counts"]
    assert counts == {
        "total": statuses.total(),
        "pending": statuses["pending"],
        "in_progress": statuses["in_progress"],
        "failed": statuses["failed"],
        "succeeded": sum(n for name, n in statuses.items() if name in ("created", "patched") or "would_m" in name),
        "skipped_unchanged": statuses["skipped"],
    }
    return statuses


def wait_for(is_so: Callable[[], Any], within_s: float = DEADLINE_S) -> None:
    """Wait for something that comes to be; a busy machine takes minutes."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"It did not come to that in {within_s} s"
        time.sleep(0.1)


#: Every running step knows of a cancellation by then: what it knows of its job is never older than a second.
KNOWN_WITHIN_S = 1.2


def until_machine_ended(stack: Json, job: Json) -> str:
    """Wait until nothing of a job runs any more."""
    client = engine_client(stack, "stepfunctions")
    arn = f"{stack['state_machine_arn'].replace(':stateMachine:', ':execution:')}:{job['id']}"
    wait_for(lambda: client.describe_execution(executionArn=arn)["status"] != "RUNNING")
    return str(client.describe_execution(executionArn=arn)["status"])


def engine_client(stack: Json, service: str) -> Any:
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")
    return session.client(service, endpoint_url=stack["aws_endpoint_url"])


def test_forty_two_resources_with_a_cycle_then_five_hand_edits_then_nothing(
    shop: Shop, control: SandboxControl
) -> None:
    started = time.time()
    dry = shop.run(dry_run=True)
    assert Counter(row["status"] for row in shop.rows(dry)) == {"would_create": 42}
    assert writes_into(control, shop.target_id) == {}

    real = shop.run()
    assert Counter(row["status"] for row in shop.rows(real)) == {"created": 42}
    assert_equal(control, shop, real)
    writes = writes_into(control, shop.target_id, started)
    print(f"\n42 resources with a cycle of 2: {dict(writes)}")
    assert writes["createEntity"] == 42
    # One product of the pair is created without the other and inactive, completed, then activated: 3 writes.
    assert writes.total() == 42 + 2

    edited = {row["target_id"]: row["type"] for row in shop.rows(real) if row["type"] == "price"}
    chosen = sorted(edited)[:5]
    there = control.dump(RESOURCE_TYPES, shop.target_id)
    load(
        control,
        shop.target_id,
        [("price", {**there[ResourceKey("price", one)], "description": "Von Hand"}) for one in chosen],
    )
    planned = shop.rows(shop.run(dry_run=True))
    assert {row["target_id"] for row in planned if row["status"] == "would_patch"} == set(chosen)
    assert Counter(row["status"] for row in planned) == {"would_patch": 5, "would_skip_unchanged": 37}
    before = time.time()
    patched = shop.run()
    assert Counter(row["status"] for row in shop.rows(patched)) == {"patched": 5, "skipped": 37}
    assert writes_into(control, shop.target_id, before).total() == 5
    assert_equal(control, shop, patched)

    before = time.time()
    again = shop.run()
    assert Counter(row["status"] for row in shop.rows(again)) == {"skipped": 42}
    assert writes_into(control, shop.target_id, before) == {}


def test_a_closure_of_200_is_planned_as_it_is_then_created(stack: Json, control: SandboxControl) -> None:
    shop = make_shop(stack, control, prices_of=99)
    products = [root for root in shop.roots if root["type"] == "product"]
    dry = shop.rows(shop.run(resources=products, dry_run=True))
    assert Counter(row["status"] for row in dry) == {"would_create": 200}
    assert writes_into(control, shop.target_id) == {}

    real = shop.run(resources=products)
    rows = shop.rows(real)
    assert Counter(row["status"] for row in rows) == {"created": 200}
    assert {(row["type"], row["source_id"]) for row in rows} == {(row["type"], row["source_id"]) for row in dry}
    assert_equal(control, shop, real)


def test_two_jobs_at_once_with_overlapping_selections_make_nothing_twice(shop: Shop, control: SandboxControl) -> None:
    products = [root for root in shop.roots if root["type"] == "product"]
    control.behave(latency_ms=60)
    jobs = [shop.start(resources=part, name="part") for part in (products[:14], products[7:])]
    ended = [shop.source.run_job(job["id"]) for job in jobs]

    assert [job["status"] for job in ended] == ["succeeded", "succeeded"]
    for job in ended:
        print(f"\n{dict(assert_counted(shop, job))}")
    assert_equal(control, shop, *ended)
    assert writes_into(control, shop.target_id)["createEntity"] == 42


def cancelled_while_held(stack: Json, shop: Shop, control: SandboxControl, operation: str, held: int) -> Json:
    """Run a job until so many requests of an operation are held, cancel it, and let them go on once all know."""
    control.behave(faults=[{"operation": operation, "kind": "hold"}])
    job = shop.start()
    wait_for(lambda: control.requests_summary()["held"] == held)
    assert shop.source.post(f"{JOBS}/{job['id']}/cancel")["status"] == "cancelled"
    time.sleep(KNOWN_WITHIN_S)
    control.reset("behaviour")
    released = time.time()
    until_machine_ended(stack, job)
    print(f"\nThe machine ended {time.time() - released:.1f} s after the {held} requests on their way were answered")
    assert shop.source.get(f"{JOBS}/{job['id']}")["status"] == "cancelled"
    return job


def finished_by_a_retry(shop: Shop, job: Json, *before: Json, control: SandboxControl) -> None:
    retried = shop.source.run_job(shop.source.post(f"{JOBS}/{job['id']}/retry")["id"])
    assert retried["status"] == "succeeded", retried
    assert_counted(shop, retried)
    assert_equal(control, shop, *before, retried)


def test_cancelled_while_phase_a_runs_and_finished_by_a_retry(stack: Json, shop: Shop, control: SandboxControl) -> None:
    first = shop.run(resources=[root for root in shop.roots if root["type"] == "tax"])
    before = time.time()
    job = cancelled_while_held(stack, shop, control, "createEntity", PRODUCTS)

    # All prices were on their way; no product was, and none is sent any more.
    assert assert_counted(shop, job) == {"skipped": 1, "in_progress": PRODUCTS, "pending": PRODUCTS + 1}
    assert writes_into(control, shop.target_id, before) == {"createEntity": PRODUCTS}
    finished_by_a_retry(shop, job, first, control=control)
    assert writes_into(control, shop.target_id)["createEntity"] == 42


def test_cancelled_while_phase_b_runs_and_finished_by_a_retry(
    stack: Json, paired_shop: Shop, control: SandboxControl
) -> None:
    shop = paired_shop
    job = cancelled_while_held(stack, shop, control, "patchEntity", 10)

    assert assert_counted(shop, job) == {"in_progress": 42}
    assert writes_into(control, shop.target_id) == {"createEntity": 42, "patchEntity": 10}
    finished_by_a_retry(shop, job, control=control)
    active = [one.get("active") for key, one in control.dump(RESOURCE_TYPES, shop.target_id).items()]
    assert set(active) == {True}


def test_overrides_repair_three_of_five_failures_with_their_dependents(stack: Json, control: SandboxControl) -> None:
    factory = Factory(source_id := control.make_organisation(), source_id, "journeys")
    standard = design(factory, "Design", None)
    steps = [step("Kontakt", [block("ContactControl", "Kontakt")])]
    broken = [journey(factory, factory.uuid(), f"Journey {n}", factory.uuid(), steps) for n in range(5)]
    users = [
        automation(factory, factory.short_id(), f"Automation {n}", journey_trigger(one["journeyId"]), [])
        for n, one in enumerate(broken)
    ]
    free = automation(factory, factory.short_id(), "Frei", entity_trigger("order"), [])
    resources = [("designbuilder", standard), ("automation_flow", free)]
    resources += [("journey", one) for one in broken] + [("automation_flow", one) for one in users]
    shop = open_shop(stack, control, resources, source_id)

    first = shop.run()

    failed = {row["source_id"]: row["error"].partition(":")[0] for row in shop.rows(first) if row["status"] == "failed"}
    assert first["status"] == "partial"
    assert Counter(failed.values()) == {"DANGLING_REFERENCE": 5, "DEPENDENCY_FAILED": 5}
    assert [entry["type"] for entry in first["errors_sample"]] == ["journey"] * 5 + ["automation_flow"] * 5
    repaired = {f"journey:{one['journeyId']}": {"settings": {"designId": standard["id"]}} for one in broken[:3]}
    body = {"payload_overrides": repaired, "target_auth_token": shop.target_token}
    answer = shop.source.post(f"{JOBS}/{first['id']}/retry", body)
    second = shop.source.run_job(answer["id"])
    rows = {row["source_id"]: row["status"] for row in shop.rows(second)}
    expected = {one["journeyId"]: "created" if n < 3 else "failed" for n, one in enumerate(broken)}
    expected |= {one["id"]: "created" if n < 3 else "failed" for n, one in enumerate(users)}
    assert rows == expected
    assert second["status"] == "partial"
    beside = shop.source.send("POST", f"{JOBS}/{second['id']}/retry", json={"payload_overrides": {"tax:x": {}}})
    assert beside.status_code == 400


def test_connections_that_are_cut_make_nothing_twice(shop: Shop, control: SandboxControl) -> None:
    faults = [{"kind": kind, "probability": 0.033, "delay_ms": 3000} for kind in ("reset", "lost_response", "late")]
    control.behave(faults=faults, seed=7)
    job = shop.run()
    statuses = assert_counted(shop, job)
    by_status = control.requests_summary()["by_status"]
    print(f"\n10 % of connections cut ({by_status.get('0')} so far): {job['status']}, {dict(statuses)}")
    control.reset("behaviour")
    jobs = [job]
    if job["status"] != "succeeded":
        jobs.append(shop.source.run_job(shop.source.post(f"{JOBS}/{job['id']}/retry")["id"]))
    assert jobs[-1]["status"] == "succeeded", jobs[-1]
    assert_equal(control, shop, *jobs)


def test_an_aborted_execution_is_closed_by_what_the_rule_hands_over(
    stack: Json, shop: Shop, control: SandboxControl
) -> None:
    control.behave(faults=[{"operation": "createEntity", "kind": "hold"}])
    job = shop.start()
    wait_for(lambda: control.requests_summary()["held"] > 0)
    states, functions = engine_client(stack, "stepfunctions"), engine_client(stack, "lambda")
    arn = f"{stack['state_machine_arn'].replace(':stateMachine:', ':execution:')}:{job['id']}"
    states.stop_execution(executionArn=arn)
    described = states.describe_execution(executionArn=arn)
    # The engine publishes no events of its own: what the rule hands over is handed over here.
    [name] = [
        one["FunctionName"]
        for page in functions.get_paginator("list_functions").paginate()
        for one in page["Functions"]
        if one["FunctionName"].startswith(f"{stack['stack_name']}-FinishJob")
    ]
    detail = {"executionArn": arn, "status": described["status"], "input": described["input"]}
    functions.invoke(FunctionName=name, Payload=json.dumps(detail).encode())

    closed = shop.source.get(f"{JOBS}/{job['id']}")
    statuses = assert_counted(shop, job)
    print(f"\naborted: {closed['status']}, {dict(statuses)}")
    assert (described["status"], closed["status"]) == ("ABORTED", "partial")
    assert statuses["pending"] + statuses["in_progress"] == 42


def test_a_journey_leaves_the_targets_own_schemas_roles_and_variables_as_they_are(
    stack: Json, control: SandboxControl
) -> None:
    pair = make_pair(stack, control, seed=21)
    before = control.dump(RESOURCE_TYPES, pair.target_id)
    secrets = secret_values(control.dump(RESOURCE_TYPES, pair.source_id)) - secret_values(before)
    [root, *_] = [one for one in pair.selections["clean"] if one["type"] == "journey"]

    job = pair.source.run_job(pair.source.post(JOBS, pair.request(resources=[root]))["id"])

    assert job["status"] == "succeeded", job["errors_sample"]
    after = control.dump(RESOURCE_TYPES, pair.target_id)
    own = {key for key in before if key.type in ("schema", "role", "environment_variable")}
    assert ResourceKey("schema", "contact") in {ResourceKey("schema", before[key].get("slug", key.id)) for key in own}
    assert {key: after[key] for key in own} == {key: before[key] for key in own}
    assert secrets
    assert secret_values(after) & secrets == set()


def secret_values(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        return {one for part in value.values() for one in secret_values(part)}
    if isinstance(value, list):
        return {one for part in value for one in secret_values(part)}
    return {value} if isinstance(value, str) and value.startswith("SECRET-") else set()


def test_name_clashes_and_dead_references_end_with_typed_errors(
    stack: Json, pair: Pair, control: SandboxControl
) -> None:
    there = {key.id for key in control.dump(RESOURCE_TYPES, pair.target_id)}
    clash = pair.source.run_job(pair.source.post(JOBS, pair.request("ambiguous", dry_run=True))["id"])
    rows = list(pair.source.pages(f"{JOBS}/{clash['id']}/resources", size=100))
    failed = [row for row in rows if row["status"] == "failed"]
    ambiguous = [row for row in failed if row["error"].startswith("AMBIGUOUS_MATCH: ")]
    assert ambiguous
    for row in ambiguous:
        assert sum(one in row["error"] for one in there) >= 2, row["error"]
    assert {row["error"].partition(":")[0] for row in failed} <= {"AMBIGUOUS_MATCH", "DEPENDENCY_FAILED"}

    by_lineage = pair.source.run_job(
        pair.source.post(JOBS, pair.request("ambiguous", dry_run=True, match="lineage_only"))["id"]
    )
    statuses = Counter(row["status"] for row in pair.source.pages(f"{JOBS}/{by_lineage['id']}/resources", size=100))
    assert statuses["failed"] == statuses["would_match_heuristic"] == 0
    assert statuses["would_create"] >= len(ambiguous)

    dead = pair.source.run_job(pair.source.post(JOBS, pair.request("dangling", dry_run=True))["id"])
    rows = list(pair.source.pages(f"{JOBS}/{dead['id']}/resources", size=100))
    codes = Counter(row["error"].partition(":")[0] for row in rows if row["status"] == "failed")
    print(f"\nambiguous: {Counter(row['error'].partition(':')[0] for row in failed)}, dangling: {codes}")
    assert codes["DANGLING_REFERENCE"]
    assert codes.keys() <= {"DANGLING_REFERENCE", "DEPENDENCY_FAILED"}


def test_an_idempotency_key_makes_one_job_and_refuses_another_body(shop: Shop, control: SandboxControl) -> None:
    key = {"Idempotency-Key": f"key of {shop.source_id}"}
    answers: list[Json] = []
    threads = [
        threading.Thread(target=lambda: answers.append(shop.source.post(JOBS, shop.request(), **key))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({answer["id"] for answer in answers}) == 1
    job = shop.source.run_job(answers[0]["id"])
    assert shop.source.post(JOBS, shop.request(), **key)["id"] == job["id"]
    other = shop.source.send("POST", JOBS, json=shop.request(name="another"), headers=key)
    assert other.status_code == 409
    assert writes_into(control, shop.target_id)["createEntity"] == 42


def test_a_pull_is_the_callers_job_and_reads_with_the_sources_token(shop: Shop, control: SandboxControl) -> None:
    job = shop.target.post(JOBS, shop.request(source_auth_token=shop.source_token))
    ended = shop.target.run_job(job["id"])
    assert (ended["direction"], ended["status"]) == ("pull", "succeeded")
    assert titles(control, shop.target_id) == titles(control, shop.source_id)
    assert shop.source.send("GET", f"{JOBS}/{job['id']}").status_code == 404


def test_without_dependencies_a_needed_one_is_named_or_found_on_the_target(shop: Shop, control: SandboxControl) -> None:
    price = [root for root in shop.roots if root["type"] == "price"][:1]
    vat = [root for root in shop.roots if root["type"] == "tax"]
    alone = shop.run(resources=price, include_dependencies=False)
    [row] = shop.rows(alone)
    print(f"\nalone: {row['status']} {row.get('error')}")
    assert row["status"] == "failed"
    assert row["error"].startswith("DEPENDENCY_NOT_SELECTED: ")
    assert shop.run(resources=vat)["status"] == "succeeded"
    assert [row["status"] for row in shop.rows(shop.run(resources=price, include_dependencies=False))] == ["created"]


def test_a_fourth_job_into_one_target_is_put_off(shop: Shop, control: SandboxControl, stack: Json) -> None:
    control.behave(faults=[{"kind": "hold"}])
    running = [shop.start(name=f"{n}") for n in range(3)]
    refused = shop.source.send("POST", JOBS, json=shop.request(name="fourth"))
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    for job in running:
        shop.source.post(f"{JOBS}/{job['id']}/cancel")
    control.reset("behaviour")
    for job in running:
        until_machine_ended(stack, job)
    assert shop.run()["status"] == "succeeded"
