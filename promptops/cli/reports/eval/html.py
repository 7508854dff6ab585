"""An eval as one HTML file."""

from promptops.cli.reports.cases import CaseReport, common_tags, report_failure, report_flip
from promptops.cli.reports.eval import view
from promptops.cli.reports.eval.answers import answered_cases, sides_differ
from promptops.cli.reports.eval.plots import RatesPlot, cost_scatter, latency_rows
from promptops.cli.reports.html import CaseGroup, render_page
from promptops.cli.reports.tables import slices_table
from promptops.evaluation.result import EvalResult
from promptops.reports.svg import side_marker

_MAX_SLICES = 40
_MAX_FLAKY = 100
_MAX_SIDES = 100
_MAX_CASES = 200  # of those that broke, and of those fixed
_OPEN_CARDS = 5
_MAX_ANSWERED = 200  # cases in the matrix of answers, and characters of each answer in it
_MAX_ANSWER_LENGTH = 600


def render_eval_html(result: EvalResult) -> str:
    compared = result.comparison
    groups = _groups(result)
    answered = sorted(  # those on which versions differ first, then those that failed
        answered_cases(result), key=lambda case: (not sides_differ(case), case.answers[-1].passed)
    )
    return render_page(
        "eval.html.j2",
        result=result,
        view=view,
        marker=side_marker,
        rates=RatesPlot(result),
        scatter=cost_scatter(result),
        latency=latency_rows(result),
        slices=slices_table(compared.tags, compared.checks, _MAX_SLICES) if compared else None,
        groups=groups,
        tags=common_tags(case for group in groups for case in group.cases),
        answered=answered[:_MAX_ANSWERED],
        answered_total=result.cases_run or len(answered),
        sides_differ=sides_differ,
        max_answer=_MAX_ANSWER_LENGTH,
        flaky=view.flaky_cases(result),
        max_flaky=_MAX_FLAKY,
        max_sides=_MAX_SIDES,
    )


def _groups(result: EvalResult) -> list[CaseGroup]:
    if result.comparison is None:
        failed = [report_failure(case, trial) for case, trial in view.failed_cases(result)]
        return [_group("failed", failed, len(failed), opened=_OPEN_CARDS)]
    whole = result.comparison.whole
    broke, fixed = (
        list(map(report_flip, flips)) for flips in (result.comparison.broke, result.comparison.fixed)
    )
    return [_group("broke", broke, whole.broke, opened=_OPEN_CARDS), _group("fixed", fixed, whole.fixed)]


def _group(name: str, cases: list[CaseReport], total: int, *, opened: int = 0) -> CaseGroup:
    total = max(total, len(cases))
    return CaseGroup(
        id=name, css=name, title=name.capitalize(), cases=cases[:_MAX_CASES], total=total, open=opened
    )
