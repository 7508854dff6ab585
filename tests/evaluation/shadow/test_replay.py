"""``promptops shadow run``: two versions on the inputs of the log, whatever goes wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from promptops.config.settings import current_settings
from promptops.registry import RegistryDatabase
from promptops.release.analysis.shadow_gate import shadow_gate
from promptops.release.plan import PlanShadowGate
from promptops.stats.verdicts import Verdict
from promptops.versions.resolve import resolve_version
from support.forked_commands import ForkedPopen
from support.front_door import Cli, Repo
from support.golden_set import JUDGE as SCORER
from support.golden_set import WRITER, animals, asked, jsonl, says
from support.logged_rows import open_log
from support.provider import Answer, Provider, Received, malformed, slow, status, text

VERSIONS = ("sound@HEAD", "--against", "sound@HEAD~1")
STRICT = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {{temperature: 0, max_tokens: 20}}
inputs: {{animal: string}}
messages:
  - {{role: system, content: "{style}"}}
  - {{role: user, content: "{{{{ animal }}}}"}}
checks: [{{regex: "^n"}}]
"""
Script = Callable[[Received], Answer]


def lines(many: int) -> str:
    each = (
        {"inputs": {"animal": str(n)}, "metadata": {"tags": ["even" if n % 2 == 0 else "odd"]}}
        for n in range(many)
    )
    return "".join(json.dumps(line) + "\n" for line in each)


@pytest.fixture
def farm(repo: Repo, provider: Provider, cli: Cli) -> Repo:
    """Two committed versions, ``plainly`` and ``loudly``, and sixty logged runs of different numbers."""

    def build() -> None:
        animals(repo)
        for style in ("plainly", "loudly"):
            repo.write("prompts/sound.yaml", STRICT.format(style=style))
            repo.commit(style)
        provider.script = says()
        repo.write("log.jsonl", lines(60))
        assert cli("batch", "sound@HEAD~1", "log.jsonl", "--out", "out.jsonl").code == 0

    repo.start_as("farm", build)
    provider.script = says()
    provider.requests.clear()
    return repo


def loudly(otherwise: Answer, when: Callable[[int], bool] = lambda _: True) -> Script:
    """The candidate answers so; the control, and the candidate at other times, as it should."""
    usual = says()

    def answer(request: Received) -> Answer:
        style, animal = asked(request)
        return otherwise if style == "loudly" and when(int(animal)) else usual(request)

    return answer


def run(cli: Cli, *arguments: str, code: int = 0, verb: str = "run") -> dict[str, Any]:
    done = cli("shadow", verb, *arguments, "--json")
    assert done.code == code, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def rows(sql: str) -> list[tuple[Any, ...]]:
    with open_log(Path.cwd()) as connection:
        return [tuple(row) for row in connection.execute(sql).fetchall()]


def test_logged_inputs_are_answered_by_both_versions_in_random_order(
    cli: Cli, farm: Repo, provider: Provider
) -> None:
    found = run(cli, *VERSIONS, "--until", "all")
    assert (found["pairs"], found["planned"], found["stopped"]) == (60, 60, "all")
    styles = [asked(request)[0] for request in provider.requests]
    assert (styles.count("plainly"), styles.count("loudly")) == (60, 60)
    arms = rows("SELECT arm, trial, count(*) FROM runs WHERE kind = 'shadow' GROUP BY 1, 2 ORDER BY 1, 2")
    (_, _, first), (_, _, second), *control = arms  # trial: which of the two was asked first
    assert [number for *_, number in control] == [second, first]
    assert 15 < first < 45
    sources = rows("SELECT count(DISTINCT shadow_of) FROM runs WHERE kind = 'shadow'")
    assert sources == [(60,)]
    assert not rows("SELECT 1 FROM runs WHERE kind = 'shadow' AND shadow_of NOT IN (SELECT run_id FROM runs)")


