"""List the resource types."""

from shared.bootstrap.catalogue import catalogue
from shared.entrypoints.http import http_handler
from shared.use_cases.list_config_types import list_config_types

lambda_handler = http_handler(lambda _: list_config_types(catalogue()))
