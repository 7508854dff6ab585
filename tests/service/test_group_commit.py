"""Many runs in one transaction: what is on disk when, and whose fault costs whom."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from promptops import Workspace
from promptops.config.clock import utc_now
from promptops.config.settings import find_settings
from promptops.registry import FinishedRun, StartedRun
from promptops.service.grouped_journal import GroupedJournal
from promptops.versions.resolve import resolve_version
from support.forked_commands import ForkedPopen
from support.front_door import Repo
from support.provider import Answer, Provider, Received, echo
from support.workspace_clients import rows, states


def started_run(number: int) -> StartedRun:
    return StartedRun(
        run_id=f"{number:026d}",
        started_at=utc_now(),
        reference="greet",
        prompt="greet",
        digest="a" * 64,
        request_model="openai/gpt-4o-mini-2024-07-18",
        messages_hash="b" * 64,
    )


def ended(output: str = "Hello") -> FinishedRun:
    return FinishedRun(finished_at=utc_now(), state="finished", output=output, finish_reason="stop")


def test_one_bad_row_costs_the_others_nothing(greeting: Repo) -> None:
    settings = find_settings(greeting.path, {})
    prompt = resolve_version("greet", settings).prompt

    async def log() -> list[BaseException | None]:
        journal = GroupedJournal(settings, asyncio.get_running_loop())
        for number in [*range(40), 7]:  # one of them twice
            journal.start(started_run(number), prompt)
        began = [journal.written(f"{number:026d}") for number in range(40)]
        errors = await asyncio.gather(*began, return_exceptions=True)
        for number in range(40):
            journal.finish(f"{number:026d}", ended(str(number)))
        await asyncio.gather(*(journal.written(f"{number:026d}") for number in range(40)))
        await asyncio.to_thread(journal.close)
        return errors

    errors = asyncio.run(log())
    assert [number for number, error in enumerate(errors) if error] == [7]
    assert isinstance(errors[7], sqlite3.IntegrityError)
    assert states(greeting.path) == {"finished": 40}
    assert rows(greeting.path, "writer_counter") == [(number,) for number in range(1, 41)]


def test_a_task_sees_all_that_was_handed_over_before_it(greeting: Repo) -> None:
    settings = find_settings(greeting.path, {})
    prompt = resolve_version("greet", settings).prompt

    async def log() -> list[int]:
        journal = GroupedJournal(settings, asyncio.get_running_loop())
        counts = []
        for number in range(3):
            journal.start(started_run(number), prompt)
            count = journal.with_registry(lambda registry: registry.read_one("SELECT count(*) FROM runs"))
            counts.append(asyncio.ensure_future(count))
            await asyncio.sleep(0)
        found = await asyncio.gather(*counts)
        with pytest.raises(ZeroDivisionError):
            await journal.with_registry(lambda _: 1 // 0)
        await asyncio.to_thread(journal.close)
        return found

    assert asyncio.run(log()) == [1, 2, 3]


def test_a_run_that_is_alone_is_on_disk_at_once(greeting: Repo) -> None:
    """Unless somebody else is writing, or its texts are long: then the writer's thread logs it."""
    settings = find_settings(greeting.path, {})
    prompt = resolve_version("greet", settings).prompt
    known: list[dict[str, int]] = []

    async def log(journal: GroupedJournal, number: int, output: str = "Hello") -> None:
        run = started_run(number)
        journal.start(run, prompt)
        known.append(states(greeting.path))
        await journal.written(run.run_id)
        journal.finish(run.run_id, ended(output))
        known.append(states(greeting.path))
        await journal.written(run.run_id)

    async def play() -> None:
        journal = GroupedJournal(settings, asyncio.get_running_loop())
        await log(journal, 1)  # the first one finds no registry open
        last = 1
        while known[-2:] != [{"finished": last - 1, "started": 1}, {"finished": last}]:
            assert last < 40
            if last > 1:  # a busy machine is taken for a slow disk
                await asyncio.sleep(0.3)
            last += 1
            await log(journal, last)
        await log(journal, last + 1, "long " * 20_000)
        assert states(greeting.path) == {"finished": last + 1}
        with sqlite3.connect(greeting.path / "registry.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            journal.start(started_run(last + 2), prompt)
            assert states(greeting.path) == {"finished": last + 1}
            other.execute("ROLLBACK")
        await journal.written(f"{last + 2:026d}")
        assert states(greeting.path) == {"finished": last + 1, "started": 1}
        await asyncio.to_thread(journal.close)

    asyncio.run(play())


def test_no_call_is_made_before_its_row_is_on_disk(greeting: Repo, provider: Provider) -> None:
    unlogged: list[str] = []

    def answer(request: Received) -> Answer:
        name = request.body["messages"][-1]["content"]
        with sqlite3.connect(greeting.path / "registry.db") as other:
            inputs = other.execute(
                "SELECT inputs FROM run_texts JOIN runs USING (seq) WHERE state = 'started'"
            )
            if not any(f'{name.removeprefix("Greet ")[:-1]}"' in text for (text,) in inputs):
                unlogged.append(name)
        return echo(request)

    provider.script = answer
    with Workspace.open(greeting.path) as workspace, ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: workspace.run("greet", {"name": f"Ada {number}"}), range(64)))
    assert unlogged == []
    assert states(greeting.path) == {"finished": 64}


UNDER_LOAD = """
import os
from concurrent.futures import ThreadPoolExecutor
from promptops import Workspace
workspace = Workspace.open(".")
def call(number):
    run = workspace.run("greet", {"name": str(number)})
    os.write(1, f"{run.id}\\n".encode())  # whole, whatever other threads write
with ThreadPoolExecutor(16) as pool:
    list(pool.map(call, range(100_000)))
"""


def test_a_killed_program_loses_no_answer_that_it_has_seen(greeting: Repo, provider: Provider) -> None:
    with ForkedPopen(
        [sys.executable, "-c", UNDER_LOAD], cwd=greeting.path, stdout=subprocess.PIPE, encoding="utf-8"
    ) as child:
        assert child.stdout
        seen = [child.stdout.readline().strip() for _ in range(100)]
        child.send_signal(signal.SIGKILL)
        seen += [line.strip() for line in child.stdout if line.endswith("\n")]
    finished = {run_id for run_id, state in rows(greeting.path, "run_id, state") if state == "finished"}
    assert set(seen) <= finished
    assert len(rows(greeting.path)) == len(set(rows(greeting.path, "run_id")))