def test_it_stops_as_soon_as_the_verdict_is_in(cli: Cli, farm: Repo, provider: Provider) -> None:
    provider.script = loudly(text("ring"))
    found = run(cli, *VERSIONS)
    assert (found["verdict"], found["stopped"]) == ("worse", "verdict")
    assert 9 <= found["pairs"] < 20
    assert found["broke_total"] == found["pairs"]
    assert "fails checks at least" in found["sentence"]
    assert run(cli, *VERSIONS, "--no-worse-than", "0.03", code=1)["verdict"] == "worse"


def test_an_equal_version_is_not_worse_when_there_are_pairs_enough(
    cli: Cli, farm: Repo, provider: Provider
) -> None:
    found = run(cli, *VERSIONS, "--no-worse-than", "0.03", code=3)
    assert (found["verdict"], found["stopped"]) == ("undecided", "all")
    farm.write("more.jsonl", lines(300))
    found = run(cli, *VERSIONS, "--inputs", "more.jsonl", "--no-worse-than", "0.03", "-j", "16")
    assert (found["verdict"], found["stopped"]) == ("not worse", "verdict")
    assert 150 <= found["pairs"] < 210  # 16 at once, so that the last pairs vary


def test_the_same_version_once_more_shows_the_noise(cli: Cli, farm: Repo, provider: Provider) -> None:
    numbers = count()
    provider.script = lambda _: text(f"n{next(numbers) % 3}")
    found = run(cli, "sound@HEAD", verb="noise")
    assert (found["mode"], found["pairs"], found["stopped"]) == ("aa", 60, "all")
    assert found["noise"]["answers_differ"] > 0.2
    assert found["noise"]["flips"] == 0
    done = cli("shadow", "run", "sound@HEAD", "--against", "sound@HEAD")
    assert done.code == 4
    assert "promptops shadow noise sound@" in done.err


def test_what_was_answered_then_is_not_asked_again(cli: Cli, farm: Repo, provider: Provider) -> None:
    provider.script = loudly(text("ring"), lambda n: n < 10)
    found = run(cli, *VERSIONS, "--recorded", "--until", "all")
    assert {asked(request)[0] for request in provider.requests} == {"loudly"}
    assert (found["pairs"], found["broke_total"], found["mode"]) == (60, 10, "recorded")
    assert found["control"]["label"] == "what was answered then"
    reused = "SELECT count(*), total(spent_usd), count(cache_source) FROM runs WHERE arm = 'control'"
    assert rows(reused) == [(60, 0.0, 60)]
    shown = json.loads(cli("shadow", "show", "sound", "--json").out)
    assert {**shown, "started_at": ""} == found


def test_what_was_answered_then_needs_no_control(cli: Cli, farm: Repo, provider: Provider) -> None:
    found = run(cli, "sound@HEAD", "--recorded", "--last", "5")
    assert (found["pairs"], found["control"]["label"]) == (5, "what was answered then")


def test_lines_of_a_batch_may_say_what_is_expected(cli: Cli, farm: Repo, provider: Provider) -> None:
    lines = [
        {"inputs": {"animal": str(n)}, "expected": f"n{n}", "unit": f"u{n % 5}", "metadata": {"tags": ["x"]}}
        for n in range(10)
    ]
    farm.write("labelled.jsonl", "".join(json.dumps(each) + "\n" for each in lines))
    provider.script = loudly(text("n0"))
    found = run(cli, *VERSIONS, "--inputs", "labelled.jsonl", "--until", "all")
    assert (found["pairs"], found["broke_total"]) == (5, 4)
    assert [(each["name"], each["broke"]) for each in found["tags"]] == [("x", 4)]
    assert found["broke"][0]["candidate"]["failed"][0].startswith("equals: expected ")
    farm.write("broken.jsonl", json.dumps(lines[0]) + '\n{"inputs": {"animal": "1"}, "expects": "n1"}\n')
    done = cli("shadow", "run", *VERSIONS, "--inputs", "broken.jsonl")
    assert (done.code, "broken.jsonl:2: unknown key `expects`" in done.err) == (4, True)


