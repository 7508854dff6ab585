"""``promptops diff`` beside what shadow runs have found of the same two versions."""

import json
import re
import subprocess
import sys

import pytest

from support.front_door import Cli, Repo
from support.golden_set import says
from support.provider import Answer, Provider, Received, text

OLD, NEW = "openai/gpt-4o-mini-2024-07-18", "openai/gpt-4.1-nano-2025-04-14"
PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {temperature: 0, max_tokens: 20}
inputs: {animal: string}
messages:
  - {role: system, content: plainly}
  - {role: user, content: "{{ animal }}"}
checks: [{regex: "^n"}]
"""


@pytest.fixture
def farm(repo: Repo, provider: Provider, cli: Cli) -> Repo:
    """A prompt with forty logged answers on main, and a branch that pins it to another model."""

    def answer(request: Received) -> Answer:
        odd = int(request.body["messages"][1]["content"]) % 2
        return text("ring @everyone") if odd and "nano" in request.body["model"] else says()(request)

    provider.script = answer
    repo.write(".gitignore", "registry.db*\n")
    repo.write("prompts/sound.yaml", PROMPT)
    repo.commit("one")
    lines = (json.dumps({"inputs": {"animal": str(n)}}) + "\n" for n in range(40))
    repo.write("log.jsonl", "".join(lines))
    assert cli("batch", "sound@HEAD", "log.jsonl", "--out", "out.jsonl").code == 0
    repo.git("checkout", "-q", "-b", "pin")
    return repo


def pin(repo: Repo) -> None:
    repo.write("prompts/sound.yaml", PROMPT.replace(OLD, NEW))
    repo.git("commit", "-qam", "Move to another model")


def test_the_comment_of_a_model_pin_has_the_verdict_with_real_outputs(cli: Cli, farm: Repo) -> None:
    pin(farm)
    assert cli("shadow", "run", "sound@HEAD", "--against", "sound@main").code == 0
    comment = cli("diff", "main...pin", "--format", "markdown").out
    assert "#### `sound` changed: model" in comment
    assert "**Shadow run: ❌ " in comment
    assert "fails checks at least" in comment
    assert "| fails checks | 0.0 % |" in comment
    assert "spent" in comment
    assert comment.count("candidate, failed") == 3  # the worst
    assert re.search(r"<pre>(<b>)?ring @everyone", comment)
    short = cli("diff", "main...pin", "--format", "markdown", "--stat").out
    assert "Shadow run" in short
    assert "ring" not in short
    (line,) = [line for line in cli("diff", "main...pin").out.splitlines() if "shadow run" in line]
    assert line.split()[2] == "worse,"


def test_a_model_tried_before_the_change_is_found_by_digest(cli: Cli, farm: Repo) -> None:
    assert cli("shadow", "migrate", "--model", f"{OLD}={NEW}").code == 0
    pin(farm)
    (found,) = json.loads(cli("diff", "main", "pin", "--json").out)
    shown = json.loads(cli("shadow", "show", "sound", "--json").out)
    assert found["shadow"] == shown
    assert (found["shadow"]["verdict"], found["shadow"]["fixed_total"]) == ("worse", 0)
    (back,) = json.loads(cli("diff", "pin", "main", "--json").out)
    assert back["shadow"] is None  # the other way round nothing was tried


def test_other_versions_and_noise_say_nothing_of_a_change(cli: Cli, farm: Repo) -> None:
    pin(farm)
    assert cli("shadow", "noise", "sound@HEAD", "--last", "5").code == 0
    assert cli("shadow", "run", "sound@HEAD", "--recorded", "--last", "5").code == 0
    assert "Shadow run" not in cli("diff", "main...pin", "--format", "markdown").out


def test_without_a_registry_none_is_made_and_nothing_of_it_is_loaded(cli: Cli, greeting: Repo) -> None:
    path = greeting.path / "prompts/greet.yaml"
    path.write_text(path.read_text().replace("2024-07-18", "2024-08-06"))
    code = (  # sqlite3 may be there all the same: coverage keeps what it finds in it
        "import sys; from promptops.cli.main import main; main(['diff', 'greet']); print([name for name in "
        "sys.modules if name.startswith(('promptops.evaluation.shadow', 'promptops.registry.'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert "model" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
    assert not list(greeting.path.glob("registry.db*"))


def test_a_registry_that_cannot_be_read_is_no_hindrance(cli: Cli, farm: Repo) -> None:
    pin(farm)
    (farm.path / "registry.db").write_bytes(b"no database " * 1000)
    done = cli("diff", "main...pin", "--format", "markdown")
    assert (done.code, "#### `sound` changed: model" in done.out) == (0, True)
    assert "shadow runs are left out" in done.err
