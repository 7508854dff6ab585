"""An eval as one HTML file that needs nothing else: no network, no script, no font.

Every value goes through ``Markup.format``, which escapes what is not markup.
"""

from collections.abc import Iterable, Iterator, Sequence

from markupsafe import Markup

from promptops.cli.reports.eval.html_cases import cases_section
from promptops.cli.reports.eval.plots import change_css_class, latency_plot, rates_plot
from promptops.cli.reports.eval.scatter_plot import scatter_plot
from promptops.cli.reports.eval.style import STYLE
from promptops.cli.reports.eval.svg import legend_marker
from promptops.cli.reports.eval.view import (
    MetricRow,
    eval_headline,
    eval_notes,
    eval_sample_size,
    flaky_cases,
    metric_rows,
    score_lines,
    side_role,
    single_line,
    slice_warning,
    slices_worst_first,
)
from promptops.cli.reports.html_page import PAGE_TEMPLATE
from promptops.cli.reports.numbers import (
    format_difference_interval,
    format_p_value,
    format_points,
    format_rate_interval,
    format_usd,
)
from promptops.console import pluralize
from promptops.evaluation.result import EvalResult, VariantResult

_MAX_SLICES = 40
_MAX_FLAKY = 100
_NEGLIGIBLE_CHANGE = 0.05


def render_eval_html(result: EvalResult) -> str:
    prompt = single_line(result.sides[0].prompt)
    sections = [
        _header(result),
        _sides(result),
        *_cost_tradeoff(result),
        _rates(result),
        cases_section(result),
    ]
    sections += [_flaky(result), *_latency(result), _footer(result)]
    title = f"{prompt}: {result.comparison.verdict}" if result.comparison else f"Eval of {prompt}"
    return str(PAGE_TEMPLATE.format(title=title, style=STYLE, body=Markup("\n").join(sections)))


def join_markup(parts: Iterable[Markup]) -> Markup:
    return Markup("").join(parts)


def html_section(name: str, title: str, *body: Markup, about: str = "") -> Markup:
    told = Markup('<p class="about">{}</p>').format(about) if about else ""
    return Markup('<section aria-labelledby="{0}"><h2 id="{0}">{1}</h2>{2}{3}</section>').format(
        name, title, told, join_markup(body)
    )


# ---- the verdict


def _header(result: EvalResult) -> Markup:
    return Markup(
        '<header><p class="eyebrow"><span>{prompt}</span><span>{basis}</span>{date}</p>'
        "{verdict}<h1>{headline}</h1>{warning}{notes}{changed}</header>"
    ).format(
        prompt=single_line(result.sides[0].prompt),
        basis=eval_sample_size(result),
        date=Markup("<span>{}</span>").format(single_line(result.started_at[:10]))
        if result.started_at
        else "",
        verdict=_badge(result),
        headline=eval_headline(result),
        warning=_alert(slice_warning(result)),
        notes=join_markup(
            Markup('<p class="note">{}</p>').format(_sentence(text)) for text in eval_notes(result)
        ),
        changed=_changed(result.changed),
    )


def _badge(result: EvalResult) -> Markup:
    if not result.comparison:
        return Markup("")
    verdict = result.comparison.verdict
    sign = {"worse": "▼", "better": "▲", "not worse": "✓"}.get(verdict, "?")
    return Markup('<p class="badge {}"><span aria-hidden="true">{} </span>{}</p>').format(
        verdict.replace(" ", "-"), sign, _sentence(verdict).rstrip(".")
    )


def _alert(text: str | None) -> Markup:
    return Markup('<p class="alert" role="note">{}</p>').format(_sentence(text)) if text else Markup("")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _changed(changed: Sequence[str]) -> Markup:
    if not changed:
        return Markup("")
    items = join_markup(Markup("<li>{}</li>").format(single_line(text)) for text in changed)
    return Markup('<div class="changed"><h2>What changed</h2><ul>{}</ul></div>').format(items)


# ---- sides


def _sides(result: EvalResult) -> Markup:
    table = _columns(result) if len(result.sides) <= 2 else _rows(result)  # noqa: PLR2004 - side by side
    return html_section("sides", "In numbers", table)


def _columns(result: EvalResult) -> Markup:
    change = len(result.sides) > 1
    heads = join_markup(
        Markup('<th scope="col"><span class="role">{}</span><code>{}</code></th>').format(
            side_role(index, result), single_line(side.label)
        )
        for index, side in enumerate(result.sides)
    )
    rows = Markup("")
    for metric in metric_rows(result.sides):
        cells = join_markup(
            Markup("<td>{}{}</td>").format(
                metric.text(side), _range(side) if metric.change == "points" else ""
            )
            for side in result.sides
        )
        difference = metric.difference(*result.sides) if change else None
        told = metric.told(difference)
        last = Markup('<td class="{}">{}</td>').format(_tone(metric, difference), told) if change else ""
        rows += Markup('<tr><th scope="row">{}</th>{}{}</tr>').format(metric.name.capitalize(), cells, last)
    last = Markup('<th scope="col">Change</th>') if change else ""
    return _table(Markup("<td></td>{}{}").format(heads, last), rows, "Each side in numbers")


def _tone(metric: MetricRow, difference: float | None) -> str:
    """Whether a change is one for the better or the worse; small ones of time and money are neither."""
    if not difference or (metric.change == "percent" and abs(difference) < _NEGLIGIBLE_CHANGE):
        return ""
    return "good" if difference * metric.better > 0 else "bad"


def _range(side: VariantResult) -> Markup:
    return Markup(" <small>{}</small>").format(format_rate_interval(side.overall))


