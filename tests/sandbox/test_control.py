"""Tokens, isolation headers and the control interface."""

import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from sandbox.server.application import Application
from sandbox.server.sandbox import Settings
from sandbox.server.tokens import DEFAULT_TTL_S, Tokens
from tests.sandbox.conftest import ISSUER, Client, sign_in
from tests.sandbox.samples import ORG, SAMPLES


def test_token_verifies_against_the_published_key_set(client: Client) -> None:
    token = client.send("POST", "/_sandbox/tokens", {"org_id": ORG, "user_id": "7"}).json()["token"]
    (key,) = client.send("GET", "/_sandbox/jwks.json").json()["keys"]
    assert key["kid"] == jwt.get_unverified_header(token)["kid"]
    claims = jwt.decode(token, jwt.PyJWK(key).key, algorithms=["RS256"], issuer=ISSUER)
    assert (claims["custom:ivy_org_id"], claims["custom:ivy_user_id"], claims["sub"]) == (ORG, "7", "7")


def test_expired_token_is_unauthorised(client: Client) -> None:
    assert sign_in(client, ORG, ttl_s=-10).call("entity", "listTaxonomies").status == 401


def test_token_ends_even_after_it_was_seen(alpha: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    assert alpha.call("entity", "listTaxonomies").status == 200
    later = time.time() + DEFAULT_TTL_S + 1
    monkeypatch.setattr("sandbox.server.tokens.time.time", lambda: later)
    assert alpha.call("entity", "listTaxonomies").status == 401


def test_token_of_another_issuer_is_unauthorised(client: Client, key_file: Path) -> None:
    foreign = Tokens("http://elsewhere.test", key_file).sign(ORG, "1")
    stranger = Client(client.sandbox, {"authorization": f"Bearer {foreign}"})
    assert stranger.call("entity", "listTaxonomies").status == 401


def test_token_of_another_key_is_unauthorised(client: Client, tmp_path: Path) -> None:
    foreign = Tokens(ISSUER, tmp_path / "key.pem").sign(ORG, "1")
    stranger = Client(client.sandbox, {"authorization": f"Bearer {foreign}"})
    assert stranger.call("entity", "listTaxonomies").status == 401


def test_missing_token_is_unauthorised_in_the_error_shape_of_the_api(client: Client) -> None:
    assert client.call("entity", "listTaxonomies").json() == {"status": 401, "error": "Unauthorized"}
    assert client.call("kanban", "getKanbanBoards").json() == {"message": "Unauthorized", "status": 401}


def test_token_outlives_a_restart(alpha: Client, key_file: Path) -> None:
    restarted = Client(Application(Settings(ISSUER, key_file)), alpha.headers)
    assert restarted.call("organization", "getCurrentOrganization").json()["id"] == ORG


@pytest.mark.parametrize("header", ["x_epilot_org_id", "x_ivy_org_id"])
def test_header_that_overrides_the_organisation_fails_loudly(alpha: Client, header: str) -> None:
    reply = alpha.send("GET", "/entity.sls.epilot.io/v1/entity/taxonomies", **{header: "200"})
    assert reply.status == 400
    assert header.replace("_", "-") in reply.json()["error"]


def test_organisation_is_the_one_of_the_token(client: Client) -> None:
    client.send("POST", "/_sandbox/orgs", {"org_id": "300", "name": "Stadtwerke"})
    organisation = sign_in(client, "300").call("organization", "getCurrentOrganization").json()
    assert (organisation["id"], organisation["name"]) == ("300", "Stadtwerke")


def test_new_organisation_gets_an_id(client: Client) -> None:
    first, second = (client.send("POST", "/_sandbox/orgs", {}).json()["org_id"] for _ in range(2))
    assert first != second


def test_loaded_resources_come_back_as_they_were(client: Client) -> None:
    payload = {"id": "r-1", "title": "Done", "anything": [1, {"a": None}]}
    client.load(ORG, ("closing_reason", payload))
    resources = client.send("GET", f"/_sandbox/orgs/{ORG}/resources").json()["resources"]
    assert resources == [{"type": "closing_reason", "id": "r-1", "payload": payload}]


def test_files_and_document_templates_are_told_apart(client: Client) -> None:
    client.load(
        ORG,
        ("file", {"_id": "f-1", "type": "text"}),
        ("document_template", {"_id": "d-1", "type": "document_template"}),
    )
    for type_, ident in (("file", "f-1"), ("document_template", "d-1")):
        resources = client.send("GET", f"/_sandbox/orgs/{ORG}/resources?type={type_}").json()["resources"]
        assert [item["id"] for item in resources] == [ident]


def test_log_can_be_read_from_its_end(client: Client, alpha: Client) -> None:
    alpha.call("entity", "listTaxonomies")
    alpha.call("kanban", "getKanbanBoards")
    (entry,) = client.send("GET", "/_sandbox/requests?limit=1").json()["requests"]
    assert entry["operation"] == "getKanbanBoards"


def test_log_can_be_read_for_an_organisation_from_a_time_on(client: Client, alpha: Client) -> None:
    alpha.call("entity", "listTaxonomies")
    sign_in(client, "200").call("entity", "listTaxonomies")
    since = time.time()
    alpha.call("kanban", "getKanbanBoards")

    def operations(query: str) -> list[str]:
        entries = client.send("GET", f"/_sandbox/requests?{query}").json()["requests"]
        return [entry["operation"] for entry in entries]

    assert operations("org_id=200") == ["listTaxonomies"]
    assert operations(f"org_id={ORG}") == ["listTaxonomies", "getKanbanBoards"]
    assert operations(f"org_id={ORG}&since={since}") == ["getKanbanBoards"]
    assert client.send("GET", "/_sandbox/requests?since=now").status == 400


@pytest.mark.parametrize(
    "body",
    [
        {"resources": [{"type": "spaceship", "payload": {"id": "1"}}]},
        {"resources": [{"type": "product", "payload": {}}]},
        {"resources": "all"},
        [],
    ],
)
def test_resources_that_cannot_be_held_are_refused(client: Client, body: Any) -> None:
    assert client.send("POST", f"/_sandbox/orgs/{ORG}/resources", body).status == 400


@pytest.mark.parametrize("what", ["resources", "all"])
def test_reset_forgets_resources(client: Client, alpha: Client, what: str) -> None:
    alpha.call("entity", "createEntity", "tax", body=SAMPLES["tax"].body)
    assert client.send("POST", "/_sandbox/reset", {"what": what}).status == 200
    assert client.send("GET", f"/_sandbox/orgs/{ORG}/resources").json()["resources"] == []


def test_reset_of_something_unknown_is_refused(client: Client) -> None:
    assert client.send("POST", "/_sandbox/reset", {"what": "world"}).status == 400


def test_seeding_fills_both_organisations_and_names_selections(client: Client) -> None:
    body = {"source_org_id": "100", "target_org_id": "200", "scale": 1, "seed": 3}
    selections = client.send("POST", "/_sandbox/seed", body).json()["selections"]
    assert set(selections) == {"clean", "ambiguous", "dangling", "large"}
    source = client.send("GET", "/_sandbox/orgs/100/resources").json()["resources"]
    known = {(item["type"], item["id"]) for item in source}
    assert all((item["type"], item["id"]) in known for items in selections.values() for item in items)
    assert {item["type"] for item in source} >= set(SAMPLES)


def test_blueprints_and_assignments_are_readable_once_loaded(client: Client, alpha: Client) -> None:
    blueprint = {
        "id": "00000000-0000-4000-8000-000000000001",
        "title": "Solar",
        "source_type": "custom",
        "resources": [{"id": "j-1", "type": "journey"}],
    }
    client.load(ORG, ("_blueprint", blueprint), ("_assignment", {"user_id": "7", "roles": [f"{ORG}:clerk"]}))
    assert alpha.call("blueprint-manifest", "listBlueprints").json()["total"] == 1
    lineage = alpha.call("blueprint-manifest", "getBlueprintLineageV3", blueprint["id"]).json()
    assert [(entry["resource_type"], entry["target_id"]) for entry in lineage["entries"]] == [("journey", "j-1")]
    assert alpha.call("permissions", "listAllAssignments").json()["assignments"][0]["user_id"] == "7"


def test_unknown_route_and_wrong_json_are_refused(alpha: Client) -> None:
    assert alpha.send("GET", "/entity.sls.epilot.io/v9/nothing").status == 404
    assert alpha.send("GET", "/unknown.example/v1").status == 404
    assert alpha.send("POST", "/entity.sls.epilot.io/v1/entity/tax", b"{").status == 400


def test_id_with_path_characters_is_one_segment(client: Client, alpha: Client) -> None:
    client.load(ORG, ("closing_reason", {"id": "a/b%2F\u00fc", "title": "Odd"}))
    assert alpha.call("workflow-definition", "getClosingReason", "a/b%2F\u00fc").json()["title"] == "Odd"


def test_organisation_can_be_named_later(client: Client, alpha: Client) -> None:
    assert alpha.call("organization", "getCurrentOrganization").status == 200
    client.send("POST", "/_sandbox/orgs", {"org_id": ORG, "name": "Stadtwerke"})
    assert alpha.call("organization", "getCurrentOrganization").json()["name"] == "Stadtwerke"
