"""The scan and the rewriting of strings, through `find_references` and `rewrite` as the product calls them."""

from __future__ import annotations

import html
import json
import random
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from shared.domain.read_config import collect_candidates
from shared.domain.references import find_references
from shared.domain.resource_type import Form, Reference
from shared.domain.rewriting import Replacement, rewrite
from tests.unit.test_references import type_with

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

UUID = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
OTHER = "99999999-4f89-11d3-9a0c-0305e82c3399"
FILES = f"https://file.example/src-org/{UUID}/"
PLAIN = FILES + "plain.png"
MAPPED = {
    UUID: OTHER,
    "aB3dE6gH": "zZ9yY8xX",
    "_6kITMwkv_0Uo4i7fO7Ja": "_9zZyYxXwWvV8u7t6s5r4",
    "tax:foo1": "tax:bar1",
    f"{UUID}-draft": "the-draft-0001",
    "owsxjdia": "hsw060ev",
    "contact_1": "contact_1",
    PLAIN: "https://file.example/tgt/1.png",
    FILES + "zwei,3.png": "https://file.example/tgt/2.png?v=1",
} | {FILES + name: "https://file.example/tgt/new.png" for name in ("a(1).png", "a%20(1).png", "l'eau.png", "a[1].png")}


def remapped(payload: Any, known: Mapping[str, str] = MAPPED, *references: Reference) -> Any:
    found = find_references(type_with(*references), payload, known.__contains__)
    return rewrite(payload, [Replacement(one, known[one.identifier]) for one in found])


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        (f"{UUID}-draft", "the-draft-0001"),
        (f"{UUID}-final", f"{OTHER}-final"),
        ("aB3dE6gH_aB3dE6gH", "zZ9yY8xX_zZ9yY8xX"),
        ("journey-aB3dE6gH", "journey-zZ9yY8xX"),
        ("my_group_aB3dE6gH", "my_group_zZ9yY8xX"),
        ("x-_6kITMwkv_0Uo4i7fO7Ja-y", "x-_9zZyYxXwWvV8u7t6s5r4-y"),
        (f"old{UUID}new", f"old{OTHER}new"),
        (f"c=tax:foo1&d={UUID}", f"c=tax:bar1&d={OTHER}"),
        ("x?c=tax%3Afoo1", "x?c=tax%3Abar1"),
        ("x?c=tax%3afoo1", "x?c=tax%3abar1"),
        ("x?c=tax%253Afoo1", "x?c=tax%253Abar1"),
        ("https%253A%252F%252FaB3dE6gH", "https%253A%252F%252FzZ9yY8xX"),
        (f"<img src='{FILES}a(1).png'>", "<img src='https://file.example/tgt/new.png'>"),
        (f'<img src="{FILES}a%20(1).png">', '<img src="https://file.example/tgt/new.png">'),
        (f'<img src="{FILES}l\'eau.png">', '<img src="https://file.example/tgt/new.png">'),
        (f'<img src="{FILES}a[1].png">', '<img src="https://file.example/tgt/new.png">'),
        (f"url({PLAIN}),url('{PLAIN}');", "url(https://file.example/tgt/1.png),url('https://file.example/tgt/1.png');"),
        (f"{PLAIN},{FILES}zwei,3.png", "https://file.example/tgt/1.png,https://file.example/tgt/2.png?v=1"),
        (f"{PLAIN}|{PLAIN}", "https://file.example/tgt/1.png|https://file.example/tgt/1.png"),
        (f"&quot;{PLAIN}&quot;", "&quot;https://file.example/tgt/1.png&quot;"),
        (f"see {PLAIN}?w=200.", "see https://file.example/tgt/1.png?w=200."),
        (
            f"https://x.example/?u={quote(PLAIN, safe='')}&v=1",
            "https://x.example/?u=https%3A%2F%2Ffile.example%2Ftgt%2F1.png&v=1",
        ),
        (f"https://app.example/j/{UUID}?lang=de", f"https://app.example/j/{OTHER}?lang=de"),
        (f"https://app.example/j?journeyId={UUID}&next=/a.png", f"https://app.example/j?journeyId={OTHER}&next=/a.png"),
        ("owsxjdia", "hsw060ev"),
        ('["owsxjdia", 1]', '["hsw060ev", 1]'),
    ],
)
def test_what_stands_in_a_string_is_rewritten_at_its_places_only(text: str, rewritten: str) -> None:
    assert remapped({"a": [text]}) == {"a": [rewritten]}


