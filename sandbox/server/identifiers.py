"""Makes the ids that the downstream APIs assign, each in its own form."""

import random
import string
import uuid
from collections.abc import Callable

_ALPHANUMERIC = string.ascii_letters + string.digits
_NANOID = _ALPHANUMERIC + "_-"
_BASE57 = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def _of(alphabet: str, length: int, prefix: str = "") -> Callable[[], str]:
    return lambda: prefix + "".join(random.choices(alphabet, k=length))


NEW_ID: dict[str, Callable[[], str]] = {
    "uuid": lambda: str(uuid.uuid4()),
    "short_id": _of(_ALPHANUMERIC, 8),
    "nanoid": _of(_NANOID, 21),
    "short_uuid": _of(_BASE57, 22),
    "access_token_id": _of(_BASE57, 22, "api_"),
    "secret": _of(_ALPHANUMERIC, 40),
}
