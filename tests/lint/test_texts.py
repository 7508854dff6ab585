"""Secrets, hidden characters, line endings, and the comments that silence a finding."""

import base64
import json
import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from promptops.lint.encoding import hidden_characters
from promptops.lint.secrets import find_secrets
from promptops.privacy.secrets import _MODEL_KEYS, _detectors, may_hold_secret, secrets_in_text
from support.front_door import Repo
from support.lint_files import Linter, prompt


@pytest.fixture
def linter(repo: Repo) -> Linter:
    return Linter(repo.path)


def _part(data: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")


TOKEN = "aB3dE5gH7jK9mN1pQ3sT5vX7zA2cF4hJ6kL8"  # 36 letters and digits, made up
SECRETS = {
    "AWS Access Key": f"AKIA{TOKEN.upper()[:16]}",
    "Azure Storage Account access key": f"AccountKey={(TOKEN * 3)[:86]}==",
    "Basic Auth Credentials": "https://ada:hunter2@example.org/x",
    "Discord Bot Token": f"M{TOKEN[:23]}.{TOKEN[:6]}.{TOKEN[:27]}",
    "GitHub Token": f"ghp_{TOKEN}",
    "GitLab Token": f"glpat-{TOKEN[:20]}",
    "IBM Cloud IAM Key": f"ibm_cloud_api_key = {(TOKEN * 2)[:44]}",
    "JSON Web Token": f"{_part({'alg': 'HS256'})}.{_part({'sub': 'ada'})}.{TOKEN}",
    "Mailchimp Access Key": f"{'0123456789abcdef' * 2}-us10",
    "NPM tokens": f"//registry.example.org/:_authToken=npm_{TOKEN}",
    "OpenAI Token": f"sk-{TOKEN[:20]}T3BlbkFJ{TOKEN[:20]}",
    "Private Key": "-----BEGIN RSA PRIVATE KEY-----",
    "PyPI Token": f"pypi-AgEIcHlwaS5vcmc{TOKEN * 2}",
    "SendGrid API Key": f"SG.{TOKEN[:22]}.{(TOKEN * 2)[:43]}",
    "Slack Token": "xoxb-1234-5678-abcdef",
    "Square OAuth Secret": f"sq0csp-{(TOKEN * 2)[:43]}",
    "Stripe Access Key": f"sk_live_{TOKEN[:24]}",
    "Telegram Bot Token": f"123456789:{TOKEN[:35]}",
    "Twilio API Key": f"AC{'0123456789abcdef' * 2}",
    "Anthropic API Key": f"sk-ant-api03-{TOKEN}",
    "Google API Key": f"AIza{TOKEN[:35]}",
    "Groq API Key": f"gsk_{(TOKEN * 2)[:52]}",
    "Hugging Face Token": f"hf_{TOKEN[:34]}",
    "NVIDIA API Key": f"nvapi-{(TOKEN * 2)[:64]}",
    "Perplexity API Key": f"pplx-{(TOKEN * 2)[:48]}",
    "Replicate API Token": f"r8_{(TOKEN * 2)[:37]}",
    "OpenRouter API Key": f"sk-or-v1-{'0123456789abcdef' * 4}",
    "xAI API Key": f"xai-{(TOKEN * 3)[:80]}",
}


def _patterns() -> Iterator[str]:
    yield from _MODEL_KEYS.values()
    for detector in _detectors():
        yield from (each.pattern for each in detector.denylist)  # type: ignore[attr-defined]  # of every detector that goes by patterns


@pytest.mark.parametrize("kind", SECRETS)
def test_secrets_are_found_and_not_repeated(kind: str) -> None:
    text = f"first line\n  use {SECRETS[kind]} here\n"
    found = list(find_secrets("prompts/p.yaml", text))
    assert kind in {each.message.partition("(")[2].rstrip(")") for each in found}
    assert {each.position.line for each in found} == {2}
    assert not any(SECRETS[kind] in f"{each.message} {each.hint}" for each in found)


@pytest.mark.parametrize("kind", SECRETS)
@pytest.mark.parametrize("beside", ["\u96fb\u8a71", "\u00e9"])
def test_letters_of_another_script_beside_a_secret_hide_nothing(kind: str, beside: str) -> None:
    text = f"{beside}{SECRETS[kind]}{beside}"
    secret = next(each for name, each, _ in secrets_in_text(text) if name == kind)
    assert secret in SECRETS[kind] or kind == "NPM tokens"


@pytest.mark.parametrize(
    "secret",
    [
        "Xoxb-1-2-abc",
        f"hf_{'aBcDeFgHiJ' * 4}"[:37],
        f"api_org_{'aBcDeFgHiJ' * 4}"[:42],
        "AKIAABCDEFGHIJKLMNOP",
        f"AC{'abcdefgh' * 4}",
        f"{'abcdefgh' * 4}-us10",
        f"gsk_{'aBcDeFgHiJ' * 6}"[:56],
        f"SECRET_KEY = aws_key = '{'a/B+' * 10}'",
        "HTTPS://HOOKS.SLACK.COM/services/Tab/Bcd/efg",
    ],
)
def test_secrets_of_letters_alone_are_found(secret: str) -> None:
    assert list(find_secrets("prompts/p.yaml", f"use {secret} here"))


@pytest.mark.no_cover
@pytest.mark.parametrize("pattern", sorted({*_patterns()}))
@settings(
    max_examples=8, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
@given(data=st.data())
def test_what_looks_first_is_no_narrower_than_what_looks_closely(pattern: str, data: st.DataObject) -> None:
    text = data.draw(st.from_regex(re.compile(pattern, re.ASCII)))
    assert may_hold_secret(text) or "{" in text or "}" in text


def test_ordinary_words_are_not_even_suspected() -> None:
    for text in (
        "model: openai/gpt-4o-mini-2024-07-18\n",
        "model: bedrock/anthropic.claude-opus-4-5-20251101\n",
        "See https://example.org/a/long/path/with-many-words?and=more, or write to ada@example.org.\n",
        "internationalization and_a_long_snake_case_name {{ variable_name }}\n",
    ):
        assert not may_hold_secret(text), text


def test_rows_of_digits_are_not_even_suspected() -> None:
    assert not may_hold_secret("0123456789" * 200)
    assert may_hold_secret(f"{'0123456789' * 4}0:{'0123456789' * 4}")


def test_secrets_in_partials_schemas_and_cases(linter: Linter) -> None:
    token = SECRETS["GitHub Token"]
    more = "output: {schema: s.json}\ncases: c.jsonl\n"
    found = linter.findings(
        prompt('{% include "t.md" %}', model="local/x", more=more),
        t__md=f"one\n{token}\n",
        s__json=f'{{"description": "{token}"}}',
        c__jsonl=f'{{"inputs": {{}}, "expected": "{token}"}}\n',
    )
    assert [(f.rule, f.path, f.line) for f in found] == [
        ("secret", "prompts/c.jsonl", 1),
        ("secret", "prompts/s.json", 1),
        ("secret", "prompts/t.md", 2),
    ]


def test_hidden_characters_are_named(linter: Linter) -> None:
    (found,) = linter.findings(prompt("a \u2066b"))
    assert (found.column, "U+2066 (left-to-right isolate)" in found.message) == (9, True)
    assert [f.line for f in linter.findings(prompt("\u202ea\u202c\nb\n\u202dc"))] == [5, 7]
    (tag,) = linter.findings(prompt("a \U000e0041b"))
    assert "invisible tag" in tag.message
    assert linter.rules(prompt("ein Überfluß 日本語 🎉")) == []
    assert linter.rules(prompt("a", more='description: "an escape \\u202e is seen"\n')) == []


def test_a_shared_partial_is_said_once(linter: Linter) -> None:
    text = prompt('{% include "t.md" %}')
    report = linter.report({"p.yaml": text, "q.yaml": text, "t.md": "{{ tone }}\r\n"})
    assert [finding.rule for finding in report.findings] == ["undeclared-variable", "crlf"]


# ignores

FLOATING = "model: openai/gpt-4o{}\nmessages: [{{role: user, content: hi}}]\n"


@pytest.mark.parametrize(
    "text",
    [
        FLOATING.format("  # promptops: ignore[floating-model] the newest is wanted here"),
        "# promptops: ignore[floating-model]: the newest is wanted here\n" + FLOATING.format(""),
        "# promptops: ignore[floating-model, crlf] the newest is wanted\n" + FLOATING.format(""),
    ],
)
def test_a_comment_with_a_reason_silences(linter: Linter, text: str) -> None:
    assert not {"floating-model", "bad-ignore"} & set(linter.rules(text))


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("# promptops: ignore[floating-model]", "gives its reason"),
        ("# promptops: ignore[floating-model] -", "gives its reason"),
        ("# promptops: ignore[floating-modl] why", "did you mean `floating-model`"),
        ("# promptops: ignore[yaml-syntax] why", "unknown rule"),
        ("# promptops: ignore[] why", "names the rule"),
        ("# promptops: ignore why", "names the rule"),
    ],
)
def test_an_ignore_that_is_wrong_is_a_finding_and_silences_nothing(
    linter: Linter, comment: str, said: str
) -> None:
    found = linter.findings(FLOATING.format(f"  {comment}"))
    assert {"bad-ignore", "floating-model"} <= {each.rule for each in found}
    (bad,) = [each for each in found if each.rule == "bad-ignore"]
    assert (bad.line, bad.column) == (1, 23)
    assert said in bad.message


