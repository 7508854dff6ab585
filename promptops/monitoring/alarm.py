"""An alarm, as it is shown and as it may be delivered."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Self

from promptops.dataclass import dataclass
from promptops.monitoring.failure_kinds import RisenKind
from promptops.monitoring.metrics import Direction, Family


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """Something of a channel has left its band.

    ``key`` names it as long as it lasts. ``since``: the day from which on runs speak for a change.
    ``before`` and ``now``: levels of the reference and since then, a share or a median; None where the change
    is one of names, which ``size`` has. ``examples``: ids of runs. ``advice``: what to do. ``kinds``: which
    types of errors, or which checks, have risen.
    """

    key: str
    prompt: str
    channel: str
    metric: str
    family: Family
    title: str
    direction: Direction
    since: str
    size: str
    before: float | None
    now: float | None
    runs: int
    examples: tuple[str, ...]
    advice: str
    kinds: tuple[RisenKind, ...] = ()

    @property
    def target(self) -> str:
        return f"{self.prompt}:{self.channel}"

    @property
    def kinds_text(self) -> str:
        """``timeout 2 of 1,890 -> 41 of 320, …``."""
        return ", ".join(map(str, self.kinds))

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "examples": list(self.examples),
            "kinds": [asdict(each) for each in self.kinds],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        kinds = tuple(RisenKind(**each) for each in content.get("kinds", ()))
        return cls(**{**content, "examples": tuple(content["examples"]), "kinds": kinds})


def size_of_change(before: float, now: float, *, number: bool) -> str:
    """``2.1 % -> 9.8 %`` of shares, ``x1.42 (420 -> 596)`` of numbers."""
    if not number:
        return f"{before:.1%} -> {now:.1%}"
    ratio = f"x{now / before:.2f} " if before > 0.0 else ""
    return f"{ratio}({before:.4g} -> {now:.4g})"
