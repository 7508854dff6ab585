"""No planted value of any kind is in any file that promptops writes: every byte is looked at."""

import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptops.api import Workspace
from promptops.evaluation.shadow.live.lock import exclusive_lock
from support.front_door import Cli, Repo
from support.killed_commands import run_until_killed
from support.logged_rows import open_log
from support.personal_data import (
    KINDS,
    PATTERN,
    PLANTED,
    QUOTES,
    REDACTORS,
    SENTENCE,
    SETTINGS,
    found_in,
    quoting,
)
from support.prompt_files import ASKING, TONE_JUDGE
from support.provider import Provider, status, text


@pytest.fixture
def project(repo: Repo, provider: Provider) -> Repo:
    repo.write("prompts/judges/tone.yaml", TONE_JUDGE)
    repo.write("prompts/ask.yaml", ASKING)
    repo.write("promptops.yaml", SETTINGS)
    repo.write("own/redactors.py", REDACTORS)
    repo.commit("Ask")
    repo.write("prompts/ask.yaml", ASKING.replace("question }}", "question }} "))
    repo.commit("Ask again")
    provider.script = quoting
    forget_functions()
    return repo


def forget_functions() -> None:
    """Of another project: Python imports a module once."""
    for name in ("own", "own.redactors"):
        sys.modules.pop(name, None)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """Where the files are that hold the data to begin with."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    return folder


def written_by(repo: Repo) -> Iterator[tuple[str, bytes]]:
    own = ("prompts/ask.cases.jsonl", "own/")
    for file in sorted(repo.path.rglob("*")):
        name = file.relative_to(repo.path).as_posix()
        if file.is_file() and not name.startswith(own):
            yield name, file.read_bytes()


def leaks(repo: Repo) -> dict[str, list[str]]:
    found = {name: found_in(data) for name, data in written_by(repo)}
    return {name: kinds for name, kinds in found.items() if kinds}


def use_every_verb(cli: Cli, outside: Path) -> None:
    numbers = range(len(QUOTES))
    lines = [{"inputs": {"question": f"{SENTENCE} {n}"}, "metadata": {"who": SENTENCE}} for n in numbers]
    cases = [{"inputs": {"question": f"{SENTENCE} {n}"}, "expected": SENTENCE} for n in numbers]
    for name, rows in (("in.jsonl", lines), ("cases.jsonl", cases)):
        (outside / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    for number in numbers:
        cli("run", "ask", "-i", f"question={SENTENCE} {number}", "--retries", "0", "--all-checks")
    cli("batch", "ask", str(outside / "in.jsonl"), "--retries", "0")
    for form in ("html", "markdown", "json", "junit"):
        more = ("--cases", str(outside / "cases.jsonl"), "--out", f"eval.{form}", "--retries", "0")
        cli("eval", "ask", "--against", "ask@HEAD~1", "--format", form, *more)
    for form in ("html", "json"):
        more = ("--inputs", str(outside / "in.jsonl"), "-o", "retries=0", "--out", f"shadow.{form}")
        cli("shadow", "run", "ask@HEAD", "--against", "ask@HEAD~1", "--format", form, *more)
    assert cli("feedback", "last", "up", "--comment", SENTENCE, "--edit", SENTENCE).code == 0
    cli("runs", "export", "--out", "runs.jsonl")


def test_no_verb_writes_it_to_any_file(cli: Cli, project: Repo, outside: Path) -> None:
    use_every_verb(cli, outside)

    for name in ("registry.db", "eval.html", "eval.junit", "shadow.html", "runs.jsonl"):
        assert (project.path / name).exists(), name
    assert leaks(project) == {}
    shown = (project.path / "runs.jsonl").read_text()
    assert all(f"[{kind}]" in shown for kind in PLANTED)


@pytest.mark.parametrize("broken", [False, True])
def test_what_is_set_for_one_call_is_redacted_with_the_version_that_it_makes(
    broken: bool, cli: Cli, project: Repo, provider: Provider, outside: Path
) -> None:
    settings = ["--set", f"parameters.user={SENTENCE}", "--set", f"parameters.stop={json.dumps([SENTENCE])}"]
    if broken:
        project.write("own/redactors.py", "def animals(text):\n    raise ValueError\n")
    (outside / "in.jsonl").write_text('{"inputs": {"question": "what"}}\n')
    cli("run", "ask@HEAD", "-i", "question=why", *settings)
    cli("batch", "ask@HEAD", str(outside / "in.jsonl"), *settings)
    assert [request.body["user"] for request in provider.requests] == [SENTENCE] * 2  # as it is to be sent
    assert leaks(project) == {}
    with open_log(project.path) as log:
        kept = log.execute(
            "SELECT parameters, redacted_inputs FROM run_texts JOIN runs USING (seq)"
        ).fetchall()
    assert len(kept) == 2
    assert all(counts and ("[email]" in parameters) != broken for parameters, counts in kept)


def test_without_the_setting_it_is_in_the_log(cli: Cli, project: Repo) -> None:
    project.write("promptops.yaml", "")
    cli("run", "ask", "-i", f"question={SENTENCE} 0")
    assert sorted({kind for kinds in leaks(project).values() for kind in kinds}) == sorted(PLANTED)


def test_the_rules_of_a_prompt_file_hold_for_its_runs(cli: Cli, project: Repo) -> None:
    """Also for those that another process finishes, and for what is said of them."""
    project.write("promptops.yaml", "")
    kinds = [*KINDS, PATTERN, {"regex": r"the q\w+ quokka", "name": "animal"}]
    project.write("prompts/ask.yaml", f"{ASKING}log: {json.dumps({'redact': kinds})}\n")
    prepared = json.loads(cli("run", "ask", "-i", f"question={SENTENCE}", "--prepare").out)
    project.write("result.json", json.dumps({"output": SENTENCE}))
    assert cli("runs", "finish", prepared["run_id"], "--from", "result.json").code == 1
    (project.path / "result.json").unlink()
    assert cli("feedback", prepared["run_id"], "up", "--comment", SENTENCE).code == 0

    assert leaks(project) == {}
    run = json.loads(cli("runs", "show", prepared["run_id"], "--json").out)
    assert run["redacted"]["inputs"]["email"] == 1
    assert run["redacted"]["outputs"]["email"] == 2  # in the answer, and in what a check says of it


def test_runs_that_wait_beside_the_registry_hold_none(cli: Cli, project: Repo) -> None:
    (project.path / "registry.db").mkdir()
    cli("run", "ask", "-i", f"question={SENTENCE} 0")
    assert list(project.path.glob("registry.db-spool/*.json"))
    assert leaks(project) == {}


def test_a_service_logs_none(project: Repo) -> None:
    with Workspace.open() as workspace:
        run = workspace.run("ask@HEAD", {"question": f"{SENTENCE} 0"}, metadata={"who": SENTENCE})
        assert SENTENCE in run.text
        workspace.feedback(run.id, "down", comment=SENTENCE)
        assert leaks(project) == {}  # what is in the write-ahead log too
    assert leaks(project) == {}


def test_what_waits_for_a_shadow_is_left_out_and_a_bundle_holds_none(cli: Cli, project: Repo) -> None:
    assert cli("promote", "ask@HEAD~1", "--yes").code == 0
    assert (
        cli("shadow", "on", "ask:production", "--version", "HEAD", "--sample", "1", "--max-usd", "1").code
        == 0
    )
    with exclusive_lock(project.path / "registry.db"):  # so that none drains by itself meanwhile
        for number in range(3):
            asked = ("-i", f"question={SENTENCE} {number}", "--retries", "0")
            cli("run", "ask:production", "--unit", "u", *asked)
    drained = json.loads(cli("shadow", "drain", "--wait", "--json").out)
    assert (drained["answered"], drained["left_out"]) == (0, {"inputs not kept": 3})
    assert cli("release", "bundle", "--out", "bundle.json").code == 0
    assert cli("runs", "export", "--for-release", "--out", "evidence.jsonl").code == 0
    assert leaks(project) == {}


def use_and_kill(project: Repo, outside: Path, lines: int, kills: int, seed: int) -> int:
    """Batches killed at random moments, some while the registry cannot be written; how many were killed."""
    draw, killed = random.Random(seed), 0
    for number in range(kills):
        file = outside / f"{number}.jsonl"
        texts = (f"{number} {n}: {SENTENCE} {n % 10}" for n in range(lines))
        file.write_text(
            "".join(json.dumps({"inputs": {"question": text}, "unit": text}) + "\n" for text in texts)
        )
        batch = ("batch", "ask", str(file), "--retries", "0")
        done = run_until_killed(project.path, *batch, kill_after=draw.uniform(0.3, 2.5))
        killed += done.code == -9
        Path(f"{project.path}.out").unlink()  # what was printed: the answers themselves
    return killed


def test_a_process_that_is_killed_leaves_none(project: Repo, outside: Path) -> None:
    use_and_kill(project, outside, lines=150, kills=1, seed=3)
    assert (project.path / "registry.db").exists()
    assert leaks(project) == {}


@pytest.mark.thorough
def test_ten_thousand_runs_leave_none(cli: Cli, project: Repo, outside: Path) -> None:
    use_every_verb(cli, outside)
    killed, rounds = 0, 0
    while (count := logged_runs(project)) < 10_000:
        killed += use_and_kill(project, outside, lines=600, kills=4, seed=rounds)
        rounds += 1
    assert leaks(project) == {}
    assert killed > 3, (count, rounds)


def logged_runs(project: Repo) -> int:
    with open_log(project.path) as connection:
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])


def test_pseudonyms_tell_the_same_person_from_another(cli: Cli, project: Repo) -> None:
    project.write("promptops.yaml", "log: {redact: [email], keep: pseudonym}\n")
    for who in ("ada@example.org", "ADA@example.org", "bob@example.org"):
        cli("run", "ask", "-i", f"question=I am {who}. 2")
    rows = json.loads(cli("runs", "list", "--json").out)
    runs = [json.loads(cli("runs", "show", row["run_id"], "--json").out) for row in rows]
    other, same, first = (run["inputs"]["question"] for run in runs)
    assert first == same != other
    assert re.fullmatch(r"I am \[email:[a-p]{12}\]. 2", first)
    key = project.path / ".git/promptops-privacy-key"
    assert key.stat().st_mode & 0o777 == 0o600
    project.git("add", "-A")
    assert "privacy-key" not in project.git("ls-files")


FAILING = {
    "raises": ("{python: 'own.redactors:broken'}", "ValueError"),
    "gives nonsense": ("{python: 'own.redactors:nonsense'}", "ValueError"),
    "ends the process": ("{python: 'own.redactors:leaves'}", "SystemExit"),
    "is not there": ("{python: 'own.redactors:gone'}", "no function gone"),
    "hangs": ("{python: 'own.redactors:hangs', timeout: 0.05}", "own.redactors:hangs has not come back"),
    "hangs later": ("{python: 'own.redactors:drips', timeout: 0.05}", "drips has not come back after 0.05 s"),
    "takes too long": (r"{regex: '(q|u|qu)*$', name: slow}", "not decided"),
}


SLOW = {"takes too long": pytest.mark.slow}


@pytest.mark.parametrize(
    ("rule", "says"),
    [pytest.param(*case, id=name, marks=SLOW.get(name, ())) for name, case in FAILING.items()],
)
def test_a_rule_that_fails_keeps_the_run_and_none_of_its_text(
    rule: str, says: str, cli: Cli, project: Repo, provider: Provider
) -> None:
    provider.script = lambda request: text(request.body["messages"][0]["content"])
    project.write("promptops.yaml", f"log: {{redact: [email, {rule}]}}\n")
    project.write(
        "own/redactors.py",
        "def broken(text): raise ValueError(text)\ndef nonsense(text): return [(3, 999999)]\n"
        "def leaves(text): raise SystemExit(text)\n"
        "def hangs(text): __import__('time').sleep(1); return []\n"
        "def drips(text):\n    yield 0, 1\n    yield from hangs(text)\n",
    )
    done = cli("run", "ask", "-i", f"question={'qu' * 2000}! {SENTENCE} 0")

    assert SENTENCE in done.out
    assert says in done.err
    (warning, *_) = done.err.splitlines()
    assert not any(value in warning for value in PLANTED.values())
    assert leaks(project) == {}
    run = json.loads(cli("runs", "show", "last", "--json").out)
    assert run["state"] == "finished"
    assert run["inputs"] is run["output"] is None
    assert run["redacted"] == {"inputs": {"failed": 1}, "outputs": {"failed": 1}}


def test_a_text_of_five_megabytes(cli: Cli, project: Repo) -> None:
    project.write("big.txt", f"{'All is well, and 12 of them. ' * 180_000} {SENTENCE} 2")
    assert cli("run", "ask", "-i", "question=@big.txt").code == 1
    (project.path / "big.txt").unlink()
    assert leaks(project) == {}


def test_doctor_tells_kinds_and_places_and_no_values(cli: Cli, project: Repo) -> None:
    project.write("promptops.yaml", "")
    cli("run", "ask", "-i", f"question={SENTENCE} 0")
    seen = cli("doctor", "--pii", "10")
    assert seen.code == 1
    assert "email in inputs of ask: 1 of 1 run" in seen.out
    assert "card in output of ask: 1 of 1 run" in seen.out
    assert found_in(seen.out.encode()) == []
    cli("registry", "prune", "--older-than", "0s", "--force")

    project.write("promptops.yaml", SETTINGS)
    cli("run", "ask", "-i", f"question={SENTENCE} 0")
    assert cli("doctor", "--pii", "10").code == 0


# ---- a redacted run is not taken for what was asked


def asked(cli: Cli, question: str) -> dict[str, Any]:
    cli("run", "ask", "-i", f"question={question}")
    run: dict[str, Any] = json.loads(cli("runs", "show", "last", "--json").out)
    return run


def test_a_redacted_run_answers_nobody_else(
    cli: Cli, project: Repo, provider: Provider, outside: Path
) -> None:
    provider.script = lambda _: text("nothing-of-the-kind")
    (outside / "in.jsonl").write_text(
        "".join(json.dumps({"inputs": {"question": who}}) + "\n" for who in (SENTENCE, "nobody"))
    )
    for _ in range(2):
        assert cli("batch", "ask", str(outside / "in.jsonl"), "--out", "out.jsonl").code == 0
    assert len(provider.requests) == 3  # the one that was not redacted is answered once


def test_a_batch_that_goes_on_asks_again_what_the_log_has_only_redacted(
    cli: Cli, project: Repo, provider: Provider, outside: Path
) -> None:
    answer = f"{PLANTED['email']} nothing-of-the-kind"
    provider.script = lambda request: (
        status(400, "no") if "fails" in json.dumps(request.body) else text(answer)
    )
    (outside / "in.jsonl").write_text(
        "".join(json.dumps({"inputs": {"question": who}}) + "\n" for who in ("one", "fails", "two"))
    )
    assert cli("batch", "ask", str(outside / "in.jsonl"), "--out", str(outside / "out.jsonl")).code == 5
    before = len(provider.requests)
    provider.script = lambda _: text(answer)
    assert cli("batch", "ask", str(outside / "in.jsonl"), "--out", str(outside / "out.jsonl")).code == 0
    outputs = [json.loads(line)["output"] for line in (outside / "out.jsonl").read_text().splitlines()]
    assert outputs == [answer] * 3
    assert len(provider.requests) - before == 2  # the first line stands in the file already


def test_replays_leave_redacted_runs_out_unless_told(cli: Cli, project: Repo, provider: Provider) -> None:
    provider.script = lambda _: text("nothing-of-the-kind")
    run = asked(cli, SENTENCE)
    refused = cli("runs", "replay", run["run_id"])
    assert (refused.code, "--redacted" in refused.err) == (4, True)
    assert cli("runs", "replay", run["run_id"], "--redacted").code == 0
    assert "[email]" in json.dumps(provider.requests[-1].body)
    assert "redacted before they" in run["messages_problem"]

    pair = ("shadow", "run", "ask@HEAD", "--against", "ask@HEAD~1")
    refused = cli(*pair)
    assert (refused.code, "redacted=yes" in refused.err) == (4, True)
    asked(cli, "nothing personal")
    sent = len(provider.requests)
    shown = cli(*pair)
    assert "2 inputs left out as redacted" in shown.err + shown.out
    assert len(provider.requests) == sent + 4  # two answers, and a judge's look at each
    cli(*pair, "--select", "redacted=yes")
    assert "[email]" in json.dumps([each.body for each in provider.requests[sent + 2 :]])


@pytest.mark.parametrize(
    ("file", "rule", "says"),
    [
        ("promptops.yaml", "phone_number", "known: email, phone"),
        ("promptops.yaml", "{regex: '(', name: x}", "not a regular expression"),
        ("promptops.yaml", "{regex: a, name: Bad Name}", "cannot be the name"),
        ("promptops.yaml", "{python: no-function}", "names no function"),
        ("promptops.yaml", "{python: 'own:find', timeout: 0}", "`timeout` is a number of seconds"),
        ("prompts/ask.yaml", "phone_number", "phone_number"),
        ("prompts/ask.yaml", "{regex: '(', name: x}", "not a regular expression"),
        ("prompts/ask.yaml", "{python: 'os:getcwd'}", "python"),
    ],
)
def test_rules_that_cannot_be(file: str, rule: str, says: str, cli: Cli, project: Repo) -> None:
    project.write("promptops.yaml", "")
    before = ASKING if file.startswith("prompts") else ""
    project.write(file, f"{before}log:\n  redact:\n    - {rule}\n")
    refused = cli("run", "ask", "-i", "question=x")
    assert refused.code == 4
    assert f"{file}:" in refused.err
    assert says in refused.err
