"""How fast a provider is asked: as many at once as it bears, no more a minute than it allows.

The number of calls in flight falls when the provider says that it is too much (429), and grows by one for
each round of calls that go well. What one call is told to wait for holds all of them up.
"""

import asyncio
import math
import time
from collections import deque

from promptops.dataclass import dataclass
from promptops.providers.types import Completion, CompletionRequest, ModelError
from promptops.runner.batch.budget import Budget, sent_tokens
from promptops.runner.retry import MAX_RETRY_AFTER

_DECREASE_FACTOR = 0.6  # of the calls in flight stay after a 429
_BURST_S = 1.0  # seconds of allowance that may be used at once


@dataclass(frozen=True, slots=True)
class Permit:
    request: CompletionRequest
    begun: float
    slots: "ConcurrencyLimit"
    reserved: float = 0.0
    tokens: int = 0


class ConcurrencyLimit:
    """The calls in flight, and how many there may be."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.limit = float(most)
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._not_before = 0.0
        self._decreased_at = 0.0

    async def acquire(self) -> None:
        while True:
            pause = self._not_before - time.monotonic()
            if pause > 0:
                await asyncio.sleep(pause)
            elif self._in_flight >= int(self.limit):
                place = asyncio.get_running_loop().create_future()
                self._waiting.append(place)
                await place
            else:
                self._in_flight += 1
                return

    def release(self, begun: float, ended: Completion | ModelError | None) -> None:
        self._in_flight -= 1
        if isinstance(ended, Completion):
            self.limit = min(self.most, self.limit + 1 / self.limit)
        elif ended is not None and ended.type == "rate_limit":
            self._slow_down(begun, ended.retry_after)
        self._wake()

    def _slow_down(self, begun: float, retry_after: float | None) -> None:
        now = time.monotonic()
        if begun > self._decreased_at:  # one wave of refusals is one piece of news
            self.limit = max(1.0, self.limit * _DECREASE_FACTOR)
            self._decreased_at = now
        if retry_after is not None and retry_after <= MAX_RETRY_AFTER:
            self._not_before = max(self._not_before, now + retry_after)

    def _wake(self) -> None:
        free = int(self.limit) - self._in_flight
        while self._waiting and free > 0:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1


class TokenBucket:
    """So much a minute, evenly; what has been taken too much is waited for by the next."""

    def __init__(self, per_minute: float) -> None:
        self._rate = per_minute / 60
        self._capacity = max(1.0, self._rate * _BURST_S)
        self._level = self._capacity
        self._filled = time.monotonic()
        self._turn = asyncio.Lock()

    async def take(self, amount: float) -> None:
        async with self._turn:
            short = min(amount, self._capacity) - self._fill()
            if short > 0:
                await asyncio.sleep(short / self._rate)
                self._fill()
            self._level -= amount

    def refund(self, amount: float) -> None:
        """Correct an estimate; what was used beyond it is a negative amount."""
        self._level += amount

    def _fill(self) -> float:
        now = time.monotonic()
        self._level = min(self._capacity, self._level + (now - self._filled) * self._rate)
        self._filled = now
        return self._level


class AdaptiveLimiter:
    """The limiter of a batch's calls: limits by the minute, the budget, then a slot."""

    def __init__(
        self,
        most: int,
        *,
        rpm: float | None = None,
        tpm: float | None = None,
        budget: Budget | None = None,
        embedded: int = 1,
    ) -> None:
        """``embedded``: in how many processes the embedded model runs."""
        self.slots = ConcurrencyLimit(most)
        # Waiting for the one model of a process is nobody's latency.
        self._local_limit = ConcurrencyLimit(min(most, embedded))
        self.budget = budget
        self.wait_on_rate_limit = True  # else a 429 is an answer, and not asked again
        self._calls = TokenBucket(rpm) if rpm else None
        self._tokens = TokenBucket(tpm) if tpm else None

    async def acquire(self, request: CompletionRequest) -> Permit:
        tokens = 0
        if self._calls:
            await self._calls.take(1)
        if self._tokens:
            tokens = sent_tokens(request) + int(request.parameters.get("max_tokens", 0))
            await self._tokens.take(tokens)
        reserved = await self.budget.reserve(request) if self.budget else 0.0
        slots = self._local_limit if request.model.startswith("local/") else self.slots
        try:
            await slots.acquire()
        except BaseException:
            if self.budget:
                self.budget.settle(request, reserved, ModelError("interrupted", "never sent"))
            raise
        return Permit(request, time.monotonic(), slots, reserved, tokens)

    def release(self, permit: Permit, ended: Completion | ModelError | None) -> None:
        if not self.wait_on_rate_limit and isinstance(ended, ModelError) and ended.type == "rate_limit":
            ended.retry_after = math.inf  # which no retry waits for
        permit.slots.release(permit.begun, ended)
        if self.budget:
            self.budget.settle(permit.request, permit.reserved, ended)
        if self._tokens and isinstance(ended, Completion) and ended.input_tokens is not None:
            self._tokens.refund(permit.tokens - ended.input_tokens - (ended.output_tokens or 0))
