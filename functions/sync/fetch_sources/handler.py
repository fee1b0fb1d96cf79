"""phase_0: fetch the selection with its dependencies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.bootstrap.index import index_store
from shared.bootstrap.sync import run_step
from shared.entrypoints.workflow import step_handler
from shared.use_cases.fetch_sources import fetch_sources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shared.use_cases.jobs.step import StepInput, StepPorts


def fetch(step: StepInput, ports: StepPorts) -> Mapping[str, Any]:
    """Fetch, with what the source's index knows."""
    return fetch_sources(step, ports, index_store())


lambda_handler = step_handler(run_step(fetch), "FetchSources")
