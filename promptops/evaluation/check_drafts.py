"""Drafts of checks put into a prompt file as people write them, so that the version stays what it is."""

from collections.abc import Sequence
from typing import Any

import yaml

from promptops.checks.suggest import SuggestedCheck
from promptops.config.settings import Settings
from promptops.errors import Invalid
from promptops.prompt import Prompt, load_prompt
from promptops.versions.working_tree import working_tree_reader


def check_entries(drafts: Sequence[SuggestedCheck], indent: str = "  ") -> str:
    return "".join(f"{indent}- {_inline(each.entry)} # {each.reason}\n" for each in drafts)


def _inline(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    return yaml.safe_dump(
        entry, default_flow_style=True, sort_keys=False, allow_unicode=True, width=10_000
    ).strip()


class _BlockStyleDumper(yaml.SafeDumper):
    """Texts of several lines as blocks, as people write them."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_BlockStyleDumper.add_representer(str, _text)


def draft_yaml(value: Any) -> str:
    return str(yaml.dump(value, Dumper=_BlockStyleDumper, sort_keys=False, allow_unicode=True, width=100))


def insert_checks(settings: Settings, prompt: Prompt, drafts: Sequence[SuggestedCheck], before: str) -> str:
    """The file with the drafts at the end of its checks, tried out before it is written."""
    lines = before.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    at, indent = _end_of_checks(prompt, lines)
    new = ([] if prompt.document.data.get("checks") else ["checks:\n"]) + [check_entries(drafts, indent)]
    text = "".join([*lines[:at], *new, *lines[at:]])
    _verify_edit(settings, prompt, drafts, text)
    return text


def _end_of_checks(prompt: Prompt, lines: Sequence[str]) -> tuple[int, str]:
    """The line after the last check, and how far checks are indented; the end of the file without any."""
    checks = prompt.document.data.get("checks")
    if not checks:
        return len(lines), "  "
    first = prompt.document.position(("checks", 0))
    indent = len(lines[first.line - 1]) - len(lines[first.line - 1].lstrip(" "))
    at = prompt.document.position(("checks", len(checks) - 1)).line
    while at < len(lines) and (not lines[at].strip() or _indent(lines[at]) > indent):
        at += 1
    while at and not lines[at - 1].strip():
        at -= 1
    return at, " " * indent


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _verify_edit(settings: Settings, prompt: Prompt, drafts: Sequence[SuggestedCheck], text: str) -> None:
    read = working_tree_reader(settings)
    try:
        new = load_prompt(prompt.name, lambda path: text.encode() if path == prompt.path else read(path))
        fits = new.digest == prompt.digest and len(new.checks) == len(prompt.checks) + len(drafts)
    except Invalid:
        fits = False
    if not fits:
        raise Invalid(
            f"the checks of {prompt.document.path} cannot be added to as they are written",
            hint="paste them by hand; they are printed above",
        )
