"""A downstream API in memory, mounted into a requests session."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse


@dataclass(frozen=True)
class Call:
    """A request that reached the API."""

    method: str
    host: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes
    timeout: Any

    @property
    def body(self) -> Any:
        return json.loads(self.content) if self.content else None


@dataclass(frozen=True)
class Answer:
    """What the API answers; a `bytes` body goes out as it is, None as an empty one."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class FakeApi(BaseAdapter):
    """Answers in turn with what it is given: an Answer, an exception to raise, or a function of the call.

    The last one answers all further calls too.
    """

    def __init__(self, *answers: Answer | Exception | Callable[[Call], Answer]) -> None:
        super().__init__()
        self._answers = list(answers)
        self.calls: list[Call] = []

    def send(self, request: requests.PreparedRequest, timeout: Any = None, **_: Any) -> requests.Response:  # type: ignore[override]
        url = urlsplit(request.url or "")
        content = request.body or b""
        call = Call(
            method=request.method or "",
            host=url.netloc,
            path=url.path,
            query={key: values[0] for key, values in parse_qs(url.query).items()},
            headers=dict(request.headers),
            content=content.encode() if isinstance(content, str) else content,
            timeout=timeout,
        )
        self.calls.append(call)
        answer = self._answers[0] if len(self._answers) == 1 else self._answers.pop(0)
        if callable(answer):
            answer = answer(call)
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response.url = request.url or ""
        response.request = request
        body = answer.body
        raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        response.raw = HTTPResponse(io.BytesIO(raw), preload_content=False, original_response=_Received(answer.headers))
        return response

    def close(self) -> None:
        pass

    def mount_into(self, session: requests.Session) -> requests.Session:
        session.mount("https://", self)
        session.mount("http://", self)
        return session


class _Received:
    """The headers as they came in, where requests looks for cookies."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.msg = Message()
        for name, value in headers.items():
            self.msg[name] = value

    def isclosed(self) -> bool:
        return True


class Clock:
    """A clock that only moves when somebody sleeps."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
