"""A batch that goes to a batch service, killed at each stage: the same command ends right, and pays once."""

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from promptops.runner.batch.provider_jobs import collect
from support.batch_files import greetings, outputs, rows, write_lines
from support.batch_jobs import Faults
from support.batch_provider import BatchProvider
from support.forked_commands import ForkedPopen
from support.front_door import Cli, Repo
from support.provider import Answer, Received
from support.provider_jobs import BATCH, PROMPT, billed, point_to, spent

LINES = 300
STAGES = {
    "before the rows": ("GET", r"/v1/batches\?limit=1", False),
    "before the upload": ("POST", "/v1/files", False),
    "after the upload": ("POST", "/v1/files", True),
    "before it is accepted": ("POST", "/v1/batches", False),
    "when it is accepted": ("POST", "/v1/batches", True),
    "while it is waited for": ("GET", r"/v1/batches/\w+", True),
    "when its answers are sent": ("GET", "/v1/files/[^/]+/content", True),
}
"""The request at which it is killed, and whether the provider has seen to it by then."""


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchProvider]:
    monkeypatch.setattr(collect, "CERTAIN_AFTER_S", 0.1)
    with BatchProvider(Faults(polls=1, fail_every=33, shuffle=True)) as provider:
        point_to(provider, monkeypatch)
        yield provider


@pytest.fixture
def folder(repo: Repo) -> Repo:
    repo.write("prompts/greet.yaml", PROMPT)
    repo.commit()
    write_lines(repo, LINES)
    return repo


@pytest.mark.parametrize(
    ("stage", "collected"),
    [
        *((stage, False) for stage in STAGES),
        ("when it is accepted", True),
        ("when its answers are sent", True),
    ],
)
def test_killed_at_each_stage(
    folder: Repo, cli: Cli, provider: BatchProvider, stage: str, *, collected: bool
) -> None:
    method, path, seen_to = STAGES[stage]
    process = ForkedPopen([sys.executable, "-m", "promptops", *BATCH])
    answer = provider.provider.script
    assert callable(answer)

    def kill(request: Received) -> Answer:
        if request.method != method or not re.fullmatch(path, request.path):
            return answer(request)
        replied = answer(request) if seen_to else Answer(ending="reset")
        os.kill(process.pid, signal.SIGKILL)
        return replied

    provider.provider.script = kill
    assert process.wait() == -signal.SIGKILL
    provider.provider.script = answer

    ends_right(folder, cli, provider, collected=collected)


@pytest.mark.parametrize("ended", [0, 120, 250])
def test_killed_while_rows_are_ended(folder: Repo, cli: Cli, provider: BatchProvider, ended: int) -> None:
    process = ForkedPopen([sys.executable, "-m", "promptops", *BATCH])
    until(lambda: count(folder, "state <> 'started'") > ended)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    ends_right(folder, cli, provider, collected=False)


def ends_right(folder: Repo, cli: Cli, provider: BatchProvider, *, collected: bool) -> None:
    """Each line is answered once, each answer is billed once, and the log says what the bill says."""
    waits = cli("jobs", "list", "--json").out.strip() != "[]"
    done = cli("jobs", "collect", "--wait") if collected and waits else cli(*BATCH)
    assert done.code == 0, done.err
    assert outputs((folder.path / "out.jsonl").read_text()) == greetings(LINES)
    assert set(provider.billed.values()) == {1}
    assert len(provider.billed) == LINES
    assert count(folder, "state = 'finished'") == count(folder, "TRUE") == LINES
    assert spent(folder) == billed(provider)


def count(folder: Repo, where: str) -> int:
    try:
        return int(rows(folder, f"SELECT count(*) AS n FROM runs WHERE {where}")[0]["n"])
    except Exception:  # noqa: BLE001 - there is no registry yet
        return 0


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)
