"""Bounds of what other systems say: how deep JSON is nested, that its texts are text, how large a file may be."""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

from shared.domain.errors import TooDeepError

#: Levels of objects and arrays in one payload, and once more in a text of it that holds JSON. Our own bound: walks take
#: one or two frames a level of the 1,000 that Python has. The stores behind the APIs end earlier: an item of DynamoDB
#: at 32 levels, a mapping of OpenSearch at 20 unless it is set otherwise.
MAX_DEPTH = 200
# An answer wraps its configs in a few levels of its own, so what is cut off there is over the bound all the same.
_CUT_BELOW = MAX_DEPTH + 10
_MAX_MARKS = 30

#: Bytes of UTF-8 of an id, ours or another system's.
MAX_ID_BYTES = 256
#: Bytes of an identifier: a sort key of DynamoDB ends at 1,024 bytes; `%` and `#` take three there.
MAX_IDENTIFIER_BYTES = 1000
#: Bytes of a bearer token; real ones have one or two thousand.
MAX_TOKEN_BYTES = 16 * 1024

#: Bytes of a file that is copied: it is held in memory meanwhile, and the smallest function that does so has 1 GB.
MAX_CONTENT_BYTES = 256 * 1024 * 1024

# A string that does not end is taken whole, so that the search goes over no character twice.
_STRINGS_AND_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


def read_json(content: str | bytes) -> Any:
    """Read JSON of any depth, without failing on what is nested too deep.

    Returns:
        The value, empty below 210 levels: `check_depth` refuses a config in which something is missing. Half a
        surrogate pair, which is no character and which no store takes, becomes U+FFFD.

    Raises:
        ValueError: it is no JSON.
    """
    text = content if isinstance(content, str) else content.decode(json.detect_encoding(content), "surrogatepass")
    try:
        value = json.loads(text)
    except RecursionError:
        value = json.loads(_cut_text(text))
    for container in _below(value, _CUT_BELOW):
        container.clear()
    return _with_whole_texts(value) if _may_have_halves(text) else value


def read_json_text(text: str) -> Any:
    """Parse a text that holds a JSON object or array; None for any other text, or if it is nested too deep."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if _below(value, MAX_DEPTH):
        return None
    return _with_whole_texts(value) if _may_have_halves(text) else value


def check_depth(payload: Any) -> None:
    """Refuse a payload that is nested too deep to be compared or written.

    Raises:
        TooDeepError: it has more than 200 levels.
    """
    if _below(payload, MAX_DEPTH):
        raise TooDeepError(f"It is nested deeper than {MAX_DEPTH} levels, which no job copies.")


def whole_text(text: str) -> str:
    """Return a text in which each half of a surrogate pair is replaced by U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
    return text


def composed_text(text: str) -> str:
    """Return a text in Unicode's composed form (NFC); as it is where more than 30 marks follow each other.

    Marks are sorted on the way, which takes time by the square of how many there are in a row. No language has as many:
    https://www.unicode.org/reports/tr15/#Stream_Safe_Text_Format
    """
    if text.isascii():
        return text
    in_a_row = 0
    for character in text:
        in_a_row = in_a_row + 1 if unicodedata.combining(character) else 0
        if in_a_row > _MAX_MARKS:
            return text
    return unicodedata.normalize("NFC", text)


def _below(value: Any, depth: int) -> list[Any]:
    """Return the objects and arrays that have as many around them, or more; by level, since recursion has an end."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(depth):
        if not level:
            break
        level = [
            item
            for container in level
            for item in (container.values() if isinstance(container, dict) else container)
            if type(item) is dict or type(item) is list
        ]
    return level


def _may_have_halves(text: str) -> bool:
    return "\\ud" in text or "\\uD" in text or whole_text(text) is not text


def _with_whole_texts(value: Any) -> Any:
    if isinstance(value, str):
        return whole_text(value)
    if isinstance(value, list):
        return [_with_whole_texts(item) for item in value]
    if isinstance(value, dict):
        return {whole_text(key): _with_whole_texts(item) for key, item in value.items()}
    return value


def _cut_text(text: str) -> str:
    """Replace in a JSON text what lies below the bound by null."""
    kept: list[str] = []
    depth = begin = 0
    for match in _STRINGS_AND_BRACKETS.finditer(text):
        bracket = match[0]
        if bracket in ("[", "{"):
            depth += 1
            if depth == _CUT_BELOW + 1:
                kept.append(text[begin : match.start()])
                begin = len(text)
        elif bracket in ("]", "}"):
            if depth == _CUT_BELOW + 1:
                kept.append("null")
                begin = match.end()
            depth -= 1
    kept.append(text[begin:])
    return "".join(kept)
