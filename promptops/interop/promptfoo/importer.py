"""A promptfoo configuration becomes prompt files, golden sets, checks and judges."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from promptops.errors import Invalid
from promptops.interop.model import ImportedSource, PromptDraft
from promptops.interop.pins import NO_MODEL
from promptops.interop.promptfoo.assertion import AssertContext
from promptops.interop.promptfoo.asserts import AssertReader
from promptops.interop.promptfoo.cases import CaseMaker, parse_texts
from promptops.interop.promptfoo.judges import JudgeShelf
from promptops.interop.promptfoo.nunjucks import UntranslatableTemplate, to_jinja
from promptops.interop.promptfoo.prompts import CONVERSATION, PromptReader, PromptText
from promptops.interop.promptfoo.providers import ProviderPlan, ProviderReader
from promptops.interop.promptfoo.reading import ConfigReading
from promptops.interop.promptfoo.settings import ProviderSettings, read_settings
from promptops.interop.promptfoo.tests import TestReader
from promptops.interop.promptfoo.tool_assertions import tool_names
from promptops.interop.reader import SourceFile
from promptops.interop.target import ImportTarget, slug, unique_names
from promptops.interop.values import declarations, kind_of
from promptops.lint.context import LintProject

_NO_OUTPUT = "where results go is an option of the command, such as `eval --out`"
_FILTERS = "filters written in JavaScript are not run"
_REASONS = {  # of keys of the configuration
    "commandLineOptions": "options of a command are given to the command",
    "derivedMetrics": "derived figures are not computed; `eval` has those of each check",
    "env": "keys and addresses come only from the environment",
    "evaluateOptions": "how many calls run at once is an option of `eval`",
    "extensions": "code is never run by an import",
    "filters": _FILTERS,
    "nunjucksFilters": _FILTERS,
    "outputPath": _NO_OUTPUT,
    "redteam": "attacks are not cases; generate them with promptfoo and import its file",
    "sharing": "nothing is sent anywhere",
    "writeLatestResults": _NO_OUTPUT,
}
_SCHEMA = "$schema"


def read_promptfoo(file: SourceFile, target: ImportTarget, project: LintProject) -> ImportedSource:
    """Raises Invalid for what is no configuration."""
    reading = ConfigReading(file, target, project)
    if not isinstance(reading.root.value, dict) or "prompts" not in reading.root.value:
        hint = "a configuration of promptfoo has prompts, providers and tests"
        raise Invalid(f"{file.shown} is not a promptfoo configuration: it has no `prompts`", hint=hint)
    return _ConfigImport(reading).done()


class _ConfigImport:
    def __init__(self, reading: ConfigReading) -> None:
        self.reading = reading
        self.config = reading.root
        self.base = _base_name(reading.file)
        self.shelf = JudgeShelf(reading.target.path(f"judges/{slug(self.base) or 'promptfoo'}-"))
        self.providers = ProviderReader(reading)

    def done(self) -> ImportedSource:
        texts = PromptReader(self.reading).all(self.config["prompts"])
        plans = self.providers.all(self.config.get("providers") or self.config.get("targets"))
        chosen = [_plan_for(text, plans) for text in texts]
        self.providers.account(plans, [plan for plan in chosen if plan])
        cases = self._cases([plan for plan in chosen if plan])
        drafts = self._drafts(texts, chosen, cases)
        self._account()
        imported = {"file": self.reading.file.name, **_grouped(self.reading.lost_values())}
        drafts = _sharing_cases([replace(draft, imported=imported) for draft in drafts])
        self._steps(plans, drafts)
        return ImportedSource(
            source="promptfoo",
            path=self.reading.file.shown,
            prompts=[*self.shelf.drafts, *drafts] if drafts else (),
            findings=self.reading.findings(),
            steps=tuple(self.reading.steps),
        )

    def _cases(self, pinned: Sequence[ProviderPlan]) -> CaseMaker:
        models = [plan.model for plan in pinned if plan.model]
        model = self.reading.target.model or next(iter(models), NO_MODEL)
        settings = [self.providers.settings(plan) for plan in pinned]
        context = AssertContext(
            model=model,
            tools=tuple(dict.fromkeys(name for each in settings for name in tool_names(each.tools))),
            answers_by_tools=any(each.tools and not each.output for each in settings),
        )
        tests = TestReader(self.reading)
        maker = CaseMaker(self.reading, AssertReader(self.reading, self.shelf), context)
        maker.take_default(tests.default(self.config))
        maker.take(tests.all(self.config))
        return maker

    def _drafts(
        self, texts: Sequence[PromptText], chosen: Sequence[ProviderPlan | None], cases: CaseMaker
    ) -> list[PromptDraft]:
        names = unique_names([self.reading.target.prompt(_name_of(text, self.base)) for text in texts])
        drafts: list[PromptDraft] = []
        seen: dict[str, str] = {}
        for name, text, plan in zip(names, texts, chosen, strict=True):
            same = seen.setdefault(repr((text.messages, plan and plan.model)), name)
            if same != name:
                text.node.change(f"the same as {same}")
                continue
            draft = self._draft(name, text, plan, cases)
            if draft:
                drafts.append(draft)
        return drafts

    def _draft(
        self, name: str, text: PromptText, plan: ProviderPlan | None, maker: CaseMaker
    ) -> PromptDraft | None:
        settings = self.providers.settings(plan) if plan else ProviderSettings()
        own = read_settings(text.config, self.reading)
        messages = _with_settings(text.messages, settings)
        cases = maker.cases_for(text.names)
        inputs = [dict(case["inputs"]) for case in cases]
        try:
            messages, names = _translated(messages, inputs)
        except UntranslatableTemplate as problem:
            text.node.lose(str(problem))
            return None
        declared = declarations(sorted(names - {CONVERSATION, "env"}), inputs)
        self._special(declared, messages, inputs, names)
        model = self.reading.target.model or (plan.model if plan else "") or NO_MODEL
        for case, values in zip(cases, inputs, strict=True):
            case["inputs"] = values
        content = {
            "description": str(self.config.value.get("description") or ""),
            "model": model,
            "parameters": {**settings.parameters, **own.parameters},
            "inputs": declared,
            "messages": messages,
            "tools": own.tools or settings.tools,
            "output": own.output or settings.output,
            "checks": maker.checks,
        }
        return PromptDraft(name=name, content=content, cases=cases)

    def _special(
        self, declared: dict[str, Any], messages: Sequence[Any], inputs: list[dict[str, Any]], names: set[str]
    ) -> None:
        """A conversation that is inserted, images, and the environment."""
        for name in [message["insert"] for message in messages if "insert" in message]:
            everywhere = bool(inputs) and all(name in values for values in inputs)
            declared[name] = "messages" if everywhere else {"type": "messages", "default": []}
            for values in inputs:
                if name in values:
                    values[name] = _turns(values[name])
            if not everywhere:
                self.reading.steps[f"give each case the messages before it as its input `{name}`"] = None
        for message in messages:
            content = message.get("content")
            for part in content if isinstance(content, list) else ():
                if "image" in part:
                    declared[part["image"]] = "image"
        if "env" in names and "env" not in declared:
            named = sorted(set(re.findall(r"\benv\.(\w+)", repr(messages))))
            given = self.config.value.get("env") or {}
            default = {key: str(given.get(key, "")) for key in named}
            declared["env"] = {"type": "object", "default": default}
            self.reading.steps["templates see no environment: `env` is an input, give it a value"] = None

    def _account(self) -> None:
        for key, node in self.config.members():
            if key in _REASONS:
                node.lose(_REASONS[key])
            elif key in ("description", _SCHEMA):
                node.keep()

    def _steps(self, plans: Sequence[ProviderPlan], drafts: Sequence[PromptDraft]) -> None:
        models = list(dict.fromkeys(plan.model for plan in plans if plan.model))
        if len(models) > 1 and drafts:
            options = " ".join(f"--model {model}" for model in models[:4])
            self.reading.steps[f"promptops eval {drafts[0].name} {options}"] = None
        if drafts and not any(draft.content["model"] != NO_MODEL for draft in drafts):
            self.reading.steps["no model is named: --model MODEL pins one in place of the embedded one"] = (
                None
            )


def _base_name(file: SourceFile) -> str:
    """``support`` of ``promptfooconfig.support.yaml``, else the folder's name."""
    own = file.name.removeprefix("promptfooconfig").rpartition(".")[0].strip(".-_")
    return own or Path(file.shown).absolute().parent.name


