import pytest
import requests

from shared.adapters.downstream import paginators
from shared.adapters.downstream.client import DownstreamClient
from shared.adapters.downstream.repository import DownstreamRepository
from shared.adapters.downstream.sessions import new_session
from shared.domain.api_operation import ListOperation, Operation, WriteOperation
from shared.domain.bounds import check_depth
from shared.domain.config_node import Blueprint
from shared.domain.errors import (
    DownstreamUnavailableError,
    NotFoundError,
    OperationUnsupportedError,
    TooDeepError,
    UnknownOutcomeError,
)
from shared.domain.ports.configs import ConfigPage, ConfigRepository
from shared.domain.resource_type import Fields, Identity, ResourceKey, ResourceType, UsageMetric, UsageSource
from tests.fakes.api import Answer, Clock, FakeApi

API = {"api": "things", "host": "things.example"}


def type_of(**changes):
    """A resource type without any quirk, changed."""
    plain = {
        "name": "thing",
        "label": "Thing",
        "icon": "",
        "source_api": "",
        "sdk_client": "",
        "fields": Fields(id="id", title=("name",)),
        "identity": Identity.SERVER,
        "list": ListOperation(**API, operation_id="listThings", method="GET", path="/v1/things", items="results"),
        "get": Operation(**API, operation_id="getThing", method="GET", path="/v1/things/{id}"),
        "create": create(),
        "update": update(),
        "delete": Operation(**API, operation_id="deleteThing", method="DELETE", path="/v1/things/{thingId}"),
    }
    return ResourceType(**(plain | changes))


def create(**changes):
    return WriteOperation(
        **(API | {"operation_id": "createThing", "method": "POST", "path": "/v1/things", "answer_id": "id"} | changes)
    )


def update(**changes):
    return WriteOperation(**(API | {"operation_id": "putThing", "method": "PUT", "path": "/v1/things/{id}"} | changes))


def repository(api, **options):
    clock = Clock()
    session = api.mount_into(new_session())
    client = DownstreamClient("token", "https://{host}", session=session, clock=clock, sleep=clock.sleep, **options)
    return DownstreamRepository(client, "1")


def test_is_what_use_cases_ask_for():
    checked: ConfigRepository = repository(FakeApi(Answer()))

    assert checked.org_id == "1"


@pytest.mark.parametrize(
    ("faults", "unanswered", "outlived"),
    [
        ((), False, False),
        ((requests.ConnectionError("It was cut."),), True, False),
        ((requests.ReadTimeout(),), True, True),
        ((Answer(504, {"message": "Endpoint request timed out"}),), True, True),
        ((Answer(500, {"message": "It broke.", "code": "500"}),), False, False),
        ((Answer(429, {}),), False, False),
    ],
)
def test_says_of_an_update_that_was_sent_again_whether_the_one_before_may_still_be_done(faults, unanswered, outlived):
    written = repository(FakeApi(*faults, Answer(200, {"id": "a"}))).update_config(type_of(), "a", {"name": "A"})

    assert (written.unanswered, written.outlived) == (unanswered, outlived)


def test_lists_all_variants_in_turn_and_continues_behind_any_page():
    def answer(call):
        page = int(call.query["from"])
        kind = call.query["type"]
        return Answer(200, {"results": [{"id": f"{kind}{page}"}], "hits": 2})

    resource_type = type_of(
        list=ListOperation(
            **API, operation_id="l", method="GET", path="/l", items="results", total="hits", paging="from_size_query",
            page_size=1, query={"full": "true"}, variants=({"type": "entity"}, {"type": "relation"}),
        )
    )  # fmt: skip
    api = FakeApi(answer)
    pages = list(repository(api).list_pages(resource_type))

    names = [item["id"] for page in pages for item in page.items]
    assert names == ["entity0", "entity1", "relation0", "relation1"]
    assert pages[-1].resume is None
    assert all(call.query["full"] == "true" for call in api.calls)
    for done, page in enumerate(pages[:-1], start=1):
        rest = repository(FakeApi(answer)).list_pages(resource_type, page.resume)
        assert [item["id"] for part in rest for item in part.items] == names[done:]


def test_adds_constant_body_fields_to_a_search_and_takes_them_out_again_where_paging_says_so():
    search = ListOperation(
        **API, operation_id="s", method="POST", path="/v1/entity:search", items="results", total="hits",
        paging="entity_search", page_size=1, body={"q": "_schema:x", "from": 0, "hydrate": False},
    )  # fmt: skip
    api = FakeApi(
        Answer(200, {"results": [{"id": "a"}], "hits": 2, "sort_end": [1]}),
        Answer(200, {"results": [{"id": "b"}], "hits": 2}),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paginators, "MAX_OFFSET_OF_SEARCH", 1)
        list(repository(api).list_pages(type_of(list=search)))

    assert [call.body for call in api.calls] == [
        {"q": "_schema:x", "from": 0, "hydrate": False, "size": 1},
        {"q": "_schema:x", "hydrate": False, "size": 1, "search_after": [1]},
    ]


