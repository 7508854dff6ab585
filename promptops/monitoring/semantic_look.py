"""``monitor check --semantic``: the vectors of inputs that came since the last look with it.

It reads on from where it had got, by a draw of its own, so that looks without it change nothing.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Protocol

from promptops.config.clock import utc_text
from promptops.dataclass import dataclass
from promptops.errors import PromptopsError
from promptops.monitoring.draw import Draw
from promptops.monitoring.profile import main_text
from promptops.monitoring.semantic import SemanticState, text_key
from promptops.monitoring.state import TargetState
from promptops.monitoring.values import is_stable, logged_inputs
from promptops.registry import RegistryDatabase, monitored_runs, scan_traffic

METRIC = "semantic_distance"
_AT_ONCE = 100  # runs, and so texts of one request
_REQUESTS = 100  # of one target at one look: the rest is for the next
_DAYS = (
    42  # of the log that the first look goes back: a month for the centre and the reference, and spare ones
)
_CHARS = 4_000  # of a text: models take about 8,000 tokens


class Vectors(Protocol):
    """``texts``: how many were asked for so far. ``spent``: in dollars, as far as prices are known."""

    texts: int

    @property
    def spent(self) -> float: ...

    def __call__(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        """One of each text. Raises PromptopsError."""


@dataclass(slots=True)
class SemanticLook:
    """``stopped``: why not all could be read; what was read before it counts."""

    model: str
    vectors: Vectors
    stopped: PromptopsError | None = None

    def read_on(
        self, registry: RegistryDatabase, prompt: str, channel: str, state: TargetState, now: float
    ) -> None:
        """Up to the last run that the look itself has read."""
        if state.semantic.model != self.model:
            state.forget([METRIC])
            state.semantic = SemanticState(self.model)
        first = utc_text(now - _DAYS * 86_400)[:10] if not state.semantic.through else ""
        today = utc_text(now)[:10]
        for _ in range(_REQUESTS):
            known = state.semantic
            drawn = Draw.from_json(known.draw.to_json())
            wanted = _wanted(registry, prompt, channel, (known, state.through), (first, today))
            some = dict(islice(wanted, _AT_ONCE))
            try:
                self._add(registry, state, some)
            except PromptopsError as error:  # asked again at the next look
                self.stopped, known.draw = error, drawn
                return
            if len(some) < _AT_ONCE:
                known.through = state.through
                return
            known.through = max(some)

    def _add(self, registry: RegistryDatabase, state: TargetState, nights: dict[int, str]) -> None:
        """All of them or, where vectors cannot be had, none."""
        known, texts = state.semantic, dict[int, str]()
        for run in monitored_runs(registry, list(nights)):
            inputs = logged_inputs(run)
            text = "" if inputs is None else main_text(inputs)[:_CHARS]
            if text.strip() and is_stable(run) and known.draw.take(nights[run["seq"]], run["unit_hash"]):
                texts[run["seq"]] = text
        new = sorted({text for text in texts.values() if text_key(text) not in known.known})
        vectors = dict(zip(new, self.vectors(new) if new else (), strict=True))
        known.check(vectors.values())
        distances = dict(known.known)
        for seq, text in texts.items():
            known.opens(nights[seq])
            if not known.fixed:
                known.learn(vectors[text])
                continue
            key = text_key(text)
            if key not in distances:
                distances[key] = known.distance(vectors[text])
            state.add(nights[seq], seq, {METRIC: distances[key]})
        known.remember(distances)


def _wanted(
    registry: RegistryDatabase,
    prompt: str,
    channel: str,
    span: tuple[SemanticState, int],
    days: tuple[str, str],
) -> Iterator[tuple[int, str]]:
    (known, through), (first, today) = span, days
    for seq, day, is_probe in scan_traffic(registry, prompt, channel, known.through, through):
        if not is_probe and day >= first and known.draw.wants(seq, day, today):
            yield seq, known.draw.night
