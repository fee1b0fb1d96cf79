"""No token and no secret value is found anywhere but where it belongs.

A source organisation and its callers get canaries: one for each kind of secret. The hub is then used in every way that
meets them, well and badly, and all that it keeps, logs, sends and answers is searched.
"""

from __future__ import annotations

import gzip
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import boto3
import pytest
import requests

from sandbox.control import SandboxControl
from sandbox.equality import SECRET_MARK
from sandbox.hub_client import HubClient, Json
from sandbox.stack import deployment
from sandbox.stack.settings import read_settings
from shared.catalog.registry import RESOURCE_TYPES
from tests.e2e.conftest import Pair, make_pair
from tests.e2e.test_sync_corners import load, wait_for

SyncResult = tuple[Json, list[Json], Json]
Plant = Callable[[Json, str], None]

JOBS = "/v1/configs/sync-jobs"
#: What is sent away or told a second time arrives within this time.
ARRIVES_WITHIN_S = 120


def _auth(kind: str, part: str, name: str, **more: str) -> Plant:
    def plant(payload: Json, canary: str) -> None:
        payload["auth"] = {"authType": kind, part: {**more, name: canary}}

    return plant


def _header(payload: Json, canary: str) -> None:
    payload["payloadConfiguration"]["custom_headers"] = {"X-Key": canary}


def _connector(name: str, kind: str) -> Plant:
    def plant(payload: Json, canary: str) -> None:
        config = {**(payload.get("connector_config") or {}), "base_url": "https://erp.example"}
        payload["connector_config"] = {**config, "auth": {"type": kind, name: canary}}

    return plant


def _provider(name: str, part: str, inner: str = "") -> Plant:
    def plant(payload: Json, canary: str) -> None:
        config = payload["identity_providers"][0][part]
        (config[inner] if inner else config)[name] = canary

    return plant


def _option(payload: Json, canary: str) -> None:
    options = [one for part in payload["option_values"] for one in part["options"]]
    (secret,) = [one for one in options if str(one.get("value")).startswith(SECRET_MARK)]
    secret["value"] = canary


#: kind -> (type, how a raw payload of it gets the canary)
PLANTS: Mapping[str, tuple[str, Plant]] = {
    "public token of a journey": ("journey", lambda one, canary: one["settings"].update(publicToken=canary)),
    "promo code": ("coupon", lambda one, canary: one["promo_codes"][0].update(code=canary)),
    "download address": ("file", lambda one, canary: one.update(custom_download_url=f"https://a.example/?t={canary}")),
    "signing secret": ("webhook", lambda one, canary: one.update(signingSecret=canary)),
    "password of a webhook": ("webhook", _auth("BASIC", "basicAuthConfig", "password", username="u")),
    "key of a webhook": ("webhook", _auth("API_KEY", "apiKeyConfig", "keyValue", keyName="k")),
    "header of a webhook": ("webhook", _header),
    "client secret of an integration": ("integration", _connector("client_secret", "oauth2_client_credentials")),
    "key of an integration": ("integration", _connector("api_key", "api_key")),
    "environment variable": ("environment_variable", lambda one, canary: one.update(value=canary)),
    "access token of a portal": ("portal_config", lambda one, canary: one.update(accessToken=canary)),
    "client secret of a provider": ("portal_config", _provider("client_secret", "oidc_config")),
    "test password of a provider": ("portal_config", _provider("test_auth_password", "oidc_config", "metadata")),
    "client secret for phones": ("portal_config", _provider("client_secret", "mobile_oidc_config")),
    "option of an app": ("app", _option),
}


@dataclass
class Canaries:
    """What must not be found, and all answers that were given.

    Attributes:
        values: kind -> the secret, or the signature of a token.
        answers: bodies and headers of all answers.
        ended: status of every job.
    """

    values: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)

    def made(self, kind: str) -> str:
        self.values[kind] = f"canary-{len(self.values):02}-{quote(kind, safe='').replace('%', '')}-9f3b"
        return self.values[kind]

    def token(self, kind: str, token: str) -> str:
        self.values[kind] = token.rpartition(".")[2]
        return token

    def hub(self, stack: Json, token: str) -> HubClient:
        """Return a caller whose answers are kept."""
        made = HubClient(stack["api_url"], token)

        def keep(answer: requests.Response, *_: Any, **__: Any) -> None:
            self.answers.append(f"{dict(answer.headers)} {answer.text}")

        made._session.hooks["response"].append(keep)
        return made


