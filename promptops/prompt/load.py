"""A prompt file, read and decoded; all that is wrong with it is found in one go."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any, cast

from promptops.config.redaction_rules import read_redaction_rule
from promptops.config.retention_limits import retention_problems
from promptops.config.text import refuse_lfs_pointer
from promptops.config.yaml import Document, InvalidAt, Position, Problem, YamlPath, parse_yaml
from promptops.errors import Invalid, NotFound
from promptops.prompt.canonical_json import compact_json, json_data_problem
from promptops.prompt.checks import read_checks
from promptops.prompt.closure import (
    PROMPTS_FOLDER,
    FileReader,
    PartialCollector,
    decode_schema,
    image_type,
    normalize_newlines,
    partial_locator,
    path_problem,
)
from promptops.prompt.inputs import read_input
from promptops.prompt.json_schema import (
    Validator,
    document_problems,
    schema_problem,
    unknown_name_message,
    validator_for,
)
from promptops.prompt.schema import PROMPT_SCHEMA
from promptops.prompt.template_types import TemplateFault
from promptops.prompt.templates import free_names
from promptops.prompt.types import (
    Guard,
    ImageFile,
    ImageInput,
    Input,
    Insert,
    Message,
    Output,
    Part,
    Prompt,
    Text,
)

_SEGMENT = re.compile(r"[a-z0-9][a-z0-9._-]*")


def check_prompt_name(name: str) -> None:
    """Accept `support/triage`; raise Invalid for what names no prompt."""
    if ".." in name or not all(_SEGMENT.fullmatch(part) for part in name.split("/")):
        hint = "lower-case letters, digits, `.`, `_` and `-`, in folders separated by `/`"
        raise Invalid(f"`{name}` cannot be the name of a prompt", hint=hint)


def load_prompt(name: str, read: FileReader) -> Prompt:
    """Read `<name>.yaml` and all that it refers to. Raises the first problem, NotFound for no such file."""
    loader = _Loader(name, read)
    prompt = loader.load()
    if loader.problems or prompt is None:
        raise InvalidAt(loader.problems[0])
    return prompt


def find_problems(name: str, read: FileReader) -> list[Problem]:
    """List all that keeps a prompt from being loaded or its templates from being compiled."""
    return load_with_problems(name, read)[1]


def load_with_problems(name: str, read: FileReader) -> tuple[Prompt | None, list[Problem]]:
    """Give a prompt as far as its file can be decoded, and all that is wrong with it."""
    try:
        loader = _Loader(name, read)
    except InvalidAt as error:
        return None, [error.problem]
    prompt = loader.load()
    return prompt, [*loader.problems, *(_template_problems(prompt) if prompt else ())]


def _template_problems(prompt: Prompt) -> Iterable[Problem]:
    document = prompt.document
    for text in text_parts(prompt):
        try:
            free_names(text.template)
        except TemplateFault as fault:
            line = document.line_of(text.path, fault.line)
            yield Problem("template", fault.message, document.path, Position(line, 1), fault.hint)
    for name, template in prompt.partials.items():
        try:
            free_names(template)
        except TemplateFault as fault:
            yield Problem("template", fault.message, *partial_locator(name)(fault.line), fault.hint)


def text_parts(prompt: Prompt) -> list[Text]:
    messages = [message for message in prompt.messages if isinstance(message, Message)]
    return [part for message in messages for part in message.content if isinstance(part, Text)]


def find_prompt_file(name: str, read: FileReader) -> tuple[str, bytes]:
    """Find a prompt's file, .yaml or .yml."""
    check_prompt_name(name)
    found = [
        (f"{name}{suffix}", data)
        for suffix in (".yaml", ".yml")
        if (data := _read_if_exists(read, f"{name}{suffix}")) is not None
    ]
    if not found:
        raise NotFound(f"no prompt `{name}`", hint=f"it would be {PROMPTS_FOLDER}{name}.yaml")
    if len(found) > 1:
        raise Invalid(f"the prompt `{name}` has two files, .yaml and .yml", hint="keep one of the two")
    return found[0]


