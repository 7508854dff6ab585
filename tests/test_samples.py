"""The sample prompts do what their cases say, on the real model."""

import asyncio
import os
import re
from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from promptops.checks import CheckSubject, compile_checks, run_checks
from promptops.config.settings import find_settings
from promptops.prompt import Prompt, load_prompt
from promptops.prompt.cases import Case, read_cases
from promptops.prompt.checks import read_checks
from promptops.prompt.render import render_prompt
from promptops.providers.catalog import Catalog
from promptops.providers.local.server import EmbeddedClient
from promptops.providers.types import CompletionRequest
from promptops.versions.working_tree import working_tree_reader
from support.paths import ROOT

PROMPTS = ROOT / "prompts"
NAMES = ("extract/contact", "sentiment", "summarize", "support/triage")
ENV = {name: value for name, value in os.environ.items() if name != "PROMPTOPS_LOCAL_GGUF"}


def load(name: str) -> Prompt:
    return load_prompt(name, working_tree_reader(find_settings(PROMPTS, {})))


def cases_of(prompt: Prompt) -> Iterator[Case]:
    assert prompt.cases
    with (PROMPTS / prompt.cases).open("rb") as lines:
        yield from read_cases(prompt.cases, lines)


def failures(prompt: Prompt, case: Case, output: str) -> list[str]:
    written = (*prompt.checks, *read_checks(case.checks, lambda *problem: pytest.fail(str(problem))))
    schema = prompt.output.schema if prompt.output else None
    subject = CheckSubject(output=output, inputs=case.inputs, expected=case.expected, schema=schema)
    results = run_checks(compile_checks(written, case.where), subject)
    return [f"{case.id}: {result.name}: {result.message}" for result in results if not result.passed]


def answer(adapter: EmbeddedClient, prompt: Prompt, case: Case) -> str:
    request = CompletionRequest(
        model=prompt.model,
        messages=render_prompt(prompt, case.inputs).messages,
        parameters=prompt.parameters,
        output_schema=prompt.output.schema if prompt.output else None,
    )
    return asyncio.run(adapter.complete(request)).text


def test_every_prompt_is_a_sample_with_cases() -> None:
    assert sorted(str(path.relative_to(PROMPTS).with_suffix("")) for path in PROMPTS.rglob("*.yaml")) == [
        *NAMES
    ]
    for name in NAMES:
        prompt = load(name)
        assert prompt.model == "local/smollm2-135m-instruct"
        assert prompt.description
        assert prompt.parameters["temperature"] == 0
        ids = [case.id for case in cases_of(prompt)]
        assert 5 <= len(ids) == len(set(ids)) <= 12


_MODEL = re.compile(r"[a-z_]+/[A-Za-z0-9][\w.:/-]*\w")
_BINARY = (".png", ".pyc")
_SHOWN = (
    "README.md",
    "docs/**/*.*",
    "prompts/**/*.*",
    "prompts/.*.json",
    "promptops/**/*.py",
    "promptops/**/*.j2",
)


def test_no_model_that_is_shown_retires_within_a_year() -> None:
    catalog = Catalog.load(None, {})
    year = date.fromisoformat(catalog.day) + timedelta(days=365)
    files = [
        file
        for pattern in _SHOWN
        for file in ROOT.glob(pattern)
        if file.suffix not in _BINARY and "interop" not in file.parts and not file.name.startswith("from-")
    ]  # without what files of other tools name
    texts = "\n".join(file.read_text(encoding="utf-8") for file in files)
    shown = set(_MODEL.findall(texts))
    assert "openai/gpt-5.4-mini-2026-03-17" in shown
    assert {name: day for name in shown if (day := catalog.deprecation_date(name)) and day <= f"{year}"} == {}


def test_samples_show_partials_and_schemas() -> None:
    closure = set(load("support/triage").closure)
    assert closure == {"support/triage.yaml", "schemas/triage.json", "partials/tone.md"}
    contact = load("extract/contact")
    assert contact.output
    assert set(contact.closure) == {"extract/contact.yaml", "partials/tone.md"}


@pytest.mark.embedded
@pytest.mark.thorough
@pytest.mark.parametrize("name", NAMES)
def test_its_cases_pass(name: str) -> None:
    """With the prefix cache, as in bulk work: the examples before the question are read once."""
    pytest.importorskip("xllamacpp", reason="no xllamacpp on this platform")
    prompt = load(name)
    adapter = EmbeddedClient(prompt.model, {**ENV, "PROMPTOPS_LOCAL_FAST": "1"})
    problems: list[str] = []
    for case in cases_of(prompt):
        problems += failures(prompt, case, answer(adapter, prompt, case))
    assert problems == []
