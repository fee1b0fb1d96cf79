"""Look at a queue without taking anything out of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_sqs.client import SQSClient

# ReceiveMessage gives ten at most.
_MOST_PEEKED = 10


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of a queue.

    Attributes:
        sent_at: epoch seconds.
        event: what a function was invoked with.
        reason: what Lambda says of the last try.
    """

    sent_at: float
    event: Mapping[str, Any]
    reason: str


class LetterQueue:
    """One queue of failed invocations.

    Args:
        client: SQS client.
        url: the queue's.
    """

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def count(self) -> int:
        """Return about how many messages there are, those that somebody looks at included."""
        names: Any = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes: Mapping[Any, str] = self._client.get_queue_attributes(QueueUrl=self._url, AttributeNames=names)[
            "Attributes"
        ]
        return sum(int(attributes[name]) for name in names)

    def peek(self) -> list[Letter]:
        """Return up to ten messages; everybody else keeps seeing them."""
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=_MOST_PEEKED,
            VisibilityTimeout=0,
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        return [_letter(message) for message in answer.get("Messages", [])]


def _letter(message: Any) -> Letter:
    # https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    sent_at = int(message["Attributes"]["SentTimestamp"]) / 1000
    try:
        told = json.loads(message["Body"])
        reason = (told.get("responsePayload") or {}).get("errorMessage") or told["requestContext"]["condition"]
        return Letter(sent_at, told["requestPayload"], reason)
    except (ValueError, LookupError, AttributeError, TypeError):
        # Whoever put it there was not Lambda: it counts all the same.
        return Letter(sent_at, {}, "The message is no record of an invocation.")
