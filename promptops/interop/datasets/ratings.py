"""What checks, judges and people said of an answer. Pure."""

from collections.abc import Sequence

from promptops.interop.datasets.request import Minimum
from promptops.registry import RunRecord

_GOOD_WHEN_ONE = ("correct", "accepted", "review.pass", "review.chosen")


def passed_checks(run: RunRecord) -> bool:
    """Whether it was checked, and passed whatever could say."""
    return bool(run["checks"]) and all(check["pass"] for check in run["checks"])


def figure(run: RunRecord, name: str) -> float | None:
    """The latest that a person said by this name, else a judge's mean score, else a check's number."""
    said = _said(run, name, "person")
    if said:
        return said[-1]
    judged = _said(run, name, "judge")
    if judged:
        return sum(judged) / len(judged)
    checked = [check["value"] for check in run["checks"] if check["name"] == name]
    return next((float(value) for value in checked if value is not None), None)


def _said(run: RunRecord, name: str, source: str) -> list[float]:
    return [
        float(each["value"])
        for each in run["outcomes"]
        if each["source"] == source and each["name"] == name and each["value"] is not None
    ]


def reaches(run: RunRecord, minimums: Sequence[Minimum]) -> bool:
    """Whether all these figures are known and large enough."""
    figures = ((figure(run, each.name), each.value) for each in minimums)
    return all(known is not None and known >= least for known, least in figures)


def rating(run: RunRecord, minimums: Sequence[Minimum]) -> bool | None:
    """Whether an answer is a good one; None where nobody has said. Without minimums one bad word counts."""
    if minimums:
        figures = [(figure(run, each.name), each.value) for each in minimums]
        if any(known is not None and known < least for known, least in figures):
            return False
        return None if any(known is None for known, _ in figures) else True
    words = [check["pass"] for check in run["checks"] if not check.get("error")]
    words += [value == 1 for name in _GOOD_WHEN_ONE for value in _latest(run, name)]
    words += [value > 0 for value in _latest(run, "thumbs")]
    return all(words) if words else None


def _latest(run: RunRecord, name: str) -> list[float]:
    return _said(run, name, "person")[-1:]
