import json
import time
from urllib.parse import quote

import boto3
import pytest
from moto import mock_aws

from functions.api.get_config_dependencies import handler as get_config_dependencies
from functions.api.get_config_used_by import handler as get_config_used_by
from functions.api.get_index import handler as get_index
from functions.api.list_config_types import handler as list_config_types
from functions.api.list_configs import handler as list_configs
from shared.bootstrap import index
from shared.bootstrap.catalogue import catalogue
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.errors import (
    CredentialsExpiredError,
    DownstreamMalformedError,
    DownstreamRejectedError,
    DownstreamThrottledError,
    DownstreamTimeoutError,
    DownstreamUnavailableError,
    OperationUnsupportedError,
    StorageThrottledError,
)
from shared.domain.index_state import BuildResult, new_build_token
from shared.use_cases.build_index import build_index
from shared.use_cases.indexing.build_run import BuildRun
from tests.aws import REGION, create_tables, forget_adapters
from tests.events import load_event
from tests.fakes.config_repository import FakeConfigRepository
from tests.published import violations

JOURNEY = load_event("api/get_config_dependencies")["pathParameters"]["id"]
DESIGN = "4d0e1c1c-57a0-4d80-a4a7-8f2f4b1f2f11"
ODD = "über/../50%#x?y&z"


def call(handler, name, operation_id, context, **changes):
    answer = handler.lambda_handler(load_event(f"api/{name}", **changes), context)
    body = json.loads(answer["body"])
    assert violations(operation_id, answer["statusCode"], body) == []
    return answer["statusCode"], body


@pytest.fixture
def context(lambda_context):
    return lambda_context


