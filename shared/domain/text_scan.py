"""Search a string for identifiers that an organisation knows, whatever escapes they are written with, and write others.

A string is read as it is and with its escapes undone: percent-encoding, the escapes of stringified JSON at any depth,
HTML entities. What is found is told as a span of the string itself.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from shared.domain.escapes import readings_of

#: Tells whether an identifier is one that the organisation knows.
IsKnown = Callable[[str], bool]


class Hit(NamedTuple):
    """An identifier, escapes undone, and where it stands in the string."""

    identifier: str
    start: int
    end: int


_MIN_LENGTH = 8
_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
_UUID_PATTERN = re.compile(_UUID)
_URL_PATTERN = re.compile(r"https?://[^\s\"<>\\]+")
_RUN_PATTERN = re.compile(r"[A-Za-z0-9_:-]{8,}")
_SHAPED_PATTERN = re.compile(r"[A-Za-z0-9_-]+(?::[A-Za-z0-9_-]+)*")
# A UUID counts as one part of a run, whatever letters adjoin it.
_PART_PATTERN = re.compile(rf"{_UUID}|[-_:]+")
# An identifier of more parts is found only as a run of its own; candidates are kept, so they are held to half of it.
_MAX_PARTS = 4
_TIMESTAMP_PATTERN = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d[\d:.]*(?:Z|[+-]\d\d:?\d\d)?)?")
_ADDRESS_START_PATTERN = re.compile(r"https?://")
_ADDRESS_PATTERN = re.compile(r"[^\s\"<>\\]*")
# An identifier is at most 1,000 bytes.
_MAX_ADDRESS = 1000
# What may stand in an address or close it; where it ends is told by what is known.
_CUT_PATTERN = re.compile(r"['()\[\]{},|&;?#^`$*!]")
_MAX_CUTS = 16
# No server assigns longer ids without a digit.
_MAX_WORD = 36
_QUERY_PATTERN = re.compile(r"[?#]")
_EXTENSION_PATTERN = re.compile(r"\.[A-Za-z0-9]{2,4}(?![A-Za-z0-9])")


def is_identifier_shaped(value: str) -> bool:
    """Tell whether a value looks like a machine's id rather than a word: only such ids count inside longer text.

    A UUID, a URL, `<a>:<b>` (no style such as `width:100`), or at least eight characters with a digit or with capitals
    behind small letters.
    """
    if len(value) < _MIN_LENGTH:
        return False
    if not _SHAPED_PATTERN.fullmatch(value):
        return _URL_PATTERN.fullmatch(value) is not None
    before, colon, behind = value.partition(":")
    if colon:
        return len(before) >= _MIN_LENGTH or not behind.isdigit()
    if any(character.isdigit() for character in value):
        return True
    return not value.islower() and not value.isupper() and not value.istitle()


def scan(text: str, is_known: IsKnown | None, taken: Collection[tuple[int, int]] = ()) -> list[Hit]:
    """Find the identifiers in a string, in its order; of those that overlap the longest counts.

    Args:
        text: the string.
        is_known: whether the organisation knows an identifier. None collects candidates: everything that could be one,
            overlapping ones included.
        taken: spans that are read already.
    """
    if len(text) < _MIN_LENGTH or (text[0].isdigit() and _TIMESTAMP_PATTERN.fullmatch(text)):
        return []
    if is_known is not None and not taken and (text.isalnum() or _UUID_PATTERN.fullmatch(text)):
        return [Hit(text, 0, len(text))] if is_known(text) else []
    search = _Search(text, is_known, is_json=text[:100].lstrip()[:1] in ("{", "[", '"'))
    if "\\" not in text and "%" not in text and "&" not in text:
        search.run(0, len(text))
        hits, closed = search.hits, search.closed
    else:
        hits, closed = _scan_readings(search)
    if closed and hits:
        hits = _outside(hits, closed)
    return hits if is_known is None or len(hits) + len(taken) < 2 else _longest(hits, taken)


def _scan_readings(search: _Search) -> tuple[list[Hit], list[tuple[int, int]]]:
    """Search a string as it is, and what its escapes become part of when they are undone."""
    hits: list[Hit] = []
    closed: list[tuple[int, int]] = []
    for reading in readings_of(search.text):
        inside = replace(search, text=reading.text, hits=[], closed=[])
        for start, end in reading.changed():
            inside.run(start, end)
        hits += [Hit(one, reading.raw(start), reading.raw(end)) for one, start, end in inside.hits]
        closed += [(reading.raw(start), reading.raw(end)) for start, end in inside.closed]
    return hits, closed


def scan_key(key: str, is_known: IsKnown | None) -> list[Hit]:
    """Find the identifiers in an object key, as `scan` does; a candidate has a digit, or all names would be some."""
    if is_known is None and key.replace("_", "").isalpha():
        return []
    return scan(key, is_known)


@dataclass(slots=True)
class _Search:
    """The search of one reading of a string.

    Attributes:
        text: the reading.
        is_json: what stands in quotes is a string of its own.
        hits: what was found; overlaps are not settled yet.
        closed: the paths of unknown addresses that end in a file name. Such an address is rewritten whole or not at
            all: the path of the source with an id of the target leads nowhere.
    """

    text: str
    is_known: IsKnown | None
    is_json: bool
    hits: list[Hit] = field(default_factory=list)
    closed: list[tuple[int, int]] = field(default_factory=list)

    def run(self, begin: int, stop: int) -> None:
        """Search the part of the text between two positions."""
        text, is_known = self.text, self.is_known
        if text.find("://", begin, stop) >= 0:
            for start, end in _addresses(text, begin, stop):
                self._read_address(start, end)
        for match in _RUN_PATTERN.finditer(text, begin, stop):
            run = match[0]
            if is_known is not None:
                if is_known(run):
                    self._add(run, *match.span())
                    continue
                if run.isalnum():
                    continue
            if _UUID_PATTERN.fullmatch(run):
                windows: Iterable[tuple[int, int]] = ((0, len(run)),)
            else:
                windows = _windows(run, _MAX_PARTS if is_known is None else 2 * _MAX_PARTS)
            for start, end in windows:
                identifier = run[start:end]
                if is_known is None or is_known(identifier):
                    self._add(identifier, match.start() + start, match.start() + end)

    def _add(self, identifier: str, start: int, end: int) -> None:
        if is_identifier_shaped(identifier) or self._is_whole(start, end):
            self.hits.append(Hit(identifier, start, end))

    def _is_whole(self, start: int, end: int) -> bool:
        """Tell whether a span is a string of its own: only there a word may be an id."""
        if end - start > _MAX_WORD:
            return False
        if start == 0 and end == len(self.text):
            return True
        return self.is_json and self.text[start - 1 : start] == '"' and self.text[end : end + 1] == '"'

    def _read_address(self, start: int, end: int) -> None:
        path = self.text.find("/", start + len("https://"), end)
        query = _QUERY_PATTERN.search(self.text, start, end)
        path_end = query.start() if query is not None else end
        for stop in _address_ends(self.text, start, end):
            address = self.text[start:stop]
            if self.is_known is None:
                # No candidate ends inside of a query: every part of it would be one.
                if stop <= path_end or stop == end:
                    self.hits.append(Hit(address, start, stop))
            elif self.is_known(address):
                self.hits.append(Hit(address, start, stop))
                return
        names = list(_EXTENSION_PATTERN.finditer(self.text, path, path_end)) if 0 < path < path_end else ()
        if names:
            self.closed.append((start, names[-1].end()))


def _addresses(text: str, begin: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of addresses with whatever follows them without a blank, up to the next address."""
    starts = [match.start() for match in _ADDRESS_START_PATTERN.finditer(text, begin, stop)]
    for start, limit in pairwise([*starts, stop]):
        match = _ADDRESS_PATTERN.match(text, start, min(limit, start + _MAX_ADDRESS))
        if match is not None:
            yield match.span()