@pytest.fixture(scope="module")
def client(stack: Json) -> Any:
    """Make a client of the local engine."""
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")
    return lambda service: session.client(service, endpoint_url=stack["aws_endpoint_url"])


@pytest.fixture(scope="module")
def events(client: Any) -> str:
    """A queue that gets every event that the hub publishes."""
    queue = client("sqs").create_queue(QueueName="canary-events")["QueueUrl"]
    arn = client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = json.dumps({"detail-type": ["SyncJobFinished", "DeleteJobFinished"]})
    client("events").put_rule(Name="canary-events", EventPattern=pattern)
    client("events").put_targets(Rule="canary-events", Targets=[{"Id": "queue", "Arn": arn}])
    return str(queue)


def _plant(control: SandboxControl, pair: Pair, canaries: Canaries) -> list[Json]:
    """Put a canary of every kind into a config of its type, one config after the other; return what was planted in."""
    dumped = control.call("GET", f"/orgs/{pair.source_id}/resources")["resources"]
    changed: dict[tuple[str, str], Json] = {}
    for number, (kind, (type_name, plant)) in enumerate(PLANTS.items()):
        held = [one for one in dumped if one["type"] == type_name and not one["payload"].get("protected")]
        if type_name == "environment_variable":
            held = [one for one in held if one["payload"]["type"] == "SecretString"]
        if type_name == "app":
            held = [one for one in held if SECRET_MARK in json.dumps(one)]
        one = held[number % len(held)]
        plant(one["payload"], canaries.made(kind))
        changed[type_name, one["id"]] = one["payload"]
    load(control, pair.source_id, [(type_name, payload) for (type_name, _), payload in changed.items()])
    held_now = json.dumps(control.call("GET", f"/orgs/{pair.source_id}/resources"))
    assert all(canary in held_now for canary in canaries.values.values())
    return [{"type": type_name, "id": ident} for type_name, ident in changed]


@pytest.fixture(scope="module")
def canaries(stack: Json, control: SandboxControl, client: Any, events: str) -> Canaries:
    """Canaries of every kind, once the hub has met them in every way."""
    made, pair = Canaries(), make_pair(stack, control, seed=29)
    planted = _plant(control, pair, made)
    source_id, target_id = pair.source_id, pair.target_id

    def token(kind: str, org_id: str, ttl_s: int = 3600) -> str:
        return made.token(f"token: {kind}", control.make_token(org_id, ttl_s=ttl_s, user_id=f"user of {kind}"))

    def ended(hub: HubClient, job: Json, kind: str = "sync") -> Json:
        closed = hub.run_job(job["id"], kind=kind)
        made.ended[f"{kind} {job['id']}"] = closed["status"]
        list(hub.pages(f"/v1/configs/{kind}-jobs/{job['id']}/resources", size=100))
        return closed

    source, target = (made.hub(stack, token(kind, org)) for kind, org in (("push", source_id), ("pull", target_id)))
    for hub in (source, target):
        assert hub.rebuild_index()["status"] == "ready"
    sides = {"source_org_id": source_id, "target_org_id": target_id, "resources": planted}
    push = {**sides, "target_auth_token": token("target", target_id)}
    ended(source, source.post(JOBS, {**push, "dry_run": True}))
    control.behave(faults=[{"kind": "status", "operation": "createConfig", "status": 400}])
    failed = ended(source, source.post(JOBS, push))
    control.reset("behaviour")
    assert failed["status"] == "partial"
    rows = source.pages(f"{JOBS}/{failed['id']}/resources", status="failed", size=100)
    hook = next(row["source_id"] for row in rows if row["type"] == "webhook")
    over = {"auth": {"authType": "BASIC", "basicAuthConfig": {"username": "u", "password": made.made("override")}}}
    fresh = {"target_auth_token": token("retry", target_id), "payload_overrides": {f"webhook:{hook}": over}}
    ended(source, source.post(f"{JOBS}/{failed['id']}/retry", fresh))
    ended(source, source.post(JOBS, {**push, "activation": "follow"}))
    stopped = source.post(JOBS, push)
    source.send("POST", f"{JOBS}/{stopped['id']}/cancel")
    ended(source, stopped)
    pulled = {"source_auth_token": token("source", source_id), "target_auth_token": token("own", target_id)}
    ended(target, target.post(JOBS, {**sides, **pulled, "dry_run": True}))
    other = {"source_org_id": source_id, "source_auth_token": token("compare", source_id)}
    for type_name in sorted({one["type"] for one in planted}):
        target.send("POST", "/v1/configs/compare", json={**other, "type": type_name})
        ids = [one["id"] for one in planted if one["type"] == type_name]
        target.send("POST", "/v1/configs/compare/suggestions", json={**other, "type": type_name, "source_ids": ids})
        for ident in ids:
            source.send("GET", f"/v1/configs/{type_name}/{quote(ident, safe='')}/dependencies")
        source.send("GET", f"/v1/configs/{type_name}", params={"size": 100})
    source.send("GET", "/v1/configs/inventory", params={"include_dependency_only": "true"})
    _refused(made, stack, source, push, token)
    ended(target, target.post("/v1/configs/delete-jobs", {"resources": planted[:2]}), kind="delete")
    _lose_a_build(client, source_id)
    wait_for(lambda: len(_messages(client, events)) >= len(made.ended), ARRIVES_WITHIN_S)
    return made


