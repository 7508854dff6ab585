"""Pieces of a translated template to messages, as dotprompt puts them together."""

from collections.abc import Iterable, Iterator
from typing import Any

from promptops.interop.dotprompt.chunks import WRITTEN_MARK, Chunk, Code, Mark, end_template, join_chunks
from promptops.interop.dotprompt.nodes import HandlebarsFault

ROLES = {"user": "user", "system": "system", "model": "assistant", "assistant": "assistant", "tool": "tool"}
_Part = dict[str, str]


class MessageBuilder:
    """Collects pieces. A message begins at a role, and is left out where there is nothing in it."""

    def __init__(self, history_input: str = "history") -> None:
        self.history_input = history_input
        self.messages: list[dict[str, Any]] = []
        self.conditional = False  # a message whose whole text depends on values
        self.history = False
        self.sections: list[str] = []
        self.faults: list[HandlebarsFault] = []
        self._role = "user"
        self._source: list[Chunk] = []

    def build(self, chunks: Iterable[Chunk]) -> list[dict[str, Any]]:
        for piece in _pieces(chunks):
            if isinstance(piece, Mark):
                self.mark(piece)
            elif not _is_blank(piece):
                self._source += piece
        self.finish()
        return self.messages

    def mark(self, mark: Mark) -> None:
        if mark.kind == "role":
            if mark.name not in ROLES or mark.name == "tool":
                self.faults.append(HandlebarsFault(f"no message has the role `{mark.name}` here", mark.line))
            if not _is_blank(self._source):
                self.finish()
            self._role = ROLES.get(mark.name, "user")
            return
        self.finish()
        self.history = True
        self.messages.append({"insert": self.history_input})
        self._role = "assistant"

    def finish(self) -> None:
        source, self._source = self._source, []
        parts = list(self.parts(source))
        if not parts:
            return
        texts = [each for each in source if isinstance(each, str) and each.strip()]
        self.conditional |= not texts and all(isinstance(each, Code) for each in source)
        alone = len(parts) == 1 and "text" in parts[0]
        self.messages.append({"role": self._role, "content": parts[0]["text"] if alone else parts})

    def parts(self, source: list[Chunk]) -> Iterator[_Part]:
        text: list[str | Code] = []
        for chunk in [*source, Mark("end", "", 0)]:
            if not isinstance(chunk, Mark):
                text.append(chunk)
                continue
            if not _is_blank(text):
                yield {"text": end_template(join_chunks(text))}
            text = []
            if chunk.kind == "media":
                yield {"image": chunk.name}
            elif chunk.kind == "section":
                self.sections.append(chunk.name)


def _pieces(chunks: Iterable[Chunk]) -> Iterator[Mark | list[Chunk]]:
    """Marks of roles and history, and what stands between them."""
    between: list[Chunk] = []
    for chunk in _with_written_marks(chunks):
        if isinstance(chunk, Mark) and chunk.kind in ("role", "history"):
            yield between
            yield chunk
            between = []
        else:
            between.append(chunk)
    yield between


def _with_written_marks(chunks: Iterable[Chunk]) -> Iterator[Chunk]:
    """Some files hold the marks themselves that ``{{role}}`` and ``{{history}}`` write."""
    for chunk in chunks:
        if not isinstance(chunk, str):
            yield chunk
            continue
        at = 0
        for found in WRITTEN_MARK.finditer(chunk):
            yield chunk[at : found.start()]
            yield Mark("role", found[1], 1) if found[1] else Mark("history", "", 1)
            at = found.end()
        yield chunk[at:]


def _is_blank(source: Iterable[Chunk]) -> bool:
    return all(isinstance(each, str) and not each.strip() for each in source)
