"""Answers compared by the vectors of a model: ``shadow run --semantic``."""

import json
import math
from typing import Any

import pytest

from promptops.config.settings import current_settings
from promptops.registry import RegistryDatabase
from support.front_door import Cli, Repo
from support.golden_set import asked
from support.provider import Answer, Provider, Received, as_json, status, text

VERSIONS = ("sound@HEAD", "--against", "sound@HEAD~1", "--until", "all", "--inputs", "cases.jsonl")
SEMANTIC = ("--semantic", "openai/text-embedding-3-small")
PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
parameters: {{temperature: 0, max_tokens: 20}}
inputs: {{animal: string}}
messages: [{{role: system, content: "{style}"}}, {{role: user, content: "{{{{ animal }}}}"}}]
"""
SAID = {"0": ("Yes.", "yes"), "1": ("Yes.", "Certainly."), "2": ("Yes.", "Perhaps."), "3": ("Yes.", "No.")}
ANGLES = {"Yes.": 0.0, "Certainly.": 0.2, "Perhaps.": 0.6, "No.": math.pi / 2}


def vectors(request: Received) -> Answer:
    rows = [
        {"index": place, "embedding": [math.cos(ANGLES[each]), math.sin(ANGLES[each])]}
        for place, each in enumerate(request.body["input"])
    ]
    return as_json({"data": rows})


def embeddings(provider: Provider) -> list[Received]:
    return [each for each in provider.requests if each.path.endswith("/embeddings")]


@pytest.fixture
def farm(repo: Repo, provider: Provider) -> Repo:
    """Four questions that two versions answer alike, nearly alike, hardly alike, and differently."""

    def answer(request: Received) -> Answer:
        if request.path.endswith("/embeddings"):
            return vectors(request)
        style, number = asked(request)
        return text(SAID[number][style == "loudly"])

    provider.script = answer
    for style in ("plainly", "loudly"):
        repo.write("prompts/sound.yaml", PROMPT.format(style=style))
        repo.commit(style)
    repo.write("cases.jsonl", "".join(json.dumps({"inputs": {"animal": each}}) + "\n" for each in SAID))
    return repo


def run(cli: Cli, *arguments: str, code: int = 0) -> dict[str, Any]:
    done = cli("shadow", "run", *VERSIONS, *arguments, "--json")
    assert done.code == code, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_answers_that_differ_in_words_are_measured_by_their_vectors(
    cli: Cli, farm: Repo, provider: Provider
) -> None:
    found = run(cli, *SEMANTIC)
    assert len(embeddings(provider)) == 3  # the same words need none
    assert embeddings(provider)[0].body["model"] == "text-embedding-3-small"
    assert found["likeness"]["semantic"] == 1
    close = found["likeness"]["closeness"]
    assert (close["pairs"], close["alike"], close["threshold"]) == (4, 2, 0.9)
    assert close["cosine"] == pytest.approx((math.cos(0.2) + math.cos(0.6) + 0.0) / 3)
    told = cli("shadow", "show", "sound").out.replace("\n", " ")
    assert "openai/text-embedding-3-small finds 2 of 4 alike (cosine from 0.9)" in told
    assert json.loads(cli("shadow", "show", "sound", "--json").out)["likeness"] == found["likeness"]
    assert run(cli, *SEMANTIC, "-o", "semantic-from=0.8")["likeness"]["closeness"]["alike"] == 3


def test_vectors_that_do_not_come_leave_pairs_unmeasured(cli: Cli, farm: Repo, provider: Provider) -> None:
    usual = provider.script
    assert callable(usual)
    provider.script = lambda each: status(503) if each.path.endswith("/embeddings") else usual(each)
    found = run(cli, *SEMANTIC)
    assert (found["pairs"], found["likeness"]["closeness"]["pairs"]) == (4, 1)


def test_a_model_without_vectors_ends_it_and_the_pairs_are_kept(
    cli: Cli, farm: Repo, provider: Provider
) -> None:
    usual = provider.script
    assert callable(usual)
    provider.script = lambda each: (
        status(404, "no such model", code="model_not_found")
        if each.path.endswith("/embeddings")
        else usual(each)
    )
    done = cli("shadow", "run", *VERSIONS, *SEMANTIC, "-j", "1")
    assert done.code == 4
    assert "no such model" in done.err
    provider.script = usual
    assert run(cli, *SEMANTIC)["likeness"]["closeness"]["alike"] == 2
    assert len(provider.requests) - len(embeddings(provider)) == 2 * len(SAID)  # no answer is asked for twice
    with RegistryDatabase.open(current_settings().registry) as registry:
        assert registry.read_one("SELECT count(*) FROM outcomes WHERE name = 'similarity'") == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-o", "semantic-from=0.8"), "-o semantic-from needs a model"),
        (("--semantic", "text-embedding-3-small"), "which provider?"),
        (("--semantic", "anthropic/claude-embed"), "embeddings come from an OpenAI-compatible endpoint"),
    ],
)
def test_what_gives_no_vectors_is_said(
    cli: Cli, farm: Repo, provider: Provider, arguments: tuple[str, ...], told: str
) -> None:
    done = cli("shadow", "run", *VERSIONS, *arguments)
    assert (done.code, told in done.err) == (4, True), done.err
    assert not provider.requests
