"""The prompts of a configuration, in all forms that they are written in, as messages."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from promptops.config.yaml import parse_yaml
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.interop.accounts import SourceNode
from promptops.interop.promptfoo.reading import (
    NEVER_RUN,
    ConfigReading,
    file_suffix,
    is_code,
    is_pattern,
    is_reference,
)
from promptops.interop.reader import parse_source_json, plain_path

CONVERSATION = "_conversation"
_TEXT_SUFFIXES = frozenset([".txt", ".md", ".j2", ".json", ".jsonl", ".yaml", ".yml", ".csv"])
_PATH = re.compile(r"[^\s{}]+\.(?:txt|md|j2|jsonl?|ya?ml|csv|[cm]?[jt]s|py|rb|sh)(?::[\w.]+)?")
_ELSEWHERE = ("exec:", "helicone://", "http://", "https://", "langfuse://", "package:", "portkey://")
_TURNS = re.compile(
    r"\{%-?\s*for\s+\w+\s+in\s+_conversation\s*-?%\}.*?\{%-?\s*endfor\s*-?%\}\s*,?", re.DOTALL
)
_INSERTED = re.compile(
    r"\{%-?\s*for\s+(\w+)\s+in\s+(\w+)\s*-?%\}\s*\{\s*\"role\":\s*\"\{\{\s*\1\.role\s*\}\}\",\s*\"content\":\s*"
    r"\{\{\s*\1\.content\s*\|\s*dump\s*\}\}\s*\}\s*,?\s*\{%-?\s*endfor\s*-?%\}\s*,?"
)
_ROLES = frozenset(["system", "developer", "user", "assistant", "tool"])


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptText:
    """One prompt. ``label``: what the configuration calls it, ``hint``: what its file is called.

    ``messages`` are as a prompt file has them, with Nunjucks templates; ``config`` are settings of its own.
    """

    node: SourceNode
    messages: list[dict[str, Any]]
    label: str = ""
    hint: str = ""
    config: SourceNode | None = None

    @property
    def names(self) -> frozenset[str]:
        """What other parts of the configuration may call it: without a label, its text."""
        return frozenset([self.label, self.hint, str(self.node.value)])


class PromptReader:
    def __init__(self, reading: ConfigReading) -> None:
        self.reading = reading

    def all(self, node: SourceNode) -> list[PromptText]:
        """Every prompt below the key ``prompts``; what is none has said so in the accounts."""
        if isinstance(node.value, dict) and not {"raw", "id", "label", "messages"} & node.value.keys():
            return [one for path, label in node.members() for one in self._labelled(path, label)]
        return [one for each in node.elements() for one in self._entry(each)]

    def _labelled(self, path: str, label: SourceNode) -> Iterator[PromptText]:
        yield from self._text(label, path, str(label.value))

    def _entry(self, node: SourceNode) -> Iterator[PromptText]:
        if isinstance(node.value, str):
            yield from self._text(node, node.value)
            return
        if not isinstance(node.value, dict):
            node.lose("a prompt is a text or a mapping")
            return
        label = node.get("label") or node.get("display")
        name = str(label.value) if label else ""
        if label:
            label.keep()
        config = node.get("config")
        if messages := node.get("messages"):
            chat = self.chat(messages)
            if chat is not None:
                yield PromptText(node=messages, messages=chat, label=name, config=config)
            return
        raw = node.get("raw") or node.get("id") or node.get("template")
        if raw is None:
            node.lose("it has neither a text nor messages")
            return
        if raw.path[-1] == "raw" and (given := node.get("id")):
            given.keep()
            name = name or str(given.value)
        for one in self._text(raw, str(raw.value), name):
            yield PromptText(node=raw, messages=one.messages, label=one.label, hint=one.hint, config=config)

    def _text(self, node: SourceNode, text: str, label: str = "") -> Iterator[PromptText]:
        """A text as it is, or the prompts in the files that it names."""
        if text.startswith(_ELSEWHERE):
            node.lose("it is kept elsewhere, or made by a program; export it into a file and name that")
            return
        paths = self._paths(text)
        if paths is None:
            node.keep()
            yield PromptText(node=node, messages=messages_of(text), label=label)
            return
        if not paths:
            node.lose(f"no file fits {plain_path(text)}")
        for path in paths:
            several = label and len(paths) > 1
            yield from self._file(node, path, f"{label} {PurePosixPath(path).stem}" if several else label)

    def _paths(self, text: str) -> list[str] | None:
        """The files that a text names; None where it is a prompt itself."""
        named, path = is_reference(text), plain_path(text)
        if is_pattern(path) and (named or not re.search(r"\s|\{\{", path)):
            return self.reading.folder.find(path) or ([] if named else None)
        if named or (_PATH.fullmatch(path) and (self.reading.folder.exists(path) or is_code(path))):
            return [path]
        return None

    def _file(self, node: SourceNode, path: str, label: str) -> Iterator[PromptText]:
        if is_code(path):
            node.lose(f"a prompt that is made by a function: {NEVER_RUN}")
            return
        if file_suffix(path) in (".yaml", ".yml") and (listed := self._listed(path)):
            node.keep()
            for each in listed:
                yield from self._entry(each)
            return
        try:
            found = list(self._prompts_in(path))
        except Invalid as error:
            node.lose(error.message)
            return
        node.keep()
        for messages, own in found:
            yield PromptText(node=node, messages=messages, label=own or label, hint=PurePosixPath(path).stem)

    def _listed(self, path: str) -> list[SourceNode]:
        """The entries of a YAML file that is a list of prompts, and none itself."""
        try:
            data = parse_yaml(self.reading.folder.read(path), path).data
        except Invalid:
            return []
        if not isinstance(data, list) or not all(map(_is_entry, data)):
            return []
        return self.reading.load(path).elements()

    def _prompts_in(self, path: str) -> Iterator[tuple[list[dict[str, Any]], str]]:
        """The prompts of a file, each with the label that it has there."""
        folder, suffix = self.reading.folder, file_suffix(path)
        if suffix == ".csv":
            yield from self._csv(path)
        elif suffix == ".jsonl":
            for _, value in folder.json_lines(path):
                yield messages_of(json.dumps(value, ensure_ascii=False)), ""
        elif suffix in (".yaml", ".yml"):
            yield self._yaml(path), ""
        elif suffix == ".txt":
            for text in split_texts(folder.text(path)):
                yield messages_of(text), ""
        elif suffix in _TEXT_SUFFIXES:
            yield messages_of(folder.text(path).strip() if suffix == ".json" else folder.text(path)), ""
        else:
            raise Invalid(
                f"{folder.shown(path)}: prompts are read from {', '.join(sorted(_TEXT_SUFFIXES))} files"
            )

    def _csv(self, path: str) -> Iterator[tuple[list[dict[str, Any]], str]]:
        text = self.reading.folder.text(path)
        if "," not in text:
            lines = [line for line in text.split("\n") if line.strip()]
            for line in lines[lines[0].strip().lower() == "prompt" :] if lines else ():
                yield messages_of(line), ""
            return
        for _, row in self.reading.folder.rows(path):
            if row.get("prompt"):
                yield messages_of(row["prompt"]), row.get("label", "")

    def _yaml(self, path: str) -> list[dict[str, Any]]:
        text = self.reading.folder.text(path)
        try:
            data = parse_yaml(text.encode(), self.reading.folder.shown(path)).data
        except Invalid:
            return messages_of(text)  # templates may stand where YAML has none
        if isinstance(data, str):
            return messages_of(data)
        return messages_of(json.dumps(data, ensure_ascii=False, indent=2))

    def chat(self, node: SourceNode) -> list[dict[str, Any]] | None:
        """Messages of the configuration itself, whose contents may be in files."""
        messages = []
        for each in node.elements():
            content = each.get("content") if isinstance(each.value, dict) else None
            text = self.reading.text(content) if content and isinstance(content.value, str) else None
            if content and isinstance(content.value, str) and text is None:
                for key, member in each.members():
                    if key != "content":
                        member.lose("a message without its content")
                continue
            message = chat_messages([{**each.value, "content": text}] if text is not None else [each.value])
            if message is None:
                each.lose("not a message that a prompt file can have")
                continue
            each.keep()
            messages += message
        return messages or None


def _is_entry(data: Any) -> bool:
    return isinstance(data, str) or (isinstance(data, dict) and bool({"raw", "id", "label"} & data.keys()))


def messages_of(text: str) -> list[dict[str, Any]]:
    """The messages that a text holds as JSON, or one message of the user."""
    chat = _chat_json(text)
    return [{"role": "user", "content": text}] if chat is None else chat


def _chat_json(text: str) -> list[dict[str, Any]] | None:
    if not text.lstrip().startswith(("[", "{")) or '"role"' not in text:
        return None
    looped = _TURNS.sub(f'{{"insert": "{CONVERSATION}"}},', _INSERTED.sub(r'{"insert": "\2"},', text))
    for form in (text, looped):
        try:
            return chat_messages(parse_source_json(form, "prompt"))
        except Invalid:
            continue
    return None


def chat_messages(data: Any) -> list[dict[str, Any]] | None:
    """Messages of OpenAI's form as a prompt file has them; None for anything else."""
    if isinstance(data, dict) and isinstance(data.get("messages"), list):
        data = data["messages"]
    if not isinstance(data, list) or not data:
        return None
    messages = [_message(each) for each in data]
    return None if None in messages else [each for each in messages if each]


