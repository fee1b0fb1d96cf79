from __future__ import annotations

import time
from urllib.parse import quote

import pytest

from shared.domain.leftovers import SourceIds, leftover_source_ids, remapped_ids
from shared.domain.plan import Resolution, ResolutionKind
from shared.domain.references import FoundReference, Identified
from shared.domain.remap import WrittenTarget
from shared.domain.resource_type import ResourceKey
from tests.unit.test_references import UUID, type_with

IDS = SourceIds.of([UUID, "aB3dE6gH", "owsxjdia", f"https://file.example/{UUID}/a.png"])


@pytest.mark.parametrize(
    ("text", "held"),
    [
        (f"see {UUID}", UUID),
        (f"old{UUID}new", UUID),
        (f"{UUID}-draft", UUID),
        (quote(quote(f"https://file.example/{UUID}/a.png", safe=""), safe=""), f"https://file.example/{UUID}/a.png"),
        ("%22aB3dE6gH%22", "aB3dE6gH"),
        ("journey-aB3dE6gH", "aB3dE6gH"),
        ("a owsxjdia b", "owsxjdia"),
        ("xaB3dE6gHx", None),
        ("nothing", None),
    ],
)
def test_an_id_of_the_source_is_seen_wherever_it_stands_in_a_text(text: str, held: str | None) -> None:
    payload = {"id": UUID, "a": [text]}
    found = leftover_source_ids(type_with(strip=("id",)), payload, payload, IDS, ())
    assert (("/a/0", held) in found) if held else (found == [])


def test_only_what_source_and_target_hold_at_the_same_place_is_left() -> None:
    source = {"a": UUID, "b": "x", "map": {UUID: 1}, "n": 1}
    target = {"a": f"<{UUID}>", "b": UUID, "map": {UUID: 1}, "n": UUID, "new": {UUID: UUID}}
    assert leftover_source_ids(type_with(), source, target, IDS, ()) == [("/a", UUID), (f"/map/{UUID}", UUID)]


def test_what_the_plan_keeps_is_not_left() -> None:
    payload = {"a": UUID, "b": UUID}
    found = [FoundReference((name,), UUID, 0, 36) for name in "ab"]
    resolutions = [
        Resolution(found=found[0], kind=ResolutionKind.LEFT_OUT),
        Resolution(found=found[1], kind=ResolutionKind.KNOWN, value="other"),
    ]
    assert leftover_source_ids(type_with(), payload, payload, IDS, resolutions) == [("/b", UUID)]


def test_portable_identifiers_and_what_is_an_id_of_the_target_too_do_not_count() -> None:
    catalogue = {"t": type_with(strip=("public_url",))}
    identifiers = {
        UUID: [Identified(ResourceKey("t", UUID))],
        "a-code-0001": [Identified(ResourceKey("t", UUID), "code")],
        "same-id-12": [Identified(ResourceKey("t", "same-id-12"))],
        "not-mapped-1": [Identified(ResourceKey("t", "not-mapped-1"))],
        "swapped-01": [Identified(ResourceKey("t", "swapped-01"))],
        "swapped-02": [Identified(ResourceKey("t", "swapped-02"))],
        "https://f.example/1": [Identified(ResourceKey("t", UUID), "public_url")],
    }
    id_map = {
        ResourceKey("t", UUID): WrittenTarget("new", {"code": "other", "public_url": "https://f.example/2"}),
        ResourceKey("t", "same-id-12"): WrittenTarget("same-id-12"),
        ResourceKey("t", "swapped-01"): WrittenTarget("swapped-02"),
        ResourceKey("t", "swapped-02"): WrittenTarget("swapped-01"),
    }
    assert remapped_ids(catalogue, identifiers, id_map).ids == {UUID, "https://f.example/1"}


def test_time_grows_with_the_text_not_with_the_number_of_ids() -> None:
    def seconds(size: int, number: int) -> float:
        ids = SourceIds.of(f"https://file.example/{one:08d}/a.png" for one in range(number))
        text = "https://file.example/12345678/b.png aB3dE6gH " * (size // 45)
        start = time.process_time()
        ids.inside(text)
        return time.process_time() - start

    assert seconds(200_000, 20_000) < 10 * max(seconds(200_000, 200), 0.01)
    assert seconds(400_000, 200) < 16 * max(seconds(50_000, 200), 0.005)
