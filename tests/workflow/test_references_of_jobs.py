"""Jobs over the real catalogue whose payloads name others in odd ways."""

from typing import Any

import pytest

from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.job import JobStatus
from shared.domain.resource_type import ResourceKey
from shared.domain.row import RowStatus
from tests.fakes.dynamodb import MemoryDynamoDB
from tests.fakes.sync_types import CATALOGUE as SMALL
from tests.fakes.sync_types import DESIGN, JOURNEY
from tests.fakes.sync_world import SOURCE_ORG, SyncWorld


def uuid(number: int) -> str:
    return f"0b5c3c1e-1111-4a63-9d3a-{number:012d}"


@pytest.fixture
def world() -> SyncWorld:
    return SyncWorld(MemoryDynamoDB(), RESOURCE_TYPES)


def add(world: SyncWorld, side: str, type_name: str, /, **payload: Any) -> ResourceKey:
    getattr(world, side).add(RESOURCE_TYPES[type_name], payload)
    path = RESOURCE_TYPES[type_name].fields.id
    return ResourceKey(type_name, payload[path])


def add_journey(world: SyncWorld, block: Any) -> ResourceKey:
    add(world, "source", "designbuilder", id=uuid(1), style_name="Blue", style={})
    steps = [{"schema": {"properties": {}}, "uischema": block}]
    ids = {"journeyId": uuid(2), "journey_id": uuid(2)}
    return add(world, "source", "journey", **ids, name="A", steps=steps, settings={"designId": uuid(1)})


@pytest.mark.parametrize(
    "value",
    ["x" * 300, "flow-00000001\n", "ü" * 129, "\x00", "#" * 200],
    ids=["long", "line", "wide", "nul", "encoded"],
)
def test_a_value_that_can_be_no_id_is_a_dangling_reference_of_its_own_row(value: str) -> None:
    world = SyncWorld(MemoryDynamoDB(), SMALL)
    world.source.add(DESIGN, {"id": "design-00000001", "name": "Blue"})
    for number, odd in enumerate(({"flow": value}, {"design": value}, {"schema": value}, {}), 1):
        payload = {"id": f"journey-0000000{number}", "name": f"{number}", "design": "design-00000001"} | odd
        world.source.add(JOURNEY, payload)
    keys = [ResourceKey("journey", f"journey-0000000{number}") for number in range(1, 5)]
    job = world.run(world.create_job(*keys))

    rows = world.rows(job.id)
    assert [rows[key].status for key in keys] == [
        RowStatus.CREATED,
        RowStatus.FAILED,
        RowStatus.CREATED,
        RowStatus.CREATED,
    ]
    error = rows[keys[1]].error
    assert error is not None
    assert error.code == "DANGLING_REFERENCE"
    assert len(error.message) < 400
    written = {payload["name"]: payload for payload in world.target.configs["journey"].values()}
    assert "flow" not in written["1"]
    assert "schema" not in written["3"]
    assert world.source.calls["get", "flow"] == 0


@pytest.mark.parametrize(
    "block", [{"scope": "companyName"}, {"label": "Hello {{companyName}}"}, {"label": "x companyName"}]
)
def test_what_a_text_names_by_a_key_stays_as_it_is_on_the_target(world: SyncWorld, block: Any) -> None:
    variable = {"key": "companyName", "name": "Company", "type": "custom"}
    add(world, "source", "custom_variable", id=uuid(3), **variable, template="Source Ltd")
    add(world, "target", "custom_variable", id=uuid(4), **variable, template="Target GmbH")
    job = world.run(world.create_job(add_journey(world, block)))

    assert job.status is JobStatus.SUCCEEDED
    assert world.target.configs["custom_variable"][uuid(4)]["template"] == "Target GmbH"
    assert world.rows(job.id)[ResourceKey("custom_variable", uuid(3))].status is RowStatus.SKIPPED


def test_a_property_named_like_a_portable_key_names_nothing(world: SyncWorld) -> None:
    add(world, "source", "custom_variable", id=uuid(3), key="companyName", name="Company", type="custom")
    job = world.run(world.create_job(add_journey(world, {"companyName": 1})))

    assert ResourceKey("custom_variable", uuid(3)) not in world.rows(job.id)


def test_the_closure_follows_only_what_is_sent(world: SyncWorld) -> None:
    add(world, "source", "usergroup", id=uuid(3), name="Board members", org_id=SOURCE_ORG)
    board = add(
        world, "source", "kanban", id=uuid(4), title="B", config={}, shared_with=[f"group_{uuid(3)}"], owners=[]
    )
    add(world, "source", "product", _id=uuid(6), _schema="product", name="Q")
    changes = {"price": {"proposed": uuid(6)}}
    product = add(world, "source", "product", _id=uuid(5), _schema="product", name="P", _changesets=changes)
    job = world.run(world.create_job(board, product))

    assert world.rows(job.id).keys() == {board, product}


def test_an_id_without_a_digit_counts_where_a_whole_string_equals_it(world: SyncWorld) -> None:
    add(world, "source", "flow_template", id="owsxjdia", name="Flow")
    add(world, "source", "schema", slug="opportunity", name="Opportunity")
    items = [
        {"key": "flow", "value": "owsxjdia"},
        {"key": "flow", "value": ["owsxjdia"]},
        {"key": "x", "value": "opportunity"},
    ]
    swimlanes = [{"id": "l", "title": "see owsxjdia", "filter": {"items": items, "combination": "AND"}}]
    board = add(world, "source", "kanban", id=uuid(4), title="B", config={"swimlanes": swimlanes})
    job = world.run(world.create_job(board))

    rows = world.rows(job.id)
    flow = rows[ResourceKey("flow_template", "owsxjdia")].target_id
    [there] = world.target.configs["kanban"].values()
    [lane] = there["config"]["swimlanes"]
    assert [item["value"] for item in lane["filter"]["items"]] == [flow, [flow], "opportunity"]
    assert lane["title"] == "see owsxjdia"
    assert ResourceKey("schema", "opportunity") not in rows


def test_ids_that_are_object_keys_are_those_of_the_target_there(world: SyncWorld) -> None:
    add(world, "source", "product", _id=uuid(3), _schema="product", name="P")
    job = world.run(world.create_job(add_journey(world, {"options": {"quantities": {uuid(3): 2}}})))

    target_id = world.rows(job.id)[ResourceKey("product", uuid(3))].target_id
    [there] = world.target.configs["journey"].values()
    assert there["steps"][0]["uischema"] == {"options": {"quantities": {target_id: 2}}}


def test_an_environment_template_in_the_place_of_an_id_stays_and_leads_to_its_variable(world: SyncWorld) -> None:
    variable = add(world, "source", "environment_variable", key="hook_id", type="string")
    mapping = {"name": "m", "delivery": {"webhook_id": "{{ env.hook_id }}"}}
    use_cases = [{"id": "u1", "configuration": {"mappings": [mapping]}}]
    integration = add(world, "source", "integration", id=uuid(3), name="SAP", use_cases=use_cases)
    job = world.run(world.create_job(integration))

    assert world.rows(job.id).keys() == {integration, variable}
    [there] = world.target.configs["integration"].values()
    assert there["use_cases"] == use_cases
