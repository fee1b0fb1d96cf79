import base64
import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import BaseModel, Field

from shared.domain import errors
from shared.domain.bounds import MAX_DEPTH
from shared.domain.redaction import token_digest
from shared.entrypoints import http as entry
from shared.entrypoints.http import http_handler, status_of
from shared.entrypoints.request import Request, Response

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJvcmdfaWQiOiIxIn0.c2lnbmF0dXJl"


def event(**changes):
    made = {
        "headers": {"Authorization": f"Bearer {TOKEN}", "Origin": "https://app.example", "X-Epilot-Org-Id": "999"},
        "pathParameters": None,
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {
            "requestId": "request-1",
            "authorizer": {"org_id": "1", "user_id": "u", "exp": "99999999999"},
        },
        "body": None,
        "isBase64Encoded": False,
    } | changes
    identity = made["requestContext"].get("authorizer")
    if identity:
        sent = {name.lower(): value for name, value in made["headers"].items()}.get("authorization", "")
        made["requestContext"] = {
            **made["requestContext"],
            "authorizer": {"token_digest": token_digest(sent.partition(" ")[2].strip()), **identity},
        }
    return made


def request_of(**changes):
    return Request.from_event(event(**changes), now=1_000.0)


def answer_to(operation, context, **changes):
    answer = http_handler(operation)(event(**changes), context)
    return answer["statusCode"], json.loads(answer["body"]), answer["headers"]


def raising(error):
    def operation(request):
        raise error

    return operation


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidRequestError("size: 1 to 100."), 400),
        (errors.ClosureTooLargeError("Too many."), 400),
        (errors.OperationUnsupportedError("No list."), 400),
        (errors.UnauthorizedError("No token."), 401),
        (errors.CredentialsExpiredError("Expired."), 401),
        (errors.ForbiddenError("Another organisation."), 403),
        (errors.NotFoundError("No such job."), 404),
        (errors.ConflictError("It runs."), 409),
        (errors.AmbiguousMatchError("Two candidates."), 409),
        (errors.PayloadTooLargeError("Too large."), 413),
        (errors.TooManyJobsError("Three run."), 429),
        (errors.DownstreamThrottledError("entity throttles."), 429),
        (errors.DownstreamUnavailableError("entity fails."), 502),
        (errors.DownstreamRejectedError("entity refuses."), 502),
        (errors.UnknownOutcomeError("entity was silent."), 502),
        (errors.StorageThrottledError("Busy."), 503),
        (errors.DownstreamTimeoutError("entity is silent."), 504),
    ],
)
def test_answers_an_error_of_ours_with_its_status_and_sentence(error, status, lambda_context):
    assert answer_to(raising(error), lambda_context)[:2] == (status, {"status": status, "error": error.message})


@pytest.mark.parametrize("name", [name for name in vars(errors) if name.endswith("Error") and name != "HubError"])
def test_every_retryable_or_foreseen_error_class_has_a_status(name):
    status = status_of(getattr(errors, name)("sentence"))

    # Those of a sync row never reach an answer.
    of_rows = "Terminal", "Target", "Dependency", "DanglingReference", "CycleNotBreakable", "TooDeep"
    is_of_a_row = name.startswith(of_rows)
    assert (status == 500) is is_of_a_row


def test_an_unexpected_error_tells_the_request_id_and_nothing_else(lambda_context, logged):
    status, body, _ = answer_to(raising(KeyError(f"secret {TOKEN}")), lambda_context)

    assert (status, body) == (500, {"status": 500, "error": "Internal error. Quote request id request-1."})
    (line,) = logged()
    assert (line["level"], line["exception_name"], line["correlation_id"]) == ("ERROR", "KeyError", "request-1")
    assert TOKEN not in json.dumps(line)


def test_logs_a_refusal_once_and_without_a_stack_trace(lambda_context, logged):
    answer_to(raising(errors.NotFoundError("No such job.")), lambda_context)

    (line,) = logged()
    assert (line["message"], line["status"], line["code"], line["org_id"]) == ("Request refused", 404, "NOT_FOUND", "1")
    assert "exception" not in line


def test_an_error_sentence_never_carries_a_token(lambda_context):
    _, body, _ = answer_to(raising(errors.DownstreamRejectedError(f"refused Bearer {TOKEN}")), lambda_context)

    assert TOKEN not in body["error"]


def test_a_throttled_answer_says_when_to_come_again(lambda_context):
    _, _, headers = answer_to(raising(errors.DownstreamThrottledError("Slow.", retry_after=2.1)), lambda_context)

    assert headers["Retry-After"] == "3"


class Item(BaseModel):
    type: str
    id: str = Field(min_length=1)


class Body(BaseModel):
    target_auth_token: str = Field(max_length=5)
    resources: list[Item]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"resources": []}, "target_auth_token: is required."),
        ({"target_auth_token": "x", "resources": [{"type": "journey"}]}, "resources[0].id: is required."),
        (
            {"target_auth_token": TOKEN, "resources": [{"type": 1, "id": ""}]},
            "target_auth_token: string should have at most 5 characters (and 2 more).",
        ),
    ],
)
def test_a_validation_error_names_the_field_and_never_its_value(body, sentence, lambda_context):
    status, answer, _ = answer_to(lambda r: Body(**r.json()), lambda_context, body=json.dumps(body))

    assert (status, answer["error"]) == (400, sentence)


