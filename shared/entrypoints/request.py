"""What an operation sees of an HTTP request, with everything it takes from it checked."""

from __future__ import annotations

import base64
import binascii
import json
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from shared.domain.bounds import MAX_DEPTH, MAX_ID_BYTES, check_depth, whole_text
from shared.domain.caller import Caller
from shared.domain.errors import InvalidRequestError, PayloadTooLargeError, TooDeepError, UnauthorizedError
from shared.domain.redaction import token_digest

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_BODY_BYTES = 1024 * 1024
MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 25


@dataclass(frozen=True, slots=True)
class Response:
    """An answer with a status of its own.

    Attributes:
        status: HTTP status.
        body: what is serialised to JSON.
        headers: further headers.
    """

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """A request of a caller whose token the authorizer has verified.

    Attributes:
        org_id: the caller's organisation, from the verified token.
        user_id: the caller, from the verified token.
        expires_at: when the token expires, epoch seconds; None for an access token without expiry.
        token: the bearer token, for operations that call downstream or keep credentials.
        request_id: the gateway's id of this request.
        headers: by lower-case name.
    """

    org_id: str
    user_id: str
    expires_at: int | None
    token: str
    request_id: str
    headers: Mapping[str, str]
    _path: Mapping[str, str]
    _query: Mapping[str, list[str]]
    _body: str

    @property
    def caller(self) -> Caller:
        """Who asks."""
        return Caller(org_id=self.org_id, user_id=self.user_id, token=self.token, expires_at=self.expires_at)

    @classmethod
    def from_event(cls, event: Mapping[str, Any], now: float) -> Request:
        """Read an API Gateway proxy event.

        Raises:
            UnauthorizedError: no verified identity, one of another token, or its token has expired since the gateway
                cached it.
            PayloadTooLargeError: a body over 1 MB.
            InvalidRequestError: a body that is not UTF-8.
        """
        context = event.get("requestContext") or {}
        identity = context.get("authorizer") or {}
        org_id = identity.get("org_id")
        if not org_id:
            raise UnauthorizedError("No bearer token, or one that does not verify.")
        expires_at = int(float(identity.get("exp") or 0)) or None
        if expires_at is not None and expires_at <= now:
            raise UnauthorizedError("The token has expired.")
        headers = {str(name).lower(): str(value) for name, value in (event.get("headers") or {}).items()}
        token = headers.get("authorization", "").partition(" ")[2].strip()
        if token_digest(token) != identity.get("token_digest"):
            raise UnauthorizedError("The bearer token is another one than the one that was verified.")
        many = event.get("multiValueQueryStringParameters")
        sent = many or {name: [value] for name, value in (event.get("queryStringParameters") or {}).items()}
        query = {name: [whole_text(value) for value in values] for name, values in sent.items()}
        return cls(
            org_id=org_id,
            user_id=str(identity.get("user_id") or ""),
            expires_at=expires_at,
            token=token,
            request_id=str(context.get("requestId") or ""),
            headers=headers,
            _path=event.get("pathParameters") or {},
            _query=query,
            _body=_decoded_body(event),
        )

    def path(self, name: str) -> str:
        """Return a path parameter, percent-decoded once: the REST gateway hands it on as it was sent.

        Raises:
            InvalidRequestError: it is empty, over 256 bytes, or has control characters.
        """
        return checked_id(unquote(self._path.get(name) or "", errors="surrogateescape"), name)

    def query(self, name: str) -> str | None:
        """Return the first value of a query parameter; None where it is absent or empty."""
        values = self._query.get(name) or []
        return values[0] or None if values else None

    def query_values(self, name: str) -> list[str]:
        """Return all values of a query parameter, repeated or separated by commas, without empty ones."""
        return [part.strip() for value in self._query.get(name) or [] for part in value.split(",") if part.strip()]

    def query_size(self, maximum: int = MAX_PAGE_SIZE, default: int = DEFAULT_PAGE_SIZE) -> int:
        """Return the query parameter `size`.

        Raises:
            InvalidRequestError: it is no whole number from 1 to the maximum.
        """
        text = self.query("size")
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) < 8 and 1 <= int(text) <= maximum):
            raise InvalidRequestError(f"size: a whole number from 1 to {maximum} is expected.")
        return int(text)

    def query_enum(self, name: str, allowed: Collection[str], default: str | None = None) -> str | None:
        """Return a query parameter that takes one of a few values.

        Raises:
            InvalidRequestError: it has another value.
        """
        value = self.query(name)
        if value is None:
            return default
        if value not in allowed:
            raise InvalidRequestError(f"{name}: one of {', '.join(sorted(allowed))} is expected.")
        return value

    def query_bool(self, name: str) -> bool | None:
        """Return a query parameter that is true or false; None where it is absent.

        Raises:
            InvalidRequestError: it is neither.
        """
        value = self.query(name)
        if value is None:
            return None
        if value.lower() not in ("true", "false"):
            raise InvalidRequestError(f"{name}: true or false is expected.")
        return value.lower() == "true"

    def query_datetime(self, name: str) -> datetime | None:
        """Return a query parameter that is an ISO 8601 date or date-time, in UTC; without an offset it is read as UTC.

        Raises:
            InvalidRequestError: it is none.
        """
        value = self.query(name)
        if value is None:
            return None
        try:
            # A plus sign that the client did not encode arrives as a space.
            moment = datetime.fromisoformat(
                value.replace(" ", "+") if value.count(" ") == 1 and "T" in value else value
            )
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise InvalidRequestError(
                f"{name}: an ISO 8601 date-time is expected, such as 2026-01-31T12:00:00Z."
            ) from None

    def json(self, *, optional: bool = False) -> dict[str, Any]:
        """Return the body, a JSON object.

        Args:
            optional: an absent body is an empty object.

        Raises:
            InvalidRequestError: it is absent, malformed or no object; the message names the position.
        """
        if not self._body.strip():
            if optional:
                return {}
            raise InvalidRequestError("The body must be a JSON object; it is empty.")
        try:
            value = json.loads(self._body, parse_constant=_refuse_constant)
            check_depth(value)
            if "\\u" in self._body:
                json.dumps(value, ensure_ascii=False).encode()
        except json.JSONDecodeError as error:
            raise InvalidRequestError(
                f"The body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
            ) from None
        except UnicodeEncodeError:
            raise InvalidRequestError("The body is not valid JSON: a string holds half of a surrogate pair.") from None
        except (RecursionError, TooDeepError):
            raise InvalidRequestError(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
        except ValueError:
            raise InvalidRequestError("The body is not valid JSON: a number is out of range.") from None
        if not isinstance(value, dict):
            raise InvalidRequestError("The body must be a JSON object.")
        return value


def checked_id(value: str, name: str) -> str:
    """Return an opaque id if it can be one.

    Raises:
        InvalidRequestError: it is empty, over 256 bytes of UTF-8, not UTF-8, or has control characters.
    """
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise InvalidRequestError(f"{name}: UTF-8 is expected.") from None
    if not 1 <= size <= MAX_ID_BYTES:
        raise InvalidRequestError(f"{name}: 1 to {MAX_ID_BYTES} bytes are expected.")
    if any(unicodedata.category(character) == "Cc" for character in value):
        raise InvalidRequestError(f"{name}: control characters are not allowed.")
    return value


def _decoded_body(event: Mapping[str, Any]) -> str:
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        if len(body) > MAX_BODY_BYTES * 4 / 3 + 4:
            raise PayloadTooLargeError("The body is over the limit of 1 MB.")
        try:
            body = base64.b64decode(body, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidRequestError("The body is not UTF-8.") from None
    if len(body) > MAX_BODY_BYTES or len(body.encode(errors="replace")) > MAX_BODY_BYTES:
        raise PayloadTooLargeError("The body is over the limit of 1 MB.")
    return str(body)


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)
