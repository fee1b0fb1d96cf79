"""Share the calls that a downstream API allows an organisation between all Lambdas that work for it.

One token bucket per host, organisation and pool (reads, searches, mutations) stands in SyncJobsTable. A Lambda takes
blocks out of it and spends them in memory; the next block is taken in the background once half of one is spent, so that
most calls wait for no table. A 429 halves burst and rate, quiet minutes raise them.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from shared.adapters.aws import translated_errors
from shared.adapters.dynamodb import keys
from shared.domain.errors import DownstreamThrottledError, StorageThrottledError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mypy_boto3_dynamodb.service_resource import Table

#: Calls a minute and organisation, as the entity API's documentation states them.
DOCUMENTED_LIMITS: Mapping[tuple[str, str], int] = {
    ("entity.sls.epilot.io", "mutation"): 500,
    ("entity.sls.epilot.io", "search"): 5_000,
}
#: Where nothing is documented: high enough to be no obstacle; the first 429 teaches better.
UNDOCUMENTED_LIMIT = 6_000
#: The same for plain reads, of which one crawl does hundreds a second.
READ_LIMIT = 30_000
MIN_LIMIT = 30
_WINDOW_S = 60.0
_BLOCKS_PER_MINUTE = 20
_INCREASES_TO_FULL = 10
#: Parallel calls are refused together: that is one signal, not many.
_SHORTEST_SHUT_S = 1.0
_DECREASE_INTERVAL_S = 10.0
_CONFLICT_TRIES = 8
_ITEM_LIFETIME_S = 24 * 3600


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket as it stands at a moment; capacity is one minute.

    Attributes:
        limit: tokens that flow in per minute.
        tokens: tokens in it.
        at: epoch seconds at which that was so.
        blocked_until: epoch seconds before which nothing may leave, since the host said so.
        decreased_at: epoch seconds of the last halving or raise.
    """

    limit: float
    tokens: float
    at: float
    blocked_until: float = 0.0
    decreased_at: float = 0.0


