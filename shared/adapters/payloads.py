"""Keep payloads as gzip JSON objects in S3: a table item ends at 400 KB."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any, override

from botocore.exceptions import ClientError

from shared.domain.errors import NotFoundError, PayloadTooLargeError, StorageThrottledError
from shared.domain.ports.index import Checkpoints
from shared.domain.ports.jobs import Payloads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3.client import S3Client

# Our own bounds: an object is read whole into the memory of a Lambda, and a key of S3 ends at 1,024 bytes.
MAX_OBJECT_BYTES = 64 * 1024 * 1024
MAX_KEY_BYTES = 1024
_DELETE_BATCH = 1000


class PayloadStore(Payloads, Checkpoints):
    """JSON values by key.

    Args:
        s3: S3 client.
        bucket: PayloadBucket.
    """

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    @override
    def put(self, key: str, value: Any) -> None:
        self._put(key, value)

    @override
    def put_once(self, key: str, value: Any) -> Any:
        try:
            self._put(key, value, IfNoneMatch="*")
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ConditionalRequestConflict":
                raise StorageThrottledError("A payload is being stored by somebody else.", 2) from error
            if code != "PreconditionFailed":
                raise
            return self.get(key)
        return value

    def _put(self, key: str, value: Any, **condition: Any) -> None:
        body = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")
        if len(body) > MAX_OBJECT_BYTES or len(key.encode()) > MAX_KEY_BYTES:
            raise PayloadTooLargeError(f"A payload of {len(body):,} bytes is over the limit of {MAX_OBJECT_BYTES:,}.")
        self._s3.put_object(
            Bucket=self._bucket,
            Key=key,
            Body=gzip.compress(body, compresslevel=5, mtime=0),
            ContentType="application/gzip",
            **condition,
        )

    @override
    def get(self, key: str) -> Any:
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
                raise
            raise NotFoundError("A stored payload is gone: payloads are kept for a few days only.") from error
        return json.loads(gzip.decompress(body).decode(errors="surrogatepass"))

    @override
    def list(self, prefix: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            yield from (entry["Key"] for entry in page.get("Contents", []))

    @override
    def delete(self, prefix: str) -> None:
        if not prefix:
            raise ValueError("An empty prefix would delete the whole bucket.")
        keys = list(self.list(prefix))
        for start in range(0, len(keys), _DELETE_BATCH):
            self._s3.delete_objects(
                Bucket=self._bucket,
                Delete={"Objects": [{"Key": key} for key in keys[start : start + _DELETE_BATCH]], "Quiet": True},
            )
