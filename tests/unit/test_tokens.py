import hashlib
import hmac
import time

import jwt
import pytest
import requests
from cryptography.hazmat.primitives import serialization

from shared.adapters.tokens import Identity, Issuer, TokenVerifier
from shared.domain.errors import ForbiddenError, UnauthorizedError
from tests.fakes.api import Clock
from tests.fakes.issuer import ISSUER, key_set, private_key, sign, unsigned

ACCESS_ISSUER = "https://access.example"
URL = "https://issuer.example/keys"


class Keys:
    """Publishes keys and counts how often it is asked."""

    def __init__(self, *key_ids):
        self.published = key_set(*key_ids)
        self.urls = []
        self.error = None

    def __call__(self, url):
        self.urls.append(url)
        if self.error:
            raise self.error
        return self.published


@pytest.fixture
def keys():
    return Keys("own")


@pytest.fixture
def verifier(keys):
    return TokenVerifier([Issuer(ISSUER, URL)], fetch=keys, clock=Clock())


class Listed:
    """The issuer's list of a user's tokens; counts how often it is asked."""

    def __init__(self, *token_ids):
        self.ids = token_ids
        self.asked = 0
        self.error = None

    def __call__(self, url, token):
        self.asked += 1
        assert url == "https://access.example/tokens"
        if self.error:
            raise self.error
        return None if self.ids is None else [{"id": one} for one in self.ids]


def access_verifier(listed, clock=None, list_url="https://access.example/tokens"):
    issuer = Issuer(ACCESS_ISSUER, URL, kinds=frozenset({"api"}), list_url=list_url)
    return TokenVerifier([issuer], fetch=Keys("own"), fetch_tokens=listed, clock=clock or Clock())


def access_token(**changes):
    return sign(**{"iss": ACCESS_ISSUER, "exp": None, "token_type": "api", "token_id": "t1"} | changes)


def claims_of(**changes):
    return jwt.decode(sign(**changes), options={"verify_signature": False})


def test_says_who_a_valid_token_speaks_for(verifier):
    expires_at = int(time.time()) + 60

    assert verifier.verify(sign(exp=expires_at)) == Identity("1", "user", expires_at)


def test_the_matrix_holds_only_tokens_that_are_refused_for_their_one_fault(verifier):
    assert verifier.verify(sign()).org_id == "1"


