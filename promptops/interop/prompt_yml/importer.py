"""``.prompt.yml`` of GitHub Models as prompt files: a key means what ``gh models`` does with it.

A ``{{name}}`` stands for a text, and stays as it is where a row of testData has no such name.
"""

from typing import TYPE_CHECKING, Any

from promptops.config.yaml import Document
from promptops.errors import Invalid
from promptops.interop.accounts import KeyAccounts
from promptops.interop.model import ImportedSource, PromptDraft
from promptops.interop.pins import NO_MODEL, pin_model
from promptops.interop.placeholders import InputNames, split_placeholders, template_of
from promptops.interop.prompt_yml.evaluators import EvaluatorReader
from promptops.interop.prompt_yml.response import read_response_format
from promptops.interop.prompt_yml.test_data import read_rows
from promptops.interop.reader import SourceFile
from promptops.interop.target import ImportTarget

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.lint.context import LintProject

RETIRED = "GitHub Models was retired on 2026-07-30"
_PARAMETERS = {  # as the file format has them, and as actions that read the files do
    "frequencyPenalty": "frequency_penalty",
    "frequency_penalty": "frequency_penalty",
    "maxCompletionTokens": "max_completion_tokens",
    "max_completion_tokens": "max_completion_tokens",
    "maxTokens": "max_tokens",
    "max_tokens": "max_tokens",
    "presencePenalty": "presence_penalty",
    "presence_penalty": "presence_penalty",
    "reasoningEffort": "reasoning_effort",
    "reasoning_effort": "reasoning_effort",
    "seed": "seed",
    "stop": "stop",
    "temperature": "temperature",
    "topP": "top_p",
    "top_p": "top_p",
}
_REASONING = ("openai/gpt-5", "openai/o")
_ROLES = ("system", "developer", "user", "assistant")


def read_prompt_yml(file: SourceFile, target: ImportTarget, project: "LintProject") -> ImportedSource:
    document = file.yaml()
    if not isinstance(document.data, dict):
        raise Invalid(
            f"{file.shown}: a prompt file is a mapping", hint="it starts with a key such as messages:"
        )
    if not document.data.keys() & {"messages", "template"}:
        raise Invalid(
            f"{file.shown}: there are no `messages`, so nothing to ask a model", hint="is it a prompt file?"
        )
    return _PromptYmlReader(file, document, target, project).read()


