"""Mustache to Jinja2. Names in a section are looked up in its value first, then around it."""

import re
from collections.abc import Iterator, Mapping

from promptops.dataclass import dataclass
from promptops.interop.dotprompt.chunks import Code, join_chunks
from promptops.interop.prompty.template_parts import BodyFault

_TAG = re.compile(r"\{\{(?:\{(?P<raw>[^}]*)\}|(?P<sign>[#^/!>=&]?)(?P<key>.*?))\}\}", re.DOTALL)
_KEY = re.compile(r"\.|[A-Za-z_]\w*(?:\.\w+)*", re.ASCII)
_REST_OF_LINE = re.compile(r"[ \t]*(?:\n|\Z)")
_ALONE = frozenset("#^/!")
_SCALARS = frozenset({"boolean", "string", "integer", "int", "number", "float"})
_MAX_DEPTH = 40
_MAX_TAGS = 20_000


@dataclass(frozen=True, slots=True)
class _Piece:
    """``sign`` is " " for a text, "" for a value."""

    sign: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class _Section:
    """``item``: what its value is called in it; "" where nothing is looked up in it."""

    key: str
    line: int
    item: str
    sure: bool  # that the value has members
    end: str


def mustache_to_jinja(source: str, kinds: Mapping[str, str]) -> str:
    """``kinds``: of the inputs that are declared. Raises BodyFault for what is not translated."""
    return _Translator(kinds).translate(source)


class _Translator:
    def __init__(self, kinds: Mapping[str, str]) -> None:
        self.kinds = kinds
        self.sections: list[_Section] = []
        self.count = 0

    def translate(self, source: str) -> str:
        chunks: list[str | Code] = []
        for piece in _pieces(source):
            if piece.sign == " ":
                chunks.append(piece.text)
            elif piece.sign != "!":
                chunks.append(Code(self.tag(piece)))
        if self.sections:
            raise BodyFault(self.sections[-1].line, f"the section `{self.sections[-1].key}` is not closed")
        return join_chunks(chunks)

    def tag(self, piece: _Piece) -> str:
        if piece.sign in (">", "="):
            what = "a partial" if piece.sign == ">" else "a change of the tags"
            raise BodyFault(piece.line, f"{what} of Mustache is not translated")
        if not _KEY.fullmatch(piece.text):
            raise BodyFault(piece.line, f"`{piece.text}` is a name that is not translated")
        if piece.sign == "/":
            return self.close(piece)
        if piece.sign in ("#", "^"):
            return self.open(piece)
        return f"{{{{ {self.value(piece.text, printed=True)} }}}}"

    def open(self, piece: _Piece) -> str:
        if len(self.sections) >= _MAX_DEPTH:
            raise BodyFault(piece.line, f"sections are nested more than {_MAX_DEPTH} deep")
        value, kind = self.value(piece.text), self.kind(piece.text)
        if piece.sign == "^" or kind in _SCALARS:
            item = value if kind in _SCALARS and piece.sign == "#" else ""
            self.sections.append(_Section(piece.text, piece.line, item, False, "{% endif %}"))
            return f"{{% if {'not ' if piece.sign == '^' else ''}{value} %}}"
        self.count += 1
        item = "item" if self.count == 1 else f"item{self.count}"
        while item in self.kinds:
            item += "_"
        self.sections.append(
            _Section(piece.text, piece.line, item, kind in ("array", "object"), "{% endfor %}")
        )
        if kind in ("array", "list"):
            return f"{{% for {item} in {value} %}}"
        several = f"{value} is sequence and {value} is not string and {value} is not mapping"
        return f"{{% for {item} in ({value} if {several} else ([{value}] if {value} else [])) %}}"

    def close(self, piece: _Piece) -> str:
        if not self.sections or self.sections[-1].key != piece.text:
            raise BodyFault(piece.line, f"`{{{{/{piece.text}}}}}` closes no section")
        return self.sections.pop().end

    def kind(self, key: str) -> str:
        return "" if any(each.end == "{% endfor %}" for each in self.sections) else self.kinds.get(key, "")

    def value(self, key: str, *, printed: bool = False) -> str:
        around = [each for each in self.sections if each.item]
        if key == ".":
            return around[-1].item if around else '""'
        first, *members = key.split(".")
        code = self.name(first, [each for each in around if each.end == "{% endfor %}"])
        for member in members:
            code = f"{code}[{member}]" if member.isdecimal() else f"{code}.{member}"
        sure = not members and code == first
        return code if sure else f'{code} | default("")' if printed else f'({code} | default(""))'

    def name(self, name: str, around: list[_Section]) -> str:
        """The value of a name in the innermost section that has one."""
        code = name
        for section in around:
            if section.sure and name not in self.kinds:
                code = f"{section.item}.{name}"
            else:
                there = f'{section.item} is mapping and "{name}" in {section.item}'
                code = f"({section.item}.{name} if {there} else {code})"
        return code


def _pieces(source: str) -> Iterator[_Piece]:
    at = 0
    if source.rfind("{{") > source.rfind("}}"):  # else each opening would be looked through to the end
        raise BodyFault(source.count("\n") + 1, "a tag is not closed")
    for number, found in enumerate(_TAG.finditer(source)):
        line = source.count("\n", 0, found.start()) + 1 if number < 1000 else 1
        if number > _MAX_TAGS:
            raise BodyFault(line, f"more than {_MAX_TAGS:,} tags")
        sign = found["sign"] or ""
        start, end = found.span()
        if sign in _ALONE and sign:
            start, end = _whole_line(source, start, end)
        if start > at:
            yield _Piece(" ", source[at:start], line)
        yield _Piece(sign, (found["key"] if found["raw"] is None else found["raw"]).strip(), line)
        at = end
    if at < len(source):
        yield _Piece(" ", source[at:], 0)


def _whole_line(source: str, start: int, end: int) -> tuple[int, int]:
    """A section's tag or a comment alone on a line takes the line with it."""
    begin = source.rfind("\n", 0, start) + 1
    rest = _REST_OF_LINE.match(source, end)
    return (begin, rest.end()) if rest and not source[begin:start].strip(" \t") else (start, end)
