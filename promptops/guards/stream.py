"""An answer that is sent as it comes, held back so far as a guard may still object to it.

What is released has been seen by every guard that can look at a part of an answer, and nothing in it can
become what they look for. The decision itself is made on the whole answer.
"""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from promptops.checks import CHECK_KINDS, CheckSubject, check_argument
from promptops.guards.compile import CompiledGuard
from promptops.guards.texts import TextReplacement
from promptops.guards.unescaped_text import UnescapedText, has_escapes, unfinished_escape
from promptops.providers.types import OnText

if TYPE_CHECKING:
    from promptops.checks.types import Found

_CONTEXT = 400  # characters before what is held back that a guard sees too
_MAX_QUOTED = 1_000  # characters behind a quotation mark until an answer is taken for JSON
_PAST_QUOTES = re.compile(r'"(?:[^"\\\n]|\\[^\n])*(?:\n|"\s*\S)')  # no JSON text goes on like this


class StreamGate:
    """Takes text as it comes and hands on what may be released. ``whole``: nothing before the end."""

    def __init__(
        self, guards: Sequence[CompiledGuard], subject: CheckSubject, on_text: OnText, *, whole: bool
    ) -> None:
        self._watchers = [_Watcher(each, subject) for each in guards if each.guard.changes]
        self._on_text = on_text
        self._said = ""
        self._always_whole = whole
        self.restart()

    def restart(self) -> None:
        """Another attempt begins."""
        self._text = self._said = ""
        self._released = 0
        self._whole = self._always_whole

    def take(self, text: str) -> None:
        self._text += text
        if not self._whole and (self._released or self._is_text()):
            self._release(self._safe_end())

    def passed(self, text: str) -> None:
        """The answer may leave, as this text; what of it has been released is not sent again."""
        if text.startswith(self._said):
            self._say(text[len(self._said) :])
        elif not self._whole:
            self._release(len(self._text))

    def _is_text(self) -> bool:
        """Whether it has begun as no JSON may: what that says is not its letters."""
        begun = self._text.lstrip()
        if begun.startswith('"') and len(begun) <= _MAX_QUOTED:
            return _PAST_QUOTES.match(begun) is not None
        self._whole = begun.startswith(("{", "[", '"'))
        return bool(begun) and not self._whole

    def _safe_end(self) -> int:
        start = max(0, self._released - _CONTEXT)
        tail = self._text[start:]
        try:
            held = start + min((each.held_from(tail) for each in self._watchers), default=len(tail))
        except Exception:  # noqa: BLE001 - the guard says on the whole answer that it cannot say
            self._whole = True
            return self._released
        return max(held, self._released)

    def _release(self, end: int) -> None:
        if end <= self._released:
            return
        start = max(0, self._released - _CONTEXT)
        before, piece = self._text[start : self._released], self._text[self._released : end]
        self._released = end
        if not self._whole:
            for watcher in self._watchers:
                before, piece = watcher.redacted(before, piece)
        self._say(piece)

    def _say(self, text: str) -> None:
        if text:
            self._said += text
            self._on_text(text)


class _Watcher:
    """One guard, as it sees the end of a text that goes on."""

    def __init__(self, compiled: CompiledGuard, subject: CheckSubject) -> None:
        kind = CHECK_KINDS[compiled.guard.check.kind]
        self._guard = compiled.guard
        self._find: Callable[[str, Any], Sequence[Found]] | None = kind.spans
        self._unfinished: Callable[[str, Any], int] | None = kind.unfinished_from
        self._argument = check_argument(compiled.guard.check, subject)

    def held_from(self, text: str) -> int:
        """From where on the text has to wait: for its end, or for the guard's word on the whole."""
        held = self._held_from(text)
        if "\\" in text:
            plain = UnescapedText(text[: unfinished_escape(text)])
            held = min(held, plain.written_at(self._held_from(plain.text)))
        return held

    def _held_from(self, text: str) -> int:
        assert self._find is not None  # noqa: S101 - others need the whole answer
        assert self._unfinished is not None  # noqa: S101 - same
        held = self._unfinished(text, self._argument)
        for start, end, _ in self._find(text, self._argument):
            if self._guard.do != "redact" or end >= held:
                held = min(held, start)
        return held

    def redacted(self, before: str, piece: str) -> tuple[str, str]:
        """A piece of the text without what is to be redacted in it, and what stands before it the same."""
        if self._guard.do != "redact":
            return before, piece
        assert self._find is not None  # noqa: S101 - compile_guards has seen to it
        text = before + piece
        spans = [*self._find(text, self._argument)]
        if has_escapes(text):
            plain = UnescapedText(text)
            spans += plain.written_spans(self._find(plain.text, self._argument))
        if not spans:
            return before, piece
        replacement = TextReplacement(spans, self._guard.replacement, self._guard.name)
        return replacement.part(before), replacement.part(piece, len(before))
