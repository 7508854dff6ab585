"""A shadow run before its first call: inputs chosen and looked at, what an earlier process has made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from itertools import takewhile
from typing import Any

from promptops.config.settings import LogSettings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.evaluation.shadow.aggregator import Primary
from promptops.evaluation.shadow.input_sampling import (
    ReplayInput,
    SampledInputs,
    SamplingPlan,
    inputs_from_file,
    inputs_from_log,
    sample_inputs,
    sampling_key,
)
from promptops.evaluation.shadow.pair import ARMS
from promptops.evaluation.shadow.request import ShadowRequest
from promptops.evaluation.shadow.result import ExclusionCounts
from promptops.evaluation.shadow.stored import answered_runs
from promptops.evaluation.variants import CaseChecks, checks_hash
from promptops.prompt.canonical_json import compact_json, sha256_hex
from promptops.prompt.render import render_prompt
from promptops.registry import (
    RegistryDatabase,
    batch_spent_usd,
    begin_shadow_run,
    find_unfinished_shadow_run,
    pair_runs,
    resume_shadow_run,
    shadow_run_spent_usd,
    without_quotes,
)
from promptops.runner.batch import take_shard

_MAX_REASONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayPlan:
    """``sources`` are those whose inputs both versions accept, in order, each with its number.

    Of a shard they are its part of the ``planned`` ones.
    """

    shadow_id: str
    sources: Sequence[ReplayInput]
    planned: int
    left: ExclusionCounts
    primary: Primary
    known: Mapping[int, Mapping[str, Mapping[str, Any]]]  # runs of an earlier process, by number and arm
    spent: float
    implied: int = 0  # inputs compared with what they expect by a check that nobody wrote


def plan_replay(
    registry: RegistryDatabase, request: ShadowRequest, checks: CaseChecks, log: LogSettings
) -> ReplayPlan:
    cases: list[ReplayInput] = []
    chosen = SampledInputs()
    if request.file:
        declared = {**request.control.prompt.inputs, **request.candidate.prompt.inputs}
        chosen.file_hash, cases = inputs_from_file(request.file, declared, request.seed)
    key = _request_key(request, chosen.file_hash)
    before = None if request.restart else find_unfinished_shadow_run(registry, key)
    if request.file is None:
        chosen = _sample(registry, request, before.about if before else None)
        cases = list(inputs_from_log(registry, chosen.seqs))
    sources, left = _split_compatible(request, cases, chosen)
    primary = _primary(request, checks, sources)
    own = bool(request.candidate.prompt.checks)
    implied = sum(checks.implies_equality(each.case) for each in sources if own or each.case.checks)
    if not sources:
        raise _no_inputs_error(request, left)
    planned, own_part = len(sources), take_shard(request.shard, sources)
    if before:
        known = answered_runs(pair_runs(registry, before.shadow_id))
        if request.shard:
            spent = batch_spent_usd(registry, before.shadow_id, [source.number for source in own_part])
        else:
            resume_shadow_run(registry, before.shadow_id, _complete_prefix(sources, known))
            spent = shadow_run_spent_usd(registry, before.shadow_id)
        return ReplayPlan(
            shadow_id=before.shadow_id,
            sources=own_part,
            planned=planned,
            left=left,
            primary=primary,
            known=known,
            spent=spent,
            implied=implied,
        )
    kept = replace(left, reasons=tuple((where, without_quotes(why, log)) for where, why in left.reasons))
    about = shadow_metadata(request, chosen, kept, primary)
    shadow_id = _begin(registry, request, key, about, planned)
    if shadow_id is None:
        return plan_replay(registry, request, checks, log)
    return ReplayPlan(
        shadow_id=shadow_id,
        sources=own_part,
        planned=planned,
        left=left,
        primary=primary,
        known={},
        spent=0.0,
        implied=implied,
    )


def _begin(
    registry: RegistryDatabase, request: ShadowRequest, key: str, about: Mapping[str, Any], pairs: int
) -> str | None:
    """The id of a new shadow run; None where another shard has begun it, with inputs of its choice."""
    version = request.candidate.version
    with registry.write():
        if not request.restart and find_unfinished_shadow_run(registry, key):
            return None
        return begin_shadow_run(
            registry, key, version.prompt.name, version.prompt.digest, version.reference, about, pairs
        )


def _complete_prefix(sources: Sequence[ReplayInput], known: Mapping[int, Mapping[str, Any]]) -> int:
    """The number of the last pair before the first that lacks a side."""
    complete = takewhile(lambda source: known.get(source.number, {}).keys() >= set(ARMS), sources)
    return max((source.number for source in complete), default=0)


def _sample(
    registry: RegistryDatabase, request: ShadowRequest, about: Mapping[str, Any] | None
) -> SampledInputs:
    """Inputs of an earlier process stay chosen, though the log has grown meanwhile."""
    assert request.choice is not None  # noqa: S101 - inputs are of the log or of a file
    if about is None:
        return sample_inputs(registry, request.choice, request.seed)
    names = ("considered", "doubled", "of_same_unit", "redacted")
    return SampledInputs(seqs=about["sources"], **{name: about["left"].get(name, 0) for name in names})


def _request_key(request: ShadowRequest, file_hash: str) -> str:
    """The same request goes on where it stopped; a larger budget or another margin is the same."""
    return sha256_hex(
        compact_json(
            {
                "candidate": request.candidate.prompt.digest,
                "control": request.control.prompt.digest,
                "checks": checks_hash(request.candidate.prompt.checks),
                "file": file_hash,
                "choice": sampling_key(request.choice),
                "mode": request.mode,
                "seed": request.seed,
                "judge": request.judge,
                **({"semantic": asdict(request.semantic)} if request.semantic else {}),
            }
        ).encode()
    )


def _split_compatible(
    request: ShadowRequest, cases: list[ReplayInput], chosen: SampledInputs
) -> tuple[tuple[ReplayInput, ...], ExclusionCounts]:
    """Inputs that a version no longer accepts say nothing of its model: they are counted by themselves."""
    fit: list[ReplayInput] = []
    reasons: list[tuple[str, str]] = []
    incompatible = silent = 0
    for source in cases:
        if problem := _input_problem(request, source):
            incompatible += 1
            reasons.append((source.case.where, problem))
        elif request.recorded and not _was_answered(source, request.choice):
            silent += 1
        else:
            fit.append(source)
    left = ExclusionCounts(
        considered=chosen.considered or len(cases),
        doubled=chosen.doubled,
        of_same_unit=chosen.of_same_unit,
        redacted=chosen.redacted,
        incompatible=incompatible,
        without_answer=silent,
        reasons=tuple(reasons[:_MAX_REASONS]),
    )
    return tuple(fit), left


def _input_problem(request: ShadowRequest, source: ReplayInput) -> str:
    sides = (request.candidate,) if request.recorded else (request.candidate, request.control)
    for variant in sides:
        if source.run is not None and source.run["inputs"] is None:
            return "its inputs were not kept"
        try:
            render_prompt(variant.prompt, source.case.inputs)
        except Invalid as error:
            return f"{variant.arm}: {error.message}"
    return ""


def _was_answered(source: ReplayInput, choice: SamplingPlan | None) -> bool:
    run = source.run
    if run is not None and run["redacted"] and not (choice and choice.redacted):
        return False
    return run is not None and run["state"] == "finished" and bool(run["output"] or run["tool_calls"])


def _primary(request: ShadowRequest, checks: CaseChecks, sources: tuple[ReplayInput, ...]) -> Primary:
    if request.candidate.prompt.checks or any(checks.of(source.case) for source in sources):
        return "checks"
    return "judge" if request.judge else "errors"


def _no_inputs_error(request: ShadowRequest, left: ExclusionCounts) -> NotFound:
    name = request.candidate.prompt.name
    if left.incompatible or left.without_answer:
        why = f"; {left.reasons[0][0]}: {left.reasons[0][1]}" if left.reasons else ""
        return NotFound(
            f"of {left.considered:,} runs none has inputs that can be replayed{why}",
            hint="--inputs FILE gives others",
        )
    if left.redacted:
        return NotFound(
            f"all {left.redacted:,} logged inputs of {name} that match were redacted",
            hint="--select redacted=yes replays them as they are kept, --inputs FILE gives others",
        )
    return NotFound(
        f"no logged inputs of {name} match", hint="widen --since or --last, or give --inputs FILE"
    )


def shadow_metadata(
    request: ShadowRequest, chosen: SampledInputs, left: ExclusionCounts, primary: Primary
) -> dict[str, Any]:
    sides = {
        arm: {"label": each.label, "digest": each.prompt.digest, "model": each.prompt.model}
        for arm, each in (("control", request.control), ("candidate", request.candidate))
    }
    return {
        "shadow": 1,
        **sides,
        "mode": request.mode,
        "recorded": request.recorded,
        "aa": request.aa,
        "seed": request.seed,
        "margin": request.margin,
        "one_look": request.one_look,
        "judge": request.judge,
        "semantic": asdict(request.semantic) if request.semantic else None,
        "primary": primary,
        "file": str(request.file) if request.file else None,
        "sources": None if request.file else chosen.seqs,
        "left": {name: getattr(left, name) for name in left.__slots__},
        "counted": 0,
        "stopped": None,
        "summary": None,
    }
