"""docs/reference/json.md: the keys that each verb prints, recorded from one project's life."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from promptops.cli.verbs import VERBS
from support.front_door import GREET, Cli, Repo
from support.paths import ROOT
from support.provider import Provider

PAGE = ROOT / "docs" / "reference" / "json.md"
BEGIN, END = "<!-- keys: written by tests/test_json_page.py --write-golden -->\n", "<!-- end of keys -->\n"
LIFE = (
    "list",
    "show greet",
    "history greet",
    "lint",
    "diff greet@HEAD~1 greet@HEAD",
    "render greet -i name=Ada",
    "run greet@HEAD -i name=Ada",
    "batch greet@HEAD names.jsonl --out answers.jsonl",
    "last",
    "runs list",
    "runs show last",
    "runs search Ada",
    "runs replay last",
    "runs stats",
    "cases list greet",
    "cases validate greet",
    "cases stats greet",
    "checks suggest greet",
    "eval greet@HEAD --against greet@HEAD~1",
    "shadow run greet@HEAD --against greet@HEAD~1",
    "shadow list",
    "shadow status",
    "promote greet@HEAD~1 --yes",
    "canary greet@HEAD --plan quick --yes",
    "tick greet",
    "monitor check greet:production",
    "monitor inputs greet",
    "status",
    "release forecast greet@HEAD --plan quick",
    "release pause greet",
    "release resume greet",
    "rollback greet",
    "release log",
    "release show greet",
    "release verify",
    "release bundle --out prompts.bundle",
    "feedback last up",
    "cache stats",
    "cache clear greet",
    "hooks status",
    "registry prune --older-than 1d --dry-run",
    "export greet@HEAD --format promptfoo",
    "import foo",
    "doctor",
)


@pytest.fixture
def project(repo: Repo, provider: Provider) -> Repo:
    repo.write("prompts/greet.yaml", GREET + "cases: greet.cases.jsonl\n")
    repo.write("prompts/greet.cases.jsonl", '{"inputs": {"name": "Ada"}, "checks": [{"contains": "Ada"}]}\n')
    repo.write("names.jsonl", '{"inputs": {"name": "Grace"}}\n')
    repo.write("foo/promptfooconfig.yaml", "prompts: ['Hi {{who}}']\nproviders: [openai:gpt-4o]\n")
    repo.write(".gitignore", "registry.db*\n")
    repo.commit("Greet people")
    repo.write("prompts/greet.yaml", GREET.replace("people", "everybody") + "cases: greet.cases.jsonl\n")
    repo.commit("Greet everybody")
    return repo


def described(verb: str, value: Any) -> str:
    kind, first = ("a list", next(iter(value), None)) if isinstance(value, list) else ("an object", value)
    keys = ", ".join(f"`{key}`" for key in first) if isinstance(first, dict) else "–"
    return f"| `{verb}` | {kind} | {keys} |"


def rows(cli: Cli) -> Iterator[str]:
    for line in LIFE:
        words = line.split()
        done = cli(*words, "--json")
        assert done.out, f"{line}: {done.err}"
        verb = " ".join(words[:2] if VERBS[words[0]].parts else words[:1])
        yield described(verb, json.loads(done.out))


def test_the_page_lists_the_keys_of_every_verb(
    project: Repo, cli: Cli, request: pytest.FixtureRequest
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    table = "| verb | prints | keys |\n|---|---|---|\n" + "".join(f"{row}\n" for row in rows(cli))
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    new = f"{before}{BEGIN}{table}{END}{after}"
    if request.config.getoption("--write-golden"):
        PAGE.write_text(new, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == new, "no key goes; for a new one run this with --write-golden"
