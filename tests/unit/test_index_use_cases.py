from dataclasses import replace
from unittest.mock import Mock

import pytest

from shared.adapters.dynamodb import cursor
from shared.domain.errors import InvalidRequestError, NotFoundError, StorageThrottledError
from shared.domain.index_state import QUEUED_S, new_build_token
from shared.use_cases.build_index import build_index
from shared.use_cases.get_config_dependencies import get_config_dependencies
from shared.use_cases.get_config_used_by import get_config_used_by
from shared.use_cases.indexing.build_run import BuildRun
from shared.use_cases.list_config_types import list_config_types
from shared.use_cases.rebuild_index import rebuild_index, restart_build
from tests.fakes.api import Clock
from tests.fakes.config_repository import FakeConfigRepository
from tests.fakes.index import FakeIndex
from tests.fakes.types import CATALOGUE, FORM, THEME

DAY = 86_400


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def repository():
    made = FakeConfigRepository()
    made.add(THEME, *({"id": f"theme-00{number}", "name": f"Theme {number}"} for number in range(3)))
    made.add(
        FORM,
        {
            "id": "form-001",
            "form_id": "form-001",
            "theme": "theme-000",
            "note": "theme-0019 theme-001 theme-002 form-001",
        },
    )
    return made


@pytest.fixture
def index(clock, repository):
    made = FakeIndex(clock)
    token = new_build_token(clock(), bytes(10))
    made.start_build("org-a", token, clock() + 900, 10)
    run = BuildRun(org_id="org-a", build_token=token, user_id="user-1", deadline=clock() + 900)
    build_index(
        run,
        catalogue=CATALOGUE,
        index=made,
        open_repository=lambda: repository,
        checkpoints=None,
        hand_over=None,
        now=clock,
    )
    return made


def dependencies(index, repository, clock, catalogue=CATALOGUE, config_id="form-001", size=10, after=None):
    return get_config_dependencies(
        catalogue,
        index,
        repository,
        cursor,
        org_id="org-a",
        type_name="form",
        config_id=config_id,
        size=size,
        cursor=after,
        now=clock(),
    )


def used_by(index, clock, config_id, type_name="theme"):
    return get_config_used_by(
        CATALOGUE, index, org_id="org-a", type_name=type_name, config_id=config_id, size=10, cursor=None, now=clock()
    )


def without_get():
    return {**CATALOGUE, "form": replace(FORM, get=None)}


def test_dependencies_are_typed_references_and_known_ids_in_a_stable_order(index, repository, clock):
    answer = dependencies(index, repository, clock)

    assert [(one["id"], one["pointers"]) for one in answer["results"]] == [
        ("theme-000", ["/theme"]),
        ("theme-001", ["/note"]),
        ("theme-002", ["/note"]),
    ]
    assert answer["total"] == 3


def test_dependencies_follow_the_live_payload_not_the_index(index, repository, clock):
    repository.configs["form"]["form-001"] = {"id": "form-001", "theme": "theme-002"}

    assert [one["id"] for one in dependencies(index, repository, clock)["results"]] == ["theme-002"]


def test_dependencies_of_a_type_that_cannot_be_read_singly_come_from_the_index(index, repository, clock):
    before = repository.calls.total()
    answer = dependencies(index, repository, clock, without_get())

    assert [one["id"] for one in answer["results"]] == ["theme-000", "theme-001", "theme-002"]
    assert repository.calls.total() == before
    with pytest.raises(NotFoundError, match="form unknown"):
        dependencies(index, repository, clock, without_get(), "unknown")


def test_a_config_that_the_api_does_not_know_is_not_found_in_our_own_words(index, repository, clock):
    repository.fail("get", "form", NotFoundError("forms.example answered 404: no row in table forms"))
    with pytest.raises(NotFoundError, match=r"^There is no form form-001 in this organisation\.$"):
        dependencies(index, repository, clock)


