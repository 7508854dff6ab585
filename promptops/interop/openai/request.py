"""A request of OpenAI's, Responses or Chat Completions, as the keys of a prompt file.

Where code puts in what is known when it runs, an input of that name stands in the prompt; ``{{name}}`` in a
text is one too. What belongs to one call, and what is no part of a prompt, is accounted for.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from promptops.interop.accounts import KeyAccounts
from promptops.interop.openai.literals import (
    ID_KEYS,
    Expression,
    Pieces,
    Value,
    expressions_in,
    plain_data,
    prompt_of,
)
from promptops.interop.openai.settings import CALL_KEYS, read_parameters, read_schema, read_tools
from promptops.interop.placeholders import (
    LOOSE_MUSTACHE,
    InputNames,
    Variable,
    split_placeholders,
    template_of,
)

Path = tuple[str | int, ...]
PinnedModel = Callable[[Any], tuple[str, str]]
_ROLES = ("system", "developer", "user", "assistant", "tool")
_TEXTS = ("text", "input_text", "output_text")
_EXTRAS = ("name", "tool_call_id", "tool_calls")
MISSING_TEXT = "paste_the_text_of_"
"""What the name starts with of the input that stands for a text which only the dashboard has: it is declared
nowhere, so that lint says so and nothing is sent."""


class RequestReader:
    """``pinned``: the model that a name stands for, and what a person should know of it.

    ``logged``: it comes out of a response, which says what holds where nothing was asked for too.
    """

    def __init__(
        self, body: Mapping[str, Value], keys: KeyAccounts, pinned: PinnedModel, *, logged: bool
    ) -> None:
        self.body = body
        self.keys = keys
        self.pinned = pinned
        self.logged = logged
        self.names = InputNames()
        self.inputs: dict[str, Any] = {}
        self.imported: dict[str, Any] = {}
        self.case: dict[str, Any] = {}  # what a call that is written out puts into each input
        self.done: set[str] = set()

    def read(self) -> dict[str, Any]:
        """The keys of a prompt file."""
        model, note = self.pinned(self.body.get("model"))
        self.model(note)
        content: dict[str, Any] = {"model": model}
        messages = [*self.instructions(), *self.reusable(), *self.chat()]
        content["tools"] = read_tools(self.take("tools"), self)
        content["parameters"] = read_parameters(self.body, model, self, tools=bool(content["tools"]))
        if (schema := read_schema(self.body, content["parameters"], self)) is not None:
            content["output"] = {"schema": schema}
        content["messages"] = messages
        content["inputs"] = self.inputs
        self.rest()
        return content

    def take(self, key: str) -> Value:
        self.done.add(key)
        return self.body.get(key)

    def lose(self, path: Path, why: str, value: Value = None) -> None:
        """``value``: what is kept of it under metadata.imported."""
        self.keys.lose(path, why)
        if value is not None:
            self.imported[".".join(map(str, path))] = plain_data(value)

    def model(self, note: str) -> None:
        self.done.add("model")
        if "model" in self.body:
            self.keys.change(("model",), note) if note else self.keys.keep("model")

    def instructions(self) -> Iterator[dict[str, Any]]:
        """A text, or in a logged response the messages of its prompt."""
        given = self.take("instructions")
        if isinstance(given, list):
            yield from self.messages(given, "instructions")
        elif given is not None and (text := self.template(given, ("instructions",))) is not None:
            yield {"role": "system", "content": text}

    def reusable(self) -> Iterator[dict[str, Any]]:
        """A reusable prompt: its variables are inputs. Its text is known where a response has it alone."""
        found = prompt_of(self.body)
        self.done |= {"prompt"} if found and found[1] is not self.body else set()
        if not found:
            return
        prompt_id, holder = found
        path: Path = ("prompt",) if holder is not self.body else ()
        self.variables(holder.get("variables"), (*path, "variables"))
        for key in holder:
            if key in (*ID_KEYS, "version"):
                self.keys.keep(*path, key)
        if path:
            self.keys.change(path, use_note(prompt_id, holder))
        self.done |= {*ID_KEYS, "version", "variables"} if holder is self.body else set()
        self.imported["prompt"] = {"id": prompt_id} | ({"version": v} if (v := holder.get("version")) else {})
        if self.body.get("instructions") or (holder is self.body and self.body.get("messages")):
            if self.case:
                self.keys.change((*path, "variables"), "their values stand in the text: put {{ name }} there")
        else:
            yield {"role": "system", "content": f"{{{{ {MISSING_TEXT}{prompt_id} }}}}"}

    def variables(self, given: Value, path: Path) -> None:
        self.done.add("variables")
        if isinstance(given, list):  # names alone, as a prompt's own description has them
            given = {each if isinstance(each, str) else str(each.get("name")): None for each in given}
        if isinstance(given, Expression):
            self.keys.lose(path, f"line {given.line}: `{given.source}` is known only when the code runs")
        if not isinstance(given, Mapping):
            return
        for source, value in given.items():
            self.variable(source, value, (*path, source))

    def variable(self, source: str, value: Value, path: Path) -> None:
        name = self.names[source]
        kind = value.get("type") if isinstance(value, Mapping) else None
        if kind == "input_file":
            self.lose(path, "a file cannot be an input: images and texts can", value)
            return
        self.inputs[name] = "image" if kind == "input_image" else "string"
        text = value.get("text") if kind == "input_text" and isinstance(value, Mapping) else value
        if isinstance(text, str) and text != f"{{{{{source}}}}}":
            self.case[name] = text
        elif isinstance(text, int | float) and not isinstance(text, bool):
            self.inputs[name], self.case[name] = "number", text
        self.keys.keep(*path)

    def chat(self) -> Iterator[dict[str, Any]]:
        for key in ("messages", "input"):
            given = self.take(key)
            if isinstance(given, list):
                yield from self.messages(given, key)
            elif isinstance(given, Expression) and key == "messages":
                yield self.insert(given, (key,))
            elif given is not None and (text := self.template(given, (key,))) is not None:
                yield {"role": "user", "content": text}

    def messages(self, items: list[Value], key: str) -> Iterator[dict[str, Any]]:
        if not items:
            self.keys.keep(key)
        for index, item in enumerate(items):
            if isinstance(item, Expression):
                yield self.insert(item, (key, index))
            elif isinstance(item, Mapping) and (message := self.message(item, (key, index))):
                yield message

    def insert(self, expression: Expression, path: Path) -> dict[str, Any]:
        """Messages that code puts in."""
        name = self.input_of(expression, "messages", "messages")
        self.keys.change(path, f"{_known_late(expression)}: messages of the input `{name}`")
        return {"insert": name}

    def input_of(self, expression: Expression, kind: str, default: str) -> str:
        name = self.names.called(expression.source, expression.name or default)
        self.inputs.setdefault(name, kind)
        return name

    def message(self, item: Mapping[str, Value], path: Path) -> dict[str, Any] | None:
        kind, role = item.get("type", "message"), item.get("role")
        if kind in ("function_call", "function_call_output"):
            return self.tool_item(item, path)
        if kind != "message" or role not in _ROLES:
            self.lose(path, f"an item of type {kind} is not a message", item)
            return None
        for key in ("type", "role", "status", "id"):
            if key in item:
                self.keys.keep(*path, key)
        message: dict[str, Any] = {"role": role}
        content = self.content(item.get("content"), (*path, "content"))
        if content is not None:
            message["content"] = content
        for key in _EXTRAS:
            if item.get(key) and not list(expressions_in(item[key])):
                message[key] = item[key]
                self.keys.keep(*path, key)
        return message if {"content", "tool_calls"} & message.keys() else None

    def tool_item(self, item: Mapping[str, Value], path: Path) -> dict[str, Any] | None:
        """A tool call, or its result, of the Responses API."""
        if list(expressions_in(item)):
            self.lose(path, "what a tool is asked or answers is known only when the code runs", item)
            return None
        self.keys.keep(*path)
        call_id = item.get("call_id")
        if item["type"] == "function_call_output":
            return {
                "role": "tool",
                "tool_call_id": call_id,
                "content": template_of([str(item.get("output"))], self.names),
            }
        function = {"name": item.get("name"), "arguments": item.get("arguments")}
        return {
            "role": "assistant",
            "tool_calls": [{"id": call_id, "type": "function", "function": function}],
        }

    def content(self, value: Value, path: Path) -> Any:
        if not isinstance(value, list):
            return None if value is None else self.template(value, path)
        parts = [self.part(part, (*path, index)) for index, part in enumerate(value)]
        known = [part for part in parts if part]
        if len(known) == 1 and "text" in known[0]:
            return known[0]["text"]
        return known or None

    def part(self, part: Value, path: Path) -> dict[str, Any] | None:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind in _TEXTS and (text := self.template(part.get("text"), (*path, "text"))) is not None:
            self.keys.keep(*path, "type")
            return {"text": text}
        url = part.get("image_url") if kind in ("input_image", "image_url") else None
        url = url.get("url") if isinstance(url, Mapping) else url
        given = list(expressions_in(url))
        if isinstance(url, str) and (placeholder := LOOSE_MUSTACHE.fullmatch(url)):
            self.keys.keep(*path)
            name = self.names[placeholder[1]]
            self.inputs[name] = "image"
            return {"image": name}
        if not given:
            self.lose(path, f"a part of type {kind} is not taken: texts and images of inputs are", part)
            return None
        name = self.input_of(given[-1], "image", "image")
        self.keys.change(path, f"{_known_late(given[-1])}: the input `{name}` of type image")
        return {"image": name}

    def template(self, value: Value, path: Path) -> str | None:
        """A text with inputs in it; None, and an account, for what is no text."""
        if isinstance(value, str):
            pieces = split_placeholders(value, LOOSE_MUSTACHE)
        elif isinstance(value, Expression | Pieces):
            pieces = self.with_expressions(value)
        else:
            self.lose(path, "it is not a text", value)
            return None
        for piece in pieces:
            if isinstance(piece, Variable):
                self.inputs.setdefault(self.names[piece.name], "string")
        late = [
            f"{_known_late(each)}: the input `{self.names[each.source]}`" for each in expressions_in(value)
        ]
        self.keys.change(path, "; ".join(late)) if late else self.keys.keep(*path)
        return template_of(pieces, self.names)

    def with_expressions(self, value: Expression | Pieces) -> list[str | Variable]:
        pieces: list[str | Variable] = []
        for part in value.parts if isinstance(value, Pieces) else (value,):
            if isinstance(part, Expression):
                self.input_of(part, "string", "text")
                pieces.append(Variable(part.source))
            else:
                pieces += split_placeholders(part, LOOSE_MUSTACHE)
        return pieces

    def rest(self) -> None:
        """Keys that are no part of a prompt."""
        for key, value in self.body.items():
            if key in self.done:
                continue
            if value is None or (isinstance(value, Mapping) and all(each is None for each in value.values())):
                self.keys.change((key,), "it is empty")
            elif key in CALL_KEYS:
                self.keys.lose((key,), "set in each call, not in a prompt")
            elif isinstance(value, Expression):
                self.keys.lose((key,), f"{_known_late(value)}: see there what it adds")
            else:
                self.lose((key,), "no counterpart in a prompt file", value)


def use_note(prompt_id: str, holder: Mapping[str, Value]) -> str:
    """A use of a reusable prompt: its id, version and variables."""
    version, variables = plain_data(holder.get("version")), holder.get("variables")
    names = ", ".join(variables) if isinstance(variables, Mapping) else ""
    return f"{prompt_id}, {f'version {version}' if version else 'no version'}, variables: {names or 'none'}"


def _known_late(expression: Expression) -> str:
    return f"line {expression.line}: `{expression.source}` is known only when the code runs"
