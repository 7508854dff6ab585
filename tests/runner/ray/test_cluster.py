"""A cluster of two nodes: one pace and one budget, keys that stay where they are, and its troubles."""

import json
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

from support.batch_files import greetings, outputs, results, rows, write_lines
from support.front_door import Repo
from support.golden_set import animals, many, says
from support.provider import Answer, Provider, Received, echo, malformed, slow, status
from support.ray_commands import MARK, RayCommands, TwoNodes, marked, own_environment, ray_cluster, ray_python

LINES = 40


def batch(nodes: TwoNodes, *more: str) -> tuple[str, ...]:
    return ("batch", "greet", "in.jsonl", "-j", "8", "--on", f"ray:{nodes.address}", *more)


def test_both_nodes_call_with_keys_of_their_own(nodes: TwoNodes, on_nodes: RayCommands) -> None:
    nodes.provider.script = lambda request: slow(0.05, echo(request))
    write_lines(on_nodes.repo, LINES)
    done = on_nodes.run(*batch(nodes))
    assert done.code == 0, done.err
    assert outputs(done.out) == greetings(LINES)
    asked = nodes.asked_by_node()
    assert sum(asked.values()) == LINES
    assert min(asked.values()) > 0
    keys = {(r.path.split("/")[1], r.headers["authorization"]) for r in nodes.provider.requests}
    assert keys == {("one", "Bearer sk-of-one"), ("two", "Bearer sk-of-two")}
    assert {row["state"] for row in rows(on_nodes.repo)} == {"finished"}


def test_no_key_is_printed_or_logged(nodes: TwoNodes, on_nodes: RayCommands) -> None:
    nodes.provider.script = lambda request: status(401, f"wrong key: {request.headers['authorization']}")
    write_lines(on_nodes.repo, 1)
    refused = on_nodes.run(*batch(nodes))
    assert refused.code == 5
    (result,) = results(refused.out)
    assert "wrong key: Bearer" in result["error"]["message"]
    logged = rows(on_nodes.repo, "SELECT * FROM runs JOIN run_texts USING (seq)")
    for text in (refused.out, refused.err, json.dumps(logged)):
        assert "sk-of-" not in text


def test_a_budget_is_one_for_both(nodes: TwoNodes, on_nodes: RayCommands) -> None:
    """Replies that cannot be read are counted with what they may have cost: two for each line."""
    lock, asked = threading.Lock(), Counter[str]()

    def at_the_third_time(request: Received) -> Answer:
        name = request.body["messages"][1]["content"]
        with lock:
            asked[name] += 1
            return echo(request) if asked[name] > 2 else malformed()

    nodes.provider.script = at_the_third_time
    write_lines(on_nodes.repo, LINES)
    refused = on_nodes.run(*batch(nodes, "--max-cost", "0"))
    assert refused.code == 6
    assert not nodes.provider.requests
    most = float(refused.err.split("may cost $")[1].split()[0].rstrip(",")) * 1.2
    over = on_nodes.run(*batch(nodes, "--max-cost", f"{most:.6f}"))
    assert over.code == 6, over.err
    assert "is left" in over.err
    failed = sum(min(times, 2) for times in asked.values())
    assert failed * most / 1.2 / LINES <= most  # a line costs a little more or less than another
    assert failed > LINES / 2
    assert min(nodes.asked_by_node().values()) > 0
    spent = sum(row["spent_usd"] or 0.0 for row in rows(on_nodes.repo))
    assert spent <= most


def test_both_nodes_wait_when_one_is_told_to(nodes: TwoNodes, on_nodes: RayCommands) -> None:
    times: list[float] = []
    refused: list[float] = []

    def refuse_the_tenth(request: Received) -> Answer:
        times.append(time.monotonic())
        if len(times) == 10:
            refused.append(times[-1])
            return status(429, "slow down", retry_after=2)
        return slow(0.05, echo(request))

    nodes.provider.script = refuse_the_tenth
    write_lines(on_nodes.repo, LINES)
    done = on_nodes.run(*batch(nodes))
    assert done.code == 0, done.err
    assert len(nodes.provider.requests) == LINES + 1
    (told,) = refused
    early = [each - told for each in times if 0.5 < each - told < 1.9]
    assert early == []  # half a second for what was on its way


