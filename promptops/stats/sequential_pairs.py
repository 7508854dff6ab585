"""Pairs of control and candidate looked at after each: worse, not worse by more than a margin, better."""

from array import array
from dataclasses import dataclass, field

from promptops.stats.confidence_sequences import mean_bounds
from promptops.stats.eprocess import Hypothesis, MeanTest, e_value, paired_test
from promptops.stats.intervals import Interval
from promptops.stats.verdicts import Verdict, VerdictDetails, Wording, decide_verdict

ALPHA = 0.05
_COARSE_STEP = 0.02


@dataclass(slots=True)
class SequentialPairedTest:
    """Three bets on the losses, candidate minus control; each may be looked at after every pair."""

    margin: float
    worse: MeanTest = field(init=False)
    not_worse: MeanTest = field(init=False)
    better: MeanTest = field(init=False)
    losses: "array[float]" = field(default_factory=lambda: array("d"))

    def __post_init__(self) -> None:
        self.worse = paired_test(Hypothesis.WORSE, 0.0)
        self.not_worse = paired_test(Hypothesis.NOT_WORSE, self.margin)
        self.better = paired_test(Hypothesis.NOT_WORSE, 0.0)

    def add(self, loss: float) -> None:
        self.losses.append(loss)
        for test in (self.worse, self.not_worse, self.better):
            test.update(loss)

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
    def bounds(self) -> Interval:
        return mean_bounds(self.losses, ALPHA, -1.0, 1.0)

    @property
    def e_values(self) -> dict[str, float]:
        tests = {"worse": self.worse, "not worse": self.not_worse, "better": self.better}
        return {name: e_value(test.log_e) for name, test in tests.items()}

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
            (place, mean_bounds(self.losses[:place], ALPHA, -1.0, 1.0, step=_COARSE_STEP)) for place in places
        ]
        return tuple((place, bounds.low, bounds.high) for place, bounds in looks)
