"""Files and their bytes, document, e-mail and notification templates, custom and environment variables."""

import base64
import hashlib
import io
import json
import zipfile
from xml.sax.saxutils import escape

from sandbox.seed.factory import BUCKET, Factory, Payload, public_url, relation
from sandbox.seed.inventory import Inventory, SharedBase, SolutionPack
from sandbox.seed.vocabulary import DOCUMENTS, EMAILS, FILES, LONG_TEXT, NOTIFICATIONS

MIME_TYPES = {
    "svg": ("image/svg+xml", "image"),
    "pdf": ("application/pdf", "document"),
    "csv": ("text/csv", "spreadsheet"),
    "docx": ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "document_template"),
}
CONTENT_TYPES = (
    '<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override '
    'PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document'
    '.main+xml"/></Types>'
)
RELATIONSHIPS = (
    '<?xml version="1.0" encoding="UTF-8"?><Relationships '
    'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>'
)


def word_document(text: str) -> bytes:
    """Make a .docx with one paragraph, always the same bytes for the same text."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?><w:document '
        'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p><w:r><w:t>'
        f"{escape(text)}</w:t></w:r></w:p></w:body></w:document>"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, part in (
            ("[Content_Types].xml", CONTENT_TYPES),
            ("_rels/.rels", RELATIONSHIPS),
            ("word/document.xml", body),
        ):
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), part)
    return buffer.getvalue()


def file_bytes(extension: str, title: str) -> bytes:
    """Make the bytes of a small file of the given kind."""
    match extension:
        case "svg":
            return f'<svg xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title></svg>'.encode()
        case "csv":
            return f"plz;ort;strasse\n50667;{title};Hauptstraße\n".encode()
        case _:
            return f"%PDF-1.4\n% {title}\n%%EOF\n".encode()


def add_file(inventory: Inventory, title: str, extension: str, content: bytes, **attributes: object) -> Payload:
    """Add a file entity, a document template where it is a .docx, together with its bytes."""
    factory = inventory.factory
    mime_type, kind = MIME_TYPES[extension]
    filename = f"{title}.{extension}"
    payload = factory.entity("file", filename, {})
    key = f"{factory.org_id}/{payload['_id']}/{filename}"
    etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
    stored = {
        "s3ref": {"bucket": BUCKET, "key": key},
        "filename": filename,
        "size_bytes": len(content),
        "readable_size": f"{len(content)} B",
        "mime_type": mime_type,
        "etag": etag,
    }
    payload |= {"type": kind, "access_control": "private", "versions": [stored], **stored, **attributes}
    if payload["access_control"] == "public-read":
        payload["public_url"] = public_url(payload)
    inventory.add("document_template" if kind == "document_template" else "file", payload)
    inventory.add(
        "_file_bytes",
        {"file_id": payload["_id"], "content_base64": base64.b64encode(content).decode()},
    )
    return payload


def email_template(factory: Factory, name: str, manifest: list[str] | None = None, **attributes: object) -> Payload:
    """Build an e-mail template."""
    content = {
        "name": name,
        "from": {"name": "Kundenservice", "email": "service@stadtwerke.example"},
        "to": [{"name": "{{contact.name}}", "email": "{{contact.email}}"}],
        "cc": [],
        "bcc": [],
        "subject": name,
        "body": f"<p>{name}</p>",
        "attachments": [],
        "created_by": factory.user(),
        "updated_by": factory.user(),
        "system_template": False,
        **attributes,
    }
    return factory.entity("email_template", name, content, manifest)


def environment_variable(factory: Factory, key: str, kind: str, **extra: object) -> Payload:
    """Build an environment variable; the value stands in `extra`, secret or not."""
    created, updated = factory.stamps()
    return {"key": key, "type": kind, "group": "schnittstellen", "created_at": created, "updated_at": updated, **extra}


def custom_variable(
    factory: Factory, key: str, name: str, template: str, kind: str = "custom", **extra: object
) -> Payload:
    """Build a custom variable, which templates use by its key."""
    created, updated = factory.stamps()
    return {
        "id": factory.uuid(),
        "type": kind,
        "name": name,
        "key": key,
        "_tags": [],
        "helper_params": [],
        "helper_logic": "",
        "config": {},
        "template": template,
        "created_at": created,
        "created_by": factory.user(),
        "updated_at": updated,
        "updated_by": factory.user(),
        **extra,
    }


def notification_template(factory: Factory, kind: str, name: str, text: str, **attributes: object) -> Payload:
    """Build a notification template, whose texts are JSON of a rich-text editor."""
    usual = {
        "name": name,
        "type": kind,
        "notification_title": _rich_text(name),
        "message": _rich_text(text),
        "action_label": "Öffnen",
        "action_url": "/app/entity/{{entity.id}}",
        "style": "info",
        "system_template": False,
        "created_by": factory.user(),
        "updated_by": factory.user(),
    }
    return factory.entity("notification_template", name, usual | attributes)


def _rich_text(text: str) -> str:
    return json.dumps({"root": {"children": [{"type": "paragraph", "text": text}]}}, ensure_ascii=False)


def add_base_content(base: SharedBase) -> None:
    """Add system templates, organisation-wide variables and customer uploads that are no configuration."""
    factory = base.factory
    for name in ("Anmeldung bestätigen", "Einladung ins Portal"):
        base.add("emailtemplate", email_template(factory, name, system_template=True))
    base.add(
        "notification_template",
        notification_template(factory, "workflow.task.assigned", "Aufgabe (System)", "…", system_template=True),
    )
    for variable in (
        environment_variable(factory, "erp_base_url", "String", value="https://erp.stadtwerke.example"),
        environment_variable(factory, "erp_api_key", "SecretString", value=f"SECRET-ERP-{factory.org_id}"),
        environment_variable(factory, "mandant", "Number", value=factory.content.randrange(100, 999), protected=True),
    ):
        base.add("environment_variable", variable)
    base.add(
        "custom_variable",
        custom_variable(factory, "anrede_standard", "Anrede", "Guten Tag {{contact.name}}", "snippet"),
    )
    for number in range(1, 7):
        title = f"Zählerfoto {number}"
        add_file(base, title, "pdf", file_bytes("pdf", title))


def add_environment(pack: SolutionPack) -> None:
    """Add environment variables of several types, secrets among them."""
    factory = pack.factory
    options = {"options": [{"key": "kw5", "value": "5 kW"}, {"key": "kw10", "value": "10 kW"}]}
    secret = f"SECRET-{pack.slug}-{factory.org_id}"
    for variable in (
        environment_variable(factory, pack.key("netz.url"), "String", value=f"https://netz.example/{pack.slug}"),
        environment_variable(factory, pack.key("portal_client"), "String", value="kundenportal"),
        environment_variable(
            factory, pack.key("netz_token"), "SecretString", value=secret, description="Zugang Netzportal"
        ),
        environment_variable(factory, pack.key("max_leistung"), "Number", value=30),
        environment_variable(factory, pack.key("min_leistung"), "Number", value=2),
        environment_variable(factory, pack.key("leistungsstufen"), "Map", value=options),
        environment_variable(factory, pack.key("anlagentypen"), "JSON", value={"A1": "Neubau", "B2": "Bestand"}),
        environment_variable(
            factory,
            pack.key("passwoerter"),
            "List",
            item_type="SecretString",
            value={
                "itemType": "SecretString",
                "items": [f"{secret}-1"],
            },
        ),
    ):
        pack.add("environment_variable", variable)


def add_files(pack: SolutionPack) -> None:
    """Add the pack's own files; pictures are public, one file also has a tokenised download address."""
    for title, extension in FILES:
        name = pack.named(title)
        attributes: Payload = {"_purpose": [pack.purposes[0]]} if extension == "pdf" else {}
        if extension == "svg":
            attributes["access_control"] = "public-read"
        if title == "Pressemappe":
            attributes["custom_download_url"] = "https://medien.example/pressemappe?token=SECRET-DOWNLOAD"
        if title in ("AGB", "Pressemappe"):
            attributes["_manifest"] = pack.manifest
        add_file(pack, name, extension, file_bytes(extension, name), **attributes)


