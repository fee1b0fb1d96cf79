"""Opaque cursors: where a page ended, bound to the operation, the filters and the organisation that it was made for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared.domain.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_VERSION = 1
_MAX_CURSOR_BYTES = 8192
_MAX_KEY_BYTES = 2048
_EXPECTED = "cursor: the next_cursor of the same query is expected."


def encode_cursor(operation: str, org_id: str, filters: Mapping[str, Any], last: Sequence[str]) -> str:
    """Return a cursor.

    Args:
        operation: such as `listConfigs`.
        org_id: the caller's organisation.
        filters: everything that decides which results there are and in which order.
        last: sort keys of the last result; the partition key is never in a cursor, it comes from the token.
    """
    text = json.dumps([_VERSION, operation, _hash(filters), _hash(org_id), list(last)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode_cursor(
    cursor: str | None, operation: str, org_id: str, filters: Mapping[str, Any], parts: int
) -> tuple[str, ...]:
    """Return the sort keys of the last result; empty without a cursor.

    Args:
        cursor: what `encode_cursor` returned; None or empty: the first page is asked for.
        operation: as for `encode_cursor`.
        org_id: as for `encode_cursor`.
        filters: as for `encode_cursor`.
        parts: how many sort keys a cursor of this query has.

    Raises:
        InvalidRequestError: the cursor is garbled, of another version, operation, query or organisation.
    """
    if not cursor:
        return ()
    if len(cursor) > _MAX_CURSOR_BYTES:
        raise InvalidRequestError(_EXPECTED)
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        value = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise InvalidRequestError(_EXPECTED) from None
    expected = [_VERSION, operation, _hash(filters), _hash(org_id)]
    if not isinstance(value, list) or value[:-1] != expected or not isinstance(value[-1], list):
        raise InvalidRequestError(_EXPECTED)
    last = value[-1]
    if len(last) != parts or not all(_is_sort_key(part) for part in last):
        raise InvalidRequestError(_EXPECTED)
    return tuple(last)


@contextmanager
def begun_at(request: Mapping[str, Any]) -> Iterator[None]:
    """Let a query begin where a cursor says.

    Raises:
        InvalidRequestError: DynamoDB cannot begin there: the sort keys are forged.
    """
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationException" and "ExclusiveStartKey" in request:
            raise InvalidRequestError(_EXPECTED) from error
        raise


def _is_sort_key(part: Any) -> bool:
    try:
        return isinstance(part, str) and 0 < len(part.encode()) <= _MAX_KEY_BYTES
    except UnicodeEncodeError:
        return False


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
