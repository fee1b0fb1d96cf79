"""Build what the steps of a delete job need."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any

from shared.adapters import aws
from shared.bootstrap.delete_jobs import delete_jobs
from shared.bootstrap.sync import ports
from shared.use_cases.jobs.step import StepInput, run_noting_progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from shared.use_cases.jobs.step import StepPorts


def run_deletion_step(
    step: Callable[[StepInput, StepPorts], Mapping[str, Any]],
) -> Callable[[dict[str, Any]], Mapping[str, Any]]:
    """Return a step of a delete job that reads its input from the task's event and works on the real world."""
    translated = aws.translated_errors()(step)

    @wraps(step)
    def run(event: dict[str, Any]) -> Mapping[str, Any]:
        task = StepInput.from_event(event)
        return run_noting_progress(translated, task, replace(ports(task), jobs=delete_jobs()))

    return run
