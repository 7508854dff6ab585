"""A Prompty file becomes a prompt file, and its sample a case."""

from collections.abc import Mapping
from typing import Any

from promptops.config.yaml import YamlPath
from promptops.errors import Invalid
from promptops.interop.accounts import KeyAccounts
from promptops.interop.frontmatter import FrontMatter, read_front_matter, short_schema
from promptops.interop.model import Finding, ImportedSource, PromptDraft
from promptops.interop.prompty.body import BodyRules, PromptyBody
from promptops.interop.prompty.formats import body_as_jinja
from promptops.interop.prompty.inputs import (
    ReadInput,
    property_input,
    sample_input,
    undeclared_input,
    without_blanks,
)
from promptops.interop.prompty.model_keys import NO_COUNTERPART, ModelReader
from promptops.interop.prompty.properties import OTHER_KINDS, named_properties, object_schema, property_kind
from promptops.interop.prompty.references import References
from promptops.interop.prompty.template_parts import BodyFault
from promptops.interop.prompty.tool_keys import ToolReader
from promptops.interop.prompty.uses import NameUse, name_uses
from promptops.interop.prompty.written_properties import written_input, written_outputs, written_tools
from promptops.interop.reader import SourceFile
from promptops.interop.target import ImportTarget, slug
from promptops.interop.values import input_name
from promptops.lint.context import LintProject
from promptops.prompt.schema import PROMPT_SCHEMA

_FIRST_FORMAT = frozenset({"authors", "base", "sample", "tags", "version"})
_FIRST_MODEL = frozenset({"api", "configuration", "parameters", "response"})
_KNOWN = (
    frozenset({"description", "displayName", "metadata", "model", "name", "template", "tools"})
    | _FIRST_FORMAT
)
_INPUT_KEYS = frozenset(
    [
        *("anyOf", "default", "description", "enumValues", "example", "items", "kind", "name", "nullable"),
        *("oneOf", "properties", "required", "type"),
    ]
)
_EXPORTED_KEYS = frozenset(PROMPT_SCHEMA["properties"]) - {
    *("cases", "description", "inputs", "messages", "metadata", "model", "parameters")
}


def read_prompty(file: SourceFile, target: ImportTarget, project: LintProject) -> ImportedSource:
    """Raises Invalid for a text that cannot be translated, with its line."""
    return _PromptyImporter(file, target, project).read()


