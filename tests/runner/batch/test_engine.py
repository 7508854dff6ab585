"""The parts of the engine: order and memory, pace, budget."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from promptops.config.settings import current_settings
from promptops.errors import Invalid, OverBudget, Unavailable
from promptops.prompt import with_overrides
from promptops.prompt.render import render_prompt
from promptops.providers.catalog import Catalog
from promptops.providers.types import Completion, CompletionRequest, ModelError
from promptops.registry import FinishedRun, RegistryDatabase, StartedRun, new_run_id
from promptops.registry.group_writer import GroupWriter, PendingRow, RowGroups
from promptops.runner import RunContext
from promptops.runner.batch import BatchEngine, BatchItem, BatchOptions, CostEstimator
from promptops.runner.batch.budget import Budget, Prices, sent_tokens
from promptops.runner.batch.ordered_map import OrderedMap
from promptops.runner.batch.rate_limiter import AdaptiveLimiter, ConcurrencyLimit, TokenBucket
from promptops.versions.resolve import resolve_version
from support.batch_files import greetings, outputs, rows, write_lines
from support.front_door import GREET, Cli, Repo
from support.provider import Provider, echo, slow, status, text

PIN = "openai/gpt-4o-mini-2024-07-18"
ASK = CompletionRequest(
    model=PIN, messages=({"role": "user", "content": "x" * 400},), parameters={"max_tokens": 100}
)
MOST = 104 * 0.15e-6 + 100 * 0.6e-6
REFUSED = ModelError("rate_limit", "slow down", retry_after=0.05)
ANSWER = Completion(text="ok", response_model="m", input_tokens=100, output_tokens=10)


async def collect(results: AsyncIterator[Any]) -> list[Any]:
    return [result async for result in results]


class TestInOrder:
    def test_results_come_in_order_and_no_more_than_the_window_waits(self) -> None:
        taken = handed_on = furthest = 0

        def items() -> Any:
            nonlocal taken
            for number in range(200):
                taken += 1
                yield number

        async def work(number: int) -> int:
            await asyncio.sleep(0.05 if number == 3 else 0)
            return number

        async def consume() -> list[int]:
            nonlocal handed_on, furthest
            found = []
            async for result in OrderedMap(items(), work, width=4, window=16).results():
                handed_on += 1
                furthest = max(furthest, taken - handed_on)
                found.append(result)
            return found

        assert asyncio.run(consume()) == list(range(200))
        assert furthest <= 16

    def test_an_error_lets_the_rest_finish_and_is_raised_at_the_end(self) -> None:
        async def work(number: int) -> int:
            await asyncio.sleep(0.01 if number == 5 else 0.03)
            if number == 5:
                raise Unavailable("no")
            return number

        async def consume() -> list[int]:
            found: list[int] = []

            async def fill() -> None:
                async for result in OrderedMap(range(100), work, width=8, window=32).results():
                    found.append(result)  # noqa: PERF401 - kept though it raises

            with pytest.raises(Unavailable):
                await fill()
            return found

        assert asyncio.run(consume()) == [0, 1, 2, 3, 4, 6, 7]

    def test_items_that_cannot_be_read_end_it(self) -> None:
        def items() -> Any:
            yield 1
            raise Invalid("line 2")

        async def work(number: int) -> int:
            return number

        with pytest.raises(Invalid, match="line 2"):
            asyncio.run(collect(OrderedMap(items(), work, width=3, window=3).results()))

    def test_leaving_early_cancels_what_is_under_way(self) -> None:
        ended: list[int] = []

        async def work(number: int) -> int:
            try:
                await asyncio.sleep(0 if number == 0 else 30)
            finally:
                ended.append(number)
            return number

        async def first() -> int:
            async with aclosing(OrderedMap(range(10), work, width=3, window=3).results()) as results:
                async for result in results:
                    return result
            raise AssertionError

        assert asyncio.run(first()) == 0
        assert sorted(ended) == [0, 1, 2] or sorted(ended) == [0, 1, 2, 3]


class TestSlots:
    def test_a_refusal_lowers_the_limit_once_a_wave_and_holds_all_up(self) -> None:
        async def go() -> None:
            slots = ConcurrencyLimit(10)
            for _ in range(10):
                await slots.acquire()
            begun = time.monotonic()
            for _ in range(5):
                slots.release(begun, REFUSED)
            assert slots.limit == 6
            for _ in range(5):
                slots.release(begun, ANSWER)
            assert 6 < slots.limit < 7
            clock = time.monotonic()
            await slots.acquire()
            assert time.monotonic() - clock > 0.02

        asyncio.run(go())

    def test_the_limit_grows_back_and_never_beyond(self) -> None:
        slots = ConcurrencyLimit(4)
        slots.limit = 1.0
        for _ in range(100):
            slots.release(0.0, ANSWER)
        assert slots.limit == 4

    def test_those_who_wait_come_in_one_by_one(self) -> None:
        async def go() -> None:
            slots, order = ConcurrencyLimit(1), []

            async def call(number: int) -> None:
                await slots.acquire()
                order.append(number)
                await asyncio.sleep(0)
                slots.release(time.monotonic(), ANSWER)

            waits = [asyncio.create_task(call(number)) for number in range(4)]
            await asyncio.sleep(0)
            waits[2].cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            assert order == [0, 1, 3]

        asyncio.run(go())


def test_one_call_at_a_time_of_an_embedded_model() -> None:
    async def go() -> int:
        pacing, local = (
            AdaptiveLimiter(8),
            CompletionRequest(model="local/smollm2-135m-instruct", messages=()),
        )
        first = await pacing.acquire(local)
        await pacing.acquire(ASK)
        second = asyncio.create_task(pacing.acquire(local))
        await asyncio.sleep(0.01)
        assert not second.done()
        pacing.release(first, ANSWER)
        return (await second).tokens

    assert asyncio.run(go()) == 0


def test_a_bucket_gives_so_much_a_minute() -> None:
    async def go() -> float:
        bucket = TokenBucket(6000)
        clock = time.monotonic()
        for _ in range(12):
            await bucket.take(10)
        bucket.refund(5)
        await bucket.take(5)
        return time.monotonic() - clock

    assert 0.15 < asyncio.run(go()) < 10


class TestBudget:
    def budget(self, most: float, **more: Any) -> Budget:
        return Budget(most, Prices(Catalog.load(), **more))

    def test_calls_wait_for_what_others_give_back(self) -> None:
        async def go() -> float:
            budget = self.budget(MOST * 2)
            pacing = AdaptiveLimiter(4, budget=budget, tpm=1e9)

            async def call() -> None:
                ticket = await pacing.acquire(ASK)
                await asyncio.sleep(0.01)
                pacing.release(ticket, ANSWER)

            await asyncio.gather(call(), call(), call())
            with pytest.raises(OverBudget, match="is left"):
                await budget.reserve(
                    CompletionRequest(model=PIN, messages=(), parameters={"max_tokens": 10**6})
                )
            return budget.spent

        assert asyncio.run(go()) == pytest.approx(3 * (100 * 0.15e-6 + 10 * 0.6e-6))

    @pytest.mark.parametrize(
        ("ended", "counted"),
        [(REFUSED, 0.0), (ModelError("timeout", "late"), MOST), (None, MOST), (ANSWER, 21e-6)],
    )
    def test_what_a_call_counts(self, ended: Any, counted: float) -> None:
        prices = Prices(Catalog.load())
        assert prices.of(ASK, ended, prices.at_most(ASK)) == pytest.approx(counted)

    def test_an_assumed_cost_stands_in_for_what_is_unknown(self) -> None:
        prices = Prices(Catalog.load(), assumed=0.5)
        unknown = CompletionRequest(model="openai/nobody-knows", messages=())
        endless = CompletionRequest(model=PIN, messages=())
        assert (prices.at_most(unknown), prices.at_most(endless)) == (0.5, 0.5)
        assert prices.of(unknown, ANSWER, 0.5) == 0.5
        assert prices.at_most(ASK) == pytest.approx(MOST)

    def test_tools_and_schemas_are_sent_too(self) -> None:
        bare = CompletionRequest(model=PIN, messages=())
        more = CompletionRequest(
            model=PIN, messages=(), tools=({"type": "function", "function": {"name": "x" * 400}},)
        )
        assert sent_tokens(more) > sent_tokens(bare) + 100

    def test_a_call_that_is_cancelled_while_it_waits_gives_back(self) -> None:
        async def go() -> float:
            budget = self.budget(1.0)
            pacing = AdaptiveLimiter(1, budget=budget)
            await pacing.acquire(ASK)
            waiting = asyncio.create_task(pacing.acquire(ASK))
            await asyncio.sleep(0.01)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            return budget.spent

        assert asyncio.run(go()) == 0.0


class TestMaxCost:
    def test_nothing_is_called_when_it_may_cost_more(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        write_lines(greeting, 100)
        done = cli("batch", "greet", "in.jsonl", "--max-cost", "0.001")
        assert done.code == 6
        assert "100 calls may cost $0.00" in done.err
        assert "nothing was called" in done.err
        assert not provider.requests

    def test_it_holds_during_the_batch_and_a_higher_one_goes_on(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        usage = {"prompt_tokens": 1000, "completion_tokens": 64}
        provider.script = text("hello", usage=usage)  # far more than the messages look like
        write_lines(greeting, 100)
        done = cli("batch", "greet", "in.jsonl", "--max-cost", "0.005", "--out", "out.jsonl", "-j", "2")
        assert done.code == 6, done.err
        assert 20 < len(provider.requests) < 35
        assert sum(row["spent_usd"] for row in rows(greeting)) <= 0.005
        assert "goes on from here" in done.err
        done = cli("batch", "greet", "in.jsonl", "--max-cost", "1", "--out", "out.jsonl")
        assert done.code == 0, done.err
        assert len(provider.requests) == 100

    def test_what_the_batch_spent_before_counts(self, cli: Cli, greeting: Repo, provider: Provider) -> None:
        usage = {"prompt_tokens": 1000, "completion_tokens": 64}
        provider.script = text("hello", usage=usage)
        write_lines(greeting, 100)
        assert cli("batch", "greet", "in.jsonl", "--max-cost", "0.005", "-j", "2").code == 6
        provider.requests.clear()
        done = cli("batch", "greet", "in.jsonl", "--max-cost", "0.005")
        assert (done.code, "spent before" in done.err) == (6, True)
        assert not provider.requests

    def test_what_is_in_the_cache_costs_nothing(self, cli: Cli, greeting: Repo, provider: Provider) -> None:
        write_lines(greeting, 10)
        assert cli("batch", "greet", "in.jsonl").code == 0
        done = cli("batch", "greet", "in.jsonl", "--max-cost", "0")
        assert done.code == 0, done.err
        assert len(provider.requests) == 10

    def test_an_unknown_price_is_an_error_unless_one_is_assumed(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        write_lines(greeting, 2)
        command = ("batch", "greet", "in.jsonl", "--model", "openai/nobody-knows", "--max-cost", "1")
        done = cli(*command)
        assert (done.code, "the price of openai/nobody-knows is unknown" in done.err) == (4, True)
        assert not provider.requests
        assert cli(*command, "--assume-cost", "0.6").code == 6
        done = cli(*command, "--assume-cost", "0.1")
        assert (done.code, "2 of unknown cost" in done.err) == (0, True)

    def test_an_answer_of_any_length_cannot_be_priced(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        greeting.write(
            "promptops.yaml",
            "models: {openai/m: {input_cost_per_token: 1.0e-6, output_cost_per_token: 1.0e-6}}\n",
        )
        greeting.write("prompts/greet.yaml", GREET.replace(PIN, "openai/m").replace(", max_tokens: 64", ""))
        write_lines(greeting, 2)
        done = cli("batch", "greet", "in.jsonl", "--max-cost", "1")
        assert (done.code, "how long an answer" in done.err) == (4, True)

    def test_a_repair_that_cannot_be_paid_is_left_out(
        self, cli: Cli, greeting: Repo, provider: Provider
    ) -> None:
        schema = "output: {schema: {type: object}, repair: 1}\n"
        greeting.write("prompts/greet.yaml", GREET + schema)
        provider.script = text("no JSON", usage={"prompt_tokens": 10, "completion_tokens": 64})
        write_lines(greeting, 1)
        done = cli("batch", "greet", "in.jsonl", "--max-cost", "0.00006")
        assert (len(provider.requests), done.code) == (1, 1), done.err
        (row,) = rows(greeting)
        assert row["error_type"] == "invalid_output"


class TestEngine:
    def test_runs_of_several_versions_and_trials(self, greeting: Repo, provider: Provider) -> None:
        settings, version = current_settings(), resolve_version("greet", current_settings())
        items = [
            BatchItem(
                version=version,
                inputs={"name": f"person {number}"},
                origin=RunContext(kind="eval", case_id=str(number), trial=trial),
            )
            for number in (1, 2)
            for trial in (0, 1)
        ]

        async def go() -> list[str | None]:
            async with BatchEngine(settings, BatchOptions()) as engine:
                return [run.finished.output async for run in engine.runs(items)]

        assert asyncio.run(go()) == [one for one in greetings(2) for _ in range(2)]
        assert len(provider.requests) == 4
        assert asyncio.run(go())
        assert len(provider.requests) == 4  # each trial has a reply of its own
        assert sorted(row["trial"] for row in rows(greeting)) == [0] * 4 + [1] * 4

    def test_waiting_for_a_slot_is_no_latency(self, greeting: Repo, provider: Provider) -> None:
        provider.script = lambda request: slow(0.05, echo(request))
        settings, version = current_settings(), resolve_version("greet", current_settings())

        async def go() -> list[float | None]:
            async with BatchEngine(settings, BatchOptions(concurrency=8)) as engine:
                engine._limiter.slots.limit = 1.0  # noqa: SLF001 - as after many refusals
                engine._limiter.slots.most = 1  # noqa: SLF001 - nothing public shows it
                items = [BatchItem(version=version, inputs={"name": str(number)}) for number in range(8)]
                return [run.finished.latency_ms async for run in engine.runs(items)]

        assert max(each for each in asyncio.run(go()) if each) < 200

    def test_an_estimate(self, greeting: Repo, provider: Provider) -> None:
        settings, prompt = current_settings(), resolve_version("greet", current_settings()).prompt
        with CostEstimator(settings, BatchOptions()) as estimate:
            estimate.check(prompt)
            cost = estimate.of(prompt, render_prompt(prompt, {"name": "Ada"}))
        assert 64 * 0.6e-6 < cost < 64 * 0.6e-6 + 40 * 0.15e-6

    def test_a_pin_to_fall_back_to_must_have_a_price_too(self, greeting: Repo) -> None:
        prompt = with_overrides(
            resolve_version("greet", current_settings()).prompt, model="openai/unknown", settings={}
        )
        with (
            CostEstimator(current_settings(), BatchOptions()) as estimate,
            pytest.raises(Invalid, match="unknown"),
        ):
            estimate.check(prompt)


class TestWriter:
    def row(self) -> tuple[StartedRun, FinishedRun]:
        when = "2026-11-02T09:14:00.000Z"
        run = StartedRun(
            run_id=new_run_id(),
            started_at=when,
            reference="greet",
            prompt="greet",
            digest="a" * 64,
            request_model=PIN,
            messages_hash="b" * 64,
        )
        return run, FinishedRun(finished_at=when, state="finished")

    def test_many_rows_are_acknowledged_when_others_can_see_them(self, tmp_path: Path) -> None:
        async def go() -> None:
            with (
                RegistryDatabase.open(tmp_path / "r.db") as registry,
                RegistryDatabase.open(tmp_path / "r.db") as other,
            ):
                writer = GroupWriter(RowGroups(registry).write, asyncio.get_running_loop())
                for size in (1, 600, 2):
                    before = other.read_one("SELECT count(*) FROM runs")
                    await asyncio.gather(*(writer.put(PendingRow(*self.row())) for _ in range(size)))
                    assert other.read_one("SELECT count(*) FROM runs") == before + size
                await asyncio.to_thread(writer.close)

        asyncio.run(go())

    def test_a_bug_comes_out_where_the_row_is_waited_for(self, tmp_path: Path) -> None:
        async def go() -> None:
            with RegistryDatabase.open(tmp_path / "r.db") as registry:
                writer = GroupWriter(RowGroups(registry).write, asyncio.get_running_loop())
                row = PendingRow(*self.row())
                await writer.put(row)
                with pytest.raises(Exception, match="UNIQUE"):
                    await writer.put(row)
                writer.put(PendingRow(*self.row())).cancel()
                await asyncio.to_thread(writer.close)

        asyncio.run(go())


def test_the_wire_is_asked_once_for_each_line_whatever_the_pace(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    provider.script = [status(429, retry_after=0), text("a")]
    write_lines(greeting, 6)
    done = cli("batch", "greet", "in.jsonl", "--tpm", "1000000", "--max-cost", "1", "-j", "3")
    assert done.code == 0, done.err
    assert outputs(done.out) == ["a"] * 6
    assert len(provider.requests) == 7
    assert json.loads(done.out.splitlines()[0])["cost_usd"] > 0
