from __future__ import annotations

import pytest

from tests.scan import Finding, is_allowed, unexpected

EXCEPTIONS = [{"id": "A", "where": "shared/*", "reason": "r"}, {"id": "B", "reason": "r"}]


def test_a_finding_needs_an_exception_of_its_own() -> None:
    known = [Finding("A", "shared/x.py"), Finding("B", "anything")]
    assert unexpected(known, EXCEPTIONS) == []
    for new in (Finding("A", "functions/x.py"), Finding("C", "shared/x.py")):
        assert unexpected([*known, new], EXCEPTIONS) == [new]


def test_an_exception_that_nothing_needs_is_told() -> None:
    assert [one.id for one in unexpected([Finding("B", "x")], EXCEPTIONS)] == ["A"]


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("Apache-2.0 AND MIT", True),
        ("GPL-3.0 OR MIT", True),
        ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("MIT License; MIT No Attribution License (MIT-0)", True),
        ("GPL-3.0", False),
        ("MIT AND GPL-3.0", False),
        ("none", False),
        ("", False),
    ],
)
def test_a_licence_is_allowed_where_all_its_parts_are(licence: str, allowed: bool) -> None:
    assert is_allowed(licence) is allowed
