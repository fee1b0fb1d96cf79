"""Claims, group commits, counters and lineage, over the tables of the template."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from shared.adapters.dynamodb import keys, requests, running_jobs
from shared.adapters.dynamodb.job_store import JobStore
from shared.adapters.dynamodb.lineage_store import LineageStore
from shared.adapters.dynamodb.sync_commits import RowCommits
from shared.domain.errors import ConflictError, StorageThrottledError, TooManyJobsError
from shared.domain.job import COUNTERS, Job, JobKind, JobStatus, epoch_seconds
from shared.domain.plan import LineageEntry
from shared.domain.resource_type import ResourceKey
from shared.domain.row import Event, Phase, Row, RowStatus, Work, event_of
from shared.domain.row_commit import Hold, Lost, RowClaim, RowCommit, Writer
from tests.fakes.api import Clock
from tests.fakes.moto_transactions import speed_up_transactions

ORG, TARGET = "org-a", "org-b"


class Storage:
    """The stores, and what the client was asked for."""

    def __init__(self, client):
        self.client = client
        self.clock = Clock()
        self.jobs = JobStore(client, "SyncJobsTable", "SyncResourcesTable", "IndexTable", self.clock)
        self.lineage = LineageStore(client, "LineageTable")
        self.commits = self.new_commits()
        self.transactions = []
        client.meta.events.register("provide-client-params.dynamodb.TransactWriteItems", self._note)

    def new_commits(self):
        """Another process."""
        names = ("SyncJobsTable", "SyncResourcesTable", "LineageTable", "IndexTable")
        return RowCommits(self.client, *names, self.clock)

    def _note(self, params, **_):
        self.transactions.append(len(params["TransactItems"]))

    def plan(self, number, status=RowStatus.PENDING):
        """A job with that many rows in batch 1."""
        job = new_job("job-1")
        assert self.jobs.create_job(job)
        rows = [row(f"s{index:03d}", status) for index in range(number)]
        self.jobs.put_rows(job, rows)
        counts = {"1": {status.counted_as: number}}
        self.jobs.mark_planned(job, total=number, stages=[[1]], batches={}, counts=counts, next_seq=0)
        self.transactions.clear()
        return self.jobs.get_job(ORG, "job-1"), rows

    def rows(self):
        return {one.key.id: one for one in self.jobs.list_rows(ORG, "job-1")}

    def counts_agree(self):
        counted = Counter(one.status.counted_as for one in self.rows().values())
        return self.jobs.total_counts(ORG, "job-1") == {name: counted[name] for name in COUNTERS}


@pytest.fixture
def storage(aws, tables, monkeypatch):
    speed_up_transactions(monkeypatch)
    monkeypatch.setattr(requests, "FIRST_PAUSE_S", 0.0)
    return Storage(aws.resource("dynamodb").meta.client)


def new_job(job_id, **more):
    return Job(
        **(
            {
                "id": job_id,
                "org_id": ORG,
                "user_id": "user-1",
                "name": "",
                "status": JobStatus.PENDING,
                "direction": "push",
                "source_org_id": ORG,
                "target_org_id": TARGET,
                "dry_run": False,
                "include_dependencies": True,
                "match": "heuristic",
                "started_at": "2026-01-01T00:00:00.000Z",
            }
            | more
        )
    )


def row(source_id, status=RowStatus.PENDING):
    return Row(
        key=ResourceKey("journey", source_id),
        title=source_id,
        status=status,
        phase=Phase.CREATE,
        action="create",
        batch=1,
        left=(Work.WRITE, Work.VERIFY),
        updated_at="2026-01-01T00:00:00.000Z",
    )


def claimed(one):
    return replace(one, status=RowStatus.IN_PROGRESS, attempt=one.attempt + 1)


def written(before, target_id, owner=None):
    after = replace(before, status=RowStatus.CREATED, left=(), target_id=target_id)
    entry = LineageEntry(
        type="journey", source_org_id=ORG, source_id=before.key.id, target_org_id=TARGET, target_id=target_id
    )
    hold = Hold(owner=owner, source=True) if owner else None
    return RowCommit(before=before, after=after, events=(event_of(after, "Written."),), lineage=entry, hold=hold)


def claim_all(storage, job, rows, owner="me", commits=None):
    claims = [RowClaim(before=one, after=claimed(one), hold=Hold(owner=owner, source=True)) for one in rows]
    return (commits or storage.commits).claim(job, "1", claims, storage.clock() + 150)


def test_claims_rows_in_blocks_that_fit_into_a_transaction(storage):
    job, rows = storage.plan(120)

    outcome = claim_all(storage, job, rows)

    assert len(outcome.claimed) == 120
    assert storage.transactions == [99, 99, 45]
    assert {one.status for one in storage.rows().values()} == {RowStatus.IN_PROGRESS}
    assert storage.counts_agree()


def test_a_claim_that_somebody_holds_is_blocked_until_its_lease_ends(storage):
    job, rows = storage.plan(3)
    claim_all(storage, job, rows[:1], owner="other")
    current = storage.rows()

    blocked = claim_all(storage, job, [current["s000"], current["s001"]])
    storage.clock.now += 151
    taken = claim_all(storage, job, [storage.rows()["s000"]])

    assert blocked.blocked == {rows[0].key}
    assert blocked.claimed.keys() == {rows[1].key}
    assert blocked.taken_over == frozenset()
    assert taken.taken_over == {rows[0].key}
    assert storage.counts_agree()


def test_commits_groups_of_at_most_24_rows_and_100_items_with_exact_counts(storage):
    job, rows = storage.plan(50)
    outcome = claim_all(storage, job, rows)
    storage.transactions.clear()

    lost = storage.commits.commit(job, "1", [written(one, f"t-{one.key.id}", "me") for one in outcome.claimed.values()])

    assert lost == {}
    assert max(storage.transactions) <= 100
    assert len(storage.transactions) == 3
    assert {one.status for one in storage.rows().values()} == {RowStatus.CREATED}
    assert storage.counts_agree()
    assert len(storage.lineage.find_entries(TARGET, ORG, [one.key for one in rows])) == 50
    assert claim_all(storage, job, [row("s000")]).taken_over == frozenset()


def test_transactions_that_meet_conflicts_count_nothing_twice(storage):
    job, rows = storage.plan(60)
    rng = random.Random(1)

    def conflict(**_):
        if rng.random() < 0.4:
            raise ClientError(
                {
                    "Error": {"Code": "TransactionCanceledException"},
                    "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict"}],
                },
                "TransactWriteItems",
            )

    storage.client.meta.events.register("before-call.dynamodb.TransactWriteItems", conflict)

    outcome = claim_all(storage, job, rows)
    storage.commits.commit(job, "1", [written(one, f"t-{one.key.id}", "me") for one in outcome.claimed.values()])

    assert storage.jobs.total_counts(ORG, "job-1")["succeeded"] == 60
    assert storage.counts_agree()


def test_conflicts_without_end_are_reported_as_transient(storage):
    job, rows = storage.plan(1)

    def conflict(**_):
        raise ClientError({"Error": {"Code": "TransactionConflictException"}}, "TransactWriteItems")

    storage.client.meta.events.register("before-call.dynamodb.TransactWriteItems", conflict)
    with pytest.raises(StorageThrottledError):
        claim_all(storage, job, rows)


def test_a_place_among_the_running_jobs_is_not_lost_to_a_conflict(storage):
    met = []

    def conflict_once(**_):
        if not met:
            met.append(True)
            reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}]
            answer = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(answer, "TransactWriteItems")

    storage.client.meta.events.register("before-call.dynamodb.TransactWriteItems", conflict_once)

    assert storage.jobs.create_job(new_job("job-1"))
    places = [item for item in storage.client.scan(TableName="SyncJobsTable")["Items"] if "lease_until" in item]
    assert [place["job_id"] for place in places] == ["job-1"] * 3


def test_only_the_invocation_that_plans_now_writes_rows_and_none_once_the_plan_stands(storage):
    late, rows = storage.jobs, [row(f"s{index:03d}", RowStatus.PENDING) for index in range(150)]
    assert storage.jobs.create_job(new_job("job-1"))
    first = storage.jobs.begin_plan(storage.jobs.get_job(ORG, "job-1"), "first")
    late.put_rows(first, rows[:1])
    second = storage.jobs.begin_plan(storage.jobs.get_job(ORG, "job-1"), "second")
    plan = {"total": 150, "stages": [[1]], "batches": {}, "counts": {"1": {"pending": 150}}, "next_seq": 7}

    with pytest.raises(ConflictError):
        late.put_rows(first, rows)
    with pytest.raises(ConflictError):
        late.mark_planned(first, **plan)
    assert len(storage.rows()) == 1
    storage.jobs.put_rows(second, rows)
    storage.jobs.mark_planned(second, **plan)

    assert max(storage.transactions) == 100
    assert storage.jobs.get_job(ORG, "job-1").planner == "second"
    assert len(storage.rows()) == 150
    for write in (lambda: late.put_rows(second, rows), lambda: storage.jobs.begin_plan(first, "third")):
        with pytest.raises(ConflictError):
            write()
    assert storage.counts_agree()


def test_a_row_that_was_committed_already_is_lost_and_the_others_go_through(storage):
    job, rows = storage.plan(3)
    storage.commits.commit(job, "1", [written(rows[0], "t-0")])

    lost = storage.commits.commit(job, "1", [written(one, f"t-{index}") for index, one in enumerate(rows)])

    assert lost == {rows[0].key: Lost.ROW}
    assert storage.jobs.total_counts(ORG, "job-1")["succeeded"] == 3
    assert storage.counts_agree()


def test_a_target_belongs_to_one_source_config(storage):
    job, rows = storage.plan(2)

    lost = storage.commits.commit(job, "1", [written(rows[0], "same")])
    lost |= storage.commits.commit(job, "1", [written(rows[1], "same")])

    assert lost == {rows[1].key: Lost.TARGET}
    assert storage.lineage.find_claimed_targets(TARGET, ORG, [ResourceKey("journey", "same")]) == {
        ResourceKey("journey", "same"): rows[0].key
    }


def test_a_commit_without_its_claim_is_lost(storage):
    job, rows = storage.plan(1)
    outcome = claim_all(storage, job, rows)
    storage.clock.now += 151
    claim_all(storage, job, outcome.claimed.values(), owner="successor", commits=storage.new_commits())
    current = storage.rows()["s000"]

    lost = storage.commits.commit(job, "1", [written(current, "t-0", "me")])

    assert lost == {rows[0].key: Lost.CLAIM}
    assert storage.lineage.find_entries(TARGET, ORG, [rows[0].key]) == {}


def test_sequence_numbers_of_two_processes_are_unique_and_increase(storage):
    job, rows = storage.plan(4)
    other = storage.new_commits()
    for commits, one in zip((storage.commits, other, storage.commits, other), rows, strict=True):
        commits.commit(job, "1", [written(one, f"t-{one.key.id}")])

    events = storage.jobs.list_events(ORG, "job-1")

    assert len({event.seq for event in events}) == 4
    by_row = {event.key.id: event.seq for event in events}
    assert by_row["s000"] < by_row["s002"]
    assert by_row["s001"] < by_row["s003"]


def test_a_mark_for_what_is_inactive_stays_until_it_is_taken_away(storage):
    job, rows = storage.plan(1)
    first = written(rows[0], "t-0")
    storage.commits.commit(job, "1", [replace(first, inactive=True)])
    assert storage.lineage.find_inactive(TARGET, ORG, [rows[0].key]) == {rows[0].key}

    storage.commits.commit(job, "1", [replace(first, before=replace(first.after, version=1), after=first.after)])
    assert storage.lineage.find_inactive(TARGET, ORG, [rows[0].key]) == {rows[0].key}
    storage.commits.commit(
        job, "1", [replace(first, before=replace(first.after, version=2), after=first.after, inactive=False)]
    )
    assert storage.lineage.find_inactive(TARGET, ORG, [rows[0].key]) == set()


def test_three_jobs_run_into_a_target_and_a_place_that_is_given_back_is_taken(storage):
    for number in range(3):
        assert storage.jobs.create_job(new_job(f"job-{number}"))
    with pytest.raises(TooManyJobsError):
        storage.jobs.create_job(new_job("job-3"))
    assert storage.jobs.create_job(new_job("elsewhere", org_id="org-z", target_org_id="org-c"))

    storage.jobs.release_slot(new_job("job-1"))
    assert storage.jobs.create_job(new_job("job-3"))
    storage.clock.now += 26 * 3600
    assert storage.jobs.create_job(new_job("job-4"))


def test_an_organisation_runs_three_jobs_and_all_organisations_twelve(storage):
    for number in range(12):
        caller, target = f"org-{number // 3}", f"target-{number}"
        assert storage.jobs.create_job(new_job(f"job-{number}", org_id=caller, target_org_id=target))
        if number == 2:
            with pytest.raises(TooManyJobsError, match="3 jobs of your organisation"):
                storage.jobs.create_job(new_job("one-more", org_id=caller, target_org_id="elsewhere"))
    with pytest.raises(TooManyJobsError, match="as the service carries"):
        storage.jobs.create_job(new_job("one-more", org_id="org-9", target_org_id="elsewhere"))

    storage.jobs.release_slot(new_job("job-5", org_id="org-1", target_org_id="target-5"))
    assert storage.jobs.create_job(new_job("one-more", org_id="org-9", target_org_id="elsewhere"))


def test_places_of_a_job_that_something_may_still_run_of_are_free_when_that_has_ended(storage):
    for number in range(3):
        assert storage.jobs.create_job(new_job(f"job-{number}"))
    storage.jobs.release_slot(new_job("job-1"), busy_s=170)
    storage.jobs.release_slot(new_job("job-1"))
    assert {job.id for job in storage.jobs.list_running()} == {"job-0", "job-2"}

    with pytest.raises(TooManyJobsError):
        storage.jobs.create_job(new_job("job-3"))
    storage.clock.now += 171
    assert storage.jobs.create_job(new_job("job-3"))


def test_of_jobs_that_ask_at_the_same_moment_each_gets_a_place_of_its_own(storage, monkeypatch):
    jobs = [new_job(f"job-{number}") for number in range(5)]
    others = iter(jobs[1:3])
    look = running_jobs.batch_get

    def late(*arguments):
        found = look(*arguments)
        if (other := next(others, None)) is not None:
            assert storage.jobs.create_job(other)
        return found

    monkeypatch.setattr(running_jobs, "batch_get", late)
    assert storage.jobs.create_job(jobs[0])

    assert {job.id for job in storage.jobs.list_running()} == {"job-0", "job-1", "job-2"}
    with pytest.raises(TooManyJobsError):
        storage.jobs.create_job(jobs[3])


def test_a_job_that_began_under_code_that_did_not_write_down_its_place_gives_it_back(storage):
    for number in range(3):
        assert storage.jobs.create_job(new_job(f"job-{number}", org_id=f"org-{number}"))
        storage.client.update_item(
            TableName="SyncJobsTable",
            Key=keys.running_job(f"org-{number}", f"job-{number}"),
            UpdateExpression="REMOVE slots",
        )

    storage.jobs.release_slot(new_job("job-1", org_id="org-1"))

    assert storage.jobs.create_job(new_job("job-3", org_id="org-3"))


def test_waits_of_a_running_job_are_counted(storage):
    job = new_job("job-1")
    assert storage.jobs.create_job(job)
    assert [storage.jobs.note_wait(ORG, job.id) for _ in range(3)] == [1, 2, 3]

    storage.jobs.release_slot(job)
    assert storage.jobs.note_wait(ORG, job.id) == 0
    assert storage.jobs.list_running() == []


def test_a_running_job_is_found_without_its_organisation_until_it_ends(storage):
    deletions = JobStore(
        storage.client, "SyncJobsTable", "SyncResourcesTable", clock=storage.clock, kind=JobKind.DELETE
    )
    assert storage.jobs.create_job(new_job("job-1"))
    assert storage.jobs.create_job(new_job("job-2", org_id="org-z", target_org_id="org-c"))
    assert deletions.create_job(new_job("job-3", kind=JobKind.DELETE))
    assert {(job.org_id, job.id) for job in storage.jobs.list_running()} == {(ORG, "job-1"), ("org-z", "job-2")}
    assert [(job.kind, job.id) for job in deletions.list_running()] == [(JobKind.DELETE, "job-3")]

    storage.jobs.release_slot(new_job("job-1"))
    assert [job.id for job in storage.jobs.list_running()] == ["job-2"]
    assert len(deletions.list_running()) == 1


def test_progress_of_a_running_job_is_noted_and_that_of_an_ended_one_is_not(storage):
    job = new_job("job-1")
    assert storage.jobs.create_job(job)
    (waiting,) = storage.jobs.list_running()
    assert (waiting.started_at, waiting.progressed_at) == (epoch_seconds(job.started_at), None)

    storage.clock.now += 60
    storage.jobs.note_progress(ORG, job.id)
    assert [one.progressed_at for one in storage.jobs.list_running()] == [int(storage.clock())]

    storage.jobs.release_slot(job)
    storage.jobs.note_progress(ORG, job.id)
    assert storage.jobs.list_running() == []


def test_a_phase_begins_once_however_often_it_is_entered(storage):
    job, _ = storage.plan(1)
    storage.jobs.enter_phase(job, Phase.CREATE, None)
    began = storage.clock()
    storage.clock.now += 7.5
    storage.jobs.enter_phase(job, Phase.CREATE, None)
    storage.jobs.enter_phase(job, Phase.PATCH, None)

    entered = storage.jobs.get_job(ORG, job.id).entered
    assert entered == pytest.approx({Phase.CREATE: began, Phase.PATCH: began + 7.5}, abs=0.001)


def test_a_job_is_created_once_and_takes_one_place(storage):
    assert storage.jobs.create_job(new_job("job-1"))
    assert not storage.jobs.create_job(new_job("job-1"))
    assert storage.jobs.create_job(new_job("job-2"))
    assert storage.jobs.create_job(new_job("job-3"))


def test_a_final_job_is_never_overwritten(storage):
    job, _ = storage.plan(1)
    storage.jobs.cancel_job(ORG, job.id, "2026-01-01T00:00:01.000Z")

    finished = storage.jobs.finish_job(job, JobStatus.SUCCEEDED, "2026-01-01T00:00:02.000Z", [], {"failed": 0})
    storage.jobs.enter_phase(job, Phase.PATCH, None)
    with pytest.raises(ConflictError):
        storage.jobs.cancel_job(ORG, job.id, "2026-01-01T00:00:03.000Z")
    with pytest.raises(ConflictError):
        storage.jobs.start_job(ORG, job.id, "execution")

    stored = storage.jobs.get_job(ORG, job.id)
    assert (finished.status, stored.finished_at) == (JobStatus.CANCELLED, "2026-01-01T00:00:01.000Z")
    assert stored.phase is Phase.FETCH_AND_PLAN


def test_an_older_header_is_its_own_root_or_has_the_job_it_retries_as_root_and_keeps_active_flags(storage):
    first, _ = storage.plan(1)
    retry = replace(first, id="job-2", retry_of=first.id, root_id="")
    assert storage.jobs.create_job(retry)
    for job in (first, retry):
        storage.client.update_item(
            TableName="SyncJobsTable",
            Key=keys.job(ORG, job.id, job.kind),
            UpdateExpression="REMOVE root_id, activation",
        )

    assert storage.jobs.get_job(ORG, first.id).root_id == first.id
    assert storage.jobs.get_job(ORG, retry.id).root_id == first.id
    assert storage.jobs.get_job(ORG, first.id).activation == "keep"


def test_phases_only_go_forward(storage):
    job, _ = storage.plan(1)
    storage.jobs.enter_phase(job, Phase.PATCH, {"index": 0, "of": 1, "level": 0})
    storage.jobs.enter_phase(job, Phase.CREATE, {"index": 3, "of": 4, "level": 0})

    assert storage.jobs.get_job(ORG, job.id).phase is Phase.PATCH


def test_a_second_execution_does_not_drive_a_job(storage):
    job, _ = storage.plan(1)
    storage.jobs.start_job(ORG, job.id, "first")
    storage.jobs.start_job(ORG, job.id, "first")

    with pytest.raises(ConflictError):
        storage.jobs.start_job(ORG, job.id, "second")


def test_more_events_than_an_item_may_hold_are_pages_of_items(storage):
    job, _ = storage.plan(1)
    events = [Event(ts="2026-01-01T00:00:00.000Z", status="pending", seq=number) for number in range(1, 61)]

    storage.jobs.put_events(ORG, job.id, events)

    assert [event.seq for event in storage.jobs.list_events(ORG, job.id)] == list(range(60, 50, -1))


def plan_of(storage, job_id, source_org, source_id="s000"):
    """Another job into the same target, with one row whose target is known."""
    job = new_job(job_id, source_org_id=source_org)
    assert storage.jobs.create_job(job)
    one = replace(row(source_id), action="patch", target_id="t-1")
    storage.jobs.put_rows(job, [one])
    storage.jobs.mark_planned(job, total=1, stages=[[1]], batches={}, counts={"1": {"pending": 1}}, next_seq=0)
    return storage.jobs.get_job(ORG, job_id), one


def claim_target(storage, job, one, owner, source=False):
    hold = Hold(owner=owner, source=source, target_id="t-1")
    claims = [RowClaim(before=one, after=claimed(one), hold=hold)]
    return storage.commits.claim(job, "1", claims, storage.clock() + 150), hold


def test_a_target_is_held_by_one_job_whatever_its_source_and_its_trace_names_who_wrote_it(storage):
    first, one = plan_of(storage, "job-1", "org-a")
    second, other = plan_of(storage, "job-2", "org-c", "elsewhere")
    outcome, hold = claim_target(storage, first, one, "first")
    mine = outcome.claimed[one.key]

    blocked, _ = claim_target(storage, second, other, "second")
    storage.commits.commit(first, "1", [RowCommit(before=mine, after=mine, hold=hold, sent=True)])
    free, _ = claim_target(storage, second, other, "second")

    assert blocked.blocked == {other.key}
    assert (outcome.writers, free.writers) == ({}, {other.key: Writer("job-1")})
    assert free.taken_over == frozenset()


def test_a_target_that_was_claimed_and_not_written_keeps_the_name_of_its_writer(storage):
    first, one = plan_of(storage, "job-1", "org-a")
    second, other = plan_of(storage, "job-2", "org-c", "elsewhere")
    for job, read, sent in ((first, one, True), (second, other, False)):
        outcome, hold = claim_target(storage, job, read, f"in-{job.id}")
        mine = outcome.claimed[read.key]
        storage.commits.commit(job, "1", [RowCommit(before=mine, after=read, hold=hold, sent=sent)])

    again, _ = claim_target(storage, second, replace(other, version=2), "again")

    assert again.writers == {other.key: Writer("job-1")}


def test_whoever_takes_a_target_over_from_a_job_that_died_hears_that_it_may_have_written(storage):
    first, one = plan_of(storage, "job-1", "org-a")
    second, other = plan_of(storage, "job-2", "org-c", "elsewhere")
    claim_target(storage, first, one, "died")
    storage.clock.now += 151
    still_runs, _ = claim_target(storage, second, other, "second")
    storage.jobs.cancel_job(ORG, "job-1", "2026-01-01T00:00:01.000Z")

    taken, hold = claim_target(storage, second, other, "second")
    mine = taken.claimed[other.key]
    storage.commits.commit(second, "1", [RowCommit(before=mine, after=other, hold=hold)])
    again, _ = claim_target(storage, second, replace(other, version=2), "again")

    assert still_runs.blocked == {other.key}
    assert taken.writers == again.writers == {other.key: Writer("job-1")}


def test_the_wait_for_a_target_grows_with_the_age_of_its_claim_and_ends_with_its_lease(storage):
    first, one = plan_of(storage, "job-1", "org-a")
    second, other = plan_of(storage, "job-2", "org-c", "elsewhere")
    claim_target(storage, first, one, "first")

    waits, began = [], storage.clock()
    for passed in (0, 20, 100, 145, 200, 1000):
        storage.clock.now = began + passed
        waits.append(claim_target(storage, second, other, "second")[0].wait_seconds)

    assert waits == [2, 10, 50, 5, 60, 60]


def test_a_claim_of_the_source_by_code_that_knew_no_others_binds_a_row_whose_target_is_known(storage):
    job, one = plan_of(storage, "job-1", ORG)
    old = {"type": "journey", "source_id": "s000", "org_id": ORG, "job_id": "job-0", "owner": "old", "attempt": 1}
    place = {"pk": "ORG#org-b", "sk": "CLAIM#journey#s000#org-a"}
    item = {**place, **old, "action": "patch", "lease_until": int(storage.clock()) + 60}
    storage.client.put_item(TableName="LineageTable", Item=item)

    held, _ = claim_target(storage, job, one, "new")
    storage.clock.now += 61
    free, _ = claim_target(storage, job, one, "new")

    assert (held.blocked, free.claimed.keys()) == ({one.key}, {one.key})


def test_rows_that_claim_source_and_target_fit_into_a_transaction_and_one_target_takes_one_row_at_a_time(storage):
    job, rows = storage.plan(70)
    claims = [
        RowClaim(before=one, after=claimed(one), hold=Hold(owner="me", source=True, target_id=f"t-{one.key.id}"))
        for one in rows
    ]
    twice = replace(claims[1], hold=claims[0].hold)

    outcome = storage.commits.claim(job, "1", [claims[0], twice, *claims[2:]], storage.clock() + 150)

    assert outcome.blocked == {rows[1].key}
    assert len(outcome.claimed) == 69
    assert max(storage.transactions) <= 100
    assert storage.counts_agree()


def test_a_claim_of_an_ended_job_that_is_settled_leaves_the_name_of_its_writer(storage):
    first, one = plan_of(storage, "job-1", "org-a")
    second, other = plan_of(storage, "job-2", "org-c", "elsewhere")
    claim_target(storage, first, one, "died")
    target = ResourceKey("journey", "t-1")
    found = storage.lineage.find_target_claims(TARGET, [target])

    storage.lineage.settle_claim(first, found[target], None, inactive=False)

    assert storage.lineage.find_target_claims(TARGET, [target]) == {}
    assert claim_target(storage, second, other, "second")[0].writers == {other.key: Writer("job-1")}
