"""The file API and the object store behind it: upload, save, versions, pre-signed downloads."""

import hashlib
from urllib.parse import quote, unquote, urlsplit

from sandbox.server.call import Answer, Call
from sandbox.server.errors import ApiError
from sandbox.server.identifiers import NEW_ID
from sandbox.server.operations import Verb, encode, merge_payload, store_payload
from sandbox.server.paths import read_dotted
from sandbox.server.stamps import STAMPS
from sandbox.server.store import Blob, Payload, Store

BUCKET = "epilot-sandbox-user-content"
OBJECT_STORE = "_s3"

_SERVER_OWNED = (
    "_id",
    "file_entity_id",
    "s3ref",
    "source_url",
    "versions",
    "public_url",
    "size_bytes",
    "readable_size",
    "etag",
    "relations",
)
_TYPE_OF_MIME = {"image": "image", "video": "video", "audio": "audio", "text": "text", "font": "font"}


def _presign(call: Call, verb: str, bucket: str, key: str) -> str:
    """Return a URL that allows one verb on one object without a token."""
    signature = NEW_ID["secret"]()
    call.store.grants[signature] = (verb, bucket, key)
    return f"{call.base_url}/{OBJECT_STORE}/{bucket}/{quote(key)}?X-Amz-Signature={signature}"


