"""Contents by their hash, and what a target was before a job, over the table of the template and a bucket."""

import random
import string

import pytest

from shared.adapters.dynamodb.memory_store import BEFORE_LIFETIME_S, CONTENT_LIFETIME_S, MemoryStore
from shared.adapters.payloads import PayloadStore
from shared.domain.job import Job, JobStatus
from shared.domain.resource_type import ResourceKey

KEY = ResourceKey("journey", "über/50%#x?y")
NOW = 1_700_000_000


@pytest.fixture
def memory(aws, tables, bucket):
    client = aws.resource("dynamodb").meta.client
    return MemoryStore(client, "MemoryTable", PayloadStore(aws.client("s3"), bucket), lambda: NOW)


@pytest.fixture
def stored(tables):
    """Return what the table holds about what was there before."""
    return lambda: [item for item in tables["MemoryTable"].scan()["Items"] if item["sk"] == "BEFORE"]


def a_job(job_id="job-1", **more):
    described = {
        "status": JobStatus.IN_PROGRESS,
        "direction": "push",
        "source_org_id": "org-a",
        "target_org_id": "org-b",
    }
    chosen = {"dry_run": False, "include_dependencies": True, "match": "heuristic", "started_at": "", "name": ""}
    return Job(id=job_id, org_id="org-a", user_id="u", **(described | chosen | more))


def test_contents_are_found_by_their_hashes_and_what_is_gone_is_left_out(memory, tables):
    contents = {f"{number:064}": {"name": f"config {number}", "odd": "\ud83d", "half": 1.5} for number in range(120)}
    memory.keep(contents)
    assert memory.recall([*contents, "gone"]) == contents
    assert {item["expires_at"] for item in tables["MemoryTable"].scan()["Items"]} == {NOW + CONTENT_LIFETIME_S}


def test_a_large_content_lies_in_the_bucket_and_one_that_is_gone_there_is_left_out(memory, aws, bucket):
    noise = random.Random(1)
    large = {"text": "".join(noise.choices(string.ascii_letters, k=500_000))}
    memory.keep({"large": large, "small": {"a": 1}})
    assert memory.recall(["large", "small"]) == {"large": large, "small": {"a": 1}}
    aws.client("s3").delete_object(Bucket=bucket, Key="memory/large.json.gz")
    assert memory.recall(["large", "small"]) == {"small": {"a": 1}}


def test_what_was_there_before_is_kept_for_a_chain_of_retries_or_that_nothing_was(memory, stored):
    retry = a_job("job-2", retry_of="job-1", root_id="job-1")
    memory.keep_before(a_job(), {KEY: {"payload": {"v": 0}}, ResourceKey("flow", "f"): None})
    memory.keep_before(retry, {ResourceKey("flow", "f"): {"payload": {"v": 1}}})
    items = {item["pk"].split("#")[3]: item for item in stored()}
    assert {kind: bool(item.get("absent")) for kind, item in items.items()} == {"journey": False, "flow": False}
    assert {item["expires_at"] for item in items.values()} == {NOW + BEFORE_LIFETIME_S}
    memory.keep_before(a_job("job-3"), {KEY: {"payload": {"v": 2}}})
    assert len(stored()) == 3
