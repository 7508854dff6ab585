"""How far a judge may stand in for reviewers: how often it says what they said, of either kind of answer."""

import math
from collections.abc import Iterator, Sequence

from promptops.checks.judge import Judge, JudgeScale, Label, consensus
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound, Undecided
from promptops.evaluation.judge_calibration import JudgedItem, LabelledItem
from promptops.registry import RegistryDatabase, read_review_labels, runs_by_seq
from promptops.stats.agreement import cohen_kappa
from promptops.stats.intervals import IntervalEstimate, wilson_interval

_CHUNK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRates:
    """``passes``: which verdicts count as a pass. A rate is None where reviewers gave no label of its kind.

    ``true_positive``: of the answers that reviewers passed, those the judge passes; ``true_negative``: of
    those that they failed, those it fails. ``kappa``: agreement beyond chance, None where it is undefined.
    """

    items: int
    judged: int  # with a verdict
    passes: str
    true_positive: IntervalEstimate | None
    true_negative: IntervalEstimate | None
    kappa: IntervalEstimate | None


def reviewed_items(registry: RegistryDatabase, prompt: str) -> list[LabelledItem]:
    """The answers that were reviewed, as a judge is given them, each with 1 for pass or 0 for fail.

    Raises NotFound where there are none; answers of which a text was not kept are left out.
    """
    found = list(_items(registry, prompt))
    if not found:
        raise NotFound(f"no answer of {prompt} is reviewed yet", hint=f"promptops review start {prompt}")
    return found


def _items(registry: RegistryDatabase, prompt: str) -> Iterator[LabelledItem]:
    labels = {each.seq: each for each in read_review_labels(registry, prompt) if each.repeats is None}
    seqs = sorted(labels)
    for at in range(0, len(seqs), _CHUNK):
        for run in runs_by_seq(registry, seqs[at : at + _CHUNK]):
            if run["inputs"] is not None and run["output"] is not None:
                values = {**run["inputs"], "inputs": run["inputs"], "output": run["output"]}
                passed = float(labels[run["seq"]].label.passed)
                yield LabelledItem(values, (passed,), f"run {run['run_id']}")


def check_passing(judge: Judge, passing: Sequence[str]) -> None:
    """Raises Invalid where it is not clear which verdicts of a judge are a pass."""
    choices = judge.scale.kind == "choice"
    if judge.pairwise:
        raise Invalid(f"{judge.prompt.name} compares two outputs, and a label is about one")
    if choices != bool(passing) or not set(passing) <= set(map(str, judge.scale.values)):
        hint = f"--pass CHOICE, of {judge.scale}" if choices else "leave --pass out"
        raise Invalid(f"which verdicts of {judge.prompt.name} are a pass? It says {judge.scale}", hint=hint)


def judge_rates(items: Sequence[JudgedItem], scale: JudgeScale, passing: Sequence[str]) -> JudgeRates:
    """``passing``: choices that are a pass; of a score it is its upper half, the middle included."""
    middle = (scale.low + scale.high) / 2
    pairs = [
        (bool(each.labels[0]), _passes(verdict, passing, middle))
        for each in items
        if (verdict := consensus(each.votes)) is not None
    ]
    return JudgeRates(
        items=len(items),
        judged=len(pairs),
        passes=", ".join(passing) or f"{middle:g} or more",
        true_positive=_rate([judge for people, judge in pairs if people]),
        true_negative=_rate([not judge for people, judge in pairs if not people]),
        kappa=_kappa(pairs),
    )


def _passes(verdict: Label, passing: Sequence[str], middle: float) -> bool:
    return verdict in passing if isinstance(verdict, str) else verdict >= middle and math.isfinite(verdict)


def _rate(right: Sequence[bool]) -> IntervalEstimate | None:
    if not right:
        return None
    interval = wilson_interval(sum(right), len(right))
    return IntervalEstimate(sum(right) / len(right), interval.low, interval.high, len(right))


def _kappa(pairs: Sequence[tuple[bool, bool]]) -> IntervalEstimate | None:
    try:
        return cohen_kappa([people for people, _ in pairs], [judge for _, judge in pairs])
    except Undecided:
        return None
