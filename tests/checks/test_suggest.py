import json
from typing import Any

import pytest

from promptops.checks import compile_checks
from promptops.checks.judge import judge_from_prompt
from promptops.checks.suggest import suggest_checks
from promptops.config.settings import current_settings
from promptops.prompt import load_prompt
from promptops.prompt.checks import read_checks
from promptops.versions.resolve import resolve_version
from support.front_door import Cli, Repo
from support.prompt_files import load_text


def drafts(system: str, **keys: Any) -> list[Any]:
    messages = [{"role": "system", "content": system}, *keys.pop("examples", ())]
    body = {"model": "m", "messages": [*messages, {"role": "user", "content": "go"}], **keys}
    found = suggest_checks(load_text(json.dumps(body)))
    checks = read_checks([each.entry for each in found], lambda *problem: pytest.fail(str(problem)))
    compile_checks(checks, "p.yaml")
    assert all(each.reason for each in found)
    return [each.entry for each in found if each.entry != {"not": "refusal"}]


@pytest.mark.parametrize(
    ("words", "entry"),
    [
        ("Label each message as good or bad.", {"one_of": ["good", "bad"]}),
        (
            "Route it to one queue: billing, technical or account.",
            {"one_of": ["billing", "technical", "account"]},
        ),
        ("Answer with one of: 'yes', 'no', 'maybe'.", {"one_of": ["yes", "no", "maybe"]}),
        ("Answer in one word.", {"max_words": 1}),
        ("Use at most 50 words.", {"max_words": 50}),
        ("Keep it under 1,000 characters.", {"max_chars": 999}),
        ("Write 30 words or fewer.", {"max_words": 30}),
        ("Write at least twenty or so, at least 20 words.", {"min_words": 20}),
        ("Write more than 20 words.", {"min_words": 21}),
        ("Answer with JSON only.", "json"),
        ('Start your answer with "Dear customer".', {"starts_with": "Dear customer"}),
        ("Always end the letter with 'Kind regards'.", {"ends_with": "Kind regards"}),
        ("Reply in German.", {"language": "de"}),
        (
            "Never mention the word 'refund'.",
            {"not": {"icontains": "refund"}, "name": "says_nothing_forbidden"},
        ),
    ],
)
def test_the_words_of_a_prompt_become_checks(words: str, entry: Any) -> None:
    assert drafts(words) == [entry]


def test_sentences_and_numbers_become_patterns() -> None:
    (sentence,) = drafts("Summarize it in one short sentence.")
    (number,) = drafts("Give only the number.")
    assert (sentence["name"], number["name"]) == ("one_sentence", "a_number_alone")


def test_prose_without_demands_asks_for_nothing() -> None:
    assert drafts("You are a careful assistant. Be kind, and think of the reader.") == []


def test_schema_parameters_and_examples_count() -> None:
    assert drafts("Answer with JSON.", output={"schema": {"type": "object"}}) == ["json_schema"]
    assert drafts("x", parameters={"response_format": {"type": "json_object"}}) == ["json"]
    assert drafts("x", parameters={"max_tokens": 6}) == [{"max_words": 6}]
    examples = [{"role": "assistant", "content": each} for each in ("up", "down", "up")]
    assert drafts("x", examples=examples) == [{"one_of": ["up", "down"]}]


def test_inputs_that_are_sources_or_personal_count() -> None:
    inputs = {"context": "string", "gender": {"enum": ["f", "m"]}}
    assert drafts("x", inputs=inputs) == [
        {"grounded": "context"},
        {"invariant": {"input": "gender", "values": ["f", "m"]}},
    ]


def test_what_a_prompt_checks_already_is_not_suggested() -> None:
    assert drafts("Answer in one word, good or bad.", checks=[{"max_words": 1}]) == []


PROMPT = """\
model: openai/gpt-4o-mini-2024-07-18
inputs: {ticket: string}
messages:
  - role: system
    content: |
      Label each ticket as good or bad. {not a template}
      Answer in one word.
  - {role: user, content: "{{ ticket }}"}
"""


def test_drafts_are_printed_and_nothing_is_written(repo: Repo, cli: Cli) -> None:
    repo.write("prompts/route.yaml", PROMPT)
    repo.commit()
    done = cli("checks", "suggest", "route")
    assert done.code == 0
    assert "  - {one_of: [good, bad]} # “Label each ticket as good or bad”" in done.out
    assert "- judge: judges/route" in done.out
    assert repo.git("status", "--porcelain") == ""
    found = json.loads(cli("checks", "suggest", "route", "--json").out)
    assert found["checks"][0]["check"] == {"one_of": ["good", "bad"]}
    assert found["judge"]["name"] == "judges/route"


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "checks:\n  - max_chars: 9\n",
        "checks: []\n",
        "checks:\n- max_chars: 9  # short\n- regex: |\n    ^a\n\n# the owner\nmetadata: {owner: me}",
    ],
)
def test_drafts_are_written_beside_what_is_there(repo: Repo, cli: Cli, ending: str) -> None:
    repo.write("prompts/route.yaml", PROMPT + ending)
    before = resolve_version("route", current_settings()).prompt
    done = cli("checks", "suggest", "route", "--write")
    if ending == "checks: []\n":
        assert (done.code, "cannot be added to" in done.err) == (4, True)
        return
    assert done.code == 0, done.err
    after = resolve_version("route", current_settings()).prompt
    assert after.digest == before.digest
    assert len(after.checks) == len(before.checks) + 3
    assert (
        "# the owner" in (repo.path / "prompts/route.yaml").read_text(encoding="utf-8")
        or "owner" not in ending
    )
    judge = resolve_version("judges/route", current_settings()).prompt
    assert judge_from_prompt(judge).scale.kind == "score"
    assert set(judge.inputs) == {"ticket", "output"}
    again = cli("checks", "suggest", "route", "--write")
    assert (again.code, "stays as it is" in again.err) == (0, True)
    assert len(resolve_version("route", current_settings()).prompt.checks) == len(after.checks)
    rendered = cli("render", "judges/route", "-i", "ticket=t", "-i", "output=o").out
    assert "{not a template}" in rendered


def test_only_the_working_tree_is_written(repo: Repo, cli: Cli) -> None:
    repo.write("prompts/route.yaml", PROMPT)
    repo.commit()
    assert cli("checks", "suggest", "route@HEAD").code == 0
    assert "is not in the working tree" in cli("checks", "suggest", "route@HEAD", "--write").err


def test_the_samples_get_sensible_drafts() -> None:
    from promptops.versions.working_tree import working_tree_reader

    read = working_tree_reader(current_settings())
    found = {
        name: [each.entry for each in suggest_checks(load_prompt(name, read))]
        for name in ("sentiment", "summarize", "support/triage", "extract/contact")
    }
    assert found["sentiment"] == [{"max_words": 6}, {"not": "refusal"}]
    assert found["summarize"] == [{"not": "refusal"}]