def test_dependencies_of_every_page_together_are_all(index, repository, clock):
    ids, after = [], None
    while True:
        page = dependencies(index, repository, clock, size=1, after=after)
        ids += [one["id"] for one in page["results"]]
        after = page.get("next_cursor")
        if after is None:
            break

    assert ids == ["theme-000", "theme-001", "theme-002"]


def test_an_unknown_type_is_refused_before_anything_is_read(index, repository, clock):
    before = repository.calls.total()
    with pytest.raises(InvalidRequestError, match="theme"):
        used_by(index, clock, "x", "jorney")
    assert repository.calls.total() == before


def test_used_by_answers_nothing_past_the_indexs_time(index, clock):
    assert [one["id"] for one in used_by(index, clock, "theme-000")["results"]] == ["form-001"]
    clock.now += 8 * DAY
    with pytest.raises(NotFoundError):
        used_by(index, clock, "theme-000")


def test_config_types_keep_the_catalogues_order():
    assert [one["type"] for one in list_config_types(CATALOGUE)["results"]] == list(CATALOGUE)


class Kept:
    def __init__(self):
        self.tokens = {}

    def put(self, run_id, role, token, expires_at):
        self.tokens[run_id] = (role, token, expires_at)

    def delete(self, run_id):
        del self.tokens[run_id]


def test_a_rebuild_keeps_the_token_before_it_starts_the_build(clock):
    index, kept, order = FakeIndex(clock), Kept(), []

    def start(event):
        order.append((index.state.build_token, *kept.tokens))
        assert event == {"org_id": "org-a", "build_token": index.state.build_token, "user_id": "user-1"}

    who = {"org_id": "org-a", "user_id": "user-1", "token": "t", "token_expires_at": int(clock()) + 60}
    answer = rebuild_index(index, kept, start, now=clock(), randomness=bytes(10), **who)

    assert answer == {"status": "building"}
    assert order == [(index.state.build_token, index.state.build_token)]
    assert kept.tokens[index.state.build_token] == ("caller", "t", int(clock()) + 60)
    assert index.state.lease_until > clock() + QUEUED_S


def test_a_build_that_could_not_be_started_keeps_no_token(clock):
    index, kept, start = FakeIndex(clock), Kept(), Mock(side_effect=StorageThrottledError("busy", 1))
    who = {"org_id": "org-a", "user_id": "user-1", "token": "t", "token_expires_at": None}

    with pytest.raises(StorageThrottledError):
        rebuild_index(index, kept, start, now=clock(), randomness=bytes(10), **who)

    assert kept.tokens == {}


LOST = {"org_id": "org-a", "build_token": "A" * 26, "user_id": "user-1"}


def restart(index, clock):
    began, went_on = [], []
    restarted = restart_build(index, began.append, went_on.append, org_id="org-a", now=clock())
    assert restarted is bool(began or went_on)
    return began, went_on


@pytest.mark.parametrize("continuation", [0, 3])
def test_a_lost_build_is_started_again_where_it_was_and_only_once(clock, continuation):
    index = FakeIndex(clock)
    event = {**LOST, "continuation": continuation} if continuation else LOST
    index.start_build("org-a", LOST["build_token"], clock() + 60, 10, event)
    assert restart(index, clock) == ([], []), "somebody may still work on it"

    clock.now += 61
    began, went_on = restart(index, clock)
    assert (went_on if continuation else began) == [{**event, "restarted": True}]
    assert len(began) + len(went_on) == 1
    assert index.state.is_building(clock() + QUEUED_S)

    clock.now += QUEUED_S + 61
    assert restart(index, clock) == ([], [])


def test_a_build_that_failed_is_not_started_again(clock):
    index = FakeIndex(clock)
    index.start_build("org-a", LOST["build_token"], clock() + 60, 10, LOST)
    index.fail_build("org-a", LOST["build_token"], "CREDENTIALS_EXPIRED: The token has expired.")
    clock.now += 61
    assert restart(index, clock) == ([], [])
