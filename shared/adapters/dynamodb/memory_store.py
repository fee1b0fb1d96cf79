"""Contents by their hash, and what a target was before a job: small ones in MemoryTable, large ones in the bucket."""

from __future__ import annotations

import gzip
import json
import time
from typing import TYPE_CHECKING, Any, override
from uuid import uuid4

from shared.adapters.dynamodb import keys
from shared.adapters.dynamodb.requests import batch_get, batch_put
from shared.domain.errors import NotFoundError
from shared.domain.ports.jobs import Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from shared.adapters.payloads import PayloadStore
    from shared.domain.job import Job
    from shared.domain.resource_type import ResourceKey

# The bucket's lifecycle keeps objects of the same prefixes as long.
CONTENT_LIFETIME_S = 400 * 24 * 3600
BEFORE_LIFETIME_S = 30 * 24 * 3600
# A write unit is 1 KB and a put into the bucket costs about as much as seven; a page of 100 items has 16 MB at most.
_LARGE_BYTES = 32 * 1024


class MemoryStore(Memory):
    """What syncs remember.

    Args:
        client: the client of a boto3 DynamoDB resource, which takes and gives Python values.
        table: name of MemoryTable.
        payloads: where large ones go.
        clock: epoch seconds.
    """

    def __init__(
        self, client: DynamoDBClient, table: str, payloads: PayloadStore, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._table = table
        self._payloads = payloads
        self._clock = clock

    @override
    def keep(self, contents: Mapping[str, Any]) -> None:
        expires_at = int(self._clock()) + CONTENT_LIFETIME_S
        batch_put(
            self._client,
            self._table,
            [
                {**keys.memory(digest), **self._body("memory", digest, content), "expires_at": expires_at}
                for digest, content in contents.items()
            ],
        )

    @override
    def recall(self, digests: Collection[str]) -> dict[str, Any]:
        items = batch_get(self._client, self._table, [keys.memory(digest) for digest in digests])
        found = {keys.split(item["pk"])[1]: self._content(item) for item in items}
        return {digest: content for digest, content in found.items() if content is not None}

    @override
    def keep_before(self, job: Job, before: Mapping[ResourceKey, Mapping[str, Any] | None]) -> None:
        expires_at = int(self._clock()) + BEFORE_LIFETIME_S
        items = []
        for key, value in before.items():
            body = {"absent": True} if value is None else self._body("before", uuid4().hex, value)
            items.append({**keys.before(job.org_id, job.root_id, key), **body, "expires_at": expires_at})
        batch_put(self._client, self._table, items)

    def _body(self, prefix: str, name: str, value: Any) -> dict[str, Any]:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")
        packed = gzip.compress(text, compresslevel=5, mtime=0)
        if len(packed) <= _LARGE_BYTES:
            return {"content": packed}
        key = f"{prefix}/{name}.json.gz"
        self._payloads.put(key, value)
        return {"object": key}

    def _content(self, item: Mapping[str, Any]) -> Any:
        if "object" not in item:
            return json.loads(gzip.decompress(bytes(item["content"])).decode(errors="surrogatepass"))
        try:
            return self._payloads.get(item["object"])
        except NotFoundError:
            return None
