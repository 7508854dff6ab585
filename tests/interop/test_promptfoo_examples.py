"""The 40 real configurations of the shared data: what is imported, and that nothing is lost in silence."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from promptops.prompt.cases import iter_lines, read_cases
from support.front_door import Cli, Repo
from support.paths import ROOT

PAGE = ROOT / "docs" / "from-promptfoo.md"
BEGIN, END = "<!-- examples: written by this test, --write-golden -->\n", "<!-- end of examples -->\n"
OF_MODELS = {"floating-model", "retired-model", "unknown-model", "retiring-model", "model-not-pinnable"}

IN_OTHER_WORDS = ("id", "label", "transform", "type", "$ref")  # a check's kind or path says the same


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that holds no others, by its key as findings have it."""
    items = (
        [(f"{path}.{key}" if path else str(key), item) for key, item in value.items()]
        if isinstance(value, dict)
        else [(f"{path}[{index}]", item) for index, item in enumerate(value)]
        if isinstance(value, list)
        else []
    )
    if not items:
        yield path, value
    for key, item in items:
        yield from leaves(item, key)


def findings_of(key: str, found: dict[str, dict[str, Any]]) -> dict[str, Any] | None:
    """What is said of a key, or of what holds it."""
    while key not in found:
        cut = max(key.rfind("."), key.rfind("["))
        if cut < 0:
            return None
        key = key[:cut]
    return found[key]


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def written_texts(folder: Path) -> str:
    found: list[str] = []
    for file in folder.rglob("*"):
        if file.suffix == ".yaml":
            found += texts(yaml.safe_load(file.read_text("utf-8")))
        elif file.suffix == ".jsonl":
            for line in file.read_text("utf-8").splitlines():
                found += texts(json.loads(line))
    return " ".join(" ".join(found).split())


def test_nothing_of_forty_configurations_is_lost_in_silence(
    repo: Repo, cli: Cli, shared: Path, request: pytest.FixtureRequest
) -> None:
    examples = shared / "data" / "promptfoo-configs"
    done = cli("import", "promptfoo", str(examples), "--json")
    said = json.loads(done.out)
    assert done.code == 0
    assert len(said["sources"]) == 40
    imported = [source for source in said["sources"] if source["prompts"]]
    assert len(imported) >= 39  # one takes its texts through a filter that is a program
    for source in said["sources"]:
        every_key_is_accounted_for(source, examples, repo)
    every_prompt_can_be_used(said, repo)
    the_page_has_the_table(said["sources"], request)


def every_key_is_accounted_for(source: dict[str, Any], examples: Path, repo: Repo) -> None:
    name = Path(source["path"]).parent.name
    config = yaml.safe_load((examples / name / "promptfooconfig.yaml").read_text("utf-8"))
    found = {one["key"]: one for one in source["findings"] if one["file"] == source["path"]}
    written = written_texts(repo.path / "prompts" / name)
    for key, value in leaves(config):
        one = findings_of(key, found)
        assert one is not None, (name, key)
        assert one["result"] == "kept" or one["note"], (name, key)
        if one["result"] == "lost" and source["prompts"] and "key" not in key.lower():
            kept = " ".join(str(value).split())
            assert kept in written or not isinstance(value, str), (name, key)  # under metadata.imported
        if one["result"] == "kept" and key.split("[")[0] in ("tests", "prompts", "defaultTest"):
            text = " ".join(str(value).split())
            is_name = ".provider" in key or key.rpartition(".")[2] in IN_OTHER_WORDS
            is_content = not is_name and isinstance(value, str) and len(text) > 20 and not {*"{}*'"} & {*text}
            if is_content and source["prompts"] and "://" not in text and "/" not in text:
                assert text in written, (name, key, text)


def every_prompt_can_be_used(said: dict[str, Any], repo: Repo) -> None:
    """Each is rendered on each of its cases by the linter, which finds nothing but models to pin."""
    errors = [one for one in said["lint"]["findings"] if one["severity"] == "error"]
    assert {one["rule"] for one in errors} <= OF_MODELS
    assert {one["rule"] for one in said["lint"]["findings"]} <= OF_MODELS | {
        "never-varied", "prints-json", "unused-input"
    }  # fmt: skip
    for file in (repo.path / "prompts").rglob("*.jsonl"):
        assert list(read_cases(file.name, iter_lines(file.read_bytes())))


def the_page_has_the_table(sources: list[dict[str, Any]], request: pytest.FixtureRequest) -> None:
    rows = [
        f"| {Path(one['path']).parent.name} | {len(one['prompts'])} | {one['cases']} | {one['kept']} | "
        f"{one['changed']} | {one['lost']} |\n"
        for one in sources
    ]
    columns = ("example", "prompts", "cases", "imported", "with a note", "not importable")
    head = f"| {' | '.join(columns)} |\n|---|{'---:|' * (len(columns) - 1)}\n"
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(BEGIN)
    new = f"{before}{BEGIN}{head}{''.join(rows)}{END}{rest.partition(END)[2]}"
    if request.config.getoption("--write-golden"):
        PAGE.write_text(new, encoding="utf-8")
    assert PAGE.read_text("utf-8") == new


def test_what_is_exported_and_imported_again_has_the_same_digest(repo: Repo, cli: Cli, shared: Path) -> None:
    for example in ("getting-started", "openai-structured-output", "config-multi-turn", "claude-vs-gpt"):
        source = shared / "data" / "promptfoo-configs" / example / "promptfooconfig.yaml"
        said = json.loads(cli("import", str(source), "--to", example, "--json").out)
        names = [name for name in said["sources"][0]["prompts"] if "/judges/" not in name]
        assert cli("export", *names, "--format", "promptfoo", "--out", "promptfooconfig.yaml").code == 0
        again = json.loads(cli("import", "promptfooconfig.yaml", "--to", f"again-{example}", "--json").out)
        assert again["sources"][0]["lost"] == 0
        prompts = [name for name in again["sources"][0]["prompts"] if "/judges/" not in name]
        digests = [
            [json.loads(cli("show", name, "--json").out)["digest"] for name in each]
            for each in (names, prompts)
        ]
        assert digests[0] == digests[1]
