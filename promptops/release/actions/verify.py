"""Every verdict that was committed, computed again from what the registry has observed."""

from collections.abc import Iterator, Mapping
from typing import Any

from promptops.dataclass import dataclass
from promptops.registry import read_registry_id
from promptops.release.analysis.verify import Mismatch, reading_evidence, verify_evidence
from promptops.release.context import ReleaseContext
from promptops.release.ledger.transition_log import TransitionRecord
from promptops.release.plan.types import ReleasePlan
from promptops.release.tampering import Tampering
from promptops.release.transitions import Move, Transition
from promptops.stats.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationResult:
    """One transition that rests on evidence. ``elsewhere``: another registry has seen its calls."""

    record: TransitionRecord
    mismatches: tuple[Mismatch, ...] = ()
    elsewhere: str = ""


def verify_branch(context: ReleaseContext, prompt: str | None = None) -> list[Tampering]:
    """What of the whole branch is not as its transitions left it; of a prompt, what concerns it."""
    return [each for each in context.ledger.audit() if prompt is None or each.concerns(prompt)]


def verify_all(
    context: ReleaseContext, prompt: str | None = None, channel: str | None = None
) -> Iterator[VerificationResult]:
    """Newest first. Transitions without evidence, such as those before anything was seen, are left out."""
    here = read_registry_id(context.registry)
    for record in context.ledger.log(prompt, channel):
        rollout = record.transition.evidence_rollout
        if record.evidence is None or rollout is None:
            continue
        found = dict(context.ledger.evidence(rollout.id)).get(record.generation)
        if found is None:
            gone = Mismatch("", "the evidence", record.evidence, "nothing: the file is gone")
            yield VerificationResult(record=record, mismatches=(gone,))
        elif found.get("registry") != here:
            yield VerificationResult(record=record, elsewhere=str(found.get("registry")))
        else:
            plan = context.ledger.plan(rollout.plan)
            differs = verify_evidence(context.registry, found, plan)
            with reading_evidence():
                differs += _unsupported_claims(record.transition, found, plan)
            yield VerificationResult(record=record, mismatches=tuple(differs))


def _unsupported_claims(done: Transition, evidence: Mapping[str, Any], plan: ReleasePlan) -> list[Mismatch]:
    """What a move by calls claims that its evidence does not say; gates rest on evals and shadow runs."""
    if done.rollout is None or done.rollout.phase in ("eval", "shadow"):
        return []
    committed = evidence["metrics"]
    if (done.move, done.verdict) == (Move.PROMOTE, Verdict.NOT_WORSE):
        by_shadow = plan.proven_by_shadow
        open_ = [
            each.name
            for each in plan.guards
            if committed[each.name]["worse"]
            or not (committed[each.name]["not_worse"] or each.name in by_shadow)
        ]
        open_ += [name for name in plan.all_goals if not committed[name]["better"]]
        return [Mismatch(name, "the verdict", done.verdict, committed[name]["verdict"]) for name in open_]
    by_harm = any(evidence.get(why) for why in ("harm", "hard", "breaker"))
    if (done.move, done.verdict) == (Move.ROLLBACK, Verdict.WORSE) and not by_harm:
        return [Mismatch("", "the verdict", done.verdict, "no harm")]
    return []
