"""Prompts for formats that have texts with placeholders, no templates: what they hold, and what is lost."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.interop.exporters import ExportSubject
from promptops.interop.model import Finding, Verdict
from promptops.interop.placeholders import Variable, pieces_of
from promptops.prompt import Insert, Prompt, Text
from promptops.prompt.cases import Case, iter_lines, read_cases

Pieces = Sequence[str | Variable]
Written = Callable[[Pieces], str]
_INCLUDE = re.compile(r"\{%-?\s*include\s+['\"]([^'\"]+)['\"]\s*-?%\}")
_MAX_INCLUDES = 100  # of a text, each within another too
_ELSEWHERE: Mapping[str, str] = {
    "fallback": "the format has one model",
    "caller_tools": "callers cannot add tools there",
    "guards": "the format has no guards",
    "max_input_tokens": "tokens are not counted before a call there",
    "log": "logging is configured only in promptops",
    "review": "the format has no review of answers",
    "retention": "retention is configured only in promptops",
    "probes": "only promptops monitors models",
}


@dataclass(frozen=True, slots=True)
class PlainMessage:
    """``text``: as the format writes it. ``index``: of the message in the prompt."""

    role: str
    text: str
    index: int


class PlainExport:
    """Notes what becomes of each key of a prompt while a format takes what it can hold."""

    def __init__(self, subject: ExportSubject, written: Written) -> None:
        self.prompt: Prompt = subject.prompt
        self.read = subject.read
        self.written = written
        self.findings: list[Finding] = []

    def say(self, key: str, verdict: Verdict, note: str = "") -> None:
        self.findings.append(Finding(key, verdict, note, self.prompt.name))

    def texts(self, *roles: str) -> list[PlainMessage]:
        """Messages of these roles that are one text each; the others are said to be lost."""
        found = []
        for index, message in enumerate(self.prompt.messages):
            key = f"messages[{index}]"
            if isinstance(message, Insert) or message.role not in roles or message.extras.get("tool_calls"):
                kind = "a conversation that is put in" if isinstance(message, Insert) else message.role
                self.say(key, "lost", f"no place for it: {kind}")
                continue
            texts = [part.template for part in message.content if isinstance(part, Text)]
            if len(texts) < len(message.content):
                self.say(f"{key}.content", "lost", "an image is left out: messages are texts")
            for extra in message.extras:
                self.say(f"{key}.{extra}", "lost", "a message has a role and a text")
            text = "\n".join(self.text(each, key) for each in texts)
            found.append(PlainMessage(message.role, text, index))
        return found

    def text(self, template: str, key: str) -> str:
        """As the format writes it; a template that does more is written as it is, and said to be lost."""
        expanded = self.expand(template)
        pieces = pieces_of(expanded)
        if pieces is None:
            self.say(key, "lost", "its template does more than insert inputs: written unchanged")
            return template
        if expanded != template:
            self.say(key, "changed", "its partials are written out")
        else:
            self.say(key, "kept")
        return self.written(pieces)

    def expand(self, template: str) -> str:
        """The text with the partials that it includes by name."""
        for _ in range(_MAX_INCLUDES):
            found = _INCLUDE.search(template)
            if found is None or found[1] not in self.prompt.partials:
                break
            partial = self.prompt.partials[found[1]].removesuffix("\n")
            template = template[: found.start()] + partial + template[found.end() :]
        return template

    def elsewhere(self, *more: tuple[str, str]) -> None:
        """Keys that the format has no word for."""
        for key, why in (*_ELSEWHERE.items(), *more):
            if self.prompt.document.data.get(key):
                self.say(key, "lost", why)
        output = self.prompt.output
        for key in ("repair", "extract"):
            if output and getattr(output, key):
                self.say(f"output.{key}", "lost", "an answer is taken as it is")

    def inputs(self, *, defaults: bool = False) -> None:
        """Inputs are texts there; whatever else is declared of one is lost."""
        held = {"type", "description"} | ({"default"} if defaults else set())
        for name, one in self.prompt.inputs.items():
            text = one.kind == "value" and one.schema.get("type", "string") == "string"
            other = sorted(one.schema.keys() - held) if one.kind == "value" else [one.kind]
            if text and not other:
                self.say(f"inputs.{name}", "kept")
            else:
                what = ", ".join(other) or str(one.schema.get("type"))
                self.say(f"inputs.{name}", "lost", f"a placeholder is a text, with no {what}")

    def cases(self) -> list[Case]:
        path = self.prompt.cases
        if path is None:
            return []
        try:
            return list(read_cases(f"prompts/{path}", iter_lines(self.read(path)), self.prompt.inputs))
        except Invalid as error:
            self.say("cases", "lost", error.message)
            return []

    def imported(self, source: str) -> Mapping[str, Any]:
        """What an import from the same tool kept aside."""
        kept = self.prompt.metadata.get("imported")
        return kept if isinstance(kept, Mapping) and kept.get("from") == source else {}


def model_of_openai(model: str) -> str:
    """The name that OpenAI itself has for its model; others stay."""
    return model.removeprefix("openai/")