def _read_if_exists(read: FileReader, path: str) -> bytes | None:
    try:
        return read(path)
    except NotFound:
        return None


class _Loader:
    """Decodes one file. Problems are collected, so that the first pass over a file shows them all."""

    def __init__(self, name: str, read: FileReader) -> None:
        self.name = name
        self.read = read
        self.path, data = find_prompt_file(name, read)
        self.document: Document = parse_yaml(data, PROMPTS_FOLDER + self.path)
        self.problems: list[Problem] = []
        self.files: list[str] = [self.path]

    def load(self) -> Prompt | None:
        """Decode; None where the file's shape is wrong, so that there is nothing to decode."""
        self.problems += document_problems(self.document, PROMPT_SCHEMA, _prompt_validator())
        if self.problems:
            return None
        data = self.document.data
        inputs = self.inputs(data.get("inputs", {}))
        messages = tuple(self.message(index, item, inputs) for index, item in enumerate(data["messages"]))
        partials = self.partials(messages)
        output = self.output(data.get("output"))
        self.tools(data.get("tools", []))
        return Prompt(
            name=self.name,
            path=self.path,
            document=self.document,
            description=data.get("description", ""),
            model=data["model"],
            parameters=data.get("parameters", {}),
            inputs=inputs,
            messages=messages,
            partials=partials,
            tools=tuple(data.get("tools", ())),
            caller_tools=data.get("caller_tools", "deny"),
            fallback=tuple(data.get("fallback", ())),
            output=output,
            max_input_tokens=data.get("max_input_tokens"),
            checks=read_checks(data.get("checks", []), self.report),
            guards=self.guards(data.get("guards", ()), inputs),
            cases=self.cases(data.get("cases")),
            probes=tuple(data.get("probes", ())),
            log=self.log(data.get("log", {})),
            review=data.get("review", "none"),
            retention=self.retention(data.get("retention", {})),
            metadata=data.get("metadata", {}),
            closure=tuple(dict.fromkeys([*self.files, *partials])),
        )

    def report(self, rule: str, path: YamlPath, message: str, hint: str = "") -> None:
        self.problems.append(self.document.problem(rule, path, message, hint))

    def inputs(self, data: Mapping[str, Any]) -> dict[str, Input]:
        return {name: read_input(name, item, partial(self.report_input, name)) for name, item in data.items()}

    def report_input(self, name: str, path: YamlPath, message: str, hint: str = "") -> None:
        self.report("input", ("inputs", name, *path), message, hint)

    def message(self, index: int, data: Mapping[str, Any], inputs: Mapping[str, Input]) -> Message | Insert:
        path: YamlPath = ("messages", index)
        if "insert" in data:
            self.refer(data["insert"], "messages", (*path, "insert"), inputs)
            return Insert(data["insert"])
        content = data.get("content", ())
        if isinstance(content, str):
            parts: tuple[Part, ...] = (Text(normalize_newlines(content), (*path, "content")),)
        else:
            parts = tuple(self.part(part, (*path, "content", at), inputs) for at, part in enumerate(content))
        return Message(
            data["role"], parts, {key: data[key] for key in data if key not in ("role", "content")}
        )

    def part(self, data: Mapping[str, Any], path: YamlPath, inputs: Mapping[str, Input]) -> Part:
        cached = data.get("cache_control")
        ((kind, value),) = ((key, data[key]) for key in data if key != "cache_control")
        if kind == "text":
            return Text(normalize_newlines(value), (*path, "text"), cached)
        if kind == "image":
            self.refer(value, "image", (*path, "image"), inputs)
            return ImageInput(value, cached)
        return replace(self.image_file(value, (*path, "image_file")), cache_control=cached)

    def refer(self, name: str, kind: str, path: YamlPath, inputs: Mapping[str, Input]) -> None:
        if name not in inputs:
            message, hint = unknown_name_message("input", name, sorted(inputs))
            self.report("input", path, message, hint or f"declare it: inputs: {{{name}: {kind}}}")
        elif inputs[name].kind != kind:
            self.report("input", path, f"the input `{name}` is not of type {kind}")

    def image_file(self, name: str, path: YamlPath) -> ImageFile:
        data = self.file(name, path) or b""
        media_type = image_type(data)
        if data and media_type is None:
            self.report("file", path, f"`{name}` is not a PNG, JPEG, GIF or WebP image")
        return ImageFile(name, data, media_type or "")

    def file(self, name: str, path: YamlPath) -> bytes | None:
        """Read a file that the prompt names; None, and a problem, where that cannot be."""
        if message := path_problem(name):
            self.report("file", path, message, "paths start below prompts/, with `/` between folders")
            return None
        try:
            data = self.read(name)
            refuse_lfs_pointer(data, PROMPTS_FOLDER + name)
        except InvalidAt as error:
            self.report("file", path, error.problem.message, error.hint)
        except NotFound:
            self.report("file", path, f"no file `{name}`", f"create {PROMPTS_FOLDER}{name}")
        except Invalid as error:
            self.report("file", path, error.message, error.hint)
        else:
            self.files.append(name)
            return data
        return None

    def partials(self, messages: Iterable[Message | Insert]) -> dict[str, str]:
        found = PartialCollector(self.read)
        for message in messages:
            for part in message.content if isinstance(message, Message) else ():
                if isinstance(part, Text):
                    found.follow(part.template, partial(self.place, part.path))
        self.problems += found.problems
        return dict(sorted(found.texts.items()))

    def place(self, path: YamlPath, line: int) -> tuple[str, Position]:
        return self.document.path, Position(self.document.line_of(path, line), 1)

    def output(self, data: Mapping[str, Any] | None) -> Output | None:
        if data is None:
            return None
        path: YamlPath = ("output", "schema")
        schema = data.get("schema")
        if isinstance(schema, str):
            schema = self.schema_file(schema, path)
        elif schema is not None and (found := schema_problem(schema)):
            self.report("schema", (*path, *found[0]), found[1])
        return Output(schema, data.get("repair", 0), data.get("extract"))

    def schema_file(self, name: str, path: YamlPath) -> Mapping[str, Any]:
        data = self.file(name, path)
        try:
            schema = {} if data is None else decode_schema(data, name)
        except InvalidAt as error:
            self.problems.append(error.problem)
            return {}
        reason = json_data_problem(schema)
        if not reason and (found := schema_problem(schema)):
            reason = found[1]
        if reason := reason or ("" if isinstance(schema, dict) else "it is not a mapping"):
            self.report("schema", path, f"`{name}` cannot be used: {reason}")
            return {}
        return cast("Mapping[str, Any]", schema)

    def tools(self, data: Iterable[Mapping[str, Any]]) -> None:
        names: set[str] = set()
        for index, tool in enumerate(data):
            function = tool.get("function", {})
            path: YamlPath = ("tools", index, "function")
            if found := schema_problem(function.get("parameters", {})):
                self.report("schema", (*path, "parameters", *found[0]), found[1])
            if function.get("name") in names:
                self.report("value", (*path, "name"), f"two tools are named `{function['name']}`")
            names |= {function["name"]} if "name" in function else set()

    def log(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        for index, item in enumerate(data.get("redact", ())):
            try:
                read_redaction_rule(item, python=False)
            except Invalid as error:
                self.report("value", ("log", "redact", index), error.message, error.hint)
        return data

    def retention(self, data: Mapping[str, str]) -> Mapping[str, str]:
        for name, problem in retention_problems(data):
            self.report("value", ("retention", name), problem)
        return data

    def guards(self, data: Sequence[Mapping[str, Any]], inputs: Mapping[str, Input]) -> tuple[Guard, ...]:
        if not data:
            return ()
        from promptops.prompt.guards import read_guards

        return read_guards(data, inputs, self.report)

    def cases(self, path: str | None) -> str | None:
        if path is not None and (message := path_problem(path)):
            self.report("file", ("cases",), message, "paths start below prompts/, with `/` between folders")
        return path


@cache
def _prompt_validator() -> Validator:
    return validator_for(compact_json(PROMPT_SCHEMA))
