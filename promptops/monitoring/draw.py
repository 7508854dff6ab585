"""Which runs of a night are looked at: at most 200, drawn at random, each unit once.

The draw depends on the number of a run alone and on how many runs earlier nights had, never on what came of
runs; so it may be looked at at any time and gives the same runs, and a night that is twice as busy is not
seen twice as sharply.
"""

from collections.abc import Mapping
from dataclasses import field
from hashlib import sha256
from typing import Any, Self

from promptops.dataclass import dataclass
from promptops.monitoring.nights import is_weekend
from promptops.stats.eprocess import state_reader

RUNS_A_NIGHT = 200
_MOST_LOOKED_AT = 3 * RUNS_A_NIGHT  # of runs that may be of canaries, or of units that were met before
_ALL = 2**32


@dataclass(slots=True)
class Draw:
    """``night`` is the day (UTC) of the runs that come now. Days never go back, whatever clocks do.

    The first night only counts: it is cut short by the release or by the log's beginning.
    """

    night: str = ""
    traffic: int = 0  # runs tonight
    looked_at: int = 0
    taken: int = 0
    nights: int = 0
    usual: dict[str, int] = field(default_factory=dict)  # runs of the last whole weekday and weekend day
    counting: str = ""  # the night whose runs are taken: texts are read some time after numbers
    units: set[str] = field(default_factory=set)  # of that night

    def wants(self, seq: int, day: str, today: str) -> bool:
        """Whether to look at the run; calls come in the order of the log."""
        if day > today:
            return False  # a clock was ahead: what it wrote belongs to no night that has been
        if day > self.night or self.night > today:
            self._open(day)
        self.traffic += 1
        if self.nights == 1 or self.looked_at >= _MOST_LOOKED_AT:
            return False
        wanted = self._below() > _place(seq)
        self.looked_at += wanted
        return wanted

    def _open(self, day: str) -> None:
        if self.night:
            self.usual[_kind(self.night)] = self.traffic
        self.night, self.traffic, self.looked_at = day, 0, 0
        self.nights += 1

    def _below(self) -> int:
        expected = self.usual.get(_kind(self.night)) or max(self.usual.values(), default=0)
        return _ALL if expected <= RUNS_A_NIGHT else _ALL * RUNS_A_NIGHT // expected

    def take(self, night: str, unit: str | None) -> bool:
        """Whether a run that was wanted counts: its night's first of its unit, as long as there is room."""
        if night != self.counting:
            self.counting, self.taken = night, 0
            self.units.clear()
        short = (unit or "")[:12]
        if self.taken >= RUNS_A_NIGHT or (short and short in self.units):
            return False
        if short:
            self.units.add(short)
        self.taken += 1
        return True

    def to_json(self) -> dict[str, Any]:
        return {
            "night": self.night,
            "traffic": self.traffic,
            "looked_at": self.looked_at,
            "taken": self.taken,
            "nights": self.nights,
            "counting": self.counting,
            "usual": dict(self.usual),
            "units": sorted(self.units),
        }

    @classmethod
    def from_json(cls, state: Mapping[str, Any]) -> Self:
        read = state_reader(state)
        usual = {str(key): int(value) for key, value in read.inner("usual").items()}
        traffic, looked_at, taken, nights = (
            read.count(key) for key in ("traffic", "looked_at", "taken", "nights")
        )
        units = set(map(str, state["units"]))
        night, counting = str(state["night"]), str(state["counting"])
        return cls(night, traffic, looked_at, taken, nights, usual, counting, units)


def _kind(day: str) -> str:
    return "weekend" if is_weekend(day) else "weekday"


def _place(seq: int) -> int:
    """From 0 to 2^32, as if by chance."""
    return int.from_bytes(sha256(b"promptops/night/v1\0%d" % seq).digest()[:4], "big")
