"""One answered run in the shapes that trainers read. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from promptops.config.json_text import parse_strict_json
from promptops.dataclass import dataclass
from promptops.prompt import Prompt
from promptops.prompt.tool_calls import comparable_answer
from promptops.registry import RunRecord

Json = dict[str, Any]
_KEYS = ("name", "tool_call_id", "tool_calls")
_TEXTS = ("text", "refusal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A run that may go into a data set. ``edit``: what a person wrote in place of the answer."""

    run: RunRecord
    prompt: Prompt
    messages: Sequence[Mapping[str, Any]]
    edit: str | None = None
    rating: bool | None = None

    @property
    def answer(self) -> str:
        """The same for answers that say and call the same."""
        return comparable_answer(self.run["output"], self.run["tool_calls"]) or ""

    @property
    def is_text(self) -> bool:
        return self._part_types <= {*_TEXTS}

    @property
    def is_text_or_image(self) -> bool:
        return self._part_types <= {*_TEXTS, "image_url"}

    @property
    def _part_types(self) -> set[str]:
        contents = (message.get("content") for message in self.messages)
        return {str(part.get("type")) for parts in contents if isinstance(parts, list) for part in parts}


def openai_example(example: Example, *, edited: bool) -> Json:
    """A line of OpenAI's chat format for fine-tuning."""
    messages = [_openai_message(message) for message in [*example.messages, _answer(example, edited=edited)]]
    return {"messages": messages, **({"tools": list(example.prompt.tools)} if example.prompt.tools else {})}


def trl_example(example: Example, *, edited: bool, tools: bool) -> Json:
    """A line of TRL's conversational format. ``tools``: whether the file has the column."""
    messages = [*example.messages, _answer(example, edited=edited)]
    return {"messages": [*map(_trl_message, messages)], **_tools_column(example, tools=tools)}


def trl_pair(chosen: Example, rejected: Example, *, edited: bool, tools: bool) -> Json:
    """A line of TRL's conversational preference format; ``edited``: a person's answer is the chosen one."""
    return {
        "prompt": [*map(_trl_message, chosen.messages)],
        "chosen": [_trl_message(_answer(chosen, edited=edited))],
        "rejected": [_trl_message(_answer(rejected, edited=False))],
        **_tools_column(chosen, tools=tools),
    }


def table_row(example: Example, *, edited: bool) -> Json:
    """A row of the table: the example with what is known of its run. Its columns are typed in parquet.py."""
    run, prompt = example.run, example.prompt
    messages = [*example.messages, _answer(example, edited=edited)]
    failed = [check["name"] for check in run["checks"] if not check["pass"]]
    return {
        **{name: run[name] for name in _RUN_COLUMNS},
        "model": run["response_model"] or run["request_model"],
        "edited": edited,
        "messages": [_table_message(message) for message in messages],
        "tools": json.dumps(prompt.tools, ensure_ascii=False) if prompt.tools else None,
        "inputs": json.dumps(run["inputs"], ensure_ascii=False),
        "checks_failed": failed if run["checks"] else None,
        "outcomes": [
            {"source": each["source"], "name": each["name"], "value": each["value"]}
            for each in run["outcomes"]
        ],
    }


_RUN_COLUMNS = (
    "run_id", "prompt", "version", "digest", "channel", "started_at", "input_tokens", "output_tokens",
    "cost_usd", "latency_ms",
)  # fmt: skip


def _answer(example: Example, *, edited: bool) -> Json:
    if edited:
        return {"role": "assistant", "content": example.edit}
    calls = example.run["tool_calls"]
    called = {"tool_calls": [_without_index(call) for call in calls]} if calls else {}
    return {"role": "assistant", "content": example.run["output"] or None, **called}


def _without_index(call: Mapping[str, Any]) -> Json:
    return {key: value for key, value in call.items() if key != "index"}


def _openai_message(message: Mapping[str, Any]) -> Json:
    content = message.get("content")
    if isinstance(content, list):
        images = any(part.get("type") == "image_url" for part in content)
        content = [_plain_part(part) for part in content] if images else _text_of(content)
    left = {} if content is None and message.get("tool_calls") else {"content": content or ""}
    return {"role": message["role"], **left, **_extras(message)}


def _plain_part(part: Mapping[str, Any]) -> Json:
    """A part without marks that only some providers know."""
    kind = part["type"]
    return {"type": kind, kind: part[kind]}


def _trl_message(message: Mapping[str, Any]) -> Json:
    """Arguments of calls are objects, as templates of chats print them."""
    extras = _extras(message)
    if calls := extras.get("tool_calls"):
        extras["tool_calls"] = [_with_arguments(call) for call in calls]
    return {"role": message["role"], "content": _text_of(message.get("content")), **extras}


def _with_arguments(call: Mapping[str, Any]) -> Json:
    function = call.get("function") or {}
    try:
        value = parse_strict_json(function["arguments"])
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        return dict(call)
    return {**call, "function": {**function, "arguments": value}}


def _table_message(message: Mapping[str, Any]) -> Json:
    calls = [
        {"id": call.get("id"), "type": call.get("type", "function"), "function": _table_call(call)}
        for call in message.get("tool_calls") or ()
    ]
    return {
        "role": message["role"],
        "content": _text_of(message.get("content")),
        "name": message.get("name"),
        "tool_call_id": message.get("tool_call_id"),
        "tool_calls": calls or None,
    }


def _table_call(call: Mapping[str, Any]) -> Json:
    function = call.get("function") or {}
    arguments = function.get("arguments")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"name": function.get("name"), "arguments": text}


def _extras(message: Mapping[str, Any]) -> Json:
    return {key: message[key] for key in _KEYS if message.get(key)}


def _text_of(content: Any) -> str:
    if not isinstance(content, list):
        return str(content or "")
    return "\n".join(str(part.get(part["type"]) or "") for part in content)


def _tools_column(example: Example, *, tools: bool) -> Json:
    """JSON in a text, which TRL parses: loaders want the same fields in every row, and tools have others."""
    return {"tools": json.dumps(example.prompt.tools, ensure_ascii=False)} if tools else {}
