"""One assertion as it stands in its file: its value, its threshold, its grader, and what was said of it."""

from collections.abc import Mapping
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.interop.accounts import SourceNode
from promptops.interop.promptfoo.conditions import json_path_of
from promptops.interop.promptfoo.judges import grader_models
from promptops.interop.promptfoo.nunjucks import to_jinja
from promptops.interop.promptfoo.reading import NEVER_RUN, ConfigReading, is_code, is_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertContext:
    """What holds where an assertion stands. ``transform``: JavaScript that is applied to the answer first."""

    model: str  # of judges, unless the assertion names another
    transform: str = ""
    tools: tuple[str, ...] = ()  # that a provider has
    answers_by_tools: bool = False  # and asks for no JSON instead
    rubric: str = ""
    embedding: str = ""
    factuality: Mapping[str, float] | None = None


class Untranslatable(Exception):
    """An assertion that no check says; the message is the reason."""


class Assertion:
    """``kind`` without a `not-` before it; ``note`` says what a person should know of its check.

    ``path`` is the JSON path that its transformation takes out of the answer: "" without one, None where it
    is other code.
    """

    def __init__(self, node: SourceNode, kind: str, context: AssertContext, reading: ConfigReading) -> None:
        self.node = node
        self.kind = kind
        self.context = context
        self.reading = reading
        self.note = ""
        self.transform = str(node.value.get("transform") or context.transform or "")
        self.path = json_path_of(self.transform) if self.transform else ""

    def grader(self) -> str:
        """The model that the assertion names."""
        provider = self.node.get("provider")
        if provider is None:
            return ""
        name, _ = grader_models(provider, self.reading)
        return name

    def value(self, *, optional: bool = False) -> Any:
        """The value as it stands or in its file, with templates in Jinja2."""
        node = self.node.get("value")
        if node is None:
            if optional:
                return None
            raise Untranslatable("it has no value")
        value = node.value
        if is_reference(value):
            if is_code(value):
                raise Untranslatable(NEVER_RUN)
            value = self._file_value(value)
        return translated(value)

    def _file_value(self, reference: str) -> Any:
        reading = self.reading
        try:
            if reference.endswith((".json", ".yaml", ".yml")):
                found = reading.load(reference)
                found.keep()
                return found.value
            return reading.folder.text(reference).strip()
        except Invalid as error:
            raise Untranslatable(error.message) from None

    def texts(self) -> list[Any]:
        value = self.value()
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",")]
        if not isinstance(value, list) or not value:
            raise Untranslatable("its value is a list of texts")
        return value

    def text(self) -> str:
        value = self.value()
        return value if isinstance(value, str) else str(value)

    def threshold(self) -> float | None:
        value = self.node.value.get("threshold")
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def translated(value: Any) -> Any:
    """A value with its templates in Jinja2. Raises UntranslatableTemplate."""
    if isinstance(value, str):
        return to_jinja(value).text if "{{" in value or "{%" in value else value
    if isinstance(value, list):
        return [translated(each) for each in value]
    if isinstance(value, Mapping):
        return {key: translated(each) for key, each in value.items()}
    return value
