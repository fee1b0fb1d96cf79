import threading
from queue import Empty, SimpleQueue
from types import SimpleNamespace

import pytest

from shared.domain.job import JobStatus
from shared.domain.plan import Action, PlannedResource
from shared.domain.resource_type import ResourceKey
from shared.domain.row import Phase, Row, RowStatus, Work
from shared.domain.row_commit import Lost, RowCommit
from shared.use_cases.jobs.step import JobStoppedError, StepInput, result
from shared.use_cases.plan_job import work_left
from shared.use_cases.writing import job_guard
from shared.use_cases.writing.commit_writer import CommitWriter
from shared.use_cases.writing.job_guard import JobGuard
from shared.use_cases.writing.ready_queue import ReadyQueue
from shared.use_cases.writing.room import Room
from shared.use_cases.writing.task import Task
from tests.fakes.sync_types import FLOW


def key(name):
    return ResourceKey("flow", name)


def row(name, **more):
    return Row(
        **(
            {
                "key": key(name),
                "title": name,
                "status": RowStatus.IN_PROGRESS,
                "phase": Phase.CREATE,
                "action": "create",
                "left": (Work.WRITE, Work.VERIFY),
            }
            | more
        )
    )


def tasks(**remaining):
    return {
        key(name): Task(
            planned=PlannedResource(key=key(name), title=name, action=Action.CREATE, remaining=number),
            payload={},
            resource_type=FLOW,
            row=row(name),
        )
        for name, number in remaining.items()
    }


def taken(queue):
    names = []
    while task := queue.take():
        names.append(task.key.id)
    return names


def test_takes_the_longest_remaining_path_first():
    assert taken(ReadyQueue(tasks(a=0, b=5, c=2), lambda *_: ())) == ["b", "c", "a"]


def test_a_task_waits_for_what_it_needs_whatever_became_of_it():
    needs = {key("b"): [key("a")], key("c"): [key("a"), key("b"), key("elsewhere")], key("a"): [key("a")]}
    queue = ReadyQueue(tasks(a=2, b=1, c=0), lambda task, _: needs[task.key])

    assert taken(queue) == ["a"]
    queue.settle(key("a"))
    assert taken(queue) == ["b"]
    queue.settle(key("b"))
    assert taken(queue) == ["c"]


@pytest.mark.parametrize(
    ("planned", "left"),
    [
        ({"action": Action.CREATE}, ("write", "verify")),
        ({"action": Action.CREATE, "patch": True, "activate": True}, ("write", "patch", "activate", "verify")),
        ({"action": Action.CREATE, "resolve": True}, ("write", "resolve", "verify")),
        ({"action": Action.PATCH}, ("write", "verify")),
        ({"action": Action.MATCH, "patch": True}, ("patch", "verify")),
        ({"action": Action.PATCH, "resolve": True}, ("resolve", "verify")),
    ],
)
def test_what_exists_gets_one_write_and_what_is_created_a_second_where_it_must_wait(planned, left):
    assert work_left(PlannedResource(key=key("a"), title="", **planned)) == left


class Commits:
    """Records groups; `answers` are what the next groups lose."""

    def __init__(self, *answers, blocked=None):
        self.groups = []
        self.answers = list(answers)
        self.blocked = blocked

    def commit(self, _job, _batch, group):
        if self.blocked is not None:
            self.blocked.wait(5)
        self.groups.append(list(group))
        answer = self.answers.pop(0) if self.answers else {}
        if isinstance(answer, BaseException):
            raise answer
        return dict(answer)


def commit(name):
    return RowCommit(before=row(name), after=row(name, left=(Work.VERIFY,), target_id=f"t-{name}"))


def test_gathers_what_comes_while_a_group_is_written():
    blocked = threading.Event()
    commits = Commits(blocked=blocked)
    writer = CommitWriter(commits, None, "1")
    for number in range(50):
        writer.put(commit(f"r{number}"))
    blocked.set()
    writer.close()

    assert sum(len(group) for group in commits.groups) == 50
    assert max(len(group) for group in commits.groups) == 24


def test_closing_waits_for_the_last_commit_and_raises_what_broke_the_writer():
    writer = CommitWriter(Commits(RuntimeError("storage is gone")), None, "1")
    writer.put(commit("a"))

    with pytest.raises(RuntimeError, match="storage is gone"):
        writer.close()


def test_a_row_whose_target_is_taken_fails_instead_of_being_lost():
    commits = Commits({key("a"): Lost.TARGET}, {})
    writer = CommitWriter(commits, None, "1")
    writer.put(commit("a"))
    writer.close()

    [failed] = commits.groups[1]
    assert (failed.after.status, failed.after.error.code) == (RowStatus.FAILED, "CONFLICT")
    assert failed.lineage is None
    assert writer.lost == set()


def test_rows_that_somebody_else_took_are_named():
    writer = CommitWriter(Commits({key("a"): Lost.CLAIM}), None, "1")
    writer.put(commit("a"))
    writer.close()

    assert writer.lost == {key("a")}


class Headers:
    """A header that tests change."""

    def __init__(self):
        self.job = SimpleNamespace(status=JobStatus.IN_PROGRESS, execution_id="mine")
        self.reads = SimpleQueue()

    def get_job(self, *_):
        self.reads.put(None)
        return self.job

    def read_once_more(self):
        """Return when a read that began from now on has been taken note of: the one behind it has begun."""
        for _ in range(self.reads.qsize() + 3):
            self.reads.get(timeout=60)


STEP = StepInput(org_id="org", job_id="job", execution_id="mine", deadline=0.0)


def test_the_guard_asks_no_storage_between_writes_and_hears_of_a_cancellation(monkeypatch):
    monkeypatch.setattr(job_guard, "_REFRESH_EVERY_S", 0.01)
    monkeypatch.setattr(job_guard, "MAX_AGE_S", float("inf"))
    headers = Headers()
    with JobGuard(headers, STEP) as guard:
        guard.check()
        headers.job = SimpleNamespace(status=JobStatus.CANCELLED, execution_id="mine")
        headers.read_once_more()
        with pytest.raises(JobStoppedError):
            guard.check()


def test_the_guard_asks_again_where_what_it_knows_is_old(monkeypatch):
    monkeypatch.setattr(job_guard, "_REFRESH_EVERY_S", 60.0)
    monkeypatch.setattr(job_guard, "MAX_AGE_S", -1.0)
    headers = Headers()
    with JobGuard(headers, STEP) as guard:
        guard.check()
        headers.job = SimpleNamespace(status=JobStatus.IN_PROGRESS, execution_id="another")
        with pytest.raises(JobStoppedError):
            guard.check()


def test_a_wait_is_at_least_a_second_long():
    assert result("wait", "X", 0.2)["wait_seconds"] == 1
    assert result("done") == {"status": "done", "wait_seconds": 0, "code": ""}


def test_files_are_held_side_by_side_as_far_as_memory_goes():
    room, begun, go_on = Room(10), SimpleQueue(), threading.Event()

    def hold(size):
        with room.taken(size):
            begun.put(size)
            go_on.wait(5)

    small = [threading.Thread(target=hold, args=(5,)) for _ in range(2)]
    for thread in small:
        thread.start()
    assert [begun.get(timeout=5), begun.get(timeout=5)] == [5, 5]

    large = threading.Thread(target=hold, args=(1_000,))
    large.start()
    with pytest.raises(Empty):
        begun.get(timeout=0.1)

    go_on.set()
    assert begun.get(timeout=5) == 1_000
    for thread in [*small, large]:
        thread.join(5)