def test_leaves_out_what_a_list_shows_of_other_organisations():
    listed = ListOperation(
        **API, operation_id="l", method="GET", path="/l", items="results", only_own_org="organization_id"
    )
    items = [{"id": "a", "organization_id": "1"}, {"id": "b", "organization_id": "2"}, {"id": "c"}]

    pages = list(repository(FakeApi(Answer(200, {"results": items}))).list_pages(type_of(list=listed)))
    assert pages == [ConfigPage([items[0], items[2]], None)]


@pytest.mark.parametrize("levels", [1_000, 20_000, 100_000])
def test_an_item_that_is_nested_too_deep_takes_no_other_with_it(levels):
    odd = b'{"id": "odd", "deep": ' + b"[" * levels + b"]" * levels + b"}"
    page = b'{"results": [{"id": "a"}, ' + odd + b', {"id": "b", "name": "\\ud83d"}]}'
    [listed] = repository(FakeApi(Answer(body=page))).list_pages(type_of())

    assert [item["id"] for item in listed.items] == ["a", "odd", "b"]
    assert listed.items[2]["name"] == "\ufffd"
    with pytest.raises(TooDeepError):
        check_depth(listed.items[1])


def test_says_why_a_type_has_no_list():
    resource_type = type_of(list=None, missing={"list": "Its API has no list."})
    with pytest.raises(OperationUnsupportedError, match="Its API has no list"):
        list(repository(FakeApi(Answer())).list_pages(resource_type))


def test_unwraps_a_payload():
    wrapped = type_of(get=Operation(**API, operation_id="g", method="GET", path="/g/{designId}", answer="design"))
    api = FakeApi(Answer(200, {"design": {"id": "a"}}))

    assert repository(api).get_config(wrapped, "a") == {"id": "a"}
    assert api.calls[0].path == "/g/a"


def test_an_answer_without_a_payload_is_a_failure():
    with pytest.raises(DownstreamUnavailableError, match="getThing"):
        repository(FakeApi(Answer(200, []))).get_config(type_of(), "a")


def test_finds_a_config_in_the_list_where_the_api_cannot_get_one():
    api = FakeApi(Answer(200, {"results": [{"id": "a"}, {"id": "b", "name": "B"}]}))

    assert repository(api).get_config(type_of(get=None), "b") == {"id": "b", "name": "B"}
    with pytest.raises(NotFoundError):
        repository(api).get_config(type_of(get=None), "c")


def test_creates_and_returns_id_and_payload():
    api = FakeApi(Answer(201, {"id": "new", "name": "x", "version": 1}))

    written = repository(api).create_config(type_of(), {"name": "x"})
    assert (written.id, written.payload) == ("new", {"id": "new", "name": "x", "version": 1})
    assert api.calls[0].body == {"name": "x"}


def test_wraps_renames_and_adds_constants_to_a_body():
    operation = create(
        wrapper="design", rename={"title": "name"}, body={"org": "{org_id}", "skip": True, "_id": "{id}"},
        query={"skipAutomation": "true"}, answer_id="design.id", answer="design",
    )  # fmt: skip
    api = FakeApi(Answer(200, {"design": {"id": "d"}}))

    written = repository(api).create_config(type_of(create=operation), {"title": "x"})
    assert (written.id, written.payload) == ("d", {"id": "d"})
    assert api.calls[0].body == {"design": {"name": "x", "org": "1", "skip": True}}
    assert api.calls[0].query == {"skipAutomation": "true"}


def test_updates_by_an_id_in_the_body():
    operation = update(method="PATCH", path="/v2/journeys", body={"journeyId": "{id}"})
    api = FakeApi(Answer(200, {"journeyId": "j"}))

    assert repository(api).update_config(type_of(update=operation), "j", {"name": "x"}).id == "j"
    assert (api.calls[0].path, api.calls[0].body) == ("/v2/journeys", {"name": "x", "journeyId": "j"})


def test_an_update_without_an_answer_has_no_payload():
    written = repository(FakeApi(Answer(204, None))).update_config(type_of(), "a", {"name": "x"})

    assert (written.id, written.payload) == ("a", None)


def test_an_update_of_something_that_is_gone_finds_nothing():
    with pytest.raises(NotFoundError):
        repository(FakeApi(Answer(404, {}))).update_config(type_of(), "a", {})


def test_creates_under_an_id_of_our_own_and_may_repeat_it():
    operation = create(method="PUT", path="/v2/mappings/{id}", client_id=True, answer_id="")
    api = FakeApi(lost, Answer(200, {"version": 2}))

    assert repository(api).create_config(type_of(create=operation), {"targets": []}, "m/1").id == "m/1"
    assert [call.path for call in api.calls] == ["/v2/mappings/m%2F1"] * 2


def lost(call):
    raise requests.ConnectionError("reset")