def test_an_input_may_be_called_as_what_a_batch_has(cli: Cli, farm: Repo, provider: Provider) -> None:
    prompt = STRICT.replace("animal: string", "animal: string, unit: string")
    for style in ("plainly", "loudly"):
        farm.write("prompts/sound.yaml", prompt.format(style=style))
        farm.commit(style)
    farm.write("cases.jsonl", '{"inputs": {"animal": "1", "unit": "herd"}, "expected": "n1"}\n')
    assert run(cli, *VERSIONS, "--inputs", "cases.jsonl")["pairs"] == 1


def test_lists_of_shadow_runs_fit_a_terminal(cli: Cli, farm: Repo, provider: Provider) -> None:
    run(cli, *VERSIONS, "--last", "5")
    run(cli, "sound@HEAD", "--last", "5", verb="noise")
    listed = cli("shadow", "list").out.splitlines()
    assert len(listed) == 3
    name = listed[1].split()[0]
    assert 10 <= len(name) < 26
    assert json.loads(cli("shadow", "show", name, "--json").out)["mode"] == "aa"
    told = cli("shadow", "status").out
    assert max(map(len, told.splitlines())) <= 80


def test_what_is_stored_names_the_slices_that_the_run_named(cli: Cli, farm: Repo, provider: Provider) -> None:
    """Seven even numbers broke, seven odd ones were fixed: enough for one look, not for looks on the way."""
    usual = says()

    def answer(request: Received) -> Answer:
        style, animal = asked(request)
        fails = int(animal) < 14 and (int(animal) % 2 == 0) == (style == "loudly")
        return text("Moo!") if fails else usual(request)

    provider.script = answer
    found = run(cli, *VERSIONS, "--until", "all")
    assert (found["verdict"], found["worse_slices"]) == ("undecided", ["even"])
    shown = json.loads(cli("shadow", "show", found["shadow_id"][:12], "--json").out)
    assert shown["worse_slices"] == ["even"]
    assert "worse on even, though not on the whole" in cli("shadow", "show", found["shadow_id"][:12]).out


def test_inputs_come_once_each_and_one_of_each_unit(cli: Cli, farm: Repo, provider: Provider) -> None:
    farm.write("units.jsonl", "".join(
        json.dumps({"inputs": {"animal": str(100 + n)}, "unit": f"u{n % 5}"}) + "\n" for n in range(10)
    ))  # fmt: skip
    assert cli("batch", "sound@HEAD~1", "units.jsonl", "--out", "units.out").code == 0
    assert cli("batch", "sound@HEAD", "log.jsonl", "--out", "again.out").code == 0
    found = run(cli, *VERSIONS, "--until", "all")
    assert found["planned"] == 65
    assert (found["left"]["doubled"], found["left"]["of_same_unit"]) == (60, 5)
    assert run(cli, *VERSIONS, "--until", "all", "--last", "7")["planned"] == 7
    assert run(cli, *VERSIONS, "--until", "all", "--sample", "8", "--select", "tag=even")["planned"] == 8
    found = run(cli, *VERSIONS, "--until", "all", "--last", "9", "--select", "stratify=tag")
    assert [(each["name"], each["pairs"]) for each in found["tags"]] == [("even", 3), ("odd", 3)]
    done = cli("shadow", "run", *VERSIONS, "--select", "tag=nowhere")
    assert (done.code, "no logged inputs" in done.err) == (4, True)
    assert cli("shadow", "run", *VERSIONS, "--select", "words=42", "--until", "all").code == 0


def test_inputs_that_are_no_longer_accepted_are_counted_and_shown(
    cli: Cli, farm: Repo, provider: Provider
) -> None:
    prompt = STRICT.format(style="loudly").replace("string", "{enum: ['1', '2', '3']}")
    farm.write("prompts/sound.yaml", prompt)
    farm.commit("Take three numbers")
    found = run(cli, *VERSIONS)
    assert (found["pairs"], found["left"]["incompatible"]) == (3, 57)
    assert not found["unanswered"]
    assert "candidate:" in found["left"]["reasons"][0][1]
    assert "57 inputs left out that a version does not accept" in cli("shadow", "show", "sound").out
    farm.write("prompts/sound.yaml", prompt.replace("['1', '2', '3']", "['x']"))
    farm.commit("Take none")
    assert cli("shadow", "run", *VERSIONS).code == 4


