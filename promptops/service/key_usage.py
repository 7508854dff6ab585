"""What one key uses of its limits: a call is admitted, reserves what it may cost, and settles what it did."""

import time
from calendar import monthrange
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from types import TracebackType
from typing import Self

from promptops.config.clock import utc_moment, utc_now, utc_text
from promptops.errors import Invalid, Unavailable
from promptops.log import PackageLogger
from promptops.providers.catalog import Catalog
from promptops.providers.types import ModelError
from promptops.registry import ApiKey, KeyLimits, RegistryDatabase, spent_by_key
from promptops.runner import PreparedRun, Run
from promptops.runner.batch.budget import Prices, answer_bound, sent_tokens
from promptops.runner.retry import request_for
from promptops.service.rate_limits import MinuteAllowance
from promptops.service.usage_store import OF_UNITS, UsageStore

_LOG = PackageLogger("promptops.service")
_HOUR = 3_600.0  # seconds
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

    def __init__(self, length: int, most: float, store: UsageStore, name: str) -> None:
        self.most = most
        self.length = length
        self._store = store
        self._name = name

    def take_in(self, spent: Mapping[str, float]) -> None:
        """What was read of a period from the registry: other servers spend as well."""
        for period, usd in spent.items():
            if len(period) == self.length:
                self._store.write(self._name, *self._later(usd, _number(period)))

    def left(self, now: str, reserved: float) -> float:
        return self.most - self._spent(_number(now[: self.length])) - reserved

    def add(self, usd: float, now: str) -> None:
        period = _number(now[: self.length])
        self._store.write(self._name, *self._later(self._spent(period) + usd, period))

    def _spent(self, period: float) -> float:
        known, of = self._store.read(self._name) or (0.0, 0.0)
        return known if of >= period else 0.0

    def _later(self, usd: float, period: float) -> tuple[float, float]:
        """The amount, or what is known already of that period or a later one."""
        known, of = self._store.read(self._name) or (0.0, 0.0)
        return (max(known, usd), period) if of == period else (usd, period) if of < period else (known, of)

    def seconds_left(self, now: float) -> float:
        """Until the day or the month ends."""
        day = 86_400 - now % 86_400
        if self.length == _DAY:
            return day
        moment = time.gmtime(now)
        return day + 86_400 * (monthrange(moment.tm_year, moment.tm_mon)[1] - moment.tm_mday)


class KeyUsage:
    """Of one key, in the processes that share a store."""

    def __init__(self, limits: KeyLimits, store: UsageStore, key_id: str = "") -> None:
        self.limits = limits
        self.store = store
        self.key_id = key_id
        self.reserved, self._running = f"reserved/{key_id}", f"running/{key_id}"
        self._unit = f"{OF_UNITS}{key_id}/"
        rates = limits.requests_per_minute, limits.tokens_per_minute
        self._requests, self.tokens = (
            None if most is None else MinuteAllowance(most, store, f"{kind}/{key_id}")
            for kind, most in zip(("requests", "tokens"), rates, strict=True)
        )
        self.windows = [
            SpendingWindow(length, most, store, f"spent/{length}/{key_id}")
            for length, most in _budgets(limits)
        ]
        self.free = limits == replace(
            KeyLimits(),
            allow=limits.allow,
            models=limits.models,
            revisions=limits.revisions,
            metrics=limits.metrics,
        )

    def take_in(self, spent: Mapping[str, float]) -> None:
        with self.store.locked():
            for window in self.windows:
                window.take_in(spent)

    def admit(self, unit: str | None) -> "Admission":
        """Raises LimitReached where a rate or the number of calls at once says no."""
        if not self.free:
            with self.store.locked():
                self._admit(unit)
        return Admission(self, unit)

    def _admit(self, unit: str | None) -> None:
        most, per_unit = self.limits.concurrency, self.limits.unit_requests_per_minute
        if most is not None and self.store.total(self._running) >= most:
            raise LimitReached(f"{most} calls of this key are under way, and no more are allowed", 1.0)
        self._check_blocked(unit)
        buckets = [(self._requests, "requests of this key")]
        if per_unit is not None and unit is not None:
            name = self._unit + _short_hash(unit)
            buckets.append((MinuteAllowance(per_unit, self.store, name), "requests of this unit"))
        for bucket, what in buckets:
            if bucket is not None and (wait := bucket.wait_for(1)) > 0:
                raise LimitReached(f"too many {what} a minute", wait)
        for bucket, _ in buckets:
            if bucket is not None:
                bucket.take(1)
        if most is not None:
            self.store.add(self._running, 1)

    def take_blocked(self, unit: str | None) -> None:
        """Count an input that is to be blocked. Raises LimitReached where others came before it meanwhile."""
        with self.store.locked():
            self._check_blocked(unit)
            self.note_blocked(unit)

    def _check_blocked(self, unit: str | None) -> None:
        blocked = self._blocked_inputs(unit)
        if blocked is not None and (wait := blocked.wait_for(1)) > 0:
            raise LimitReached(
                f"guards have blocked {self.limits.unit_blocked_per_hour} inputs of this unit within an hour",
                wait,
            )

    def _blocked_inputs(self, unit: str | None) -> MinuteAllowance | None:
        most = self.limits.unit_blocked_per_hour
        if most is None or unit is None:
            return None
        return MinuteAllowance(most, self.store, f"{self._unit}blocked/{_short_hash(unit)}", seconds=_HOUR)

    def note_blocked(self, unit: str | None) -> None:
        """Count an input that a guard has blocked; say so where it was the last that the unit may have."""
        blocked = self._blocked_inputs(unit)
        if blocked is None:
            return
        blocked.take(1)
        if (wait := blocked.wait_for(1)) > 0:
            _LOG.warning(
                f"a unit of key {self.key_id} has had {self.limits.unit_blocked_per_hour} inputs blocked: "
                f"its calls are refused for {wait / 60:.0f} minutes"
            )

    def ended(self) -> None:
        if self.limits.concurrency is not None:
            self.store.add(self._running, -1)


