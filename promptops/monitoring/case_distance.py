"""How far logged inputs are from the cases of a golden set, by the rows of four letters that they share.

The distance of two texts is one less the Jaccard index of their rows of four letters: 0 for the same letters,
1 where none are shared. It sees other words and other spelling; it does not see meaning.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from promptops.dataclass import dataclass
from promptops.monitoring.profile import letter_rows, main_text
from promptops.prompt.cases import Case
from promptops.registry import LogRow, RegistryDatabase, recent_inputs
from promptops.stats.intervals import clopper_pearson_interval, quantile

MAX_CASES = 1_000
MAX_INPUTS = 500
MIN_CASES, MIN_INPUTS = 10, 50  # from which on a golden set can be called stale
STALE = 0.2  # of the inputs are farther from every case than nineteen of twenty cases are from the others
_USUAL = 0.95


@dataclass(frozen=True, slots=True)
class FarInput:
    """A logged input and the case that is nearest to it."""

    seq: int
    run_id: str
    distance: float
    nearest: str
    text: str


@dataclass(frozen=True, slots=True)
class CaseDistances:
    """``inputs``: the farthest first. ``usual``: 19 of 20 cases are this near to another one."""

    cases: int
    inputs: tuple[FarInput, ...]
    usual: float | None

    @property
    def far(self) -> int:
        """How many inputs are farther than that."""
        return 0 if self.usual is None else sum(each.distance > self.usual for each in self.inputs)

    @property
    def is_stale(self) -> bool:
        """Whether the set lacks what users send, with 95 % certainty."""
        count = len(self.inputs)
        if self.cases < MIN_CASES or count < MIN_INPUTS:
            return False
        return clopper_pearson_interval(self.far, count, 0.9).low > STALE


def measure_distances(
    registry: RegistryDatabase, prompt: str, channel: str | None, since: str, cases: Iterable[Case]
) -> CaseDistances:
    """Of the latest different inputs since then (UTC text), at most 500, from at most 1,000 cases."""
    index = _CaseIndex(islice(cases, MAX_CASES))
    found = []
    for row in recent_inputs(registry, prompt, channel, since, MAX_INPUTS):
        inputs = _inputs_of(row)
        if inputs is not None:
            text = main_text(inputs)
            distance, nearest = index.nearest(frozenset(letter_rows(text)))
            found.append(FarInput(row["seq"], row["run_id"], distance, nearest, text))
    found.sort(key=lambda each: (-each.distance, each.text))
    return CaseDistances(len(index.ids), tuple(found), index.usual_distance())


def _inputs_of(row: LogRow) -> Mapping[str, Any] | None:
    try:
        found = json.loads(row["inputs"])
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class _CaseIndex:
    """Which cases have a row of letters: an input is compared with those alone that share one."""

    def __init__(self, cases: Iterable[Case]) -> None:
        self.ids: list[str] = []
        self._rows: list[frozenset[int]] = []
        self._having: defaultdict[int, list[int]] = defaultdict(list)
        for place, case in enumerate(cases):
            rows = frozenset(letter_rows(main_text(case.inputs)))
            self.ids.append(case.id)
            self._rows.append(rows)
            for row in rows:
                self._having[row].append(place)

    def nearest(self, rows: frozenset[int], but: int = -1) -> tuple[float, str]:
        shared: Counter[int] = Counter()
        for row in rows:
            shared.update(self._having.get(row, ()))
        del shared[but]
        best, nearest = 0.0, ""
        for place, count in shared.items():
            alike = count / (len(rows) + len(self._rows[place]) - count)
            if alike > best:
                best, nearest = alike, self.ids[place]
        return 1.0 - best, nearest

    def usual_distance(self) -> float | None:
        if len(self.ids) < MIN_CASES:
            return None
        found: Sequence[float] = [
            self.nearest(rows, place)[0] for place, rows in islice(enumerate(self._rows), MAX_INPUTS)
        ]
        return quantile(found, _USUAL)
