"""YAML as people write it: long texts as blocks, what is short on one line, keys in their order."""

import io
import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from promptops.config.yaml import YamlPath, parse_yaml

_LINE_WIDTH = 100
_SHORT = 72  # characters of what stands on one line in brackets
_STRING_TAG = "tag:yaml.org,2002:str"
_BLOCK_TEXT = re.compile(
    r"[\n\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]+"
)
_TAB_FIRST = re.compile(r"^ *\t", re.MULTILINE)
_FOLDED = re.compile(r"[!-~]+(?: [!-~]+)*")
"""A text that may be broken at each of its blanks."""

InBrackets = Callable[[YamlPath], bool]
"""Whether what stands at a path may be written on one line, in brackets."""


def write_yaml(data: Mapping[str, Any], in_brackets: InBrackets = lambda _: True) -> str:
    """A text that ``parse_yaml`` reads as exactly this data."""
    node = _node(data, (), in_brackets)
    text = str(yaml.serialize(node, Dumper=_StyleDumper, allow_unicode=True, width=_LINE_WIDTH))
    return text if text.endswith("\n") else f"{text}\n"


class _StyleDumper(yaml.SafeDumper):
    """Indents lists below their key, and takes a block for texts whose lines end with blanks too."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - its name
        super().increase_indent(flow, False)

    def analyze_scalar(self, scalar: str) -> Any:
        analysis: Any = super().analyze_scalar(scalar)
        analysis.allow_block = _is_block_text(scalar)
        return analysis

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - its name
        return True


def _node(value: Any, path: YamlPath, in_brackets: InBrackets) -> Any:
    if isinstance(value, Mapping):
        pairs = [
            (_scalar(key, multiline=False), _node(item, (*path, key), in_brackets))
            for key, item in value.items()
        ]
        flow = not pairs or (in_brackets(path) and _is_short([part for pair in pairs for part in pair]))
        return yaml.MappingNode("tag:yaml.org,2002:map", pairs, flow_style=flow)
    if isinstance(value, list | tuple):
        items = [_node(item, (*path, index), in_brackets) for index, item in enumerate(value)]
        flow = not items or (in_brackets(path) and _is_short(items))
        return yaml.SequenceNode("tag:yaml.org,2002:seq", items, flow_style=flow)
    return _scalar(value, multiline=True)


def _is_short(nodes: list[Any]) -> bool:
    """Whether it fits on a line and no text in it has several."""
    return all(map(_is_inline, nodes)) and sum(map(_width, nodes)) <= _SHORT


def _is_inline(node: Any) -> bool:
    return "\n" not in node.value if isinstance(node, yaml.ScalarNode) else bool(node.flow_style)


def _width(node: Any) -> int:
    if isinstance(node, yaml.ScalarNode):
        return len(node.value) + 2
    parts = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
    return 2 + sum(map(_width, parts))


def _scalar(value: Any, *, multiline: bool) -> Any:
    if not isinstance(value, str):
        return yaml.SafeDumper(io.StringIO()).represent_data(value)
    style = "" if _is_plain(value) else '"'
    if multiline and "\n" in value and _is_block_text(value):
        style = "|"
    elif multiline and len(value) > _LINE_WIDTH and _FOLDED.fullmatch(value):
        style = ">"
    return yaml.ScalarNode(_STRING_TAG, value, style=style or None)


def _is_block_text(text: str) -> bool:
    return bool(text.strip("\n ") and _BLOCK_TEXT.fullmatch(text)) and not _TAB_FIRST.search(text)


def _is_plain(text: str) -> bool:
    """Whether YAML 1.2 and 1.1, which other programs read, both take the text without quotes for a text."""
    if not text or text != text.strip() or "\n" in text:
        return False
    try:
        return bool(parse_yaml(text.encode(), "", max_bytes=len(text) * 4).data == text)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, quotes help
        return False
