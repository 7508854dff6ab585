"""The body of a Prompty file to messages: split at its role lines, trimmed as Prompty trims texts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from promptops.dataclass import dataclass
from promptops.interop.prompty.template_parts import BodyFault, TemplatePart, template_parts

_ATTRIBUTES = r"\s*(\[[^\]=]*=[^\]]*\])?\s*:\s*"
_ROLES = {
    1: re.compile(r"\s*#?\s*(assistant|function|system|user)" + _ATTRIBUTES, re.IGNORECASE),
    2: re.compile(r"\s*#?\s*(assistant|developer|system|user)" + _ATTRIBUTES, re.IGNORECASE),
}
_ATTRIBUTE = re.compile(r'(\w+)\s*=\s*"?([^",\]]*)"?')
_IMAGE = re.compile(r"!\[[^\]\[]*\]\(")
_HISTORY = re.compile(
    r"""\{%-?\s*for\s+(\w+)\s+in\s+(?P<name>\w+)\s*-?%\}\s*
        \{\{\s*\1(?:\.role|\[["']role["']\])\s*\}\}[ \t]*:[ \t]*\n\s*
        \{\{\s*\1(?:\.content|\[["']content["']\])\s*\}\}\s*
        \{%-?\s*endfor\s*-?%\}""",
    re.VERBOSE,
)
_SIMPLE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class BodyRules:
    """``version``: 1 strips all blanks around a message, 2 its newlines. ``kinds``: inputs that are no texts.

    ``numbers``: inputs whose texts have no blanks around them. ``trim``: false where the file says that its
    texts have none to strip.
    """

    version: int
    kinds: Mapping[str, str]
    numbers: frozenset[str] = frozenset()
    trim: bool = True


@dataclass(frozen=True, slots=True)
class _Cut:
    """A role line, or a loop over earlier messages."""

    start: int
    end: int
    role: str = ""
    name: str = ""  # of the speaker, or of the input that holds earlier messages


class PromptyBody:
    def __init__(self, source: str, rules: BodyRules) -> None:
        self.source = source
        self.rules = rules
        self.parts = template_parts(source)
        self.messages: list[dict[str, Any]] = []
        self.histories: list[str] = []
        self.attributes: list[str] = []
        self.shown: set[str] = set()  # inputs of other kinds that have their place in the text

    def read(self) -> list[dict[str, Any]]:
        """Raises BodyFault for what a prompt file cannot say."""
        loops = list(self.loops())
        cuts = sorted([*self.role_lines(loops), *loops], key=lambda cut: cut.start)
        self.refuse_other_uses(loops)
        previous = _Cut(0, 0, role="system")
        for cut in [*cuts, _Cut(len(self.source), len(self.source))]:
            self.message(previous, self.source[previous.end : cut.start])
            previous = cut
        if not self.shown:
            unplaced = [name for name, kind in self.rules.kinds.items() if kind == "thread"]
            self.messages += [{"insert": name} for name in unplaced]
            self.histories += unplaced
        return self.messages

    def fault(self, place: int, message: str) -> NoReturn:
        raise BodyFault(self.source.count("\n", 0, place) + 1, message)

    def loops(self) -> Iterator[_Cut]:
        """``{% for item in history %}{{item.role}}: …``, which writes earlier messages."""
        tops = {part.start for part in self.parts if part.kind == "tag" and not part.depth}
        for found in _HISTORY.finditer(self.source):
            if found.start() in tops:
                yield _Cut(found.start(), found.end(), name=found["name"])

    def role_lines(self, loops: Sequence[_Cut]) -> Iterator[_Cut]:
        for at, part in enumerate(self.parts):
            if part.kind != "text" or any(cut.start <= part.start < cut.end for cut in loops):
                continue
            before = self.parts[at - 1] if at else None
            after = self.parts[at + 1] if at + 1 < len(self.parts) else None
            self.refuse_written_role(part, before)
            for start, end in _lines(self.source, part):
                if found := _ROLES[self.rules.version].fullmatch(self.source, start, end):
                    beside = (before if start == part.start else None, after if end == part.end else None)
                    cut = self.role_line(part, found, beside)
                    if cut:
                        yield cut

    def role_line(
        self,
        part: TemplatePart,
        found: re.Match[str],
        beside: tuple[TemplatePart | None, TemplatePart | None],
    ) -> _Cut | None:
        """None for a line that is text, as it has a value on it."""
        start, end = found.start(), found.end()
        if any(each is not None and each.kind == "value" for each in beside):
            return None
        if any(each is not None and each.end != each.start for each in beside):
            self.fault(start, "a role shares its line with a tag")
        if part.depth:
            self.fault(start, "a role inside a block: messages of a prompt file follow one another")
        if self.rules.version == 1 and end == len(self.source):
            return None  # its first format wants a line end there
        role = found[1].lower()
        if role == "function":
            self.fault(start, "no message has the role function here")
        return _Cut(start, min(end + 1, len(self.source)), role, self.speaker(found))

    def speaker(self, found: re.Match[str]) -> str:
        attributes = dict(_ATTRIBUTE.findall(found[2] or ""))
        name: str = attributes.pop("name", "")
        self.attributes += attributes
        return name.strip()

    def refuse_written_role(self, part: TemplatePart, before: TemplatePart | None) -> None:
        line = self.source[part.start : part.end].partition("\n")[0]
        role = before is not None and before.kind == "value" and re.search(r"\brole\b", before.code)
        if role and line.strip() == ":":
            self.fault(part.start, "the role of a message is a value; a list of messages is an input here")

    def refuse_other_uses(self, loops: Sequence[_Cut]) -> None:
        """An image or a thread has one place, which is not within a block, and no filter works on it."""
        seen: set[str] = set()
        for part in self.parts:
            if part.kind == "text" or any(cut.start <= part.start < cut.end for cut in loops):
                continue
            for name, kind in self.rules.kinds.items():
                if not re.search(rf"\b{re.escape(name)}\b", part.code):
                    continue
                if kind not in ("thread", "image"):
                    self.fault(part.start, f"`{name}` is an input of kind {kind}, which no prompt file has")
                if part.kind != "value" or part.depth or part.code != name or name in seen:
                    self.fault(part.start, f"the {kind} `{name}` is where a text is expected")
                seen.add(name)

    def message(self, cut: _Cut, text: str) -> None:
        if not cut.role:
            self.messages.append({"insert": cut.name})
            self.histories.append(cut.name)
            self.shown.add(cut.name)
            if text.strip():
                self.fault(cut.end, "a text after earlier messages belongs to the last of them")
            return
        blank = not text.strip() if self.rules.version == 1 else not text
        if blank or (cut.end == 0 and not text.strip()):
            if self.rules.version == 1 and cut.end and cut.end < len(self.source.rstrip()):
                self.fault(cut.start, "a message without a text, which Prompty refuses too")
            return
        self.refuse_images(cut, text)
        extras = {"name": cut.name} if cut.name else {}
        places = [
            part for part in template_parts(text) if part.code in self.rules.kinds and part.kind == "value"
        ]
        if not places:
            chars = None if self.rules.version == 1 else "\n"
            self.messages.append({"role": cut.role, **extras, "content": self.trimmed(text, chars)})
            return
        if len(places) > 1:
            self.fault(cut.end, "two inputs that are not texts are in one message")
        self.place(cut, extras, text, places[0])

    def place(self, cut: _Cut, extras: dict[str, str], text: str, part: TemplatePart) -> None:
        """A thread divides a message; an image joins the user's message before it."""
        before, after = (self.trimmed(each, None) for each in (text[: part.start], text[part.end :]))
        self.shown.add(part.code)
        if before:
            self.messages.append({"role": cut.role, **extras, "content": before})
        if self.rules.kinds[part.code] == "thread":
            self.messages.append({"insert": part.code})
            self.histories.append(part.code)
        else:
            self.image(part.code)
        if after:
            self.messages.append({"role": cut.role, **extras, "content": after})

    def image(self, name: str) -> None:
        last = self.messages[-1] if self.messages else {}
        if last.get("role") != "user":
            self.messages.append({"role": "user", "content": [{"image": name}]})
            return
        parts = last["content"] if isinstance(last["content"], list) else [{"text": last["content"]}]
        last["content"] = [*parts, {"image": name}]

    def refuse_images(self, cut: _Cut, text: str) -> None:
        if self.rules.version == 1 and (found := _IMAGE.search(text)):
            self.fault(cut.end + found.start(), "an image in Markdown: write it as an input of type image")

    def trimmed(self, text: str, chars: str | None) -> str:
        """The template of a text without blanks around it, those of values and blocks among them."""
        text = text.strip(chars)
        parts = template_parts(text)
        if not self.rules.trim or not parts or not any(map(self.may_be_blank, (parts[0], parts[-1]))):
            return text
        call = "trim" if chars is None else r"trim('\n')"
        if len(parts) == 1 and _SIMPLE.fullmatch(parts[0].code):
            return f"{{{{ {parts[0].code} | {call} }}}}"
        return f"{{% filter {call} %}}{text}{{% endfilter %}}"

    def may_be_blank(self, part: TemplatePart) -> bool:
        return part.kind != "text" and not (part.kind == "value" and part.code in self.rules.numbers)


def _lines(source: str, part: TemplatePart) -> Iterator[tuple[int, int]]:
    """The lines of a text, and pieces of lines at its ends."""
    start = part.start
    while True:
        end = source.find("\n", start, part.end)
        if end < 0:
            yield start, part.end
            return
        yield start, end
        start = end + 1
