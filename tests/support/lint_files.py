"""Lint of prompt files in memory, on a fixed day, with a catalogue that tests declare themselves."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from promptops.config.settings import decode_settings, find_settings
from promptops.lint import LintFinding, LintReport, lint_prompts
from promptops.lint.context import LintProject
from promptops.lint.file_cache import FileCache
from support.prompt_files import reader

TODAY = date(2026, 3, 1)
SETTINGS = """\
models:
  test/pinned-2026-01-01: {max_input_tokens: 8192, max_output_tokens: 4096}
  test/gone-2024-01-01: {deprecation_date: 2026-02-28}
  test/going-2024-01-01: {deprecation_date: 2026-05-30}
  test/later-2024-01-01: {deprecation_date: 2026-05-31}
  test/undated: {max_input_tokens: 8192}
  test/held: {max_input_tokens: 8192, pinned_by: the server's own file}
  test/blind-2026-01-01: {mode: chat}
"""
MODEL = "test/pinned-2026-01-01"


@dataclass(frozen=True)
class Linter:
    """``files`` are given by their paths below prompts/; the prompts are those YAML files there."""

    root: Path

    def report(self, files: Mapping[str, str | bytes], settings: str = "") -> LintReport:
        found = find_settings(
            self.root, os.environ, file=decode_settings((SETTINGS + settings).encode(), "s")
        )
        names = [path.removesuffix(".yaml") for path in files if path.endswith(".yaml")]
        return lint_prompts(names, FileCache(reader(files)), LintProject(found, TODAY))

    def findings(self, text: str | bytes, settings: str = "", **more: str | bytes) -> list[LintFinding]:
        """Findings in one prompt; ``more`` are files beside it, with `__` for the dot in their names."""
        files = {name.replace("__", "."): content for name, content in more.items()}
        return list(self.report({"p.yaml": text, **files}, settings).findings)

    def rules(self, text: str | bytes, settings: str = "", **more: str | bytes) -> list[str]:
        return [finding.rule for finding in self.findings(text, settings, **more)]


def prompt(content: str = "hi", *, model: str = MODEL, more: str = "") -> str:
    """A prompt in which nothing is wrong, unless the arguments say so. The content stands in line 5."""
    lines = "".join(f"      {line}\n" for line in content.split("\n"))
    return f"model: {model}\nmessages:\n  - role: user\n    content: |\n{lines}{more}"
