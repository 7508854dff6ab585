"""What the phase before the first user has to say: the logged evals of the canary against stable."""

from collections.abc import Mapping
from typing import Any

from promptops.registry import EvalRecord, RegistryDatabase, evals_against
from promptops.release.analysis.findings import GateFinding
from promptops.release.plan.types import ReleasePlan
from promptops.stats.intervals import Interval
from promptops.stats.verdicts import CHECKS_WORDING, Verdict, VerdictDetails, verdict_sentence


def eval_gate(
    registry: RegistryDatabase,
    target: str,
    digest: str,
    against_digest: str,
    plan: ReleasePlan,
    has_cases: bool,
    *,
    names: tuple[str, str] = ("the canary", "stable"),
) -> GateFinding:
    """The latest eval of ``digest`` that compared it with ``against_digest`` and came to its end.

    ``target``: ``NAME:CHANNEL``; ``names``: those of canary and stable.
    """
    prompt, command = target.rpartition(":")[0], f"promptops eval --plan {target}"
    if not has_cases:
        return GateFinding(verdict=None, sentence=f"{prompt} has no cases: nothing was tested", absent=True)
    found = evals_against(registry, prompt, digest, against_digest)
    if not found:
        said = "no eval has compared this version with what is stable yet"
        return GateFinding(verdict=None, sentence=said, command=command)
    return _gate_finding(found[-1], plan.eval.margin if plan.eval else 0.0, names)


def _gate_finding(found: EvalRecord, margin: float, names: tuple[str, str]) -> GateFinding:
    """The eval by the plan's margin, whatever margin it was made with.

    Where calls stopped as soon as the verdict was in, it holds for the eval's own margin and wider ones.
    """
    known = found.verdicts
    details = {"eval_id": found.eval_id, "margin": known.get("margin"), "finished_at": found.finished_at}
    losses = None if known.get("e_values") else _bounds(known.get("whole"))
    if losses is None:
        within = bool(known.get("within_margin")) and (known.get("margin") or 0.0) <= margin
        verdict = _by_margin(Verdict(known["verdict"]), within=within)
        return GateFinding(verdict=verdict, sentence=str(known.get("sentence", "")), details=details)
    verdict = _by_margin(Verdict(known["verdict"]), within=losses.high <= margin)
    finding = VerdictDetails(
        verdict=verdict,
        subject=names[0],
        against=names[1],
        wording=CHECKS_WORDING,
        bounds=losses,
        count=known["whole"]["pairs"],
        margin=margin,
        counted="cases",
    )
    if verdict is Verdict.NOT_WORSE and _control_rate(found) == 0.0:
        said = f"{names[1]} passes none of {known['whole']['pairs']:,} cases: do the checks fit?"
        return GateFinding(verdict=Verdict.UNDECIDED, sentence=said, details=details)
    return GateFinding(verdict=verdict, sentence=verdict_sentence(finding), details=details)


def _control_rate(found: EvalRecord) -> float | None:
    """The share of cases that stable passes, by what was kept of the other side; None where it was not."""
    rate, difference = found.counts.get("rate"), found.verdicts["whole"].get("difference")
    return None if rate is None or difference is None else round(rate - difference, 9)


def _bounds(whole: Mapping[str, Any] | None) -> Interval | None:
    """Of the difference in losses; None where an earlier release did not keep it."""
    return Interval(-whole["high"], -whole["low"]) if whole and whole.get("pairs") else None


def _by_margin(verdict: Verdict, *, within: bool) -> Verdict:
    if within:
        return Verdict.BETTER if verdict is Verdict.BETTER else Verdict.NOT_WORSE
    return Verdict.WORSE if verdict is Verdict.WORSE else Verdict.UNDECIDED