def _address_ends(text: str, start: int, end: int) -> list[int]:
    """Return where an address may end, the longest first: before what may close it, without punctuation behind it."""
    cuts = [end]
    for match in _CUT_PATTERN.finditer(text, start, end):
        if len(cuts) > _MAX_CUTS:
            break
        cuts.append(match.start())
    stripped = [start + len(text[start:cut].rstrip(".,;:!?")) for cut in cuts]
    return sorted({cut for cut in (*cuts, *stripped) if cut > start + len("https://")}, reverse=True)


def _windows(run: str, most: int) -> Iterator[tuple[int, int]]:
    """Yield the spans of a run of identifier characters that begin and end at a separator, long enough for an id.

    Ids may contain separators and be joined by them (`group_<id>`, `<id>_<id>`, `<uuid>-draft`, `<a>:<b>`). A span has
    at most so many parts, the run itself apart, so that time grows with the run only.
    """
    starts: dict[int, None] = {0: None}
    ends: dict[int, None] = {}
    for match in _PART_PATTERN.finditer(run):
        begin, end = match.span()
        ends[begin] = None
        if run[begin] in "-_:":
            if end - begin > 1:  # one of several may be the last of the id before it, and one the first of the next
                ends[begin + 1] = None
                starts[end - 1] = None
            starts[end] = None
        else:
            starts[begin] = None
            ends[end] = None
    ends[len(run)] = None
    stops = list(ends)
    first = 0
    for start in starts:
        while first < len(stops) and stops[first] < start + _MIN_LENGTH:
            first += 1
        for stop in stops[first : first + most]:
            yield start, stop
        if first + most < len(stops) and start == 0:
            yield start, len(run)


def _outside(hits: Sequence[Hit], closed: Sequence[tuple[int, int]]) -> list[Hit]:
    """Return the hits outside of closed addresses: a known address counts as a whole, not by its parts."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(closed):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))

    def is_outside(hit: Hit) -> bool:
        position = bisect_right(merged, (hit.start, len_text)) - 1
        return position < 0 or hit.end > merged[position][1]

    len_text = merged[-1][1] + 1
    return [hit for hit in hits if "://" in hit.identifier or is_outside(hit)]


def _longest(hits: Sequence[Hit], taken: Collection[tuple[int, int]]) -> list[Hit]:
    """Return hits that overlap neither each other nor what is taken, longer identifiers before shorter ones."""
    occupied = bytearray(max(end for _, end in (*taken, *((hit.start, hit.end) for hit in hits))))
    for start, end in taken:
        occupied[start:end] = b"x" * (end - start)
    chosen: list[Hit] = []
    for hit in sorted(set(hits), key=lambda hit: (-len(hit.identifier), hit.start)):
        if occupied.find(b"x", hit.start, hit.end) < 0:
            occupied[hit.start : hit.end] = b"x" * (hit.end - hit.start)
            chosen.append(hit)
    return sorted(chosen, key=lambda hit: hit.start)