def test_requests_a_minute_are_counted_over_both(nodes: TwoNodes, on_nodes: RayCommands) -> None:
    times: list[float] = []

    def note(request: Received) -> Answer:
        times.append(time.monotonic())
        return echo(request)

    nodes.provider.script = note
    write_lines(on_nodes.repo, 12)
    done = on_nodes.run(*batch(nodes, "--rpm", "120"))
    assert done.code == 0, done.err
    assert times[-1] - times[0] >= (12 - 2 - 1) / 2 * 0.9  # two a second, after a burst of two


def test_an_eval_and_a_shadow_run_judge_as_without_it(
    nodes: TwoNodes, on_nodes: RayCommands, repo: Repo
) -> None:
    many_cases = 20
    animals(repo)
    many(repo, many_cases)
    cases = (repo.path / "prompts/sound.cases.jsonl").read_text()
    animals(repo, "plainly", "loudly")
    repo.write("prompts/sound.cases.jsonl", cases)
    repo.commit("Cases")
    nodes.provider.script = says(lambda style, animal: style == "loudly" and int(animal) % 2 == 0)
    on = ("--on", f"ray:{nodes.address}", "--json")
    done = on_nodes.run("eval", "sound@HEAD", "--against", "sound@HEAD~2", *on)
    assert json.loads(done.out)["comparison"]["verdict"] == "worse", done.err
    assert sum(nodes.asked_by_node().values()) == 2 * many_cases
    lines = [json.dumps({"inputs": {"animal": str(n)}}) for n in range(many_cases)]
    repo.write("inputs.jsonl", "\n".join(lines) + "\n")
    inputs = ("--inputs", "inputs.jsonl", "--until", "all")
    done = on_nodes.run("shadow", "run", "sound@HEAD", "--against", "sound@HEAD~2", *inputs, *on)
    found = json.loads(done.out)
    assert (found["pairs"], found["stopped"]) == (many_cases, "all"), done.err
    assert sum(nodes.asked_by_node().values()) == 4 * many_cases


def test_a_node_that_lacks_the_package_is_named(greeting: Repo, tmp_path: Path) -> None:
    broken = tmp_path / "broken" / "promptops"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text('raise ImportError("no promptops here")\n')
    write_lines(greeting, 2)
    commands = RayCommands(greeting, ray_python(), str(tmp_path))
    with ray_cluster([own_environment(), {"PYTHONPATH": str(broken.parent)}]) as address:
        refused = commands.run("batch", "greet", "in.jsonl", "--on", f"ray:{address}")
    assert refused.code == 4, refused.err
    assert "cannot import promptops: no promptops here" in refused.err
    assert "pip install git-promptops==" in refused.err
    assert rows(greeting) == []


def test_a_node_that_is_lost_is_done_without(greeting: Repo, tmp_path: Path) -> None:
    write_lines(greeting, LINES)
    commands = RayCommands(greeting, ray_python(), str(tmp_path))
    with Provider(lambda request: slow(0.3, echo(request))) as provider:
        at = {"OPENAI_BASE_URL": provider.base_url, "OPENAI_API_KEY": "k"}
        marks = [{**at, MARK: f"{tmp_path}-{name}"} for name in ("stays", "goes")]
        with ray_cluster(marks) as address:
            child = commands.start("batch", "greet", "in.jsonl", "-j", "8", "--on", f"ray:{address}")
            until = time.monotonic() + 90
            while len(provider.requests) < 12:
                assert time.monotonic() < until
                time.sleep(0.01)
            for process in marked(f"{tmp_path}-goes"):
                os.kill(process, signal.SIGKILL)
            out, err = child.communicate(timeout=150)
    assert child.returncode == 0, err
    assert outputs(out) == greetings(LINES)
    assert len(provider.requests) <= LINES + 8
    assert "gets no more calls" in err


def test_nobody_at_the_address_is_told_at_once(greeting: Repo, tmp_path: Path) -> None:
    write_lines(greeting, 2)
    commands = RayCommands(greeting, ray_python(), str(tmp_path))
    for place in ("ray:127.0.0.1:9", "ray://127.0.0.1:9"):
        clock = time.monotonic()
        refused = commands.run("batch", "greet", "in.jsonl", "--on", place)
        assert refused.code == 5, refused.err
        assert "no Ray cluster at" in refused.err
        assert time.monotonic() - clock < 30
