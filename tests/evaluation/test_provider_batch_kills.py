"""Evals and shadow runs that go to a batch service, killed: collecting them ends right, and pays once."""

import json
import os
import re
import signal
import sys
from collections.abc import Iterator

import pytest

from promptops.runner.batch.provider_jobs import collect
from support.batch_files import rows, write_lines
from support.batch_jobs import Faults
from support.batch_provider import BatchProvider
from support.forked_commands import ForkedPopen
from support.front_door import Cli, Repo
from support.provider import Answer, Received
from support.provider_jobs import JUDGE, PROMPT, billed, echo_or_judge, point_to, spent

CASES = 60
EVAL = ("eval", "greet@HEAD", "--against", "greet@HEAD~1", "--provider-batch", "--json", "--no-cache")
SHADOW = (
    "shadow",
    "run",
    "greet@HEAD",
    "--against",
    "greet@HEAD~1",
    "--inputs",
    "in.jsonl",
    "--until",
    "all",
)
COMMANDS = {"eval": EVAL, "shadow": (*SHADOW, "--provider-batch", "--json")}
REQUESTS = {
    "submitted": ("POST", "/v1/batches"),
    "waited for": ("GET", r"/v1/batches/\w+"),
    "collected": ("GET", r"/v1/files/[^/]+/content"),
}


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchProvider]:
    monkeypatch.setattr(collect, "CERTAIN_AFTER_S", 0.1)
    with BatchProvider(Faults(polls=1, fail_every=33, shuffle=True), answer=echo_or_judge) as provider:
        point_to(provider, monkeypatch)
        yield provider


@pytest.fixture
def folder(repo: Repo) -> Repo:
    checks = "checks: [{contains: person}, {judge: quality, threshold: 2}]\ncases: greet.cases.jsonl\n"
    cases = [json.dumps({"id": f"c{n}", "inputs": {"name": f"person {n}"}}) for n in range(CASES)]
    repo.write("prompts/greet.cases.jsonl", "\n".join(cases) + "\n")
    repo.write("prompts/quality.yaml", JUDGE)
    for word in ("Greet", "Salute"):
        repo.write("prompts/greet.yaml", PROMPT.replace("Greet {{", f"{word} {{{{") + checks)
        repo.commit()
    write_lines(repo, CASES)
    return repo


@pytest.mark.parametrize(
    ("command", "stage", "job"),
    [
        *(("eval", "submitted", 2), ("eval", "collected", 1), ("eval", "collected", 2)),
        *(("shadow", "submitted", 1), ("shadow", "waited for", 2), ("shadow", "collected", 2)),
    ],
)
def test_killed_at_the_first_and_at_the_second_job(
    folder: Repo, cli: Cli, provider: BatchProvider, command: str, stage: str, job: int
) -> None:
    method, path = REQUESTS[stage]
    process = ForkedPopen([sys.executable, "-m", "promptops", *COMMANDS[command]])
    respond = provider.provider.script
    assert callable(respond)

    def kill(request: Received) -> Answer:
        replied = respond(request)
        if len(provider.jobs) >= job and request.method == method and re.fullmatch(path, request.path):
            os.kill(process.pid, signal.SIGKILL)
        return replied

    provider.provider.script = kill
    assert process.wait() == -signal.SIGKILL
    provider.provider.script = respond

    done = cli("jobs", "collect", "--wait")

    assert done.code in (0, 1), done.err
    runs = rows(folder)
    kind = "eval" if command == "eval" else "shadow"
    made = [run for run in runs if run["kind"] == kind]
    judged = [run for run in runs if run["kind"] == "judge"]
    assert len(made) == len(judged) == 2 * CASES
    assert {run["state"] for run in runs} == {"finished"}
    assert set(provider.billed.values()) == {1}
    assert len(provider.billed) == len(runs)
    assert spent(folder) == billed(provider)
    checks = rows(folder, "SELECT run_seq, name FROM outcomes WHERE source = 'check'")
    assert len(checks) == len({(each["run_seq"], each["name"]) for each in checks}) == 4 * CASES
    assert cli("jobs", "collect").code == 0
