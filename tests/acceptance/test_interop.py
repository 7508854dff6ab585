"""Prompts of other tools come in and leave: pages that are run show each way, and nothing changes on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from test_page_tours import GUIDES

from promptops.interop.exporters import EXPORTERS
from promptops.interop.sources import SOURCES
from support.console_pages import Step, blocks_of
from support.front_door import Cli, Repo
from support.imported_prompts import imported, write_files
from support.paths import ROOT
from support.provider import Provider, Received, text

OVERVIEW = ROOT / "docs/import.md"


def table_row(start: str) -> str:
    """The line of the overview's table whose cells have this word."""
    rows = [line for line in OVERVIEW.read_text("utf-8").splitlines() if line.startswith("| `")]
    (row,) = [row for row in rows if start in row]
    return row


def steps(page: Path) -> Iterator[Step]:
    for block in blocks_of(page.read_text("utf-8")):
        yield from block.steps


@pytest.mark.parametrize("source", SOURCES)
def test_a_guide_that_is_run_imports_each_source(source: str) -> None:
    row = table_row(f"| `{source}` | ")
    guide = row.rpartition("](")[2].rstrip("|) ")
    assert f"docs/{guide}" in GUIDES
    imports = [step for step in steps(ROOT / "docs" / guide) if step.command.startswith("promptops import ")]
    assert any(f"({source}): " in step.output and "wrote prompts/" in step.output for step in imports)


@pytest.mark.parametrize("form", EXPORTERS)
def test_a_guide_that_is_run_exports_each_format(form: str) -> None:
    assert f" | `{form}` | [" in table_row(f" | `{form}` | [")
    commands = [step.command for guide in GUIDES for step in steps(ROOT / guide)]
    wanted = f"--format {form}"
    assert any(command.startswith("promptops export ") and wanted in command for command in commands)


PROJECT = {
    "shop/promptfooconfig.yaml": """\
description: Replies of a bookshop
prompts:
  - file://prompts/reply.json
  - {id: "file://prompts/label.txt", label: label}
providers:
  - id: openai:chat:gpt-5.4-mini-2026-03-17
    config: {temperature: 0, max_completion_tokens: 200}
defaultTest:
  vars: {shop: Emma's}
  assert:
    - {type: javascript, value: output.length <= 80}
tests: tests.csv
""",
    "shop/prompts/reply.json": """\
[{"role": "system", "content": "You answer for {{ shop }} bookshop. Be short."},
 {"role": "user", "content": "{{ question }}"}]
""",
    "shop/prompts/label.txt": "Name the topic of a mail to {{ shop }} in a word:\n{{ question | trim }}\n",
    "shop/tests.csv": """\
question,__expected,__description
"Who wrote ""Emma""?",icontains: austen,a book
"Where is it,
my parcel?",contains: left,a parcel
Do you sell maps?,not-contains: sorry,a shelf
""",
}


def bookshop(request: Received) -> object:
    asked = request.body["messages"][-1]["content"]
    return text(
        "Jane Austen." if "wrote" in asked else "It left our shop." if "parcel" in asked else "Sorry!"
    )


def test_a_project_of_promptfoo_comes_in_is_evaluated_and_leaves_as_it_came(
    repo: Repo, cli: Cli, provider: Provider
) -> None:
    provider.script = bookshop
    write_files(PROJECT)
    done = cli("import", "shop", "--to", "shop", "--strict")
    assert (done.code, "0 not importable" in done.out) == (0, True), done.out + done.err
    assert "2 prompts: 0 errors" in done.err
    repo.commit("Come from promptfoo")
    cases = (repo.path / "prompts" / str(imported("shop/reply").cases)).read_text("utf-8")
    assert '"icontains": "austen"' in cases

    done = cli("eval", "shop/reply", "--json")
    assert (done.code, len(provider.requests)) == (0, 3), done.out + done.err
    assert [
        {"role": "system", "content": "You answer for Emma's bookshop. Be short."},
        {"role": "user", "content": 'Who wrote "Emma"?'},
    ] in [request.body["messages"] for request in provider.requests]

    names = ["shop/reply", "shop/label"]
    (repo.path / "away").mkdir()
    done = cli("export", *names, "--format", "promptfoo", "--out", "away/promptfooconfig.yaml")
    assert done.code == 0, done.err
    done = cli("import", "away", "--to", "back")
    assert (done.code, "0 not importable" in done.out) == (0, True), done.out + done.err
    assert [imported(f"back/{name}").digest for name in names] == [imported(name).digest for name in names]
    assert (repo.path / "prompts" / str(imported("back/shop/reply").cases)).read_text("utf-8") == cases
