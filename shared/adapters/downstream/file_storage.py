"""Read and write the bytes of files at pre-signed URLs: no token goes there, and a repeat does no harm."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests

from shared.adapters.downstream.answers import backoff
from shared.adapters.downstream.sessions import TIMEOUTS_S
from shared.domain.bounds import MAX_CONTENT_BYTES
from shared.domain.errors import (
    DownstreamRejectedError,
    DownstreamUnavailableError,
    ForbiddenError,
    PayloadTooLargeError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_STORAGE_ATTEMPTS = 3


class FileStorage:
    """Pre-signed URLs of the file API.

    Args:
        session: what sends.
        scheme: of the URLs that are followed.
        read_only: refuse every upload before it leaves.
        sleep: waits that many seconds.
    """

    def __init__(
        self, session: requests.Session, scheme: str, *, read_only: bool, sleep: Callable[[float], None]
    ) -> None:
        self._session = session
        self._scheme = scheme
        self._read_only = read_only
        self._sleep = sleep

    def fetch(self, url: str) -> bytes:
        """Return what a pre-signed URL leads to; the organisation's token is not sent there.

        Raises:
            DownstreamUnavailableError: it cannot be read now.
            DownstreamRejectedError: the storage refuses, or the URL is none that we follow.
            PayloadTooLargeError: it has over 256 MB.
        """
        return self._try(lambda: self._download(url), url)

    def send(self, url: str, content: bytes, mime_type: str) -> None:
        """Put bytes to a pre-signed URL; the organisation's token is not sent there, and a repeat does no harm.

        Raises:
            DownstreamUnavailableError: they cannot be written now.
            DownstreamRejectedError: the storage refuses, or the URL is none that we follow.
            ForbiddenError: this client only reads.
        """
        if self._read_only:
            raise ForbiddenError("An upload was refused before it left: this client only reads.")
        self._try(lambda: self._upload(url, content, mime_type), url)

    def _try[T](self, transfer: Callable[[], T], url: str) -> T:
        if urlsplit(url).scheme != self._scheme:
            raise DownstreamRejectedError("The file API answered with a URL that is not followed.")
        for attempt in range(1, _STORAGE_ATTEMPTS + 1):
            try:
                return transfer()
            except DownstreamUnavailableError:
                if attempt == _STORAGE_ATTEMPTS:
                    raise
            except requests.RequestException as error:
                if attempt == _STORAGE_ATTEMPTS:
                    raise DownstreamUnavailableError(f"The file storage broke off: {type(error).__name__}.") from None
            self._sleep(backoff(attempt, None))
        raise AssertionError("the last attempt raises or returns")

    def _download(self, url: str) -> bytes:
        with self._session.get(url, timeout=TIMEOUTS_S, allow_redirects=False, stream=True) as answer:
            _raise_for_storage(answer)
            content = bytearray()
            for chunk in answer.iter_content(1024 * 1024):
                content += chunk
                if len(content) > MAX_CONTENT_BYTES:
                    raise PayloadTooLargeError(f"A file of over {MAX_CONTENT_BYTES:,} bytes is not copied.")
            return bytes(content)

    def _upload(self, url: str, content: bytes, mime_type: str) -> None:
        headers = {"Content-Type": mime_type}
        _raise_for_storage(
            self._session.put(url, data=content, headers=headers, timeout=TIMEOUTS_S, allow_redirects=False)
        )


def _raise_for_storage(answer: requests.Response) -> None:
    if answer.status_code >= 500 or answer.status_code == 429:
        raise DownstreamUnavailableError(f"The file storage answered {answer.status_code}.")
    if not 200 <= answer.status_code < 300:
        raise DownstreamRejectedError(f"The file storage answered {answer.status_code}.")
