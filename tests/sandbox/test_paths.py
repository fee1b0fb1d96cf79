"""Path expressions find and write places in payloads."""

import pytest

from sandbox.server.paths import find_values, write_indexed

PAYLOAD = {
    "a": {"b": [1, {"c": 2}]},
    "rules": {"x": "r1", "y": ["r2"]},
    "steps": [{"type": "mail", "id": "m"}, {"type": "call", "id": "c"}],
}


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("a.b[].c", [2]),
        ("rules.{*}", ["r1", ["r2"]]),
        ("rules.{*}[]", ["r2"]),
        ("**.c", [2]),
        ("steps[](type=mail).id", ["m"]),
        ("nothing.at.all", []),
        ("a.b.c", []),
    ],
)
def test_finds_every_value_at_a_path(path: str, values: list[object]) -> None:
    assert list(find_values(PAYLOAD, path)) == values


def test_writes_through_indexes_but_never_past_an_end() -> None:
    payload = {"steps": [{"title": "a"}]}
    write_indexed(payload, "steps[0].title", "b")
    assert payload == {"steps": [{"title": "b"}]}
    for path in ("steps[1].title", "steps[1]", "missing.title"):
        with pytest.raises(LookupError):
            write_indexed(payload, path, "c")
