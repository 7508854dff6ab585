"""The cases of an HTML report: answers side by side, words that differ marked, a filter by tag."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from promptops.cli.reports.eval.view import (
    escape_unprintable,
    failed_cases,
    single_line,
    trial_answer,
    trial_failures,
    value_text,
)
from promptops.evaluation.result import CaseFlip, CaseResult, EvalComparison, EvalResult, TrialResult
from promptops.prompt.diff.word_diff import Segment, word_diff

_MAX_CASES = 200  # of those that broke, and of those fixed
_OPEN_CARDS = 5
_MAX_TAGS = 24
_MAX_TEXT_LENGTH = 6_000


def cases_section(result: EvalResult) -> Markup:
    tags, groups = _comparison_cards(result.comparison) if result.comparison else _failure_cards(result)
    shown = Markup("").join(groups)
    if not shown:
        return Markup("")
    return Markup('<section class="cases" aria-label="Cases">{}{}</section>').format(tag_filter(tags), shown)


def _comparison_cards(comparison: EvalComparison) -> tuple[dict[str, int], list[Markup]]:
    broke, fixed = comparison.broke, comparison.fixed
    tags = common_tags([flip.tags for flip in (*broke[:_MAX_CASES], *fixed[:_MAX_CASES])])
    bad = [flip_card(flip, place, tags) for place, flip in enumerate(broke[:_MAX_CASES])]
    good = [flip_card(flip, _OPEN_CARDS, tags) for flip in fixed[:_MAX_CASES]]
    return tags, [
        card_group("broke", "Broke", bad, max(comparison.whole.broke, len(broke))),
        card_group("fixed", "Fixed", good, max(comparison.whole.fixed, len(fixed))),
    ]


def _failure_cards(result: EvalResult) -> tuple[dict[str, int], list[Markup]]:
    found = failed_cases(result)
    tags = common_tags([case.tags for case, _ in found[:_MAX_CASES]])
    cards = [_failure_card(case, trial, i, tags) for i, (case, trial) in enumerate(found[:_MAX_CASES])]
    return tags, [card_group("failed", "Failed", cards, len(found))]


def common_tags(tags: Iterable[Sequence[str]]) -> dict[str, int]:
    """The tags that can be chosen, each with its number."""
    counted = Counter(tag for some in tags for tag in some)
    return {tag: index for index, (tag, _) in enumerate(counted.most_common(_MAX_TAGS))}


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
        ).format(index, single_line(tag, 40))
    rules = "".join(
        f".cases:has(#tag-{index}:checked) .case:not(.t{index}){{display:none}}" for index in tags.values()
    )
    return Markup(
        '<style>{}</style><fieldset class="filter"><legend>Show cases tagged</legend>{}</fieldset>'
    ).format(rules, buttons)


def card_group(name: str, title: str, cards: Sequence[Markup], total: int, suffix: str = "") -> Markup:
    if not cards:
        return Markup("")
    listed = f"{total:,}" if total == len(cards) else f"{len(cards):,} of {total:,}"
    return Markup(
        '<section aria-labelledby="{0}{4}"><h2 id="{0}{4}" class="{0}">{1} <span>{2}</span></h2>{3}</section>'
    ).format(name, title, listed, Markup("").join(cards), suffix)


def flip_card(flip: CaseFlip, place: int, tags: Mapping[str, int]) -> Markup:
    old, new = (_truncate(trial_answer(trial)) for trial in (flip.control, flip.candidate))
    segments = word_diff(old, new)
    sides = _side("Control", flip.control, _highlight_changes(segments, "-")) + _side(
        "Candidate", flip.candidate, _highlight_changes(segments, "+")
    )
    body = _inputs_list(flip.inputs, flip.expected) + Markup('<div class="beside">{}</div>').format(sides)
    reasons = trial_failures(flip.candidate) if flip.control.passed else trial_failures(flip.control)
    return _card(flip.case_id, flip.tags, reasons, body, place, tags)


def _failure_card(case: CaseResult, trial: TrialResult, place: int, tags: Mapping[str, int]) -> Markup:
    shown = _side("Answer", trial, Markup("{}").format(_truncate(trial_answer(trial))))
    body = _inputs_list(case.inputs, case.expected) + Markup('<div class="beside one">{}</div>').format(shown)
    return _card(case.case_id, case.tags, trial_failures(trial), body, place, tags)


def _card(
    case_id: str,
    names: Sequence[str],
    reasons: Sequence[str],
    body: Markup,
    place: int,
    tags: Mapping[str, int],
) -> Markup:
    chips = Markup("").join(
        Markup('<span class="chip">{}</span>').format(single_line(name, 40)) for name in names
    )
    said = Markup('<span class="reason">{}</span>').format(single_line(reasons[0], 120)) if reasons else ""
    return Markup('<details class="case{}"{}><summary><code>{}</code>{}{}</summary>{}</details>').format(
        "".join(f" t{tags[name]}" for name in dict.fromkeys(names) if name in tags),
        Markup(" open") if place < _OPEN_CARDS else "",
        single_line(case_id, 120),
        chips,
        said,
        body,
    )


def _inputs_list(inputs: Mapping[str, Any], expected: object) -> Markup:
    items = [(name, value_text(value)) for name, value in inputs.items()]
    if expected is not None:
        items.append(("expected", value_text(expected)))
    rows = Markup("").join(
        Markup('<div><dt>{}</dt><dd dir="auto">{}</dd></div>').format(single_line(name), _truncate(text))
        for name, text in items
    )
    return Markup('<dl class="asked">{}</dl>').format(rows) if items else Markup("")


def _side(title: str, trial: TrialResult, text: Markup) -> Markup:
    reasons = Markup("").join(
        Markup("<li>{}</li>").format(escape_unprintable(reason)) for reason in trial_failures(trial)
    )
    return Markup(
        '<div class="side {}"><h3>{} <span>{}</span></h3><div class="output" dir="auto">{}</div>{}</div>'
    ).format(
        "passed" if trial.passed else "failed",
        title,
        "passed" if trial.passed else "failed",
        text,
        Markup("<ul>{}</ul>").format(reasons) if reasons else "",
    )


def _highlight_changes(segments: Sequence[Segment], mine: str) -> Markup:
    if not any(tag == "=" and text.strip() for tag, text in segments):  # all marked is nothing marked
        mine, segments = "=", [Segment("=", text) for tag, text in segments if tag in ("=", mine)]
    marks = {"-": Markup("<del>{}</del>"), "+": Markup("<ins>{}</ins>"), "=": Markup("{}")}
    return Markup("").join(marks[tag].format(text) for tag, text in segments if tag in ("=", mine))


def _truncate(text: str) -> str:
    shown = escape_unprintable(text)
    more = len(shown) - _MAX_TEXT_LENGTH
    return shown if more <= 0 else f"{shown[:_MAX_TEXT_LENGTH]}… ({more:,} more characters)"
