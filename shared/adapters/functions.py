"""Invoke a Lambda function without waiting for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shared.domain.errors import PayloadTooLargeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_lambda.client import LambdaClient

# AWS Lambda quotas: 1 MB for asynchronous invocations since 2025; we keep to the older limit, events carry ids only.
MAX_EVENT_BYTES = 256 * 1024


class AsyncFunction:
    """One Lambda function, invoked as an event.

    Args:
        client: Lambda client.
        function_name: name or ARN.
    """

    def __init__(self, client: LambdaClient, function_name: str) -> None:
        self._client = client
        self._function_name = function_name

    def invoke(self, event: Mapping[str, Any]) -> None:
        """Hand the event to Lambda's queue.

        Raises:
            PayloadTooLargeError: the event has over 256 KB.
        """
        payload = json.dumps(event, separators=(",", ":")).encode()
        if len(payload) > MAX_EVENT_BYTES:
            raise PayloadTooLargeError("An event must stay under 256 KB: keep payloads in the bucket.")
        self._client.invoke(FunctionName=self._function_name, InvocationType="Event", Payload=payload)
