"""Letters of failed invocations are seen, and stay."""

import json

import pytest

from shared.adapters.queues import LetterQueue

EVENT = {"org_id": "org-a", "build_token": "01KJG8V3C0ABCDEFGHJKMNPQRS"}


def record(**more):
    """What Lambda sends to the destination of failed asynchronous invocations."""
    request = {"functionArn": "arn", "condition": "RetriesExhausted", "approximateInvokeCount": 2}
    return json.dumps({"version": "1.0", "requestContext": request, "requestPayload": EVENT, **more})


@pytest.fixture
def sent(aws):
    client = aws.client("sqs")
    url = client.create_queue(QueueName="letters")["QueueUrl"]
    return LetterQueue(client, url), lambda body: client.send_message(QueueUrl=url, MessageBody=body)


def test_letters_are_counted_and_shown_again_and_again(sent):
    queue, send = sent
    assert (queue.count(), queue.peek()) == (0, [])
    send(record(responsePayload={"errorMessage": "It broke.", "errorType": "KeyError"}))

    for _ in range(2):
        (letter,) = queue.peek()
        assert (letter.event, letter.reason) == (EVENT, "It broke.")
        assert letter.sent_at > 0
    assert queue.count() == 1


def test_a_letter_without_an_answer_says_why_it_is_one(sent):
    queue, send = sent
    send(record(responsePayload=None))

    assert [letter.reason for letter in queue.peek()] == ["RetriesExhausted"]


@pytest.mark.parametrize("body", ["moved by hand", "[]", '{"org_id": "org-a"}', '{"requestContext": "x"}'])
def test_a_message_that_lambda_did_not_write_is_a_letter_too(sent, body):
    queue, send = sent
    send(body)

    (letter,) = queue.peek()
    assert (queue.count(), letter.event, letter.reason) == (1, {}, "The message is no record of an invocation.")
