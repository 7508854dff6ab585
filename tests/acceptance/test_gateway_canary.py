"""A canary whose evidence are calls of programs in two languages: rolled back on harm, promoted on proof."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from promptops import Limits
from promptops.registry import RegistryDatabase
from support.front_door import Cli, Repo
from support.gateway_client import running_gateway
from support.greet_releases import CHECKED, QUICK, go_live, ok, runs, told, versions
from support.provider import Provider, echo, status
from support.workspace_clients import until

OTHER = "gpt-4.1-mini-2025-04-14"
UNITS, BOTH = 110, 10  # of each program; of which so many are known to both

PYTHON = """
import json, sys
from concurrent.futures import ThreadPoolExecutor
from openai import APIStatusError, OpenAI

client = OpenAI(base_url=sys.argv[1], api_key="none")

def call(unit):
    chat = dict(model="greet:production", messages=[{"role": "user", "content": "Ada"}], user=unit)
    prompt = {"id": "greet", "variables": {"name": "Ada"}}
    try:
        if unit[-1] in "02468":
            headers = client.chat.completions.with_raw_response.create(**chat).headers
        else:
            headers = client.responses.with_raw_response.create(prompt=prompt, user=unit).headers
    except APIStatusError as error:
        headers = error.response.headers
    return unit, [headers.get("x-promptops-arm"), headers.get("x-promptops-version")]

with ThreadPoolExecutor(4) as pool:
    print(json.dumps(dict(pool.map(call, json.loads(sys.argv[2])))))
"""

NODE = """
const [url, units] = [process.argv[2], JSON.parse(process.argv[3])];
const model = "greet:production", messages = [{ role: "user", content: "Ada" }];
let send = async (user) => {
  const headers = { "Content-Type": "application/json" }, body = JSON.stringify({ model, messages, user });
  const answer = await fetch(`${url}/chat/completions`, { method: "POST", headers, body });
  await answer.text();
  return answer.headers;
};
const openai = await import("openai").catch(() => null);
if (openai) {
  const client = new openai.default({ baseURL: url, apiKey: "none" });
  send = async (user) => {
    try {
      const asked = client.chat.completions.create({ model, messages, user });
      return (await asked.withResponse()).response.headers;
    } catch (error) { return error.headers; }
  };
}
const said = {};
const work = async () => {
  for (let unit; (unit = units.shift()) !== undefined; ) {
    const headers = await send(unit);
    said[unit] = [headers.get("x-promptops-arm"), headers.get("x-promptops-version")];
  }
};
await Promise.all([work(), work(), work(), work()]);
console.log(JSON.stringify(said));
"""


@pytest.fixture
def node(tmp_path: Path) -> list[str]:
    """A command that calls by OpenAI's client where it is installed, else by what node has itself."""
    if shutil.which("node") is None or find_spec("openai") is None:
        pytest.skip("needs node, and the package openai")
    modules = Path(os.environ.get("PROMPTOPS_NODE_MODULES", "nowhere"), "node_modules")
    if modules.is_dir():
        (tmp_path / "node_modules").symlink_to(modules)
    (tmp_path / "calls.mjs").write_text(NODE, encoding="utf-8")
    return ["node", str(tmp_path / "calls.mjs")]


def say(command: list[str], url: str, units: list[str]) -> dict[str, list[str | None]]:
    """The arm and the version of each unit's call."""
    line = [*command, url, json.dumps(units)]
    done = subprocess.run(line, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("harm", [True, False], ids=["harm", "proof"])
def test_a_canary_on_the_traffic_of_python_and_node(
    cli: Cli, repo: Repo, provider: Provider, node: list[str], harm: bool
) -> None:
    def answer(request: Any) -> Any:
        return status(500, "down") if harm and b"Salute" in request.raw else echo(request)

    provider.script = answer
    go_live(cli, repo, more=CHECKED)
    ok(cli("canary", "greet@HEAD", *QUICK))
    shared = [f"both{number}" for number in range(BOTH)]
    commands = {"python": [sys.executable, "-c", PYTHON], "node": node}
    with running_gateway(repo.path, limits=Limits(retries=0)) as gateway:

        def calls(language: str) -> dict[str, list[str | None]]:
            own = [f"{language}{number}" for number in range(UNITS - BOTH)]
            return say(commands[language], gateway.base_url, [*shared, *own])

        with ThreadPoolExecutor(2) as pool:
            python, javascript = pool.map(calls, commands)
        if not harm:  # else the canary's share ends when its breaker opens
            assert [python[unit] for unit in shared] == [javascript[unit] for unit in shared]
        arms = Counter(arm for said in (python, javascript) for arm, _ in said.values())
        assert arms.keys() >= {"stable", "canary"}
        logged = Counter(run["arm"] for run in runs(repo) if not run["shadow_of"])
        assert (logged, logged.total()) == (arms, 2 * UNITS)
        done = cli("tick", "greet:production", "--json")
        served = "v1" if harm else "v2"
        assert (done.code, json.loads(done.out)["move"]) == ((1, "rollback") if harm else (0, "promote"))
        assert versions(cli) == (served, None)
        assert not any(each["mismatches"] for each in told(cli, "release", "verify"))
        until(lambda: gateway.chat(user="u1").headers["x-promptops-version"] == served, 5)


def test_python_and_node_that_retry_make_one_observation(
    cli: Cli, repo: Repo, provider: Provider, node: list[str]
) -> None:
    """A provider that fails is called three times for each model of the version, however clients retry."""
    provider.script = status(503, "down", retry_after=0)
    go_live(cli, repo, more=f"{CHECKED}fallback: [openai/{OTHER}]\n")
    ok(cli("canary", "greet@HEAD", *QUICK))
    with running_gateway(repo.path, limits=Limits(retries=2)) as gateway:
        for unit, command in (("u2", [sys.executable, "-c", PYTHON]), ("w2", node)):
            say(command, gateway.base_url, [unit])
    models = Counter(request.body["model"] for request in provider.requests)
    assert (len(models), set(models.values()), OTHER in models) == (2, {2 * 3}, True)
    assert [run["error_type"] for run in runs(repo)] == ["server"] * 2
    cli("tick", "greet:production")
    with RegistryDatabase.open(repo.registry) as registry:
        seen = registry.read("SELECT count(*), sum(loss) FROM observations WHERE metric = 'error_rate'")
        assert [tuple(row) for row in seen] == [(2, 2.0)]
