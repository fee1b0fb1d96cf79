"""Refusals and the body that each API wraps them in."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any


class ApiError(Exception):
    """A refusal, rendered later in the error shape of the API that was called."""

    def __init__(self, status: int, message: str, extra: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.extra = extra


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


ERROR_SHAPES: dict[str, Callable[[int, str], dict[str, Any]]] = {
    "status_error": lambda status, message: {"status": status, "error": message},
    "message": lambda _status, message: {"message": message},
    "journey": lambda status, message: {"error": _reason(status), "message": message, "details": []},
    "message_error": lambda status, message: {"message": message, "error": {"status": status}},
    "message_status": lambda status, message: {"message": message, "status": status},
    "message_reason": lambda status, message: {"message": message, "reason": _reason(status)},
    "message_code": lambda status, message: {"message": message, "code": str(status)},
    "code_message": lambda status, message: {"code": str(status), "message": message},
    "error_message": lambda status, message: {"error": _reason(status), "message": message},
}

# The APIs that declare no error body answer as API Gateway does.
ERROR_SHAPE_OF_API: dict[str, str] = {
    "access-token": "status_error",
    "automation": "status_error",
    "blueprint-manifest": "message",
    "customer-portal": "message_reason",
    "design": "message_error",
    "entity": "status_error",
    "file": "status_error",
    "integration-toolkit": "code_message",
    "journey": "journey",
    "kanban": "message_status",
    "notification": "message_code",
    "permissions": "message",
    "user": "error_message",
    "validation-rules": "message",
    "webhooks": "message",
    "workflow-definition": "message",
}


def error_body(api: str, status: int, message: str, extra: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return an error body in the shape of an API."""
    return {**ERROR_SHAPES[ERROR_SHAPE_OF_API.get(api, "message")](status, message), **(extra or {})}
