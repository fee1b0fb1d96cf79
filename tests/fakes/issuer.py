"""A token issuer in memory: its key, its key set, and tokens that it or somebody else signs."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER = "https://issuer.example"
NOW = 1_800_000_000.0


@cache
def private_key(name: str) -> rsa.RSAPrivateKey:
    """Return an RSA key; another one for every name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_set(*key_ids: str) -> dict[str, Any]:
    """Return the published key set, each key under its id."""
    keys = []
    for key_id in key_ids:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private_key(key_id).public_key()))
        keys.append({**public, "kid": key_id, "use": "sig", "alg": "RS256"})
    return {"keys": keys}


def sign(claims: dict[str, Any] | None = None, key: str = "own", key_id: str | None = None, **changes: Any) -> str:
    """Return a token that is valid unless the changes say otherwise; a claim of None is left out."""
    whole = {
        "iss": ISSUER,
        "sub": "subject",
        "custom:ivy_org_id": "1",
        "custom:ivy_user_id": "user",
        "iat": int(NOW),
        "exp": int(NOW) + 10**9,
        **(claims or {}),
        **changes,
    }
    whole = {name: value for name, value in whole.items() if value is not None}
    return jwt.encode(whole, private_key(key), algorithm="RS256", headers={"kid": key_id or key})


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """Return a token put together by hand."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
