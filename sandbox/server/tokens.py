"""Signs and verifies the tokens of the sandbox's own issuer."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

DEFAULT_TTL_S = 3600
_KEY_ID = "sandbox"


class Caller(NamedTuple):
    """Who a token stands for."""

    org_id: str
    user_id: str
    expires_at: float


class Tokens:
    """One RSA key, kept in a file so that tokens outlive a restart."""

    def __init__(self, issuer: str, key_file: Path) -> None:
        self.issuer = issuer
        self._key = _read_or_make_key(key_file)
        self._public = self._key.public_key()
        self._verified: dict[str, Caller] = {}

    def key_set(self) -> dict[str, Any]:
        """Return the public key as a JSON Web Key Set."""
        key = json.loads(RSAAlgorithm.to_jwk(self._public))
        return {"keys": [{**key, "kid": _KEY_ID, "alg": "RS256", "use": "sig"}]}

    def sign(self, org_id: str, user_id: str, ttl_s: int = DEFAULT_TTL_S) -> str:
        """Return a token; a negative lifetime gives an expired one."""
        issued_at = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": user_id,
            "iat": issued_at if ttl_s >= 0 else issued_at + 2 * ttl_s,
            "exp": issued_at + ttl_s,
            "custom:ivy_org_id": org_id,
            "custom:ivy_user_id": user_id,
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": _KEY_ID})

    def verify(self, token: str) -> Caller | None:
        """Return who a token stands for, or None when it does not verify."""
        caller = self._verified.get(token)
        if caller is None:
            try:
                claims = jwt.decode(
                    token,
                    self._public,
                    algorithms=["RS256"],
                    issuer=self.issuer,
                    options={"require": ["exp", "iat", "sub"]},
                )
                caller = Caller(claims["custom:ivy_org_id"], claims["custom:ivy_user_id"], claims["exp"])
            except (jwt.InvalidTokenError, KeyError):
                return None
            self._verified[token] = caller
        return caller if caller.expires_at > time.time() else None


def _read_or_make_key(path: Path) -> rsa.RSAPrivateKey:
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if isinstance(key, rsa.RSAPrivateKey):
            return key
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return key