class _PromptYmlReader:
    def __init__(
        self, file: SourceFile, document: Document, target: ImportTarget, project: "LintProject"
    ) -> None:
        self.file = file
        self.document = document
        self.data: Mapping[str, Any] = document.data
        self.keys = KeyAccounts.of(document)
        self.target = target
        self.project = project
        self.names = InputNames()
        self.imported: dict[str, Any] = {}
        self.steps: list[str] = []

    def read(self) -> ImportedSource:
        content: dict[str, Any] = {"description": self.description(), "model": self.model()}
        content["parameters"] = self.parameters(content["model"])
        content["messages"] = self.messages()
        content |= read_response_format(self.data, content["parameters"], self.keys, self.imported)
        in_messages = list(self.names.names)
        evaluators = EvaluatorReader(self.keys, self.names, self.target, self.pinned, self.name)
        content["checks"] = evaluators.read(self.data.get("evaluators"), self.row_keys())
        if evaluators.unused:
            self.imported["evaluators"] = evaluators.unused
        only_checks = [*self.names.names][len(in_messages) :]
        content["inputs"] = {self.names[name]: "string" for name in in_messages} | {
            self.names[name]: {"type": "string", "default": ""} for name in only_checks
        }
        cases = read_rows(self.data.get("testData"), in_messages, self.names, self.keys, self.imported)
        self.say_renamed()
        self.keep_the_rest()
        draft = PromptDraft(name=self.name, content=content, cases=cases, imported=self.imported)
        return ImportedSource(
            source="prompt-yml",
            path=self.file.shown,
            prompts=(*evaluators.judges.values(), draft),
            findings=self.keys.findings(),
            steps=self.steps,
        )

    @property
    def name(self) -> str:
        return self.target.prompt(self.file.stem)

    def description(self) -> str:
        if "name" in self.data:
            self.imported["name"] = self.data["name"]
            self.keys.change(("name",), f"a prompt is named by its file: {self.name}")
        text = self.data.get("description")
        if isinstance(text, str):
            self.keys.keep("description")
            return text
        return ""

    def model(self) -> str:
        written = self.data.get("model")
        if not isinstance(written, str):
            if written is None:
                self.steps.append(f"{self.name} names no model: pin one, `--model` does it for all")
            return self.target.model or NO_MODEL
        model, note = self.pinned(written)
        if model == NO_MODEL:
            self.imported["model"] = written
        self.keys.change(("model",), f"{RETIRED}; {note}")
        return model

    def pinned(self, written: str) -> tuple[str, str]:
        """The model that answers now, and what a person should know of it."""
        if self.target.model:
            return self.target.model, f"`{self.target.model}` answers now, as --model says"
        pin = pin_model(written, self.project)
        if pin is None:
            return NO_MODEL, f"no provider of `{written}` is known here: pin another with --model"
        provider = pin.model.partition("/")[0]
        return pin.model, "; ".join(filter(None, (f"it is asked at {provider} now", pin.note)))

    def parameters(self, model: str) -> dict[str, Any]:
        given = self.data.get("modelParameters")
        parameters: dict[str, Any] = {}
        if given in ({}, None):
            self.keys.keep("modelParameters")
        for key, value in given.items() if isinstance(given, dict) else ():
            name = _PARAMETERS.get(key)
            if name == "max_tokens" and model.startswith(_REASONING):
                name = "max_completion_tokens"
            if key == "response_format" and isinstance(value, dict):
                name = key
            if name is None or name in parameters:
                self.keep_lost(("modelParameters", key), value, "not a parameter that GitHub Models knows")
                continue
            parameters[name] = value
            self.say_parameter(key, name)
        return parameters

    def say_parameter(self, key: str, name: str) -> None:
        path = ("modelParameters", key)
        if key == "response_format":
            self.keys.change(path, "it is in force now: GitHub Models ignored it")
        elif name == "max_completion_tokens" and _PARAMETERS[key] != name:
            self.keys.change(path, f"{name}, as reasoning models call it")
        elif "_" in key:
            self.keys.change(path, "in force; `gh models` ignored this spelling")
        else:
            self.keys.keep(*path)

    def messages(self) -> list[dict[str, Any]]:
        if "messages" not in self.data:
            self.keys.change(("template",), "GitHub Models does not know the key: it is a user's message now")
            return [{"role": "user", "content": self.template(self.data["template"], "template")}]
        given = self.data["messages"]
        if not isinstance(given, list) or not given:
            raise Invalid(f"{self.where('messages')}: `messages` is a list", hint="- role: user")
        return [self.message(item, index) for index, item in enumerate(given)]

    def message(self, item: Any, index: int) -> dict[str, Any]:
        role = item.get("role") if isinstance(item, dict) else None
        if not isinstance(role, str) or role.lower() not in _ROLES:
            hint = f"a role is one of {', '.join(_ROLES)}"
            raise Invalid(f"{self.where('messages', index)}: a message has a role and a content", hint=hint)
        for key in ("role", "content"):
            self.keys.keep("messages", index, key)
        content = self.template(item.get("content"), "messages", index, "content")
        return {"role": role.lower(), "content": content}

    def template(self, text: Any, *path: str | int) -> str:
        if not isinstance(text, str):
            raise Invalid(f"{self.where(*path)}: a content is a text", hint="put it in quotes, or behind `|`")
        return template_of(split_placeholders(text), self.names)

    def where(self, *path: str | int) -> str:
        return self.document.where(path)

    def row_keys(self) -> list[str]:
        rows = self.data.get("testData")
        dicts = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        return list(dict.fromkeys(key for row in dicts for key in row))

    def say_renamed(self) -> None:
        for source, name in self.names.renamed.items():
            self.steps.append(
                f"the variable `{source}` is the input `{name}`: programs that fill it in name it so"
            )

    def keep_lost(self, path: tuple[str | int, ...], value: Any, why: str) -> None:
        self.keys.lose(path, why)
        self.imported[".".join(map(str, path))] = value

    def keep_the_rest(self) -> None:
        known = {
            *("name", "description", "model", "modelParameters", "messages", "template", "testData"),
            *("evaluators", "responseFormat", "jsonSchema"),
        }
        for key, value in self.data.items():
            if key not in known:
                self.keep_lost((key,), value, "GitHub Models ignored the key")
