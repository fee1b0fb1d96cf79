"""The app API: what is installed comes from the app, only option values are the organisation's own."""

from copy import deepcopy

from sandbox.server.call import Answer, Call
from sandbox.server.errors import ApiError
from sandbox.server.grants import require_grant
from sandbox.server.operations import Verb, render
from sandbox.server.stamps import now
from sandbox.server.store import Payload

_FROM_APP = ("name", "icon_url", "owner_org_id", "components", "functions", "options", "role")


def _declared(installation: Payload) -> dict[str | None, list[Payload]]:
    parts = {part["id"]: part.get("options") or [] for part in installation.get("components") or ()}
    return {None: installation.get("options") or [], **parts}


def _merge_options(installation: Payload, sent: list[Payload]) -> None:
    """Lay option values over the stored ones; a secret that is not sent stays."""
    values = {
        entry["component_id"]: {option["key"]: option for option in entry["options"]}
        for entry in installation.get("option_values") or ()
    }
    known = _declared(installation)
    for entry in sent:
        component = entry.get("component_id")
        if component not in known:
            raise ApiError(400, f"the installed version has no component {component!r}")
        for option in entry.get("options") or ():
            values.setdefault(component, {})[option["key"]] = option
    installation["option_values"] = [
        {"component_id": component, "options": list(options.values())} for component, options in values.items()
    ]


def _is_enabled(installation: Payload) -> bool:
    """An installation is enabled once every required option has a value."""
    values = {
        (entry["component_id"], option["key"])
        for entry in installation["option_values"]
        for option in entry["options"]
        if option.get("value") not in (None, "")
    }
    return all(
        not option.get("required") or (component, option["key"]) in values
        for component, options in _declared(installation).items()
        if component is not None
        for option in options
    )


def _store(call: Call, installation: Payload, body: Payload) -> None:
    require_grant(call, "edit", installation["app_id"])
    if not isinstance(body.get("option_values", []), list):
        raise ApiError(400, "option_values must be an array")
    _merge_options(installation, body.get("option_values") or [])
    if "_manifest" in body:
        installation["_manifest"] = body["_manifest"]
    installation["enabled"] = _is_enabled(installation)
    audit = installation.get("installation_audit") or {"created_at": now(), "created_by": call.user}
    installation["installation_audit"] = {**audit, "updated_at": now(), "updated_by": call.user}
    call.organisation.put(call.kind, installation)
    call.note(installation)


def _installed(call: Call) -> Payload:
    record = call.organisation.find(call.kind, call.parameters["appId"])
    if record is None:
        raise ApiError(404, "the app is not installed")
    return deepcopy(record.payload)


def install_app(call: Call) -> Answer:
    """Install an app, or bring an installation up to the body."""
    app_id, body = call.parameters["appId"], call.object()
    template = call.store.apps.get(app_id)
    if template is None:
        raise ApiError(404, "no such app")
    record = call.organisation.find(call.kind, app_id)
    if record is not None:
        installation = deepcopy(record.payload)
    else:
        installation = {key: deepcopy(template[key]) for key in _FROM_APP if key in template}
        installation |= {"app_id": app_id, "installer_org_id": call.organisation.id, "option_values": []}
    installation["installed_version"] = body.get("version") or template["installed_version"]
    _store(call, installation, body)
    return _answer(call, app_id)


def _answer(call: Call, app_id: str) -> Answer:
    record = call.organisation.collection("app")[app_id]
    return Answer(call.endpoint.status, render(record, "app") if call.endpoint.answers_json else b"")


def patch_app(call: Call) -> Answer:
    """Change option values; the version changes by promotion only."""
    _store(call, _installed(call), call.object())
    return _answer(call, call.parameters["appId"])


def promote_app(call: Call) -> Answer:
    """Change the installed version."""
    installation = _installed(call)
    installation["installed_version"] = call.parameters["version"]
    _store(call, installation, {})
    return _answer(call, call.parameters["appId"])


APP_VERBS: dict[str, Verb] = {"install_app": install_app, "patch_app": patch_app, "promote_app": promote_app}
