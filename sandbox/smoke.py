"""Try a deployed hub: the gateway's own answers, paths, permissions with their conditions, and the main job.

`make smoke` tries the stack on this machine, in two organisations of its own. `make smoke ENV=dev` tries the stack that
samconfig.toml names for `dev`, with the caller's AWS credentials and what the environment says:

HUB_SOURCE_TOKEN, HUB_TARGET_TOKEN: tokens of a user of the source and of one of the target organisation.
HUB_SELECTION: what to sync, as `type:id type:id`; what it uses comes along.
HUB_WRITE: `yes` to sync for real into the target; without it the dry run is the last that is tried.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
import jwt
from rich.console import Console
from rich.table import Table

from sandbox.control import SandboxControl
from sandbox.hub_client import HubClient, Json
from sandbox.stack.deployment import client
from sandbox.stack.settings import read_settings
from shared.adapters.tokens import ORG_CLAIMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import requests

JOBS = "/v1/configs/sync-jobs"
#: What a role may never do, whatever its function does.
FORBIDDEN = {
    "AWS::DynamoDB::Table": ("dynamodb:DeleteTable", "dynamodb:UpdateTable", "dynamodb:Scan"),
    "AWS::S3::Bucket": ("s3:DeleteBucket", "s3:PutBucketPolicy"),
    "AWS::KMS::Key": ("kms:ScheduleKeyDeletion", "kms:PutKeyPolicy", "kms:CreateGrant"),
}
#: Actions that are allowed under a condition only: asked for without what it wants, they are refused.
CONDITIONAL = {"AWS::S3::Bucket": ("s3:ListBucket",), "AWS::KMS::Key": ("kms:Decrypt", "kms:GenerateDataKey")}

console = Console(width=None if sys.stdout.isatty() else 120)


@dataclass(frozen=True, slots=True)
class Place:
    """What is tried.

    Attributes:
        stack_name: the CloudFormation stack.
        api_url: its base URL; None where its outputs say so.
        is_local: it runs on this machine, where the engine answers in the gateway's place.
        aws: makes a client of an AWS service.
        tokens: bearer tokens of the source's and of the target's user.
        org_ids: the two organisations.
        selection: what to sync.
        may_write: whether to sync for real.
    """

    stack_name: str
    api_url: str | None
    is_local: bool
    aws: Callable[[str], Any]
    tokens: tuple[str, str]
    org_ids: tuple[str, str]
    selection: Sequence[Json]
    may_write: bool


class SkippedError(Exception):
    """A trial that has no meaning here; the message says why."""


def main() -> int:
    """Try everything, print a table, and return 0 only where nothing failed."""
    parser = argparse.ArgumentParser(description="Try a deployed hub.")
    parser.add_argument("--env", default="local", help="section of samconfig.toml; local: the stack on this machine")
    environment = parser.parse_args().env
    place = local_place() if environment == "local" else deployed_place(environment, os.environ)
    return 1 if show(place, try_all(place)) else 0


def local_place() -> Place:
    """Return the stack of `make stack`, with two seeded organisations that nobody else uses."""
    settings = read_settings()
    described = json.loads((settings.local / "stack.json").read_text())
    control = SandboxControl(described["sandbox_url"])
    source, target = control.make_organisation(), control.make_organisation()
    selections = control.seed(source, target, scale=0.2, seed=7)
    return Place(
        stack_name=described["stack_name"],
        api_url=described["api_url"],
        is_local=True,
        aws=lambda service: client(settings, service),
        tokens=(control.make_token(source), control.make_token(target)),
        org_ids=(source, target),
        selection=selections["clean"],
        may_write=True,
    )


def deployed_place(environment: str, variables: Mapping[str, str]) -> Place:
    """Return the stack that samconfig.toml names for an environment.

    Raises:
        SystemExit: there is no such section, or a variable is missing.
    """
    sections = tomllib.loads(Path("samconfig.toml").read_text())
    if environment not in sections:
        sys.exit(f"samconfig.toml has no section {environment}.")
    missing = [name for name in ("HUB_SOURCE_TOKEN", "HUB_TARGET_TOKEN", "HUB_SELECTION") if not variables.get(name)]
    if missing:
        sys.exit(f"Set {', '.join(missing)}: see the head of sandbox/smoke.py.")
    tokens = variables["HUB_SOURCE_TOKEN"], variables["HUB_TARGET_TOKEN"]
    region = sections[environment]["global"]["parameters"]["region"]
    return Place(
        stack_name=sections[environment]["deploy"]["parameters"]["stack_name"],
        api_url=None,
        is_local=False,
        aws=lambda service: boto3.client(service, region_name=region),
        tokens=tokens,
        org_ids=(_organisation_of(tokens[0]), _organisation_of(tokens[1])),
        selection=[_parsed(one) for one in variables["HUB_SELECTION"].split()],
        may_write=variables.get("HUB_WRITE") == "yes",
    )


def _organisation_of(token: str) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    return str(next(claims[name] for name in ORG_CLAIMS if name in claims))


def _parsed(one: str) -> Json:
    type_name, _, config_id = one.partition(":")
    return {"type": type_name, "id": config_id}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one trial: `held`, `failed` or `skipped`, and what there is to say of it."""

    group: str
    name: str
    result: str
    detail: str


