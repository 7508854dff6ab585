"""Each rule on the least prompt that breaks it, and on its neighbour that does not."""

import json
import re
from datetime import date
from pathlib import Path

import pytest

from promptops.checks import CHECK_KINDS
from promptops.errors import Invalid
from promptops.lint import RULES
from promptops.lint.checks import EXACT_EQUIVALENTS, NEAR_EQUIVALENTS, WITHOUT_EQUIVALENT
from promptops.lint.load_errors import RULE_IDS
from promptops.lint.parameters import _ANTHROPIC_UNSUPPORTED, _SAMPLING, PARAMETER_SCHEMAS
from promptops.providers.litellm_client import import_litellm
from promptops.providers.parameters import sendable_parameters
from support.front_door import Repo
from support.lint_files import MODEL, TODAY, Linter, prompt


@pytest.fixture
def linter(repo: Repo) -> Linter:
    return Linter(repo.path)


INPUT = "inputs: {x: string}\n"
SCHEMA = """\
output:
  schema:
    type: object
    additionalProperties: false
    required: [a]
    properties: {a: {type: string}}
"""

BROKEN = {
    "merge-conflict": ("<<<<<<< HEAD\nmodel: a\n=======\nmodel: b\n>>>>>>> x\n", 1),
    "yaml-syntax": ("model: [a\n", 2),
    "encoding": (b"model: \xff\n", 1),
    "version-key": (prompt(more="version: 3\n"), 6),
    "unknown-key": (prompt(more="modle: x\n"), 6),
    "missing-key": ("model: m\n", 1),
    "bad-value": (prompt(more="tools: 3\n"), 6),
    "bad-input": (prompt(more="inputs: {x: strng}\n"), 6),
    "bad-include": (prompt('{% include "no.md" %}'), 5),
    "template-syntax": (prompt("one\n{% if x %}"), 6),
    "bad-schema": (prompt(more="output: {schema: {type: strng}}\n"), 6),
    "bad-file": (prompt(more="output: {schema: ../s.json}\n"), 6),
    "duplicate-check-name": (prompt(more="checks:\n  - {json: , name: a}\n  - {json: , name: a}\n"), 8),
    "bad-check": (prompt(more="checks:\n  - contans: a\n"), 7),
    "slow-pattern": (prompt(more="checks:\n  - regex: (x+x+)+y\n"), 7),
    "promptfoo-check": (prompt(more="checks:\n  - starts-with: a\n"), 7),
    "schemaless-check": (prompt(more="checks:\n  - json_schema\n"), 7),
    "crlf": (b"model: test/held\r\nmessages: [{role: user, content: hi}]\r\n", 1),
    "hidden-characters": (prompt("pay \u202eme"), 5),
    "secret": (prompt("use ghp_" + "a1" * 18), 5),
    "unknown-model": (prompt(model="test/none-2026-01-01"), 1),
    "floating-model": (prompt(model="openai/gpt-4o"), 1),
    "model-not-pinnable": (prompt(model="test/undated"), 1),
    "retired-model": (prompt(model="test/gone-2024-01-01"), 1),
    "retiring-model": (prompt(model="test/going-2024-01-01"), 1),
    "model-address": (prompt(model="huggingface/https://a.test/model-2026-01-01"), 1),
    "missing-ability": (
        prompt(model="test/blind-2026-01-01", more="tools: [{type: function, function: {name: f}}]\n"),
        6,
    ),
    "parameter-value": (prompt(more="parameters:\n  temperature: 3\n"), 7),
    "unknown-parameter": (prompt(more="parameters:\n  temprature: 1\n"), 7),
    "parameter-not-taken": (
        prompt(model="openai/o3-2025-04-16", more="parameters:\n  temperature: 0\n"),
        7,
    ),
    "parameter-conflict": (prompt(more="parameters:\n  top_logprobs: 1\n"), 7),
    "over-output": (prompt(more="parameters:\n  max_tokens: 4097\n"), 7),
    "over-window": (prompt("word " * 7000), 1),
    "over-budget": (prompt("word " * 20, more="max_input_tokens: 10\n"), 6),
    "loose-schema": (prompt(more="output: {schema: {type: object}}\n"), 6),
    "undeclared-variable": (prompt("one\n{{ x }}"), 6),
    "prints-json": (prompt("one\n{{ x }}", more="inputs: {x: object}\n"), 6),
    "unknown-keyword": (prompt("{{ x }}", more="inputs:\n  x:\n    type: string\n    minLenght: 1\n"), 9),
    "unused-input": (prompt(more=INPUT), 6),
    "unreached-branch": (prompt("{% if x %}a{% endif %}", more=INPUT), 5),
}


