"""What the phase before the first user has to say: the logged evals of the canary against stable."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from promptops.registry import EvalRecord, RegistryDatabase, evals_against
from promptops.release.analysis.findings import GateFinding
from promptops.release.plan.types import PlanEvalGate, ReleasePlan
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
        sentence = "no eval has compared this version with what is stable yet"
        return GateFinding(verdict=None, sentence=sentence, command=command)
    return _gate_finding(found[-1], plan.eval or PlanEvalGate(margin=0.0), names, command)


def _gate_finding(
    found: EvalRecord, wanted: PlanEvalGate, names: tuple[str, str], command: str
) -> GateFinding:
    """The eval by the plan's margin, whatever margin it was made with.

    Where calls stopped as soon as the verdict was in, it holds for the eval's own margin and wider ones.
    """
    known, margin = found.verdicts, wanted.margin
    losses = None if known.get("e_values") else _bounds(known.get("whole"))
    if losses is None:
        within = bool(known.get("within_margin")) and (known.get("margin") or 0.0) <= margin
    else:
        within = losses.high <= margin
    verdict, sentence = _by_margin(Verdict(known["verdict"]), within=within), str(known.get("sentence", ""))
    if losses is not None:
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
        sentence = verdict_sentence(finding)
    gate = GateFinding(
        verdict=verdict,
        sentence=sentence,
        details={"eval_id": found.eval_id, "margin": known.get("margin"), "finished_at": found.finished_at},
    )
    passed = wanted.require == "undecided_ok" and found.counts.get("passed")
    nothing = _control_passes_none(found) and not passed
    return judge_yardstick(
        gate,
        f"{names[1]} passes none of {found.counts.get('cases', 0):,} cases" if nothing else "",
        worse_checks(known, names[0], margin),
        command,
    )


def judge_yardstick(gate: GateFinding, nothing: str, worse: str, command: str) -> GateFinding:
    """A finding that holds by what it was measured with.

    ``nothing``: that stable passes nothing, so that nothing could be worse (where undecided is enough, that
    neither does: new cases may be of what stable cannot do yet); ``worse``: that a check that both are held
    to is worse, whatever the others are.
    """
    if worse and gate.verdict is not Verdict.WORSE:
        return replace(gate, verdict=Verdict.WORSE, sentence=worse)
    if nothing and gate.verdict in (Verdict.NOT_WORSE, Verdict.UNDECIDED):
        return replace(gate, verdict=None, sentence=f"{nothing}: do the checks fit?", command=command)
    return gate


def worse_checks(known: Mapping[str, Any], subject: str, margin: float) -> str:
    """A sentence about the checks that a comparison has shown to be worse; "" where there are none."""
    names = [name for name, loss in (known.get("worse_checks") or {}).items() if loss > margin]
    return f"{subject} is worse on the check {', '.join(names)}" if names else ""


def _control_passes_none(found: EvalRecord) -> bool:
    """Whether stable passes no case, by what was kept of the other side; False where it was not."""
    rate, difference = found.counts.get("rate"), (found.verdicts.get("whole") or {}).get("difference")
    return rate is not None and difference is not None and round(rate - difference, 9) == 0.0


def _bounds(whole: Mapping[str, Any] | None) -> Interval | None:
    """Of the difference in losses; None where an earlier release did not keep it."""
    return Interval(-whole["high"], -whole["low"]) if whole and whole.get("pairs") else None


def _by_margin(verdict: Verdict, *, within: bool) -> Verdict:
    if within:
        return Verdict.BETTER if verdict is Verdict.BETTER else Verdict.NOT_WORSE
    return Verdict.WORSE if verdict is Verdict.WORSE else Verdict.UNDECIDED