def _refused(canaries: Canaries, stack: Json, source: HubClient, push: Json, token: Callable[..., str]) -> None:
    """Ask for what is refused, with secrets in what was asked."""
    for kind, bearer in {
        "expired": token("expired", push["source_org_id"], -60),
        "no token": canaries.made("garbage for a token"),
        "altered": token("altered", push["source_org_id"])[:-4] + "AAAA",
    }.items():
        assert canaries.hub(stack, bearer).send("GET", "/v1/configs/types").status_code == 401, kind
    wrong = canaries.made("garbage for a second token")
    assert source.send("POST", JOBS, json={**push, "target_auth_token": wrong}).status_code == 403
    foreign = token("of another organisation", push["source_org_id"])
    assert source.send("POST", JOBS, json={**push, "target_auth_token": foreign}).status_code == 403
    broken = f'{{"target_auth_token": "{canaries.made("body that is no JSON")}"'
    assert source.send("POST", JOBS, data=broken).status_code == 400
    odd = {"target_auth_token": [canaries.made("token of the wrong type")]}
    assert source.send("POST", JOBS, json={**push, **odd}).status_code == 400
    fresh = {"target_auth_token": token("no such job", push["target_org_id"])}
    assert source.send("POST", f"{JOBS}/no-such-job/retry", json=fresh).status_code == 404


def _lose_a_build(client: Any, org_id: str) -> None:
    """Give the builder an event of another version of the service: it breaks off twice and is a dead letter."""
    (function,) = _physical("AWS::Lambda::Function", "BuildIndexFunction")
    event = json.dumps({"org_id": org_id, "build_token": "of-another-version"})
    client("lambda").invoke(FunctionName=function, Qualifier="live", InvocationType="Event", Payload=event)
    wait_for(lambda: list(_dead_letters(client)), ARRIVES_WITHIN_S)


def _physical(kind: str, *names: str) -> list[str]:
    found = deployment.list_resources(read_settings(), kind)
    return [physical for logical, physical in found.items() if not names or logical in names]


# Places


def _items(client: Any, table: str) -> Iterator[str]:
    for page in client("dynamodb").get_paginator("scan").paginate(TableName=table):
        for item in page["Items"]:
            yield repr(item)
            # Memories are packed.
            if isinstance(packed := item.get("content", {}).get("B"), bytes):
                yield gzip.decompress(packed).decode()


def _log_lines(client: Any, group: str) -> Iterator[str]:
    logs = client("logs")
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
        for event in page["events"]:
            yield event["message"]


