import json

import pytest
import requests
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from shared.adapters.downstream.client import DownstreamClient
from shared.adapters.downstream.sessions import new_session
from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.errors import (
    CredentialsExpiredError,
    DownstreamMalformedError,
    DownstreamRejectedError,
    DownstreamThrottledError,
    DownstreamTimeoutError,
    DownstreamUnavailableError,
    ForbiddenError,
    HubError,
    NotFoundError,
    UnknownOutcomeError,
)
from tests.fakes.api import Answer, Clock, FakeApi

TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJvcmdfaWQiOiIxIn0.c2lnbmF0dXJl"
HOST = "entity.example"

GET = Operation(api="entity", host=HOST, operation_id="getThing", method="GET", path="/v1/things/{id}")
SEARCH = ListOperation(api="entity", host=HOST, operation_id="searchThings", method="POST", path="/v1/things:search")
CREATE = WriteOperation(api="entity", host=HOST, operation_id="createThing", method="POST", path="/v1/things")
UPDATE = WriteOperation(api="entity", host=HOST, operation_id="putThing", method="PUT", path="/v1/things/{id}")
DELETE = Operation(api="entity", host=HOST, operation_id="deleteThing", method="DELETE", path="/v1/things/{id}")

LOST = requests.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError(104, "reset")))
SILENT = requests.ReadTimeout()
UNREACHABLE = requests.ConnectionError(
    MaxRetryError(None, "/", NewConnectionError(HTTPSConnection("entity.example"), "refused"))
)
BUSY = Answer(429, {"message": "slow down"}, {"Retry-After": "3"})


@pytest.fixture
def clock():
    return Clock()


def client_of(api, clock, **options):
    return DownstreamClient(
        TOKEN, "https://{host}", session=api.mount_into(new_session()), clock=clock, sleep=clock.sleep, **options
    )


def call(answers, operation, clock, **options):
    """Call an operation of an API that answers so, and return the API and the answer or the error."""
    api = FakeApi(*answers)
    config_id = "a" if "{" in operation.path else None
    try:
        return api, client_of(api, clock, **options).call(operation, config_id=config_id, body={"a": 1})
    except HubError as error:
        return api, error


def test_sends_what_the_operation_says_and_no_header_of_its_own(clock):
    api = FakeApi(Answer(200, {"ok": True}))
    operation = ListOperation(
        api="entity", host=HOST, operation_id="s", method="POST", path="/v1/s", query={"full": "true"}
    )

    assert client_of(api, clock).call(operation, query={"from": 5}, body={"q": "ü"}) == {"ok": True}
    (sent,) = api.calls
    assert (sent.method, sent.host, sent.path, sent.query, sent.body) == (
        "POST", HOST, "/v1/s", {"full": "true", "from": "5"}, {"q": "ü"},
    )  # fmt: skip
    assert sent.headers["Authorization"] == f"Bearer {TOKEN}"
    assert set(sent.headers) <= {
        "Authorization", "Content-Type", "Content-Length", "Accept", "Accept-Encoding", "User-Agent",
    }  # fmt: skip
    assert all(sent.timeout)


def test_reaches_the_sandbox_through_the_url_template(clock):
    api = FakeApi(Answer())
    session = api.mount_into(new_session())
    DownstreamClient(TOKEN, "http://127.0.0.1:8600/{host}", session=session).call(GET, config_id="a")

    assert (api.calls[0].host, api.calls[0].path) == ("127.0.0.1:8600", f"/{HOST}/v1/things/a")


@pytest.mark.parametrize(
    ("config_id", "path"),
    [
        ("a/b", "/v1/things/a%2Fb"),
        ("1:role", "/v1/things/1%3Arole"),
        ("a?b#c", "/v1/things/a%3Fb%23c"),
        ("../admin", "/v1/things/..%2Fadmin"),
        ("ü b", "/v1/things/%C3%BC%20b"),
        ("100%", "/v1/things/100%25"),
    ],
)
def test_an_id_never_leaves_its_place_in_the_path(config_id, path, clock):
    api = FakeApi(Answer())
    client_of(api, clock).call(GET, config_id=config_id)

    assert api.calls[0].path == path


