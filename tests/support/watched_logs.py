"""Logs of a channel over many nights, as monitoring meets them."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promptops.config.clock import utc_text
from promptops.registry import FinishedRun, RegistryDatabase, StartedRun
from support.logged_runs import a_run, an_end, check

DAY = 86_400.0
_TEXT = "parcel late refund washing machine order where account password reset invoice"
WORDS = tuple(_TEXT.split())
Change = Callable[[random.Random], Mapping[str, Any]]


def today() -> float:
    """Midnight; asked for by each test, as a whole run may go past one."""
    return time.time() // DAY * DAY


def day(ago: int) -> str:
    return utc_text(today() - ago * DAY)[:10]


def shared_today(folder: Path, name: str, fill: Callable[[RegistryDatabase], object]) -> Path:
    """A registry that is made once for the tests of a day."""
    path = folder / f"{name}-{day(0)}" / "registry.db"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        with RegistryDatabase.open(path) as registry:
            fill(registry)
    return path


@dataclass
class WatchedLog:
    """Runs of one channel, night after night, up to yesterday.

    The fields of a night's runs are given by what a function of chance gives: ``run`` and ``end`` fields.
    """

    registry: RegistryDatabase
    channel: str = "production"
    chance: random.Random = field(default_factory=lambda: random.Random(5))

    def add(
        self,
        nights: range,
        runs: int,
        *,
        failing: float = 0.05,
        slower: float = 1.0,
        text: Callable[[str], str] = str,
        change: Change = lambda _: {},
        **fields: Any,
    ) -> list[str]:
        """``nights``: how many days ago each was, as ``range(20, 0, -1)``; gives ids of the last night."""
        rows: list[tuple[StartedRun, FinishedRun]] = []
        for ago in nights:
            night = today() - ago * DAY + 3600
            rows = [self._row(night + i, failing, slower, text, change, fields) for i in range(runs)]
            self.registry.record(rows)
        return [run.run_id for run, _ in rows]

    def _row(
        self,
        moment: float,
        failing: float,
        slower: float,
        text: Callable[[str], str],
        change: Change,
        fields: Mapping[str, Any],
    ) -> tuple[StartedRun, FinishedRun]:
        chance = self.chance
        words = " ".join(chance.choice(WORDS) for _ in range(chance.randint(4, 12)))
        given: dict[str, Any] = {
            "started_at": utc_text(moment),
            "channel": self.channel,
            "version": "v1",
            "unit_hash": f"{chance.getrandbits(64):016x}",
            "inputs": {"ticket": text(words.capitalize()), "urgency": chance.choice(["low", "high"])},
            **fields,
        }
        ended: dict[str, Any] = {
            "finished_at": utc_text(moment + 1),
            "latency_ms": slower * chance.lognormvariate(6, 0.4),
            "output_tokens": chance.randint(5, 30),
            "checks": [check(passed=chance.random() >= failing)],
        }
        for name, value in change(chance).items():
            (ended if name in FinishedRun.__slots__ else given)[name] = value  # type: ignore[attr-defined]
        return a_run(**given), an_end(**ended)