def try_all(place: Place) -> list[Outcome]:
    """Try everything in its order; what one trial needs of an earlier one that failed is skipped."""
    trials = Trials(place)
    return [_tried(group, name, trial) for group, name, trial in trials.all()]


def _tried(group: str, name: str, trial: Callable[[], str]) -> Outcome:
    try:
        return Outcome(group, name, "held", trial())
    except SkippedError as reason:
        return Outcome(group, name, "skipped", str(reason))
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is what the table is for
        return Outcome(group, name, "failed", f"{error}" or type(error).__name__)


class Trials:
    """All that is tried.

    Args:
        place: where.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        url = place.api_url or _output(place, "ApiUrl")
        self._source, self._target = (HubClient(url, token) for token in place.tokens)
        self._nobody, self._stranger = HubClient(url, None), HubClient(url, "not.a.token")
        self._planned: Counter[str] | None = None
        self._rows: list[Json] = []

    def all(self) -> Iterator[tuple[str, str, Callable[[], str]]]:
        """Yield group, name and trial."""
        yield "gateway", "no token: 401 in the contract's shape, readable by browsers", self.refuses_nobody
        yield "gateway", "a token of nobody: 401", self.refuses_a_stranger
        yield "gateway", "a preflight needs no token", self.answers_preflights
        yield "gateway", "a body that is no JSON: 400 that says so", self.refuses_no_json
        yield "paths", "a colon in a path: index:rebuild", self.builds
        yield "paths", "an id with a colon, encoded", self.finds_encoded_colons
        yield "paths", "an id with a slash, encoded, is an id", self.finds_encoded_slashes
        yield "permissions", "no role may remove or lay open what holds state", self.forbids
        yield "permissions", "ListBucket, Decrypt and GenerateDataKey only under their conditions", self.asks_conditions
        yield "main job", "lists, dependencies and users", self.looks_around
        yield "main job", "a dry run plans every row (reads of missing objects answer 404)", self.plans
        yield "main job", "the sync makes what was planned", self.syncs
        yield "main job", "the same again writes nothing", self.syncs_again

    def refuses_nobody(self) -> str:
        """Call without a token."""
        answer = self._nobody.send("GET", "/v1/configs/index", headers={"Origin": "https://example.com"})
        _expect_status(answer, 401)
        if self._place.is_local:
            return "401; the engine's own body: its shape is only on AWS"
        _expect(answer.json().keys() == {"status", "error"}, f"the body is {answer.text[:200]}")
        _expect("access-control-allow-origin" in answer.headers, "no Access-Control-Allow-Origin")
        return "401"

    def refuses_a_stranger(self) -> str:
        """Call with something that is no token."""
        answer = self._stranger.send("GET", "/v1/configs/index")
        _expect_status(answer, 401)
        return "401"

    def answers_preflights(self) -> str:
        """Ask what a browser asks first."""
        asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
        answer = self._nobody.send("OPTIONS", JOBS, headers=asked)
        allowed = answer.headers.get("access-control-allow-methods", "")
        _expect(answer.ok, f"{answer.status_code}")
        _expect("POST" in allowed, f"allowed methods are {allowed!r}")
        return f"{answer.status_code}, {allowed}"

    def refuses_no_json(self) -> str:
        """Send something else than JSON."""
        answer = self._source.send("POST", JOBS, data="{", headers={"Content-Type": "application/json"})
        _expect_status(answer, 400)
        return answer.text[:80]

    def builds(self) -> str:
        """Rebuild the indexes of both organisations."""
        states = [hub.rebuild_index() for hub in (self._source, self._target)]
        for state in states:
            _expect(state["status"] == "ready", f"{state}")
        return ", ".join(f"{state['total_items']} configs" for state in states)

    def finds_encoded_colons(self) -> str:
        """Ask for a role, whose ids hold a colon."""
        roles = self._source.get("/v1/configs/role", size=1)["results"]
        if not roles:
            raise SkippedError("the source has no role")
        answer = self._source.send("GET", f"/v1/configs/role/{quote(roles[0]['id'], safe='')}/dependencies")
        _expect_status(answer, 200)
        return "200"

    def finds_encoded_slashes(self) -> str:
        """Ask for what is not there under an id that holds a slash."""
        answer = self._source.send("GET", f"/v1/configs/journey/{quote('no/such', safe='')}/dependencies")
        if self._place.is_local and answer.status_code in (403, 404):
            return f"{answer.status_code}; the engine decodes before it routes: a 404 of the hub is only on AWS"
        _expect_status(answer, 404)
        _expect("no/such" in answer.text, f"another id was looked for: {answer.text[:200]}")
        return "404"

    def forbids(self) -> str:
        """Let IAM decide what the functions' roles must not do."""
        return self._simulated(FORBIDDEN)

    def asks_conditions(self) -> str:
        """Let IAM decide conditional actions without their conditions."""
        return self._simulated(CONDITIONAL)

    def _simulated(self, actions_by_type: Mapping[str, Sequence[str]]) -> str:
        resources = self._resources()
        roles = [one["PhysicalResourceId"] for one in resources if one["LogicalResourceId"].endswith("FunctionRole")]
        _expect(bool(roles), "the stack has no role of a function")
        iam, asked = self._place.aws("iam"), 0
        for role in roles:
            role_arn = iam.get_role(RoleName=role)["Role"]["Arn"]
            for type_name, actions in actions_by_type.items():
                arns = [self._arn(one, role_arn) for one in resources if one["ResourceType"] == type_name]
                decided = iam.simulate_principal_policy(
                    PolicySourceArn=role_arn, ActionNames=list(actions), ResourceArns=arns
                )["EvaluationResults"]
                allowed = [one for one in decided if one["EvalDecision"] == "allowed"]
                _expect(not allowed, f"{role} may {', '.join(sorted({one['EvalActionName'] for one in allowed}))}")
                asked += len(decided)
        return f"{asked} questions to IAM over {len(roles)} roles"

    def _resources(self) -> list[Mapping[str, str]]:
        pages = self._place.aws("cloudformation").get_paginator("list_stack_resources")
        return [
            one for page in pages.paginate(StackName=self._place.stack_name) for one in page["StackResourceSummaries"]
        ]

    def _arn(self, resource: Mapping[str, str], role_arn: str) -> str:
        _, partition, _, _, account, _ = role_arn.split(":", 5)
        name = resource["PhysicalResourceId"]
        region = self._place.aws("dynamodb").meta.region_name
        return {
            "AWS::DynamoDB::Table": f"arn:{partition}:dynamodb:{region}:{account}:table/{name}",
            "AWS::S3::Bucket": f"arn:{partition}:s3:::{name}",
            "AWS::KMS::Key": f"arn:{partition}:kms:{region}:{account}:key/{name}",
        }[resource["ResourceType"]]

    def looks_around(self) -> str:
        """Follow one edge there and back."""
        for one in self._place.selection:
            path = f"/v1/configs/{one['type']}/{quote(one['id'], safe='')}"
            for used in self._source.get(f"{path}/dependencies")["results"]:
                users = self._source.pages(f"/v1/configs/{used['type']}/{quote(used['id'], safe='')}/used_by")
                _expect(one["id"] in {user["id"] for user in users}, f"{used} does not know its user {one}")
                return f"{one['type']} uses {used['type']}, which says so"
        raise SkippedError("nothing that is selected uses anything")

    def plans(self) -> str:
        """Plan the sync."""
        job, rows = self._run(dry_run=True)
        self._planned = Counter(row["status"] for row in rows)
        return f"{job['status']}: " + _counted(self._planned)

    def syncs(self) -> str:
        """Sync for real, where that is wanted."""
        if self._planned is None or not self._place.may_write:
            raise SkippedError("the dry run failed" if self._planned is None else "HUB_WRITE=yes writes to the target")
        _, self._rows = self._run(dry_run=False)
        statuses = Counter(row["status"] for row in self._rows)
        _expect(statuses["created"] == self._planned["would_create"], f"{_counted(statuses)} of {self._planned}")
        return _counted(statuses)

    def syncs_again(self) -> str:
        """Sync the same again."""
        if not self._rows:
            raise SkippedError("nothing was synced")
        _, rows = self._run(dry_run=False)
        statuses = Counter(row["status"] for row in rows)
        _expect(set(statuses) == {"skipped"}, _counted(statuses))
        return _counted(statuses)

    def _run(self, *, dry_run: bool) -> tuple[Json, list[Json]]:
        place = self._place
        body = {
            "name": "Smoke test",
            "source_org_id": place.org_ids[0],
            "target_org_id": place.org_ids[1],
            "target_auth_token": place.tokens[1],
            "resources": list(place.selection),
            "dry_run": dry_run,
        }
        job = self._source.run_job(self._source.post(JOBS, body)["id"])
        _expect(job["status"] == "succeeded", f"{job['status']}: {job.get('errors_sample')}")
        rows = list(self._source.pages(f"{JOBS}/{job['id']}/resources", size=100))
        _expect(job["counts"]["total"] == len(rows), f"{job['counts']} of {len(rows)} rows")
        return job, rows


def _output(place: Place, name: str) -> str:
    [stack] = place.aws("cloudformation").describe_stacks(StackName=place.stack_name)["Stacks"]
    return next(str(output["OutputValue"]) for output in stack["Outputs"] if output["OutputKey"] == name)


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise RuntimeError(otherwise)


def _expect_status(answer: requests.Response, status: int) -> None:
    _expect(answer.status_code == status, f"{answer.status_code} {answer.text[:200]}")


def _counted(statuses: Counter[str]) -> str:
    return ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))


def show(place: Place, outcomes: Sequence[Outcome]) -> int:
    """Print what was tried, and return how much of it failed."""
    table = Table("", "what", "result", "says", title=f"{place.stack_name}")
    colours = {"held": "green", "failed": "red", "skipped": "yellow"}
    for one in outcomes:
        table.add_row(one.group, one.name, f"[{colours[one.result]}]{one.result}[/]", one.detail)
    console.print(table)
    results = Counter(one.result for one in outcomes)
    console.print(_counted(results))
    return results["failed"]


if __name__ == "__main__":
    sys.exit(main())
