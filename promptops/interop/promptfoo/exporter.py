"""Prompts with their cases and checks as a promptfoo configuration."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from promptops.checks import compile_checks
from promptops.config.settings import Settings
from promptops.config.yaml import YamlPath
from promptops.config.yaml_style import write_yaml
from promptops.errors import Invalid, NotFound
from promptops.interop.exporters import ExportSubject
from promptops.interop.model import ExportedFiles, Finding, Verdict
from promptops.interop.promptfoo.export_checks import (
    Assertion,
    NoAssertion,
    assertion_of_check,
    uses_expected,
    with_expected,
)
from promptops.interop.promptfoo.export_texts import prompt_entry
from promptops.interop.promptfoo.provider_ids import provider_id
from promptops.prompt import Check, Prompt, load_prompt
from promptops.prompt.cases import Case, expected_json, iter_lines, read_cases
from promptops.prompt.checks import read_case_checks

_CONTENT_HASH = re.compile(r"[0-9a-f]{12}")  # an id that no file gives
_UNSAID: Mapping[str, str] = {
    "caller_tools": "promptfoo has no callers",
    "fallback": "promptfoo asks one model at a time; name it as another provider",
    "log": "logging is configured only in promptops",
    "max_input_tokens": "promptfoo counts no tokens beforehand",
    "metadata": "it stays in the prompt file",
    "retention": "retention is configured only in promptops",
    "probes": "only promptops monitors models",
    "review": "promptfoo releases no answers",
}


def write_promptfoo(subjects: Sequence[ExportSubject], _: Settings) -> ExportedFiles:
    config = _ConfigExport(subjects)
    text = write_yaml(config.data(), _in_brackets)
    return ExportedFiles(form="promptfoo", files={"promptfooconfig.yaml": text}, findings=config.findings)


def _in_brackets(path: YamlPath) -> bool:
    return len(path) > 2 or path == ("prompts",)


class _ConfigExport:
    def __init__(self, subjects: Sequence[ExportSubject]) -> None:
        self.subjects = subjects
        self.findings: list[Finding] = []

    def say(self, prompt: Prompt, key: str, verdict: Verdict, note: str = "") -> None:
        self.findings.append(Finding(key, verdict, note, prompt.name))

    def data(self) -> dict[str, Any]:
        prompts = [each.prompt for each in self.subjects]
        config: dict[str, Any] = {}
        if described := [each.description for each in prompts if each.description]:
            config["description"] = described[0]
        for prompt in prompts:
            if prompt.description:
                same = prompt.description == described[0]
                self.say(
                    prompt, "description", "kept" if same else "lost", "" if same else "there is one for all"
                )
        entries = [prompt_entry(prompt, self.say) for prompt in prompts]
        config["prompts"] = entries
        config["providers"] = self._providers(prompts)
        config |= self._tests()
        for prompt in prompts:
            self._unsaid(prompt)
        return config

    def _providers(self, prompts: Sequence[Prompt]) -> list[Any]:
        """One for each model with the same settings, for the prompts that pin it."""
        groups: dict[str, tuple[dict[str, Any], list[str]]] = {}
        for prompt in prompts:
            provider: dict[str, Any] = {"id": provider_id(prompt.model)}
            if settings := self._settings(prompt):
                provider["config"] = settings
            groups.setdefault(json.dumps(provider), (provider, []))[1].append(prompt.name)
            note = "`echo` repeats the prompt" if provider["id"] == "echo" else ""
            self.say(prompt, "model", "changed" if note else "kept", note)
        if len(groups) == 1:
            ((provider, _),) = groups.values()
            return [provider if "config" in provider else provider["id"]]
        return [{**provider, "prompts": labels} for provider, labels in groups.values()]

    def _settings(self, prompt: Prompt) -> dict[str, Any]:
        settings = dict(prompt.parameters)
        for key in prompt.parameters:
            self.say(prompt, f"parameters.{key}", "kept")
        if prompt.tools:
            settings["tools"] = [dict(tool) for tool in prompt.tools]
            self.say(prompt, "tools", "kept")
        if prompt.output and prompt.output.schema is not None:
            schema = {"name": "answer", "schema": dict(prompt.output.schema)}
            settings["response_format"] = {"type": "json_schema", "json_schema": schema}
            self.say(prompt, "output.schema", "kept")
        for key in ("repair", "extract"):
            if prompt.output and getattr(prompt.output, key):
                self.say(prompt, f"output.{key}", "lost", "promptfoo takes an answer as it is")
        return settings

    def _tests(self) -> dict[str, Any]:
        """The cases of all prompts; those that several share are written once."""
        shared = self._shared_checks()
        tests: dict[str, tuple[dict[str, Any], list[str]]] = {}
        for each in self.subjects:
            for case in self._cases(each):
                test = self._test(each, case, [] if shared is not None else each.prompt.checks)
                tests.setdefault(json.dumps(test, sort_keys=True), (test, []))[1].append(each.prompt.name)
        everywhere = [each.prompt.name for each in self.subjects]
        written = [
            test if labels == everywhere else {**test, "prompts": labels} for test, labels in tests.values()
        ]
        default: dict[str, Any] = {}
        if shared:
            default["assert"] = shared
        if any(isinstance(value, list) for test in written for value in test.get("vars", {}).values()):
            default["options"] = {"disableVarExpansion": True}  # a list is a value, and no choice of several
        made = {"defaultTest": default} if default else {}
        return made | ({"tests": written} if written else {})

    def _shared_checks(self) -> list[Assertion] | None:
        """Checks that hold for every prompt and case alike; None where each case has to have its own."""
        first, *others = [each.prompt for each in self.subjects]
        if any(map(uses_expected, first.checks)) or any(other.checks != first.checks for other in others):
            return None
        made = self._assertions(self.subjects[0], first.checks, "checks")
        for other in self.subjects[1:]:
            self._assertions(other, other.prompt.checks, "checks")
        return made

    def _assertions(self, subject: ExportSubject, checks: Sequence[Check], key: str) -> list[Assertion]:
        made = []
        for index, check in enumerate(checks):
            try:
                made.append(assertion_of_check(check, subject.prompt, lambda name: _judge(subject, name)))
            except NoAssertion as problem:
                self.say(subject.prompt, f"{key}[{index}]", "lost", f"`{check.kind}`: {problem}")
            else:
                self.say(subject.prompt, f"{key}[{index}]", "kept")
        return made

    def _cases(self, subject: ExportSubject) -> list[Case]:
        path = subject.prompt.cases
        if path is None:
            return []
        try:
            data = subject.read(path)
            cases = list(read_cases(f"prompts/{path}", iter_lines(data), subject.prompt.inputs))
            for case in cases:
                compile_checks(read_case_checks(case.checks), f"the case {case.id}")
        except Invalid as error:
            self.say(subject.prompt, "cases", "lost", error.message)
            return []
        self.say(subject.prompt, "cases", "kept")
        return cases

    def _test(self, subject: ExportSubject, case: Case, checks: Sequence[Check]) -> dict[str, Any]:
        test: dict[str, Any] = {}
        if not _CONTENT_HASH.fullmatch(case.id):
            test["description"] = case.id
        defaults = {name: one.default for name, one in subject.prompt.inputs.items() if not one.required}
        test["vars"] = {
            **{name: value for name, value in defaults.items() if value not in ("", [], {})},
            **case.inputs,
        }
        own = read_case_checks(case.checks)
        whole = [
            with_expected(check, expected_json(case.expected)) if uses_expected(check) else check
            for check in (*checks, *own)
            if case.expected is not None or not uses_expected(check)
        ]
        if asserts := self._assertions(subject, whole, f"cases.{case.id}.checks"):
            test["assert"] = asserts
        if case.expected is not None and not any(map(uses_expected, (*checks, *own))):
            self.say(subject.prompt, f"cases.{case.id}.expected", "lost", "no check compares with it")
        if case.tags:
            test["metadata"] = _metadata(case.tags)
        return test

    def _unsaid(self, prompt: Prompt) -> None:
        for key, why in _UNSAID.items():
            if prompt.document.data.get(key):
                self.say(prompt, key, "lost", why)
        for name, one in prompt.inputs.items():
            plain = one.kind != "value" or not one.schema.keys() - {"type", "default", "description"}
            self.say(
                prompt,
                f"inputs.{name}",
                *(("kept", "") if plain else ("lost", "promptfoo declares no inputs")),
            )


def _judge(subject: ExportSubject, name: str) -> Prompt | None:
    try:
        return load_prompt(name, subject.read)
    except (NotFound, Invalid):
        return None


def _metadata(tags: Sequence[str]) -> dict[str, Any]:
    """``key:value`` as metadata of this key; every other tag in a list."""
    found: dict[str, Any] = {}
    for tag in tags:
        key, colon, value = tag.partition(":")
        if colon and key and value and key != "tags":
            found.setdefault(key, []).append(value)
        else:
            found.setdefault("tags", []).append(tag)
    return {key: values[0] if len(values) == 1 and key != "tags" else values for key, values in found.items()}
