"""What a Markdown page holds: links, anchors, code, YAML."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from promptops.config.yaml import parse_yaml
from promptops.errors import PromptopsError

_FENCE = re.compile(r"^ *```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"`([^`]+)`")


def relative_links(page: Path) -> list[str]:
    prose = _SPAN.sub("", _FENCE.sub("", page.read_text(encoding="utf-8")))
    links = [*re.findall(r"\]\(([^)\s]+)\)", prose), *re.findall(r'\bsrc(?:set)?="([^"]+)"', prose)]
    return [link for link in links if not re.match(r"https?:|mailto:", link)]


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    return target.exists() and (not anchor or anchor in anchors_of(target.read_text(encoding="utf-8")))


def anchors_of(text: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code_of(text: str) -> str:
    """Fenced blocks that a shell could run, and spans of code, a line each, without output of commands."""
    return "\n".join([*_shell_lines(text), *spans_of(text)])


def _shell_lines(text: str) -> Iterator[str]:
    for fence in _FENCE.finditer(text):
        if fence["kind"] == "console":
            yield from (line[2:] for line in fence["text"].splitlines() if line.startswith("$ "))
        elif fence["kind"] in ("", "sh"):
            yield fence["text"]


def spans_of(text: str) -> Iterator[str]:
    """Code within prose, each on one line."""
    for span in _SPAN.findall(_FENCE.sub("", text)):
        yield " ".join(span.split())


def yaml_of(text: str) -> Iterator[Mapping[str, Any]]:
    """The mappings that a page shows: whole blocks, and spans such as ``log: {on_error: fail}``."""
    fences = [fence["text"] for fence in _FENCE.finditer(text) if fence["kind"] == "yaml"]
    spans = [span for span in spans_of(text) if re.match(r"[a-z_]+: [{\[\w]", span)]
    for source in (*fences, *spans):
        try:
            value = parse_yaml(source.encode(), "a page").data
        except PromptopsError:
            continue
        yield from (
            each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)
        )


def schema_keys(schema: Any) -> Iterator[str]:
    """Every key that a JSON Schema names, at any depth."""
    if isinstance(schema, Mapping):
        yield from schema.get("properties", {})
        for value in schema.values():
            yield from schema_keys(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from schema_keys(value)