@pytest.fixture(scope="module")
def store():
    """The index of org-a, built once: these tests only read it."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("INDEX_TABLE", "IndexTable")
        create_tables(boto3.resource("dynamodb"))
        forget_adapters()
        made = index.index_store()
        build(made)
        yield made
    forget_adapters()


def organisation():
    made = FakeConfigRepository("org-a")
    types = catalogue()
    made.add(types["designbuilder"], {"id": DESIGN, "style_name": "Blue"})
    made.add(
        types["journey"],
        {
            "journeyId": JOURNEY,
            "journey_id": JOURNEY,
            "name": "Heat pump",
            "settings": {"designId": DESIGN, "isActive": True, "mappingsAutomationId": "gone-1"},
            "contextSchema": [{"type": "contact"}],
        },
        {"journeyId": ODD, "journey_id": ODD, "name": "Odd", "settings": {"designId": DESIGN, "isActive": False}},
    )
    return made


def build(store):
    token = new_build_token(time.time(), bytes(10))
    store.start_build("org-a", token, time.time() + 960, 10)
    report = build_index(
        BuildRun(org_id="org-a", build_token=token, user_id="user-1", deadline=time.time() + 900),
        catalogue=catalogue(),
        index=store,
        open_repository=organisation,
        checkpoints=None,
        hand_over=None,
        now=time.time,
    )
    assert report.status == "done"


@pytest.fixture(autouse=True)
def _environment(store, monkeypatch):
    monkeypatch.setenv("INDEX_TABLE", "IndexTable")


@pytest.fixture
def repository(monkeypatch):
    made = organisation()
    monkeypatch.setattr(get_config_dependencies, "caller_repository", lambda request: made)
    return made


def of(org_id, **authorizer):
    return {"requestContext": {"authorizer": {"org_id": org_id, **authorizer}}}


# listConfigTypes


def test_lists_all_types(context):
    status, body = call(list_config_types, "list_config_types", "listConfigTypes", context)

    assert status == 200
    assert [one["type"] for one in body["results"]] == list(RESOURCE_TYPES)
    assert [one["type"] for one in body["results"] if not one["deletable"]] == ["entity_mapping", "access_token"]
    assert body["results"][0]["source_api"] == "https://journey.sls.epilot.io"


# listConfigs


def listed(context, type_name="journey", query=None, **changes):
    changes = {"pathParameters": {"type": type_name}, "query": query or {}, **changes}
    return call(list_configs, "list_configs", "listConfigs", context, **changes)


def test_a_list_is_empty_before_any_build(context):
    assert listed(context, **of("org-new")) == (
        200,
        {"type": "journey", "label": "Journeys", "icon": "Route", "total": 0, "results": []},
    )


def test_lists_with_the_exact_total(repository, context):
    status, body = listed(context, query={"sort": "name", "size": "1"})

    assert status == 200
    assert body["total"] == 2
    assert [one["title"] for one in body["results"]] == ["Heat pump"]

    _, second = listed(context, query={"sort": "name", "size": "1", "cursor": body["next_cursor"]})
    assert [one["id"] for one in second["results"]] == [ODD]
    assert "next_cursor" not in second


def test_a_filtered_list_has_no_total(repository, context):
    for query in ({"q": "PUMP"}, {"q": JOURNEY}, {"active_only": "true"}):
        _, body = listed(context, query=query)
        assert [one["id"] for one in body["results"]] == [JOURNEY]
        assert "total" not in body


def test_a_list_is_empty_past_the_indexs_time(repository, context, monkeypatch):
    later = time.time() + 8 * 86_400
    monkeypatch.setattr(list_configs.time, "time", lambda: later)
    _, body = listed(context, **of("org-a", exp="99999999999"))

    assert (body["results"], body["total"]) == ([], 0)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"size": "0"}, "size"),
        ({"size": "101"}, "size"),
        ({"size": "x"}, "size"),
        ({"sort": "random"}, "sort"),
        ({"cursor": "garbled"}, "cursor"),
        ({"updated_after": "yesterday"}, "updated_after"),
        ({"updated_before": "0"}, "updated_before"),
        ({"active_only": "maybe"}, "active_only"),
    ],
)
def test_a_wrong_query_is_named(store, context, query, names):
    status, body = listed(context, query=query)

    assert status == 400
    assert body["error"].startswith(f"{names}:")


def test_an_unknown_type_is_refused_with_the_known_ones(store, context):
    status, body = listed(context, "jorney")

    assert status == 400
    assert "workflow_definition" in body["error"]


def test_another_organisation_sees_an_empty_list_and_cannot_use_the_cursor(repository, context):
    other = of("org-b")
    _, own = listed(context, query={"size": "1"})
    _, foreign = listed(context, **other)
    status, _ = listed(context, query={"size": "1", "cursor": own["next_cursor"]}, **other)

    assert (foreign["total"], foreign["results"]) == (0, [])
    assert status == 400


def test_a_busy_table_is_said_to_be_busy(context, monkeypatch, store):
    def busy(*_):
        raise StorageThrottledError("The index is busy: try again in a moment.", retry_after=2)

    monkeypatch.setattr(store, "find_state", busy)
    answer = list_configs.lambda_handler(load_event("api/list_configs"), context)

    assert answer["statusCode"] == 503
    assert answer["headers"]["Retry-After"] == "2"


# getConfigDependencies


def dependencies(context, config_id=JOURNEY, type_name="journey", query=None, **changes):
    changes = {"pathParameters": {"type": type_name, "id": config_id}, "query": query or {}, **changes}
    return call(get_config_dependencies, "get_config_dependencies", "getConfigDependencies", context, **changes)


def test_says_what_the_live_payload_uses(repository, context):
    payload = repository.configs["journey"][JOURNEY]
    payload["settings"]["safetyNet"] = f"see journey {DESIGN}"
    status, body = dependencies(context)

    assert status == 200
    (design,) = body["results"]
    assert (design["type"], design["id"], design["title"]) == ("designbuilder", DESIGN, "Blue")
    assert design["pointers"] == ["/settings/designId", "/settings/safetyNet"]


def test_a_reference_that_the_index_does_not_know_counts_but_is_not_listed(repository, context):
    _, body = dependencies(context)

    assert body["total"] == 3
    assert len(body["results"]) == 1


def test_pages_through_dependencies(repository, context):
    repository.configs["journey"][JOURNEY]["settings"]["note"] = f"{DESIGN} and {ODD}"
    repository.configs["journey"][JOURNEY]["steps"] = [
        {"uischema": {"options": {"linkedJourneys": [{"id": ODD}]}}},
    ]
    _, first = dependencies(context, query={"size": "1"})
    _, second = dependencies(context, query={"size": "1", "cursor": first["next_cursor"]})

    assert [one["id"] for one in (*first["results"], *second["results"])] == [DESIGN, ODD]
    assert "next_cursor" not in second


def test_a_config_that_is_new_since_the_last_build_has_dependencies_too(repository, context):
    repository.configs["journey"]["new-1"] = {"journeyId": "new-1", "settings": {"designId": DESIGN}}
    status, body = dependencies(context, "new-1")

    assert (status, [one["id"] for one in body["results"]]) == (200, [DESIGN])


def test_an_id_reaches_the_api_as_it_was_sent(repository, context):
    status, body = dependencies(context, quote(ODD, safe=""))

    assert (status, [one["id"] for one in body["results"]]) == (200, [DESIGN])


@pytest.mark.parametrize("config_id", ["unknown", "..%2F..%2Fv1%2Fusers", "%2e%2e"])
def test_a_config_that_the_organisation_does_not_have_is_not_found(repository, context, config_id):
    status, _ = dependencies(context, config_id)

    assert status == 404


@pytest.mark.parametrize("config_id", ["", "x" * 257, "a%00b", "a%0Ab"])
def test_what_cannot_be_an_id_is_refused(repository, context, config_id):
    status, body = dependencies(context, config_id)

    assert status == 400
    assert body["error"].startswith("id:")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DownstreamThrottledError("journey throttles."), 429),
        (DownstreamUnavailableError("journey failed."), 502),
        (DownstreamRejectedError("journey refused."), 502),
        (DownstreamTimeoutError("journey did not answer."), 504),
        (CredentialsExpiredError("The token has expired."), 401),
        (OperationUnsupportedError("journey has no get."), 400),
    ],
)
def test_a_failing_api_is_named(repository, context, error, status):
    repository.fail("get", "journey", error)

    assert dependencies(context) == (status, {"status": status, "error": error.message})


def test_an_id_that_the_api_finds_malformed_is_not_found(repository, context):
    repository.fail("get", "journey", DownstreamMalformedError("journey knows no such form of id."))
    status, body = dependencies(context)

    assert status == 404
    assert "There is no journey" in body["error"]


def test_an_error_of_another_kind_says_nothing_but_the_request_id(repository, context):
    repository.fail("get", "journey", RuntimeError("eyJ secret"))
    status, body = dependencies(context)

    assert status == 500
    assert "eyJ" not in body["error"]


def test_without_an_index_nothing_can_be_resolved(repository, context):
    _, body = dependencies(context, **of("org-new"))

    assert body == {"total": 3, "results": []}


@pytest.mark.parametrize(("cursor", "status"), [("garbled", 400), (None, 200)])
def test_a_foreign_cursor_is_refused(repository, context, cursor, status):
    assert dependencies(context, query={"cursor": cursor} if cursor else {})[0] == status


# getConfigUsedBy


def used_by(context, config_id=DESIGN, type_name="designbuilder", query=None, **changes):
    changes = {"pathParameters": {"type": type_name, "id": config_id}, "query": query or {}, **changes}
    return call(get_config_used_by, "get_config_used_by", "getConfigUsedBy", context, **changes)


def test_says_what_uses_a_config(repository, context):
    status, body = used_by(context)

    assert status == 200
    assert body["total"] == 2
    assert {one["id"]: one["pointers"] for one in body["results"]} == {
        JOURNEY: ["/settings/designId"],
        ODD: ["/settings/designId"],
    }


def test_used_by_has_pages_where_they_are_asked_for(repository, context):
    _, first = used_by(context, query={"size": "1"})
    _, second = used_by(context, query={"size": "1", "cursor": first["next_cursor"]})

    assert {one["id"] for one in (*first["results"], *second["results"])} == {JOURNEY, ODD}


def test_what_nothing_uses_is_used_by_nothing(repository, context):
    assert used_by(context, JOURNEY, "journey") == (200, {"total": 0, "results": []})


def test_an_unknown_config_and_a_foreign_one_are_told_apart_by_nobody(repository, context):
    unknown = used_by(context, "unknown")
    foreign = used_by(context, DESIGN, **of("org-b"))

    assert unknown[0] == foreign[0] == 404
    assert unknown[1]["error"].replace("unknown", DESIGN) == foreign[1]["error"]


# getIndex


def index_status(context, **changes):
    return call(get_index, "get_index", "getIndex", context, **changes)


def test_the_index_is_missing_before_any_build(context):
    assert index_status(context, **of("org-new")) == (200, {"status": "missing", "org_id": "org-new"})


def test_the_index_is_ready_with_what_it_found(repository, context):
    _, body = index_status(context)

    assert (body["status"], body["total_items"], body["failed_types"]) == ("ready", 3, [])
    assert [one["type"] for one in body["skipped_types"]] == ["entity_mapping"]


def test_the_index_is_building_and_then_failed_with_the_reason(store, context):
    store.start_build("org-c", "0" * 26, time.time() + 900, 10)
    _, building = index_status(context, **of("org-c"))
    store.fail_build("org-c", "0" * 26, "CREDENTIALS_EXPIRED: The token has expired.")
    _, failed = index_status(context, **of("org-c"))

    assert building["status"] == "building"
    assert (failed["status"], failed["error"]) == ("failed", "CREDENTIALS_EXPIRED: The token has expired.")


def test_the_index_is_failed_when_nobody_goes_on_with_its_build(store, context):
    store.start_build("org-d", "0" * 26, time.time() - 1, 10)
    _, body = index_status(context, **of("org-d"))

    assert body["status"] == "failed"
    assert "start another one" in body["error"]


def test_the_index_of_another_organisation_is_missing(repository, context):
    _, body = index_status(context, **of("org-b"))

    assert body == {"status": "missing", "org_id": "org-b"}


def test_failed_types_are_named_with_the_reason(store, context):
    store.start_build("org-e", "0" * 26, time.time() + 900, 10)
    result = BuildResult(totals={}, failed_types={"app": "app answered 500."}, not_listed={}, capped={"file": 10_000})
    store.finish_build("org-e", "0" * 26, "user-1", result)
    _, body = index_status(context, **of("org-e"))

    assert body["failed_types"] == ["app"]
    assert body["failures"] == {"app": "app answered 500."}
    assert body["capped_types"] == {"file": 10_000}