def _rows(result: EvalResult) -> Markup:
    shown = [metric for metric in metric_rows(result.sides) if metric.name != "tokens"]
    heads = join_markup(
        Markup('<th scope="col">{}</th>').format(metric.name.capitalize()) for metric in shown
    )
    rows = Markup("")
    for index, side in enumerate(result.sides):
        cells = join_markup(
            Markup("<td>{}{}</td>").format(metric.text(side), _range(side) if metric is shown[0] else "")
            for metric in shown
        )
        front = Markup(' <span class="front">Pareto front</span>') if side.pareto else ""
        rows += Markup('<tr><th scope="row">{} <code>{}</code>{}</th>{}</tr>').format(
            legend_marker(index, len(result.sides)), single_line(side.label), front, cells
        )
    head = Markup('<th scope="col" class="side-name">Side</th>{}').format(heads)
    return _table(head, rows, "Each side in numbers")


def _table(head: Markup, rows: Markup, caption: str) -> Markup:
    return Markup(
        '<div class="wide" tabindex="0" role="region" aria-label="{caption}">'
        "<table><caption>{caption}</caption>"
        "<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    ).format(caption=caption, head=head, rows=rows)


# ---- plots


def _rates(result: EvalResult) -> Markup:
    about = (
        "The dot is the pass rate, the line its 95 % interval. Where lines overlap widely, luck may explain "
        "a difference."
    )
    return html_section(
        "rates", "Pass rate", rates_plot(result), _scores(result), _slices(result), about=about
    )


def _scores(result: EvalResult) -> Markup:
    if not result.comparison or not result.comparison.scores:
        return Markup("")
    items = join_markup(Markup("<li>{}</li>").format(text) for text in score_lines(result.comparison))
    return Markup('<h3>Scores</h3><ul class="scores">{}</ul>').format(items)


def _slices(result: EvalResult) -> Markup:
    found = slices_worst_first(result.comparison) if result.comparison else []
    if not found:
        return Markup("")
    rows = join_markup(
        Markup(
            '<tr><th scope="row"><span class="kind">{}</span> {}</th><td class="{}">{}</td><td>{}</td>'
            "<td>{}</td><td>{}</td><td>{}</td></tr>"
        ).format(
            kind,
            single_line(one.name),
            change_css_class(one),
            format_points(one.difference),
            format_difference_interval(one.low, one.high),
            one.broke,
            one.fixed,
            format_p_value(one.p_adjusted),
        )
        for kind, one in found[:_MAX_SLICES]
    )
    heads = ("Slice", "Change", "95 % interval", "Broke", "Fixed", "Adjusted p")
    head = join_markup(Markup('<th scope="col">{}</th>').format(text) for text in heads)
    return Markup(
        '<details class="slices"><summary>The same in numbers</summary><p class="about">'
        "The most harmed first. The p value is adjusted for having looked at every slice.</p>{}</details>"
    ).format(_table(head, rows, "Where it changed"))


def _cost_tradeoff(result: EvalResult) -> Iterator[Markup]:
    priced = sum(side.cost_per_case_usd is not None for side in result.sides)
    if len(result.sides) > 2 and priced > 1:  # noqa: PLR2004 - two are told by the table
        about = (
            "Up is better, left is cheaper. No other side is both better and cheaper than one on the front."
        )
        yield html_section("trade", "Quality against cost", scatter_plot(result), about=about)


def _latency(result: EvalResult) -> Iterator[Markup]:
    if any(side.latency_p50_ms is not None for side in result.sides):
        about = "From the median answer to the slowest of twenty (p95)."
        yield html_section("latency", "Latency", latency_plot(result), about=about)


# ---- the rest


def _flaky(result: EvalResult) -> Markup:
    found = flaky_cases(result)
    if not found:
        return Markup("")
    rows = join_markup(
        Markup('<tr><th scope="row"><code>{}</code></th><td class="text">{}</td>{}</tr>').format(
            single_line(case.case_id),
            ", ".join(map(single_line, case.tags)),
            join_markup(Markup("<td>{}</td>").format(rate.replace("/", " of ") or "–") for rate in rates),
        )
        for case, rates in found[:_MAX_FLAKY]
    )
    sides = join_markup(
        Markup('<th scope="col">{}</th>').format(
            _sentence(side_role(index, result) or single_line(side.label))[:-1]
        )
        for index, side in enumerate(result.sides[: len(result.cases)])
    )
    head = Markup('<th scope="col">Case</th><th scope="col" class="text">Tags</th>{}').format(sides)
    cases = pluralize(len(found), "case")
    about = f"{cases} passed on some trials and failed on others; trials passed are counted."
    return html_section("flaky", "Flaky cases", _table(head, rows, "Flaky cases"), about=about)


def _footer(result: EvalResult) -> Markup:
    facts = [
        ("Eval", result.eval_id),
        ("Cases", f"{result.cases_total:,} ({result.cases_hash[:12]})"),
        ("Checks", result.checks_hash[:12]),
        ("Trials", str(result.trials)),
        ("Started", result.started_at),
        ("Finished", result.finished_at),
    ]
    for side in result.sides:
        spent = f", {format_usd(side.spent_usd)} spent" if side.spent_usd is not None else ""
        digest = side.digest.removeprefix("sha256:")[:12]
        facts.append((single_line(side.label), f"sha256:{digest}, {side.model}{spent}"))
    items = join_markup(
        Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(name, single_line(value))
        for name, value in facts
        if value
    )
    return Markup("<footer><dl>{}</dl><p>Made by promptops eval.</p></footer>").format(items)