def test_a_killed_run_goes_on_and_repeats_no_finished_pair(cli: Cli, farm: Repo, provider: Provider) -> None:
    assert cli("shadow", "run", *VERSIONS, "--until", "all", "--max-cost", "0.00005").code == 6
    assert "stopped by budget" in cli("shadow", "status").out
    provider.script = lambda request: slow(0.05, says()(request))
    command = [sys.executable, "-m", "promptops", "shadow", "run", *VERSIONS, "--until", "all", "-j", "2"]
    with ForkedPopen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while len(provider.requests) < 30:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    known = dict(rows("SELECT batch_line || arm, run_id FROM runs WHERE kind = 'shadow'"))
    assert len(known) >= 20
    assert "under way or killed" in cli("shadow", "status").out
    provider.script = says()
    found = run(cli, *VERSIONS, "--until", "all")
    assert (found["pairs"], found["stopped"]) == (60, "all")
    after = rows("SELECT batch_line || arm, run_id FROM runs WHERE kind = 'shadow'")
    assert len(after) == 120
    assert known.items() <= dict(after).items()


def test_a_side_whose_judge_was_not_heard_is_answered_again(cli: Cli, repo: Repo, provider: Provider) -> None:
    """A process that is killed between an answer and its judge leaves a row that no check has failed."""
    repo.write("prompts/judges/quality.yaml", SCORER)
    for style in ("first", "second"):
        repo.write("prompts/write.yaml", WRITER.format(style=style).replace("cases: write.cases.jsonl\n", ""))
        repo.commit(style)
    repo.write("in.jsonl", jsonl(*({"inputs": {"id": f"{n}"}} for n in range(4))))
    provider.script = lambda request: text('{"score": 2}' if b"Judge: " in request.raw else "an answer")
    arguments = ("write@HEAD", "--against", "write@HEAD~1", "--inputs", "in.jsonl")
    found = run(cli, *arguments)
    assert (found["pairs"], found["whole"]["difference"]) == (4, 0.0)
    with open_log(Path.cwd()) as connection:
        (last,) = connection.execute("SELECT max(seq) FROM runs WHERE arm = 'candidate'").fetchall()
        connection.execute("DELETE FROM outcomes WHERE name = 'judge' AND run_seq = ?", last)
        connection.execute("UPDATE runs SET checks_failed = 0 WHERE seq = ?", last)
        connection.execute("UPDATE batches SET finished_at = NULL")
    found = run(cli, *arguments)
    assert (found["pairs"], found["broke_total"], found["fixed_total"]) == (4, 0, 0)
    assert rows("SELECT arm, count(*) FROM runs WHERE kind = 'shadow' GROUP BY 1") == [
        ("candidate", 5),
        ("control", 4),
    ]


def test_a_candidate_that_is_down_is_no_worse_candidate(cli: Cli, farm: Repo, provider: Provider) -> None:
    provider.script = loudly(status(503))
    done = cli("shadow", "run", *VERSIONS, "-o", "retries=0", "--json")
    assert done.code == 5
    assert "the candidate failed 20 times in a row" in done.err
    found = json.loads(done.out)
    assert (found["verdict"], found["pairs"], found["stopped"]) == ("undecided", 0, "failures")
    assert found["unanswered"]["candidate"]["server"] >= 20
    provider.script = says()
    assert run(cli, *VERSIONS, "--until", "all")["pairs"] == 60
    controls = rows("SELECT count(*) FROM runs WHERE arm = 'control'")
    assert controls == [(60,)]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (malformed(), "malformed_reply"),
        (status(429, retry_after=0), "rate_limit"),
        (slow(1, text("n")), "timeout"),
    ],
)
def test_calls_that_no_model_answered_are_counted_apart(
    cli: Cli, farm: Repo, provider: Provider, fault: Answer, kind: str
) -> None:
    provider.script = loudly(fault, lambda n: n % 12 == 0)
    found = run(cli, *VERSIONS, "--until", "all", "-o", "retries=0", "-o", "timeout=0.3")
    assert found["unanswered"] == {"candidate": {kind: 5}}
    assert (found["pairs"], found["broke_total"], found["verdict"]) == (55, 0, "undecided")
    assert [each["name"] for each in found["questions"][:2]] == ["checks", "unanswered"]
    provider.script = says()
    assert run(cli, *VERSIONS, "--until", "all")["pairs"] == 60  # the same command asks those again