def add_custom_variables(pack: SolutionPack) -> None:
    """Add variables that use a journey, each other, or an environment variable."""
    factory, key = pack.factory, pack.key
    link = f'{{{{generateJourneyLink hash.journeyId="{pack.journey_ids[1]}"}}}}'
    config = {"journeyId": pack.journey_ids[2], "label": "Jetzt anfragen"}
    order_config = {"columns": ["name", "quantity", "amount"]}
    for variable in (
        custom_variable(factory, key("anrede"), pack.named("Anrede"), "{{anrede_standard}},"),
        custom_variable(
            factory, key("gruss"), pack.named("Grußformel"), f"{{{{{key('anrede')}}}}} – Ihr Team {pack.region}"
        ),
        custom_variable(factory, key("anfrage"), pack.named("Link zur Anfrage"), link, "journey_link"),
        custom_variable(
            factory, key("angebot"), pack.named("Link zum Angebot"), "{{link}}", "journey_link", config=config
        ),
        custom_variable(
            factory, key("tabelle"), pack.named("Bestelltabelle"), "<table></table>", "order_table", config=order_config
        ),
        custom_variable(
            factory,
            key("netz"),
            pack.named("Netzportal"),
            f"{{{{ env.{key('netz.url')} }}}}/start",
            _manifest=pack.manifest,
        ),
        custom_variable(factory, key("hinweis"), pack.named("تنبيه قانوني"), LONG_TEXT, "snippet"),
    ):
        pack.add("custom_variable", variable)