@pytest.mark.parametrize("rule", BROKEN)
def test_each_rule_names_the_line(linter: Linter, rule: str) -> None:
    text, line = BROKEN[rule]
    found = [finding for finding in linter.findings(text) if finding.rule == rule]
    assert [(each.path, each.line, each.severity) for each in found] == [
        ("prompts/p.yaml", line, RULES[rule].severity)
    ]


def test_a_sound_prompt_has_no_findings(linter: Linter) -> None:
    text = prompt("{{ x }}", more=INPUT + SCHEMA + "checks: [json_schema, {contains: a, not: true}]\n")
    assert linter.findings(text) == []


def test_ids_are_kebab_case_and_every_rule_has_a_line_of_help() -> None:
    for name, rule in RULES.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
        assert 10 < len(rule.summary) < 90
    assert set(RULE_IDS.values()) <= RULES.keys()


def test_what_is_broken_elsewhere_does_not_hide_the_model(linter: Linter) -> None:
    text = prompt("{% if %}", model="openai/gpt-4o")
    assert set(linter.rules(text)) >= {"template-syntax", "floating-model"}


def test_unknown_key_names_the_nearest(linter: Linter) -> None:
    (found, *_) = linter.findings("modle: a\nmessages: [{role: user, content: x}]\n")
    assert (found.rule, found.line, found.column) == ("unknown-key", 1, 1)
    assert "did you mean `model`" in found.message


def test_version_key_says_where_versions_are(linter: Linter) -> None:
    (found,) = linter.findings(prompt(more="version: 1.2\n"))
    assert "versions are the commits" in found.message
    assert "promptops history" in found.hint


def test_keys_of_other_tools_say_where_the_same_stands_here(linter: Linter) -> None:
    (found,) = linter.findings(prompt(more="testData: []\n"))
    assert (found.rule, found.message) == ("unknown-key", "unknown key `testData`")
    assert "`cases`" in found.hint


# models


def test_floating_alias_names_the_newest_dated_name_and_the_catalogues_date(linter: Linter) -> None:
    (found,) = [f for f in linter.findings(prompt(model="openai/gpt-4o")) if f.rule == "floating-model"]
    assert "openai/gpt-4o-2024-11-20`, which retires on 2027-01-14" in found.message
    assert found.hint == "pin it: openai/gpt-4o-2024-11-20"
    assert re.search(r"\(litellm \S+ of \d{4}-\d\d-\d\d\)", found.message)


def test_every_dated_model_that_the_program_and_its_pages_name_passes_lint(linter: Linter) -> None:
    root = Path(__file__).parents[2]
    pages = [*root.glob("promptops/**/*.py"), *root.glob("docs/**/*.md"), root / "README.md"]
    found = re.findall(
        r"\bopenai/[a-z0-9.-]+-\d{4}-\d\d-\d\d", "".join(page.read_text("utf-8") for page in pages)
    )
    assert {name for name in found if linter.rules(prompt(model=name))} == set()
    assert "openai/gpt-5.4-mini-2026-03-17" in found


def test_a_name_that_is_suggested_passes_lint_itself(linter: Linter) -> None:
    def suggested(*retiring: str) -> str:
        settings = "".join(f"  {name}: {{deprecation_date: 2026-04-01}}\n" for name in retiring)
        found = linter.findings(prompt(model="openai/gpt-4o"), settings)
        return next(each.hint for each in found if each.rule == "floating-model")

    dated = [f"openai/gpt-4o-{day}" for day in ("2024-05-13", "2024-08-06", "2024-11-20")]
    assert suggested(dated[2]) == f"pin it: {dated[1]}"
    assert suggested(*dated) == "pin a model that is served for longer"