def test_answers_200_with_what_the_operation_returns(lambda_context):
    status, body, headers = answer_to(lambda r: {"total": Decimal(3), "share": Decimal("0.5")}, lambda_context)

    assert (status, body) == (200, {"total": 3, "share": 0.5})
    assert headers["Content-Type"] == "application/json"


def test_answers_with_the_status_of_a_response(lambda_context):
    assert answer_to(lambda r: Response(201, {"job": {}}), lambda_context)[:2] == (201, {"job": {}})


def test_an_answer_over_the_limit_names_the_count(lambda_context, monkeypatch):
    monkeypatch.setattr(entry, "MAX_ANSWER_BYTES", 250)

    status, body, _ = answer_to(lambda r: {"results": ["x" * 40] * 7}, lambda_context)

    assert status == 413
    assert "7 results" in body["error"]


def test_an_answer_that_lambda_would_cut_off_for_its_escaping_is_too_large(lambda_context):
    body = {"results": [""] * 1_500_000}
    assert len(json.dumps(body, separators=(",", ":"))) < entry.MAX_ANSWER_BYTES

    assert answer_to(lambda r: body, lambda_context)[0] == 413


@pytest.mark.parametrize(
    ("allowed", "origin", "echoed"),
    [
        ("https://app.example", "https://app.example", "https://app.example"),
        ("https://other.example,https://app.example", "https://app.example", "https://app.example"),
        ("*", "https://app.example", "https://app.example"),
        ("https://app.example", "https://evil.example", None),
        ("https://app.example", "https://app.example.evil.example", None),
        ("", "https://app.example", None),
    ],
)
def test_echoes_an_allowed_origin_only(allowed, origin, echoed, lambda_context, monkeypatch):
    monkeypatch.setenv("ALLOWED_ORIGINS", allowed)

    for operation in (lambda r: {}, raising(KeyError())):
        _, _, headers = answer_to(operation, lambda_context, headers={"origin": origin})
        assert headers.get("Access-Control-Allow-Origin") == echoed
        assert headers["Vary"] == "Origin"


def test_refuses_a_token_that_expired_since_the_gateway_cached_it():
    context = {"authorizer": {"org_id": "1", "user_id": "u", "exp": "1000"}}

    with pytest.raises(errors.UnauthorizedError, match="expired"):
        request_of(requestContext=context)


@pytest.mark.parametrize("digest", [None, "", token_digest("another"), token_digest(TOKEN).upper()])
def test_refuses_a_token_that_is_not_the_one_that_was_verified(digest, lambda_context):
    authorizer = {"org_id": "1", "user_id": "u", "exp": "0", "token_digest": digest}

    assert answer_to(lambda r: {}, lambda_context, requestContext={"authorizer": authorizer})[0] == 401


def test_accepts_an_access_token_without_expiry():
    assert request_of(requestContext={"authorizer": {"org_id": "1", "user_id": "u", "exp": "0"}}).expires_at is None


@pytest.mark.parametrize("context", [{}, {"authorizer": None}, {"authorizer": {"org_id": ""}}])
def test_refuses_an_event_without_a_verified_organisation(context, lambda_context):
    assert answer_to(lambda r: {}, lambda_context, requestContext=context)[0] == 401


def test_takes_identity_from_the_verified_token_and_nowhere_else():
    request = request_of()

    assert (request.org_id, request.user_id, request.token) == ("1", "u", TOKEN)
    assert request.headers["x-epilot-org-id"] == "999"


def test_a_request_shows_no_token_when_it_is_printed():
    assert TOKEN not in repr(request_of())


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("plain", "plain"),
        ("a%2Fb", "a/b"),
        ("100%2525", "100%25"),
        ("%C3%BC", "ü"),
        ("a+b", "a+b"),
        ("x" * 256, "x" * 256),
    ],
)
def test_decodes_a_path_parameter_once(sent, read):
    assert request_of(pathParameters={"id": sent}).path("id") == read


@pytest.mark.parametrize("sent", ["", "x" * 257, "%C3%BC" * 129, "a%00b", "a%0Ab", "%FF"])
def test_refuses_a_path_parameter_that_is_no_id(sent):
    with pytest.raises(errors.InvalidRequestError, match=r"^id: "):
        request_of(pathParameters={"id": sent}).path("id")


def test_reads_all_values_of_a_repeated_query_parameter():
    request = request_of(
        queryStringParameters={"tags": "b"}, multiValueQueryStringParameters={"tags": ["a,b", " c "], "q": ["x"]}
    )

    assert request.query_values("tags") == ["a", "b", "c"]
    assert request.query("q") == "x"
    assert request.query("absent") is None


def test_reads_a_query_without_multiple_values():
    assert request_of(queryStringParameters={"q": "x"}).query("q") == "x"
    assert request_of(queryStringParameters={"q": "x\ud83d"}).query("q") == "x\ufffd"


