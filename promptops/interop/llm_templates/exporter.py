"""Prompts as templates of ``llm``, one file each, for ``llm templates path``."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from promptops.config.yaml_style import write_yaml
from promptops.errors import Invalid
from promptops.interop.exporters import ExportSubject
from promptops.interop.llm_templates.functions import function_tools
from promptops.interop.llm_templates.variables import dollars_of
from promptops.interop.model import ExportedFiles
from promptops.interop.plain_prompt import PlainExport, PlainMessage, model_of_openai
from promptops.interop.values import text_of_value

if TYPE_CHECKING:
    from promptops.config.settings import Settings

_INPUT = "$input"
_KEPT_ASIDE = ("extract", "extract_last", "attachments", "attachment_types")


def write_llm(subjects: Sequence[ExportSubject], _settings: "Settings") -> ExportedFiles:
    """Raises Invalid for a prompt that is more than a system's text and a user's."""
    exports = [_TemplateExport(subject) for subject in subjects]
    files = {
        f"{each.prompt.name.replace('/', '-')}.yaml": write_yaml(each.data(), lambda path: len(path) > 1)
        for each in exports
    }
    return ExportedFiles(
        form="llm",
        files=files,
        findings=[finding for each in exports for finding in each.findings],
        steps=["`llm templates path` names the folder of llm's templates; `llm -t NAME` uses one"],
    )


class _TemplateExport(PlainExport):
    def __init__(self, subject: ExportSubject) -> None:
        super().__init__(subject, dollars_of)

    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = {"model": model_of_openai(self.prompt.model)}
        self.say("model", "kept")
        data |= self.messages()
        data |= self.options()
        if defaults := self.defaults():
            data["defaults"] = defaults
        if self.prompt.output_schema is not None:
            data["schema_object"] = dict(self.prompt.output_schema)
            self.say("output.schema", "kept")
        data |= self.from_llm()
        self.elsewhere(
            ("description", "a template has no description"),
            ("cases", "llm has no tests"),
            ("checks", "llm has no tests"),
        )
        return data

    def messages(self) -> dict[str, Any]:
        texts = self.texts("system", "developer", "user")
        user = [each for each in texts if each.role == "user"]
        system = [each for each in texts if each.role != "user"]
        if (
            len(user) != 1
            or len(system) > 1
            or len(texts) != len(self.prompt.messages)
            or texts[-1] != user[0]
        ):
            raise Invalid(
                f"{self.prompt.name}: a template of llm is one system text and one user's text after it",
                hint="openai-chat takes every kind of message",
            )
        found: dict[str, Any] = {}
        if user[0].text != _INPUT:
            found["prompt"] = user[0].text
        return found | ({"system": self.system(system[0])} if system else {})

    def system(self, message: PlainMessage) -> str:
        key = f"messages[{message.index}]"
        if message.role == "developer":
            self.say(f"{key}.role", "changed", "system: llm has no role developer")
        if message.text != message.text.strip():
            self.say(key, "changed", "llm strips blanks and line ends around it")
        return message.text

    def options(self) -> dict[str, Any]:
        options: dict[str, Any] = {}
        for name, value in self.prompt.parameters.items():
            key = f"parameters.{name}"
            if name == "response_format" and value == {"type": "json_object"}:
                options["json_object"] = True
                self.say(key, "kept")
            elif name == "max_completion_tokens":
                options["max_tokens"] = value
                self.say(key, "changed", "max_tokens, as llm calls it")
            elif isinstance(value, str | int | float | Mapping):
                options[name] = value
                self.say(key, "kept")
            else:
                self.say(key, "lost", "an option of llm is a text, a number or a mapping")
        return {"options": options} if options else {}

    def defaults(self) -> dict[str, str]:
        defaults = {}
        for name, one in self.prompt.inputs.items():
            if not one.required and one.default is not None and f"${name}" != _INPUT:
                defaults[name] = text_of_value(one.default)
        self.inputs(defaults=True)
        return defaults

    def from_llm(self) -> dict[str, Any]:
        """What an import from llm kept aside, and the code of tools where it still defines them."""
        kept = self.imported("llm")
        data = {key: kept[key] for key in _KEPT_ASIDE if key in kept}
        code = kept.get("functions")
        if isinstance(code, str) and function_tools(code) == [dict(tool) for tool in self.prompt.tools]:
            data["functions"] = code
            self.say("tools", "kept")
        elif self.prompt.tools:
            self.say("tools", "lost", "llm takes Python code in place of definitions")
        if "tools" in kept:
            data["tools"] = kept["tools"]
        return data
