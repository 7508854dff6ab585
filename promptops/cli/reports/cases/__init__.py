"""A case as every report shows it: what was asked, what each side answered, and why one failed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from promptops.dataclass import dataclass
from promptops.escapes import escape_line, shorten
from promptops.evaluation.result import CaseFlip, CaseResult, TrialResult
from promptops.reports.texts import value_text

if TYPE_CHECKING:  # loads the registry, which a report of an eval does without
    from promptops.evaluation.shadow.pair import ShadowAnswer, ShadowPair

_MIN_INPUT_WIDTH = 24  # columns that one of many inputs gets
_MAX_TAGS = 24


@dataclass(frozen=True, slots=True)
class CaseAnswer:
    """``title``: control or candidate, or answer where there is but one."""

    title: str
    text: str
    passed: bool
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReport:
    """``answers``: one, or the control's and the candidate's."""

    name: str
    tags: tuple[str, ...]
    inputs: Mapping[str, Any]
    expected: Any = None
    answers: tuple[CaseAnswer, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """Why the worse side failed."""
        first, last = self.answers[0], self.answers[-1]
        return last.failures if first.passed else first.failures

    @property
    def given(self) -> list[tuple[str, str]]:
        """The inputs, and what was expected, as text."""
        given = [(name, value_text(value)) for name, value in self.inputs.items()]
        return given if self.expected is None else [*given, ("expected", value_text(self.expected))]


def report_flip(flip: CaseFlip) -> CaseReport:
    return CaseReport(
        name=flip.case_id,
        tags=flip.tags,
        inputs=flip.inputs,
        expected=flip.expected,
        answers=(_trial("control", flip.control), _trial("candidate", flip.candidate)),
    )


def report_failure(case: CaseResult, trial: TrialResult) -> CaseReport:
    return CaseReport(
        name=case.case_id,
        tags=case.tags,
        inputs=case.inputs,
        expected=case.expected,
        answers=(_trial("answer", trial),),
    )


def report_pair(pair: "ShadowPair") -> CaseReport:
    return CaseReport(
        name=pair.source or f"pair {pair.number}",
        tags=pair.tags,
        inputs=pair.inputs,
        answers=(_side("control", pair.control), _side("candidate", pair.candidate)),
    )


def _trial(title: str, trial: TrialResult) -> CaseAnswer:
    return CaseAnswer(title, trial_answer(trial), trial.passed, tuple(trial_failures(trial)))


def _side(title: str, side: "ShadowAnswer") -> CaseAnswer:
    missing = f"(no answer: {side.error})" if side.error else "(not kept)"
    return CaseAnswer(title, side.output if side.output is not None else missing, side.passed, side.problems)


# ---- words


def first_failed_trial(case: CaseResult) -> TrialResult:
    return next((trial for trial in case.trials if not trial.passed), case.trials[0])


def trial_failures(trial: TrialResult) -> list[str]:
    """Why a trial did not pass."""
    return [*([f"error: {trial.error}"] if trial.error else []), *trial.failed]


def trial_answer(trial: TrialResult) -> str:
    if trial.output is not None:
        return trial.output
    return f"(no answer: {trial.error})" if trial.error else "(not kept)"


def inputs_line(inputs: Mapping[str, Any], limit: int) -> str:
    """Inputs on one line; of many long ones, the start of each."""
    texts = [
        f"{escape_line(name, 30)}={escape_line(value_text(value), limit)}" for name, value in inputs.items()
    ]
    spare = limit - 2 * (len(texts) - 1)
    while sum(map(len, texts)) > spare and len(longest := max(texts, key=len)) > _MIN_INPUT_WIDTH:
        others = sum(map(len, texts)) - len(longest)
        texts[texts.index(longest)] = shorten(
            longest, max(_MIN_INPUT_WIDTH, min(len(longest) - 1, spare - others))
        )
    return shorten("  ".join(texts), limit)


def common_tags(reports: Iterable[CaseReport]) -> dict[str, int]:
    """The tags by which cases can be chosen, each with its number."""
    counted = Counter(tag for report in reports for tag in report.tags)
    return {tag: index for index, (tag, _) in enumerate(counted.most_common(_MAX_TAGS))}


def differing_excerpts(old: str, new: str, limit: int) -> tuple[str, str]:
    """Both answers on a line each, from shortly before the place where they part."""
    old, new = escape_line(old), escape_line(new)
    same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
    start = same - limit // 3 if max(len(old), len(new)) > limit and same > limit // 2 else 0
    excerpts: Sequence[str] = [f"…{text[start:]}" if start else text for text in (old, new)]
    return shorten(excerpts[0], limit), shorten(excerpts[1], limit)
