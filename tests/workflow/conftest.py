"""What jobs that run in process share."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.moto_transactions import speed_up_transactions
from tests.fakes.sync_world import SyncWorld


@pytest.fixture
def world(aws: Any, tables: Any, monkeypatch: pytest.MonkeyPatch) -> SyncWorld:
    """Two empty organisations and the tables of the template."""
    speed_up_transactions(monkeypatch)
    return SyncWorld(aws.resource("dynamodb"))