def _plan_for(text: PromptText, plans: Sequence[ProviderPlan]) -> ProviderPlan | None:
    """The first provider that the prompt is for, a model before one that repeats prompts."""
    fitting = [plan for plan in plans if plan.is_for(text.names)] or [*plans]
    return next((plan for plan in fitting if plan.model), next(iter(fitting), None))


def _name_of(text: PromptText, base: str) -> str:
    label = text.label if text.label and len(text.label) <= 80 and "\n" not in text.label else ""
    if "/" in label and all(part and slug(part) == part for part in label.split("/")):
        return label  # the name of a prompt in a folder, as an export writes it
    name = slug(label) or slug(text.hint)
    return name if name and name not in ("prompt", "prompts") else f"{slug(base)}" or name


def _with_settings(messages: Sequence[dict[str, Any]], settings: ProviderSettings) -> list[dict[str, Any]]:
    """With the provider's system message, and what it puts around a prompt."""
    written = [dict(message) for message in messages]
    if settings.system:
        written.insert(0, {"role": "system", "content": settings.system})
    if settings.prefix or settings.suffix:
        last = written[-1]
        if isinstance(last.get("content"), str):
            last["content"] = f"{settings.prefix}{last['content']}{settings.suffix}"
    return written


def _translated(
    messages: Sequence[dict[str, Any]], inputs: list[dict[str, Any]]
) -> tuple[list[dict[str, Any]], set[str]]:
    """The messages with Jinja2 templates, and the names that they take."""
    kinds = {
        name: kind_of([case[name] for case in inputs if name in case]) for case in inputs for name in case
    }
    mappings = [name for name, kind in kinds.items() if kind == "object"]
    containers = [name for name, kind in kinds.items() if kind in ("object", "array")]
    names: set[str] = set()

    def jinja(text: str) -> str:
        made = to_jinja(text, mappings, containers)
        names.update(made.names)
        parse_texts(made.parsed, inputs)
        return made.text

    return [_with_texts(message, jinja) for message in messages], names


