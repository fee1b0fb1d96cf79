"""The rest of the embedded AWS that adapters need: a bucket and a key."""

from __future__ import annotations

from typing import Any

import pytest

from tests.aws import REGION


@pytest.fixture
def bucket(aws: Any) -> str:
    """Name of an empty bucket."""
    aws.client("s3").create_bucket(Bucket="payloads", CreateBucketConfiguration={"LocationConstraint": REGION})
    return "payloads"


@pytest.fixture
def kms_key(aws: Any) -> str:
    """Id of a symmetric key."""
    return aws.client("kms").create_key()["KeyMetadata"]["KeyId"]