def test_unknown_model_names_the_nearest_and_how_to_declare_it(linter: Linter) -> None:
    (found,) = linter.findings(prompt(model="openai/gpt-4o-mni-2024-07-18"))
    assert (found.rule, found.severity) == ("unknown-model", "warning")
    assert "did you mean `openai/gpt-4o-mini-2024-07-18`, which retires on 2027-01-14?" in found.message
    assert "promptops.yaml" in found.hint


@pytest.mark.parametrize(
    "model",
    [
        "local/smollm2-135m-instruct",
        "test/held",
        "test/later-2024-01-01",
        "openai/ft:gpt-4o-mini-2024-07-18:acme::abc",
        "anthropic/claude-opus-4-5-20251101",
        "bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0",
    ],
)
def test_pinned_models_pass(linter: Linter, model: str) -> None:
    found = set(linter.rules(prompt(model=model)))
    assert not found & {"unknown-model", "floating-model", "model-not-pinnable"}


def test_fallback_models_are_judged_too(linter: Linter) -> None:
    found = linter.findings(prompt(more=f"fallback:\n  - {MODEL}\n  - test/gone-2024-01-01\n"))
    assert [(each.rule, each.line) for each in found] == [("retired-model", 8)]


def test_retirement_is_counted_in_days(linter: Linter) -> None:
    assert date(2026, 5, 30).toordinal() - TODAY.toordinal() == 90
    (found,) = linter.findings(prompt(model="test/going-2024-01-01"))
    assert "in 90 days" in found.message
    assert linter.rules(prompt(model="test/going-2024-01-01"), "lint: {retirement_days: 89}\n") == []


def test_a_base_model_that_is_not_listed_is_named_with_the_nearest(linter: Linter) -> None:
    model = "azure/mine-2024-01-01"
    settings = f"  {model}: {{base_model: openai/gpt-4o-mni-2024-07-18}}\n"
    (found,) = [f for f in linter.findings(prompt(model=model), settings) if f.rule == "unknown-model"]
    assert "the base model `openai/gpt-4o-mni-2024-07-18` of `azure/mine-2024-01-01`" in found.message
    assert "did you mean `openai/gpt-4o-mini-2024-07-18`" in found.message


def test_images_need_a_model_that_sees(linter: Linter) -> None:
    text = """\
model: test/blind-2026-01-01
inputs: {photo: image}
messages:
  - role: user
    content:
      - text: what is this?
      - image: photo
"""
    assert [(f.rule, f.line) for f in linter.findings(text)] == [("missing-ability", 7)]


# parameters


@pytest.mark.parametrize(
    ("parameters", "rules"),
    [
        ("temperature: 0, top_p: 0.5, seed: 1, stop: [a]", []),
        ("temperature: hot", ["parameter-value"]),
        ("max_tokens: 0", ["parameter-value"]),
        ("n: 2", ["parameter-value"]),
        ("timeout: 3", ["parameter-value"]),
        ("max_tokens: 1, max_completion_tokens: 1", ["parameter-conflict"]),
        ("tool_choice: auto", ["parameter-conflict"]),
        ("logprobs: true, top_logprobs: 2", []),
        ("guided_json: {}", ["unknown-parameter"]),  # for servers of one's own, called directly
        ("mock_response: hi", ["unknown-parameter"]),
        ("extra_headers: {}, model_list: []", ["parameter-value", "unknown-parameter"]),
    ],
)
def test_parameters(linter: Linter, parameters: str, rules: list[str]) -> None:
    assert linter.rules(prompt(more=f"parameters: {{{parameters}}}\n")) == rules


