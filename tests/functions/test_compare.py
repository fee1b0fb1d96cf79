"""Compare, suggestions, lineage and inventory, each fed its own event, over the tables of the template."""

import json

import pytest

from functions.api.break_lineage import handler as break_lineage
from functions.api.compare_configs import handler as compare_configs
from functions.api.confirm_lineage import handler as confirm_lineage
from functions.api.get_config_inventory import handler as get_config_inventory
from functions.api.suggest_matches import handler as suggest_matches
from shared.adapters import tokens
from shared.bootstrap import live
from shared.bootstrap.catalogue import catalogue
from shared.domain.errors import (
    CredentialsExpiredError,
    DownstreamThrottledError,
    DownstreamTimeoutError,
    DownstreamUnavailableError,
    StorageThrottledError,
)
from shared.entrypoints import http
from tests.events import load_event
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.issuer import ISSUER, key_set, sign
from tests.published import violations

HERE, THERE = "org-a", "org-b"
OWN_TOKEN = sign(**{"custom:ivy_org_id": HERE})
OTHER_TOKEN = sign(**{"custom:ivy_org_id": THERE})
SOURCE_ID = json.loads(load_event("api/confirm_lineage")["body"])["source_id"]
TARGET_ID = json.loads(load_event("api/confirm_lineage")["body"])["target_id"]


@pytest.fixture
def organisations(monkeypatch):
    """Both organisations, by id; each has one journey of the same name, the caller another one."""
    made = {org_id: FakeConfigRepository(org_id) for org_id in (HERE, THERE)}
    journey = catalogue()["journey"]

    def named(config_id, name):
        return {"journeyId": config_id, "journey_id": config_id, "name": name, "settings": {"isActive": True}}

    made[HERE].add(journey, named(TARGET_ID, "Heat pump"), named("own", "Own"))
    made[THERE].add(journey, named(SOURCE_ID, "Heat pump"))

    def opened(token, org_id, *_):
        assert token == {HERE: OWN_TOKEN, THERE: OTHER_TOKEN}[org_id]
        return made[org_id]

    monkeypatch.setattr(live, "live_repository", opened)
    monkeypatch.setattr(get_config_inventory, "live_repository", opened)
    for handler in (confirm_lineage, break_lineage):
        monkeypatch.setattr(handler, "caller_repository", lambda request: opened(request.token, request.org_id))
    return made


@pytest.fixture
def hub(monkeypatch, lambda_context, storage, organisations):
    """Calls a handler with a change of its event and returns status and body, checked against the definition."""
    settings = {
        "TOKEN_ISSUER": ISSUER,
        "TOKEN_JWKS_URL": f"{ISSUER}/keys",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tokens, "_fetch_jwks", lambda url: key_set("own"))

    def call(handler, name, operation_id, changed=None, **changes):
        event = load_event(f"api/{name}", headers={"Authorization": f"Bearer {OWN_TOKEN}"}, **changes)
        if event["body"] and "body" not in changes:
            event["body"] = json.dumps(json.loads(event["body"]) | (changed or {}))
        answer = handler.lambda_handler(event, lambda_context)
        body = json.loads(answer["body"])
        assert violations(operation_id, answer["statusCode"], body) == []
        return answer["statusCode"], body

    return call


def compare(hub, **changed):
    changed = {"source_auth_token": OTHER_TOKEN, **changed}
    return hub(compare_configs, "compare_configs", "compareConfigs", changed)


def suggest(hub, **changed):
    changed = {"source_auth_token": OTHER_TOKEN, **changed}
    return hub(suggest_matches, "suggest_matches", "suggestMatches", changed)


def confirm(hub, **changed):
    return hub(confirm_lineage, "confirm_lineage", "confirmLineage", changed)


def broken(hub, **query):
    changes = {"query": query} if query else {}
    return hub(break_lineage, "break_lineage", "breakLineage", **changes)


def inventory(hub, **changes):
    return hub(get_config_inventory, "get_config_inventory", "getConfigInventory", **changes)


def test_who_may_only_look_pairs_nothing_and_breaks_no_pair(hub, organisations):
    organisations[HERE].grants = [{"action": "journey:view"}]
    status, body = confirm(hub)
    assert (status, "journey:edit" in body["error"]) == (403, True)

    organisations[HERE].grants = [{"action": "journey:edit"}]
    status, body = confirm(hub)
    assert (status, body["confirmed_by"]) == (201, "user-1")

    organisations[HERE].grants = []
    assert broken(hub)[0] == 403


def test_suggested_confirmed_compared_and_broken(hub):
    status, body = suggest(hub)
    assert status == 200
    assert body["suggestions"][0]["candidate"] == {"id": TARGET_ID, "title": "Heat pump"}

    status, body = confirm(hub)
    assert (status, body["origin"]) == (201, "manual_confirm")

    status, body = compare(hub)
    assert status == 200
    assert body["counts"] == {"matched": 1, "only_current": 1, "only_source": 0}
    matched = next(row for row in body["rows"] if row["match_status"] == "matched")
    assert (matched["change"], matched["lineage"]) == ("equal", {"direction": "pull", "origin": "manual_confirm"})

    assert broken(hub) == (200, {"deleted": True})
    assert broken(hub)[0] == 404
    assert compare(hub)[1]["counts"] == {"matched": 0, "only_current": 2, "only_source": 1}


