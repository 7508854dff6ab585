"""The cases of an HTML report: answers side by side, words that differ marked, a filter by tag."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from promptops.cli.reports.eval.view import answer, as_text, failed_cases, line, visible, why
from promptops.evaluation.result import CaseResult, Comparison, EvalResult, Flip, Trial
from promptops.prompt.diff.word_diff import Segment, word_diff

_MOST_CASES = 200  # of those that broke, and of those fixed
_OPEN = 5
_MOST_TAGS = 24
_LONGEST_TEXT = 6_000


def cases_section(result: EvalResult) -> Markup:
    tags, groups = _compared(result.comparison) if result.comparison else _alone(result)
    shown = Markup("").join(groups)
    if not shown:
        return Markup("")
    return Markup('<section class="cases" aria-label="Cases">{}{}</section>').format(tag_filter(tags), shown)


def _compared(comparison: Comparison) -> tuple[dict[str, int], list[Markup]]:
    broke, fixed = comparison.broke, comparison.fixed
    tags = common_tags([flip.tags for flip in (*broke[:_MOST_CASES], *fixed[:_MOST_CASES])])
    bad = [flip_card(flip, place, tags) for place, flip in enumerate(broke[:_MOST_CASES])]
    good = [flip_card(flip, _OPEN, tags) for flip in fixed[:_MOST_CASES]]
    return tags, [
        group_of_cards("broke", "Broke", bad, max(comparison.whole.broke, len(broke))),
        group_of_cards("fixed", "Fixed", good, max(comparison.whole.fixed, len(fixed))),
    ]


def _alone(result: EvalResult) -> tuple[dict[str, int], list[Markup]]:
    found = failed_cases(result)
    tags = common_tags([case.tags for case, _ in found[:_MOST_CASES]])
    cards = [_failed(case, trial, i, tags) for i, (case, trial) in enumerate(found[:_MOST_CASES])]
    return tags, [group_of_cards("failed", "Failed", cards, len(found))]


def common_tags(tags: Iterable[Sequence[str]]) -> dict[str, int]:
    """The tags that can be chosen, each with its number."""
    counted = Counter(tag for some in tags for tag in some)
    return {tag: index for index, (tag, _) in enumerate(counted.most_common(_MOST_TAGS))}


def tag_filter(tags: Mapping[str, int]) -> Markup:
    """Radio buttons before the cases; rules of style hide what has not the chosen tag."""
    if len(tags) < 2:  # noqa: PLR2004 - nothing to choose
        return Markup("")
    buttons = Markup(
        '<input type="radio" name="tag" id="tag-all" checked><label for="tag-all">All cases</label>'
    )
    for tag, index in tags.items():
        buttons += Markup(
            '<input type="radio" name="tag" id="tag-{0}"><label for="tag-{0}">{1}</label>'
        ).format(index, line(tag, 40))
    rules = "".join(
        f".cases:has(#tag-{index}:checked) .case:not(.t{index}){{display:none}}" for index in tags.values()
    )
    return Markup(
        '<style>{}</style><fieldset class="filter"><legend>Show cases tagged</legend>{}</fieldset>'
    ).format(rules, buttons)


def group_of_cards(name: str, title: str, cards: Sequence[Markup], total: int, suffix: str = "") -> Markup:
    if not cards:
        return Markup("")
    listed = f"{total:,}" if total == len(cards) else f"{len(cards):,} of {total:,}"
    return Markup(
        '<section aria-labelledby="{0}{4}"><h2 id="{0}{4}" class="{0}">{1} <span>{2}</span></h2>{3}</section>'
    ).format(name, title, listed, Markup("").join(cards), suffix)


def flip_card(flip: Flip, place: int, tags: Mapping[str, int]) -> Markup:
    old, new = (_cut(answer(trial)) for trial in (flip.control, flip.candidate))
    segments = word_diff(old, new)
    sides = _side("Control", flip.control, _marked(segments, "-")) + _side(
        "Candidate", flip.candidate, _marked(segments, "+")
    )
    body = _asked(flip.inputs, flip.expected) + Markup('<div class="beside">{}</div>').format(sides)
    reasons = why(flip.candidate) if flip.control.passed else why(flip.control)
    return _card(flip.case_id, flip.tags, reasons, body, place, tags)


def _failed(case: CaseResult, trial: Trial, place: int, tags: Mapping[str, int]) -> Markup:
    shown = _side("Answer", trial, Markup("{}").format(_cut(answer(trial))))
    body = _asked(case.inputs, case.expected) + Markup('<div class="beside one">{}</div>').format(shown)
    return _card(case.case_id, case.tags, why(trial), body, place, tags)


def _card(
    case_id: str,
    names: Sequence[str],
    reasons: Sequence[str],
    body: Markup,
    place: int,
    tags: Mapping[str, int],
) -> Markup:
    chips = Markup("").join(Markup('<span class="chip">{}</span>').format(line(name, 40)) for name in names)
    said = Markup('<span class="reason">{}</span>').format(line(reasons[0], 120)) if reasons else ""
    return Markup('<details class="case{}"{}><summary><code>{}</code>{}{}</summary>{}</details>').format(
        "".join(f" t{tags[name]}" for name in dict.fromkeys(names) if name in tags),
        Markup(" open") if place < _OPEN else "",
        line(case_id, 120),
        chips,
        said,
        body,
    )


def _asked(inputs: Mapping[str, Any], expected: object) -> Markup:
    items = [(name, as_text(value)) for name, value in inputs.items()]
    if expected is not None:
        items.append(("expected", as_text(expected)))
    rows = Markup("").join(
        Markup('<div><dt>{}</dt><dd dir="auto">{}</dd></div>').format(line(name), _cut(text))
        for name, text in items
    )
    return Markup('<dl class="asked">{}</dl>').format(rows) if items else Markup("")


def _side(title: str, trial: Trial, text: Markup) -> Markup:
    reasons = Markup("").join(Markup("<li>{}</li>").format(visible(reason)) for reason in why(trial))
    return Markup(
        '<div class="side {}"><h3>{} <span>{}</span></h3><div class="output" dir="auto">{}</div>{}</div>'
    ).format(
        "passed" if trial.passed else "failed",
        title,
        "passed" if trial.passed else "failed",
        text,
        Markup("<ul>{}</ul>").format(reasons) if reasons else "",
    )


def _marked(segments: Sequence[Segment], mine: str) -> Markup:
    if not any(tag == "=" and text.strip() for tag, text in segments):  # all marked is nothing marked
        mine, segments = "=", [Segment("=", text) for tag, text in segments if tag in ("=", mine)]
    marks = {"-": Markup("<del>{}</del>"), "+": Markup("<ins>{}</ins>"), "=": Markup("{}")}
    return Markup("").join(marks[tag].format(text) for tag, text in segments if tag in ("=", mine))


def _cut(text: str) -> str:
    shown = visible(text)
    more = len(shown) - _LONGEST_TEXT
    return shown if more <= 0 else f"{shown[:_LONGEST_TEXT]}… ({more:,} more characters)"
