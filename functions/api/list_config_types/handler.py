"""List the resource types."""

from shared.bootstrap.api import serve
from shared.bootstrap.catalogue import catalogue
from shared.use_cases.list_config_types import list_config_types

lambda_handler = serve(lambda _: list_config_types(catalogue()))
