"""What the inputs of a target mean, by vectors of a model that the user names.

The distance of an input is one less the cosine of its vector to the centre of those of seven nights before
the reference. The centre and not the nearest case: cases change from commit to commit, and with them a
distance to them, though users do not; and a target without cases has a centre too. It sees other subjects,
not inputs that have moved round the centre as far from it as before.
"""

import base64
import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from hashlib import sha256
from typing import Any, Self

from promptops.dataclass import dataclass
from promptops.errors import Unavailable
from promptops.monitoring.draw import Draw
from promptops.monitoring.profile import NIGHTS
from promptops.stats.eprocess import state_reader

_KNOWN = 1_000  # texts whose distance is remembered
_MAX_NUMBERS = 16_384  # of a vector


@dataclass(slots=True)
class SemanticState:
    """``through``: the last run that was read. ``total``: of the vectors, each of length 1, learnt so far."""

    model: str = ""
    through: int = 0
    draw: Draw = field(default_factory=Draw)
    nights: list[str] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    fixed: bool = False
    known: dict[str, float] = field(default_factory=dict)

    def again(self) -> "SemanticState":
        """What it knew is forgotten; what it has read is not read again."""
        return SemanticState(self.model, self.through)

    def opens(self, night: str) -> None:
        """The centre is fixed once its nights are over."""
        if not self.fixed and night not in self.nights:
            if len(self.nights) >= NIGHTS:
                self.fixed = True
            else:
                self.nights.append(night)

    def learn(self, vector: Sequence[float]) -> None:
        unit = _unit(vector)
        self.total = [a + b for a, b in zip(self.total, unit, strict=True)] if self.total else unit

    def distance(self, vector: Sequence[float]) -> float:
        """From the centre: 0 of the same direction."""
        length = math.hypot(*self.total) or 1.0
        alike = math.fsum(a * b for a, b in zip(_unit(vector), self.total, strict=True)) / length
        return round(max(0.0, 1.0 - alike), 6)

    def remember(self, distances: Mapping[str, float]) -> None:
        """By the hashes of texts, the latest last."""
        self.known = dict(list(distances.items())[-_KNOWN:])

    def check(self, vectors: Iterable[Sequence[float]]) -> None:
        """Raises Unavailable where one cannot be compared with those before."""
        count = len(self.total)
        for vector in vectors:
            count = count or len(vector)
            if len(vector) != count or count > _MAX_NUMBERS or not any(vector):
                raise Unavailable(
                    f"a vector of {len(vector):,} numbers cannot be compared with one of {count:,}",
                    hint="another --semantic MODEL, or --restart, begins again",
                )

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "through": self.through,
            "draw": self.draw.to_json(),
            "nights": self.nights,
            "total": base64.b85encode(array("f", self.total).tobytes()).decode(),
            "fixed": self.fixed,
            "known": self.known,
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        read = state_reader(state)
        total = array("f")
        total.frombytes(base64.b85decode(state["total"]))
        return cls(
            str(state["model"]),
            read.count("through"),
            Draw.from_json(read.inner("draw")),
            list(map(str, state["nights"])),
            list(total),
            bool(state["fixed"]),
            {str(key): float(value) for key, value in read.inner("known").items()},
        )


def text_key(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.hypot(*vector)
    return [number / length for number in vector]