def test_an_inventory_names_what_is_there_and_what_it_cannot_list(hub, organisations):
    organisations[HERE].fail("list", "product", DownstreamUnavailableError("The entity API answered 503."))
    status, body = inventory(hub)
    assert status == 200
    assert body["resources"] == [{"type": "journey", "id": TARGET_ID}, {"type": "journey", "id": "own"}]
    assert body["skipped_types"] == [{"type": "product", "reason": "The entity API answered 503."}]
    assert inventory(hub, query={"include_dependency_only": "perhaps"})[0] == 400


@pytest.mark.parametrize("call", [compare, suggest])
@pytest.mark.parametrize(
    ("changed", "status", "says"),
    [
        ({"type": "unknown"}, 400, "type: one of"),
        ({"source_org_id": HERE}, 400, "source_org_id: another organisation"),
        ({"source_org_id": None}, 400, "source_org_id"),
        ({"source_auth_token": ""}, 400, "source_auth_token"),
        ({"source_auth_token": OWN_TOKEN}, 403, "source_auth_token: the token belongs to another organisation"),
        ({"source_auth_token": "no.such.token"}, 403, "source_auth_token"),
    ],
)
def test_a_request_for_two_organisations_names_what_is_wrong(hub, organisations, call, changed, status, says):
    answered, body = call(hub, **changed)
    assert answered == status
    assert says in body["error"]
    assert not any(repository.calls for repository in organisations.values())


def test_suggestions_are_for_1_to_25_ids(hub):
    for ids in ([], ["x"] * 26):
        status, body = suggest(hub, source_ids=ids)
        assert status == 400
        assert "source_ids" in body["error"]


@pytest.mark.parametrize(
    ("changed", "status", "says"),
    [
        ({"target_id": "gone"}, 400, "target_id: there is no journey gone"),
        ({"source_org_id": HERE}, 400, "source_org_id"),
        ({"target_id": "x" * 257}, 400, "target_id"),
        ({"target_id": "own"}, 409, "is paired with"),
        ({"source_id": "another"}, 409, "is paired with"),
    ],
)
def test_a_pair_that_cannot_be_is_refused(hub, changed, status, says):
    assert confirm(hub)[0] == 201
    answered, body = confirm(hub, **changed)
    assert answered == status
    assert says in body["error"]


def test_breaking_a_pair_needs_type_and_id_and_one_organisation(hub):
    assert broken(hub, source_id="x")[0] == 400
    assert broken(hub, type="journey")[0] == 400
    for source_org in (THERE, "org-c"):
        assert confirm(hub, source_org_id=source_org)[0] == 201
    status, body = broken(hub, type="journey", source_id=SOURCE_ID)
    assert status == 409
    assert f"{THERE}, org-c" in body["error"]
    assert broken(hub, type="journey", source_id=SOURCE_ID, source_org_id="org-c") == (200, {"deleted": True})


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (CredentialsExpiredError("x"), 401),
        (DownstreamThrottledError("x"), 429),
        (DownstreamUnavailableError("x"), 502),
        (DownstreamTimeoutError("x"), 504),
        (StorageThrottledError("x"), 503),
        (RuntimeError("x"), 500),
    ],
)
def test_a_live_read_that_fails_is_an_answer_of_its_own(hub, organisations, error, status):
    organisations[HERE].fail("list", "journey", error)
    organisations[HERE].fail("get", "journey", error)
    assert compare(hub)[0] == status
    assert suggest(hub)[0] == status
    assert confirm(hub)[0] == status


def test_an_answer_over_the_limit_says_how_much_there_is(hub, monkeypatch):
    monkeypatch.setattr(http, "MAX_ANSWER_BYTES", 120)
    status, body = inventory(hub)
    assert status == 413
    assert "for 2 resources" in body["error"]
    status, body = compare(hub)
    assert status == 413
    assert "for 3 rows" in body["error"]


@pytest.mark.parametrize("call", [compare, suggest])
def test_no_token_is_in_an_answer_or_a_log(hub, organisations, call, capsys):
    organisations[THERE].fail("list", "journey", DownstreamUnavailableError(f"Refused Bearer {OTHER_TOKEN}."))
    organisations[THERE].fail("get", "journey", DownstreamUnavailableError(f"Refused Bearer {OTHER_TOKEN}."))
    _, body = call(hub)
    assert OTHER_TOKEN not in json.dumps(body)
    assert OTHER_TOKEN not in "".join(capsys.readouterr())


def test_time_for_reading_ends_before_the_gateway_does():
    assert live.READ_FOR_S < 28
