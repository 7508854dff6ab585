"""Prompts as ``.prompt.yml`` files, one each, with cases as testData and checks as evaluators."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from promptops.config.yaml_style import write_yaml
from promptops.errors import Invalid, NotFound
from promptops.interop.exporters import ExportSubject
from promptops.interop.model import ExportedFiles
from promptops.interop.placeholders import Variable, mustache_of, pieces_of
from promptops.interop.plain_prompt import PlainExport
from promptops.interop.prompt_yml.builtin_judges import BUILTIN_JUDGES, builtin_judge
from promptops.interop.schema_names import named_schema
from promptops.interop.values import text_of_value
from promptops.prompt import Check, Text, load_prompt
from promptops.prompt.cases import expected_json

if TYPE_CHECKING:
    from promptops.config.settings import Settings

_PARAMETERS = {
    "frequency_penalty": "frequencyPenalty",
    "max_completion_tokens": "maxCompletionTokens",
    "max_tokens": "maxTokens",
    "presence_penalty": "presencePenalty",
    "reasoning_effort": "reasoningEffort",
    "seed": "seed",
    "stop": "stop",
    "temperature": "temperature",
    "top_p": "topP",
}
_TEXTS = {  # a check, the condition there, and whether it means the same
    "equals": ("equals", ""),
    "icontains": ("contains", ""),
    "contains": ("contains", "the case of letters is ignored there"),
    "starts_with": ("startsWith", "the case of letters is ignored there"),
    "ends_with": ("endsWith", "the case of letters is ignored there"),
}
_STARTS = re.compile(r"\(\?i\)\\A\\s\*(.*)", re.DOTALL)
_ENDS = re.compile(r"\(\?i\)(.*)\\s\*\\Z", re.DOTALL)
_ESCAPED = re.compile(r"\\([^\w\s]|\n)")
_SPECIAL = frozenset(".^$*+?{}[]|()")


def write_prompt_yml(subjects: Sequence[ExportSubject], _settings: "Settings") -> ExportedFiles:
    exports = [_PromptYmlExport(subject) for subject in subjects]
    files = {
        f"{each.prompt.name}.prompt.yml": write_yaml(each.data(), lambda path: len(path) > 1)
        for each in exports
    }
    findings = [finding for each in exports for finding in each.findings]
    return ExportedFiles(form="prompt-yml", files=files, findings=findings)


class _PromptYmlExport(PlainExport):
    def __init__(self, subject: ExportSubject) -> None:
        super().__init__(subject, mustache_of)

    def data(self) -> dict[str, Any]:
        prompt = self.prompt
        data: dict[str, Any] = {"name": self.imported("prompt-yml").get("name", prompt.name)}
        if prompt.description:
            data["description"] = prompt.description
        data["model"] = prompt.model
        self.say("model", "kept")
        parameters, form = self.parameters()
        data |= {"modelParameters": parameters} if parameters else {}
        if prompt.output_schema is not None:
            form = "json_schema"
            data["jsonSchema"] = json.dumps(named_schema(prompt.output_schema), ensure_ascii=False, indent=2)
            self.say("output.schema", "kept")
        data |= {"responseFormat": form} if form else {}
        data["messages"] = self.messages()
        self.inputs()
        data |= self.tests()
        self.elsewhere(
            ("tools", "there are no tools"),
            ("metadata", "it stays in the prompt file"),
        )
        return data

    def parameters(self) -> tuple[dict[str, Any], str]:
        """The parameters, and the format that one of them asks for."""
        found, form = {}, ""
        for name, value in self.prompt.parameters.items():
            key = f"parameters.{name}"
            if name == "response_format" and value == {"type": "json_object"}:
                form = "json_object"
                self.say(key, "kept")
            elif name in _PARAMETERS:
                found[_PARAMETERS[name]] = value
                self.say(key, "kept")
            else:
                self.say(key, "lost", "no parameter of the format")
        return found, form

    def messages(self) -> list[dict[str, Any]]:
        messages = []
        for each in self.texts("system", "developer", "user", "assistant"):
            if each.role == "developer":
                self.say(f"messages[{each.index}].role", "changed", "system: there is no role developer")
            role = "system" if each.role == "developer" else each.role
            messages.append({"role": role, "content": each.text})
        return messages

    def tests(self) -> dict[str, Any]:
        rows = []
        for case in self.cases():
            row: dict[str, Any] = {name: text_of_value(value) for name, value in case.inputs.items()}
            if case.expected is not None:
                row["expected"] = expected_json(case.expected)
            for what in ("checks", "tags"):
                if getattr(case, what):
                    self.say(f"cases.{case.id}.{what}", "lost", "a row has variables and `expected` alone")
            rows.append(row)
        made = [(check, self.evaluator(check, index)) for index, check in enumerate(self.prompt.checks)]
        evaluators = [{"name": check.name, **each} for check, each in made if each]
        return ({"testData": rows} if rows else {}) | ({"evaluators": evaluators} if evaluators else {})

    def evaluator(self, check: Check, index: int) -> dict[str, Any] | None:
        key = f"checks[{index}]"
        made, note = (None, "it is negated by `not`") if check.negate else self.condition(check)
        if made is None:
            self.say(key, "lost", f"`{check.kind}`: {note}")
        else:
            self.say(key, "changed" if note else "kept", note)
        return made

    def condition(self, check: Check) -> tuple[dict[str, Any] | None, str]:
        """An evaluator and what is not quite the same of it; None and why there is none."""
        kind, argument = check.kind, check.argument
        if kind == "judge":
            return self.judge(argument, check)
        if kind == "regex" and isinstance(argument, str):
            kind, argument = _from_pattern(argument)
        if kind not in _TEXTS or not isinstance(argument, str):
            return None, "not a condition on a text"
        condition, note = _TEXTS[kind]
        text = _placeholders(argument)
        if text is None:
            return None, "its template does more than name inputs"
        return {"string": {condition: text}}, note

    def judge(self, argument: Any, check: Check) -> tuple[dict[str, Any] | None, str]:
        given = argument if isinstance(argument, Mapping) else {"prompt": argument}
        try:
            judge = load_prompt(str(given.get("prompt")), self.read)
        except (Invalid, NotFound) as problem:
            return None, problem.message
        name = judge.name.rpartition("/")[2]
        if name in BUILTIN_JUDGES and judge.description == builtin_judge(name)["description"]:
            same = check.threshold == 2
            return {"uses": f"github/{name}"}, "" if same else "2 of 5 passes there"
        passing, schema = given.get("pass"), judge.output_schema or {}
        choices = schema.get("properties", {}).get("choice", {}).get("enum")
        texts = {one.role: one for one in judge.messages if hasattr(one, "role")}
        parts = {role: _only_text(texts.get(role)) for role in ("system", "user")}
        if not passing or not choices or parts["user"] is None or len(texts) != len(judge.messages):
            return None, f"{judge.name} is not a judge of choices with one text of the user"
        passes = passing if isinstance(passing, list) else [passing]
        kept = judge.metadata.get("imported", {}).get("scores", {})
        scores = [{"choice": each, "score": kept.get(each, int(each in passes))} for each in choices]
        system = {"systemPrompt": parts["system"]} if parts["system"] else {}
        return {"llm": {"modelId": judge.model, **system, "prompt": parts["user"], "choices": scores}}, ""


def _only_text(message: Any) -> str | None:
    """A judge's message, in which the output is `completion`."""
    content: Sequence[Any] = message.content if message is not None else ()
    if len(content) != 1 or not isinstance(content[0], Text):
        return None
    return _placeholders(content[0].template, {"output": "completion"})


def _placeholders(template: str, renamed: Mapping[str, str] | None = None) -> str | None:
    pieces = pieces_of(f"{template}\n")  # no line end of it is dropped
    if pieces is None:
        return None
    names = renamed or {}
    return mustache_of(
        [
            Variable(names.get(piece.name, piece.name)) if isinstance(piece, Variable) else piece
            for piece in pieces
        ]
    )


def _from_pattern(pattern: str) -> tuple[str, str]:
    """The condition behind a pattern that an import wrote; "regex" for any other."""
    for kind, form in (("starts_with", _STARTS), ("ends_with", _ENDS)):
        found = form.fullmatch(pattern)
        if (
            found
            and not _SPECIAL.intersection(_ESCAPED.sub("", found[1]))
            and not re.search(r"\\\w", found[1])
        ):
            return kind, _ESCAPED.sub(r"\1", found[1])
    return "regex", pattern