def test_a_comment_behind_a_value_covers_its_own_line_alone(linter: Linter) -> None:
    text = "description: x  # promptops: ignore[floating-model] not this one\n" + FLOATING.format("")
    assert "floating-model" in linter.rules(text)


def test_templates_have_comments_of_their_own(linter: Linter) -> None:
    text = prompt("{# promptops: ignore[undeclared-variable] set by the caller #}\n{{ x }}")
    assert linter.rules(text) == []
    partial = "{#- promptops: ignore[undeclared-variable] set by the caller -#}\n{{ x }}"
    assert linter.rules(prompt('{% include "t.md" %}'), t__md=partial) == []


def test_a_comment_inside_a_text_is_no_comment(linter: Linter) -> None:
    found = linter.findings(prompt("# promptops: ignore[undeclared-variable] why\n{{ x }}"))
    assert [each.rule for each in found] == ["bad-ignore", "undeclared-variable"]
    assert "would be sent" in found[0].message


def test_a_file_that_cannot_be_read_keeps_its_finding(linter: Linter) -> None:
    assert linter.rules("# promptops: ignore[secret] why\nmodel: [\n") == ["yaml-syntax"]


@pytest.mark.no_cover
@pytest.mark.parametrize("piece", ["://a:", "sk-", "a:b@", "eyJ", "password = '"])
def test_looking_for_secrets_takes_no_square_of_time(piece: str) -> None:
    started = time.process_time()
    list(find_secrets("prompts/p.md", piece * (30_000 // len(piece))))
    assert time.process_time() - started < 4


@pytest.mark.parametrize("before", [0, 3_490, 3_990, 4_000, 7_000, 50_000])
def test_a_secret_is_found_wherever_it_stands_in_a_long_line(before: int) -> None:
    text = "word " * (before // 5) + " ghp_" + "a1" * 18 + " word" * 1_000
    (found,) = find_secrets("prompts/p.md", text)
    assert found.position.column == before // 5 * 5 + 2


@pytest.mark.parametrize("code", ["gbsct", "gbeng", "ustx", "cazz9"])
def test_flags_of_parts_of_countries_hide_nothing(code: str) -> None:
    tags = "".join(chr(0xE0000 + ord(letter)) for letter in code)
    assert list(hidden_characters("p.yaml", f"Hi \U0001f3f4{tags}\U000e007f!")) == []
    for text in (f"Hi {tags}\U000e007f", f"\U0001f3f4{tags}", f"\U0001f3f4{tags}{tags}\U000e007f"):
        assert list(hidden_characters("p.yaml", text))