def test_a_create_that_answers_no_id_has_an_unknown_outcome():
    with pytest.raises(UnknownOutcomeError, match="without an id"):
        repository(FakeApi(Answer(201, {}))).create_config(type_of(), {})


def test_never_hands_out_a_fresh_secret():
    api = FakeApi(Answer(201, {"id": "w", "signingSecret": "s3cret"}))

    assert repository(api).create_config(type_of(create=create(mints_secret=True)), {}).payload is None


@pytest.mark.parametrize("operation", ["create", "update", "delete"])
def test_says_that_an_api_lacks_an_operation(operation):
    resource_type = type_of(**{operation: None})
    hub = repository(FakeApi(Answer()))
    calls = {
        "create": lambda: hub.create_config(resource_type, {}),
        "update": lambda: hub.update_config(resource_type, "a", {}),
        "delete": lambda: hub.delete_config(resource_type, "a"),
    }

    with pytest.raises(OperationUnsupportedError, match=f"^Thing: Its API cannot {operation} it"):
        calls[operation]()


def test_deletes():
    api = FakeApi(Answer(204, None))
    repository(api).delete_config(type_of(), "a b")

    assert (api.calls[0].method, api.calls[0].path) == ("DELETE", "/v1/things/a%20b")


def test_copies_a_file_with_its_bytes():
    storage = {}

    def answer(call):
        if call.path == "/v1/files/f1/download":
            return Answer(200, {"download_url": "https://storage.example/source?X-Amz-Signature=s"})
        if call.path == "/source":
            return Answer(200, b"\x00bytes")
        if call.path == "/v2/files/upload":
            return Answer(201, {"s3ref": {"bucket": "b", "key": "k"}, "upload_url": "https://storage.example/new"})
        if call.path == "/new":
            storage["new"] = call.content
            return Answer(200, None)
        return Answer(200, {"id": "f2", "body": call.body})

    api = FakeApi(answer)
    file_type = type_of(bytes_field="s3ref")
    hub = repository(api)

    content = hub.read_content(file_type, "f1")
    written = hub.create_config(file_type, {"filename": "a.pdf"}, content=content)
    assert storage == {"new": b"\x00bytes"}
    assert written.payload["body"] == {"filename": "a.pdf", "s3ref": {"bucket": "b", "key": "k"}}
    uploads = [call for call in api.calls if call.path == "/v2/files/upload"]
    assert uploads[0].body == {"filename": "a.pdf", "mime_type": "application/pdf"}
    assert uploads[0].host == "file.sls.epilot.io"


def test_reads_no_bytes_of_a_type_without():
    with pytest.raises(OperationUnsupportedError):
        repository(FakeApi(Answer())).read_content(type_of(), "a")


def test_counts_entities_of_each_schema():
    api = FakeApi(lambda call: Answer(200, {"hits": len(call.body["q"]), "results": []}))
    schema = type_of(usage=UsageMetric(name="entities", source=UsageSource.ENTITY_COUNT))

    counts = repository(api, read_only=True).count_usage(schema, ["contact", "a b"])
    assert counts == {"contact": len("_schema:contact"), "a b": len("_schema:a\\ b")}
    assert all(call.body["size"] == 0 for call in api.calls)


def test_counts_assignments_of_each_role():
    assignments = [
        {"user_id": "u", "roles": ["1:a", "1:b"]},
        {"user_id": "v", "roles": ["1:a", "9:x"]},
        {"user_id": "w"},
    ]
    role = type_of(usage=UsageMetric(name="assignments", source=UsageSource.ASSIGNMENTS))

    api = FakeApi(Answer(200, {"assignments": assignments}))
    assert repository(api).count_usage(role, ["1:a", "1:b", "1:c"]) == {"1:a": 2, "1:b": 1, "1:c": 0}


@pytest.mark.parametrize("usage", [None, UsageMetric(name="runs", source=UsageSource.FIELD, path="runs")])
def test_counts_nothing_that_the_payload_says_itself(usage):
    api = FakeApi(Answer())

    assert repository(api).count_usage(type_of(usage=usage), ["a"]) == {}
    assert not api.calls


def test_names_the_members_of_each_blueprint():
    def answer(call):
        if call.path.endswith("/blueprints"):
            blueprints = [
                {"id": "b1", "title": "First", "resources": [{"type": "journey", "id": "j"}, {"type": "price"}]},
                {"id": "b2"},
            ]
            return Answer(200, {"results": blueprints})
        if "/b1/" in call.path:
            entries = [{"resource_type": "journey", "target_id": "j"}, {"resource_type": "tax", "target_id": "t"}]
            return Answer(200, {"entries": entries})
        return Answer(404, {})

    assert list(repository(FakeApi(answer)).list_blueprint_members()) == [
        (Blueprint("b1", "First"), [ResourceKey("journey", "j"), ResourceKey("tax", "t")]),
        (Blueprint("b2", "b2"), []),
    ]
