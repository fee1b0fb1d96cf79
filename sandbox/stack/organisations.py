"""Two organisations on the sandbox, their tokens and what a person may select in them."""

from typing import Any

import requests

from sandbox.stack.settings import StackSettings

SOURCE_ORG_ID = "739224"
TARGET_ORG_ID = "728917"
SEED = 7
SCALE = 1
TOKEN_SECONDS = 12 * 60 * 60


def prepare(settings: StackSettings, known_selections: dict[str, Any]) -> dict[str, Any]:
    """Make two organisations, seed them when they are empty, and return their tokens and the selections.

    Raises:
        requests.HTTPError: the sandbox refused.
    """
    for org_id, name in ((SOURCE_ORG_ID, "Source"), (TARGET_ORG_ID, "Target")):
        _post(settings, "/_sandbox/orgs", {"org_id": org_id, "name": name})
    selections = known_selections
    if not selections or _is_empty(settings, SOURCE_ORG_ID):
        body = {"source_org_id": SOURCE_ORG_ID, "target_org_id": TARGET_ORG_ID, "scale": SCALE, "seed": SEED}
        selections = _post(settings, "/_sandbox/seed", body)["selections"]
    return {
        "orgs": {
            role: {"org_id": org_id, "token": _token(settings, org_id)}
            for role, org_id in (("source", SOURCE_ORG_ID), ("target", TARGET_ORG_ID))
        },
        "selections": selections,
    }


def _is_empty(settings: StackSettings, org_id: str) -> bool:
    answer = requests.get(f"{settings.sandbox_url}/_sandbox/orgs/{org_id}/resources", timeout=30)
    answer.raise_for_status()
    return not answer.json()["resources"]


def _token(settings: StackSettings, org_id: str) -> str:
    return str(_post(settings, "/_sandbox/tokens", {"org_id": org_id, "ttl_s": TOKEN_SECONDS})["token"])


def _post(settings: StackSettings, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = requests.post(f"{settings.sandbox_url}{path}", json=body, timeout=120)
    answer.raise_for_status()
    return dict(answer.json())