@pytest.mark.parametrize(
    ("model", "parameters", "refused"),
    [
        ("openai/o3-2025-04-16", "max_tokens: 5", 1),
        ("openai/o3-2025-04-16", "temperature: 1, max_completion_tokens: 5", 0),
        ("openai/gpt-5-2025-08-07", "top_p: 0.5, logprobs: true", 2),
        ("openai/gpt-5.1-2025-11-13", "temperature: 0", 0),
        ("openai/gpt-5.1-2025-11-13", "temperature: 0, reasoning_effort: low", 1),
        ("openai/gpt-4o-2024-11-20", "temperature: 0, max_tokens: 5", 0),
        ("openai/gpt-4o-2024-11-20", "top_k: 5", 1),
        ("azure/o3-mini-2025-01-31", "max_tokens: 5", 0),
        ("anthropic/claude-opus-4-5-20251101", "seed: 1, temperature: 0.5", 1),
        ("anthropic/claude-opus-4-5-20251101", "temperature: 1.5", 1),
        ("anthropic/claude-opus-4-5-20251101", "temperature: 0, thinking: {type: enabled}", 1),
        ("anthropic/claude-opus-4-5-20251101", "temperature: 0, thinking: {type: disabled}", 0),
        ("anthropic/claude-opus-4-5-20251101", "temperature: 0, reasoning_effort: high", 1),
    ],
)
def test_parameters_that_a_model_does_not_take(
    linter: Linter, model: str, parameters: str, refused: int
) -> None:
    found = linter.rules(prompt(model=model, more=f"parameters: {{{parameters}}}\n"))
    assert found.count("parameter-not-taken") == refused


def test_what_servers_of_ones_own_take_is_known(linter: Linter) -> None:
    text = prompt(model="hosted_vllm/mine-2026-01-01", more="parameters: {guided_json: {}}\n")
    assert "unknown-parameter" not in linter.rules(text)


def test_a_parameter_must_be_known_to_every_fallback_too(linter: Linter) -> None:
    more = "fallback: [anthropic/claude-sonnet-4-5-20250929]\nparameters: {guided_json: {}}\n"
    assert "unknown-parameter" in linter.rules(prompt(model="hosted_vllm/mine-2026-01-01", more=more))


def test_every_parameter_with_a_schema_can_be_sent() -> None:
    assert PARAMETER_SCHEMAS.keys() <= sendable_parameters(direct=True)


@pytest.mark.no_cover
@pytest.mark.filterwarnings("ignore")  # litellm's own
@pytest.mark.slow
def test_parameters_agree_with_litellm() -> None:
    pytest.importorskip("litellm")
    supported = import_litellm().get_supported_openai_params
    beside = {"extra_headers", "max_retries", "stream", "tools"}
    for model, provider in (
        ("claude-opus-4-5-20251101", "anthropic"),
        ("gemini-2.5-pro", "gemini"),
        ("gpt-4o-2024-11-20", "openai"),
        ("gpt-5-2025-08-07", "openai"),
    ):
        taken = set(supported(model, provider))
        assert taken <= PARAMETER_SCHEMAS.keys() | beside, model
        lacks = _ANTHROPIC_UNSUPPORTED if provider == "anthropic" else frozenset[str]()
        assert not taken & lacks
    assert not taken & (_SAMPLING - {"temperature"})


def test_a_written_response_format_goes_before_the_schema(linter: Linter) -> None:
    text = prompt(more=SCHEMA + "parameters: {response_format: {type: json_object}}\n")
    assert linter.rules(text) == ["parameter-conflict"]


# limits


def test_an_answer_is_held_against_the_window_where_no_limit_is_known(linter: Linter) -> None:
    (found,) = linter.findings(prompt(model="test/held", more="parameters: {max_tokens: 9000}\n"))
    assert "has a window of 8,192" in found.message


def test_loops_and_defaults_count_before_any_input(linter: Linter) -> None:
    loop = prompt("{% for n in range(200) %}words and words {% endfor %}", more="max_input_tokens: 100\n")
    assert "over-budget" in linter.rules(loop)
    default = f"inputs: {{x: {{type: string, default: {'word ' * 200}}}}}\nmax_input_tokens: 100\n"
    assert "over-budget" in linter.rules(prompt("{{ x }}", more=default))
    needs = prompt("{% for n in x.y.z() %}{% endfor %}", more=INPUT + "max_input_tokens: 100\n")
    assert "over-budget" not in linter.rules(needs)


# output schema


