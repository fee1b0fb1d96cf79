import base64
import json

import pytest

from shared.adapters.dynamodb.cursor import decode_cursor, encode_cursor
from shared.domain.errors import InvalidRequestError

FILTERS = {"type": "journey", "q": "", "purposes": ("a",)}


def forged(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def own(**changes):
    return encode_cursor(
        **({"operation": "listConfigs", "org_id": "1", "filters": FILTERS, "last": ["k", "ü#"]} | changes)
    )


def read(cursor):
    return decode_cursor(cursor, "listConfigs", "1", FILTERS, 2)


def test_gives_back_where_the_page_ended():
    assert read(own()) == ("k", "ü#")


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_cursor_is_the_beginning(nothing):
    assert read(nothing) == ()


def test_names_neither_the_organisation_nor_the_filters():
    content = base64.urlsafe_b64decode(own(org_id="org-secret", filters={"q": "secret-q"}) + "==")

    assert b"secret" not in content


@pytest.mark.parametrize(
    "changes",
    [{"operation": "listSyncJobs"}, {"org_id": "2"}, {"filters": {**FILTERS, "q": "x"}}, {"last": []}, {"last": [""]}],
)
def test_refuses_the_cursor_of_another_query(changes):
    with pytest.raises(InvalidRequestError, match="cursor"):
        read(own(**changes))


_, _, FILTER_HASH, ORG_HASH, _ = json.loads(base64.urlsafe_b64decode(own() + "=="))


@pytest.mark.parametrize(
    "garbled",
    [
        "x",
        "%%%",
        "ü",
        own()[:-2],
        own() + "A",
        "A" * 10_000,
        forged(None),
        forged({}),
        forged([]),
        forged("text"),
        forged([0, "listConfigs", FILTER_HASH, ORG_HASH, ["k", "k"]]),
        forged([1, "listConfigs", FILTER_HASH, ORG_HASH, "k"]),
        forged([1, "listConfigs", FILTER_HASH, ORG_HASH, ["k", 1]]),
        forged([1, "listConfigs", FILTER_HASH, ORG_HASH, ["k", {"pk": "ORG#2"}]]),
        forged([1, "listConfigs", FILTER_HASH, ORG_HASH, ["k", "\ud800"]]),
        forged([1, "listConfigs", FILTER_HASH, ORG_HASH, ["k", "k" * 3000]]),
        forged([1, "listConfigs", FILTER_HASH, ORG_HASH, ["k", "k"], "more"]),
        forged([1, "listConfigs", FILTER_HASH, ORG_HASH, ["k"]]),
        forged([1, "listConfigs", FILTER_HASH, ORG_HASH, ["k", "k", "k"]]),
        "W1tb" * 2000,
    ],
)
def test_refuses_a_garbled_cursor(garbled):
    with pytest.raises(InvalidRequestError, match="cursor"):
        read(garbled)
