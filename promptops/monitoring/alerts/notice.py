"""Something that people are told of."""

from collections.abc import Mapping
from typing import Any, Literal, Self

from promptops.dataclass import dataclass
from promptops.escapes import escape_line

AlertKind = Literal["drift", "release", "budget", "retirement", "gateway"]
_MAX_TEXT = 2_000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A condition that is met now. ``key`` names it as long as it lasts.

    ``happened``: something that has happened once, so that it has no end to be told of. ``details``: JSON,
    without inputs, answers or users.
    """

    key: str
    kind: AlertKind
    title: str
    text: str
    prompt: str | None = None
    channel: str | None = None
    happened: bool = False
    details: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "key": self.key,
            "title": escape_line(self.title, _MAX_TEXT),
            "text": escape_line(self.text, _MAX_TEXT),
            "prompt": self.prompt,
            "channel": self.channel,
            "happened": self.happened,
            "details": dict(self.details),
        }

    @classmethod
    def of(cls, key: str, kind: AlertKind, title: str, text: str, **more: Any) -> Self:
        return cls(key=key, kind=kind, title=title, text=text, **{"details": {}, **more})
