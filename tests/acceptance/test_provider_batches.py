"""Batches that a provider's batch service answers, killed at every stage, and billed exactly once.

The loopback provider expires, fails, doubles and reorders what it answers. Whatever happens, each line has
one answer, and the log says what the provider's bill says.
"""

import contextlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import STDOUT
from typing import Literal

import pytest

from support.batch_files import greetings, outputs, rows, write_lines
from support.batch_jobs import ANTHROPIC_MODEL, OPENAI_MODEL, Faults
from support.batch_provider import BatchProvider
from support.forked_commands import ForkedPopen
from support.front_door import GREET, Cli, Repo
from support.logged_rows import open_log
from support.provider import Answer, Received, reset
from support.provider_jobs import BATCH, billed, point_to, spent

pytestmark = pytest.mark.slow

SCRIPT = (
    Faults(
        polls=1,
        expire_after=120,
        fail_every=33,
        duplicate_every=7,
        unknown_lines=3,
        shuffle=True,
        garbage=[b"{"],
    ),
    Faults(polls=1, rate_limited_polls=1, fail_every=33, duplicate_every=5, shuffle=True),
    Faults(),
)
MODELS = {"openai": f"openai/{OPENAI_MODEL}", "anthropic": f"anthropic/{ANTHROPIC_MODEL}"}
SIZES = [
    ("openai", 200),
    pytest.param("openai", 10_000, marks=pytest.mark.thorough),
    pytest.param("anthropic", 200, marks=pytest.mark.thorough),
    pytest.param("anthropic", 10_000, marks=pytest.mark.thorough),
]


@dataclass(frozen=True)
class Stage:
    """A request of the program, at which it is killed: before the provider has looked at it, or after."""

    method: str
    path: str
    when: Literal["before", "after"]
    later: float = 0.0  # seconds after its answer

    def matches(self, request: Received) -> bool:
        return request.method == self.method and re.search(self.path, request.path) is not None


STAGES = {
    "openai": [
        Stage("GET", r"batches\?limit=1$", "after"),
        Stage("POST", "/files$", "before"),
        Stage("POST", "/files$", "after"),
        Stage("POST", "/batches$", "before"),
        Stage("POST", "/batches$", "after"),
        Stage("GET", "/batches/[^/]+$", "before"),
        Stage("GET", "output/content$", "before"),
        Stage("GET", "output/content$", "after"),
        Stage("GET", "error/content$", "after"),
        Stage("POST", "/batches$", "before"),  # of what had expired or failed
        Stage("POST", "/batches$", "after"),
    ],
    "anthropic": [
        Stage("POST", "/batches$", "before"),
        Stage("POST", "/batches$", "after"),
        Stage("GET", "/results$", "after"),
        Stage("POST", "/batches$", "after"),  # of what had expired or failed
    ],
}
AT_WORK = [Stage("GET", "/(content|results)$", "after", later) for later in (0.05, 0.15, 0.4)]
"""While the answers are logged. It may have ended before."""


class KillingProvider(BatchProvider):
    """Kills who asks at the stage that it is set to, once."""

    def __init__(self, faults: Sequence[Faults]) -> None:
        super().__init__(*faults)
        self.stage: Stage | None = None
        self.target: ForkedPopen | None = None
        self.in_process = False  # then it gets no answer, and lives on
        self._usual = self.provider.script
        self.provider.script = self._killing

    def _killing(self, request: Received) -> Answer:
        stage = self.stage
        if stage is None or not stage.matches(request):
            return self._answer(request)
        self.stage = None
        if stage.when == "before":
            self._kill(self._asking())
            return reset()
        answer = self._answer(request)
        if stage.later:
            threading.Timer(stage.later, self._kill, (self._asking(),)).start()
            return answer
        self._kill(self._asking())
        return reset()

    def _answer(self, request: Received) -> Answer:
        assert callable(self._usual)
        return self._usual(request)

    def _asking(self) -> ForkedPopen | None:
        if self.in_process:
            return None
        while self.target is None:  # the request may be there before the process's number is known
            time.sleep(0.001)
        return self.target

    def _kill(self, process: ForkedPopen | None) -> None:
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):  # it was faster
                os.kill(process.pid, signal.SIGKILL)


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[KillingProvider]:
    with KillingProvider(SCRIPT) as provider:
        point_to(provider, monkeypatch)
        yield provider


def run(provider: KillingProvider, folder: Path, *words: str) -> int:
    """The exit code; -9 where it was killed."""
    provider.target = None
    with (folder.parent / "printed").open("ab") as out:
        child = ForkedPopen(
            [sys.executable, "-m", "promptops", *words], cwd=folder, stdout=out, stderr=STDOUT
        )
        provider.target = child
        return child.wait()


def age_jobs(folder: Path) -> None:
    """An hour passes, after which a job that the provider does not list was surely not accepted."""
    with open_log(folder) as connection, connection:
        connection.execute("UPDATE provider_jobs SET created_at = '2026-01-01T00:00:00.000Z'")


