"""Models as other tools name them, and images and inputs that cases give."""

import json
from datetime import date

import pytest
import yaml

from promptops.config.settings import find_settings
from promptops.interop.pins import pin_model
from promptops.interop.target import slug, unique_names
from promptops.interop.values import declarations, input_name, kind_of
from promptops.lint.context import LintProject
from support.front_door import Cli, Repo


@pytest.mark.parametrize(
    ("name", "model", "note"),
    [
        ("openai:chat:gpt-5.4-mini-2026-03-17", "openai/gpt-5.4-mini-2026-03-17", ""),
        ("openai:responses:gpt-4.1-2025-04-14", "openai/gpt-4.1-2025-04-14", ""),
        ("anthropic:messages:claude-3-7-sonnet-20250219", "anthropic/claude-3-7-sonnet-20250219", ""),
        ("openai:gpt-4.1-mini", "openai/gpt-4.1-mini", "openai/gpt-4.1-mini-2025-04-14"),
        ("gpt-4.1-mini", "openai/gpt-4.1-mini", "moves"),
        ("google:gemini-2.5-pro", "gemini/gemini-2.5-pro", "no dated name"),
        ("ollama:chat:llama3", "ollama_chat/llama3", "does not know"),
        ("litellm:mistral/mistral-large-2512", "mistral/mistral-large-2512", ""),
        ("openai/gpt-4.1-2025-04-14", "openai/gpt-4.1-2025-04-14", ""),
        ("google/gemini-2.5-pro", "gemini/gemini-2.5-pro", "no dated name"),
        ("openai:embedding:text-embedding-3-small", "openai/text-embedding-3-small", ""),
        ("claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5-20250929", ""),
        ("computer-use-preview-2025-03-11", "openai/computer-use-preview-2025-03-11", ""),
        ("global.anthropic.claude-opus-4-7", "bedrock/global.anthropic.claude-opus-4-7", "does not know"),
    ],
)
def test_a_name_is_one_of_the_catalogue(repo: Repo, name: str, model: str, note: str) -> None:
    pin = pin_model(name, LintProject(find_settings(repo.path, {}), date(2026, 11, 29)))
    assert pin is not None
    assert pin.model == model
    assert note in pin.note
    assert bool(note) == bool(pin.note)
    assert pin.embedding == name.startswith("openai:embedding")


@pytest.mark.parametrize(
    "name", ["", "a b", "https://x", "openai:{{env.X}}", "nobody-knows", "openai:chat", "openai:"]
)
def test_what_is_no_model(repo: Repo, name: str) -> None:
    assert pin_model(name, LintProject(find_settings(repo.path, {}), date(2026, 11, 29))) is None


def test_names() -> None:
    assert slug("  Ünïcode & More!  ") == "unicode-more"
    assert len(slug("word " * 40)) <= 60
    assert slug("x" * 80) == "x" * 60
    assert unique_names(["a", "a", "b", "a"]) == ["a", "a-2", "b", "a-3"]
    assert [input_name(one) for one in ("class", "user name", "1st", "ä", "")] == [
        "class_", "user_name", "input_1st", "input", "input"
    ]  # fmt: skip
    assert kind_of([]) is None
    assert kind_of([True, 1]) is None
    assert declarations(["x"], [{"y": None}, {}]) == {
        "x": {"type": "string", "default": ""},
        "y": {"default": ""},
    }


def test_images_and_odd_files_of_variables(repo: Repo, cli: Cli) -> None:
    (repo.path / "foo").mkdir()
    (repo.path / "foo/dot.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 8)
    (repo.path / "foo/odd.png").write_bytes(b"none")
    chat = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "{{ picture }}"}}]}]
    tests = [{"vars": {"picture": f"file://{name}.png"}} for name in ("dot", "odd")]
    tests += [{"vars": {"picture": ["file://gone.txt"]}}, {"vars": {"user name": "x", "picture": "data:,"}}]
    config = {
        "prompts": [
            json.dumps(chat),
            '[{"role": "user", "content": "{% bad %}"}, {"role": "critic"}]',
            '[{{x}}] "role"',
        ],
        "providers": ["openai:gpt-4o-2024-08-06"],
        "tests": tests,
    }
    repo.write("foo/promptfooconfig.yaml", yaml.safe_dump(config))
    (source,) = json.loads(cli("import", "foo", "--json").out)["sources"]
    lost = {one["key"] for one in source["findings"] if one["result"] == "lost"}
    assert {"tests[1].vars.picture", "tests[2].vars.picture[0]", "prompts[1]"} <= lost
    prompt = yaml.safe_load((repo.path / "prompts/foo.yaml").read_text("utf-8"))
    assert prompt["inputs"]["picture"] == "image"
    first = json.loads((repo.path / "prompts/foo.cases.jsonl").read_text("utf-8").splitlines()[0])
    assert first["inputs"]["picture"].startswith("data:image/png;base64,iVBOR")
