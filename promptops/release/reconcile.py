"""A tick: what the evidence says is due for one rollout is done, at most one move, as often as one likes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from promptops.dataclass import dataclass
from promptops.errors import ExitCode, PromptopsError
from promptops.registry import EngineError
from promptops.release.analysis import analyze_rollout, build_evidence, eval_gate, load_findings
from promptops.release.analysis.findings import Findings, GateFinding
from promptops.release.analysis.metric_tests import ENGINE
from promptops.release.analysis.rollout_tests import stored_engine
from promptops.release.analysis.scoring_workers import score_together
from promptops.release.analysis.shadow_gate import shadow_gate
from promptops.release.analysis.update import AnalysisRequest
from promptops.release.context import ReleaseContext, Target, channel_state
from promptops.release.ledger import TransitionResult
from promptops.release.plan.types import ReleasePlan
from promptops.release.rules import Move, RolloutDecision, Transition, decide_transition, is_applicable
from promptops.versions.release_state import ChannelState, ReleasedVersion, ReleaseState, Rollout
from promptops.versions.resolve import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What is known of a rollout and what is due. All but ``state`` is None where no canary is active."""

    state: ChannelState
    rollout: Rollout | None = None
    plan: ReleasePlan | None = None
    findings: Findings | None = None
    gate: GateFinding | None = None
    decision: RolloutDecision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TickResult:
    """What a tick has done. ``written`` is None where nothing was due."""

    target: Target
    look: Assessment
    written: TransitionResult | None = None

    @property
    def move(self) -> Move | None:
        due = self.look.decision.transition if self.look.decision else None
        return due.move if due and self.written and self.written.changed else None

    @property
    def after(self) -> ChannelState:
        return channel_state(self.written.state, self.target.channel) if self.written else self.look.state

    @property
    def holds(self) -> tuple[str, ...]:
        return self.look.decision.holds if self.look.decision else ("no canary is active",)

    def code(self, *, exit_code: bool = False) -> int:
        """The exit code. ``exit_code``: 3 while the rollout is undecided."""
        if self.written and self.written.pushed is False:
            return ExitCode.UNAVAILABLE
        if self.move is Move.ROLLBACK:
            return ExitCode.NO
        after = self.after.rollout
        if after and after.phase == "invalid":
            return ExitCode.INVALID
        return ExitCode.UNDECIDED if after and exit_code else ExitCode.OK


def tick_channel(context: ReleaseContext, target: Target) -> TickResult:
    """Look at the evidence and make the move that is due. Two ticks at once make it once."""
    look = assess(context, target)
    due = look.decision.transition if look.decision else None
    if due is None:
        return TickResult(target=target, look=look)
    written = context.ledger.commit_transition(
        target.prompt,
        target.channel,
        apply_if_unchanged(target, due),
        now=context.now,
        evidence=assessment_evidence(look),
    )
    return TickResult(target=target, look=look, written=written)


def apply_if_unchanged(
    target: Target, due: Transition, *, by_person: bool = False
) -> Callable[[ReleaseState | None], Transition | None]:
    """The move for as long as the channel is as it was decided on; somebody may have been faster.

    ``by_person``: what a person forces is done in whatever phase the canary is by then.
    """

    def change(head: ReleaseState | None) -> Transition | None:
        state = channel_state(head, target.channel)
        return due if is_applicable(state, replace(due, forced=by_person and due.forced)) else None

    return change


def assess(context: ReleaseContext, target: Target) -> Assessment:
    """Score what has arrived and say what is due; nothing is moved."""
    state = context.channel(target)
    rollout = state.rollout
    if rollout is None or state.stable is None:
        return Assessment(state=state)
    plan = context.ledger.plan(rollout.plan)
    findings = analyze_rollout(
        context.registry,
        rollout,
        target.prompt,
        target.channel,
        plan,
        context.now,
        committed=last_committed_evidence(context, rollout.id),
        stable=state.stable,
    )
    gate = phase_gate(context, target, state.stable, rollout, plan)
    decision = decide_transition(
        rollout, plan, findings, context.now, eval_gate=gate, shadow_gate=gate, target=str(target)
    )
    return Assessment(
        state=state, rollout=rollout, plan=plan, findings=findings, gate=gate, decision=decision
    )


def score_long_logs(context: ReleaseContext, targets: Sequence[Target]) -> Iterator[Target]:
    """The targets in their order, each when its log has been scored: long logs by several processes at once.

    A target that cannot be scored comes as well; looking at it says why.
    """
    looks = {target: look for target in targets if (look := _analysis_request(context, target))}
    scored = score_together(context.registry, list(looks.values()))
    for target in targets:
        if target in looks:
            next(scored)
        yield target


def _analysis_request(context: ReleaseContext, target: Target) -> AnalysisRequest | None:
    with suppress(PromptopsError, *EngineError):
        state = context.channel(target)
        if state.rollout and state.stable:
            committed = last_committed_evidence(context, state.rollout.id)
            return AnalysisRequest(
                rollout=state.rollout,
                prompt=target.prompt,
                channel=target.channel,
                plan=context.ledger.plan(state.rollout.plan),
                now=context.now,
                stable=state.stable,
                engine=stored_engine(committed) if committed else ENGINE,
            )
    return None


def last_committed_evidence(context: ReleaseContext, rollout: str) -> Mapping[str, Any] | None:
    """What was known at the latest move of a rollout that kept it."""
    kept = context.ledger.evidence(rollout)
    return kept[-1][1] if kept else None


def assessment_evidence(look: Assessment) -> Mapping[str, Any] | None:
    """What is committed with a move: counts, sums and e-values."""
    if look.rollout is None or look.findings is None:
        return None
    return build_evidence(look.rollout, look.findings)


def stored_evidence(context: ReleaseContext, target: Target) -> Mapping[str, Any] | None:
    """What was found the last time, for moves by hand: they wait for nothing to be scored.

    None where nobody has looked yet, and where that cannot be read: nothing keeps a rollback from its work.
    """
    with suppress(PromptopsError, *EngineError):
        rollout = context.channel(target).rollout
        found = load_findings(context.registry, rollout) if rollout else None
        if rollout and found and found.proof.get("plan") == rollout.plan:
            return build_evidence(rollout, found)
    return None


def eval_gate_for(
    context: ReleaseContext, target: Target, version: Version, stable: ReleasedVersion, plan: ReleasePlan
) -> GateFinding:
    """What the logged evals say of a version against what is stable."""
    return eval_gate(
        context.registry,
        str(target),
        version.prompt.digest,
        stable.digest,
        plan,
        version.prompt.cases is not None,
        names=(version.pasteable, stable.version),
    )


def phase_gate(
    context: ReleaseContext,
    target: Target,
    stable: ReleasedVersion,
    rollout: Rollout,
    plan: ReleasePlan,
    *,
    version: Version | None = None,
) -> GateFinding | None:
    """What evals or shadow runs say, in the phase that waits for them. ``version``: the canary's."""
    if rollout.phase == "eval":
        return eval_gate_for(
            context, target, version or context.version(target, rollout.canary), stable, plan
        )
    if rollout.phase != "shadow" or plan.shadow is None:
        return None
    names = (stable.version, rollout.canary.version)
    digests = (stable.digest, rollout.canary.digest)
    found = shadow_gate(context.registry, target.prompt, *digests, plan.shadow, names=names)
    return replace(found, command=f"promptops release gate {target}")
