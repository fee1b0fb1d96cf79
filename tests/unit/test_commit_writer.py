import threading
import time
from types import SimpleNamespace

import pytest

from shared.use_cases.writing import commit_writer
from shared.use_cases.writing.commit_writer import CommitWriter


class Commits:
    """Notes the size of each group."""

    def __init__(self):
        self.sizes = []
        self.has_recorded = threading.Event()

    def commit(self, _job, _batch, group):
        self.sizes.append(len(group))
        self.has_recorded.set()
        return {}


@pytest.fixture
def commits(monkeypatch):
    monkeypatch.setattr(commit_writer, "_GATHER_S", 60)
    return Commits()


def put(writer, number):
    for _ in range(number):
        writer.put(SimpleNamespace(before=SimpleNamespace(key=("price", "1")), memories={}))


def test_rows_that_come_one_after_the_other_are_recorded_together(commits):
    writer = CommitWriter(commits, None, "1")
    for _ in range(3):
        put(writer, 1)
        time.sleep(0.01)
    writer.close()

    assert commits.sizes == [3]


def test_a_full_group_is_recorded_at_once(commits):
    writer = CommitWriter(commits, None, "1")
    put(writer, 25)

    assert commits.has_recorded.wait(10)
    assert commits.sizes == [24]
    writer.close()
    assert commits.sizes == [24, 1]


def test_a_group_that_stays_small_is_recorded_before_the_step_ends(commits, monkeypatch):
    monkeypatch.setattr(commit_writer, "_GATHER_S", 0.01)
    writer = CommitWriter(commits, None, "1")
    put(writer, 1)

    assert commits.has_recorded.wait(10)
    writer.close()


def test_what_breaks_the_writer_reaches_the_step(commits):
    def fail(_job, _batch, _group):
        raise ValueError("the table is gone")

    commits.commit = fail
    writer = CommitWriter(commits, None, "1")
    put(writer, 1)

    with pytest.raises(ValueError, match="the table is gone"):
        writer.close()