@pytest.mark.parametrize(("wire", "count"), SIZES)
def test_each_line_is_answered_once_and_billed_once_wherever_it_was_killed(
    wire: str, count: int, repo: Repo, provider: KillingProvider
) -> None:
    prepare(repo, provider, wire, count)
    for stage in STAGES[wire]:
        provider.stage = stage
        assert run(provider, repo.path, *BATCH) == -signal.SIGKILL, stage
        age_jobs(repo.path)
    code = -signal.SIGKILL
    for stage in (*AT_WORK, None):
        provider.stage = stage
        if (code := run(provider, repo.path, *BATCH)) != -signal.SIGKILL:
            break
    printed = (repo.path.parent / "printed").read_text()

    assert code == 0, printed
    assert_answered_and_billed_once(repo, provider, count)


EVAL = ("eval", "greet@HEAD", "--against", "greet@HEAD~1", "--provider-batch")
SHADOW = (
    *("shadow", "run", "greet@HEAD", "--against", "greet@HEAD~1"),
    *("--inputs", "in.jsonl", "--until", "all", "--provider-batch"),
)


@pytest.mark.thorough
@pytest.mark.parametrize("words", [EVAL, SHADOW], ids=["eval", "shadow run"])
def test_both_sides_of_a_comparison_are_answered_once_wherever_it_was_killed(
    words: tuple[str, ...], repo: Repo, provider: KillingProvider
) -> None:
    prepare(repo, provider, "openai", 100)
    cases = [
        json.dumps({"id": f"c{number}", "inputs": {"name": f"person {number}"}}) for number in range(100)
    ]
    repo.write("prompts/greet.cases.jsonl", "\n".join(cases) + "\n")
    first = (repo.path / "prompts/greet.yaml").read_text() + "cases: greet.cases.jsonl\n"
    repo.write("prompts/greet.yaml", first + "checks: [{contains: person}]\n")
    repo.commit()
    repo.write("prompts/greet.yaml", (repo.path / "prompts/greet.yaml").read_text().replace("You", "Do you"))
    repo.commit()
    codes = []
    for stage in (*STAGES["openai"][3:], *AT_WORK, None):
        provider.stage = stage
        codes.append(run(provider, repo.path, *words))
        age_jobs(repo.path)
        if codes[-1] != -signal.SIGKILL:
            break
    assert codes[-1] == 0, (repo.path.parent / "printed").read_text()
    assert len(codes) > len(STAGES["openai"][3:])
    assert {run["state"] for run in rows(repo)} == {"finished"}
    assert len(rows(repo)) == 200
    assert set(provider.billed.values()) == {1}
    assert len(provider.billed) == 200
    assert spent(repo) == billed(provider)


def test_anthropics_service_answers_the_same(repo: Repo, cli: Cli, provider: KillingProvider) -> None:
    prepare(repo, provider, "anthropic", 200)
    done = cli(*BATCH)
    assert done.code == 0, done.err
    assert len(provider.jobs) == 3
    assert_answered_and_billed_once(repo, provider, 200)


def test_a_job_of_another_command_is_not_taken_for_one_whose_answer_was_lost(
    repo: Repo, cli: Cli, provider: KillingProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anthropic's service has no place for a key, and both jobs are under way and of the same size."""
    monkeypatch.setattr("promptops.providers.batches.wire.LOOKS_S", (0.01,))
    prepare(repo, provider, "anthropic", 3)
    provider.faults = (Faults(polls=99),)
    assert cli(*BATCH, "--detach").code == 3
    repo.write("other.jsonl", "".join(f'{{"inputs": {{"name": "x{number}"}}}}\n' for number in range(3)))
    provider.stage, provider.in_process = Stage("POST", "/batches$", "before"), True
    done = cli("batch", "greet@HEAD", "other.jsonl", "--out", "o.jsonl", "--provider-batch", "--detach")
    assert done.code == 5
    assert "may have accepted job" in done.err
    assert len(provider.jobs) == 1


def test_results_that_end_in_the_middle_are_not_paid_again_and_can_be_given_up(
    repo: Repo, cli: Cli, provider: KillingProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptops.providers.batches.wire._FIRST_PAUSE_S", 0.01)
    prepare(repo, provider, "openai", 3)
    provider.faults = (Faults(truncate=True),)
    done = cli(*BATCH)
    assert done.code == 5
    assert "end in the middle of a line" in done.err
    assert len(provider.jobs) == 1
    (job,) = json.loads(cli("jobs", "list", "--json").out)
    for said in ("1 job cancelled", f"job {job['job_id']} given up"):
        done = cli("jobs", "cancel", job["job_id"], "--yes")
        assert (done.code, done.out.strip()) == (0, said), done.err
    assert {run["state"] for run in rows(repo)} == {"interrupted"}
    assert len(provider.jobs) == 1


def prepare(repo: Repo, provider: KillingProvider, wire: str, count: int) -> None:
    repo.write("prompts/greet.yaml", GREET.replace("openai/gpt-4o-mini-2024-07-18", MODELS[wire]))
    repo.commit()
    write_lines(repo, count)
    provider.faults = (replace(SCRIPT[0], expire_after=count * 3 // 5), *SCRIPT[1:])


def assert_answered_and_billed_once(repo: Repo, provider: KillingProvider, count: int) -> None:
    assert outputs((repo.path / "out.jsonl").read_text()) == greetings(count)
    runs = rows(repo)
    assert len(runs) == count
    assert {run["state"] for run in runs} == {"finished"}
    assert set(provider.billed.values()) == {1}
    assert len(provider.billed) == count
    assert spent(repo) == billed(provider)
