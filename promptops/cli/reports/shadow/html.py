"""Shadow runs as one HTML file that needs nothing else: no network, no script, no font.

Every value goes through ``Markup.format``, which escapes what is not markup.
"""

from collections.abc import Container, Iterable, Sequence

from markupsafe import Markup

from promptops.cli.reports.eval.html_cases import card_group, common_tags, flip_card, tag_filter
from promptops.cli.reports.eval.style import STYLE
from promptops.cli.reports.html_page import PAGE_TEMPLATE
from promptops.cli.reports.shadow.cases import pair_to_flip
from promptops.cli.reports.shadow.plots import evidence_plot, ratio_plot
from promptops.cli.reports.shadow.view import (
    RATIO_METRICS,
    metric_comparison_rows,
    overview_headers,
    overview_rows,
    shadow_headline,
    shadow_notes,
    shadow_sample_size,
    similarity_text,
    slice_rows,
)
from promptops.console import escape_line
from promptops.evaluation.shadow.result import ShadowComparison

_OPEN_CARDS = 3
_MAX_SLICES = 40


def render_shadow_html(found: Sequence[ShadowComparison], *, table: bool = False) -> str:
    sections = [_overview(found)] if table else []
    for number, each in enumerate(found):
        sections += [
            _header(each),
            _figures(each),
            _evidence(each),
            _slices(each),
            _fields(each),
            _pairs(each, f"-{number}" if number else "", whole=len(found) == 1),
        ]
    title = "Shadow runs" if len(found) > 1 else f"{found[0].prompt}: {found[0].verdict}"
    return str(PAGE_TEMPLATE.format(title=title, style=STYLE, body=Markup("\n").join(sections)))


def _overview(found: Sequence[ShadowComparison]) -> Markup:
    heads = overview_headers(
        found, "Candidate", "Verdict", "Pairs", "Fails more by (95 %)", "Broke", "Fixed", "Judged"
    )
    return _section("Which prompts survive", _table(heads, overview_rows(found)))


def _header(found: ShadowComparison) -> Markup:
    told = Markup("").join(
        Markup('<p class="note">{}</p>').format(escape_line(each)) for each in shadow_notes(found)
    )
    return Markup(
        '<header><span class="badge {}">{}</span><h1>{}</h1><p>{}</p><p class="about">{}</p>{}</header>'
    ).format(
        found.verdict.replace(" ", "-"),
        found.verdict,
        escape_line(shadow_headline(found)),
        escape_line(found.sentence),
        escape_line(shadow_sample_size(found)),
        told,
    )


def _figures(found: ShadowComparison) -> Markup:
    heads = ("", "Control", "Candidate", "Worse by (95 %)", "Limit", "Verdict")
    about = Markup('<p class="about">{}</p>').format(similarity_text(found.likeness))
    return _section("Control and candidate", _table(heads, metric_comparison_rows(found)), about)


def _evidence(found: ShadowComparison) -> Markup:
    drawn = [evidence_plot(each) for each in found.questions if each.trail]
    ratios = [each for each in found.questions if each.name in RATIO_METRICS]
    if ratios:
        drawn.append(ratio_plot(ratios))
    return _section("Evidence, pair by pair", *drawn)


def _slices(found: ShadowComparison) -> Markup:
    rows = slice_rows(found, _MAX_SLICES)
    heads = ("Slice", "Pairs", "Passes", "Broke", "Fixed", "p, adjusted")
    return _section("Tags and checks", _table(heads, rows)) if rows else Markup("")


def _fields(found: ShadowComparison) -> Markup:
    rows = [(each.path, f"{each.pairs:,}", "; ".join(each.examples)) for each in found.likeness.fields]
    if not rows:
        return Markup("")
    return _section("JSON fields that differ", _table(("Field", "Pairs", "Such as"), rows, text={2}))


def _pairs(found: ShadowComparison, suffix: str, *, whole: bool) -> Markup:
    """``suffix`` keeps the names of headings apart; a page of one shadow run alone can be filtered by tag."""
    groups = (
        ("broke", "Broke", found.broke, found.broke_total),
        ("fixed", "Fixed", found.fixed, found.fixed_total),
        ("changed", "Other answers that differ", found.changed, len(found.changed)),
    )
    flips = {name: [pair_to_flip(pair) for pair in pairs] for name, _, pairs, _ in groups}
    tags = common_tags([flip.tags for each in flips.values() for flip in each]) if whole else {}
    shown = Markup("").join(
        card_group(
            name,
            title,
            [
                flip_card(flip, place if name == "broke" else _OPEN_CARDS + 5, tags)
                for place, flip in enumerate(flips[name])
            ],
            total,
            suffix,
        )
        for name, title, _, total in groups
    )
    return Markup('<section class="cases" aria-label="Pairs">{}{}</section>').format(tag_filter(tags), shown)


def _section(title: str, *parts: Markup) -> Markup:
    return Markup("<section><h2>{}</h2>{}</section>").format(title, Markup("").join(parts))


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]], text: Container[int] = ()) -> Markup:
    """``text``: the columns, counted from 0, of words and not of numbers."""
    head = Markup("").join(_cell("th", each, place in text) for place, each in enumerate(headers))
    body = Markup("").join(_row(row, text) for row in rows)
    return Markup(
        '<div class="wide"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(head, body)


def _row(cells: Sequence[str], text: Container[int]) -> Markup:
    tags = ["th", *["td"] * (len(cells) - 1)]
    return Markup("<tr>{}</tr>").format(
        Markup("").join(
            _cell(tag, cell, place in text) for place, (tag, cell) in enumerate(zip(tags, cells, strict=True))
        )
    )


def _cell(tag: str, told: str, is_text: bool) -> Markup:
    return Markup("<{0}{1}>{2}</{0}>").format(
        tag, Markup(' class="text"') if is_text else "", escape_line(told)
    )
