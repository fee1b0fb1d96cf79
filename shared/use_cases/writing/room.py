"""Memory that workers share: each waits until what it is about to hold fits in."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from shared.domain.bounds import MAX_CONTENT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator


# Of the 1 GB that a step has.
CONTENT_AT_ONCE_BYTES = 2 * MAX_CONTENT_BYTES


class Room:
    """So many bytes of memory that workers share.

    Args:
        size: how many.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = size
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait until so many bytes are free, and have them; who wants more than there is gets the whole."""
        wanted = min(size, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= wanted)
            self._left -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._left += wanted
                self._changed.notify_all()