def test_answers_that_were_cut_off_are_counted(cli: Cli, farm: Repo, provider: Provider) -> None:
    provider.script = loudly(text("n", finish="length"), lambda animal: animal % 2 == 0)
    done = cli("shadow", "run", *VERSIONS, "--last", "10", "--full", "--json")
    found = json.loads(done.out)
    cut = found["truncated"]["candidate"]
    assert found["truncated"] == {"candidate": cut}
    assert 0 < cut < 10
    pairs = [*found["broke"], *found["changed"]]
    assert sum(pair["candidate"]["truncated"] for pair in pairs) == cut
    for form in ("text", "markdown", "html"):
        shown = " ".join(cli("shadow", "show", found["shadow_id"], "--format", form).out.split())
        assert f"{cut} answers of the candidate cut off at the most tokens allowed" in shown


def test_an_unknown_model_ends_it_at_once(cli: Cli, farm: Repo, provider: Provider) -> None:
    def answer(request: Received) -> Answer:
        unknown = request.body["model"] == "gpt-9"
        return status(404, "no such model", code="model_not_found") if unknown else says()(request)

    provider.script = answer
    done = cli("shadow", "run", "sound@HEAD", "--model", "openai/gpt-9", "-j", "1")
    assert done.code == 4
    assert "the candidate failed 3 times in a row" in done.err
    assert len(provider.requests) <= 8


def test_a_budget_ends_it_and_more_goes_on(cli: Cli, farm: Repo, provider: Provider) -> None:
    done = cli("shadow", "run", *VERSIONS, "--until", "all", "--max-cost", "0.0002", "--json")
    assert done.code == 6
    found = json.loads(done.out)
    assert found["stopped"] == "budget"
    assert 0 < found["pairs"] < 60
    assert found["spent_usd"] <= 0.0002
    assert run(cli, *VERSIONS, "--until", "all", "--max-cost", "1")["pairs"] == 60
    assert rows("SELECT count(*) FROM runs WHERE kind = 'shadow'") == [(120,)]


def test_several_models_and_the_whole_repository(cli: Cli, farm: Repo, provider: Provider) -> None:
    def answer(request: Received) -> Answer:
        return text("ring") if request.body["model"] == "gpt-4.1-nano-2025-04-14" else says()(request)

    provider.script = answer
    models = ("--model", "openai/gpt-4.1-mini-2025-04-14", "--model", "openai/gpt-4.1-nano-2025-04-14")
    found = run(cli, "sound", *models)
    assert [each["verdict"] for each in found] == ["worse", "undecided"]  # type: ignore[index]
    farm.write("prompts/other.yaml", STRICT.format(style="otherwise"))
    farm.commit("Another prompt")
    move = "openai/gpt-4o-mini-2024-07-18=openai/gpt-4.1-nano-2025-04-14"
    done = cli("shadow", "migrate", "--model", move)
    assert done.code == 0
    assert "not tried: no logged inputs of other match" in done.err
    assert done.out.splitlines()[0] == "To openai/gpt-4.1-nano-2025-04-14:"
    assert done.out.splitlines()[2].split()[:2] == ["sound", "worse"]
    assert cli("shadow", "migrate", "--model", "openai/none=openai/x").code == 4


JUDGE = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {temperature: 0, max_tokens: 50}
inputs: {a: string, b: string}
messages: [{role: user, content: "JUDGE {{ a }} | {{ b }}"}]
output:
  schema:
    type: object
    properties: {choice: {type: string, enum: [a, b, tie]}}
    required: [choice]
    additionalProperties: false
