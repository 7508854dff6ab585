"""Any code, template or request gives prompts or an error of promptops, in bounded time."""

import json
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from promptops.config.settings import current_settings
from promptops.errors import PromptopsError
from promptops.interop.openai.curl_calls import curl_calls
from promptops.interop.openai.javascript_calls import javascript_calls
from promptops.interop.openai.literals import Call, plain_data
from promptops.interop.openai.python_calls import python_calls
from promptops.interop.sources import SOURCES
from promptops.interop.target import ImportTarget
from promptops.interop.writing import prompt_text
from promptops.lint.context import LintProject
from support.front_door import Repo
from support.fuzzing import CPU_SECONDS, fuzz_settings

pytestmark = [pytest.mark.slow, pytest.mark.no_cover]
WORDS = [
    "client.responses.create(", "chat.completions.create(", "prompt", "id", '"pmpt_1"', "variables",
    "{", "}", "(", ")", "[", "]", ":", ",", "=", "+", "...", "**", "`", "${", "'", '"', "\\", "/", "//",
    "/*", "*/", "\n",
    "const a = ", "a", "f'{a}'", "await ", "lambda: ", " if 1 else ", "-", "1_0", "\u2028", "\ud800",
    "\0", "#",
    "curl /v1/responses -d '", "@x", "input", "messages", "as any", ".trim()", ".strip()", "x" * 500,
]  # fmt: skip
CODE = st.lists(st.sampled_from(WORDS) | st.text(max_size=5), max_size=40).map("".join)
READERS: dict[str, Callable[[str], list[Call]]] = {
    "python": lambda text: python_calls(text, "a.py"),
    "javascript": javascript_calls,
    "curl": curl_calls,
}
KEYS = [
    "messages", "role", "content", "model", "input", "instructions", "prompt", "id", "variables", "tools",
    "type",
    "text", "format", "json_schema", "schema", "response_format", "object", "system", "defaults", "options",
    "fragments", "functions", "schema_object", "testData", "evaluators", "string", "contains", "llm",
    "choices",
    "choice", "score", "uses", "modelParameters", "responseFormat", "jsonSchema", "name", "reasoning",
]  # fmt: skip
SCALARS = st.sampled_from(
    ["user", "pmpt_1", "{{x}}", "$x", "$", "{% if", "function", "input_text", "json_schema", "response", "{}",
     "github/fluency", "gpt-4.1", "", None, True, 0, 1.5, -1]
)  # fmt: skip
DATA = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
    max_leaves=25,
)
FILES = {"prompt-yml": "a.prompt.yml", "llm": "a.yaml", "openai": "a.json"}


@pytest.mark.parametrize("language", READERS)
@fuzz_settings(60)
@given(text=CODE | st.builds(lambda word, times: word * times, st.sampled_from(WORDS), st.integers(1, 3000)))
def test_any_code_gives_calls_or_an_error(language: str, text: str) -> None:
    started = time.process_time()
    try:
        calls = READERS[language](text)
    except PromptopsError:
        calls = []
    for call in calls:
        json.dumps(plain_data(call.body))
    assert time.process_time() - started < CPU_SECONDS


@pytest.mark.parametrize("source", FILES)
@fuzz_settings(40)
@given(data=st.dictionaries(st.sampled_from(KEYS), DATA, min_size=1, max_size=8))
def test_any_data_gives_prompt_files_or_an_error(source: str, data: Any, repo: Repo) -> None:
    text = json.dumps(data) if source == "openai" else yaml.safe_dump(data)
    file = repo.write(FILES[source], text)
    project = LintProject(current_settings(), date(2026, 11, 29))
    try:
        done = SOURCES[source].read(Path(file), ImportTarget(), project)
    except PromptopsError:
        return
    for draft in done.prompts:
        assert prompt_text(draft, done.source)
    told = {finding.key.split(".")[0].split("[")[0] for finding in done.findings}
    assert all(key in told or "(the request)" in told or "(the answer)" in told for key in data)
