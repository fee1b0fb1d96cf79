"""Keep payloads as gzip JSON objects in S3: a table item ends at 400 KB."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared.domain.errors import NotFoundError, PayloadTooLargeError, StorageThrottledError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_s3.client import S3Client

# Our own bounds: an object is read whole into the memory of a Lambda, and a key of S3 ends at 1,024 bytes.
MAX_OBJECT_BYTES = 64 * 1024 * 1024
MAX_KEY_BYTES = 1024
_DELETE_BATCH = 1000


class PayloadStore:
    """JSON values by key.

    Args:
        s3: S3 client.
        bucket: PayloadBucket.
    """

    def __init__(self, s3: S3Client, bucket: str) -> None:
        self._s3 = s3
        self._bucket = bucket

    def put(self, key: str, value: Any) -> None:
        """Store a JSON value, over the one that is there.

        Raises:
            PayloadTooLargeError: the value has over 64 MB, or the key over 1,024 bytes.
        """
        self._put(key, value)

    def put_once(self, key: str, value: Any) -> Any:
        """Store a JSON value where there is none yet, and return what is stored from then on.

        Raises:
            PayloadTooLargeError: the value has over 64 MB, or the key over 1,024 bytes.
            StorageThrottledError: somebody else stores or deletes it at this moment.
        """
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

    def get(self, key: str) -> Any:
        """Return a stored value.

        Raises:
            NotFoundError: there is none under this key.
        """
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
                raise
            raise NotFoundError("A stored payload is gone: payloads are kept for a few days only.") from error
        return json.loads(gzip.decompress(body).decode(errors="surrogatepass"))

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with the prefix, in order."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        for page in pages:
            yield from (entry["Key"] for entry in page.get("Contents", []))

    def delete(self, prefix: str) -> None:
        """Delete every object whose key begins with the prefix.

        Raises:
            ValueError: the prefix is empty.
        """
        if not prefix:
            raise ValueError("An empty prefix would delete the whole bucket.")
        keys = list(self.list(prefix))
        for start in range(0, len(keys), _DELETE_BATCH):
            self._s3.delete_objects(
                Bucket=self._bucket,
                Delete={"Objects": [{"Key": key} for key in keys[start : start + _DELETE_BATCH]], "Quiet": True},
            )
