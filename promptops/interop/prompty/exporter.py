"""A prompt as a Prompty file of the second format.

What Prompty has no word for stands under ``metadata.promptops``, where an import finds it again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from promptops.config.settings import Settings
from promptops.config.yaml_style import write_yaml
from promptops.errors import Invalid
from promptops.interop.exporters import ExportSubject
from promptops.interop.model import ExportedFiles, Finding
from promptops.interop.prompty.body import BodyRules, PromptyBody
from promptops.interop.prompty.inputs import property_input, without_blanks
from promptops.interop.prompty.model_keys import OPTIONS
from promptops.interop.prompty.properties import object_schema
from promptops.interop.prompty.template_parts import BodyFault
from promptops.interop.prompty.uses import NameUse
from promptops.interop.prompty.written_body import WrittenBody
from promptops.interop.prompty.written_properties import written_input, written_outputs, written_tools
from promptops.interop.target import slug
from promptops.prompt import Prompt
from promptops.prompt.canonical_json import compact_json

_HANDLED = frozenset(
    ["cases", "description", "inputs", "messages", "metadata", "model", "output", "parameters", "tools"]
)
_PROVIDERS = {"azure": "azure", "azure_ai": "serverless"}
_KEPT_FOR_IMPORT = "not in force in Prompty; kept under metadata.promptops for an import"


def write_prompty(subjects: Sequence[ExportSubject], _: Settings) -> ExportedFiles:
    findings: list[Finding] = []
    files = {}
    for each in subjects:
        writer = _Writer(each.prompt)
        files[f"{each.prompt.name}.prompty"] = writer.text()
        findings += writer.findings
    return ExportedFiles(form="prompty", files=files, findings=findings)


class _Writer:
    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.data: Mapping[str, Any] = prompt.document.data
        self.findings: list[Finding] = []
        self.own: dict[str, Any] = {}

    def found(self, key: str, verdict: Any, note: str = "") -> None:
        self.findings.append(Finding(key, verdict, note, self.prompt.name))

    def text(self) -> str:
        inputs = [self.input(name) for name in self.prompt.inputs]
        outputs = self.outputs()
        tools = self.tools()
        body = self.body()
        self.other_keys()
        own = {"promptops": self.own} if self.own else {}
        front = {
            "name": slug(self.prompt.name.rpartition("/")[2]),
            "description": self.prompt.description,
            "metadata": {**self.prompt.metadata, **own},
            "model": self.model(),
            "inputs": [each for each in inputs if each],
            "outputs": outputs,
            "tools": tools,
            "template": {"format": {"kind": "jinja2"}, "parser": {"kind": "prompty"}},
        }
        head = write_yaml({key: value for key, value in front.items() if value})
        return f"---\n{head}---\n{body}"

    def model(self) -> dict[str, Any]:
        provider, _, name = self.prompt.model.partition("/")
        self.found("model", "kept")
        options: dict[str, Any] = {}
        more: dict[str, Any] = {}
        names = {ours: theirs for theirs, ours in OPTIONS.items()}
        for key, value in self.prompt.parameters.items():
            if key in names:
                options[names[key]] = value
            else:
                more[key] = value
            self.found(f"parameters.{key}", "kept")
        options |= {"additionalProperties": more} if more else {}
        model = {"id": name, "provider": _PROVIDERS.get(provider, provider), "apiType": "chat"}
        return {**model, "options": options} if options else model

    def input(self, name: str) -> dict[str, Any] | None:
        declared = self.prompt.inputs[name]
        schema = dict(declared.schema)
        if declared.kind != "value":
            default = {} if declared.required else {"default": declared.default}
            schema = {"type": declared.kind, **default}
        written = written_input(name, schema)
        read = dict(property_input(written, NameUse()).schema) if written else {}
        if compact_json(dict(sorted(read.items()))) == compact_json(dict(sorted(schema.items()))):
            self.found(f"inputs.{name}", "kept")
        else:
            self.own.setdefault("inputs", {})[name] = schema
            differing = sorted(key for key in {*schema, *read} if read.get(key) != schema.get(key))
            self.found(f"inputs.{name}", "lost", f"{', '.join(differing)}: {_KEPT_FOR_IMPORT}")
        return written

    def outputs(self) -> list[dict[str, Any]]:
        output = self.prompt.output
        if output is None:
            return []
        kept = {"schema": output.schema, "repair": output.repair, "extract": output.extract}
        kept = {key: value for key, value in kept.items() if value}
        written = written_outputs(kept)
        read = object_schema(written, strict=True, closed=True) if written else None
        if kept.keys() != {"schema"} or compact_json(read) != output.schema_text:
            self.keep("output", kept)
        else:
            self.found("output", "kept")
        return written

    def keep(self, key: str, value: Any) -> None:
        """What Prompty has no word for, or not all the words."""
        self.own.setdefault("keys", {})[key] = value
        self.found(key, "lost", _KEPT_FOR_IMPORT)

    def tools(self) -> list[dict[str, Any]]:
        tools = [dict(tool) for tool in self.prompt.tools]
        if tools:
            self.own.setdefault("keys", {})["tools"] = tools
            note = "functions are written in Prompty's form, and in full under metadata.promptops"
            self.found("tools", "changed", note)
        return written_tools(tools)

    def body(self) -> str:
        """Without the trimming that an import has added, where that reads back, else as the texts stand."""
        body = WrittenBody(self.prompt)
        for trim in (True, False):
            text = body.text(trim=trim)
            if self.reads_back(text, body.expected(), trim=trim):
                if not trim:
                    self.own["trim"] = False
                break
        else:
            self.found("messages", "changed", "Prompty reads their blank lines or parts differently")
            self.own["trim"] = False
        for key, verdict, note in body.findings:
            self.found(key, verdict, note)
        return text

    def reads_back(self, text: str, expected: list[dict[str, Any]], *, trim: bool) -> bool:
        kinds = {"messages": "thread", "image": "image"}
        special = {name: kinds[one.kind] for name, one in self.prompt.inputs.items() if one.kind in kinds}
        numbers = without_blanks({name: one.schema for name, one in self.prompt.inputs.items()})
        try:
            read = PromptyBody(text, BodyRules(2, special, numbers, trim=trim)).read()
        except BodyFault as fault:
            raise Invalid(f"{self.prompt.name} cannot be a Prompty file: {fault.message}") from None
        roles = [message.get("role") for message in read]
        if len(read) > len(expected) or roles != [message.get("role") for message in expected]:
            wrong = "a line of a message reads as the beginning of another, or a message is empty"
            raise Invalid(
                f"{self.prompt.name} cannot be a Prompty file: {wrong}", hint="lines such as `user:`"
            )
        return read == expected

    def other_keys(self) -> None:
        for key, value in self.data.items():
            if key == "cases":
                self.found(key, "lost", "cases are files of promptops")
            elif key not in _HANDLED:
                self.keep(key, value)
        for key in ("description", "metadata"):
            if key in self.data:
                self.found(key, "kept")