@pytest.mark.parametrize(("sent", "read"), [("1", 1), ("100", 100), (None, 25), ("", 25)])
def test_reads_size(sent, read):
    assert request_of(queryStringParameters={"size": sent} if sent is not None else None).query_size() == read


@pytest.mark.parametrize("sent", ["0", "101", "-1", "1.5", "ten", "\u0661", "1e2", "9" * 5000])
def test_refuses_a_bad_size(sent):
    with pytest.raises(errors.InvalidRequestError, match=r"^size: a whole number from 1 to 100"):
        request_of(queryStringParameters={"size": sent}).query_size()


def test_reads_an_enum_and_names_what_it_allows():
    request = request_of(queryStringParameters={"sort": "name", "status": "nope"})

    assert request.query_enum("sort", ("name", "usage")) == "name"
    assert request.query_enum("absent", ("a",), default="a") == "a"
    with pytest.raises(errors.InvalidRequestError, match=r"^status: one of failed, running is expected"):
        request.query_enum("status", ("running", "failed"))


@pytest.mark.parametrize(("sent", "read"), [("true", True), ("FALSE", False), (None, None)])
def test_reads_a_boolean(sent, read):
    assert request_of(queryStringParameters={"active": sent} if sent else None).query_bool("active") is read


def test_refuses_a_boolean_that_is_none():
    with pytest.raises(errors.InvalidRequestError, match=r"^active: true or false"):
        request_of(queryStringParameters={"active": "yes"}).query_bool("active")


@pytest.mark.parametrize(
    ("sent", "hour"),
    [
        ("2026-01-31T12:00:00Z", 12),
        ("2026-01-31T12:00:00+02:00", 10),
        ("2026-01-31T12:00:00 02:00", 10),
        ("2026-01-31", 0),
    ],
)
def test_reads_a_date_time_in_utc(sent, hour):
    read = request_of(queryStringParameters={"since": sent}).query_datetime("since")

    assert read == datetime(2026, 1, 31, hour, tzinfo=UTC)


@pytest.mark.parametrize("sent", ["yesterday", "2026-13-01", "0001-01-01T00:00:00+10:00"])
def test_refuses_a_date_time_that_is_none(sent):
    with pytest.raises(errors.InvalidRequestError, match=r"^since: an ISO 8601 date-time"):
        request_of(queryStringParameters={"since": sent}).query_datetime("since")


def test_reads_a_json_body_in_either_encoding():
    text = json.dumps({"name": "Grüße"}, ensure_ascii=False)

    assert request_of(body=text).json() == {"name": "Grüße"}
    encoded = base64.b64encode(text.encode()).decode()
    assert request_of(body=encoded, isBase64Encoded=True).json() == {"name": "Grüße"}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{\n  "a": ,}', r"line 2, column 8"),
        ("[1]", "must be a JSON object"),
        ("", "it is empty"),
        ('{"a": NaN}', "out of range"),
        ('{"a": ' + "9" * 5000 + "}", "out of range"),
        ('{"a": "\\ud800"}', "surrogate"),
        ("[" * 200_000, "nested deeper than 200 levels"),
        ('{"a": ' + "[" * 200 + "]" * 200 + "}", "nested deeper than 200 levels"),
    ],
)
def test_refuses_a_body_that_is_no_json_object_and_says_where(body, message):
    with pytest.raises(errors.InvalidRequestError, match=message):
        request_of(body=body).json()


def test_an_optional_body_may_be_absent():
    assert request_of().json(optional=True) == {}


@pytest.mark.parametrize("is_encoded", [False, True])
def test_refuses_a_body_over_one_megabyte(is_encoded, lambda_context):
    body = json.dumps({"a": "x" * 1024 * 1024})
    sent = base64.b64encode(body.encode()).decode() if is_encoded else body

    assert answer_to(lambda r: {}, lambda_context, body=sent, isBase64Encoded=is_encoded)[0] == 413


def test_refuses_an_encoded_body_that_is_not_utf8(lambda_context):
    sent = base64.b64encode(b"\xff\xfe").decode()

    assert answer_to(lambda r: {}, lambda_context, body=sent, isBase64Encoded=True)[0] == 400


@pytest.mark.parametrize(("seconds", "slow"), [(5.001, [1]), (5.0, [0])])
def test_an_answer_that_takes_over_five_seconds_is_counted_as_slow(lambda_context, monkeypatch, capsys, seconds, slow):
    moments = iter((0.0, seconds))
    monkeypatch.setattr(entry.time, "perf_counter", lambda: next(moments))

    answer_to(lambda _: {}, lambda_context)

    sent = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert [line["SlowAnswers"] for line in sent if "SlowAnswers" in line] == [slow]


@pytest.mark.parametrize("depth", [198, 199, 250, 1_500, 20_000, 100_000])
def test_overrides_nested_too_deep_are_refused(depth, lambda_context):
    body = '{"payload_overrides":{"journey:x":%s}}' % ('{"a":' * depth + "1" + "}" * depth)
    status, answer, _ = answer_to(lambda request: request.json() and {}, lambda_context, body=body)

    assert status == (200 if depth + 2 <= MAX_DEPTH else 400), answer
