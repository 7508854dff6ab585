"""Evals in bad surroundings: killed, two at once, without a provider, on a full disk, with bad files."""

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.batch_files import rows
from support.forked_commands import ForkedPopen, run_forked
from support.front_door import Cli, Finished, Repo
from support.golden_set import ANIMALS, JUDGE, WRITER, animals, asked, jsonl, many, result, says
from support.provider import Answer, Provider, Received, reset, slow, text

COMMAND = [sys.executable, "-m", "promptops", "eval", "sound"]


@pytest.fixture
def farm(repo: Repo, provider: Provider) -> Repo:
    provider.script = says()
    return animals(repo, "plainly")


def cases_asked(provider: Provider) -> Counter[str]:
    return Counter(f"c{asked(request)[1]}" for request in provider.requests)


def logged(repo: Repo) -> set[str]:
    """Cases whose answer is on disk."""
    return {row["case_id"] for row in rows(repo) if row["state"] == "finished"}


LOST = 2 * 8  # calls at most, by a kill: 8 in flight, and as many whose rows are on their way to the disk


def integrity(repo: Repo) -> str:
    """Of a file; a server checks its pages itself."""
    return integrity_of(repo.registry) if isinstance(repo.registry, Path) else "ok"


def integrity_of(registry: Path) -> str:
    with closing(sqlite3.connect(registry)) as connection:
        return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_eval_asks_only_for_what_was_not_logged(
    seed: int, farm: Repo, provider: Provider, cli: Cli
) -> None:
    chance = random.Random(seed)
    many(farm, 300)
    provider.script = lambda request: slow(0.03, says()(request))
    before: set[str] = set()
    for part in (1, 2):
        child = ForkedPopen([*COMMAND, "-j", "8"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while len(provider.requests) < part * 90:
            assert time.monotonic() < until
            time.sleep(0.002)
        time.sleep(chance.random() * 0.03)
        child.kill()
        child.wait()
        assert integrity(farm) == "ok"
        assert before < logged(farm)
        before = logged(farm)
    begun = len(provider.requests)
    assert begun - len(before) <= 2 * LOST
    done = cli("eval", "sound", "--json", "-j", "8")
    found = result(done)
    assert (done.code, found["stopped"], found["sides"][0]["overall"]["passed"]) == (0, None, 300)
    assert found["sides"][0]["cache_hits"] == len(before)
    later = Counter(f"c{asked(request)[1]}" for request in provider.requests[begun:])
    assert set(later) == {f"c{n}" for n in range(300)} - before
    assert set(later.values()) == {1}
    assert len(provider.requests) <= 300 + 2 * LOST
    assert (integrity(farm), len(logged(farm))) == ("ok", 300)


def test_whoever_reads_the_registry_meanwhile_takes_no_row_from_it(farm: Repo, provider: Provider) -> None:
    """The last to close a registry folds its log away; a reader must not take itself for the last."""
    many(farm, 300)
    provider.script = lambda request: slow(0.02, says()(request))
    child = ForkedPopen([*COMMAND, "-j", "8"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for part in (60, 120):
        while len(provider.requests) < part:
            assert child.poll() is None
            time.sleep(0.002)
        run_forked([*COMMAND[:-2], "runs", "list"], check=True, stdout=subprocess.DEVNULL)
    while len(provider.requests) < 280:
        assert child.poll() is None
        time.sleep(0.002)
    child.kill()
    child.wait()
    assert len(logged(farm)) >= len(provider.requests) - LOST
    assert integrity(farm) == "ok"


def test_two_evals_at_once_lose_no_row(repo: Repo, provider: Provider) -> None:
    animals(repo, "well", "badly")
    many(repo, 300)
    provider.script = says(lambda style, animal: style == "badly" and int(animal) % 3 == 0)
    command = [*COMMAND[:-1], "--cases", "prompts/sound.cases.jsonl", "-j", "16", "--json"]
    children = [
        ForkedPopen([*command, f"sound@{revision}"], stdout=subprocess.PIPE, encoding="utf-8")
        for revision in ("HEAD~1", "HEAD")
    ]
    said = [child.communicate(timeout=60)[0] for child in children]
    found = [json.loads(out) for out in said]
    assert [child.returncode for child in children] == [0, 1]
    assert [each["sides"][0]["overall"]["passed"] for each in found] == [300, 200]
    runs = Counter((row["eval_id"], row["state"]) for row in rows(repo))
    assert runs == {(each["eval_id"], "finished"): 300 for each in found}
    checked = rows(
        repo,
        "SELECT r.eval_id, o.name, sum(o.passed) AS passed, count(*) AS n FROM outcomes o "
        "JOIN runs r ON o.run_seq = r.seq WHERE o.source = 'check' GROUP BY 1, 2",
    )
    right = {each["eval_id"]: each["sides"][0]["overall"]["passed"] for each in found}
    assert len(checked) == 4
    for row in checked:
        wanted = 300 if row["name"] == "max_words" else right[row["eval_id"]]
        assert (row["passed"], row["n"]) == (wanted, 300), row["name"]
    kept = {row["eval_id"]: json.loads(row["counts"])["passed"] for row in rows(repo, "SELECT * FROM evals")}
    assert (kept, integrity(repo)) == (right, "ok")


class Mortal(Provider):
    """A provider that goes away after so many answers: its connections are cut and new ones refused."""

    def __init__(self, answers: int) -> None:
        super().__init__(self._answer)
        self._left = iter(range(answers))
        self._dying = threading.Lock()

    def _answer(self, request: Received) -> Answer:
        if next(self._left, None) is not None:
            return says()(request)
        with self._dying:
            self.__exit__()
        return reset()


def test_a_provider_that_goes_away_midway_and_comes_back(
    cli: Cli, repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(animals(repo, "plainly"), 200)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    with Mortal(80) as gone:
        monkeypatch.setenv("OPENAI_BASE_URL", gone.base_url)
        done = cli("eval", "sound", "--retries", "0", "-j", "4", "--json")
    found = result(done)
    (side,) = found["sides"]
    assert (done.code, found["stopped"]) == (5, "failures"), done.err
    assert "call after call failed" in done.err
    assert (side["overall"]["passed"], side["errors"]) == (80, found["cases_run"] - 80)
    assert 80 < found["cases_run"] < 200
    assert any(row["error_type"] == "connection" for row in rows(repo) if row["state"] == "failed")
    assert len(logged(repo)) == 80
    before = logged(repo)
    with Provider(says(), port=gone.port) as back:
        done = cli("eval", "sound", "--json")
    assert (done.code, result(done)["sides"][0]["overall"]["passed"]) == (0, 200)
    assert set(cases_asked(back)) == {f"c{n}" for n in range(200)} - before
    assert len(back.requests) == 120


def test_a_provider_that_stumbles_fails_the_cases_of_these_calls(
    cli: Cli, farm: Repo, provider: Provider
) -> None:
    many(farm, 200)
    bad = {str(n) for n in range(90, 180, 10)}
    provider.script = lambda request: reset() if asked(request)[1] in bad else says()(request)
    done = cli("eval", "sound", "--retries", "0", "-j", "4", "--json")
    found = result(done)
    (side,) = found["sides"]
    assert (done.code, found["stopped"], found["cases_run"]) == (1, None, 200)
    assert (side["errors"], side["overall"]["passed"], side["overall"]["counted"]) == (9, 191, 200)
    provider.script = says()
    provider.requests.clear()
    done = cli("eval", "sound", "--json")
    assert (done.code, result(done)["sides"][0]["errors"]) == (0, 0)
    assert cases_asked(provider) == {f"c{n}": 1 for n in bad}


def test_a_full_disk_loses_nothing_that_was_logged(
    farm: Repo, provider: Provider, tmp_path: Path, process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("needs a small file system of its own")
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", small], check=False).returncode:
        pytest.skip("may not mount")
    try:
        monkeypatch.setenv("PROMPTOPS_REGISTRY", str(small / "registry.db"))
        _fill_and_go_on(Repo(small), farm, provider, process)
    finally:
        subprocess.run(["umount", "-l", small], check=True)  # busy or not, it goes


def _fill_and_go_on(small: Repo, farm: Repo, provider: Provider, process: Any) -> None:
    many(farm, 300)
    provider.script = lambda request: text("word" * 2_000 + asked(request)[1])
    command = ["eval", "sound", "-j", "8", "--json", "--fail-under", "0"]
    assert process([*command, "--tag", "none"], cwd=farm.path).returncode == 4
    assert process(["run", "sound", "-i", "animal=cow"], cwd=farm.path).returncode in (0, 1)
    stat = os.statvfs(small.path)
    small.write("filler", "x" * (stat.f_bavail * stat.f_frsize - 1_500_000))
    full = process(command, cwd=farm.path)
    assert full.returncode == 5, full.stderr
    assert "no space left for the registry" in full.stderr
    assert "nothing already logged is lost" in full.stderr
    assert "Traceback" not in full.stderr
    (small.path / "filler").unlink()
    assert integrity_of(small.path / "registry.db") == "ok"
    before = logged(small) - {None}
    assert 20 < len(before) < 300
    provider.requests.clear()
    again = process(command, cwd=farm.path)
    assert again.returncode == 0, again.stderr
    side = result(Finished(0, again.stdout, again.stderr))["sides"][0]
    assert (side["overall"]["counted"], side["errors"], side["cache_hits"]) == (300, 0, len(before))
    assert set(cases_asked(provider)) == {f"c{n}" for n in range(300)} - before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"id": "c730", "inputs": {"ani', "golden.jsonl:731: not JSON"),
        (b'{"id": "c730", "inputs": {"animal": "\xff"}}', "golden.jsonl:731: not JSON"),
        (b'["cow"]', "golden.jsonl:731: a case is a mapping"),
        (b'{"input": {"animal": "cow"}}', "golden.jsonl:731: unknown key `input` (did you mean `inputs`?)"),
        (b'{"inputs": {"animal": 7}}', "golden.jsonl:731: "),
    ],
)
def test_a_malformed_line_is_named_and_nothing_is_called(
    line: bytes, message: str, cli: Cli, farm: Repo, provider: Provider
) -> None:
    lines = [json.dumps({"id": f"c{n}", "inputs": {"animal": f"{n}"}}).encode() for n in range(1000)]
    lines[730] = line
    (farm.path / "golden.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    done = cli("eval", "sound", "--cases", "golden.jsonl")
    assert (done.code, done.out, message in done.err) == (4, "", True), done.err
    assert len(done.err.splitlines()) <= 2
    assert not provider.requests
    if (farm.path / "registry.db").exists():
        assert not rows(farm)
        assert not rows(farm, "SELECT * FROM evals")


@pytest.mark.parametrize("form", ["- python: own:check", "- python: own:check\n    not: true"])
def test_a_check_that_raises_makes_its_case_an_error(
    form: str, cli: Cli, farm: Repo, provider: Provider
) -> None:
    negated = "not:" in form
    own = f"own_{negated}".lower()  # a module is imported once in a process
    farm.write(
        f"{own}.py",
        "def check(output):\n"
        "    if output == 'moo':\n"
        "        raise KeyError('no such sound')\n"
        f"    return {not negated}\n",
    )
    farm.write(
        "prompts/sound.yaml",
        ANIMALS.format(style="x").replace("- {max_words: 3}", form.replace("own:", f"{own}:")),
    )
    done = cli("eval", "sound", "--json")
    found = result(done)
    (side,) = found["sides"]
    assert (done.code, side["errors"], side["overall"]["passed"]) == (1, 1, 5)
    cow = found["cases"][0][0]
    assert (cow["passed"], cow["trials"][0]["error"]) == (False, "check")
    assert cow["trials"][0]["failed"] == [f"{'not_' * negated}python: KeyError: 'no such sound'"]


@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize(
    "verdict", ['{"score": 9}', '{"score": 0}', '{"score": "4"}', '{"score": NaN}', "4", ""]
)
def test_a_judge_outside_its_range_is_a_failure_of_the_judge(
    verdict: str, *, negated: bool, cli: Cli, repo: Repo, provider: Provider
) -> None:
    repo.write("prompts/judges/quality.yaml", JUDGE)
    writer = WRITER.format(style="Write").replace("threshold: 4", f"threshold: 4\n    not: {negated}".lower())
    repo.write("prompts/write.yaml", writer)
    repo.write(
        "prompts/write.cases.jsonl", jsonl(*({"id": f"c{n}", "inputs": {"id": f"{n}"}} for n in range(6)))
    )

    def judging(request: Received) -> Answer:
        content: str = request.body["messages"][0]["content"]
        if not content.startswith("Judge: "):
            return text(content)
        score = '{"score": 2}' if negated else '{"score": 5}'
        return text(verdict if content.endswith(" 3") else score)

    provider.script = judging
    done = cli("eval", "write", "--json")
    found = result(done)
    (side,) = found["sides"]
    assert (done.code, side["judge_failures"], side["errors"]) == (1, 1, 1), done.err
    assert (side["overall"]["passed"], side["overall"]["counted"]) == (5, 6)
    assert side["scores"] == ({"not_judge": 2.0} if negated else {"judge": 5.0})
    trial = found["cases"][0][3]["trials"][0]
    assert (trial["error"], "the judge gave no verdict" in trial["failed"][0]) == ("check", True)
