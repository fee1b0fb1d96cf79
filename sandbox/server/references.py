"""Refuses typed references to things that the caller's organisation does not have."""

from collections.abc import Callable
from typing import Any

from sandbox.server.errors import ApiError
from sandbox.server.kind import HardReference, Kind
from sandbox.server.kinds import KIND_OF
from sandbox.server.paths import find_values, read_dotted
from sandbox.server.store import Organisation, Payload


def _by_id(organisation: Organisation, kind: Kind, value: Any) -> bool:
    return not isinstance(value, str) or not value or organisation.find(kind, value) is not None


def _by_id_or_alias(organisation: Organisation, kind: Kind, value: Any) -> bool:
    return _by_id(organisation, kind, value) or organisation.find_by(kind, kind.alias or "", value) is not None


def _mapping_slot(organisation: Organisation, kind: Kind, value: Any) -> bool:
    """Config, target and version must agree; an earlier version than the current one still exists."""
    if not isinstance(value, dict) or not value.get("config_id"):
        return True
    record = organisation.find(kind, value["config_id"])
    if record is None:
        return False
    targets = [target.get("id") for target in record.payload.get("targets", [])]
    return value.get("target_id") in (None, *targets) and (value.get("version") or 0) <= (
        record.payload.get("version") or 0
    )


def _object_key(organisation: Organisation, kind: Kind, value: Any) -> bool:
    return any(read_dotted(record.payload, "s3ref.key") == value for record in organisation.records(kind))


FORMS: dict[str, Callable[[Organisation, Kind, Any], bool]] = {
    "id": _by_id,
    "id_or_alias": _by_id_or_alias,
    "mapping_slot": _mapping_slot,
    "object_key": _object_key,
}


def _refusal(kind: Kind, reference: HardReference, value: Any) -> ApiError:
    message = f"{reference.path} refers to {' or '.join(reference.to)} {value!r}, which does not exist"
    if kind.dead_reference_status == 422:
        instance = "/" + reference.path.split(".")[0]
        details = {"keyword": "reference", "instance_path": instance, "schema_path": "#/relation", "params": {}}
        return ApiError(422, message, {"status": "error", "errors": [{**details, "message": message}]})
    codes = [kind.dead_reference_codes[target] for target in reference.to if target in kind.dead_reference_codes]
    return ApiError(kind.dead_reference_status, message, {"code": codes[0]} if codes else None)


def check_references(kind: Kind, organisation: Organisation, payload: Payload) -> None:
    """Check every hard reference of a payload.

    Raises:
        ApiError: a reference names something that does not exist in the organisation.
    """
    for reference in kind.references:
        exists = FORMS[reference.form]
        for value in find_values(payload, reference.path):
            if not any(exists(organisation, KIND_OF[target], value) for target in reference.to):
                raise _refusal(kind, reference, value)