"""


def test_a_blind_judge_is_asked_in_both_orders(cli: Cli, farm: Repo, provider: Provider) -> None:
    farm.write("prompts/better.yaml", JUDGE)
    farm.write("prompts/sound.yaml", STRICT.format(style="loudly").replace('checks: [{regex: "^n"}]\n', ""))
    farm.commit("A judge, and no checks")

    def answer(request: Received) -> Answer:
        said = request.body["messages"][-1]["content"]
        if said.startswith("JUDGE"):
            first = said.removeprefix("JUDGE ").split(" | ")[0]
            return text(json.dumps({"choice": "b" if "ring" in first else "a"}))
        return text("ring") if asked(request)[0] == "loudly" else says()(request)

    provider.script = answer
    found = run(cli, "sound@HEAD", "--against", "sound@HEAD~2", "--judge", "better@HEAD")
    assert (found["verdict"], found["questions"][0]["name"]) == ("worse", "judge")
    assert found["pairs"] < 20
    calls = [r for r in provider.requests if r.body["messages"][-1]["content"].startswith("JUDGE")]
    assert len(calls) == 2 * found["pairs"]
    shown = json.loads(cli("shadow", "show", "sound", "--json").out)
    assert shown["questions"][0]["verdict"] == "worse"


def test_the_gate_of_a_rollout_reads_the_pairs(cli: Cli, farm: Repo, provider: Provider) -> None:
    settings = current_settings()
    digests = [resolve_version(f"sound@{rev}", settings).prompt.digest for rev in ("HEAD~1", "HEAD")]
    gate = PlanShadowGate(sample=60, min_pairs=30)

    def found() -> Any:
        with RegistryDatabase.open(settings.registry) as registry:
            return shadow_gate(registry, "sound", digests[0], digests[1], gate)

    before = found()
    assert before.verdict is None
    assert before.command is not None
    assert cli(*before.command.split()[1:]).code == 0
    assert (found().verdict, found().details["pairs"]) == (Verdict.UNDECIDED, 60)
    provider.script = loudly(text("ring"))
    assert cli(*before.command.split()[1:]).code == 0  # begun again: what was found before still counts
    after = found()
    assert after.verdict is Verdict.WORSE
    assert after.details["pairs"] > 60
    assert "fails checks at least" in after.sentence


def test_shadow_runs_are_no_traffic(cli: Cli, farm: Repo, provider: Provider) -> None:
    run(cli, *VERSIONS, "--until", "all")
    listed = json.loads(cli("shadow", "list", "--json").out)
    assert [(each["verdict"], each["pairs"]) for each in listed] == [("undecided", 60)]
    stats = json.loads(cli("runs", "stats", "--json").out)
    assert (stats["rows"], {each["key"] for each in stats["apart"]}) == ([], {"batch", "shadow"})
    # shadow rows are no inputs of later shadow runs
    assert run(cli, *VERSIONS, "--until", "all")["planned"] == 60


PLANS = """\
plans:
  careful:
    unit: call
    eval: null
    shadow: {sample: 60, min_pairs: 20, require: undecided_ok}
    steps: [{weight: 50, min_canary: 5}]
    metrics: [{name: checks, kind: binary, source: checks.pass, worse: lower, role: guard, margin: 0.1}]
