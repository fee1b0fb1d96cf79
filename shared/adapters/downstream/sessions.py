"""The HTTP sessions that calls to downstream APIs share."""

from __future__ import annotations

from functools import cache
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.adapters import HTTPAdapter

USER_AGENT = "configuration-hub"
POOL_SIZE = 32
CONNECT_TIMEOUT_S = 3.05
#: API Gateway, which all downstream APIs stand behind, ends a request after 29 s.
READ_TIMEOUT_S = 30.0
TIMEOUTS_S = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)


def new_session(pool_size: int = POOL_SIZE) -> requests.Session:
    """Return a session with room for that many threads, which sends nothing of its own accord: no cookies, no netrc."""
    session = requests.Session()
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"})
    adapter = HTTPAdapter(pool_connections=POOL_SIZE, pool_maxsize=pool_size, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


@cache
def shared_session() -> requests.Session:
    """Return the session that all clients of this Lambda share."""
    return new_session()
