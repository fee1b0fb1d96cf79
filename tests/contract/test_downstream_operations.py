import re

import pytest

from shared.adapters.downstream import repository
from shared.adapters.downstream.paginators import PAGINATORS
from shared.bootstrap.catalogue import catalogue
from shared.domain.api_operation import Operation
from tests.published import load_definition

OWN = [value for value in vars(repository).values() if isinstance(value, Operation)]


@pytest.mark.parametrize("operation", OWN, ids=lambda operation: operation.operation_id)
def test_an_operation_beside_the_catalogue_is_as_published(operation):
    definition = load_definition(operation.api)

    published = definition["paths"][operation.path][operation.method.lower()]
    assert published["operationId"] == operation.operation_id
    assert any(server["url"] == f"https://{operation.host}" for server in definition["servers"])


@pytest.mark.parametrize("resource_type", catalogue().values(), ids=lambda resource_type: resource_type.name)
def test_the_client_can_call_every_operation_of_the_catalogue(resource_type):
    for name in ("list", "get", "create", "update", "delete"):
        operation = getattr(resource_type, name)
        if operation is not None:
            parameters = re.findall(r"\{[^}]*\}", operation.path)
            assert len(parameters) <= (0 if name == "list" else 1)
    if resource_type.list is not None:
        assert resource_type.list.paging in PAGINATORS
        assert (resource_type.list.page_size is None) == (resource_type.list.paging == "none")