def refill(bucket: Bucket, now: float, ceiling: float) -> Bucket:
    """Return the bucket as it stands now, its rate raised by a tenth of the ceiling for each minute without a 429."""
    elapsed = max(0.0, now - bucket.at)
    limit, decreased_at = bucket.limit, bucket.decreased_at
    quiet_minutes = int(max(0.0, now - decreased_at) // _WINDOW_S)
    if limit < ceiling and quiet_minutes:
        limit = min(ceiling, limit + quiet_minutes * ceiling / _INCREASES_TO_FULL)
        decreased_at += quiet_minutes * _WINDOW_S
    tokens = min(limit, bucket.tokens + elapsed * bucket.limit / _WINDOW_S)
    return replace(bucket, limit=limit, tokens=tokens, at=now, decreased_at=decreased_at)


def halve(bucket: Bucket, now: float, retry_after_s: float) -> Bucket:
    """Return the bucket after a 429: shut as long as the host asked, then with half of what it held.

    The rate is halved at most once in 10 s. A single refusal costs half of a burst and no more; where the host means
    it, it refuses again, and a few halves later what is left is the rate.
    """
    is_new_signal = now >= bucket.blocked_until
    slows_down = now - bucket.decreased_at >= _DECREASE_INTERVAL_S
    return replace(
        bucket,
        limit=max(MIN_LIMIT, bucket.limit / 2) if slows_down else bucket.limit,
        tokens=bucket.tokens / 2 if is_new_signal else bucket.tokens,
        blocked_until=max(bucket.blocked_until, now + max(retry_after_s, _SHORTEST_SHUT_S)),
        decreased_at=now if slows_down else bucket.decreased_at,
    )


class _Block:
    """Tokens that this process holds for one host and pool.

    Attributes:
        lock: held while the block is looked at or taken, never while somebody waits.
        tokens: how many are left.
        expires_at: epoch seconds at which they are void: what a minute did not need is the others'.
        empty_until: epoch seconds before which the shared bucket has none either.
        is_refilling: the next block is on its way.
        emptied: how often a 429 has emptied it; a block that was on its way meanwhile is void.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.tokens = 0
        self.expires_at = 0.0
        self.empty_until = 0.0
        self.is_refilling = False
        self.emptied = 0


def _start_thread(task: Callable[[], None]) -> None:
    threading.Thread(target=task, name="rate-budget", daemon=True).start()


class DynamoRateBudget:
    """The rate budget of one organisation.

    Args:
        table: SyncJobsTable.
        org_id: the organisation whose calls are counted.
        limits: calls a minute by (host, pool), where they differ from the documented ones.
        clock: epoch seconds.
        sleep: waits that many seconds.
        in_background: runs a task while its caller goes on.
        on_taken: called with the host and the percent of its minute that is in use, when a block is taken.
        blocks_per_minute: into how many blocks a minute's calls are split.
    """

    def __init__(
        self,
        table: Table,
        org_id: str,
        limits: Mapping[tuple[str, str], int] = DOCUMENTED_LIMITS,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        in_background: Callable[[Callable[[], None]], None] = _start_thread,
        on_taken: Callable[[str, float], None] = lambda *_: None,
        blocks_per_minute: int = _BLOCKS_PER_MINUTE,
    ) -> None:
        self._table = table
        self._org_id = org_id
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._in_background = in_background
        self._on_taken = on_taken
        self._blocks_per_minute = blocks_per_minute
        self._blocks: dict[tuple[str, str], _Block] = {}
        self._blocks_lock = threading.Lock()

    def take(self, host: str, pool: str, timeout_s: float) -> None:
        """Wait until one call is allowed.

        Raises:
            DownstreamThrottledError: it would take longer than the timeout.
            StorageThrottledError: the bucket is too busy.
        """
        block = self._block(host, pool)
        give_up_at = self._clock() + timeout_s
        while wait_s := self._spend(block, host, pool):
            if self._clock() + wait_s > give_up_at:
                raise DownstreamThrottledError(f"The rate budget of {host} is spent.", retry_after=wait_s)
            self._sleep(wait_s)

    def throttled(self, host: str, pool: str, retry_after_s: float) -> None:
        """Hear that the host answered 429: slow down, here and in every other Lambda.

        Raises:
            StorageThrottledError: the bucket is too busy.
        """
        block = self._block(host, pool)
        with block.lock:
            block.tokens, block.empty_until = 0, 0.0
            block.emptied += 1
            self._change(host, pool, lambda bucket: halve(bucket, self._clock(), retry_after_s))

    def _spend(self, block: _Block, host: str, pool: str) -> float:
        """Spend one token and return 0, or return how many seconds to wait until there may be one."""
        with block.lock:
            now = self._clock()
            if block.tokens == 0 or now >= block.expires_at:
                if now < block.empty_until:
                    return block.empty_until - now
                block.tokens, wait_s = self._take_block(host, pool)
                if block.tokens == 0:
                    block.empty_until = self._clock() + wait_s
                    return wait_s
                block.expires_at = self._clock() + _WINDOW_S
            block.tokens -= 1
            is_low = block.tokens <= self._block_size(host, pool) // 2
            if is_low and not block.is_refilling and now >= block.empty_until:
                block.is_refilling = True
                self._in_background(partial(self._refill, block, host, pool, block.emptied))
            return 0.0

    def _refill(self, block: _Block, host: str, pool: str, emptied: int) -> None:
        """Add the next block to one that is not spent yet."""
        try:
            tokens, wait_s = self._take_block(host, pool)
        except Exception:  # noqa: BLE001 - whoever finds the block empty asks again, and hears why
            tokens, wait_s = 0, 0.0
        with block.lock:
            block.is_refilling = False
            if tokens and block.emptied == emptied:
                block.tokens += tokens
                block.expires_at = self._clock() + _WINDOW_S
            elif wait_s and not tokens:
                block.empty_until = self._clock() + wait_s

    def _take_block(self, host: str, pool: str) -> tuple[int, float]:
        """Take a block out of the shared bucket; return how many tokens that are, else how long to wait for some."""
        size = self._block_size(host, pool)
        taken, wait_s, used = 0, 0.0, 0.0

        def spend(bucket: Bucket) -> Bucket | None:
            nonlocal taken, wait_s, used
            shut_s = bucket.blocked_until - self._clock()
            taken = 0 if shut_s > 0 else min(size, int(bucket.tokens))
            # A second's worth at a time: whoever waited for each token alone would ask the table for each.
            worth_waiting_for = max(1.0, bucket.limit / _WINDOW_S)
            used = 100.0 * (1 - (bucket.tokens - taken) / bucket.limit)
            wait_s = max(shut_s, (worth_waiting_for - bucket.tokens) * _WINDOW_S / bucket.limit, 0.01)
            return replace(bucket, tokens=bucket.tokens - taken) if taken else None

        self._change(host, pool, spend)
        self._on_taken(host, used)
        return taken, wait_s

    @translated_errors()
    def _change(self, host: str, pool: str, change: Callable[[Bucket], Bucket | None]) -> None:
        """Replace the shared bucket by what becomes of it, unless another Lambda was faster: then look again."""
        key = keys.rate_budget(host, self._org_id)
        for _ in range(_CONFLICT_TRIES):
            item = self._table.get_item(Key=key, ConsistentRead=True).get("Item") or {}
            stored: dict[str, Any] | None = item.get(pool)  # type: ignore[assignment]
            now = self._clock()
            ceiling = self._ceiling(host, pool)
            bucket = refill(_bucket(stored) if stored else Bucket(ceiling, ceiling, now), now, ceiling)
            changed = change(bucket)
            if changed is None:
                return
            try:
                self._table.update_item(
                    Key=key,
                    UpdateExpression="SET #pool = :new, expires_at = :expires_at",
                    ConditionExpression="#pool = :old" if stored else "attribute_not_exists(#pool)",
                    ExpressionAttributeNames={"#pool": pool},
                    ExpressionAttributeValues={
                        ":new": _attributes(changed),
                        ":expires_at": int(now) + _ITEM_LIFETIME_S,
                        **({":old": stored} if stored else {}),
                    },
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise
            else:
                return
        raise StorageThrottledError(f"The rate budget of {host} is changed by too many at once.", retry_after=1.0)

    def _block_size(self, host: str, pool: str) -> int:
        return max(1, int(self._ceiling(host, pool) / self._blocks_per_minute))

    def _ceiling(self, host: str, pool: str) -> float:
        return float(self._limits.get((host, pool), READ_LIMIT if pool == "read" else UNDOCUMENTED_LIMIT))

    def _block(self, host: str, pool: str) -> _Block:
        with self._blocks_lock:
            return self._blocks.setdefault((host, pool), _Block())


def _bucket(stored: Mapping[str, Any]) -> Bucket:
    return Bucket(**{name: float(value) for name, value in stored.items()})


def _attributes(bucket: Bucket) -> dict[str, Decimal]:
    return {name: Decimal(f"{getattr(bucket, name):.3f}") for name in Bucket.__dataclass_fields__}
