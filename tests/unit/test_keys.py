import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.dynamodb import keys
from shared.domain.errors import InvalidRequestError
from shared.domain.resource_type import ResourceKey

ids = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60)
CONFIG = ResourceKey("journey", "a#b%c")
OTHER = ResourceKey("taxonomy_classification", "x" * 256)


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=20), min_size=1, max_size=4))
def test_split_gives_back_what_was_joined(parts):
    assert keys.split(keys.join(*parts)) == tuple(parts)


@given(ids, ids, ids, ids)
def test_different_configs_never_share_a_key(first, second, third, fourth):
    if (first, second) != (third, fourth):
        one = keys.edge("org", ResourceKey("a", first), ResourceKey("b", second))
        other = keys.edge("org", ResourceKey("a", third), ResourceKey("b", fourth))
        assert one != other


@given(ids, ids)
def test_the_edges_of_one_config_are_never_taken_for_those_of_another(first, second):
    if first != second:
        sort_key = keys.edge("org", ResourceKey("a", second), CONFIG)["sk"]
        assert not sort_key.startswith(keys.edges_prefix(ResourceKey("a", first)))
        inverse = keys.used_by("org", ResourceKey("a", second), CONFIG)["sk"]
        assert not inverse.startswith(keys.used_by_prefix(ResourceKey("a", first)))


@pytest.mark.parametrize(
    "key",
    [
        keys.node("o#1", CONFIG),
        keys.edge("o#1", CONFIG, OTHER),
        keys.used_by("o#1", OTHER, CONFIG),
        keys.identifier("o#1", "x"),
        keys.index_state("o#1"),
        keys.operation_log("o#1", "job", 7),
        keys.job("o#1", "job"),
        keys.counts("o#1", "job", "batch-1"),
        keys.sequence("o#1", "job"),
        keys.running_slot("o#1", 1),
        keys.caller_slot("o#1", 1),
        keys.row("o#1", "job", CONFIG),
        keys.lineage("o#1", CONFIG, "2"),
        keys.lineage_target("o#1", CONFIG, "2"),
        keys.claim("o#1", CONFIG, "2"),
        keys.target_claim("o#1", CONFIG),
    ],
)
def test_every_partition_that_a_request_reaches_begins_with_the_organisation(key):
    assert f"{key['pk']}#".startswith("ORG#o%231#")


def test_every_kind_of_item_has_its_place():
    assert keys.node("1", CONFIG) == {"pk": "ORG#1#TYPE#journey", "sk": "NODE#a%23b%25c"}
    assert keys.edge("1", CONFIG, ResourceKey("role", "r"))["sk"] == "EDGE#a%23b%25c#role#r"
    assert keys.used_by("1", ResourceKey("role", "r"), CONFIG) == {
        "pk": "ORG#1#USEDBY#role",
        "sk": "r#journey#a%23b%25c",
    }
    assert keys.operation_log("1", "j", 42) == {"pk": "ORG#1#SYNC#j", "sk": "SYNC#j#OP#0000000042"}
    assert keys.counts("1", "j", "b") == {"pk": "ORG#1#JOB#j", "sk": "COUNTS#b"}
    assert keys.row("1", "j", CONFIG) == {"pk": "ORG#1#JOB#j", "sk": "journey#a%23b%25c"}
    assert keys.claim("1", CONFIG, "2")["sk"] == "CLAIM#journey#a%23b%25c#2"
    assert keys.target_claim("1", CONFIG)["sk"] == "CLAIM-TARGET#journey#a%23b%25c"
    assert keys.rate_budget("host", "1") == {"pk": "BUDGET#host#1", "sk": "BUDGET"}
    assert keys.credentials("run", "caller") == {"pk": "RUN#run", "sk": "caller"}


@pytest.mark.parametrize("bad", ["", "x" * 257, "ü" * 129, "a\nb", "a\x00", "\ud800", "#" * 200])
def test_refuses_what_cannot_be_an_id(bad):
    assert not keys.can_be_id(bad)
    with pytest.raises(InvalidRequestError, match="id"):
        keys.node("1", ResourceKey("journey", bad))


@pytest.mark.parametrize("good", ["x" * 256, "../../etc", "a b/c?d=e&f", "ü" * 128, "#" * 160])
def test_takes_every_other_id(good):
    assert keys.can_be_id(good)


def test_no_sort_key_is_over_the_limit():
    longest = ResourceKey("product_recommendation", "#" * 160)
    widest = [
        keys.edge("1", longest, longest)["sk"],
        keys.used_by("1", longest, longest)["sk"],
        keys.lineage("1", longest, "#" * 160)["sk"],
        keys.name_key("ß" * 5000, longest.id),
        keys.identifier("1", "u" * 1000)["sk"],
    ]
    assert max(len(key.encode()) for key in widest) <= 1024


def test_titles_sort_without_case_white_space_or_separator_getting_in_the_way():
    titles = ["b", "A", "a  b", "a\tc", "A#", "ab"]
    ordered = sorted(titles, key=lambda title: keys.name_key(title, "id"))

    assert ordered == ["A", "a  b", "a\tc", "A#", "ab", "b"]


def test_usage_sorts_by_number():
    usages = [None, 0, 1, 2.5, 10, 99_999_999]

    assert sorted(usages, key=lambda usage: keys.usage_key(usage, "id")) == usages
