"""What is held of a person is erased everywhere, and texts go when their time is over; the counts stay."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from promptops.api import Workspace
from promptops.config.clock import utc_text
from promptops.config.registry_location import local_file
from promptops.registry import RegistryDatabase, erase_person, known_unit_hashes
from support.front_door import Cli, Repo
from support.greet_releases import QUICK, go_live, ok
from support.greet_traffic import traffic
from support.logged_rows import open_log, registry_bytes
from support.provider import Provider, Received, text

SECRET, OTHER = "the quiet quokka", "the loud wombat"
PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {temperature: 0, max_tokens: 64}
inputs: {question: string}
messages: [{role: user, content: "{{ question }}"}]
checks: [{contains: nothing-of-the-kind}]
"""


@pytest.fixture
def project(repo: Repo, provider: Provider) -> Repo:
    repo.write("prompts/ask.yaml", PROMPT.replace("content:", "name: ada, content:"))
    repo.commit("Ask by name")
    repo.write("prompts/ask.yaml", PROMPT)
    repo.commit("Ask")
    provider.script = lambda request: text(f"You said: {request.body['messages'][0]['content']}")
    return repo


def rows(repo: Repo, sql: str) -> list[tuple[Any, ...]]:
    with open_log(repo.path) as connection:
        return connection.execute(sql).fetchall()


def bytes_of(repo: Repo) -> bytes:
    local = local_file(repo.registry)
    beside = local.with_name(f"{local.name}-spool").glob("*")
    return registry_bytes(repo) + b"".join(file.read_bytes() for file in beside)


def use(cli: Cli, repo: Repo) -> None:
    lines = [
        {"inputs": {"question": SECRET}, "unit": "ada", "metadata": {"tenant": "acme", "tags": [SECRET]}},
        {"inputs": {"question": f"{SECRET} again"}, "unit": "ada", "metadata": {"tenant": "acme"}},
        {"inputs": {"question": OTHER}, "unit": "bob", "metadata": {"tenant": "zoo"}},
    ]
    batch(cli, repo, *lines)
    for run in json.loads(cli("runs", "list", "--all", "--json").out):
        comment = f"of {run['run_id']}: {SECRET if SECRET in str(shown(cli, run)) else OTHER}"
        ok(cli("feedback", run["run_id"], "down", "--comment", comment))
    cli("shadow", "run", "ask", "--against", "ask@HEAD~1", "-o", "retries=0")
    ok(cli("runs", "search", "quokka"))


