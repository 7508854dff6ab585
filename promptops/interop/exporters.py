"""The formats of exports, and the function that writes each.

To add one, write its function in a file of its own and a line in ``EXPORTERS``.
"""

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from promptops.checks import compile_checks
from promptops.dataclass import dataclass
from promptops.interop.model import ExportedFiles
from promptops.prompt import FileReader, Prompt

if TYPE_CHECKING:
    from promptops.config.settings import Settings


@dataclass(frozen=True, slots=True)
class ExportSubject:
    """A version of a prompt, and a reader of the files that it refers to."""

    prompt: Prompt
    read: FileReader


Exporter = Callable[[Sequence[ExportSubject], "Settings"], ExportedFiles]


@dataclass(frozen=True, slots=True)
class FormatWriter:
    """``writer``: ``module:function`` of an ``Exporter``."""

    title: str
    writer: str

    def write(self, subjects: Sequence[ExportSubject], settings: "Settings") -> ExportedFiles:
        """Raises Invalid where a check of a prompt is none: what it takes would be written as it stands."""
        for each in subjects:
            compile_checks(each.prompt.checks, each.prompt.path)
        module, _, function = self.writer.partition(":")
        exporter: Exporter = getattr(importlib.import_module(module), function)
        return exporter(subjects, settings)


EXPORTERS: dict[str, FormatWriter] = {
    "llm": FormatWriter("templates of llm", "promptops.interop.llm_templates.exporter:write_llm"),
    "openai-chat": FormatWriter(
        "bodies of Chat Completions requests, with `{{name}}` for inputs",
        "promptops.interop.openai.exporter:write_openai_chat",
    ),
    "prompt-yml": FormatWriter(
        "`.prompt.yml` files of GitHub Models", "promptops.interop.prompt_yml.exporter:write_prompt_yml"
    ),
    "prompty": FormatWriter(
        "Prompty files of its second format", "promptops.interop.prompty.exporter:write_prompty"
    ),
    "promptfoo": FormatWriter(
        "a promptfoo configuration", "promptops.interop.promptfoo.exporter:write_promptfoo"
    ),
}