def _confused():
    """A token signed with HMAC, the issuer's public key as the secret."""
    public = (
        private_key("own")
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    head, body, _ = unsigned({"alg": "HS256", "kid": "own", "typ": "JWT"}, claims_of()).split(".")
    signature = hmac.new(public, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return unsigned({"alg": "HS256", "kid": "own", "typ": "JWT"}, claims_of(), signature)


def _tampered():
    head, _, signature = sign().split(".")
    return f"{head}.{sign(**{'custom:ivy_org_id': '2'}).split('.')[1]}.{signature}"


@pytest.mark.parametrize(
    "make",
    [
        lambda: "",
        lambda: "not a token",
        lambda: "a.b.c",
        lambda: sign(exp=int(time.time()) - 1),
        lambda: sign(exp=None),
        lambda: sign(nbf=int(time.time()) + 600),
        lambda: sign(key="another", key_id="own"),
        lambda: sign(key="another"),
        lambda: unsigned({"alg": "none", "kid": "own"}, claims_of()),
        _confused,
        _tampered,
        lambda: sign(iss="https://elsewhere.example"),
        lambda: sign(iss=None),
        lambda: unsigned({"alg": "RS256", "kid": "own"}, claims_of() | {"iss": [ISSUER]}),
        lambda: sign(org_id="2"),
        lambda: sign(**{"custom:org_id": "2"}),
        lambda: sign(**{"custom:ivy_org_id": None}),
        lambda: sign(**{"custom:ivy_org_id": ""}),
        lambda: sign(**{"custom:ivy_org_id": 1}),
        lambda: sign(**{"custom:ivy_org_id": "x" * 257}),
        lambda: sign(**{"custom:ivy_org_id": "a\nb"}),
        lambda: sign(**{"custom:ivy_user_id": None, "sub": None}),
        lambda: sign(padding="x" * 16 * 1024),
        lambda: jwt.encode(claims_of(), private_key("own"), algorithm="RS256"),
        lambda: jwt.encode(claims_of(), private_key("own"), algorithm="PS256", headers={"kid": "own"}),
    ],
    ids=[
        "none", "text", "three parts", "expired", "no expiry", "not yet", "another key under this id", "unknown key id",
        "alg none", "HS256 with the public key", "tampered", "wrong issuer", "no issuer", "a list of issuers",
        "disagreeing org_id", "disagreeing custom:org_id", "no organisation", "empty organisation", "a number",
        "organisation too long", "organisation with control characters", "no user", "over 16 KB", "no key id", "PS256",
    ],
)  # fmt: skip
def test_refuses_a_token(make, verifier):
    with pytest.raises(UnauthorizedError):
        verifier.verify(make())


@pytest.mark.parametrize("claim", ["custom:ivy_org_id", "custom:org_id", "org_id"])
def test_reads_the_organisation_from_any_of_its_claims(claim, verifier):
    assert verifier.verify(sign(**{"custom:ivy_org_id": None, claim: "7"})).org_id == "7"


def test_accepts_claims_that_agree(verifier):
    assert verifier.verify(sign(org_id="1", **{"custom:org_id": "1"})).org_id == "1"


@pytest.mark.parametrize(
    ("claims", "user"),
    [
        ({"custom:user_id": "b"}, "user"),
        ({"custom:ivy_user_id": None, "custom:user_id": "b", "user_id": "c"}, "b"),
        ({"custom:ivy_user_id": None, "user_id": "c"}, "c"),
        ({"custom:ivy_user_id": None}, "subject"),
    ],
)
def test_reads_the_user_in_the_order_of_its_claims(claims, user, verifier):
    assert verifier.verify(sign(claims)).user_id == user


def test_an_access_token_without_expiry_counts_while_its_issuer_lists_it():
    clock, listed = Clock(), Listed("t0", "t1")
    verifier = access_verifier(listed, clock)

    for _ in range(3):
        assert verifier.verify(access_token()).expires_at is None
    assert listed.asked == 1
    listed.ids = ("t0",)
    clock.now += 301
    for _ in range(3):
        with pytest.raises(UnauthorizedError, match="does not list"):
            verifier.verify(access_token())
    assert listed.asked == 2


@pytest.mark.parametrize("listed", [Listed(), Listed("other")], ids=["no tokens", "another token"])
@pytest.mark.parametrize("token_id", ["t1", None, "", 1])
def test_an_access_token_without_expiry_is_refused_where_its_issuer_does_not_list_it(listed, token_id):
    with pytest.raises(UnauthorizedError):
        access_verifier(listed).verify(access_token(token_id=token_id))


def test_a_revoked_token_is_refused_by_the_issuer_itself():
    listed = Listed()
    listed.ids = None
    with pytest.raises(UnauthorizedError, match="does not list"):
        access_verifier(listed).verify(access_token())


def test_while_the_issuer_does_not_answer_nobody_counts_and_nothing_is_remembered():
    listed = Listed("t1")
    verifier = access_verifier(listed)
    listed.error = requests.ConnectionError()
    with pytest.raises(UnauthorizedError):
        verifier.verify(access_token())

    listed.error = None
    assert verifier.verify(access_token()).user_id == "user"


def test_an_access_token_with_an_expiry_asks_nobody():
    listed = Listed()
    assert access_verifier(listed).verify(access_token(exp=int(time.time()) + 60)).user_id == "user"
    assert listed.asked == 0


def test_nobody_is_asked_about_a_token_that_does_not_verify():
    listed = Listed("t1")
    for token in (access_token(token_type="journey"), access_token(key="another", key_id="own")):
        with pytest.raises(UnauthorizedError):
            access_verifier(listed).verify(token)
    assert listed.asked == 0


def test_without_a_list_an_access_token_without_expiry_is_refused():
    with pytest.raises(UnauthorizedError):
        access_verifier(Listed("t1"), list_url="").verify(access_token())


@pytest.mark.parametrize("kind", [None, "", "journey", "portal", "app", "assume", "portal_preview", "API", ["api"], 1])
def test_an_access_token_of_another_kind_is_no_caller(kind):
    with pytest.raises(UnauthorizedError):
        access_verifier(Listed("t1")).verify(access_token(token_type=kind, exp=int(time.time()) + 60))


def test_an_access_token_that_has_expired_is_refused():
    with pytest.raises(UnauthorizedError):
        access_verifier(Listed("t1")).verify(access_token(exp=int(time.time()) - 1))


def test_the_same_name_for_both_issuers_does_not_lift_the_expiry(keys):
    issuers = [Issuer(ISSUER, URL), Issuer(ISSUER, URL, list_url="https://access.example/tokens")]

    with pytest.raises(UnauthorizedError):
        TokenVerifier(issuers, fetch=keys, fetch_tokens=Listed("t1")).verify(sign(exp=None, token_id="t1"))


@pytest.mark.parametrize("junk", ["==", "=", "\n", "==\r\nx-epilot-org-id: 9", ".", " ", "\u6f22"])
def test_nothing_may_follow_a_token(junk, verifier):
    head, body, signature = sign().split(".")
    for token in (
        sign() + junk,
        f"{head}{junk}.{body}.{signature}",
        f"{head}.{body}.{signature[:9]}{junk}{signature[9:]}",
    ):
        with pytest.raises(UnauthorizedError):
            verifier.verify(token)


def test_never_fetches_from_where_a_token_says(verifier, keys):
    with pytest.raises(UnauthorizedError):
        verifier.verify(
            unsigned(
                {"alg": "RS256", "kid": "own", "jku": "https://evil.example"}, claims_of(iss="https://evil.example")
            )
        )
    verifier.verify(sign())

    assert keys.urls == [URL]


def test_fetches_the_keys_once(verifier, keys):
    for _ in range(5):
        verifier.verify(sign())

    assert len(keys.urls) == 1


def test_a_flood_of_unknown_key_ids_fetches_once_a_minute(keys):
    clock = Clock()
    verifier = TokenVerifier([Issuer(ISSUER, URL)], fetch=keys, clock=clock)
    for second in range(120):
        clock.now += 1
        with pytest.raises(UnauthorizedError):
            verifier.verify(sign(key="another", key_id=f"made-up-{second}"))

    assert len(keys.urls) == 2


def test_learns_a_new_key_after_a_minute(keys):
    clock = Clock()
    verifier = TokenVerifier([Issuer(ISSUER, URL)], fetch=keys, clock=clock)
    verifier.verify(sign())
    keys.published = key_set("new")
    clock.now += 61

    assert verifier.verify(sign(key="new")).org_id == "1"


def test_forgets_a_withdrawn_key_after_an_hour(keys):
    clock = Clock()
    verifier = TokenVerifier([Issuer(ISSUER, URL)], fetch=keys, clock=clock)
    verifier.verify(sign())
    keys.published = key_set("new")
    clock.now += 3601

    with pytest.raises(UnauthorizedError):
        verifier.verify(sign())


def test_tries_again_soon_when_the_issuer_could_not_be_reached(keys):
    clock = Clock()
    verifier = TokenVerifier([Issuer(ISSUER, URL)], fetch=keys, clock=clock)
    keys.error = requests.ConnectionError()
    for _ in range(5):
        with pytest.raises(UnauthorizedError):
            verifier.verify(sign())
    assert len(keys.urls) == 1

    keys.error = None
    clock.now += 5
    assert verifier.verify(sign()).org_id == "1"


def test_known_keys_go_on_counting_while_the_issuer_cannot_be_reached(keys):
    clock = Clock()
    verifier = TokenVerifier([Issuer(ISSUER, URL)], fetch=keys, clock=clock)
    verifier.verify(sign())
    keys.error = requests.ConnectionError()
    clock.now += 3601

    assert verifier.verify(sign()).org_id == "1"


def test_a_second_token_of_the_stated_organisation_is_accepted(verifier):
    assert verifier.verify_for_org(sign(), "1").org_id == "1"


@pytest.mark.parametrize(
    "token",
    ["", "nonsense", sign(exp=1), sign(**{"custom:ivy_org_id": "2"})],
    ids=["none", "nonsense", "expired", "another organisation"],
)
def test_a_second_token_is_never_the_callers_fault_of_identity(token, verifier):
    with pytest.raises(ForbiddenError, match=r"^source_auth_token: ") as raised:
        verifier.verify_for_org(token, "1", "source_auth_token")

    assert not token or token not in raised.value.message
