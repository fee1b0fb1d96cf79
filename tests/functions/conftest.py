"""What functions are told of by their environment, in an AWS of the test's own."""

import pytest

from tests.aws import REGION, forget_adapters


@pytest.fixture
def storage(monkeypatch, aws, tables):
    """Every table, the payload bucket and a key, and functions that know where they are."""
    bucket = {"Bucket": "payloads", "CreateBucketConfiguration": {"LocationConstraint": REGION}}
    aws.client("s3").create_bucket(**bucket)
    places = {
        "SYNC_JOBS_TABLE": "SyncJobsTable",
        "SYNC_RESOURCES_TABLE": "SyncResourcesTable",
        "INDEX_TABLE": "IndexTable",
        "LINEAGE_TABLE": "LineageTable",
        "MEMORY_TABLE": "MemoryTable",
        "CREDENTIALS_TABLE": "CredentialsTable",
        "PAYLOAD_BUCKET": "payloads",
        "CREDENTIALS_KEY_ID": aws.client("kms").create_key()["KeyMetadata"]["KeyId"],
    }
    for name, place in places.items():
        monkeypatch.setenv(name, place)
    monkeypatch.setenv("SYNC_CONCURRENCY", "96")
    forget_adapters()
    yield tables
    forget_adapters()