class _PromptyImporter:
    def __init__(self, file: SourceFile, target: ImportTarget, project: LintProject) -> None:
        self.file = file
        self.target = target
        self.front: FrontMatter = read_front_matter(file.text(), file.shown)
        self.told: dict[YamlPath, str] = {}
        references = References(file.folder, self.told.__setitem__)
        self.data: dict[str, Any] = references.resolve(self.front.data)
        self.accounts = KeyAccounts(
            self.data, file.shown, lambda path: self.front.document.position(path).line
        )
        self.names: dict[str, Any] = {}  # which files have here
        self.found: list[Finding] = []
        self.model = ModelReader(self.accounts, target, project)
        model = self.data.get("model")
        keys = frozenset(model) if isinstance(model, Mapping) else frozenset()
        first = not (_FIRST_FORMAT.isdisjoint(self.data) and _FIRST_MODEL.isdisjoint(keys))
        self.version = 1 if first else 2
        self.inputs: dict[str, ReadInput] = {}

    def read(self) -> ImportedSource:
        self.model.read(self.data.get("model"))
        if self.model.note:
            self.note("model", self.model.note)
        messages = self.messages()
        outputs = self.outputs()
        content = {
            "description": self.data.get("description") if self.keep_text("description") else "",
            "model": self.model.model,
            "parameters": self.model.parameters,
            "inputs": {name: short_schema(each.schema) for name, each in self.inputs.items()},
            "messages": messages,
            "output": {"schema": outputs} if outputs else None,
            "tools": ToolReader(self.accounts).read(self.data.get("tools"), self.model.tools),
            "metadata": self.metadata(),
        }
        content |= self.exported_keys()
        name = self.target.prompt(self.file.name.removesuffix(".prompty"))
        cases = self.cases()
        self.other_keys()
        for path, note in self.told.items():
            self.accounts.change(path, note)
        lost = self.accounts.lost_values()
        imported = {"file": self.file.name, **self.names, **({"not_in_force": lost} if lost else {})}
        return ImportedSource(
            source="prompty",
            path=self.file.shown,
            prompts=[PromptDraft(name=name, content=content, cases=cases, imported=imported)],
            findings=[*self.accounts.findings(), *self.found],
        )

    def note(self, key: str, message: str) -> None:
        self.found.append(Finding(key, "changed", message, self.file.shown))

    def keep_text(self, key: str) -> bool:
        if not isinstance(self.data.get(key), str):
            return False
        self.accounts.keep(key)
        return True

    def messages(self) -> list[dict[str, Any]]:
        try:
            return self.translated()
        except BodyFault as fault:
            lead = self.front.body[: len(self.front.body) - len(self.front.body.lstrip())]
            line = self.front.line - 1 + lead.count("\n") + fault.line
            hint = fault.hint or "rewrite it, or remove it and import the file again"
            raise Invalid(f"{self.file.shown}:{line}: {fault.message}", hint=hint) from None

    def translated(self) -> list[dict[str, Any]]:
        kinds = {name: property_kind(each) for _, name, each in self.properties("inputs")}
        form = self.template_format()
        source = body_as_jinja(self.front.body.lstrip(), form, kinds)
        if form == "mustache":
            self.note(
                "template", "values are sent as they are; Prompty writes & < > of {{name}} as HTML does"
            )
        uses = name_uses(source)
        self.read_inputs(uses)
        declared = {name: each.schema for name, each in self.inputs.items()}
        for name in declared:
            if input_name(name) != name:
                raise BodyFault(1, f"`{name}` cannot be the name of an input", "rename it in the file")
        rules = BodyRules(
            self.version,
            {name: kind for name, kind in kinds.items() if kind in OTHER_KINDS},
            without_blanks(declared),
            trim=self.own_metadata().get("trim") is not False,
        )
        body = PromptyBody(source, rules)
        messages = body.read()
        for name in body.histories:
            if name not in self.inputs or self.inputs[name].schema.get("type") != "messages":
                self.inputs[name] = ReadInput({"type": "messages", "default": []})
        for name in dict.fromkeys(body.attributes):
            self.note(f"[{name}=…]", "a role takes only a name")
        if not messages:
            raise BodyFault(1, "there is no text to send", "write it below the front matter")
        return messages

    def own_metadata(self) -> Mapping[str, Any]:
        """What an export of promptops has written for its own import."""
        metadata = self.data.get("metadata")
        own = metadata.get("promptops") if isinstance(metadata, Mapping) else None
        return own if isinstance(own, Mapping) else {}

    def exported(self, part: str) -> Mapping[str, Any]:
        found = self.own_metadata().get(part)
        return found if isinstance(found, Mapping) else {}

    def exported_keys(self) -> dict[str, Any]:
        """Those of them that nobody has changed in the file since."""
        keys = {key: value for key, value in self.exported("keys").items() if key in _EXPORTED_KEYS}
        output, tools = keys.get("output"), keys.get("tools")
        written = {
            "output": ("outputs", written_outputs(output) if isinstance(output, Mapping) else None),
            "tools": ("tools", written_tools(tools) if isinstance(tools, list) else None),
        }
        for key, (name, properties) in written.items():
            if key in keys and properties != self.data.get(name, []):
                self.note(
                    f"metadata.promptops.keys.{key}", f"`{name}` was changed since the export: it is in force"
                )
                del keys[key]
        return keys

    def template_format(self) -> str:
        template = self.data.get("template")
        if template is None:
            return "jinja2"
        if isinstance(template, str):
            self.accounts.keep("template")
            return template
        found = template if isinstance(template, Mapping) else {}
        for key in found:
            if key not in ("format", "parser", "type"):
                self.accounts.lose(("template", key), NO_COUNTERPART)
        self.parser(found)
        key = "format" if "format" in found else "type"
        written = found.get(key, "jinja2")
        if isinstance(written, Mapping):
            for other in written.keys() - {"kind", "strict"}:
                self.accounts.lose(("template", key, other), NO_COUNTERPART)
            if "strict" in written:
                note = "a value never begins a message here, in either case"
                self.accounts.change(("template", key, "strict"), note)
            self.accounts.keep("template", key, "kind")
            return str(written.get("kind", "jinja2"))
        self.accounts.keep("template", key)
        return str(written)

    def parser(self, template: Mapping[str, Any]) -> None:
        parser = template.get("parser", "prompty")
        kind = parser.get("kind") if isinstance(parser, Mapping) else parser
        if kind not in ("prompty", "prompty.chat", "NOOP"):
            raise BodyFault(1, f"the parser `{kind}` is not known")
        if "parser" in template:
            self.accounts.keep("template", "parser")

    def properties(self, key: str) -> list[tuple[YamlPath, str, dict[str, Any]]]:
        """Of the inputs or outputs, by either name, with their paths."""
        for name in (key, f"{key.removesuffix('s')}Schema"):
            if self.data.get(name) is not None:
                found = named_properties(self.data[name]) if not isinstance(self.data[name], str) else ()
                return [((name, *path), own, each) for path, own, each in found]
        return []

    def read_inputs(self, uses: Mapping[str, NameUse]) -> None:
        found = self.data.get("sample")
        sample: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
        for path, name, each in self.properties("inputs"):
            needed = {"required": True} if name in sample else {}  # Prompty takes the sample's value else
            self.declare(name, each, property_input({**each, **needed}, uses.get(name)), path)
            for key in each.keys() - _INPUT_KEYS:
                self.accounts.lose((*path, key), NO_COUNTERPART)
        for name, schema in self.exported("inputs").items():
            if name not in self.inputs and isinstance(schema, Mapping) and not written_input(name, schema):
                self.inputs[name] = ReadInput(schema)  # of no one type, which Prompty does not have
        for name, value in sample.items():
            if name not in self.inputs:
                self.inputs[name] = sample_input(value, uses.get(name))
        for name, use in uses.items():
            if name not in self.inputs:
                self.inputs[name] = undeclared_input(use)
                note = self.inputs[name].note or "nothing declares it: a text that may be left out"
                self.note(name, note)

    def declare(self, name: str, each: Mapping[str, Any], read: ReadInput, path: YamlPath) -> None:
        exported = self.exported("inputs").get(name)
        if isinstance(exported, Mapping):
            unchanged = written_input(name, exported) == each
            read = ReadInput(exported if unchanged else {**exported, **read.schema})
        self.inputs[name] = read
        if read.note:
            self.accounts.change(path, read.note)
        else:
            self.accounts.keep(*path)

    def outputs(self) -> dict[str, Any] | None:
        found = self.properties("outputs")
        for path, _, _ in found:
            self.accounts.keep(*path)
        strict = self.version > 1
        given = [{**each, "name": name} for _, name, each in found]
        return object_schema(given, strict=strict, closed=strict) if found else None

    def metadata(self) -> dict[str, Any]:
        written = self.data.get("metadata")
        metadata: dict[str, Any] = {}
        if isinstance(written, Mapping):
            metadata = {key: value for key, value in written.items() if key != "promptops"}
            self.accounts.keep("metadata")
        for key in ("authors", "tags", "version"):
            if key in self.data:
                metadata.setdefault(key, self.data[key])
                self.accounts.change((key,), f"metadata.{key}")
        return metadata

    def cases(self) -> list[dict[str, Any]]:
        """The sample, or the examples of inputs, where they are values for all that must be given."""
        sample, key = self.data.get("sample"), "sample"
        if sample is None:
            sample = {
                name: each["example"] for _, name, each in self.properties("inputs") if "example" in each
            }
            key = ""
        if not isinstance(sample, Mapping):
            self.accounts.lose(("sample",), "a sample is a mapping of inputs to values")
            return []
        missing = [
            name for name, each in self.inputs.items() if "default" not in each.schema and name not in sample
        ]
        given = {name: value for name, value in sample.items() if name in self.inputs}
        if key and not missing:
            note = (
                "a case; Prompty also takes its values for inputs that are missing, which must be given here"
            )
            self.accounts.change((key,), note)
        elif key:
            self.accounts.lose((key,), f"it has no value for {', '.join(missing)}, so that it is not a case")
        return [{"inputs": given}] if given and not missing else []

    def other_keys(self) -> None:
        if "base" in self.data:
            self.accounts.lose(("base",), "nothing is taken from another file: import that one too")
        if slug(str(self.data.get("name", ""))) == slug(self.file.stem):
            self.accounts.keep("name")
            names = ["displayName"]
        else:
            names = ["name", "displayName"]
        for key in names:
            if key in self.data:
                self.names[key] = self.data[key]
                note = "a prompt is named by its file here; kept under metadata.imported"
                self.accounts.change((key,), note)
        schemas = {"inputs", "inputSchema", "outputs", "outputSchema"}
        for key, value in self.data.items():
            if key not in _KNOWN and (key not in schemas or isinstance(value, str)):
                self.accounts.lose((key,), NO_COUNTERPART)