@pytest.mark.parametrize("config_id", [".", ".."])
def test_an_id_that_is_a_step_through_the_path_finds_nothing(config_id, clock):
    api = FakeApi(Answer())
    with pytest.raises(NotFoundError):
        client_of(api, clock).call(GET, config_id=config_id)

    assert not api.calls


def test_an_answer_without_a_body_is_none(clock):
    assert call([Answer(204, None)], UPDATE, clock)[1] is None


@pytest.mark.parametrize("operation", [GET, SEARCH, UPDATE, DELETE, CREATE], ids=lambda o: o.operation_id)
def test_waits_as_long_as_a_429_asks_and_tries_again(operation, clock):
    api, answer = call([BUSY, BUSY, Answer(200, {"id": "a"})], operation, clock)

    assert answer == {"id": "a"}
    assert len(api.calls) == 3
    assert all(3 <= slept <= 4 for slept in clock.slept)


def test_reads_a_retry_after_that_is_a_date(clock):
    when = Answer(429, {}, {"Retry-After": "Fri, 15 Jan 2027 08:00:10 GMT"})
    call([when, Answer()], GET, clock)

    assert 10 <= clock.slept[0] <= 11


def test_gives_up_on_429_after_its_attempts(clock):
    api, error = call([Answer(429, {})], GET, clock, max_attempts=4)

    assert isinstance(error, DownstreamThrottledError)
    assert len(api.calls) == 4
    assert "The entity API answered 429 to getThing" in error.message


def test_does_not_wait_beyond_its_deadline(clock):
    api, error = call([Answer(429, {}, {"Retry-After": "120"})], GET, clock, call_deadline_s=60)

    assert (type(error), error.retry_after) == (DownstreamThrottledError, 120)
    assert (len(api.calls), clock.slept) == (1, [])


def test_begins_nothing_when_the_invocation_ends(clock):
    api, error = call([Answer()], CREATE, clock, ends_at=clock.now)

    assert isinstance(error, DownstreamUnavailableError)
    assert not api.calls


def test_backs_off_with_jitter_below_a_growing_ceiling(clock):
    call([Answer(500, {})], GET, clock)

    assert len(clock.slept) == 5
    assert all(slept <= min(0.1 * 4**n, 10) for n, slept in enumerate(clock.slept))
    assert len(set(clock.slept)) == 5


@pytest.mark.parametrize("fault", [LOST, SILENT, UNREACHABLE, Answer(500, {}), Answer(503, {}), Answer(200, b"<html>")])
@pytest.mark.parametrize("operation", [GET, SEARCH, UPDATE, DELETE], ids=lambda o: o.operation_id)
def test_repeats_what_has_the_same_outcome_twice(operation, fault, clock):
    api, answer = call([fault, Answer(200, {"id": "a"})], operation, clock)

    assert answer == {"id": "a"}
    assert len(api.calls) == 2


@pytest.mark.parametrize(
    "fault", [LOST, SILENT, Answer(500, {}), Answer(502, {}), Answer(503, {}), Answer(504, {}), Answer(201, b"{")]
)
def test_never_repeats_a_create_whose_outcome_is_unknown(fault, clock):
    api, error = call([fault, Answer(201, {"id": "a"})], CREATE, clock)

    assert isinstance(error, UnknownOutcomeError)
    assert len(api.calls) == 1


@pytest.mark.parametrize(
    ("fault", "ended"),
    [
        (LOST, False),
        (SILENT, False),
        (Answer(500, {"message": "It broke.", "code": "500"}), True),
        (Answer(500, {"message": "It broke."}), True),
        (Answer(502, {"message": "Internal server error"}), False),
        (Answer(502, b"<html>"), False),
        (Answer(503, {"status": 503, "error": "It is too busy."}), True),
        (Answer(503, {"message": "Service Unavailable"}), False),
        (Answer(504, {"message": "Endpoint request timed out"}), False),
        (Answer(504, {"status": 504, "error": "Somebody behind it was silent."}), False),
        (Answer(408, {"error": "Too slow."}), False),
        (Answer(201, b"{"), True),
    ],
)
def test_tells_an_apis_own_failure_from_one_behind_which_it_may_still_be_at_work(fault, ended, clock):
    _, error = call([fault], CREATE, clock)

    assert (type(error), error.ended) == (UnknownOutcomeError, ended)


