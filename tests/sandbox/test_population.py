"""Every declared kind goes through its life on its published operations, under validation."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.server.definitions import read_endpoint
from sandbox.server.kinds import KIND_OF, KINDS
from sandbox.server.routing import Router, declared_routes
from shared.adapters.downstream import repository
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.api_operation import Operation
from tests.sandbox.conftest import Client, Reply, sign_in
from tests.sandbox.samples import APP, ORG, SAMPLES, Sample


@pytest.fixture
def org(client: Client, alpha: Client) -> Client:
    """An organisation with the little that some kinds need around them; another one has an app."""
    client.load(ORG, ("taxonomy", {"slug": "zone", "name": "Zone", "type": "relation"}))
    client.load("900", ("app", APP))
    return alpha


def _path(sample: Sample, operation: tuple[str, str], ident: str) -> tuple[str, ...]:
    parameters = read_endpoint(*operation).path.count("{")
    values = (sample.slug, ident) if sample.slug else (ident,)
    return tuple(value for value in values if value)[-parameters:] if parameters else ()


def _ok(reply: Reply) -> Any:
    assert reply.status < 300, reply.body
    return reply.json() if reply.body else None


def _create(org: Client, sample: Sample) -> str:
    body = {sample.wrap: sample.body} if sample.wrap else sample.body
    path = (sample.slug or sample.ident,) if "{" in read_endpoint(*sample.create).path else ()
    answer = _ok(org.call(*sample.create, *path, body=body))
    return str((answer[sample.wrap] if sample.wrap else answer)[sample.id_field])


def _update(org: Client, sample: Sample, ident: str) -> Reply:
    assert sample.update is not None
    body = {**({} if sample.partial else sample.body), **sample.change}
    if sample.id_in_body:
        body[sample.id_field] = ident
    path = _path(sample, sample.update, ident)
    return org.call(*sample.update, *path, body={sample.wrap: body} if sample.wrap else body)


def _listed(org: Client, sample: Sample) -> list[str]:
    assert sample.list is not None
    answer = _ok(org.call(*sample.list, body=sample.list_body))
    items = answer[sample.items] if sample.items else answer
    return [item[sample.list_id or sample.id_field] for item in items]


def test_samples_cover_exactly_the_declared_kinds() -> None:
    assert set(SAMPLES) == set(KIND_OF)
    assert {kind.type for kind in KINDS} == set(RESOURCE_TYPES)


def test_every_declared_operation_is_published_once() -> None:
    routes = list(declared_routes())
    addresses = {(route.endpoint.host, route.endpoint.method, route.endpoint.path) for route in routes}
    assert len(addresses) == len(routes)


def _operations(value: Any) -> Iterator[Operation]:
    if isinstance(value, Operation):
        yield value
    if dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from _operations(getattr(value, field.name))


def test_every_operation_that_the_product_calls_is_served_where_it_calls_it() -> None:
    router = Router()
    called = [*RESOURCE_TYPES.values(), *vars(repository).values()]
    operations = [operation for entry in called for operation in _operations(entry)]
    assert len(operations) > 100
    for operation in operations:
        matched = router.match(operation.method, operation.host, operation.path.strip("/").split("/"))
        assert matched is not None, operation.operation_id
        assert matched[0].endpoint.operation == operation.operation_id


@pytest.mark.parametrize("type_", SAMPLES)
def test_kind_lives_from_create_to_delete(org: Client, client: Client, type_: str) -> None:
    sample = SAMPLES[type_]
    ident = _create(org, sample)
    stored = client.send("GET", f"/_sandbox/orgs/{ORG}/resources?type={type_}").json()["resources"]
    assert ident in [item["id"] for item in stored]
    if sample.list:
        assert ident in _listed(org, sample)
    if sample.get and sample.update:
        got = _ok(org.call(*sample.get, *_path(sample, sample.get, ident)))
        assert (got[sample.get_wrap] if sample.get_wrap else got)[sample.id_field] == ident
        _ok(_update(org, sample, ident))
        got = _ok(org.call(*sample.get, *_path(sample, sample.get, ident)))
        got = got[sample.get_wrap] if sample.get_wrap else got
        assert {name: got[name] for name in sample.change} == sample.change
    _ok(org.call(*sample.delete, *_path(sample, sample.delete, ident)))
    if sample.list:
        assert ident not in _listed(org, sample)
    if sample.get:
        assert org.call(*sample.get, *_path(sample, sample.get, ident)).status == 404
    assert org.call(*sample.delete, *_path(sample, sample.delete, ident)).status == 404
    assert client.send("GET", "/_sandbox/violations").json()["violations"] == []


@pytest.mark.parametrize("type_", SAMPLES)
def test_kind_is_written_by_nobody_who_is_not_granted_it(org: Client, client: Client, type_: str) -> None:
    sample = SAMPLES[type_]
    ident = _create(org, sample)
    role = {"id": f"{ORG}:teller", "name": "T", "slug": "teller", "type": "user_role", "organization_id": ORG}
    clerk = sign_in(client, ORG, user_id="7")

    def granted(*verbs: str) -> None:
        # Some kinds are deleted as entities, and one is a file.
        actions = [f"{word}:{verb}" for word in (type_, "entity", "file") for verb in verbs]
        client.load(ORG, ("role", {**role, "grants": [{"action": one, "resource": "*"} for one in actions]}))
        client.load(ORG, ("_assignment", {"user_id": "7", "roles": [role["id"]]}))

    granted("view", "create")
    assert clerk.call("permissions", "listCurrentRoles").json()["roles"][0]["grants"][0]["action"] == f"{type_}:view"
    if sample.update:
        assert _update(clerk, sample, ident).status == 403
    assert clerk.call(*sample.delete, *_path(sample, sample.delete, ident)).status == 403
    granted("edit", "delete")
    if sample.update:
        _ok(_update(clerk, sample, ident))
    _ok(clerk.call(*sample.delete, *_path(sample, sample.delete, ident)))


@pytest.mark.parametrize("type_", [type_ for type_, sample in SAMPLES.items() if not sample.ident])
def test_server_assigns_the_id_or_takes_the_natural_one(org: Client, type_: str) -> None:
    sample = SAMPLES[type_]
    kind = KIND_OF[type_]
    ident = _create(org, sample)
    if kind.new_id is None:
        assert ident == sample.body[sample.id_field]
    else:
        assert ident not in sample.body.values() or type_ == "taxonomy_classification"


@pytest.mark.parametrize("type_", SAMPLES)
def test_kind_of_one_organisation_is_invisible_to_another(org: Client, beta: Client, type_: str) -> None:
    sample = SAMPLES[type_]
    ident = _create(org, sample)
    if sample.list:
        assert ident not in _listed(beta, sample)
    for operation in filter(None, (sample.get, sample.delete)):
        assert beta.call(*operation, *_path(sample, operation, ident)).status == 404
    if sample.get:
        assert org.call(*sample.get, *_path(sample, sample.get, ident)).status == 200
