"""Read a text behind its escapes (JSON in JSON, URL, HTML), and write into it as it is escaped there."""

from __future__ import annotations

import html
import json
import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PIECE_PATTERN = re.compile(r"[^\s<>]*")
# With its backslashes: as many say how deep in stringified JSON it stands.
_QUOTE_PATTERN = re.compile(r'(?<!\\)\\*+"')


@dataclass(frozen=True, slots=True)
class _Escape:
    """A way to write characters.

    Attributes:
        marker: part of every string that has such an escape.
        pattern: one escaped character.
        undo: from the escape to the character.
        write: escapes a text.
    """

    marker: str
    pattern: re.Pattern[str]
    undo: Callable[[str], str]
    write: Callable[[str], str]


def _undo_json(escape: str) -> str:
    letter = escape.lstrip("\\")
    return chr(int(letter[1:], 16)) if len(letter) > 1 else _JSON_LETTERS.get(letter, letter)


_JSON_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def _write_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


_HEX = "[0-9A-Fa-f]"
_NEXT_BYTE = "%[89ABab][0-9A-Fa-f]"
_ESCAPES = (
    # However deep JSON is stringified, a run of backslashes is the escape of one character.
    _Escape("\\", re.compile(rf'(?<!\\)\\++(?:["/bfnrt]|u{_HEX}{{4}})'), _undo_json, _write_json),
    # One character in UTF-8.
    _Escape(
        "%",
        re.compile(
            rf"%(?:[0-7]{_HEX}|[CDcd]{_HEX}{_NEXT_BYTE}|[Ee]{_HEX}(?:{_NEXT_BYTE}){{2}}|[Ff][0-7](?:{_NEXT_BYTE}){{3}})"
        ),
        unquote,
        lambda text: quote(text, safe=""),
    ),
    # Other entities stand in no identifier, and `&` and `;` part words anyway.
    _Escape("&", re.compile(r"&(?:amp|quot|apos|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});"), html.unescape, html.escape),
)
# Escapes of escapes: what is written in more ways than these is not read any further.
_MAX_READINGS = 8


@dataclass(frozen=True, slots=True)
class Reading:
    """A string with some of its escapes undone.

    Attributes:
        parent: what they were undone in, None for the string itself.
        escape: the kind that was undone.
        places: where each undone character stands.
        stops: where its escape ends in the parent.
    """

    text: str
    parent: Reading | None = None
    escape: _Escape | None = None
    places: Sequence[int] = ()
    stops: Sequence[int] = ()

    def raw(self, position: int) -> int:
        """Return where a position between two characters is in the string itself."""
        if self.parent is None:
            return position
        undone = bisect_left(self.places, position)
        if undone:
            position += self.stops[undone - 1] - self.places[undone - 1] - 1
        return self.parent.raw(position)

    def changed(self) -> Iterator[tuple[int, int]]:
        """Yield the parts without a blank that read otherwise than in the parent; all of the string itself."""
        if self.parent is None:
            yield 0, len(self.text)
            return
        end = 0
        for place in self.places:
            if place >= end:
                before = _PIECE_PATTERN.match(self.text[end:place][::-1])
                start = place - len(before[0]) if before else place
                after = _PIECE_PATTERN.match(self.text, place + 1)
                end = after.end() if after else place + 1
                yield max(start - 1, 0), min(end + 1, len(self.text))


def readings_of(text: str) -> Iterator[Reading]:
    """Yield a string as it is, then with its escapes undone, kind by kind and level by level."""
    readings = [Reading(text)]
    seen = {text}
    for reading in readings:  # grows while it is read
        yield reading
        for escape in _ESCAPES if len(readings) < _MAX_READINGS else ():
            undone = _undo(reading, escape) if escape.marker in reading.text else None
            if undone is not None and undone.text not in seen:
                seen.add(undone.text)
                readings.append(undone)


def _undo(reading: Reading, escape: _Escape) -> Reading | None:
    pieces: list[str] = []
    places: list[int] = []
    stops: list[int] = []
    length = last = 0
    for match in escape.pattern.finditer(reading.text):
        character = escape.undo(match[0])
        if len(character) == 1:
            piece = reading.text[last : match.start()]
            length += len(piece)
            pieces += (piece, character)
            places.append(length)
            stops.append(match.end())
            length += 1
            last = match.end()
    if not places:
        return None
    return Reading("".join((*pieces, reading.text[last:])), reading, escape, places, stops)


def escape_like(value: str, identifier: str, text: str, start: int, end: int) -> str:
    """Return a value with the escapes that an identifier has at its place.

    Args:
        value: what is to be written there.
        identifier: what stands there, escapes undone.
        text: the string that it stands in.
        start: where it begins there.
        end: where it ends.
    """
    raw = text[start:end]
    if raw == identifier:
        return _as_in_json(value, text, start)
    for reading in readings_of(raw):
        if reading.text == identifier:
            written = {one: raw[reading.raw(at) : reading.raw(at + 1)] for at, one in enumerate(identifier)}
            return "".join(written.get(one) or _write(one, reading) for one in value)
    return value


def _write(character: str, reading: Reading) -> str:
    """Write a character with all the kinds of escapes that a reading has undone."""
    text = character
    while reading.escape is not None and reading.parent is not None:
        text = reading.escape.write(text)
        reading = reading.parent
    return text


def _as_in_json(value: str, text: str, start: int) -> str:
    """Escape a value for the level of stringified JSON that a place in a text is at."""
    if not any(one in '"\\' or one < " " for one in value):
        return value
    for _ in range(_json_levels(text)(start)):
        value = _write_json(value)
    return value


@lru_cache(maxsize=1)  # a text is rewritten place by place
def _json_levels(text: str) -> Callable[[int], int]:
    """Return what tells in how many levels of stringified JSON a position of a text is."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return lambda _: 0
    quotes = [(-1, 1), *((match.end() - 1, len(match[0]).bit_length()) for match in _QUOTE_PATTERN.finditer(text))]
    return lambda start: quotes[bisect_left(quotes, (start, 0)) - 1][1]
