"""A shadow run on the embedded model: two versions of the sample prompt on sentences that people rated."""

import json
import os
from pathlib import Path

import pytest

from support.front_door import Cli, Repo
from support.paths import ROOT

SAMPLE = ROOT / "prompts/sentiment.yaml"
CACHE = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # before the tests' own home
CLEAR = 2.0  # of 4: how good or bad a sentence is on the average of its readers
LONGEST = 40
EXAMPLES = "  # Without these six examples"
QUESTION = '  - {role: user, content: "{{ text }}"}'


def rated(data: Path) -> str:
    """Clear short sentences, each with the label that its readers give it."""
    lines = []
    for raw in data.read_text(encoding="utf-8").splitlines():
        tweet = json.loads(raw)
        text, mean = tweet["input"], tweet["mean"]
        if abs(mean) >= CLEAR and len(text) <= LONGEST and "@" not in text and "http" not in text:
            lines.append({"inputs": {"text": text}, "expected": "good" if mean > 0 else "bad"})
    return "".join(json.dumps(each) + "\n" for each in lines)


@pytest.mark.embedded
@pytest.mark.thorough
def test_examples_make_the_sample_prompt_better_on_rated_sentences(
    repo: Repo, cli: Cli, shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("xllamacpp", reason="no xllamacpp on this platform")
    data = shared / "data/sentiment-raters/tweets.jsonl"
    if not data.exists():
        pytest.skip(f"needs {data}")
    monkeypatch.setenv("XDG_CACHE_HOME", CACHE)
    monkeypatch.setenv("PROMPTOPS_LOCAL_FAST", "1")
    six_shot = SAMPLE.read_text(encoding="utf-8").replace("max_tokens: 6", "max_tokens: 2")
    before, _, after = six_shot.partition(EXAMPLES)
    repo.write("prompts/sentiment.cases.jsonl", '{"inputs": {"text": "I love it."}, "expected": "good"}\n')
    repo.write("prompts/sentiment.yaml", before + after[after.index(QUESTION) :])
    repo.commit("Without examples")
    repo.write("prompts/sentiment.yaml", six_shot)
    repo.commit("With six examples")
    repo.write("rated.jsonl", rated(data))
    versions = ("sentiment@HEAD", "--against", "sentiment@HEAD~1")
    done = cli("shadow", "run", *versions, "--inputs", "rated.jsonl", "-j", "1", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["verdict"], found["stopped"]) == ("better", "verdict")
    assert 8 <= found["pairs"] <= 20
    quality = found["questions"][0]
    assert quality["candidate"] <= 0.3
    assert quality["control"] >= 0.7
    assert {each["name"] for each in found["checks"]} == {"one_of", "equals"}
    assert json.loads(cli("shadow", "show", "sentiment", "--json").out)["sentence"] == found["sentence"]