@pytest.mark.parametrize(
    "text",
    [
        f"{FILES}unknown.png",
        f"<img src='{FILES}thumb/plain-200.png?w=1'>",
        quote(f"{FILES}unknown.png", safe=""),
        json.dumps({"u": f"{FILES}unknown.png"}).replace("/", "\\/"),
        UUID.upper(),
        "see owsxjdia there",
        "owsxjdia-owsxjdia",
        "2024-01-01T10:00:00.000Z",
        "%E4%F6%",
        "\\u12 \\ud83d &#xZ; &amp",
    ],
)
def test_what_names_nothing_whole_stays_as_it_is(text: str) -> None:
    assert remapped({"a": text}) == {"a": text}


def test_ids_that_are_object_keys_are_found_and_rewritten_in_place() -> None:
    payload = {"quantities": {"first": 0, UUID: {"of": UUID}, f"q_{UUID}": 3}, "text": json.dumps({UUID: 2})}
    result = remapped(payload)
    assert result == {"quantities": {"first": 0, OTHER: {"of": OTHER}, f"q_{OTHER}": 3}, "text": json.dumps({OTHER: 2})}
    assert list(result["quantities"]) == ["first", OTHER, f"q_{OTHER}"]


def test_keys_that_swap_their_names_lose_nothing_and_none_is_named_like_another() -> None:
    swapped = {UUID: OTHER, OTHER: UUID}
    assert remapped({UUID: 1, OTHER: 2}, swapped) == {OTHER: 1, UUID: 2}
    assert remapped({UUID: 1, OTHER: 2}, {UUID: OTHER}) == {UUID: 1, OTHER: 2}


ENCODERS: list[Callable[[str], str]] = [
    json.dumps,
    lambda text: json.dumps(text).replace("/", "\\/"),
    lambda text: json.dumps({"a": [text, 1]}),
    lambda text: f"https://x.example/?q={quote(text, safe='')}&r=1",
    lambda text: f'<a href="{html.escape(text)}">x</a>',
    lambda text: f"vor {text} nach",
]


@pytest.mark.parametrize("seed", range(40))
def test_a_value_is_rewritten_with_the_escapes_of_its_place_at_any_depth(seed: int) -> None:
    rng = random.Random(seed)
    identifier = rng.choice(sorted(MAPPED.keys() - {"owsxjdia"}))
    source, target = f"{identifier} ende", f"{MAPPED[identifier]} ende"
    for encode in rng.choices(ENCODERS, k=rng.randrange(1, 4)):
        source, target = encode(source), encode(target)
    assert remapped({"a": source}) == {"a": target}, f"seed {seed}"


FRAGMENTS = [
    *MAPPED,
    *(
        "\\",
        "\\n",
        "\\/",
        '\\"',
        '"',
        "%",
        "%2",
        "%22",
        "%25",
        "%253A",
        "&amp;",
        "&",
        "&#x2F;",
        "/",
        "https://",
        "http:",
        " ",
    ),
    *(
        "<",
        ">",
        "'",
        "(",
        ")",
        ",",
        ".",
        "?",
        "#",
        "{{",
        "}}",
        "-",
        "_",
        ":",
        "é",
        "%C3%A9",
        "%C3",
        "\\u00e9",
        "abcdefgh",
        "1",
    ),
]


@pytest.mark.parametrize("seed", range(10))
def test_places_do_not_overlap_and_writing_what_stands_there_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        text = "".join(rng.choices(FRAGMENTS, k=rng.randrange(1, 12)))
        for encode in rng.choices(ENCODERS, k=rng.randrange(3)):
            text = encode(text)
        payload = {"a": text, text: 1}
        found = find_references(type_with(), payload, MAPPED.__contains__)
        assert rewrite(payload, [Replacement(one, one.identifier) for one in found]) == payload, (
            f"seed {seed}: {text!r}"
        )
        spans = sorted((one.start, one.end) for one in found if not one.in_key)
        assert all(one[1] <= other[0] for one, other in pairwise(spans)), f"seed {seed}: {text!r}"


