"""Where code uses reusable prompts of OpenAI: calls that are read, and ids in the rest of a file."""

import re
from collections.abc import Sequence
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.interop.openai.curl_calls import curl_calls
from promptops.interop.openai.javascript_calls import javascript_calls
from promptops.interop.openai.literals import MAX_CALLS, Call, prompt_of
from promptops.interop.openai.python_calls import python_calls
from promptops.interop.reader import SourceFile

PYTHON = (".py", ".pyi")
JAVASCRIPT = (".js", ".jsx", ".ts", ".tsx", ".mjs", ".cjs", ".mts", ".cts")
COMMANDS = (".sh", ".bash", ".zsh", ".curl", ".md", ".txt", ".http")
MAX_MENTIONS = 1_000  # ids of a file that stand outside of calls
_ID = re.compile(rb"\bpmpt_\w{1,100}")


@dataclass(frozen=True, slots=True)
class Mention:
    """An id that stands in no call that could be read: in a comment, in settings, in another language."""

    prompt_id: str
    line: int


def requests_in(file: SourceFile) -> list[Call]:
    """Raises Invalid for a file that its language cannot read, or that has too many."""
    calls = _requests(file)
    if len(calls) >= MAX_CALLS:
        hint = "import a part of it"
        raise Invalid(f"{file.shown}: at most {MAX_CALLS:,} requests of a file are read", hint=hint)
    return calls


def _requests(file: SourceFile) -> list[Call]:
    ending = "." + file.name.rpartition(".")[2].lower()
    if ending in (".json", ".yaml", ".yml"):
        data = file.json() if ending == ".json" else file.yaml().data
        items = data if isinstance(data, list) else [data]
        return [Call(1, each) for each in items if isinstance(each, dict)]
    if ending in PYTHON:
        return python_calls(file.text(), file.shown)
    if ending in JAVASCRIPT:
        return javascript_calls(file.text())
    return curl_calls(file.text()) if ending in COMMANDS else []


def mentions_in(file: SourceFile, calls: Sequence[Call]) -> list[Mention]:
    """Ids of which no call was read, each with the line where it stands first."""
    read = {reusable[0] for call in calls if (reusable := prompt_of(call.body))}
    mentions: dict[str, Mention] = {}
    for found in _ID.finditer(file.data):
        prompt_id = found[0].decode()
        if prompt_id not in read and len(mentions) < MAX_MENTIONS:
            mentions.setdefault(prompt_id, Mention(prompt_id, file.data.count(b"\n", 0, found.start()) + 1))
    return list(mentions.values())


def reusable_requests(file: SourceFile) -> tuple[list[Call], str]:
    """Calls that name a reusable prompt, and what kept the file from being read as code."""
    try:
        calls = requests_in(file)
    except Invalid as error:
        return [], error.message
    return [call for call in calls if prompt_of(call.body) or _names_prompt(call.body.get("prompt"))], ""


def _names_prompt(value: Any) -> bool:
    """Whether a request has a prompt of which the id is known when the code runs."""
    return isinstance(value, dict) and not {"id", "prompt_id", "promptId"}.isdisjoint(value)
