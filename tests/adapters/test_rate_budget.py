from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.adapters.dynamodb.rate_budget import MIN_LIMIT, Bucket, DynamoRateBudget, halve, refill
from shared.domain.errors import DownstreamThrottledError
from tests.fakes.api import Clock

HOST = "entity.sls.epilot.io"


class Table:
    """The table, with its calls counted and a hook before each update."""

    def __init__(self, table):
        self._table = table
        self.calls = 0
        self.before_update = lambda: None

    def get_item(self, **arguments):
        self.calls += 1
        return self._table.get_item(**arguments)

    def update_item(self, **arguments):
        self.calls += 1
        hook, self.before_update = self.before_update, lambda: None
        hook()
        return self._table.update_item(**arguments)


@pytest.fixture
def table(tables):
    return Table(tables["SyncJobsTable"])


@pytest.fixture
def clock():
    return Clock()


def budget_of(table, clock, org="1", limit=100, in_background=lambda _refill: None):
    limits = {(HOST, "mutation"): limit, (HOST, "search"): limit}
    return DynamoRateBudget(table, org, limits, clock=clock, sleep=clock.sleep, in_background=in_background)


def take(budget, count, pool="mutation", timeout_s=1000):
    for _ in range(count):
        budget.take(HOST, pool, timeout_s)


def test_lets_one_minutes_worth_go_at_once_and_then_keeps_the_rate(table, clock):
    budget = budget_of(table, clock)
    take(budget, 100)
    assert not clock.slept

    take(budget, 50)
    assert sum(clock.slept) == pytest.approx(30, abs=1)


def test_asks_the_table_once_in_a_block(table, clock):
    take(budget_of(table, clock, limit=1000), 100)

    assert table.calls == 2 * 2


def test_takes_the_next_block_in_the_background_so_that_no_call_waits_for_the_table(table, clock):
    refills = []
    budget = budget_of(table, clock, limit=1000, in_background=refills.append)
    take(budget, 30)
    (refill,) = refills
    assert table.calls == 2

    refill()
    calls = table.calls
    take(budget, 70)
    assert table.calls == calls


def test_a_block_that_was_on_its_way_when_the_host_refused_is_void(table, clock, monkeypatch):
    refills = []
    budget = budget_of(table, clock, in_background=refills.append)
    take(budget, 3)
    take_block = budget._take_block

    def take_block_and_be_refused(host, pool):
        taken = take_block(host, pool)
        budget.throttled(host, pool, 20)
        return taken

    monkeypatch.setattr(budget, "_take_block", take_block_and_be_refused)
    refills[0]()
    monkeypatch.undo()

    with pytest.raises(DownstreamThrottledError):
        take(budget, 1, timeout_s=1)


def test_a_spent_budget_is_not_asked_for_in_the_background_again_and_again(table, clock):
    refills = []
    budget = budget_of(table, clock, limit=100, in_background=refills.append)
    take(budget_of(table, clock, limit=100), 95)
    take(budget, 3)
    refills[0]()
    take(budget, 2)

    assert len(refills) == 1


def test_asks_the_table_no_more_than_once_a_second_when_the_budget_is_spent(table, clock):
    budget = budget_of(table, clock, limit=600)
    take(budget, 600)
    calls, began = table.calls, clock.now
    take(budget, 200)

    assert clock.now - began == pytest.approx(20, abs=1)
    assert table.calls - calls <= 3 * 21


def test_all_lambdas_together_keep_the_rate(table, clock):
    for _ in range(4):
        take(budget_of(table, clock), 25)
    with pytest.raises(DownstreamThrottledError):
        take(budget_of(table, clock), 1, timeout_s=0)


def test_organisations_hosts_and_pools_do_not_share(table, clock):
    take(budget_of(table, clock), 100)
    take(budget_of(table, clock, org="2"), 100)
    take(budget_of(table, clock), 100, pool="search")

    assert not clock.slept


def test_says_how_long_to_wait_instead_of_waiting_too_long(table, clock):
    budget = budget_of(table, clock, limit=60)
    take(budget, 60)
    with pytest.raises(DownstreamThrottledError) as raised:
        take(budget, 1, timeout_s=0.5)

    assert raised.value.retry_after == pytest.approx(1, abs=0.1)
    assert not clock.slept


def test_nobody_sends_before_the_host_said_so(table, clock):
    here, there = budget_of(table, clock), budget_of(table, clock)
    take(here, 1)
    here.throttled(HOST, "mutation", 20)

    for budget in (here, there):
        with pytest.raises(DownstreamThrottledError) as raised:
            take(budget, 1, timeout_s=1)
        assert raised.value.retry_after == pytest.approx(20, abs=0.1)


def test_forgets_a_block_that_it_has_not_spent_within_a_minute(table, clock):
    budget = budget_of(table, clock)
    take(budget, 1)
    clock.now += 61
    calls = table.calls
    take(budget, 1)

    assert table.calls > calls


def test_looks_again_when_another_lambda_was_faster(table, clock):
    table.before_update = lambda: take(budget_of(table._table, clock), 1)
    take(budget_of(table, clock), 1)

    stored = table._table.get_item(Key={"pk": f"BUDGET#{HOST}#1", "sk": "BUDGET"})["Item"]
    assert stored["mutation"]["tokens"] == 90


def test_threads_of_one_lambda_spend_each_token_once(table, clock):
    budget = budget_of(table, clock)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: budget.take(HOST, "mutation", 0), range(100)))
    with pytest.raises(DownstreamThrottledError):
        take(budget, 1, timeout_s=0)


def test_buckets_do_not_stay_for_ever(table, clock):
    take(budget_of(table, clock), 1)

    assert table._table.scan()["Items"][0]["expires_at"] == int(clock.now) + 24 * 3600


def test_a_429_halves_burst_and_rate_once_however_many_calls_it_hit():
    bucket = Bucket(limit=500, tokens=300, at=1000)
    for _ in range(8):
        bucket = halve(bucket, 1000, 1)

    assert (bucket.limit, bucket.tokens, bucket.blocked_until) == (250, 150, 1001)


def test_a_host_that_refuses_again_and_again_soon_leaves_nothing_but_its_rate():
    bucket = Bucket(limit=500, tokens=500, at=1000)
    for second in range(1000, 1008):
        bucket = halve(refill(bucket, second, ceiling=500), second, 0)

    assert bucket.limit == 250
    assert bucket.tokens < 2 * bucket.limit / 60


def test_the_rate_never_falls_to_nothing():
    bucket = Bucket(limit=500, tokens=0, at=0)
    for now in range(1000, 2000, 20):
        bucket = halve(bucket, now, 1)

    assert bucket.limit == MIN_LIMIT


def test_quiet_minutes_raise_the_rate_up_to_its_ceiling_and_no_further():
    bucket = halve(Bucket(limit=500, tokens=0, at=1000), 1000, 1)
    rates = []
    for minute in range(1, 9):
        bucket = refill(bucket, 1000 + 60 * minute, ceiling=500)
        rates.append(bucket.limit)

    assert rates == [300, 350, 400, 450, 500, 500, 500, 500]


def test_a_bucket_holds_one_minute_at_most():
    assert refill(Bucket(limit=500, tokens=0, at=0), 10_000, ceiling=500).tokens == 500
    assert refill(Bucket(limit=500, tokens=0, at=1000), 1030, ceiling=500).tokens == 250