CLOSED = "type: object, additionalProperties: false"
ONE = f"{CLOSED}, required: [a]"


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ("type: array, items: {type: string}", "its top must be `type: object`"),
        ("type: object, properties: {a: {type: string}}", "additionalProperties: false"),
        (f"{CLOSED}, properties: {{a: {{type: string}}}}", "must name every property; `a`"),
        (f"{ONE}, properties: {{a: {{type: string, maxLength: 3}}}}", "`maxLength` is not taken"),
        (f"{ONE}, properties: {{a: {{}}}}", "it needs a `type`"),
        (f"{ONE}, properties: {{a: true}}", "must be a mapping"),
        (f"{ONE}, properties: {{a: {{type: array, items: {{type: object}}}}}}", "at `properties.a.items`"),
        (
            f"{ONE}, properties: {{a: {{anyOf: [{{type: string}}, {{type: object}}]}}}}",
            "at `properties.a.anyOf.1`",
        ),
        (f"{ONE}, properties: {{a: {{type: [string, object]}}}}", "what strict mode does not take"),
        ("type: object, oneOf: [{type: object}]", "additionalProperties: false"),
    ],
)
def test_why_a_schema_is_not_strict(linter: Linter, schema: str, reason: str) -> None:
    (found,) = linter.findings(prompt(more=f"output: {{schema: {{{schema}}}}}\n"))
    assert found.rule == "loose-schema"
    assert reason in found.message


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            "inputs: {x: {type: array, items: {type: string, minLenght: 1}}}",
            "`minLenght` (did you mean `minLength`?)",
        ),
        ("inputs: {x: {anyOf: [{type: string}, {enmu: [a]}]}}", "`enmu` (did you mean `enum`?)"),
        ("inputs: {x: {type: string, nullable: true}}", '`type: [string, "null"]`'),
        (f"output: {{schema: {{{ONE}, requried: [a]}}}}", "`requried` (did you mean `required`?)"),
        (
            "tools: [{type: function, function: {name: f, parameters: {properties: {a: {tpye: string}}}}}]",
            "`tpye` (did you mean `type`?)",
        ),
        ("inputs: {x: {type: string, x-owner: ada, examples: [{minLenght: 1}], untrusted: true}}", ""),
        ("inputs: {x: {type: object, properties: {minLenght: {type: string}}}}", ""),
        ("inputs: {x: {const: {minLenght: 1}}}", ""),
        ("inputs: {x: {type: object, propertyOrdering: [b, a]}}", ""),  # Gemini's
    ],
)
def test_words_that_json_schema_does_not_have(linter: Linter, more: str, said: str) -> None:
    found = [
        f"{each.message} — {each.hint}"
        for each in linter.findings(prompt(more=f"{more}\n"))
        if each.rule == "unknown-keyword"
    ]
    assert [said in message for message in found] == ([True] if said else [])


def closed(properties: dict[str, object]) -> dict[str, object]:
    names = list(properties)
    return {"type": "object", "additionalProperties": False, "required": names, "properties": properties}


def test_a_schema_can_be_too_deep_or_too_wide(linter: Linter) -> None:
    deep: dict[str, object] = {"type": "string"}
    for _ in range(11):
        deep = closed({"a": deep})
    wide = closed({f"p{number}": {"type": "null"} for number in range(5001)})
    text = prompt(more="output: {schema: s.json}\n")
    for schema, said in ((deep, "nests 11 levels"), (wide, "5,001 properties")):
        (found,) = linter.findings(text, s__json=json.dumps(schema))
        assert said in found.message


def test_an_embedded_model_takes_any_schema(linter: Linter) -> None:
    text = prompt(model="local/smollm2-135m-instruct", more="output: {schema: {type: object}}\n")
    assert linter.rules(text) == []


# variables


def test_an_undeclared_variable_names_the_nearest_input(linter: Linter) -> None:
    found = linter.findings(prompt("a\nb {{ tickt }} {{ ticket }}", more="inputs: {ticket: string}\n"))
    assert [(f.rule, f.line) for f in found] == [("undeclared-variable", 6)]
    assert "did you mean `ticket`" in found[0].message


def test_an_undeclared_variable_of_a_partial_is_found_there(linter: Linter) -> None:
    (found,) = linter.findings(prompt('{% include "t.md" %}'), t__md="tone\nof tone {{ tone }}\n")
    assert (found.path, found.line) == ("prompts/t.md", 2)
    assert "inputs: {tone: string}" in found.hint


