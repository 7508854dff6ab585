"""Pairs of control and candidate looked at after each: worse, not worse by more than a margin, better."""

from array import array
from dataclasses import field

from promptops.dataclass import dataclass
from promptops.stats.confidence_sequences import pair_bounds
from promptops.stats.eprocess import Hypothesis, MeanTest, e_value, paired_test
from promptops.stats.intervals import Interval
from promptops.stats.non_inferiority import PairedMarginTest, pair_test
from promptops.stats.verdicts import Verdict, VerdictDetails, Wording, decide_verdict

ALPHA = 0.05
_COARSE_STEP = 0.02


@dataclass(slots=True)
class SequentialPairedTest:
    """Three bets on the losses, candidate minus control; each may be looked at after every pair."""

    margin: float
    worse: MeanTest = field(init=False)
    not_worse: MeanTest | PairedMarginTest = field(init=False)
    better: MeanTest = field(init=False)
    losses: "array[float]" = field(default_factory=lambda: array("d"))

    def __post_init__(self) -> None:
        self.worse = paired_test(Hypothesis.WORSE, 0.0)
        self.not_worse = pair_test(Hypothesis.NOT_WORSE, self.margin)
        self.better = paired_test(Hypothesis.NOT_WORSE, 0.0)

    def add(self, loss: float) -> None:
        self.losses.append(loss)
        self.worse.update(loss)
        self.not_worse.update(loss)
        self.better.update(loss)

    @property
    def verdict(self) -> Verdict:
        return decide_verdict(
            worse=self.worse.rejects(ALPHA),
            not_worse=self.within_margin,
            better=self.better.rejects(ALPHA),
        )

    @property
    def within_margin(self) -> bool:
        return self.not_worse.rejects(ALPHA)

    @property
    def decided(self) -> bool:
        return self.verdict is not Verdict.UNDECIDED

    @property
    def _bound_margin(self) -> float | None:
        return self.margin if self.margin > 0.0 else None

    @property
    def bounds(self) -> Interval:
        return pair_bounds(self.losses, ALPHA, self._bound_margin)

    @property
    def e_values(self) -> dict[str, float]:
        logs = {
            "worse": self.worse.log_e,
            "not worse": self.not_worse.log_e,
            "better": self.better.log_e,
        }
        return {name: e_value(log_e) for name, log_e in logs.items()}

    def details(
        self, control: str, candidate: str, wording: Wording, counted: str = "pairs"
    ) -> VerdictDetails:
        return VerdictDetails(
            verdict=self.verdict,
            subject=candidate,
            against=control,
            wording=wording,
            bounds=self.bounds if self.losses else None,
            count=len(self.losses),
            margin=self.margin,
            counted=counted,
        )

    def trail(self, points: int) -> tuple[tuple[int, float, float], ...]:
        """Bounds after so many pairs on the way, coarser than the final ones."""
        count = len(self.losses)
        places = sorted({max(1, count * place // points) for place in range(1, points + 1)}) if count else []
        looks = [
            (place, pair_bounds(self.losses[:place], ALPHA, self._bound_margin, step=_COARSE_STEP))
            for place in places
        ]
        return tuple((place, bounds.low, bounds.high) for place, bounds in looks)
