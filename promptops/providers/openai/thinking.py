"""What a model thinks aloud in front of its answer, told apart from the answer."""

import re

_OPEN, _CLOSE = "<think>", "</think>"
_CLOSE_ALONE = re.compile(rf"(?:^|\n)[ \t]*{_CLOSE}[ \t]*(?:\r?\n\s*|$)")


def split_unopened(text: str) -> tuple[str, str]:
    """A thought that the server's own prompt has opened ("" where there is none), and what follows it.

    Its end has a line of its own, and no thought begins in the text.
    """
    if _CLOSE not in text or _OPEN in text or not (found := _CLOSE_ALONE.search(text)):
        return "", text
    return text[: found.start()].strip(), text[found.end() :]


class ThinkingSplitter:
    """Takes text as it comes; only a ``<think>`` that stands first begins a thought."""

    def __init__(self) -> None:
        self._state = "start"
        self._held = ""
        self._thoughts: list[str] = []

    @property
    def thoughts(self) -> str:
        return "".join(self._thoughts).strip()

    def feed(self, text: str) -> str:
        """The part of the text that is answer."""
        if self._state == "answer":
            return text
        self._held += text
        if self._state == "start" and not self._started():
            return ""
        if self._state == "thought" and not self._ended():
            return ""
        if self._state == "gap":
            self._held = self._held.lstrip()
            if not self._held:
                return ""
            self._state = "answer"
        held, self._held = self._held, ""
        return held

    def end(self) -> str:
        """What was held back and is answer after all; a thought without an end is a thought."""
        held, self._held = self._held, ""
        if self._state == "thought":
            self._thoughts.append(held)
        return held if self._state == "start" else ""

    def _started(self) -> bool:
        """Whether it is known what the text begins with."""
        shown = self._held.lstrip()
        if shown.startswith(_OPEN):
            self._held = shown[len(_OPEN) :]
            self._state = "thought"
        elif not _OPEN.startswith(shown):
            self._state = "answer"
        return self._state != "start"

    def _ended(self) -> bool:
        thought, close, rest = self._held.partition(_CLOSE)
        if close:
            self._thoughts.append(thought)
            self._held, self._state = rest, "gap"
            return True
        keep = len(_CLOSE) - 1  # its end may be on its way
        self._thoughts.append(self._held[:-keep])
        self._held = self._held[-keep:]
        return False
