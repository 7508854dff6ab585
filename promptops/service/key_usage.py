"""What one key uses of its limits: a call is admitted, reserves what it may cost, and settles what it did."""

import time
from calendar import monthrange
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from promptops.config.clock import utc_now, utc_text
from promptops.errors import Invalid, Unavailable
from promptops.providers.catalog import Catalog
from promptops.providers.types import ModelError
from promptops.registry import KeyLimits, RegistryDatabase, spent_by_key
from promptops.runner import PreparedRun, Run
from promptops.runner.batch.budget import Prices, sent_tokens
from promptops.runner.retry import request_for
from promptops.service.rate_limits import MinuteAllowance, UnitBuckets

_NEVER_BILLED = frozenset({"authentication", "not_found", "bad_request", "rate_limit", "connection"})
_DAY, _MONTH = 10, 7  # characters of a moment that name its day and its month


class LimitReached(Unavailable):
    """A call that a key may not make now; ``retry_after`` says when it may."""

    def __init__(self, message: str, retry_after: float, *, budget: bool = False) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.budget = budget


class SpendingWindow:
    """The money that one key has spent in the present day, or month."""

    def __init__(self, length: int, most: float) -> None:
        self.most = most
        self._length = length
        self._period = ""
        self._spent = 0.0

    def period(self, now: str) -> str:
        return now[: self._length]

    def take_in(self, spent: Mapping[str, float]) -> None:
        """What was read of a period: other processes spend as well."""
        for period in spent.keys() & {self._period}:
            self._spent = max(self._spent, spent[period])
        for period in spent:
            if len(period) == self._length and period > self._period:
                self._period, self._spent = period, spent[period]

    def left(self, now: str, reserved: float) -> float:
        self._turn(now)
        return self.most - self._spent - reserved

    def add(self, usd: float, now: str) -> None:
        self._turn(now)
        self._spent += usd

    def _turn(self, now: str) -> None:
        if self.period(now) > self._period:
            self._period, self._spent = self.period(now), 0.0

    def seconds_left(self, now: float) -> float:
        """Until the day or the month ends."""
        day = 86_400 - now % 86_400
        if self._length == _DAY:
            return day
        moment = time.gmtime(now)
        return day + 86_400 * (monthrange(moment.tm_year, moment.tm_mon)[1] - moment.tm_mday)


class KeyUsage:
    """Of one key in one process, on one thread."""

    def __init__(self, limits: KeyLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self.running = 0
        self.reserved_usd = 0.0
        self._requests = _bucket(limits.requests_per_minute, clock)
        self.tokens = _bucket(limits.tokens_per_minute, clock)
        per_unit = limits.unit_requests_per_minute
        self._units = None if per_unit is None else UnitBuckets(per_unit, clock)
        self.windows = [
            SpendingWindow(length, most)
            for length, most in ((_DAY, limits.usd_per_day), (_MONTH, limits.usd_per_month))
            if most is not None
        ]

    def read_spending(self, registry: RegistryDatabase, key_id: str, now: str) -> dict[str, float]:
        """What the key has spent by now, by the periods that it has a limit for."""
        periods = (window.period(now) for window in self.windows)
        return {period: spent_by_key(registry, key_id, period) for period in periods}

    def take_in(self, spent: Mapping[str, float]) -> None:
        for window in self.windows:
            window.take_in(spent)

    def admit(self, unit: str | None) -> "Admission":
        """Raises LimitReached where a rate or the number of calls at once says no."""
        most = self.limits.concurrency
        if most is not None and self.running >= most:
            raise LimitReached(f"{most} calls of this key are under way, and no more are allowed", 1.0)
        buckets = [(self._requests, "requests of this key")]
        if self._units is not None and unit is not None:
            buckets.append((self._units.of(unit), "requests of this unit"))
        for bucket, what in buckets:
            if bucket is not None and (wait := bucket.wait_for(1)) > 0:
                raise LimitReached(f"too many {what} a minute", wait)
        for bucket, _ in buckets:
            if bucket is not None:
                bucket.take(1)
        return Admission(self)


class Admission:
    """One admitted call. As a context it ends with the call, whatever came of it."""

    def __init__(self, usage: KeyUsage) -> None:
        self._usage = usage
        self._usd = 0.0
        self._tokens = 0
        self._run: Run | None = None

    def __enter__(self) -> Self:
        self._usage.running += 1
        return self

    def reserve(self, call: PreparedRun, catalog: Catalog) -> None:
        """Put aside what the call may cost at most. Raises LimitReached where that is not left."""
        usage, prompt = self._usage, call.version.prompt
        requests = [
            call.origin.caller_tools.added_to(request_for(prompt, pin, call.rendered.messages))
            for pin in (prompt.model, *prompt.fallback)
        ]
        if usage.tokens:
            self._tokens = sent_tokens(requests[0]) + int(prompt.parameters.get("max_tokens") or 0)
            if (wait := usage.tokens.wait_for(self._tokens)) > 0:
                self._tokens = 0
                raise LimitReached("too many tokens of this key a minute", wait)
            usage.tokens.take(self._tokens)
        if usage.windows:
            self._reserve_usd(call, max(map(_prices(call, catalog).at_most, requests)))

    def _reserve_usd(self, call: PreparedRun, at_most: float) -> None:
        output, now = call.version.prompt.output, time.time()
        usd = at_most * (1 + (output.repair if output else 0))
        for window in self._usage.windows:
            left = window.left(utc_text(now), self._usage.reserved_usd)
            if usd > left:
                raise LimitReached(
                    f"this call may cost ${usd:.6f}, and of ${window.most:g} ${max(left, 0):.6f} is left",
                    window.seconds_left(now),
                    budget=True,
                )
        self._usd = usd
        self._usage.reserved_usd += usd

    def settle(self, run: Run) -> None:
        self._run = run

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        usage, run = self._usage, self._run
        usage.running -= 1
        usage.reserved_usd = usage.reserved_usd - self._usd if usage.running else 0.0
        free = isinstance(error, ModelError) and error.type in _NEVER_BILLED
        spent = 0.0 if free else self._usd
        if run and run.finished.spent_usd is not None:
            spent = run.finished.spent_usd
        for window in usage.windows:
            window.add(spent, utc_now())
        if usage.tokens and run and run.input_tokens is not None:
            usage.tokens.take(run.input_tokens + (run.output_tokens or 0) - self._tokens)


def _bucket(per_minute: int | None, clock: Callable[[], float]) -> MinuteAllowance | None:
    return None if per_minute is None else MinuteAllowance(per_minute, clock)


def _prices(call: PreparedRun, catalog: Catalog) -> Prices:
    prices = Prices(catalog)
    try:
        prices.check(call.version.prompt)
    except Invalid as error:
        reason = error.message.partition(", so that")[0]
        raise Invalid(f"{reason}, so that the budget of this key cannot be kept", hint=error.hint) from None
    return prices