@pytest.mark.parametrize("fault", [UNREACHABLE, requests.ConnectTimeout(), BUSY, Answer(503, {}, {"Retry-After": "1"})])
def test_repeats_a_create_that_was_certainly_not_done(fault, clock):
    api, answer = call([fault, Answer(201, {"id": "a"})], CREATE, clock)

    assert answer == {"id": "a"}
    assert len(api.calls) == 2


def test_a_create_that_never_left_failed_and_is_not_unknown(clock):
    assert type(call([UNREACHABLE], CREATE, clock)[1]) is DownstreamUnavailableError


def test_an_update_that_may_have_been_done_says_so(clock):
    api, error = call([LOST, UNREACHABLE], UPDATE, clock)

    assert isinstance(error, UnknownOutcomeError)
    assert len(api.calls) == 6


def test_a_delete_that_was_done_before_its_answer_was_lost_is_done(clock):
    assert call([LOST, Answer(404, {})], DELETE, clock)[1] is None


def test_a_delete_of_nothing_finds_nothing(clock):
    assert isinstance(call([Answer(404, {})], DELETE, clock)[1], NotFoundError)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(500, {}), DownstreamUnavailableError),
        (SILENT, DownstreamTimeoutError),
        (LOST, DownstreamUnavailableError),
        (Answer(200, b"no json"), DownstreamUnavailableError),
        (Answer(401, {}), CredentialsExpiredError),
        (Answer(404, {}), NotFoundError),
        (Answer(400, {}), DownstreamMalformedError),
        (Answer(403, {}), DownstreamRejectedError),
        (Answer(409, {}), DownstreamRejectedError),
        (Answer(422, {}), DownstreamMalformedError),
    ],
)
def test_an_error_is_of_the_class_of_its_status(answer, error, clock):
    assert type(call([answer], GET, clock)[1]) is error


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_refusal_is_final(status, clock):
    assert len(call([Answer(status, {})], GET, clock)[0].calls) == 1


def test_a_404_for_no_config_is_a_refusal(clock):
    assert isinstance(call([Answer(404, {})], CREATE, clock)[1], DownstreamRejectedError)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"message": "bad name"}, ": bad name."),
        ({"status": 400, "error": "bad name"}, ": bad name."),
        ({"message": "bad", "reason": "name"}, ": bad name."),
        ({"code": "E1", "message": "bad name."}, ": bad name. E1."),
        ({"error": {"message": "bad name"}}, ": bad name."),
        ({"message": f"refused Bearer {TOKEN}"}, ": refused Bearer [redacted]."),
        ({"message": 5}, "."),
        (["bad"], "."),
        (b"<html>", "."),
    ],
)
def test_a_refusal_says_which_api_and_what_it_answered(body, said, clock):
    error = call([Answer(400, body)], CREATE, clock)[1]

    assert error.message == f"The entity API answered 400 to createThing{said}"


def test_a_long_refusal_is_shortened(clock):
    assert len(call([Answer(400, {"message": "x" * 10_000})], CREATE, clock)[1].message) < 400


@pytest.mark.parametrize("location", ["https://evil.example/", "/v1/elsewhere"])
def test_does_not_follow_a_redirect(location, clock):
    api, error = call([Answer(302, {}, {"Location": location})], GET, clock)

    assert isinstance(error, DownstreamRejectedError)
    assert len(api.calls) == 1


def test_keeps_no_cookie(clock):
    api = FakeApi(Answer(200, {}, {"Set-Cookie": "session=1; Path=/"}))
    client = client_of(api, clock)
    client.call(GET, config_id="a")
    client.call(GET, config_id="a")

    assert "Cookie" not in api.calls[1].headers


