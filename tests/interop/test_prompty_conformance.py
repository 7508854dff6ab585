"""Prompty's own material: what its vectors render, its test files, and every file of its repository."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.front_door import Cli, Repo
from support.imported_prompts import imported, rendered

KINDS = {str: "string", int: "integer", bool: "boolean", list: "array", dict: "object"}
NOT_IMPORTABLE = {"multimodal"}
"""Sound is no part of a message here."""


def kind_of(value: Any) -> str:
    return "thread" if isinstance(value, dict) and value.get("_kind") else KINDS[type(value)]


def vector_file(case: Mapping[str, Any]) -> str:
    """A file with the template of a vector, which declares what the vector gives."""
    inputs = [{"name": name, "kind": kind_of(value)} for name, value in case["inputs"].items()]
    front = {"model": "gpt-4", "template": {"format": {"kind": case["engine"]}}, "inputs": inputs}
    return f"---\n{yaml.safe_dump(front)}---\n{case['template']}"


def test_the_render_vectors_are_rendered(repo: Repo, cli: Cli, shared: Path) -> None:
    vectors = json.loads((shared / "data/conformance/prompty-render-vectors.json").read_text("utf-8"))
    assert len(vectors) == 23
    for vector in vectors:
        repo.write(f"in/{vector['name']}.prompty", vector_file(vector["input"]))
    assert cli("import", "in").code == 0
    for vector in vectors:
        given = vector["input"]["inputs"]
        inputs = {name: v["messages"] if kind_of(v) == "thread" else v for name, v in given.items()}
        messages = rendered(vector["name"], inputs)
        if vector["name"] == "thread_nonce_injection":
            assert [role for role, _ in messages] == ["system", "user", "assistant", "user"]
            assert [text for _, text in messages][::3] == ["You are helpful.", "Hi"]
        elif vector["name"] == "role_markers_preserved":
            written = "\n\n".join(f"{role}:\n{text}" for role, text in messages)
            assert written == vector["expected"]["rendered"]
        else:
            assert messages == [("system", vector["expected"]["rendered"])], vector["name"]


def test_the_test_files_are_imported_with_the_files_they_name(repo: Repo, cli: Cli, shared: Path) -> None:
    folder = shared / "data/conformance/prompty-files"
    for file in folder.iterdir():
        repo.write(f"in/{file.name}", file.read_text("utf-8"))
    done = cli("import", "in")
    assert done.code == 0
    assert imported("file_ref").inputs["question"].default == "What is AI?"
    assert "NONEXISTENT_ENDPOINT" in (repo.path / "prompts/env_default.yaml").read_text("utf-8")
    assert rendered("shorthand_body_only", {}) == [
        ("system", "You are a helpful assistant that answers questions concisely.")
    ]
    assert rendered("shorthand_threaded", {"question": "Why?", "conversation": []}) == [
        ("system", "You are a helpful assistant."),
        ("user", "Why?"),
    ]
    schema = imported("anthropic_structured").output_schema
    assert schema is not None
    assert schema["required"] == ["city", "temperature"]


@pytest.fixture
def tip(repo: Repo, shared: Path) -> Path:
    """The files of Prompty's repository."""
    bundle = shared / "data/prompt-histories/prompty-files.bundle"
    subprocess.run(["git", "clone", "-q", str(bundle), "theirs"], check=True, capture_output=True)
    return repo.path / "theirs"


def leaves(value: Any, path: str = "") -> list[str]:
    """Paths of all values of front matter, as findings name them."""
    if isinstance(value, dict) and value:
        return [leaf for key, each in value.items() for leaf in leaves(each, f"{path}.{key}".lstrip("."))]
    if isinstance(value, list) and value:
        return [leaf for at, each in enumerate(value) for leaf in leaves(each, f"{path}[{at}]")]
    return [path]


def front_matter(file: Path) -> Any:
    text = file.read_text("utf-8")
    return yaml.safe_load(text.split("---")[1]) if text.startswith("---") else None


def is_covered(leaf: str, keys: set[str]) -> bool:
    return any(leaf == key or leaf.startswith((f"{key}.", f"{key}[")) for key in keys)


def test_nine_of_ten_files_are_imported_and_every_key_is_accounted_for(tip: Path, cli: Cli) -> None:
    report = json.loads(cli("import", "theirs", "--json").out)
    sources = report["sources"]
    failed = {Path(each["path"]).stem for each in sources if each["problem"]}
    assert len(sources) == 91
    assert failed == NOT_IMPORTABLE
    for each in sources:
        keys = {finding["key"] for finding in each["findings"]}
        if not each["problem"] and (data := front_matter(Path(each["path"]))):
            assert [leaf for leaf in leaves(data) if not is_covered(leaf, keys)] == [], each["path"]
        for finding in each["findings"]:
            assert finding["note"] or finding["result"] == "kept"


def test_what_is_exported_comes_back_as_the_same_version(tip: Path, cli: Cli, repo: Repo) -> None:
    report = json.loads(cli("import", "theirs/spec", "--json").out)
    names = [name for each in report["sources"] for name in each["prompts"]]
    assert cli("export", *names, "--format", "prompty", "--out", "out").code == 0
    again = cli("import", "out", "--to", "again")
    assert again.code == 0
    assert len(names) == 11
    for name in names:
        assert imported(f"again/{name}").digest == imported(name).digest
