"""A dotprompt file becomes a prompt file, with its partials beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

from promptops.config.yaml import YamlPath
from promptops.errors import Invalid, NotFound
from promptops.interop.accounts import KeyAccounts
from promptops.interop.dotprompt.inputs import DeclaredInputs, declared_inputs, input_by_use
from promptops.interop.dotprompt.messages import MessageBuilder
from promptops.interop.dotprompt.nodes import HandlebarsFault
from promptops.interop.dotprompt.picoschema import json_schema
from promptops.interop.dotprompt.template import Template, translate_template
from promptops.interop.dotprompt.to_jinja import ReadPartial
from promptops.interop.frontmatter import FrontMatter, read_front_matter, short_schema
from promptops.interop.model import Finding, ImportedSource, PromptDraft
from promptops.interop.pins import NO_MODEL, pin_model
from promptops.interop.reader import SourceFile, SourceFolder
from promptops.interop.target import ImportTarget
from promptops.interop.tool_names import is_tool_name
from promptops.lint.context import LintProject
from promptops.prompt.templates import plain_pieces

_PARAMETERS = {  # of `config`, which Gemini names so -> as OpenAI and litellm do
    "temperature": "temperature",
    "topP": "top_p",
    "topK": "top_k",
    "maxOutputTokens": "max_tokens",
    "stopSequences": "stop",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "seed": "seed",
    "candidateCount": "n",
}
_KNOWN = frozenset(
    ["config", "description", "input", "metadata", "model", "name", "output", "toolDefs", "tools", "variant"]
)
_HISTORY_NAMES = ("history", "chat_history", "earlier_messages")
_MAX_FAULTS = 5  # named in one message


def read_dotprompt(file: SourceFile, target: ImportTarget, project: LintProject) -> ImportedSource:
    """Raises Invalid for a text that cannot be translated, with its lines."""
    if file.name.startswith("_"):
        note = "a partial: it is imported with the prompts that include it"
        return ImportedSource(
            source="dotprompt", path=file.shown, findings=[Finding("(the file)", "changed", note)]
        )
    return _DotpromptImporter(file, target, project).read()


class _DotpromptImporter:
    def __init__(self, file: SourceFile, target: ImportTarget, project: LintProject) -> None:
        self.file = file
        self.target = target
        self.project = project
        self.front: FrontMatter = read_front_matter(file.text(), file.shown, comments=True)
        self.accounts = KeyAccounts.of(self.front.document)
        self.found: list[Finding] = []
        self.names: dict[str, Any] = {}  # which files have here
        self.source = ""

    def read(self) -> ImportedSource:
        data = self.front.data
        name = self.target.prompt(self.file.name.removesuffix(".prompt"))
        declared = declared_inputs(data.get("input"), self.accounts)
        template = self.template(declared, name)
        messages = self.messages(template)
        content = {
            "model": self.model(data),
            "parameters": self.parameters(data.get("config")),
            "inputs": self.inputs(declared, template, messages),
            "messages": messages.messages,
            "output": self.output(data.get("output")),
            "tools": self.tools(data),
            **self.as_written(data),
        }
        for key in data:
            if key not in _KNOWN:
                self.accounts.lose((key,), "for other programs; kept under metadata.imported")
        lost = self.accounts.lost_values()
        imported = {"file": self.file.name, **self.names, **({"not_in_force": lost} if lost else {})}
        return ImportedSource(
            source="dotprompt",
            path=self.file.shown,
            prompts=[PromptDraft(name=name, content=content, imported=imported)],
            files=template.files,
            findings=[*self.accounts.findings(), *self.found],
        )

    def note(self, key: str, message: str) -> None:
        self.found.append(Finding(key, "changed", message, self.file.shown))

    def template(self, declared: DeclaredInputs, name: str) -> Template:
        def partial_path(partial: str, text: str) -> str:
            """A text of names alone is the same for every prompt; others depend on the types of inputs."""
            own = partial if plain_pieces(text) is not None else f"{name.rpartition('/')[2]}.{partial}"
            return self.target.path(f"partials/{own}.md")

        self.source = self.front.body.strip() if self.front.declared else self.front.body
        return translate_template(
            self.source, declared.schemas, _partial_reader(self.file.folder), partial_path
        )

    def messages(self, template: Template) -> MessageBuilder:
        history = next(name for name in _HISTORY_NAMES if name not in template.inputs)
        builder = MessageBuilder(history)
        builder.build(template.chunks)
        if faults := [*template.faults, *builder.faults]:
            raise self.refusal(faults)
        if not builder.messages:
            raise Invalid(
                f"{self.file.shown}: there is no text to send", hint="write it below the front matter"
            )
        if builder.conditional:
            note = (
                "its whole text depends on values: where it is empty it is sent, and dotprompt leaves it out"
            )
            self.note("messages", note)
        for section in dict.fromkeys(builder.sections):
            self.note(f"section {section}", "a place for texts of other programs; nothing is written there")
        return builder

    def refusal(self, faults: Sequence[HandlebarsFault]) -> Invalid:
        lead = self.front.body[: len(self.front.body) - len(self.front.body.lstrip())]
        above = self.front.line - 1 + (lead.count("\n") if self.front.declared else 0)
        said = [f"line {above + fault.line}: {fault.message}" for fault in faults[:_MAX_FAULTS]]
        more = f"; and {len(faults) - _MAX_FAULTS} more" if len(faults) > _MAX_FAULTS else ""
        hint = faults[0].hint or "rewrite it, or remove it and import the file again"
        return Invalid(f"{self.file.shown}: {'; '.join(said)}{more}", hint=hint)

    def inputs(
        self, declared: DeclaredInputs, template: Template, messages: MessageBuilder
    ) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        for name in [*declared.schemas, *template.undeclared]:
            if name in template.images:
                inputs[name] = "image"
                self.note(name, "an image: its bytes or a data: URL, and not the URL of a page")
            elif name in declared.schemas:
                inputs[name] = short_schema(declared.schemas[name])
            else:
                inputs[name] = short_schema(input_by_use(template.inputs[name]))
        self.note_undeclared(declared, template)
        for name, written in template.renamed.items():
            self.note(written, f"the input `{name}`")
        if messages.history:
            inputs[messages.history_input] = {"type": "messages", "default": []}
        return inputs

    def note_undeclared(self, declared: DeclaredInputs, template: Template) -> None:
        for name in template.undeclared:
            if name in template.context_names:
                self.note(f"@{name}", f"a value of the context: the input `{name}`")
            elif name not in template.images:
                why = "the schema does not name it" if declared.given else "no schema names it"
                self.note(name, f"{why}: its type is inferred from the text, and it is optional")

    def model(self, data: Mapping[str, Any]) -> str:
        written, version = data.get("model"), _version(data)
        if self.target.model:
            self.accounts.change(("model",), f"{self.target.model} is pinned in its place")
            return self.target.model
        if not isinstance(written, str):
            self.note("model", f"none is named: {NO_MODEL} is pinned; --model pins another")
            return NO_MODEL
        named = f"{written.rpartition('/')[0]}/{version}".lstrip("/") if version else written
        pin = pin_model(named, self.project)
        if pin is None:
            self.accounts.lose(("model",), f"no model is known by that name: {NO_MODEL} is pinned")
            return NO_MODEL
        if version:
            self.accounts.change(("config", "version"), "it is the model that is pinned")
        if pin.note or version:
            self.accounts.change(("model",), pin.note or f"pinned as {pin.model}")
        self.accounts.keep("model")
        return pin.model

    def parameters(self, config: Any) -> dict[str, Any]:
        parameters: dict[str, Any] = {}
        for key, value in config.items() if isinstance(config, Mapping) else ():
            if key in _PARAMETERS:
                parameters[_PARAMETERS[key]] = value
                if key == _PARAMETERS[key]:
                    self.accounts.keep("config", key)
                else:
                    self.accounts.change(("config", key), f"parameters.{_PARAMETERS[key]}")
            elif key == "apiKey":
                self.accounts.lose(("config", key), "no key is kept: set the provider's environment variable")
            elif key != "version" or not isinstance(value, str):
                self.accounts.lose(("config", key), "no parameter is known by that name")
        return parameters

    def output(self, output: Any) -> dict[str, Any] | None:
        if not isinstance(output, Mapping):
            return None
        schema = self.output_schema(output)
        form = output.get("format")
        if form == "text" or (form == "json" and schema):
            self.accounts.keep("output", "format")
        elif form == "json":
            self.accounts.change(("output", "format"), "output.extract: the JSON in the answer is the answer")
            return {"extract": "json"}
        elif form is not None:
            self.accounts.lose(("output", "format"), "answers are texts, or JSON of a schema")
        return {"schema": schema} if schema else None

    def output_schema(self, output: Mapping[str, Any]) -> dict[str, Any] | None:
        try:
            schema = json_schema(output.get("schema"))
        except Invalid as error:
            self.accounts.lose(("output", "schema"), error.message)
            return None
        if schema:
            self.accounts.keep("output", "schema")
        return schema

    def tools(self, data: Mapping[str, Any]) -> list[dict[str, Any]]:
        if data.get("tools"):
            self.accounts.lose(
                ("tools",), "tools are only named here and defined in code: write them under `tools`"
            )
        definitions = data.get("toolDefs")
        tools = []
        for index, each in enumerate(definitions if isinstance(definitions, list) else ()):
            if isinstance(each, Mapping) and is_tool_name(each.get("name")):
                tools += self.tool(("toolDefs", index), each)
        return tools

    def tool(self, path: YamlPath, definition: Mapping[str, Any]) -> list[dict[str, Any]]:
        try:
            schema = json_schema(definition.get("inputSchema"))
        except Invalid as error:
            self.accounts.lose(path, error.message)
            return []
        function = {"name": definition["name"]}
        if isinstance(definition.get("description"), str):
            function["description"] = definition["description"]
        self.accounts.change(path, "a tool in OpenAI's form")
        if "outputSchema" in definition:
            self.accounts.lose((*path, "outputSchema"), "a tool's result is what your program makes it")
        return [{"type": "function", "function": {**function, "parameters": schema} if schema else function}]

    def as_written(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Keys that mean here what they mean there, and names, which files have here."""
        kept = {}
        if isinstance(data.get("description"), str):
            kept["description"] = data["description"]
            self.accounts.keep("description")
        if isinstance(data.get("metadata"), Mapping):
            kept["metadata"] = dict(data["metadata"])
            self.accounts.keep("metadata")
        for key in ("name", "variant"):
            if key in data:
                self.names[key] = data[key]
                self.accounts.change(
                    (key,), "a prompt is named by its file here; kept under metadata.imported"
                )
        return kept


def _partial_reader(folder: SourceFolder) -> ReadPartial:
    def read(name: str) -> str | None:
        above, _, own = name.rpartition("/")
        try:
            return folder.text(f"{above}/_{own}.prompt".lstrip("/"))
        except NotFound:
            return None

    return read


def _version(data: Mapping[str, Any]) -> str:
    config = data.get("config")
    version = config.get("version") if isinstance(config, Mapping) else None
    return version if isinstance(version, str) else ""
