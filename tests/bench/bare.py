"""The same requests in the same order and with the same concurrency as a job's, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from graphlib import TopologicalSorter
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from tests.bench.organisations import Graph, attributes

MAX_CONCURRENCY = 8
#: Stages one after the other, the batches of a stage side by side, each with its prices.
Stages = Sequence[Sequence[Sequence[str]]]


class BareRequests:
    """Creates prices by plain POSTs, and changes them by plain GETs and PATCHes.

    Args:
        sandbox_url: base URL of the sandbox.
        token: of the target organisation.
        threads: per batch.
    """

    def __init__(self, sandbox_url: str, token: str, threads: int) -> None:
        self._url = f"{sandbox_url}/entity.sls.epilot.io/v1/entity/price"
        self._read_url = self._url.replace("/v1/", "/v2/")
        self._threads = threads
        self._ids: dict[str, str] = {}
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"
        self._session.mount("http://", HTTPAdapter(pool_maxsize=threads * MAX_CONCURRENCY))

    def send(self, graph: Graph, stages: Stages) -> Mapping[str, str]:
        """Create all prices and return name -> id.

        Raises:
            requests.HTTPError: one was refused.
        """
        for stage in stages:
            with ThreadPoolExecutor(MAX_CONCURRENCY) as pool:
                list(pool.map(lambda batch: self._send_batch(graph, batch), stage))
        return self._ids

    def patch(self, graph: Graph, stages: Stages, changes: Mapping[str, Any]) -> None:
        """Read each price that was created here and change it.

        Raises:
            requests.HTTPError: one was refused.
        """
        for stage in stages:
            with ThreadPoolExecutor(MAX_CONCURRENCY) as pool:
                list(pool.map(lambda batch: self._patch_batch(graph, batch, changes), stage))

    def _patch_batch(self, graph: Graph, batch: Sequence[str], changes: Mapping[str, Any]) -> None:
        def patch(name: str) -> None:
            self._session.get(f"{self._read_url}/{self._ids[name]}").raise_for_status()
            body = attributes(name, [self._ids[one] for one in graph[name]]) | changes
            self._session.patch(f"{self._url}/{self._ids[name]}", json=body).raise_for_status()

        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(patch, batch))

    def _send_batch(self, graph: Graph, batch: Sequence[str]) -> None:
        members = set(batch)
        sorter = TopologicalSorter({name: members.intersection(graph[name]) for name in batch})
        sorter.prepare()
        running: dict[Future[str], str] = {}
        with ThreadPoolExecutor(self._threads) as pool:
            while sorter.is_active():
                for name in sorter.get_ready():
                    running[pool.submit(self._create, name, graph[name])] = name
                finished, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in finished:
                    name = running.pop(future)
                    self._ids[name] = future.result()
                    sorter.done(name)

    def _create(self, name: str, components: Sequence[str]) -> str:
        answer = self._session.post(self._url, json=attributes(name, [self._ids[one] for one in components]))
        answer.raise_for_status()
        created: str = answer.json()["_id"]
        return created