class Admission:
    """One admitted call. As a context it ends with the call, whatever came of it."""

    def __init__(self, usage: KeyUsage, unit: str | None = None) -> None:
        self._usage = usage
        self._unit = unit
        self._usd = 0.0
        self._tokens = 0
        self._blocked = False  # whether its input was counted as a blocked one
        self._run: Run | None = None

    def __enter__(self) -> Self:
        return self

    def reserve(self, call: PreparedRun, catalog: Catalog) -> None:
        """Put aside what the call may cost at most. Raises LimitReached where that is not left."""
        usage, prompt = self._usage, call.version.prompt
        if call.guarding and call.guarding.blocked:
            usage.take_blocked(self._unit)
            self._blocked = True
        if not (usage.tokens or usage.windows):
            return
        requests = [
            call.origin.caller_tools.added_to(request_for(prompt, pin, call.rendered.messages))
            for pin in (prompt.model, *prompt.fallback)
        ]
        usd = max(map(_prices(call, catalog).at_most, requests)) if usage.windows else 0.0
        judges = _judges_at_most(call, catalog) if usage.windows else 0.0
        tokens = (
            sent_tokens(requests[0]) + (answer_bound(call.started.parameters) or 0) if usage.tokens else 0
        )
        with usage.store.locked():
            if usage.tokens and (wait := usage.tokens.wait_for(tokens)) > 0:
                raise LimitReached("too many tokens of this key a minute", wait)
            again = sum(guard.retries for guard in prompt.guards)
            self._reserve_usd(usd * (1 + (prompt.output.repair if prompt.output else 0) + again) + judges)
            if usage.tokens:
                usage.tokens.take(tokens)
                self._tokens = tokens

    def _reserve_usd(self, usd: float) -> None:
        usage, now = self._usage, utc_moment()
        for window in usage.windows:
            left = window.left(utc_text(now), usage.store.total(usage.reserved))
            if usd > left:
                raise LimitReached(
                    f"this call may cost ${usd:.6f}, and of ${window.most:g} ${max(left, 0):.6f} is left",
                    window.seconds_left(now),
                    budget=True,
                )
        if usage.windows:
            self._usd = usd
            usage.store.add(usage.reserved, usd)

    def settle(self, run: Run) -> None:
        self._run = run

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        usage, run = self._usage, self._run
        if usage.free:
            return
        uncharged = isinstance(error, ModelError) and _is_unbilled(error)
        spent = 0.0 if uncharged else self._usd
        if run and run.finished.spent_usd is not None:
            spent = run.finished.spent_usd + sum(each.usd or 0.0 for each in run.guards)
        now = utc_now()

        def settle() -> None:
            usage.ended()
            if run and run.finished.error_type == "input_blocked" and not self._blocked:
                usage.note_blocked(self._unit)
            if self._usd:
                usage.store.add(usage.reserved, -self._usd)
            for window in usage.windows:
                window.add(spent, now)
            if usage.tokens and run and run.input_tokens is not None:
                usage.tokens.take(run.input_tokens + (run.output_tokens or 0) - self._tokens)

        usage.store.apply(settle)


def read_spending(registry: RegistryDatabase, key: ApiKey, now: str) -> dict[str, float]:
    """What a key has spent by now, by the periods that it has a limit for."""
    periods = (now[:length] for length, _ in _budgets(key.limits))
    return {period: spent_by_key(registry, key.key_id, period) for period in periods}


def _budgets(limits: KeyLimits) -> list[tuple[int, float]]:
    """The characters of a moment that name the period, and what may be spent in it."""
    known = ((_DAY, limits.usd_per_day), (_MONTH, limits.usd_per_month))
    return [(length, most) for length, most in known if most is not None]


def _is_unbilled(error: ModelError) -> bool:
    """A context window may also fill up in the middle of an answer, which is then paid for."""
    return error.type in _NEVER_BILLED or (error.type == "context_exceeded" and error.completion is None)


def _short_hash(unit: str) -> str:
    return sha256(unit.encode()).hexdigest()[:32]


def _number(period: str) -> float:
    """A day or a month as a number that grows with time."""
    return float(period.replace("-", ""))


def _prices(call: PreparedRun, catalog: Catalog) -> Prices:
    prices = Prices(catalog)
    with _said_of_the_key():
        prices.check(replace(call.version.prompt, parameters=call.started.parameters))
    return prices


def _judges_at_most(call: PreparedRun, catalog: Catalog) -> float:
    """What judges among the guards may cost, which the key pays too."""
    if call.guarding is None or call.guarding.grader is None:
        return 0.0
    from promptops.service.guard_costs import judges_at_most

    with _said_of_the_key():
        return judges_at_most(call, catalog)


@contextmanager
def _said_of_the_key() -> Iterator[None]:
    """What has no price, as whoever calls with a key understands it."""
    try:
        yield
    except Invalid as error:
        reason = error.message.partition(", so that")[0]
        raise Invalid(f"{reason}, so that the budget of this key cannot be kept", hint=error.hint) from None
