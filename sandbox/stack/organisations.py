"""Two organisations on the sandbox, their tokens and what a person may select in them."""

from typing import Any

from sandbox.control import SandboxControl
from sandbox.stack.settings import StackSettings

ORG_IDS = {"source": "739224", "target": "728917"}
SEED = 7
SCALE = 1
TOKEN_SECONDS = 12 * 60 * 60


def prepare(settings: StackSettings, known_selections: dict[str, Any]) -> dict[str, Any]:
    """Make two organisations, seed them when they are empty, and return their tokens and the selections.

    Raises:
        requests.HTTPError: the sandbox refused.
    """
    control = SandboxControl(settings.sandbox_url)
    for org_id in ORG_IDS.values():
        control.make_organisation(org_id)
    selections = known_selections
    if not selections or not control.call("GET", f"/orgs/{ORG_IDS['source']}/resources")["resources"]:
        selections = control.seed(ORG_IDS["source"], ORG_IDS["target"], scale=SCALE, seed=SEED)
    return {
        "orgs": {
            side: {"org_id": org_id, "token": control.make_token(org_id, TOKEN_SECONDS)}
            for side, org_id in ORG_IDS.items()
        },
        "selections": selections,
    }