def test_a_value_with_quotes_keeps_stringified_json_whole() -> None:
    text = json.dumps({"a": json.dumps({"b": f"x {UUID}"})})
    result = remapped({"t": text}, {UUID: 'say "hi"\\'})
    assert json.loads(json.loads(result["t"])["a"]) == {"b": 'x say "hi"\\'}


def test_a_template_at_an_id_path_is_no_dangling_id() -> None:
    hook = Reference(to=("webhook",), path="$.hook")
    variable = Reference(to=("environment_variable",), path="$.**", form=Form.ENV_TEMPLATE)
    payload = {"hook": "{{ env.hook_id }}"}
    assert find_references(type_with(hook), payload, lambda _: True) == []
    (found,) = find_references(type_with(hook, variable), payload, {"hook_id"}.__contains__)
    assert (found.identifier, found.reference) == ("hook_id", variable)


def test_candidates_without_an_index_hold_what_a_known_one_would_find_and_few_more() -> None:
    texts = [f"x {one} y" for one in MAPPED if one != "owsxjdia"] + ["owsxjdia", quote(PLAIN, safe=""), f"{UUID}-draft"]
    candidates = {one.identifier for one in collect_candidates(type_with(), {"a": texts, "map": {UUID: 1}})}
    assert MAPPED.keys() <= candidates
    words = "Ein Satz aus Wörtern wie Opportunity, displayed und customer-number, wie er in einem Baustein steht. "
    style = '<td style="padding:0;font-size:12px;width:100%">2024-01-01T10:00:00Z</td>'
    payload = {"labels": [words * 3] * 50, "styles": [style] * 50, "camelCaseName": {"anotherCamelCase": 1}}
    assert len(collect_candidates(type_with(), payload)) < 10


GROWING: dict[str, Callable[[int], str]] = {
    "blanks in a template": lambda n: "{{" + " " * n,
    "templates in templates": lambda n: "{{ " * n,
    "a long name in a template": lambda n: "{{" + "a" * n,
    "blanks behind env": lambda n: "{{ env.a" + " " * n,
    "ids": lambda n: f"{UUID} " * (n // 40),
    "ids joined": lambda n: f"{UUID}-" * (n // 40),
    "separators": lambda n: "_" * n,
    "parts": lambda n: "a1-" * (n // 3),
    "colons": lambda n: "abcdefg1:" * (n // 9),
    "hex": lambda n: "0123456789abcdef" * (n // 16),
    "addresses": lambda n: "https://a.example/b,c;d|e(f)/g.png " * (n // 35),
    "addresses without end": lambda n: "https://" * (n // 8),
    "one long address": lambda n: "https://a.example/" + "a.png/" * (n // 6),
    "backslashes": lambda n: "\\" * n,
    "backslashes and words": lambda n: "\\n\\\\abcdefg1" * (n // 12),
    "percent": lambda n: "%25" * (n // 3),
    "encoded addresses": lambda n: (quote(PLAIN, safe="") + "%20") * (n // 80),
    "entities": lambda n: "&amp;" * (n // 5) + "://",
    "entities and addresses": lambda n: "https://a.example/?a=1&amp;b=2 " * (n // 30),
}


@pytest.mark.parametrize("name", GROWING)
@pytest.mark.parametrize("known", [True, False])
def test_time_grows_no_faster_than_a_string(name: str, known: bool) -> None:
    references = (
        Reference(to=("v",), path="$.**", form=Form.HANDLEBARS),
        Reference(to=("v",), path="$.**", form=Form.ENV_TEMPLATE),
    )
    is_known = {UUID}.__contains__ if known else None

    def seconds(size: int) -> float:
        payload = {"text": GROWING[name](size)}
        times = []
        for _ in range(3):
            start = time.process_time()
            found = find_references(type_with(*references), payload, is_known)
            if known:
                rewrite(payload, [Replacement(one, OTHER) for one in found])
            times.append(time.process_time() - start)
        return min(times)

    # Eight times the string: a quadratic search would take 64 times as long.
    assert seconds(64_000) < 24 * max(seconds(8_000), 0.002)
