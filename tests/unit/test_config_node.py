from dataclasses import replace
from datetime import UTC, datetime

import pytest

from shared.domain.config_node import Blueprint, ConfigNode, normalise_time, read_active, read_node, summary_of
from shared.domain.resource_type import ActiveFlag, Fields, ResourceKey, UsageMetric, UsageSource
from tests.fakes.types import FORM

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
EXPIRY = ActiveFlag(path="expires_at", expiry=True)


def test_reads_what_the_summary_needs():
    payload = {
        "id": "f-1",
        "name": "  ",
        "updated_at": "2026-03-01T09:00:00+01:00",
        "tags": ["a", "a", 7],
        "purposes": ["p"],
        "slug": "contact",
        "enabled": False,
    }

    assert summary_of(read_node(FORM, payload, {"form_name": "Contact"}, now=NOW)) == {
        "type": "form",
        "id": "f-1",
        "title": "Contact",
        "updated_at": "2026-03-01T08:00:00.000Z",
        "tags": ["a"],
        "purposes": ["p"],
        "aliases": ["contact"],
        "active": False,
    }


def test_a_config_without_a_title_is_called_by_its_id():
    assert read_node(FORM, {"id": 7}, now=NOW).title == "7"


def test_takes_the_id_from_the_list_item_where_the_payload_has_none():
    assert read_node(FORM, {}, {"form_id": "f-1"}, now=NOW).key == ("form", "f-1")


def test_takes_aliases_and_tags_of_the_list_item_too():
    listed = replace(FORM, list_fields=Fields(id="form_id", title=(), aliases=("_id",), tags="_tags"))
    node = read_node(listed, {"id": "f-1", "slug": "contact"}, {"_id": "e-1", "_tags": ["x"]}, now=NOW)

    assert node.aliases == ("contact", "e-1")
    assert node.tags == ("x",)


def test_a_payload_without_an_id_cannot_be_read():
    with pytest.raises(ValueError, match="no id"):
        read_node(FORM, {"name": "x"}, now=NOW)


def test_a_summary_has_an_end():
    node = read_node(
        FORM, {"id": "1", "name": "x" * 999, "tags": [str(n) for n in range(99)], "slug": "y" * 999}, now=NOW
    )

    assert (len(node.title), len(node.tags), node.aliases) == (300, 50, ())


def test_percent_encodes_the_id_in_a_link():
    node = read_node(replace(FORM, link="/app/{id}"), {"id": "a/b c"}, now=NOW)

    assert node.link == "/app/a%2Fb%20c"


@pytest.mark.parametrize(
    ("metric", "payload", "expected"),
    [
        (UsageMetric(name="n", source=UsageSource.FIELD, path="runs"), {"runs": 3}, 3),
        (UsageMetric(name="n", source=UsageSource.FIELD, path="runs"), {"runs": "3"}, None),
        (UsageMetric(name="n", source=UsageSource.LENGTH, path="users"), {"users": [1, 2]}, 2),
        (UsageMetric(name="n", source=UsageSource.LENGTH, path="users"), {}, 0),
        (UsageMetric(name="n", source=UsageSource.SUM, path="by_code"), {"by_code": {"a": 2, "b": 3}}, 5),
        (UsageMetric(name="n", source=UsageSource.ENTITY_COUNT), {}, None),
    ],
)
def test_reads_the_usage_metric(metric, payload, expected):
    node = read_node(replace(FORM, usage=metric), {"id": "f-1", **payload}, now=NOW)

    assert node.usage == expected
    assert node.metadata == ({} if expected is None else {"n": expected})


@pytest.mark.parametrize(
    ("flag", "payload", "expected"),
    [
        (None, {"enabled": True}, None),
        (ActiveFlag(path="enabled"), {"enabled": True}, True),
        (ActiveFlag(path="enabled"), {"enabled": False}, False),
        (ActiveFlag(path="enabled"), {}, None),
        (ActiveFlag(path="status", active=None, inactive="ARCHIVED"), {"status": "DRAFT"}, True),
        (ActiveFlag(path="status", active=None, inactive="ARCHIVED"), {"status": "ARCHIVED"}, False),
        (EXPIRY, {}, True),
        (EXPIRY, {"expires_at": "2026-03-01T08:00:00.001Z"}, True),
        (EXPIRY, {"expires_at": "2026-03-01T08:00:00Z"}, False),
        (EXPIRY, {"expires_at": "never"}, True),
    ],
)
def test_reads_whether_a_config_is_in_use(flag, payload, expected):
    assert read_active(flag, payload, NOW) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-03-01", "2026-03-01T00:00:00.000Z"),
        ("2026-03-01T08:00:00.123456Z", "2026-03-01T08:00:00.123Z"),
        (1_772_352_000, "2026-03-01T08:00:00.000Z"),
        (1_772_352_000_000, "2026-03-01T08:00:00.000Z"),
        ("yesterday", None),
        (True, None),
        (None, None),
    ],
)
def test_writes_every_point_in_time_alike(value, expected):
    assert normalise_time(value) == expected


def test_a_summary_leaves_out_what_is_not_known_and_keeps_what_is_false():
    node = ConfigNode(key=ResourceKey("form", "1"), title="T", active=False, blueprints=(Blueprint("b", "B"),))

    assert summary_of(node) == {
        "type": "form",
        "id": "1",
        "title": "T",
        "active": False,
        "blueprints": [{"id": "b", "title": "B"}],
    }
