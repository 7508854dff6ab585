"""The probes of ``monitor check --probes``: the cases of each channel, asked within one budget."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from promptops.config.settings import Settings
from promptops.console import note
from promptops.errors import Invalid, PromptopsError
from promptops.evaluation.golden_set import filter_by_tags
from promptops.evaluation.open_golden_set import open_golden_set
from promptops.evaluation.variants import MODEL_GRADED_KINDS, CaseChecks
from promptops.monitoring.probes import ProbeCase, ProbePlan, ProbeTally, answer_probes, probe_plan
from promptops.prompt.cases import Case
from promptops.runner.batch import BatchOptions, run_interruptibly
from promptops.runner.model_graded import JudgeResolver
from promptops.versions.resolve import Version, resolve_version


def answer_all_probes(settings: Settings, targets: Sequence[str], options: BatchOptions) -> list[ProbeTally]:
    """Those of every channel that has some; the budget is for all together."""
    versions = {target: resolve_version(target, settings) for target in targets}
    planned = [
        (version, target, plan)
        for target, version in versions.items()
        if (plan := probe_plan(settings, target, version.prompt.probes))
    ]
    if not planned:
        raise Invalid(
            "no probes are named for these channels",
            hint="promptops.yaml: probes: {NAME:CHANNEL: {tag: probe}} names cases of the golden set, "
            "or probes: [ID] in the prompt",
        )
    found: list[ProbeTally] = []
    for version, target, plan in planned:
        spent = sum(each.spent_usd for each in found)
        left = None if options.max_cost is None else max(0.0, options.max_cost - spent)
        cases = _cases(settings, version, plan)
        work = answer_probes(settings, target, version, cases, replace(options, max_cost=left), plan.repeats)
        found.append(run_interruptibly(work))
        _tell(found[-1])
    return found


def _cases(settings: Settings, version: Version, plan: ProbePlan) -> list[ProbeCase]:
    checks = CaseChecks(version.prompt.checks, JudgeResolver(settings).prompt)
    with open_golden_set(version, settings) as cases:
        return [
            ProbeCase(
                id=case.id,
                inputs=case.inputs,
                expected=case.expected,
                checks=tuple(each for each in checks.of(case) if each.kind not in MODEL_GRADED_KINDS),
            )
            for case in _probed(cases, plan)
        ]


def _probed(cases: Iterable[Case], plan: ProbePlan) -> list[Case]:
    if not plan.ids:
        return list(islice(filter_by_tags(cases, [plan.tag] if plan.tag else None), plan.cases))
    found = [case for case in cases if case.id in plan.ids]
    if missing := sorted({*plan.ids} - {case.id for case in found}):
        raise Invalid(
            f"no case has the id `{missing[0]}`, which `probes:` of the prompt names", hint="promptops lint"
        )
    return found


def worst_stop(tallies: Sequence[ProbeTally]) -> PromptopsError | None:
    """Why probes were not all asked, or that none was answered."""
    return next((each.stopped for each in tallies if each.stopped), None)


def _tell(tally: ProbeTally) -> None:
    failed = f", {tally.failed:,} failed" if tally.failed else ""
    note(f"{tally.target}: {tally.answered:,} probes answered{failed}, ${tally.spent_usd:.4f}")
    if tally.stopped:
        note(f"promptops: {tally.stopped.message}\n  {tally.stopped.hint}")
