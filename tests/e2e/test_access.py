"""Who may see what: tokens that do not verify, and tokens of other organisations."""

from __future__ import annotations

import base64
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.control import SandboxControl
from sandbox.hub_client import HubClient, Json
from tests.e2e.conftest import Pair
from tests.e2e.test_sync_corners import load

SyncResult = tuple[Json, list[Json], Json]


def _signed_by_another_key(token: str) -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = jwt.decode(token, options={"verify_signature": False})
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": jwt.get_unverified_header(token)["kid"]})


def _unsigned(token: str) -> str:
    claims = jwt.decode(token, options={"verify_signature": False})
    parts = ({"alg": "none", "typ": "JWT"}, {**claims, "exp": int(time.time()) + 600})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


@pytest.mark.parametrize("kind", ["none", "expired", "another key", "unsigned", "garbage"])
def test_a_token_that_does_not_verify_is_refused(stack: Json, control: SandboxControl, pair: Pair, kind: str) -> None:
    token = {
        "none": None,
        "expired": control.make_token(pair.source_id, ttl_s=-60),
        "another key": _signed_by_another_key(pair.source_token),
        "unsigned": _unsigned(pair.source_token),
        "garbage": "not.a.token",
    }[kind]
    assert HubClient(stack["api_url"], token).send("GET", "/v1/configs/types").status_code == 401


def test_another_organisation_reads_nothing(
    stack: Json, control: SandboxControl, pair: Pair, synced: SyncResult
) -> None:
    stranger = HubClient(stack["api_url"], control.make_token(control.make_organisation()))
    journey = pair.source.get("/v1/configs/journey", size=1)["results"][0]["id"]
    job = synced[2]["id"]
    assert stranger.get("/v1/configs/journey")["results"] == []
    assert stranger.get("/v1/configs/sync-jobs")["results"] == []
    for path, missing in (
        ("/v1/configs/journey/{}/used_by", journey),
        ("/v1/configs/journey/{}/dependencies", journey),
        ("/v1/configs/sync-jobs/{}", job),
        ("/v1/configs/sync-jobs/{}/resources", job),
    ):
        theirs, nobodys = (stranger.send("GET", path.format(value)) for value in (missing, "0" * len(missing)))
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.json()["error"].replace(missing, "") == nobodys.json()["error"].replace("0" * len(missing), "")
    for action in ("retry", "cancel"):
        assert stranger.send("POST", f"/v1/configs/sync-jobs/{job}/{action}").status_code == 404


def test_the_target_does_not_see_the_job_that_the_source_created(pair: Pair, synced: SyncResult) -> None:
    assert pair.target.send("GET", f"/v1/configs/sync-jobs/{synced[2]['id']}").status_code == 404


def test_a_callers_override_header_never_reaches_another_organisation(pair: Pair) -> None:
    answer = pair.source.send(
        "GET", "/v1/configs/index", headers={"x-epilot-org-id": pair.target_id, "x-ivy-org-id": pair.target_id}
    )
    assert answer.json()["org_id"] == pair.source_id


def test_a_colleague_without_rights_neither_stops_nor_retries_nor_pairs(
    stack: Json, control: SandboxControl, pair: Pair, synced: SyncResult
) -> None:
    org_id = pair.source_id
    role = {"id": f"{org_id}:reader", "slug": "reader", "name": "Reader", "type": "user_role"}
    role |= {"organization_id": org_id, "grants": [{"action": "journey:view"}]}
    load(control, org_id, [("role", role), ("_assignment", {"user_id": "reader", "roles": [role["id"]]})])
    reader, administrator = (
        HubClient(stack["api_url"], control.make_token(org_id, user_id=user)) for user in ("reader", "administrator")
    )
    job = f"/v1/configs/sync-jobs/{synced[2]['id']}"
    journeys = pair.source.get("/v1/configs/journey", size=1)["results"]
    body = {
        "type": "journey",
        "source_org_id": pair.target_id,
        "source_id": "of-nobody",
        "target_id": journeys[0]["id"],
    }

    def statuses(hub: HubClient) -> list[int]:
        return [
            hub.send("POST", f"{job}/cancel").status_code,
            hub.send("POST", "/v1/configs/lineage", json=body).status_code,
            hub.send("DELETE", "/v1/configs/lineage", params={"type": "journey", "source_id": "of-nobody"}).status_code,
        ]

    assert statuses(reader) == [403, 403, 404]
    assert statuses(administrator) == [409, 201, 200], "the job has ended"
    administrator.post("/v1/configs/lineage", body)
    assert statuses(reader) == [403, 403, 403]
    assert reader.send("POST", f"{job}/retry").status_code == 409