def _with_texts(message: dict[str, Any], write: Callable[[str], str]) -> dict[str, Any]:
    content = message.get("content")
    if isinstance(content, str):
        return {**message, "content": write(content)}
    if isinstance(content, list):
        parts = [{**part, "text": write(part["text"])} if "text" in part else part for part in content]
        return {**message, "content": parts}
    return message


def _turns(conversation: Any) -> Any:
    """The turns that promptfoo keeps, as messages."""
    if not isinstance(conversation, list):
        return conversation
    messages = []
    for turn in conversation:
        if isinstance(turn, dict) and "role" in turn:
            messages.append(turn)
            continue
        for key, role in (("input", "user"), ("prompt", "user"), ("output", "assistant")):
            if isinstance(turn, dict) and isinstance(turn.get(key), str):
                messages.append({"role": role, "content": turn[key]})
    return messages


def _sharing_cases(drafts: Sequence[PromptDraft]) -> list[PromptDraft]:
    """One golden set for all prompts that have the same cases."""
    first: dict[str, str] = {}
    names = [first.setdefault(json.dumps(draft.cases, sort_keys=True), draft.name) for draft in drafts]
    return [
        replace(draft, shares_cases="" if name == draft.name else name)
        for draft, name in zip(drafts, names, strict=True)
    ]


def _grouped(lost: dict[str, Any]) -> dict[str, Any]:
    return {"not_in_force": lost} if lost else {}
