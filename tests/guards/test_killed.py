"""A run that is killed behind what its guards decided: that is logged with its end, or not at all."""

import json
import subprocess
import sys

from promptops.registry import RegistryDatabase
from support.forked_commands import ForkedPopen
from support.front_door import GREET, Cli, Repo
from support.greet_releases import told
from support.provider import Provider, slow, text
from support.workspace_clients import until

GUARDS = r"guards: [{on: input, check: {not: {regex: 'ORDER-\d+'}}, do: redact, name: order}]"


def test_a_run_that_was_killed_while_its_model_was_asked(
    cli: Cli, greeting: Repo, provider: Provider
) -> None:
    greeting.write("prompts/greet.yaml", f"{GREET}{GUARDS}\n")
    provider.script = slow(5, text("hi"))
    command = [sys.executable, "-m", "promptops", "run", "greet", "-i", "name=ORDER-5"]
    with ForkedPopen(command, cwd=greeting.path, stdout=subprocess.DEVNULL) as process:
        until(lambda: provider.requests)
        process.kill()
    shown = cli("runs", "show", "last", "--json").out
    run = json.loads(shown)
    assert (run["guards"], run["inputs"], "ORDER-5" in shown) == ([], {"name": "[order]"}, False)
    provider.script = text("hi")
    assert cli("run", "greet", "-i", "name=ORDER-6").code == 0
    (row,) = told(cli, "runs", "stats")["guards"]
    assert (row["looked"], row["redacted"]) == (1, 1)
    with RegistryDatabase.open(greeting.registry) as registry:
        kept = registry.read("SELECT state FROM runs LEFT JOIN guarded_runs ON run_seq = seq ORDER BY seq")
        assert [tuple(one) for one in kept] == [("started",), ("finished",)]
    raw = b"".join(path.read_bytes() for path in greeting.path.glob("registry.db*"))
    assert (b"ORDER-5" in raw, b"ORDER-6" in raw) == (False, False)