def batch(cli: Cli, repo: Repo, *lines: dict[str, Any]) -> None:
    file = repo.write("in.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    cli("batch", "ask", "in.jsonl", "-j", "1")
    file.unlink()


def shown(cli: Cli, run: dict[str, Any]) -> Any:
    return json.loads(cli("runs", "show", run["run_id"], "--json").out)


@pytest.mark.parametrize("who", [("--unit", "ada"), ("--tenant", "acme")])
def test_nothing_of_a_person_is_left_in_any_byte(who: tuple[str, str], cli: Cli, project: Repo) -> None:
    use(cli, project)
    counted = "SELECT state, checks_failed, cost_usd, input_tokens FROM runs ORDER BY seq"
    before = rows(project, counted)
    values = rows(project, "SELECT name, value, passed FROM outcomes ORDER BY id")
    planned = json.loads(cli("registry", "erase", *who, "--dry-run", "--json").out)
    assert planned["runs"] > 2
    assert SECRET.encode() in bytes_of(project)
    refused = cli("registry", "erase", *who)
    assert (refused.code, "--yes" in refused.err) == (2, True)

    erased = json.loads(ok(cli("registry", "erase", *who, "--yes", "--json")).out)

    assert erased["held"] == planned["held"]
    assert erased["held"]["feedback"] > 0
    assert set(erased["left"].values()) == {0}
    data = bytes_of(project)
    assert SECRET.encode() not in data
    assert OTHER.encode() in data
    assert rows(project, counted) == before
    assert rows(project, "SELECT name, value, passed FROM outcomes ORDER BY id") == values
    assert len(rows(project, "SELECT DISTINCT unit_hash FROM runs WHERE kind = 'batch'")) == 2
    again = ok(cli("registry", "erase", *who, "--yes"))
    assert again.out == "nothing is held\n"
    assert "nothing found" in cli("runs", "search", "quokka").err
    assert OTHER.rsplit(maxsplit=1)[-1] in cli("runs", "search", "wombat").out


@pytest.mark.sqlite
def test_runs_that_wait_beside_the_registry_are_erased_too(cli: Cli, project: Repo) -> None:
    (project.path / "registry.db").mkdir()
    with Workspace.open() as workspace:
        workspace.run("ask", {"question": SECRET}, metadata={"tenant": "acme"})
    assert SECRET.encode() in bytes_of(project)
    (project.path / "registry.db").rmdir()
    ok(cli("registry", "erase", "--tenant", "acme", "--yes"))
    assert SECRET.encode() not in bytes_of(project)


def test_erasing_while_a_batch_runs(cli: Cli, project: Repo, provider: Provider) -> None:
    """What is logged afterwards is found by the same call again."""
    done: list[int] = []

    def script(request: Received) -> Any:
        question = request.body["messages"][0]["content"]
        if "last" in question:
            with RegistryDatabase.open(project.registry) as registry:
                done.append(erase_person(registry, unit_hashes=known_unit_hashes(registry, "ada")).runs)
        return text(question)

    provider.script = script
    lines = [{"inputs": {"question": f"{SECRET} {n}"}, "unit": "ada"} for n in (*range(4), "last")]
    batch(cli, project, *lines)
    assert done[0] <= 4
    ok(cli("registry", "erase", "--unit", "ada", "--yes"))
    assert SECRET.encode() not in bytes_of(project)


def test_verdicts_are_verified_without_the_texts(cli: Cli, repo: Repo) -> None:
    go_live(cli, repo)
    ok(cli("canary", "greet@HEAD", *QUICK))
    traffic(repo, 80, failing=True, at=time.time() - 600)
    assert cli("tick", "greet").code == 1
    repo.write("promptops.yaml", "plans: {quick: {unit: session}}\nretention: {inputs: 1h, outputs: 1h}\n")
    with open_log(repo.path) as connection:
        connection.execute('UPDATE run_texts SET metadata = \'{"tenant": "acme"}\'')
    assert ok(cli("release", "verify")).out.startswith("ok ")
    ok(cli("registry", "erase", "--tenant", "acme", "--yes"))
    assert rows(repo, "SELECT count(*) FROM run_texts WHERE inputs IS NOT NULL") == [(0,)]
    assert ok(cli("release", "verify")).out.startswith("ok ")


# ---- retention


@pytest.mark.slow  # two ticks, two prunes and two verifications
def test_a_canary_that_runs_is_decided_beside_it(cli: Cli, repo: Repo) -> None:
    """What was seen before the texts went and what comes after count together, and can be computed again."""
    go_live(cli, repo)
    repo.write("promptops.yaml", "plans: {quick: {unit: session}}\nretention: {inputs: 1h, outputs: 1h}\n")
    ok(cli("canary", "greet@HEAD", *QUICK))
    for failing, ago, code in ((False, 9_000, 0), (True, 6_000, 1)):
        traffic(repo, 80, failing=failing, at=time.time() - ago)
        assert cli("tick", "greet").code == code
        assert ok(cli("registry", "prune", "--apply-retention")).out != "nothing to erase\n"
        assert rows(repo, "SELECT count(*) FROM run_texts WHERE inputs IS NOT NULL") == [(0,)]
        assert ok(cli("release", "verify")).out.startswith("ok ")


def age(repo: Repo, days: int, tenant: str) -> None:
    """Make the runs of a tenant so old."""
    with open_log(repo.path) as connection:
        connection.execute(
            "UPDATE runs SET started_at = ? WHERE seq IN "
            "(SELECT seq FROM run_texts WHERE json_extract(metadata, '$.tenant') = ?)",
            (utc_text(time.time() - days * 86_400), tenant),
        )


def kept(repo: Repo) -> dict[str, tuple[bool, bool]]:
    """Whether inputs and outputs are kept, by tenant."""
    sql = "SELECT json_extract(metadata, '$.tenant'), count(inputs), count(output) FROM run_texts GROUP BY 1"
    return {tenant: (bool(inputs), bool(output)) for tenant, inputs, output in rows(repo, sql)}


def ask_for(cli: Cli, repo: Repo, days: dict[str, int]) -> None:
    for tenant, old in days.items():
        batch(cli, repo, {"inputs": {"question": f"{SECRET} {tenant}"}, "metadata": {"tenant": tenant}})
        age(repo, old, tenant)


def test_texts_go_when_their_time_is_over(cli: Cli, project: Repo) -> None:
    project.write(
        "promptops.yaml",
        "retention: {inputs: 30d, outputs: 90d, tenants: {zoo: {inputs: 2d, outputs: 2d}}}\n",
    )
    ask_for(cli, project, {"new": 1, "month": 31, "quarter": 91, "zoo": 3})
    ok(cli("runs", "search", "quokka"))
    shown = ok(cli("registry", "prune", "--apply-retention", "--dry-run"))
    assert "would erase inputs of 2 runs of ask, older than 30d" in shown.out
    assert all(kept(project)["quarter"])
    done = json.loads(ok(cli("registry", "prune", "--apply-retention", "--json")).out)
    assert {(each["texts"], each["runs"], each["tenant"]) for each in done["erased"]} == {
        ("inputs", 2, ""),
        ("outputs", 1, ""),
        ("inputs", 1, "zoo"),
        ("outputs", 1, "zoo"),
    }
    assert kept(project) == {
        "new": (True, True),
        "month": (False, True),
        "quarter": (False, False),
        "zoo": (False, False),
    }
    assert ok(cli("registry", "prune", "--apply-retention")).out == "nothing to erase\n"
    found = json.loads(ok(cli("runs", "search", "quokka", "--json")).out)
    assert len(found) == 2  # one by its answer


def test_a_prompt_may_keep_its_texts_shorter(cli: Cli, project: Repo) -> None:
    project.write("promptops.yaml", "retention: {inputs: 30d}\n")
    project.write("prompts/ask.yaml", f"{PROMPT}retention: {{inputs: 12h, outputs: 90d}}\n")
    ask_for(cli, project, {"day": 1})
    ok(cli("registry", "prune", "--apply-retention"))
    assert kept(project) == {"day": (False, True)}


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        ("promptops.yaml", "inputs: 1y"),
        ("promptops.yaml", "tenants: {a: {outputs: x}}"),
        ("prompts/ask.yaml", "inputs: 3"),
    ],
)
def test_limits_that_are_no_spans(file: str, rule: str, cli: Cli, project: Repo) -> None:
    before = PROMPT if file.startswith("prompts") else ""
    project.write(file, f"{before}retention: {{{rule}}}\n")
    refused = cli("run", "ask", "-i", "question=x")
    assert refused.code == 4
    assert f"{file}:" in refused.err


def test_it_must_be_said_whose(cli: Cli, project: Repo, tmp_path: Path) -> None:
    assert cli("registry", "erase", "--yes").code == 2
    assert cli("registry", "erase", "--unit", "a", "--tenant", "b").code == 2
    assert cli("registry", "prune", "--apply-retention", "--older-than", "1d").code == 4
