"""Keep credentials out of what is read and handed on."""

import re
from hashlib import sha256

_REDACTED = "[redacted]"

# A JWT is two or more base64url parts of which the first is a JSON object ("eyJ" is '{"'); a JWE has five.
# One part alone is matched too, and left: a search from each `eyJ` of a long word anew would take for ever.
_JSON_WEB_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){0,4}")
_BEARER = re.compile(r"(\bbearer)(?:\s|%20|\+)+[^\s\"'\\,;]+", re.IGNORECASE)
_SIGNED_URL = re.compile(r"(X-Amz-(?:Signature|Credential|Security-Token)=)[^&\s\"'\\]+", re.IGNORECASE)


def redact(text: str) -> str:
    """Return the text with JSON web tokens, bearer values and URL signatures replaced by `[redacted]`."""
    text = _JSON_WEB_TOKEN.sub(lambda match: _REDACTED if "." in match[0] else match[0], text)
    text = _BEARER.sub(rf"\1 {_REDACTED}", text)
    return _SIGNED_URL.sub(rf"\1{_REDACTED}", text)


def token_digest(token: str) -> str:
    """Return a SHA-256 of a token, in hex: what may be handed on and compared where the token itself may not."""
    return sha256(token.encode(errors="replace")).hexdigest()