def add_templates(pack: SolutionPack) -> None:
    """Add document, e-mail and notification templates that use files, variables, journeys and each other."""
    key, purposes, files = pack.key, pack.purposes, pack.payloads("file")
    for title in DOCUMENTS:
        text = f"{pack.named(title)}: {{{{{key('anrede')}}}}} {{{{ env.{key('netz.url')} }}}} {{{{~~{key('gruss')}}}}}"
        if title == "Serienbrief":
            text += f' {{{{generateJourneyLink hash.journeyId="{pack.journey_ids[1]}"}}}}'
        add_file(pack, pack.named(title), "docx", word_document(text), _purpose=[purposes[0]])
    documents = pack.payloads("document_template")
    for position, name in enumerate(EMAILS):
        title = pack.named(name)
        lines = [f"<p>{{{{{key('anrede')}}}}}</p>", f"<p>{LONG_TEXT if position == 1 else name}</p>"]
        attributes: Payload = {"_purpose": [purposes[position % 3]]}
        if position % 3 == 0:
            lines.append(f'<img src="{files[0]["public_url"]}" alt="Logo">')
        if position % 3 == 1:
            journey = pack.journey_ids[1 + position % 7]
            lines.append(f"<a href='{{{{generateJourneyLink hash.journeyId=\"{journey}\"}}}}'>Weiter</a>")
        if position % 4 == 0:
            lines.append(f"<p>{{{{ env.{key('netz.url')} }}}} {{{{~~{key('gruss')}}}}}</p>")
        if position in (1, 2):
            attributes["attachments"] = [_attachment(documents[position])]
        if position in (2, 5):
            attributes["file"] = relation(files[4]["_id"])
        attributes["body"] = "".join(lines)
        attributes["subject"] = f"{name}: {{{{~~{key('anrede')}}}}}"
        if position == 6:
            attributes["subject"] += f" {{{{ env.{key('max_leistung')} }}}}"
        if position in (1, 4):
            attributes["json_template"] = json.dumps({"blocks": lines}, ensure_ascii=False)
        manifest = pack.manifest if position < 3 else None
        pack.add("emailtemplate", email_template(pack.factory, title, manifest, **attributes))
    for position, name in enumerate(NOTIFICATIONS):
        kind = "workflow.task.assigned" if position % 2 else "entity.created"
        used = f"{{{{{key('anrede')}}}}} {{{{ env.{key('max_leistung')} }}}}"
        fields = ("notification_title", "action_label", "action_url")
        attributes = dict.fromkeys(fields, f"{name} {used}") if position == 1 else {}
        pack.add(
            "notification_template",
            notification_template(pack.factory, kind, pack.named(name), f"{name} {used}", **attributes),
        )


def _attachment(document: Payload) -> Payload:
    return {
        "filename": document["filename"],
        "size": document["size_bytes"],
        "content_type": document["mime_type"],
        "bucket": document["s3ref"]["bucket"],
        "object_key": document["s3ref"]["key"],
        "type": "Document template",
        "inline": False,
    }
