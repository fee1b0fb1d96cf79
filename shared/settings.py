"""Read the environment: the only module that does, and only when a value is asked for."""

import os
from collections.abc import Callable


class MissingSettingError(RuntimeError):
    """An environment variable that a function needs is not set."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Environment variable {name} is not set. template.yaml sets it for the functions that need it."
        )
        self.name = name


class PlainHttpError(RuntimeError):
    """An address that is no HTTPS, in an environment other than `local`."""

    def __init__(self, address: str) -> None:
        super().__init__(f"{address} begins with https:// in every environment but `local`.")


def _required(name: str) -> Callable[[], str]:
    def read() -> str:
        value = os.environ.get(name, "")
        if not value:
            raise MissingSettingError(name)
        return value

    return read


def _optional(name: str) -> Callable[[], str]:
    def read() -> str:
        return os.environ.get(name, "")

    return read


def _address(read: Callable[[], str]) -> Callable[[], str]:
    """Refuse plain HTTP outside of the environment `local`: tokens and the keys that they are checked with travel."""

    def read_address() -> str:
        value = read()
        if value and not value.startswith("https://") and os.environ.get("ENVIRONMENT") != "local":
            raise PlainHttpError(value)
        return value

    return read_address


index_table = _required("INDEX_TABLE")
sync_jobs_table = _required("SYNC_JOBS_TABLE")
sync_resources_table = _required("SYNC_RESOURCES_TABLE")
lineage_table = _required("LINEAGE_TABLE")
memory_table = _required("MEMORY_TABLE")
credentials_table = _required("CREDENTIALS_TABLE")
payload_bucket = _required("PAYLOAD_BUCKET")
credentials_key_id = _required("CREDENTIALS_KEY_ID")
state_machine_arn = _required("STATE_MACHINE_ARN")
delete_machine_arn = _required("DELETE_MACHINE_ARN")
build_index_function = _required("BUILD_INDEX_FUNCTION")
continue_index_function = _required("CONTINUE_INDEX_FUNCTION")
finish_job_function = _required("FINISH_JOB_FUNCTION")
finish_deletion_function = _required("FINISH_DELETION_FUNCTION")
sync_executions_arn = _required("SYNC_EXECUTIONS_ARN")
delete_executions_arn = _required("DELETE_EXECUTIONS_ARN")
event_bus = _required("EVENT_BUS")
dead_letter_queue_url = _required("DEAD_LETTER_QUEUE_URL")
downstream_url_template = _address(_required("DOWNSTREAM_URL_TEMPLATE"))
token_issuer = _required("TOKEN_ISSUER")
token_jwks_url = _address(_required("TOKEN_JWKS_URL"))
environment = _required("ENVIRONMENT")

# Without an access-token issuer, only user tokens are accepted; without an app URL, jobs carry no deep links.
access_token_issuer = _optional("ACCESS_TOKEN_ISSUER")
access_token_jwks_url = _address(_optional("ACCESS_TOKEN_JWKS_URL"))
access_token_list_url = _address(_optional("ACCESS_TOKEN_LIST_URL"))
app_url_template = _optional("APP_URL_TEMPLATE")


def allowed_origins() -> tuple[str, ...]:
    """Return the browser origins that may read answers; `*` allows every origin."""
    return _list("ALLOWED_ORIGINS")


def requests_per_organisation() -> int:
    """Requests a minute that an organisation may send; 0 for as many as it likes."""
    return int(os.environ.get("REQUESTS_PER_ORGANISATION") or 0)


def sync_concurrency() -> int:
    """Return how many invocations of one step may run at the same time."""
    return int(_required("SYNC_CONCURRENCY")())


def token_audiences() -> tuple[str, ...]:
    """Return the audiences of which a user token must name one; empty: any, and none."""
    return _list("TOKEN_AUDIENCES")


def _list(name: str) -> tuple[str, ...]:
    """Return the parts of a comma-separated list."""
    return tuple(part.strip() for part in os.environ.get(name, "").split(",") if part.strip())
