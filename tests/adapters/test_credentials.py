import json

import pytest

from shared.adapters.credentials import CredentialsStore
from shared.domain.bounds import MAX_TOKEN_BYTES
from shared.domain.errors import CredentialsExpiredError, InvalidRequestError, NotFoundError
from tests.fakes.api import Clock

TOKEN = "eyJhbGciOiJSUzI1NiJ9." + "x" * 6_000 + ".c2lnbmF0dXJl"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def table(tables):
    return tables["CredentialsTable"]


@pytest.fixture
def store(aws, table, kms_key, clock):
    return CredentialsStore(table, aws.client("kms"), kms_key, clock)


def later(clock, seconds=600):
    return int(clock.now) + seconds


def test_gives_back_what_it_was_given(store, clock):
    store.put("run", "source", TOKEN, later(clock))

    assert store.get("run", "source") == TOKEN


def test_stores_nothing_that_can_be_read(store, table, clock):
    store.put("run", "source", TOKEN, later(clock))

    assert TOKEN[30:60] not in json.dumps(
        table.scan()["Items"], default=lambda value: repr(bytes(value)) if hasattr(value, "value") else str(value)
    )


def test_seals_every_token_with_a_key_and_nonce_of_its_own(store, table, clock):
    store.put("run", "source", TOKEN, later(clock))
    store.put("run", "target", TOKEN, later(clock))

    first, second = table.scan()["Items"]
    assert all(first[name] != second[name] for name in ("data_key", "nonce", "ciphertext"))


@pytest.mark.parametrize("moved", [{"pk": "RUN#other"}, {"sk": "target"}])
def test_a_ciphertext_moved_elsewhere_opens_for_nobody(moved, store, table, clock):
    store.put("run", "source", TOKEN, later(clock))
    item = table.scan()["Items"][0] | moved
    table.put_item(Item=item)

    with pytest.raises(CredentialsExpiredError):
        store.get(item["pk"].removeprefix("RUN#"), item["sk"])


def test_the_context_is_bound_to_the_ciphertext_and_not_only_to_the_data_key(store, table, aws, kms_key, clock):
    store.put("run", "source", TOKEN, later(clock))
    item = table.scan()["Items"][0]
    kms = aws.client("kms")
    plain = kms.decrypt(CiphertextBlob=bytes(item["data_key"]), EncryptionContext={"run": "run", "role": "source"})[
        "Plaintext"
    ]
    wrapped = kms.encrypt(KeyId=kms_key, Plaintext=plain, EncryptionContext={"run": "run", "role": "target"})[
        "CiphertextBlob"
    ]
    table.put_item(Item=item | {"sk": "target", "data_key": wrapped})

    with pytest.raises(CredentialsExpiredError):
        store.get("run", "target")


def test_an_altered_ciphertext_does_not_open(store, table, clock):
    store.put("run", "source", TOKEN, later(clock))
    item = table.scan()["Items"][0]
    altered = bytearray(bytes(item["ciphertext"]))
    altered[10] ^= 1
    table.put_item(Item=item | {"ciphertext": bytes(altered)})

    with pytest.raises(CredentialsExpiredError):
        store.get("run", "source")


def test_a_run_has_only_what_was_put_for_it(store):
    with pytest.raises(NotFoundError):
        store.get("run", "source")


def test_expires_by_its_own_clock_although_the_table_still_has_it(store, table, clock):
    store.put("run", "source", TOKEN, later(clock))
    clock.now += 600

    with pytest.raises(CredentialsExpiredError):
        store.get("run", "source")
    assert table.scan()["Count"] == 1


def test_a_token_is_given_with_its_end_so_that_another_run_keeps_it_no_longer(store, clock):
    store.put("run", "target", TOKEN, later(clock))
    store.limit("run", later(clock, 60))

    store.put("another", "target", *store.get_kept("run", "target"))

    clock.now += 60
    with pytest.raises(CredentialsExpiredError):
        store.get("another", "target")


@pytest.mark.parametrize(("until", "kept"), [(60, 60), (10_000, 600)])
def test_a_limit_only_ever_shortens(until, kept, store, table, clock):
    store.put("run", "source", TOKEN, later(clock))
    store.limit("run", later(clock, until))

    assert int(table.scan()["Items"][0]["expires_at"]) == later(clock, kept)


@pytest.mark.parametrize("expires_at", [None, 4_000_000_000])
def test_keeps_a_long_lived_token_for_a_week_at_most(expires_at, store, clock):
    store.put("run", "source", TOKEN, expires_at)

    clock.now += 7 * 24 * 3600 - 1
    assert store.get("run", "source") == TOKEN
    clock.now += 1
    with pytest.raises(CredentialsExpiredError):
        store.get("run", "source")


def test_deletes_all_tokens_of_one_run_only(store, table, clock):
    for run, role in (("run", "caller"), ("run", "source"), ("run", "target"), ("other", "source")):
        store.put(run, role, TOKEN, later(clock))
    store.delete("run")
    store.delete("run")

    assert [item["pk"] for item in table.scan()["Items"]] == ["RUN#other"]


def test_refuses_a_token_over_the_limit(store, clock):
    store.put("run", "source", "x" * MAX_TOKEN_BYTES, later(clock))
    with pytest.raises(InvalidRequestError):
        store.put("run", "source", "x" * (MAX_TOKEN_BYTES + 1), later(clock))
