"""File API: files and document templates, which are listed as entities and copied with their bytes."""

from functools import partial

from shared.catalog.entity import (
    ENVELOPE,
    SDK_CLIENT,
    SOURCE_API,
    entity_fields,
    list_entities,
    purpose_references,
)
from shared.domain.api_operation import Operation, WriteOperation
from shared.domain.resource_type import Identity, NaturalKey, ResourceType

_API = "file"
_HOST = "file.sls.epilot.io"
_call = partial(Operation, api=_API, host=_HOST)
_write = partial(WriteOperation, api=_API, host=_HOST)

_STRIP = (
    *ENVELOPE,
    "_schema",
    "s3ref",
    "versions",
    "public_url",
    "source_url",
    "size_bytes",
    "readable_size",
    "etag",
    "preview_summary_de",
    "short_summary_de",
    "preview_summary_en",
    "short_summary_en",
    "file_summary_execution_id",
    "__additional",
)


def _file_type(
    name: str, *, label: str, icon: str, query: str, indexed_when_used: bool, assumptions: tuple[str, ...]
) -> ResourceType:
    return ResourceType(
        name=name,
        label=label,
        icon=icon,
        source_api=SOURCE_API,
        sdk_client=SDK_CLIENT,
        list=list_entities(query),
        get=_call(operation_id="getFile", method="GET", path="/v2/files/{id}"),
        create=_write(operation_id="saveFileV2", method="POST", path="/v2/files", answer_id="_id"),
        update=_write(
            operation_id="saveFileV2",
            method="POST",
            path="/v2/files",
            body={"_id": "{id}"},
            answer_id="_id",
            merge=True,
        ),
        delete=_call(operation_id="deleteFile", method="DELETE", path="/v2/files/{id}"),
        fields=entity_fields("_title", "filename", aliases=("public_url", "s3ref.key")),
        identity=Identity.SERVER,
        natural_key=NaturalKey(
            fields=(("filename", "etag"),),
            assumption="The tag is a hash of the content only where the file was uploaded in one part.",
        ),
        references=purpose_references("$._purpose[]"),
        strip=_STRIP,
        secrets=("custom_download_url",),
        secret_note="A download address of its own may carry a signature and is not copied: enter it again.",
        derived_fields=("public_url", "s3ref.key", "s3ref.bucket"),
        sets=("_tags", "_purpose"),
        bytes_field="s3ref",
        bytes_size="size_bytes",
        indexed_when_used=indexed_when_used,
        assumptions=(
            "Create wants stored bytes, a source address or a download address: the bytes are uploaded first.",
            "Saving with an id changes the metadata of that file and adds a version where new bytes are sent.",
            "File names are no alias: they are ordinary words and repeat.",
            "The stated size is that of the latest bytes; without one a file counts as the largest that is copied.",
            *assumptions,
        ),
    )


FILE = _file_type(
    "file",
    label="Files",
    icon="File",
    query="_schema:file AND NOT type:document_template",
    indexed_when_used=True,
    assumptions=(
        "The list holds every upload of every customer, so only files of a blueprint or of an indexed config count.",
    ),
)

DOCUMENT_TEMPLATE = _file_type(
    "document_template",
    label="Document templates",
    icon="FileText",
    query="_schema:file AND type:document_template",
    indexed_when_used=False,
    assumptions=(
        "A document template is taken to be a file of the type `document_template`; no API of its own exists.",
        "Variables, environment keys and journey links inside the document's bytes are neither seen nor rewritten.",
    ),
)
