"""Prompts of other tools, imported through the command line, and what they render."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from promptops.config.settings import current_settings
from promptops.prompt import Prompt
from promptops.prompt.load import load_prompt
from promptops.prompt.render import render_prompt
from promptops.versions.working_tree import working_tree_reader


def imported(name: str) -> Prompt:
    return load_prompt(name, working_tree_reader(current_settings()))


def rendered(name: str, inputs: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Role and content of each message."""
    messages = render_prompt(imported(name), inputs).messages
    return [(message["role"], message["content"]) for message in messages]


def write_files(files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
