"""Open the store of the tokens of runs."""

from functools import cache

from shared import settings
from shared.adapters import aws
from shared.adapters.credentials import CredentialsStore


@cache
def credentials_store() -> CredentialsStore:
    """Return the tokens of runs."""
    return CredentialsStore(aws.table(settings.credentials_table()), aws.client("kms"), settings.credentials_key_id())
