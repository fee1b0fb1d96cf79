"""Build what starting an index build needs."""

from __future__ import annotations

from functools import cache

from shared import settings
from shared.adapters import aws
from shared.adapters.functions import AsyncFunction


@cache
def build_index_function() -> AsyncFunction:
    """Return the Lambda that builds indexes."""
    return AsyncFunction(aws.client("lambda"), settings.build_index_function())
