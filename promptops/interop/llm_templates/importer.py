"""Templates of ``llm`` as prompt files: what is sent is what ``llm -t NAME`` sends.

A template without `prompt` sends the input as the user's message. Python code of a template is never run.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from promptops.config.yaml import Document
from promptops.errors import Invalid, NotFound
from promptops.interop.accounts import KeyAccounts
from promptops.interop.llm_templates.functions import function_tools
from promptops.interop.llm_templates.variables import split_dollars
from promptops.interop.model import ImportedSource, PromptDraft
from promptops.interop.pins import NO_MODEL, pin_model
from promptops.interop.placeholders import InputNames, Variable, template_of
from promptops.interop.reader import SourceFile
from promptops.interop.sources import LLM_KEYS
from promptops.interop.target import ImportTarget, slug
from promptops.interop.values import text_of_value
from promptops.providers.parameters import sendable_parameters

if TYPE_CHECKING:
    from promptops.lint.context import LintProject

_INPUT = "input"
_TEXTS = frozenset({"prompt", "system", "fragments", "system_fragments"})
_MAX_FRAGMENTS = 100
_LOST = {
    "extract": "the whole answer is returned: the first block of code is not extracted",
    "extract_last": "the whole answer is returned: the last block of code is not extracted",
    "tools": "tools of plugins of llm: a prompt file defines its tools itself",
    "attachments": "copy the file below prompts/, and name it in the message: {image_file: …}",
    "attachment_types": "copy the file below prompts/, and name it in the message: {image_file: …}",
}


def read_llm(file: SourceFile, target: ImportTarget, project: "LintProject") -> ImportedSource:
    document = file.yaml()
    data = {"prompt": document.data} if isinstance(document.data, str) else document.data
    if not isinstance(data, dict) or not data.keys() & (LLM_KEYS if data.keys() <= LLM_KEYS else _TEXTS):
        hint = f"one has the keys {', '.join(sorted(LLM_KEYS))}"
        raise Invalid(f"{file.shown}: not a template of llm", hint=hint)
    return _TemplateReader(file, document, data, target, project).read()


class _TemplateReader:
    def __init__(
        self,
        file: SourceFile,
        document: Document,
        data: Mapping[str, Any],
        target: ImportTarget,
        project: "LintProject",
    ) -> None:
        self.file = file
        self.data = data
        self.keys = KeyAccounts(data, file.shown, lambda path: document.position(path).line)
        self.target = target
        self.project = project
        self.names = InputNames()
        self.files: dict[str, str] = {}
        self.imported: dict[str, Any] = {}
        self.steps: list[str] = []

    def read(self) -> ImportedSource:
        content: dict[str, Any] = {"model": self.model(), "messages": self.messages()}
        content["parameters"] = self.parameters(content["model"])
        content["inputs"] = self.inputs()
        content["tools"] = self.tools()
        if isinstance(schema := self.data.get("schema_object"), dict):
            self.keys.keep("schema_object")
            content["output"] = {"schema": schema}
        self.rest()
        draft = PromptDraft(name=self.target.prompt(self.file.stem), content=content, imported=self.imported)
        return ImportedSource(
            source="llm",
            path=self.file.shown,
            prompts=(draft,),
            files=self.files,
            findings=self.keys.findings(),
            steps=self.steps,
        )

    def model(self) -> str:
        written = self.data.get("model")
        if self.target.model:
            self.keys.change(("model",), f"`{self.target.model}`, as --model says") if written else None
            return self.target.model
        if not isinstance(written, str):
            self.steps.append(
                f"{self.file.shown} names no model, so llm asked its default one: pin one with --model"
            )
            return NO_MODEL
        pin = pin_model(written, self.project)
        if pin is None:
            self.lose("model", f"no provider of `{written}` is known here: pin one with --model")
            return NO_MODEL
        self.keys.change(("model",), pin.note) if pin.note else self.keys.keep("model")
        return pin.model

    def messages(self) -> list[dict[str, Any]]:
        fragments = self.fragments("system_fragments")
        texts = [*fragments, *([system] if (system := self.text("system").strip()) else [])]
        messages = [{"role": "system", "content": "\n\n".join(texts)}] if texts else []
        prompt = self.text("prompt")
        if not prompt:
            prompt = template_of([Variable(_INPUT)], self.names)
        user = "\n".join([*self.fragments("fragments"), prompt])
        return [*messages, {"role": "user", "content": user}]

    def text(self, key: str) -> str:
        given = self.data.get(key)
        if given is None:
            return ""
        if not isinstance(given, str):
            raise Invalid(f"{self.file.shown}: `{key}` is a text", hint="put it in quotes, or behind `|`")
        pieces, alone = split_dollars(given)
        if alone:
            self.keys.change((key,), "a `$` on its own, which llm refuses, is a dollar sign")
        else:
            self.keys.keep(key)
        return template_of(pieces, self.names)

    def fragments(self, key: str) -> list[str]:
        """Files beside the template become partials; whatever else a fragment is, is not looked up."""
        found = []
        given = self.data.get(key)
        if isinstance(given, list) and len(given) > _MAX_FRAGMENTS:
            hint = "put their text into the message"
            raise Invalid(f"{self.file.shown}: more than {_MAX_FRAGMENTS} {key}", hint=hint)
        for index, name in enumerate(given if isinstance(given, list) else ()):
            try:
                text = self.file.folder.text(str(name))
            except (Invalid, NotFound) as error:
                self.keys.lose((key, index), f"{error.message}: put its text into the message")
                self.imported.setdefault(key, []).append(name)
                continue
            path = self.target.path(f"partials/{slug(str(name)) or 'fragment'}")
            self.files[path] = template_of([text], InputNames())
            self.keys.change((key, index), f"the partial {path}")
            found.append(f'{{% include "{path}" %}}')
        return found

    def parameters(self, model: str) -> dict[str, Any]:
        parameters: dict[str, Any] = {}
        given = self.data.get("options")
        for key, value in given.items() if isinstance(given, dict) else ():
            if key == "json_object":
                self.keys.change(("options", key), "parameters.response_format")
                parameters |= {"response_format": {"type": "json_object"}} if value else {}
            elif key == "max_tokens" and model.startswith(("openai/gpt-5", "openai/o")):
                self.keys.change(("options", key), "max_completion_tokens, as reasoning models call it")
                parameters["max_completion_tokens"] = value
            elif key in sendable_parameters(direct=True):
                self.keys.keep("options", key)
                parameters[key] = value
            else:
                self.lose("options", "no parameter that is sent", key)
        return parameters

    def inputs(self) -> dict[str, Any]:
        defaults = self.data.get("defaults")
        given = defaults if isinstance(defaults, dict) else {}
        for name in given:
            if name in self.names.names and name != _INPUT:
                self.keys.keep("defaults", name)
            else:
                self.lose("defaults", "no text has this variable, or llm fills it in itself", name)
        return {
            name: {"type": "string", "default": text_of_value(given[source])}
            if source in given and source != _INPUT
            else "string"
            for source, name in self.names.names.items()
        }

    def tools(self) -> list[dict[str, Any]]:
        code = self.data.get("functions")
        if not isinstance(code, str):
            return []
        self.imported["functions"] = code
        tools = function_tools(code)
        names = ", ".join(tool["function"]["name"] for tool in tools) or "none of them"
        note = f"tools ({names}): their code is kept and never run, so your program answers their calls"
        self.keys.change(("functions",), note)
        return tools

    def rest(self) -> None:
        for key in self.data:
            if key in _LOST:
                self.lose(key, _LOST[key])
            elif key not in LLM_KEYS:
                self.lose(key, "llm refuses a template with this key")

    def lose(self, key: str, why: str, member: str = "") -> None:
        self.keys.lose((key, member) if member else (key,), why)
        value = self.data[key]
        if member:
            self.imported.setdefault(key, {})[member] = value[member]
        else:
            self.imported[key] = value