def serve_object(store: Store, method: str, path: str, signature: str, body: bytes, content_type: str) -> Answer:
    """Serve a pre-signed request to the object store."""
    bucket, _, key = path.partition("/")
    key = unquote(key)
    if store.grants.get(signature) != (method, bucket, key):
        return Answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", "application/xml")
    if method == "PUT":
        store.blobs[bucket, key] = Blob(body, content_type)
        return Answer(200, headers={"ETag": f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'})
    blob = store.blobs.get((bucket, key))
    if blob is None:
        return Answer(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")
    return Answer(200, blob.content, blob.content_type)


def upload_file(call: Call) -> Answer:
    """Hand out a place to upload bytes to."""
    body = call.object()
    filename = body.get("filename")
    if not filename:
        raise ApiError(400, "Bad Request: filename is required")
    key = f"{call.organisation.id}/{NEW_ID['uuid']()}/{filename}"
    answer = {"s3ref": {"bucket": BUCKET, "key": key}, "upload_url": _presign(call, "PUT", BUCKET, key)}
    return Answer(201, encode(answer))


def _content(call: Call, body: Payload) -> tuple[Payload | None, Blob | None]:
    """Return where a body's bytes are and the bytes: uploaded before, or fetched from a URL of this server."""
    reference = body.get("s3ref")
    if reference is None and body.get("source_url"):
        location = urlsplit(body["source_url"]).path.removeprefix(f"/{OBJECT_STORE}/")
        bucket, _, key = location.partition("/")
        blob = call.store.blobs.get((bucket, unquote(key)))
        if blob is None:
            raise ApiError(400, "Bad Request: source_url cannot be fetched")
        filename = body.get("filename") or unquote(key).rsplit("/", 1)[-1]
        copy = {"bucket": BUCKET, "key": f"{call.organisation.id}/{NEW_ID['uuid']()}/{filename}"}
        call.store.blobs[copy["bucket"], copy["key"]] = blob
        return copy, blob
    if reference is None:
        return None, None
    key = reference.get("key", "")
    blob = call.store.blobs.get((reference.get("bucket", ""), key))
    if blob is None or not key.startswith(f"{call.organisation.id}/"):
        raise ApiError(404, "Not Found: s3ref names no uploaded file of this organization")
    return reference, blob


def _readable(size: int) -> str:
    amount = float(size)
    for unit in ("B", "KB", "MB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.0f} GB"


def _version(reference: Payload, blob: Blob, filename: str) -> Payload:
    return {
        "s3ref": reference,
        "filename": filename,
        "size_bytes": len(blob.content),
        "readable_size": _readable(len(blob.content)),
        "mime_type": blob.content_type,
        "etag": hashlib.md5(blob.content, usedforsecurity=False).hexdigest(),
    }


def _add_version(file: Payload, version: Payload, org_id: str) -> None:
    file["versions"] = [version, *(file.get("versions") or [])]
    file.update({key: version[key] for key in ("s3ref", "size_bytes", "readable_size", "etag")})
    path = quote(f"{org_id}/{file['_id']}/{file['filename']}")
    file["public_url"] = f"https://{BUCKET}.s3.eu-central-1.amazonaws.com/{path}"


def save_file(call: Call) -> Answer:
    """Make a file of uploaded bytes, or a new version of a file."""
    body = call.object()
    reference, blob = _content(call, body)
    attributes = {key: value for key, value in body.items() if key not in _SERVER_OWNED}
    ident = body.get("_id") or body.get("file_entity_id")
    if ident:
        return _update_file(call, ident, attributes, reference, blob)
    if blob is None and not body.get("custom_download_url"):
        raise ApiError(400, "Bad Request: s3ref, source_url or custom_download_url is required")
    filename = attributes.get("filename") or (reference["key"].rsplit("/", 1)[-1] if reference else "file")
    mime_type = attributes.get("mime_type") or (blob.content_type if blob else "application/octet-stream")
    file: Payload = {
        "access_control": "private",
        "type": _TYPE_OF_MIME.get(mime_type.partition("/")[0], "document"),
        "versions": [],
        **attributes,
        "_id": NEW_ID["uuid"](),
        "_schema": "file",
        "filename": filename,
        "mime_type": mime_type,
    }
    for name in ("_org", "_owners", "_acl"):
        file[name] = STAMPS[call.kind.on_create[name]](call, None)
    if reference is not None and blob is not None:
        _add_version(file, _version(reference, blob, filename), call.organisation.id)
    return Answer(call.endpoint.status, encode(store_payload(call, None, file).payload))


def _update_file(call: Call, ident: str, attributes: Payload, reference: Payload | None, blob: Blob | None) -> Answer:
    record = call.organisation.find(call.kind, ident)
    if record is None:
        raise ApiError(404, "Not Found: File entity not found")
    stored = dict(record.payload)
    if reference is not None and blob is not None:
        filename = attributes.get("filename") or stored["filename"]
        _add_version(stored, _version(reference, blob, filename), call.organisation.id)
    merged = merge_payload(call, stored, {} if call.query_flag("version_only") else attributes)
    return Answer(call.endpoint.status, encode(merged.payload))


def _located(call: Call) -> tuple[Payload, str | None]:
    """Return a file and a pre-signed URL of its bytes."""
    record = call.organisation.find(call.kind, call.ident)
    if record is None:
        raise ApiError(404, "Not Found: File entity not found")
    file = record.payload
    loaded = call.organisation.bytes_by_file.get(call.ident)
    bucket, key = read_dotted(file, "s3ref.bucket"), read_dotted(file, "s3ref.key")
    if loaded is not None:
        bucket = bucket or BUCKET
        key = key or f"{call.organisation.id}/{call.ident}/{file['filename']}"
        mime_type = file.get("mime_type") or "application/octet-stream"
        call.store.blobs.setdefault((bucket, key), Blob(loaded, mime_type))
    if bucket is None or (bucket, key) not in call.store.blobs:
        return file, file.get("custom_download_url")
    return file, _presign(call, "GET", bucket, key)


def get_file(call: Call) -> Answer:
    """Answer a file, on request with a URL of its bytes."""
    file, url = _located(call) if call.query_flag("source_url") else (None, None)
    if file is None:
        record = call.organisation.find(call.kind, call.ident)
        if record is None:
            raise ApiError(404, "Not Found: File entity not found")
        file = record.payload
    return Answer(200, encode({**file, "source_url": url} if url else file))


def download_file(call: Call) -> Answer:
    """Answer a pre-signed URL of a file's bytes."""
    _, url = _located(call)
    if url is None:
        raise ApiError(404, "Not Found: the file has no content")
    return Answer(200, encode({"download_url": url}))


FILE_VERBS: dict[str, Verb] = {
    "upload_file": upload_file,
    "save_file": save_file,
    "get_file": get_file,
    "download_file": download_file,
}
