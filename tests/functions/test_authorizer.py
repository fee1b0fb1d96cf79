import hashlib
import json

import pytest

from functions.api.authorizer import handler
from shared.adapters import tokens
from shared.bootstrap import security
from tests.events import load_event
from tests.fakes.issuer import ISSUER, key_set, sign
from tests.published import load_definition


@pytest.fixture(autouse=True)
def _issuer(monkeypatch):
    monkeypatch.setenv("TOKEN_ISSUER", ISSUER)
    monkeypatch.setenv("TOKEN_JWKS_URL", f"{ISSUER}/keys")
    monkeypatch.setenv("ACCESS_TOKEN_ISSUER", "")
    monkeypatch.setattr(tokens, "_fetch_jwks", lambda url: key_set("own"))
    security.token_verifier.cache_clear()
    yield
    security.token_verifier.cache_clear()


def authorize(authorization, context):
    return handler.lambda_handler(load_event("api/authorizer", authorizationToken=authorization), context)


def test_hands_on_who_is_calling(lambda_context):
    token = sign(exp=4_000_000_000)
    answer = authorize(f"Bearer {token}", lambda_context)

    assert answer["principalId"] == "user"
    assert answer["context"] == {
        "org_id": "1",
        "user_id": "user",
        "exp": 4_000_000_000,
        "token_digest": hashlib.sha256(token.encode()).hexdigest(),
    }


def test_accepts_of_the_access_tokens_those_of_the_kind_api_only(monkeypatch, lambda_context):
    monkeypatch.setenv("ACCESS_TOKEN_ISSUER", "https://access.example")
    monkeypatch.setenv("ACCESS_TOKEN_JWKS_URL", "https://access.example/keys")
    security.token_verifier.cache_clear()
    claims = {"iss": "https://access.example", "exp": 4_000_000_000}

    assert authorize(f"Bearer {sign(claims, token_type='api')}", lambda_context)["principalId"] == "user"
    kinds = {*load_definition("access-token")["components"]["schemas"]["AccessTokenType"]["enum"]} - {"api"}
    assert len(kinds) >= 6
    for kind in (*kinds, None, "API", ["api"]):
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            authorize(f"Bearer {sign(claims, token_type=kind)}", lambda_context)


def test_a_user_token_is_of_the_audience_where_one_is_set(monkeypatch, lambda_context):
    monkeypatch.setenv("TOKEN_AUDIENCES", "app-1, app-2")
    security.token_verifier.cache_clear()

    assert authorize(f"Bearer {sign(aud='app-2')}", lambda_context)["principalId"] == "user"
    for other in ("app-3", None, ["app-3"]):
        with pytest.raises(Exception, match=r"^Unauthorized$"):
            authorize(f"Bearer {sign(aud=other)}", lambda_context)


@pytest.mark.parametrize("name", ["TOKEN_JWKS_URL", "ACCESS_TOKEN_JWKS_URL", "ACCESS_TOKEN_LIST_URL"])
def test_plain_http_brings_no_keys_outside_of_a_developers_machine(name, monkeypatch, lambda_context):
    monkeypatch.setenv("ACCESS_TOKEN_ISSUER", "https://access.example")
    monkeypatch.setenv("ACCESS_TOKEN_JWKS_URL", "https://access.example/keys")
    monkeypatch.setenv(name, "http://access.example/keys")
    monkeypatch.setenv("ENVIRONMENT", "prod")
    security.token_verifier.cache_clear()
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(f"Bearer {sign()}", lambda_context)

    monkeypatch.setenv("ENVIRONMENT", "local")
    assert authorize(f"Bearer {sign()}", lambda_context)["principalId"] == "user"


def test_allows_the_whole_stage_because_the_gateway_caches_per_token(lambda_context):
    (statement,) = authorize(f"Bearer {sign()}", lambda_context)["policyDocument"]["Statement"]

    assert statement["Effect"] == "Allow"
    assert statement["Resource"] == "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/v1/*"


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", sign(), f"Basic {sign()}", f"Bearer {sign(key='another', key_id='own')}"],
    ids=["absent", "empty", "scheme", "scheme and blank", "no scheme", "another scheme", "another key"],
)
def test_any_failure_is_exactly_unauthorized(authorization, lambda_context):
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(authorization, lambda_context)


def test_a_missing_setting_is_unauthorized_too(monkeypatch, lambda_context):
    monkeypatch.delenv("TOKEN_JWKS_URL")

    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(f"Bearer {sign()}", lambda_context)


def test_logs_why_and_never_what(lambda_context, logged):
    token = sign(exp=1)
    with pytest.raises(Exception, match=r"^Unauthorized$"):
        authorize(f"Bearer {token}", lambda_context)

    (line,) = logged()
    assert "ExpiredSignatureError" in line["reason"]
    assert token not in json.dumps(line)
