"""promptfoo configurations of any shape: imported, or refused with an error of promptops, in bounded time."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptops.config.settings import Settings, find_settings
from promptops.errors import Invalid
from promptops.interop.promptfoo.conditions import json_path_of, read_condition
from promptops.interop.promptfoo.expected import KNOWN_TYPES, assertion_of
from promptops.interop.promptfoo.importer import read_promptfoo
from promptops.interop.promptfoo.nunjucks import UntranslatableTemplate, to_jinja
from promptops.interop.reader import SourceFile
from promptops.interop.target import ImportTarget
from promptops.interop.writing import plan_import
from promptops.lint.context import LintProject
from support.front_door import Repo
from support.fuzzing import fuzz_settings

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]
TODAY = date(2026, 11, 29)
WORDS = st.sampled_from(
    [
        *(
            "{{x}}",
            "{{ x | dump }}",
            "{% for a in x %}{{a}}{% endfor %}",
            "file://a.txt",
            "file://t.csv",
            "*.txt",
            "echo",
        ),
        *(
            "openai:gpt-4o",
            "output.length < 5",
            "JSON.parse(output).a",
            "",
            "a",
            '[{"role": "user", "content": "{{x}}"}]',
        ),
        *("#/assertionTemplates/t", "x\ny", "text", "é", "0", "class"),
    ]
)
KEYS = st.sampled_from(
    [
        *(
            "prompts",
            "providers",
            "tests",
            "defaultTest",
            "scenarios",
            "vars",
            "assert",
            "type",
            "value",
            "options",
        ),
        *(
            "id",
            "label",
            "raw",
            "messages",
            "role",
            "content",
            "config",
            "threshold",
            "weight",
            "metric",
            "transform",
        ),
        *(
            "provider",
            "text",
            "embedding",
            "tools",
            "response_format",
            "generationConfig",
            "thinkingConfig",
            "prompt",
        ),
        *(
            "rubricPrompt",
            "factuality",
            "$ref",
            "assertionTemplates",
            "t",
            "tests",
            "path",
            "metadata",
            "description",
        ),
        *(
            "function_call",
            "tool_config",
            "system_prompt",
            "reasoning",
            "env",
            "x",
            "_conversation",
            "disableVarExpansion",
        ),
    ]
)
SCALARS = st.one_of(
    WORDS,
    st.none(),
    st.booleans(),
    st.integers(-5, 500),
    st.floats(-1, 2),
    st.sampled_from(sorted(KNOWN_TYPES)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)
ASSERTS = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(
                [*sorted(KNOWN_TYPES), "assert-set", "javascript", "python", "is-refusal", "not-contains"]
            )
        },
        optional={
            "value": VALUES,
            "threshold": SCALARS,
            "transform": WORDS,
            "provider": VALUES,
            "assert": VALUES,
            "metric": SCALARS,
        },
    ),
    max_size=3,
)
TESTS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"vars": VALUES, "assert": ASSERTS | VALUES, "options": VALUES, "metadata": VALUES}
    ),
    max_size=3,
)
CONFIGS = st.fixed_dictionaries(
    {"prompts": VALUES},
    optional={"providers": VALUES, "tests": TESTS | VALUES, "defaultTest": VALUES, "scenarios": VALUES},
)


@pytest.fixture
def project(repo: Repo) -> Settings:
    repo.write("foo/a.txt", "Say {{x}}\n---\nSing {{x}}")
    repo.write("foo/t.csv", "x,__expected\n1,contains:a\n")
    return find_settings(repo.path, {})


@fuzz_settings(60)
@given(config=CONFIGS)
def test_any_configuration_is_imported_or_refused(config: dict[str, Any], project: Settings) -> None:
    path = Path("foo/promptfooconfig.json")
    path.write_text(json.dumps(config), "utf-8")
    try:
        done = read_promptfoo(SourceFile(path), ImportTarget(), LintProject(project, TODAY))
        plan = plan_import([done], project, TODAY)
    except Invalid:
        return
    broken = {
        "bad-check",
        "bad-file",
        "bad-cases",
        "case-inputs",
        "schema",
        "yaml",
        "undeclared-variable",
        "duplicate-check-name",
    }
    assert [one for one in plan.lint.findings if one.rule in broken] == []


@given(text=st.text(st.sampled_from("{%}|x().!=<>&a'\"[]0 \n#-/")))
def test_any_text_is_a_template_or_none(text: str) -> None:
    try:
        to_jinja(text)
    except UntranslatableTemplate:
        return


@given(code=st.text(st.sampled_from("output.length<5&=!'\"[](){}/ \n")) | st.text())
def test_any_code_is_a_condition_or_none(code: str) -> None:
    read_condition(code)
    json_path_of(code)
    assert assertion_of(code)["type"]
