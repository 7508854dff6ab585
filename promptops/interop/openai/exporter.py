"""Prompts as bodies of Chat Completions requests; ``{{name}}`` stands where a program puts an input in."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from promptops.interop.exporters import ExportSubject
from promptops.interop.model import ExportedFiles
from promptops.interop.placeholders import mustache_of
from promptops.interop.plain_prompt import PlainExport, model_of_openai
from promptops.interop.schema_names import named_schema
from promptops.prompt import ImageFile, ImageInput, Insert, Message, Text
from promptops.prompt.render import image_data_url

if TYPE_CHECKING:
    from promptops.config.settings import Settings


def write_openai_chat(subjects: Sequence[ExportSubject], _settings: "Settings") -> ExportedFiles:
    exports = [_ChatExport(subject) for subject in subjects]
    files = {
        f"{each.prompt.name}.json": json.dumps(each.data(), ensure_ascii=False, indent=2) + "\n"
        for each in exports
    }
    placeholders = [
        f"put a value into each {{{{{name}}}}} of {each.prompt.name}, escaped as JSON has it"
        for each in exports
        for name in [*each.prompt.inputs][:1]
    ]
    findings = [finding for each in exports for finding in each.findings]
    return ExportedFiles(form="openai-chat", files=files, findings=findings, steps=placeholders)


class _ChatExport(PlainExport):
    def __init__(self, subject: ExportSubject) -> None:
        super().__init__(subject, mustache_of)

    def data(self) -> dict[str, Any]:
        prompt = self.prompt
        model = model_of_openai(prompt.model)
        if model == prompt.model:
            self.say("model", "changed", "no model of OpenAI: name it as your endpoint does")
        else:
            self.say("model", "kept")
        data: dict[str, Any] = {"model": model, "messages": self.messages(), **prompt.parameters}
        for name in prompt.parameters:
            self.say(f"parameters.{name}", "kept")
        if prompt.tools:
            data["tools"] = [dict(tool) for tool in prompt.tools]
            self.say("tools", "kept")
        if prompt.output_schema is not None:
            data["response_format"] = {
                "type": "json_schema",
                "json_schema": named_schema(prompt.output_schema),
            }
            self.say("output.schema", "kept")
        self.inputs()
        self.elsewhere(
            ("description", "a request has no description"),
            ("cases", "a request has no tests"),
            ("checks", "a request has no tests"),
            ("metadata", "it stays in the prompt file"),
        )
        return data

    def messages(self) -> list[dict[str, Any]]:
        messages = []
        for index, message in enumerate(self.prompt.messages):
            key = f"messages[{index}]"
            if isinstance(message, Insert):
                self.say(key, "lost", f"put the messages of `{message.name}` there")
                continue
            messages.append(self.message(message, key))
        return messages

    def message(self, message: Message, key: str) -> dict[str, Any]:
        extras = {name: value for name, value in message.extras.items() if name != "cache_control"}
        if "cache_control" in message.extras:
            self.say(f"{key}.cache_control", "lost", "OpenAI's cache needs no mark")
        parts = [self.part(part, key) for part in message.content]
        if len(parts) == 1 and parts[0]["type"] == "text":
            return {"role": message.role, "content": parts[0]["text"], **extras}
        return {"role": message.role, "content": parts or None, **extras}

    def part(self, part: Text | ImageInput | ImageFile, key: str) -> dict[str, Any]:
        if isinstance(part, Text):
            return {"type": "text", "text": self.text(part.template, key)}
        if isinstance(part, ImageInput):
            return {"type": "image_url", "image_url": {"url": f"{{{{{part.name}}}}}"}}
        return {"type": "image_url", "image_url": {"url": image_data_url(part.media_type, part.data)}}
