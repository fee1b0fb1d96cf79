"""The sandbox's control interface, for whoever drives it: the stack, the demo, the tests."""

from __future__ import annotations

from typing import Any

import requests

from shared.domain.paths import find_value
from shared.domain.resource_type import Catalogue, ResourceKey


class SandboxControl:
    """Calls `/_sandbox/…`.

    Args:
        sandbox_url: base URL of the sandbox.
    """

    def __init__(self, sandbox_url: str) -> None:
        self._url = sandbox_url.rstrip("/") + "/_sandbox"
        self._session = requests.Session()

    def call(self, method: str, path: str, body: Any = None, **parameters: str) -> Any:
        """Call one path of the control interface.

        Raises:
            requests.HTTPError: it answered with an error.
        """
        answer = self._session.request(method, self._url + path, json=body, params=parameters, timeout=120)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def make_organisation(self, org_id: str | None = None) -> str:
        """Make an empty organisation and return its id."""
        created: dict[str, str] = self.call("POST", "/orgs", {"org_id": org_id} if org_id else {})
        return created["org_id"]

    def make_token(self, org_id: str, ttl_s: int = 3600, user_id: str | None = None) -> str:
        """Sign a token of an organisation; a negative life gives an expired one."""
        body: dict[str, Any] = {"org_id": org_id, "ttl_s": ttl_s}
        if user_id:
            body["user_id"] = user_id
        token: str = self.call("POST", "/tokens", body)["token"]
        return token

    def seed(self, source_org_id: str, target_org_id: str, scale: float = 1, seed: int = 1) -> dict[str, Any]:
        """Fill two organisations and return the selections."""
        body = {"source_org_id": source_org_id, "target_org_id": target_org_id, "scale": scale, "seed": seed}
        selections: dict[str, Any] = self.call("POST", "/seed", body)["selections"]
        return selections

    def dump(self, catalogue: Catalogue, org_id: str) -> dict[ResourceKey, dict[str, Any]]:
        """Return all raw payloads of an organisation, auxiliary kinds left out."""
        answer = self.call("GET", f"/orgs/{org_id}/resources")
        return {
            ResourceKey(resource["type"], str(resource["id"])): resource["payload"]
            for resource in answer["resources"]
            if resource["type"] in catalogue and find_value(resource["payload"], catalogue[resource["type"]].fields.id)
        }

    def behave(self, **behaviour: Any) -> None:
        """Set latency, rate limits and faults."""
        self.call("PUT", "/behaviour", behaviour)

    def requests(self, org_id: str, since: float = 0.0) -> list[dict[str, Any]]:
        """Return the downstream requests of an organisation, those that ended from a time on, oldest first."""
        answer = self.call("GET", "/requests", org_id=org_id, since=str(since))
        return list(answer["requests"])

    def requests_summary(self) -> dict[str, Any]:
        """Return the summary of all downstream requests since the last reset."""
        summary: dict[str, Any] = self.call("GET", "/requests", limit="0")["summary"]
        return summary

    def reset(self, what: str) -> None:
        """Forget `requests`, `behaviour`, `resources` or `all`."""
        self.call("POST", "/reset", {"what": what})
