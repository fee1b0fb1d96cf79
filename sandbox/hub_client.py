"""A small HTTP client of the hub, for the demo and the tests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = dict[str, Any]

#: A job or a build that has not ended by then hangs; on a busy machine some take minutes.
DEADLINE_S = 600
#: A connection that was kept alive may be closed just when it is used again; a GET is then sent once more.
_SENT_AGAIN = Retry(total=3, status=0, backoff_factor=0.2, allowed_methods=["GET"])


class HubClient:
    """Calls the hub as one caller.

    Args:
        api_url: base URL of the API.
        token: bearer token of the caller; None sends none.
    """

    def __init__(self, api_url: str, token: str | None) -> None:
        self._url = api_url.rstrip("/")
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, HTTPAdapter(max_retries=_SENT_AGAIN))
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request and return the answer, whatever its status."""
        return self._session.request(method, self._url + path, timeout=60, **options)

    def get(self, path: str, **query: Any) -> Json:
        """GET a path.

        Raises:
            RuntimeError: the hub answered with an error.
        """
        return self._json(self.send("GET", path, params=query))

    def post(self, path: str, body: Json | None = None, **headers: str) -> Json:
        """POST a body to a path.

        Raises:
            RuntimeError: the hub answered with an error.
        """
        return self._json(self.send("POST", path, json=body, headers=headers))

    @staticmethod
    def _json(answer: requests.Response) -> Json:
        if not answer.ok:
            raise RuntimeError(f"{answer.request.method} {answer.request.path_url}: {answer.status_code} {answer.text}")
        parsed: Json = answer.json()
        return parsed

    def pages(self, path: str, **query: Any) -> Iterator[Json]:
        """Yield the results of all pages of a list."""
        while True:
            page = self.get(path, **query)
            yield from page["results"]
            if not page.get("next_cursor"):
                return
            query["cursor"] = page["next_cursor"]

    def rebuild_index(self) -> Json:
        """Rebuild the index of the caller's organisation and wait for its end."""
        started = self.post("/v1/configs/index:rebuild")
        before = started.get("last_built_at")

        def ended(state: Json) -> bool:
            return state["status"] in ("ready", "failed") and state.get("last_built_at") != before

        return self.wait("/v1/configs/index", ended)

    def run_job(
        self,
        job_id: str,
        on_change: Callable[[Json], None] | None = None,
        kind: str = "sync",
        within_s: float = DEADLINE_S,
    ) -> Json:
        """Wait for the end of a sync or delete job, whoever closes it."""
        final = {"succeeded", "partial", "failed", "cancelled"}
        return self.wait(f"/v1/configs/{kind}-jobs/{job_id}", lambda job: job["status"] in final, on_change, within_s)

    def wait(
        self,
        path: str,
        done: Callable[[Json], bool],
        on_change: Callable[[Json], None] | None = None,
        within_s: float = DEADLINE_S,
    ) -> Json:
        """Poll a path with a ramping interval.

        Raises:
            TimeoutError: it did not come to an end in time.
        """
        deadline = time.monotonic() + within_s
        interval = 0.1
        while time.monotonic() < deadline:
            answer = self.get(path)
            if on_change is not None:
                on_change(answer)
            if done(answer):
                return answer
            time.sleep(interval)
            interval = min(interval * 1.3, 1.0)
        raise TimeoutError(f"{path} has not ended after {within_s} s: {answer}")