"""


@pytest.mark.parametrize(("answer", "code"), [("n1", 0), ("ring", 1)])
def test_the_shadow_phase_of_a_rollout_waits_for_pairs(
    cli: Cli, farm: Repo, provider: Provider, answer: str, code: int
) -> None:
    farm.write("promptops.yaml", PLANS)
    farm.commit("A plan")
    assert cli("promote", "sound@HEAD~2", "--yes").code == 0
    assert cli("canary", "sound@HEAD", "--plan", "careful", "--yes").code == 0
    waiting = cli("tick", "sound")
    assert waiting.code == 0, waiting.err
    [command] = [line.partition("run: promptops ")[2] for line in waiting.out.splitlines() if "run: " in line]
    assert "promptops release gate" in cli("status", "sound").out
    provider.script = loudly(text(answer))
    done = cli(*command.split(), "--yes")
    assert done.code == 0, done.err
    moved = cli("tick", "sound", "--json")
    assert moved.code == code, moved.err
    assert ('"progressing"' in cli("status", "sound", "--json").out) == (code == 0)


def test_ctrl_c_keeps_the_pairs_under_way(farm: Repo, provider: Provider, cli: Cli) -> None:
    provider.script = lambda request: slow(0.05, says()(request))
    command = [sys.executable, "-m", "promptops", "shadow", "run", *VERSIONS, "--until", "all", "-j", "2"]
    with ForkedPopen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while len(provider.requests) < 10:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "the same command goes on from here" in err
    assert "interrupted" in out
    assert rows("SELECT count(*) FROM runs WHERE kind = 'shadow'") == [(len(provider.requests),)]


def test_one_shadow_run_is_made_by_one_process(farm: Repo, provider: Provider, cli: Cli) -> None:
    provider.script = lambda request: slow(0.1, says()(request))
    command = [sys.executable, "-m", "promptops", "shadow", "run", *VERSIONS, "--until", "all", "-j", "1"]
    with ForkedPopen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not provider.requests:
            time.sleep(0.01)
        done = cli("shadow", "run", *VERSIONS, "--until", "all")
        process.kill()
    assert (done.code, "another process" in done.err) == (5, True)


def test_a_candidate_is_held_against_what_is_live_or_committed(
    cli: Cli, farm: Repo, provider: Provider
) -> None:
    farm.write("prompts/sound.yaml", STRICT.format(style="softly"))
    found = run(cli, "sound")
    assert found["control"]["label"].startswith("sound@")
    assert {asked(request)[0] for request in provider.requests} == {"loudly", "softly"}
    done = cli("shadow", "run", "sound@HEAD~1")
    assert (done.code, "--against" in done.err) == (4, True)
    assert cli("promote", "sound@HEAD", "--yes").code == 0
    assert run(cli, "sound@HEAD~1")["control"]["label"] == "sound@v1"
    recorded = cli("shadow", "run", "sound", "--recorded", "--against", "sound@HEAD")
    assert (recorded.code, "no logged inputs" in recorded.err) == (4, True)  # HEAD has answered nobody


REFUSED: list[tuple[tuple[str, ...], str]] = [
    ((), "which prompt?"),
    (("sound", "--last", "3", "--sample", "3"), "give one of them"),
    (("sound", "--inputs", "log.jsonl", "--select", "tag=even"), "--select tag=even chooses from the log"),
    (("sound", "--recorded", "--inputs", "log.jsonl"), "--recorded needs answers"),
    ((*VERSIONS, "--judge", "sound"), "not a judge"),
    (("sond@HEAD",), "no prompt `sond`"),
    ((*VERSIONS, "--until", "soon"), "--until soon: not a number of pairs"),
    ((*VERSIONS, "--select", "colour=red"), "not KEY=VALUE of a known key"),
    ((*VERSIONS, "--select", "stratify=colour"), "--select stratify=colour: "),
    ((*VERSIONS, "-o", "retries=-1"), "-o retries=-1: must be at least 0"),
    ((*VERSIONS, "-o", "margin=nan"), "-o margin=nan: must be at least 0, at most 0.99"),
    ((*VERSIONS, "-o", "timeout=soon"), "-o timeout=soon: "),
    ((*VERSIONS, "--inputs", "none.jsonl"), "cannot read none.jsonl"),
]


def test_what_cannot_be_meant_is_said_before_anything_is_spent(
    cli: Cli, farm: Repo, provider: Provider
) -> None:
    for arguments, told in REFUSED:
        done = cli("shadow", "run", *arguments)
        assert (done.code, told in done.err) == (4, True), done.err
    for arguments, told in (((), "no model to move from and to"), (("--model", "new"), "OLD=NEW")):
        done = cli("shadow", "migrate", *arguments)
        assert (done.code, told in done.err) == (4, True), done.err
    assert not provider.requests
