"""The messages of a prompt as the body of a Prompty file."""

import re
from typing import TYPE_CHECKING, Any

from promptops.errors import Invalid
from promptops.interop.prompty.template_parts import template_parts
from promptops.prompt import ImageInput, Insert, Message, Prompt, Text

if TYPE_CHECKING:
    from promptops.interop.model import Verdict

_MAX_BODY = 1_000_000  # characters, once partials are written into it
_MAX_DEPTH = 20  # of partials
_INCLUDE = re.compile(r"""include\s+["']([^"']+)["']""")
_TRIM_FILTER = re.compile(r"\{% filter trim\('\\n'\) %\}(.*)\{% endfilter %\}", re.DOTALL)
_TRIMMED_VALUE = re.compile(r"\{\{ ([\w.]+) \| trim\('\\n'\) \}\}")
_ROLES = frozenset({"assistant", "developer", "system", "user"})


class WrittenBody:
    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.findings: list[tuple[str, Verdict, str]] = []
        self.pieces = [self.piece(index, each) for index, each in enumerate(prompt.messages)]

    def piece(self, index: int, message: Message | Insert) -> dict[str, Any]:
        """A message as a prompt file has it, without what Prompty cannot say."""
        key = f"messages[{index}]"
        if isinstance(message, Insert):
            self.findings.append((key, "kept", ""))
            return {"insert": message.name}
        if message.role not in _ROLES:
            raise Invalid(f"{self.prompt.name} cannot be a Prompty file: {key} has the role {message.role}")
        parts = [self.part(key, part) for part in message.content]
        content: list[dict[str, str]] = [part for part in parts if part]
        lost = sorted(message.extras.keys() - {"name"})
        if lost:
            self.findings.append((key, "lost", f"{', '.join(lost)}: Prompty has no such thing"))
        else:
            self.findings.append((key, "kept", ""))
        name = {"name": message.extras["name"]} if "name" in message.extras else {}
        alone = len(content) == 1 and "text" in content[0]
        return {"role": message.role, **name, "content": content[0]["text"] if alone else content}

    def part(self, key: str, part: Any) -> dict[str, str] | None:
        if isinstance(part, Text):
            return {"text": self.inlined(key, part.template)}
        if isinstance(part, ImageInput):
            return {"image": part.name}
        self.findings.append((f"{key}.image_file", "lost", "Prompty takes images as inputs"))
        return None

    def inlined(self, key: str, template: str, depth: int = 0) -> str:
        """Partials are written into the text."""
        written, at = [], 0
        for part in template_parts(template):
            found = _INCLUDE.fullmatch(part.code) if part.kind == "tag" else None
            if found and found[1] in self.prompt.partials:
                if depth >= _MAX_DEPTH:
                    raise Invalid(f"{self.prompt.name}: partials are nested more than {_MAX_DEPTH} deep")
                inner = self.prompt.partials[found[1]].removesuffix("\n")
                written += [template[at : part.start], self.inlined(key, inner, depth + 1)]
                at = part.end
                if not depth:
                    self.findings.append(
                        (f"{key}: {found[1]}", "changed", "the partial is written into the text")
                    )
        text = "".join([*written, template[at:]])
        if len(text) > _MAX_BODY:
            raise Invalid(f"{self.prompt.name}: its text has more than {_MAX_BODY:,} characters")
        return text

    def expected(self) -> list[dict[str, Any]]:
        return self.pieces

    def text(self, *, trim: bool) -> str:
        """``trim``: without the filters that an import adds, as Prompty trims itself."""
        return "\n\n".join(self.written(piece, trim=trim) for piece in self.pieces) + "\n"

    def written(self, piece: dict[str, Any], *, trim: bool) -> str:
        if "insert" in piece:
            return f"{{{{{piece['insert']}}}}}"
        name = f'[name="{piece["name"]}"]' if "name" in piece else ""
        content = piece["content"]
        parts = [{"text": content}] if isinstance(content, str) else content
        texts = [
            _untrimmed(part["text"], trim) if "text" in part else f"{{{{{part['image']}}}}}" for part in parts
        ]
        return "\n".join([f"{piece['role']}{name}:", "\n\n".join(texts)])


def _untrimmed(text: str, trim: bool) -> str:
    if not trim:
        return text
    if found := _TRIM_FILTER.fullmatch(text):
        return found[1]
    found = _TRIMMED_VALUE.fullmatch(text)
    return f"{{{{{found[1]}}}}}" if found else text