def _message(data: Any) -> dict[str, Any] | None:
    if not isinstance(data, dict):
        return None
    if data.keys() == {"insert"}:
        return dict(data)
    role = {"model": "assistant"}.get(data.get("role", ""), data.get("role"))
    content = data.get("content")
    if role not in _ROLES or not data.keys() <= {"role", "content", "name", "tool_calls", "tool_call_id"}:
        return None
    message: dict[str, Any] = {"role": role}
    if isinstance(content, list):
        parts = [_part(each) for each in content]
        if None in parts:
            return None
        message["content"] = parts
    elif isinstance(content, str):
        message["content"] = content
    elif content is not None or "tool_calls" not in data:
        return None
    return message | {key: data[key] for key in ("name", "tool_calls", "tool_call_id") if data.get(key)}


def _part(data: Any) -> dict[str, Any] | None:
    """A text, or an image that an input gives."""
    if isinstance(data, str):
        return {"text": data}
    if not isinstance(data, Mapping):
        return None
    cache = {"cache_control": data["cache_control"]} if data.get("cache_control") else {}
    if data.get("type") in ("text", "input_text") and isinstance(data.get("text"), str):
        return {"text": data["text"], **cache}
    url = data.get("image_url")
    url = url.get("url") if isinstance(url, Mapping) else url
    source = data.get("source")
    url = source.get("data") if data.get("type") == "image" and isinstance(source, Mapping) else url
    named = re.fullmatch(r"(?:data:[\w/+.-]+;base64,)?\s*\{\{\s*([A-Za-z_]\w*)\s*\}\}", str(url or ""))
    return {"image": named[1], **cache} if named else None


def split_texts(text: str) -> list[str]:
    """The prompts of a text file, which lines of ``---`` separate."""
    parts: list[list[str]] = [[]]
    for line in text.split("\n"):
        if line.strip() == "---":
            parts.append([])
        else:
            parts[-1].append(line)
    return [joined for part in parts if (joined := "\n".join(part).strip())]
