"""What the phase before the first user has to say: the logged evals of the canary against stable."""

from promptops.registry import EvalRecord, RegistryDatabase, evals_against
from promptops.release.analysis.findings import GateFinding
from promptops.release.plan.types import ReleasePlan
from promptops.stats.verdicts import Verdict

_SHORT = 12


def eval_gate(
    registry: RegistryDatabase,
    prompt: str,
    digest: str,
    against_digest: str,
    plan: ReleasePlan,
    has_cases: bool,
) -> GateFinding:
    """The latest eval of ``digest`` that compared it with ``against_digest`` and came to its end."""
    ours, theirs = (f"{prompt}@sha256:{each[:_SHORT]}" for each in (digest, against_digest))
    command = f"promptops eval {ours} --against {theirs}"
    if not has_cases:
        return GateFinding(verdict=None, sentence=f"{prompt} has no cases: nothing was tested", absent=True)
    found = evals_against(registry, prompt, digest, against_digest)
    if not found:
        said = "no eval has compared this version with what is stable yet"
        return GateFinding(verdict=None, sentence=said, command=command)
    return _gate_finding(found[-1], plan.eval.margin if plan.eval else 0.0)


def _gate_finding(found: EvalRecord, margin: float) -> GateFinding:
    """The eval's own word; where its margin was wider than the plan's, "not worse" is not taken from it."""
    said = found.verdicts
    verdict = Verdict(said["verdict"])
    if verdict in (Verdict.NOT_WORSE, Verdict.UNDECIDED):
        within = bool(said.get("within_margin")) and (said.get("margin") or 0.0) <= margin
        verdict = Verdict.NOT_WORSE if within else Verdict.UNDECIDED
    details = {"eval_id": found.eval_id, "margin": said.get("margin"), "finished_at": found.finished_at}
    return GateFinding(verdict=verdict, sentence=str(said.get("sentence", "")), details=details)
