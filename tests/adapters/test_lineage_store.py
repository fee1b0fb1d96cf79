"""Pairs that a person confirms and breaks, over the table of the template."""

import pytest

from shared.adapters.dynamodb import requests
from shared.adapters.dynamodb.lineage_store import LineageStore
from shared.domain.errors import ConflictError
from shared.domain.plan import LineageEntry
from shared.domain.resource_type import ResourceKey
from tests.fakes.moto_transactions import speed_up_transactions

HERE, THERE, ELSEWHERE = "org-a", "org-b", "org-c"
ODD = "über/50%#x?y"


@pytest.fixture
def lineage(aws, tables, monkeypatch):
    speed_up_transactions(monkeypatch)
    monkeypatch.setattr(requests, "FIRST_PAUSE_S", 0.0)
    return LineageStore(aws.resource("dynamodb").meta.client, "LineageTable")


def entry(source_id="s", target_id="t", **more):
    known = {"type": "journey", "source_org_id": THERE, "target_org_id": HERE, "origin": "manual_confirm"}
    return LineageEntry(**(known | more), source_id=source_id, target_id=target_id)


def test_a_confirmed_pair_is_found_by_either_end(lineage):
    confirmed = entry(ODD, f"{ODD}#2")
    assert lineage.confirm_entry(confirmed) == confirmed

    source, target = ResourceKey("journey", ODD), ResourceKey("journey", f"{ODD}#2")
    assert lineage.find_entries(HERE, THERE, [source]) == {source: confirmed}
    assert lineage.find_entries_of(HERE, source) == [confirmed]
    assert lineage.find_claimed_targets(HERE, THERE, [target]) == {target: source}


def test_a_repeat_answers_with_the_stored_entry_and_leaves_its_provenance(lineage):
    synced = entry(origin=None, source_fingerprint="1", target_fingerprint="2", last_sync_job_id="job-1")
    lineage.put_entries([synced])
    assert lineage.confirm_entry(entry()) == synced
    assert lineage.find_entries_of(HERE, ResourceKey("journey", "s")) == [synced]


def test_a_sync_keeps_the_provenance_of_a_confirmed_pair(lineage):
    lineage.confirm_entry(entry())
    lineage.put_entries([entry(origin=None, source_fingerprint="1")])
    (stored,) = lineage.find_entries_of(HERE, ResourceKey("journey", "s"))
    assert (stored.origin, stored.source_fingerprint) == ("manual_confirm", "1")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (entry("s", "t2"), "source_id: journey:s is paired with t already"),
        (entry("s2", "t"), "target_id: journey:t is paired with journey:s of that"),
    ],
)
def test_a_pair_that_contradicts_another_is_refused_and_changes_nothing(lineage, second, message):
    lineage.confirm_entry(entry())
    with pytest.raises(ConflictError, match=message):
        lineage.confirm_entry(second)
    assert lineage.list_entries(HERE, THERE) == [entry()]


def test_each_source_organisation_has_pairs_of_its_own(lineage):
    for source_org in (THERE, ELSEWHERE):
        lineage.confirm_entry(entry(source_org_id=source_org))
    assert lineage.list_entries(HERE, THERE) == [entry()]
    found = lineage.find_entries_of(HERE, ResourceKey("journey", "s"))
    assert [one.source_org_id for one in found] == [THERE, ELSEWHERE]


def test_lists_the_pairs_of_one_type_and_of_two_organisations_only(lineage):
    names = ["journey", "journey_x", "flow"]
    for name in names:
        lineage.confirm_entry(entry(type=name))
    lineage.confirm_entry(entry("x", "y", target_org_id=ELSEWHERE))
    assert [one.type for one in lineage.list_entries(HERE, THERE, "journey")] == ["journey"]
    assert {one.type for one in lineage.list_entries(HERE, THERE)} == {*names}


def test_lists_more_pairs_than_one_answer_holds(lineage):
    lineage.put_entries(entry(f"s{number}", f"t{number}", source_fingerprint="x" * 4000) for number in range(300))
    assert len(lineage.list_entries(HERE, THERE, "journey")) == 300


def test_an_id_that_begins_like_another_is_another(lineage):
    lineage.confirm_entry(entry("s", "t"))
    lineage.confirm_entry(entry("s#2", "t2"))
    assert lineage.find_entries_of(HERE, ResourceKey("journey", "s")) == [entry("s", "t")]


def test_a_broken_pair_leaves_its_target_to_others(lineage):
    lineage.confirm_entry(entry())
    assert lineage.delete_entry(entry())
    assert lineage.find_claimed_targets(HERE, THERE, [ResourceKey("journey", "t")]) == {}
    assert lineage.confirm_entry(entry("s2", "t")) == entry("s2", "t")
    assert not lineage.delete_entry(entry())


def test_a_pair_that_names_another_target_by_now_is_not_broken(lineage):
    lineage.confirm_entry(entry("s", "new"))
    assert not lineage.delete_entry(entry("s", "old"))
    assert lineage.list_entries(HERE, THERE) == [entry("s", "new")]