@pytest.mark.parametrize("operation", [CREATE, UPDATE, DELETE], ids=lambda o: o.operation_id)
def test_a_reading_client_lets_no_write_leave(operation, clock):
    api, error = call([Answer()], operation, clock, read_only=True)

    assert isinstance(error, ForbiddenError)
    assert not api.calls


@pytest.mark.parametrize("operation", [GET, SEARCH], ids=lambda o: o.operation_id)
def test_a_reading_client_reads_and_searches(operation, clock):
    assert call([Answer(200, {"id": "a"})], operation, clock, read_only=True)[1] == {"id": "a"}


def test_a_reading_client_uploads_nothing(clock):
    api = FakeApi(Answer())
    with pytest.raises(ForbiddenError):
        client_of(api, clock, read_only=True).storage.send("https://storage.example/x", b"x", "text/plain")

    assert not api.calls


def test_never_sends_the_token_to_a_storage(clock):
    api = FakeApi(Answer(200, b"bytes"))
    client = client_of(api, clock)

    assert client.storage.fetch("https://storage.example/x") == b"bytes"
    client.storage.send("https://storage.example/x", b"new", "text/plain")
    assert api.calls[1].content == b"new"
    assert all("Authorization" not in sent.headers for sent in api.calls)


@pytest.mark.parametrize("fault", [LOST, SILENT, Answer(503, b"")])
def test_repeats_a_transfer_of_bytes(fault, clock):
    api = FakeApi(fault, Answer(200, b"bytes"))

    assert client_of(api, clock).storage.fetch("https://storage.example/x") == b"bytes"


@pytest.mark.parametrize("url", ["http://storage.example/x", "file:///etc/passwd", "gopher://x"])
def test_follows_no_content_url_of_another_scheme(url, clock):
    api = FakeApi(Answer(200, b"bytes"))
    with pytest.raises(DownstreamRejectedError):
        client_of(api, clock).storage.fetch(url)

    assert not api.calls


class Budget:
    def __init__(self):
        self.taken, self.refused = [], []

    def take(self, host, pool, timeout_s):
        self.taken.append((host, pool))

    def throttled(self, host, pool, retry_after_s):
        self.refused.append((host, pool, retry_after_s))


def test_a_client_that_budgets_its_reads_takes_from_the_budget_for_a_get_too(clock):
    budget = Budget()
    call([BUSY, Answer()], GET, clock, budget=budget, budget_reads=True)

    assert budget.taken == [(HOST, "read"), (HOST, "read")]
    assert budget.refused == [(HOST, "read", 3)]


def test_takes_from_the_budget_for_every_attempt_but_not_for_a_get(clock):
    budget = Budget()
    call([BUSY, Answer(201, {"id": "a"})], CREATE, clock, budget=budget)
    call([Answer()], SEARCH, clock, budget=budget)
    call([BUSY, Answer()], GET, clock, budget=budget)

    assert budget.taken == [(HOST, "mutation"), (HOST, "mutation"), (HOST, "search")]
    assert budget.refused == [(HOST, "mutation", 3)]


def test_reports_every_attempt_and_how_it_ended(clock):
    attempts = []
    call(
        [BUSY, LOST, Answer()],
        GET,
        clock,
        on_attempt=lambda operation, ended, duration_ms, number: attempts.append((operation.host, ended, number)),
    )

    assert attempts == [(HOST, "throttled", 1), (HOST, "failed", 2), (HOST, "answered", 3)]


def test_no_error_carries_the_token(clock):
    for answer in (
        LOST,
        SILENT,
        UNREACHABLE,
        Answer(400, {"message": TOKEN}),
        Answer(401, {"message": TOKEN}),
        Answer(500, {"error": TOKEN}),
    ):
        error = call([answer], UPDATE, clock)[1]
        assert TOKEN not in json.dumps([str(error), repr(error.__cause__)])
