"""Work off tasks side by side, while what comes next depends on what has ended."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

#: How many payloads of one organisation are read at the same time.
READS_AT_ONCE = 16


def work_off[Name, Answer](
    pick: Callable[[], tuple[Name, Callable[[], Answer]] | None], workers: int
) -> Generator[tuple[Name, Future[Answer]]]:
    """Carry out tasks and yield each as it ends, until none runs and none is handed out any more.

    Close the iterator, so that no task is still running where the caller goes on.

    Args:
        pick: returns the next task as (name, function); None while there is none. It is asked by the thread
            that iterates, again after every task that has ended.
        workers: how many tasks run at the same time.
    """
    running: dict[Future[Answer], Name] = {}
    with ThreadPoolExecutor(workers) as pool:
        try:
            while True:
                while len(running) < workers and (task := pick()) is not None:
                    name, work = task
                    running[pool.submit(work)] = name
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future
        finally:
            for future in running:
                future.cancel()
