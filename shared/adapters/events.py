"""Publish events to EventBridge."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from shared.domain.errors import PayloadTooLargeError, StorageThrottledError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_events.client import EventBridgeClient

EVENT_SOURCE = "configuration-hub"
# Amazon EventBridge quotas: the largest entry.
MAX_ENTRY_BYTES = 256 * 1024


class EventBus:
    """One event bus.

    Args:
        client: EventBridge client.
        bus_name: name or ARN.
    """

    def __init__(self, client: EventBridgeClient, bus_name: str) -> None:
        self._client = client
        self._bus_name = bus_name

    def put(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Publish one event.

        Args:
            detail_type: what happened, such as `SyncJobFinished`.
            detail: ids, counts and flags; never a payload.

        Raises:
            PayloadTooLargeError: the detail has over 256 KB.
            StorageThrottledError: the bus did not take it.
        """
        text = json.dumps(detail, separators=(",", ":"))
        if len(text.encode()) > MAX_ENTRY_BYTES - 1024:
            raise PayloadTooLargeError("An event must stay under 256 KB.")
        answer = self._client.put_events(
            Entries=[
                {"EventBusName": self._bus_name, "Source": EVENT_SOURCE, "DetailType": detail_type, "Detail": text}
            ]
        )
        if answer["FailedEntryCount"]:
            raise StorageThrottledError(f"The event bus refused an event: {answer['Entries'][0].get('ErrorCode')}.")