def _executions(client: Any, machine: str) -> Iterator[str]:
    steps = client("stepfunctions")
    for page in steps.get_paginator("list_executions").paginate(stateMachineArn=machine):
        for execution in page["executions"]:
            arn = execution["executionArn"]
            described = steps.describe_execution(executionArn=arn)
            yield json.dumps([described.get("input"), described.get("output")])
            for history in steps.get_paginator("get_execution_history").paginate(executionArn=arn):
                yield json.dumps(history["events"], default=str)


def _payloads(client: Any, bucket: str) -> Iterator[str]:
    store = client("s3")
    for page in store.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for found in page.get("Contents", ()):
            yield gzip.decompress(store.get_object(Bucket=bucket, Key=found["Key"])["Body"].read()).decode()


def _messages(client: Any, queue: str) -> list[str]:
    """Return the messages of a queue, and leave them there."""
    found: dict[str, str] = {}
    for _ in range(20):
        answer = client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10, VisibilityTimeout=2)
        found |= {one["MessageId"]: json.dumps(one) for one in answer.get("Messages", ())}
        if not answer.get("Messages"):
            break
    time.sleep(2)
    return [*found.values()]


def _dead_letters(client: Any) -> Iterator[str]:
    for queue in _physical("AWS::SQS::Queue"):
        yield from _messages(client, queue)


def _everything_kept(client: Any, stack: Json) -> Iterator[tuple[str, str]]:
    for name, table in stack["tables"].items():
        yield from ((name, text) for text in _items(client, table))
    yield from (("payload", text) for text in _payloads(client, stack["payload_bucket"]))
    for group in stack["log_groups"]:
        yield from ((group, text) for text in _log_lines(client, group))
    for machine in ("state_machine_arn", "delete_state_machine_arn"):
        yield from (("execution", text) for text in _executions(client, stack[machine]))


def _tokens(pair: Pair) -> Mapping[str, str]:
    return {pair.source_id: pair.source_token, pair.target_id: pair.target_token}


def test_no_canary_is_found_in_anything_that_the_hub_keeps_logs_sends_or_answers(
    client: Any,
    stack: Json,
    pair: Pair,
    synced: SyncResult,
    canaries: Canaries,
    events: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert synced[2]["status"] == "succeeded"
    values = {**canaries.values, "a secret of the seed": SECRET_MARK}
    values |= {f"token of {org}": token.rpartition(".")[2] for org, token in _tokens(pair).items()}
    seen, found = Counter[str](), []
    sent = [("event", text) for text in _messages(client, events)]
    sent += [("dead letter", text) for text in _dead_letters(client)]
    told = [("answer", text) for text in canaries.answers]
    for place, text in (*_everything_kept(client, stack), *sent, *told):
        seen["logs" if place in stack["log_groups"] else place] += 1
        found += [f"{kind} in {place}: {text[:300]}" for kind, value in values.items() if value in text]
    with capsys.disabled():
        places = ", ".join(f"{place} {number:,}" for place, number in sorted(seen.items()))
        print(f"\n{len(values)} canaries, {seen.total():,} texts ({places}): {len(found)} found")
    assert found == []
    assert len(values) >= 12
    assert {"logs", "payload", "execution", "event", "dead letter", "answer", "CredentialsTable"} <= seen.keys()
    assert stack["tables"].keys() <= seen.keys()


def test_every_type_with_secrets_has_a_canary() -> None:
    with_secrets = {name for name, one in RESOURCE_TYPES.items() if one.secrets}
    # Both are files.
    assert with_secrets - {"document_template"} <= {type_name for type_name, _ in PLANTS.values()}


def test_job_credentials_are_gone_when_the_job_succeeded(client: Any, stack: Json, synced: SyncResult) -> None:
    kept = [text for text in _items(client, stack["tables"]["CredentialsTable"]) if synced[2]["id"] in text]
    assert kept == []


def test_nothing_but_ids_counters_and_flags_travels_through_the_machine(
    client: Any, stack: Json, synced: SyncResult
) -> None:
    steps = client("stepfunctions")
    arn = stack["state_machine_arn"].replace(":stateMachine:", ":execution:") + ":" + synced[2]["id"]
    given = json.loads(steps.describe_execution(executionArn=arn)["input"])
    assert set(given) == {"org_id", "job_id"}
