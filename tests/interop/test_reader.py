"""Source files: what is read of them, and what is refused however it is written."""

import json
import os
from pathlib import Path

import pytest

from promptops.errors import Invalid, NotFound
from promptops.interop.accounts import KeyAccounts, SourceNode, path_text, without_secrets
from promptops.interop.reader import MAX_FILES, MAX_TEXT, SourceFolder
from promptops.interop.sources import SOURCES
from support.front_door import Cli, Repo

SMALL = "prompts: ['Hi {{who}}']\nproviders: [openai:gpt-4o]\n"


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    return "\n".join([*lines, "prompts: ['Hi']", "tests: *a8", ""])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prompts: !!python/object/apply:os.system ['true']\n", "the tag"),
        ("prompts: ['Hi']\ntests: !include other.yaml\n", "the tag"),
        (bomb(), "expand to too much data"),
        ("a: &a [*a]\nprompts: ['Hi']\n", "stands inside what it names"),
        ("prompts: ['Hi'\n", "not YAML"),
        ("<<: 5\nprompts: ['Hi']\n", "takes a mapping"),
        ("prompts: ['Hi']\nprompts: ['Ho']\n", "duplicate key"),
        ("prompts: " + "[" * 200 + "]" * 200 + "\n", "nested deeper"),
        ("prompts: ['\0']\n", "NUL"),
        ("# " + "x" * MAX_TEXT + "\n", "too large"),
        ("- a list\n", "no `prompts`"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_an_error_and_nothing_is_written(
    repo: Repo, cli: Cli, text: str, said: str
) -> None:
    repo.write("bad/promptfooconfig.yaml", text)
    done = cli("import", "bad")
    assert done.code == 4
    assert said in done.out + done.err
    assert not (repo.path / "prompts").exists()
    assert not json.loads(cli("import", "bad", "--json").out)["files"]


def test_what_a_configuration_names_is_read_inside_its_folder_alone(repo: Repo, cli: Cli) -> None:
    repo.write("secret.txt", "a secret")
    repo.write("foo/inside.txt", "Hi {{who}}")
    (repo.path / "foo/link.txt").symlink_to(repo.path / "secret.txt")
    (repo.path / "foo/loop").symlink_to(repo.path / "foo")
    os.mkfifo(repo.path / "foo/pipe.txt")
    repo.write("foo/huge.txt", "x" * (MAX_TEXT + 1))
    outside = (
        *(
            "file://../secret.txt",
            "file:///etc/passwd",
            "file://link.txt",
            "file://pipe.txt",
            "file://huge.txt",
        ),
        *("file://nowhere.txt", "file://../*.txt", f"file://{repo.path}/secret.txt"),
    )
    config = {"prompts": ["file://inside.txt", "file://**/in*.txt", *outside], "providers": ["openai:gpt-4o"]}
    config["tests"] = [{"vars": {"who": name}} for name in (*outside[:2], "file://link.txt", "you")]
    repo.write("foo/promptfooconfig.json", json.dumps(config))
    said = json.loads(cli("import", "foo/promptfooconfig.json", "--json").out)
    (source,) = said["sources"]
    assert source["prompts"] == ["inside"]
    lost = {one["key"]: one["note"] for one in source["findings"] if one["result"] == "lost"}
    assert len(lost) == len(outside) + 3
    written = "".join(file.read_text("utf-8") for file in (repo.path / "prompts").iterdir())
    assert "a secret" not in written
    assert "root:" not in written


def test_a_folder_of_files_is_read_within_its_limits(tmp_path: Path) -> None:
    folder = SourceFolder(tmp_path)
    (tmp_path / "a.json").write_text('{"a": [1]}\n', "utf-8")
    (tmp_path / "deep.json").write_text("[" * 150 + "]" * 150, "utf-8")
    (tmp_path / "bad.json").write_text('{"a": 1, "a": 2}', "utf-8")
    (tmp_path / "rows.csv").write_text('name,text\nx,"y" \n', "utf-8")
    (tmp_path / "lines.jsonl").write_text('{"a": 1}\n\n{"a": 2}\n', "utf-8")
    (tmp_path / "sub").mkdir()
    with pytest.raises(Invalid, match="NUL"):
        folder.read("a\0b")
    (tmp_path / "windows.txt").write_bytes("\ufeffone\r\ntwo".encode())
    assert folder.json("file://a.json") == {"a": [1]}
    assert list(folder.rows("rows.csv")) == [(2, {"name": "x", "text": "y"})]
    assert [number for number, _ in folder.json_lines("lines.jsonl")] == [1, 3]
    assert folder.text("windows.txt") == "one\ntwo"
    assert folder.find("./*.json") == ["a.json", "bad.json", "deep.json"]
    assert folder.find("**/a.*") == ["a.json"]
    assert folder.exists("a.json")
    assert not folder.exists("../a.json")
    for name, said in {"deep.json": "nested deeper", "bad.json": "duplicate key"}.items():
        with pytest.raises(Invalid, match=said):
            folder.json(name)
    with pytest.raises(Invalid, match="Is a directory"):
        folder.read("sub")
    with pytest.raises(NotFound):
        folder.read("a.json/b")
    full = SourceFolder(tmp_path)
    for _ in range(MAX_FILES):
        full.read("a.json")
    with pytest.raises(Invalid, match="more than"):
        full.read("a.json")


def test_a_folder_with_too_many_files_is_not_looked_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("promptops.interop.reader.MAX_ENTRIES", 3)
    for number in range(4):
        (tmp_path / f"{number}.txt").touch()
    with pytest.raises(Invalid, match="more than 3 files"):
        SourceFolder(tmp_path).find("*")


def test_merge_keys_are_read(repo: Repo, cli: Cli) -> None:
    text = "x: &x {type: max-length, value: 5}\ny: &y {value: 6, metric: m}\n"
    repo.write("a.yaml", f"{text}{SMALL}defaultTest: {{assert: [{{<<: *x, value: 7}}, {{<<: [*y, *x]}}]}}\n")
    assert cli("import", "a.yaml").code == 0
    (prompt,) = (repo.path / "prompts").glob("*.yaml")
    assert "  - max_chars: 7\n  - max_chars: 6\n    name: m\n" in prompt.read_text("utf-8")


def test_sources_are_recognised_or_the_candidates_named(repo: Repo, cli: Cli) -> None:
    repo.write("a.yaml", SMALL)
    assert cli("import", "a.yaml", "--dry-run").code == 0
    assert cli("import", "auto", "a.yaml", "--dry-run").code == 0
    repo.write("b.yaml", "a: 1\n")
    done = cli("import", "b.yaml")
    assert done.code == 2
    assert "promptops import SOURCE b.yaml" in done.err
    done = cli("import", "c.yaml")
    assert done.code == 4
    assert "no file or source `c.yaml`" in done.err
    assert "promptfoo" in cli("import").err
    (repo.path / "empty").mkdir()
    done = cli("import", "empty")
    assert done.code == 4
    assert "promptfooconfig*.yaml" in done.err
    assert all(source.title for source in SOURCES.values())


def test_keys_that_nobody_mentions_are_reported_and_kept_without_secrets() -> None:
    data = {"a": {"b": 1, "c": [1, 2]}, "apiKey": "x", "d": {}, "e": {"f": [{"g": 1}, {"h": 2}]}}
    accounts = KeyAccounts(data, "some.yaml")
    root = SourceNode(data, (), accounts)
    root["a"]["b"].keep()
    root["e"].keep()
    root["e"]["f"][1].lose("no")
    assert [(one.key, one.verdict) for one in accounts.findings()] == [
        ("a.b", "kept"), ("a.c", "lost"), ("apiKey", "lost"), ("d", "lost"), ("e", "kept"), ("e.f[1]", "lost")
    ]  # fmt: skip
    assert accounts.lost_values() == {"a.c": [1, 2], "apiKey": "(left out)", "d": {}, "e.f[1]": {"h": 2}}
    assert path_text(()) == "(the file)"
    assert root.where == "some.yaml"
    key = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    assert without_secrets((), {"x": [f"use {key}"]}) == {"x": ["(left out)"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize(
    ("source", "name", "text"),
    [
        ("promptfoo", "promptfooconfig.yaml", "prompts: ['Grüße {{x}}']\nproviders: ['openai:chat:m']\n"),
        (
            "prompt-yml",
            "a.prompt.yml",
            "model: openai/m\nmessages:\n- {role: user, content: 'Grüße {{x}}'}\n",
        ),
        ("llm", "a.yaml", "model: m\nprompt: Grüße $x\n"),
        ("prompty", "a.prompty", "---\nname: a\nmodel: m\n---\nuser:\nGrüße {{x}}\n"),
        ("dotprompt", "a.prompt", "---\nmodel: googleai/m\n---\nGrüße {{x}}\n"),
    ],
)
def test_files_as_windows_writes_them(
    source: str, name: str, text: str, encoding: str, repo: Repo, cli: Cli
) -> None:
    (repo.path / name).write_bytes(text.replace("\n", "\r\n").encode(encoding))
    done = cli("import", source, name, "--to", "in")
    (prompt,) = (file for file in repo.path.glob("prompts/in/*.yaml"))
    assert "Grüße {{" in prompt.read_text("utf-8"), done.err
