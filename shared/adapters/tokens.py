"""Verify bearer tokens: who is calling, for which organisation."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, override

import jwt
import requests

from shared.domain.bounds import MAX_TOKEN_BYTES
from shared.domain.errors import ForbiddenError, UnauthorizedError
from shared.domain.ports.tokens import Tokens
from shared.domain.redaction import token_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_ORG_ID_BYTES = 256
ORG_CLAIMS = ("custom:ivy_org_id", "custom:org_id", "org_id")
USER_CLAIMS = ("custom:ivy_user_id", "custom:user_id", "user_id", "sub")

_REFETCH_INTERVAL_S = 60
_RETRY_INTERVAL_S = 5
_KEY_SET_LIFETIME_S = 3600
_FETCH_TIMEOUT_S = (2, 3)
_REVOCATION_LIFETIME_S = 300
_MAX_REVOCATIONS_KNOWN = 10_000
# RFC 7515, 3.1, without the padding that decoders let pass: nothing may follow what is signed.
_COMPACT_PATTERN = re.compile(r"\A[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Identity:
    """What a verified token says.

    Attributes:
        org_id: the organisation it acts for.
        user_id: who acts.
        expires_at: epoch seconds; None where the issuer's tokens may live for ever and this one does.
    """

    org_id: str
    user_id: str
    expires_at: int | None


@dataclass(frozen=True, slots=True)
class Issuer:
    """A party whose tokens are accepted.

    Attributes:
        name: the exact value of the claim `iss`.
        jwks_url: where its keys are; from our settings, never from a token.
        kinds: accepted values of the claim `token_type`; None where the issuer's tokens are of one kind and have none.
        audiences: accepted values of the claim `aud`; empty: any, and none.
        list_url: where the issuer lists a user's tokens: one without `exp` counts as long as it is among them. Empty
            refuses tokens without `exp`.
    """

    name: str
    jwks_url: str
    kinds: frozenset[str] | None = None
    audiences: tuple[str, ...] = ()
    list_url: str = ""


class KeySet:
    """The public keys of one issuer, fetched when needed.

    An unknown key id fetches again, at most once a minute: a flood of made-up ids costs the issuer nothing. While the
    issuer cannot be reached, the keys that are known go on counting.
    """

    def __init__(self, url: str, fetch: Callable[[str], Mapping[str, Any]], clock: Callable[[], float]) -> None:
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._next_try_at = float("-inf")
        self._lock = threading.Lock()

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """Return the signing key of that id, or None where the issuer has none.

        Raises:
            requests.RequestException: the issuer cannot be reached and the key is not known.
        """
        with self._lock:
            now = self._clock()
            is_stale = now - self._fetched_at >= _KEY_SET_LIFETIME_S
            if (is_stale or key_id not in self._keys) and now >= self._next_try_at:
                self._next_try_at = now + _RETRY_INTERVAL_S
                try:
                    self._keys = _signing_keys(self._fetch(self._url))
                except (requests.RequestException, ValueError):
                    if key_id not in self._keys:
                        raise
                else:
                    self._fetched_at = now
                    self._next_try_at = now + _REFETCH_INTERVAL_S
            return self._keys.get(key_id)


class Revocations:
    """Tells whether tokens that never expire have been revoked, by what their issuer lists.

    No definition says how a verifier learns of a revocation. A revoked token cannot be used any more and is none of its
    user's tokens: so it counts only where the issuer answers to the token itself and names it. An answer counts for
    five minutes; no answer refuses, and counts for nothing.
    """

    def __init__(self, url: str, fetch: Callable[[str, str], Sequence[Any] | None], clock: Callable[[], float]) -> None:
        self._url = url
        self._fetch = fetch
        self._clock = clock
        self._known: dict[str, tuple[float, bool]] = {}
        self._lock = threading.Lock()

    def is_live(self, token: str, token_id: str) -> bool:
        """Tell whether the issuer still knows a token.

        Raises:
            requests.RequestException: the issuer does not answer.
        """
        digest = token_digest(token)
        with self._lock:
            until, live = self._known.get(digest, (float("-inf"), False))
        if self._clock() < until:
            return live
        listed = self._fetch(self._url, token)
        live = any(isinstance(one, dict) and one.get("id") == token_id for one in listed or ())
        with self._lock:
            if len(self._known) >= _MAX_REVOCATIONS_KNOWN:
                self._known.clear()
            self._known[digest] = self._clock() + _REVOCATION_LIFETIME_S, live
        return live


class TokenVerifier(Tokens):
    """Verify RS256 bearer tokens of the issuers that the settings name.

    Args:
        issuers: accepted issuers; where two have the same name the first counts.
        fetch: reads a key set from a URL; by default over HTTPS.
        fetch_tokens: lists the tokens of a token's user, by URL and token; None where the token is refused.
        clock: epoch seconds.
    """

    def __init__(
        self,
        issuers: Sequence[Issuer],
        fetch: Callable[[str], Mapping[str, Any]] | None = None,
        fetch_tokens: Callable[[str, str], Sequence[Any] | None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuers = {issuer.name: issuer for issuer in reversed(issuers)}
        self._key_sets = {
            name: KeySet(issuer.jwks_url, fetch or _fetch_jwks, clock) for name, issuer in self._issuers.items()
        }
        self._revocations = {
            name: Revocations(issuer.list_url, fetch_tokens or _fetch_tokens, clock)
            for name, issuer in self._issuers.items()
            if issuer.list_url
        }

    def verify(self, token: str) -> Identity:
        """Return who the caller is.

        Raises:
            UnauthorizedError: the token does not verify, for whatever reason.
        """
        try:
            return self._verify(token)
        except UnauthorizedError:
            raise
        except (
            jwt.PyJWTError,
            requests.RequestException,
            ValueError,
            TypeError,
            OverflowError,
            RecursionError,
        ) as error:
            raise UnauthorizedError(f"The token does not verify ({type(error).__name__}).") from None

    @override
    def verify_for_org(self, token: str, org_id: str, field: str = "target_auth_token") -> Identity:
        try:
            identity = self.verify(token)
        except UnauthorizedError as error:
            raise ForbiddenError(f"{field}: {error.message}") from None
        if identity.org_id != org_id:
            raise ForbiddenError(f"{field}: the token belongs to another organisation than the one that is stated.")
        return identity

    def _verify(self, token: str) -> Identity:
        if not token or len(token.encode(errors="replace")) > MAX_TOKEN_BYTES:
            raise UnauthorizedError(f"A bearer token of 1 to {MAX_TOKEN_BYTES:,} bytes is expected.")
        if _COMPACT_PATTERN.fullmatch(token) is None:
            raise UnauthorizedError("A signed JSON web token is expected.")
        unverified = jwt.decode_complete(token, options={"verify_signature": False})
        name = unverified["payload"].get("iss")
        issuer = self._issuers.get(name) if isinstance(name, str) else None
        if issuer is None:
            raise UnauthorizedError("The token comes from an issuer that is not accepted.")
        key_id = unverified["header"].get("kid")
        key = self._key_sets[issuer.name].find(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise UnauthorizedError("The token is signed with a key that its issuer does not publish.")
        # No leeway: the caller's clock plays no part in `exp`, and `iat` proves nothing.
        claims = jwt.decode(
            token,
            key=key.key,
            algorithms=["RS256"],
            issuer=issuer.name,
            audience=issuer.audiences or None,
            options={
                "require": ["iss"] if issuer.list_url else ["iss", "exp"],
                "verify_aud": bool(issuer.audiences),
                "verify_iat": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
        if issuer.kinds is not None and claims.get("token_type") not in issuer.kinds:
            raise UnauthorizedError("The token is of a kind that is no caller.")
        expires_at = claims.get("exp")
        if expires_at is None and not self._is_live(issuer, token, claims):
            raise UnauthorizedError("The token never expires, and its issuer does not list it.")
        return Identity(_org_id(claims), _user_id(claims), None if expires_at is None else int(expires_at))

    def _is_live(self, issuer: Issuer, token: str, claims: Mapping[str, Any]) -> bool:
        token_id = claims.get("token_id")
        return isinstance(token_id, str) and self._revocations[issuer.name].is_live(token, token_id)


def _org_id(claims: Mapping[str, Any]) -> str:
    named = [claims[claim] for claim in ORG_CLAIMS if claims.get(claim) not in (None, "")]
    if not named or not all(isinstance(value, str) for value in named):
        raise UnauthorizedError("The token names no organisation.")
    org_id = str(named[0])
    if any(value != org_id for value in named):
        raise UnauthorizedError("The token names more than one organisation.")
    if len(org_id.encode()) > MAX_ORG_ID_BYTES or not org_id.isprintable():
        raise UnauthorizedError(f"The token's organisation is no id of at most {MAX_ORG_ID_BYTES} printable bytes.")
    return org_id


def _user_id(claims: Mapping[str, Any]) -> str:
    for claim in USER_CLAIMS:
        value = claims.get(claim)
        if isinstance(value, str) and value:
            return value
    raise UnauthorizedError("The token names no user.")


def _signing_keys(key_set: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    keys = {}
    for entry in key_set.get("keys") or []:
        is_rsa = entry.get("kty") == "RSA"
        is_for_signatures = entry.get("use") in (None, "sig")
        is_for_rs256 = entry.get("alg") in (None, "RS256")
        if is_rsa and is_for_signatures and is_for_rs256 and entry.get("kid"):
            keys[entry["kid"]] = jwt.PyJWK.from_dict(entry, algorithm="RS256")
    return keys


def _fetch_jwks(url: str) -> Mapping[str, Any]:
    answer = requests.get(url, timeout=_FETCH_TIMEOUT_S, allow_redirects=False)
    answer.raise_for_status()
    key_set: Mapping[str, Any] = answer.json()
    return key_set


def _fetch_tokens(url: str, token: str) -> Sequence[Any] | None:
    answer = requests.get(
        url, headers={"Authorization": f"Bearer {token}"}, timeout=_FETCH_TIMEOUT_S, allow_redirects=False
    )
    if answer.status_code in (401, 403):
        return None
    answer.raise_for_status()
    listed = answer.json()
    return listed if isinstance(listed, list) else None