def test_inputs_are_used_by_inserts_images_and_checks(linter: Linter) -> None:
    text = f"""\
model: {MODEL}
inputs: {{chat: messages, photo: image, word: string}}
messages:
  - insert: chat
  - role: user
    content: [{{image: photo}}]
checks:
  - contains: "{{{{ word }}}}"
  - one_of: ["{{{{ word }}}}", "{{{{ broken"]
"""
    assert "unused-input" not in linter.rules(text)


def test_never_varied(linter: Linter) -> None:
    more = "inputs: {x: string, y: string}\ncases: c.jsonl\n"
    cases = '{"inputs": {"x": "a", "y": "b"}}\n{"inputs": {"x": "a", "y": "c"}}\n'
    found = linter.findings(prompt("{{ x }}{{ y }}", more=more), c__jsonl=cases)
    assert [(f.rule, f.line, f.column) for f in found] == [("never-varied", 6, 10)]
    assert "`x` is the same in all 2 cases" in found[0].message
    one = linter.rules(prompt("{{ x }}{{ y }}", more=more), c__jsonl=cases.split("\n", maxsplit=1)[0])
    assert one == []
    constant = prompt("{{ x }}", more="inputs: {x: {enum: [a]}}\n")
    assert linter.rules(constant) == ["never-varied"]


# checks


def test_promptfoos_words_are_none_of_ours() -> None:
    assert not (EXACT_EQUIVALENTS.keys() | NEAR_EQUIVALENTS.keys()) & CHECK_KINDS.keys()
    assert EXACT_EQUIVALENTS["is-json"] in CHECK_KINDS


@pytest.mark.parametrize(
    ("check", "said"),
    [
        ("is-json", "the check `json`"),
        ("is-json: {type: object}", "the check `json_schema`"),
        ("not-contains: a", "the check `contains` with `not: true`"),
        ("{type: contains, value: a}", "the check `contains`"),
        ("{type: not-is-json}", "the check `json`"),
        ("{type: moderation, value: a}", "`moderation` is promptfoo's"),
        ("contains-json", "the check `json` comes near"),
        ("webhook: a", "there is no such check here"),
    ],
)
def test_promptfoo_checks_name_ours(linter: Linter, check: str, said: str) -> None:
    (found,) = linter.findings(prompt(more=f"checks:\n  - {check}\n"))
    assert (found.rule, found.line) == ("promptfoo-check", 7)
    assert said in found.message


def test_every_word_of_promptfoo_is_explained(linter: Linter) -> None:
    for word in (*EXACT_EQUIVALENTS, *NEAR_EQUIVALENTS, *(WITHOUT_EQUIVALENT - CHECK_KINDS.keys())):
        assert linter.rules(prompt(more=f"checks:\n  - {word}: a\n")) == ["promptfoo-check"], word


def test_checks_with_bad_arguments_and_entries(linter: Linter) -> None:
    for check in ("regex: '('", "max_chars: many", "contains"):
        assert linter.rules(prompt(more=f"checks:\n  - {check}\n")) == ["bad-check"], check
    assert linter.rules(prompt(more="checks:\n  - {contains: a, regex: b}\n")) == ["bad-check"]


# severities


def test_severities_are_set_by_rule(linter: Linter) -> None:
    floating = prompt(model="openai/gpt-4o")
    off = linter.rules(floating, "lint: {rules: {floating-model: off}}\n")
    assert "floating-model" not in off
    found = linter.findings(floating, "lint: {rules: {floating-model: warning}}\n")
    assert {f.severity for f in found if f.rule == "floating-model"} == {"warning"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("lint: {rules: {floating-modl: off}}\n", "did you mean `floating-model`"),
        ("lint: {rules: {yaml-syntax: off}}\n", "always an error"),
        ("lint: {rules: {crlf: of}}\n", "must be one of off, note, warning, error"),
        ("lint: {ruls: {}}\n", "did you mean `rules`"),
        ("lint: {retirement_days: soon}\n", "must be a whole number"),
    ],
)
def test_settings_of_rules_are_checked(linter: Linter, settings: str, said: str) -> None:
    with pytest.raises(Invalid, match=re.escape(said)):
        linter.rules(prompt(), settings)
