"""The status for a terminal: what people stare at."""

import textwrap
from collections.abc import Iterator, Sequence

from promptops.cli.reports.lines import plain_text, wrapped
from promptops.cli.reports.release.text_plot import interval_bars
from promptops.console import StyledLine
from promptops.escapes import escape_line
from promptops.release.analysis.findings import MetricFinding
from promptops.release.status_view import StatusView
from promptops.reports import channel as facts
from promptops.reports.labels import PHASE_COLOURS, VERDICT_MARKS
from promptops.reports.numbers import format_weight
from promptops.stats.verdicts import Verdict

_STEPS = {"done": ("✓ ", "green"), "now": ("● ", "bold"), "later": ("○ ", "dim")}
_INDENT = 2
_MAX_EVENTS = 5


def render_status_text(views: Sequence[StatusView], width: int = 80) -> str:
    return plain_text(status_text_lines(views, width))


def status_text_lines(views: Sequence[StatusView], width: int, *, cut: bool = True) -> Iterator[StyledLine]:
    """``cut``: shorten what is said of the past to a line; a file or a pipe has room for all of it."""
    for index, view in enumerate(views):
        if index:
            yield []
        yield from _channel(view, max(40, width), cut=cut)


def _channel(view: StatusView, width: int, *, cut: bool) -> Iterator[StyledLine]:
    yield from _head(view, width, cut=cut)
    yield from _metrics(view, width)
    yield from _next_steps(view, width)
    yield from _history(view, width, cut=cut)


def _head(view: StatusView, width: int, *, cut: bool) -> Iterator[StyledLine]:
    phase = view.rollout.phase if view.rollout else ""
    name = escape_line(view.name, width - len(phase) - 2 if cut else None)
    colour = PHASE_COLOURS.get(phase, "bold")
    yield (
        [(name, "bold"), (phase.rjust(max(len(phase) + 2, width - len(name))), colour)]
        if phase
        else [(name, "bold")]
    )
    yield from wrapped(facts.status_headline(view), width)
    if view.rollout:
        yield from _fields(view, width)
    if view.shadow:
        share = format_weight(view.shadow.sample_bp)
        yield from _field("shadow", f"{facts.version_label(view.shadow.released)} on {share} of calls", width)
    for note in view.notes:
        yield from wrapped(f"! {escape_line(note)}", width, colour="yellow", hanging=2)


def _fields(view: StatusView, width: int) -> Iterator[StyledLine]:
    if reason := facts.hold_reason(view):
        yield from _field("why", reason, width)
    yield from _step_path(view, width)
    yield from _field("since", facts.step_timing(view), width)
    if exposure := facts.exposure_text(view):
        yield from _field("canary", exposure, width)
    for note in facts.exclusion_notes(view):
        yield from _field("", note, width)


def _step_path(view: StatusView, width: int) -> Iterator[StyledLine]:
    """Where it stands among the phases and steps, on as many lines as they need."""
    pieces = [("  step    ", "dim")]
    for name, state in facts.step_states(view):
        mark, colour = _STEPS[state]
        label, used = f"{mark}{escape_line(name, 20)}", sum(len(piece) for piece, _ in pieces)
        if len(pieces) > 1 and used + len(label) + 3 > width:
            yield pieces
            pieces = [(" " * 10, "")]
        pieces.append((f"{'   ' if len(pieces) > 1 else ''}{label}", colour))
    if len(pieces) > 1:
        yield pieces


def _field(label: str, text: str, width: int) -> Iterator[StyledLine]:
    for index, part in enumerate(textwrap.wrap(text, width - 10) or [""]):
        yield [(f"  {label if index == 0 else '':<8}", "dim"), (part, "")]


# ---- evidence


def _metrics(view: StatusView, width: int) -> Iterator[StyledLine]:
    findings = facts.sorted_findings(view)
    for one in findings:
        yield []
        yield from _metric(one, width)
    if any(one.trail for one in findings):
        yield []
        yield from wrapped(
            "calls so far, where the difference lies: │ the same  ┃ the limit  ◂ ▸ further",
            width,
            colour="dim",
        )


def _metric(one: MetricFinding, width: int) -> Iterator[StyledLine]:
    mark, colour = VERDICT_MARKS[str(one.verdict)]
    role = one.metric.role
    name = escape_line(one.metric.name, width - len(role) - 6)
    tail = f"{one.verdict}".rjust(width - len(name) - len(role) - 4)
    yield [(f"{mark} ", colour), (name, "bold"), (f"  {role}", "dim"), (tail, colour)]
    yield from wrapped(facts.finding_sentence(one), width, indent=_INDENT)
    for note in facts.finding_notes(one):
        yield from wrapped(note, width, indent=_INDENT, colour="dim")
    for bar in interval_bars(one, width - 2 * _INDENT):
        yield [(" " * 2 * _INDENT + bar, colour if one.verdict is Verdict.WORSE else "")]


# ---- what next


def _next_steps(view: StatusView, width: int) -> Iterator[StyledLine]:
    reasons = facts.next_steps(view)
    if reasons:
        yield []
        yield [(facts.next_title(view).lower(), "bold")]
        for reason in reasons:
            yield from wrapped(f"- {reason}", width, indent=_INDENT, hanging=2)
    commands = facts.available_commands(view)
    if commands:
        yield []
    room = max(len(command) for command, _ in commands) if commands else 0
    for command, does in commands:
        # a command is never cut, nor wrapped: it must be fit to be pasted
        inline = room + len(does) + 4 <= width
        yield (
            [(f"  {command.ljust(room)}", "bold"), (f"  {does}", "dim")]
            if inline
            else [(f"  {command}", "bold")]
        )
        if not inline:
            yield from wrapped(does, width, indent=4, colour="dim")


def _history(view: StatusView, width: int, *, cut: bool) -> Iterator[StyledLine]:
    if not view.timeline:
        return
    yield []
    for event in view.timeline[:_MAX_EVENTS]:
        at = facts.format_moment(event.at)
        why = f" ({escape_line(event.reason)})" if event.reason else ""
        yield [
            (f"{at}  ", "dim"),
            (escape_line(facts.event_text(event) + why, width - len(at) - 2 if cut else None), ""),
        ]
    if len(view.timeline) > _MAX_EVENTS:
        yield [(f"promptops release log {escape_line(view.name)}", "dim"), (" lists what came before", "dim")]
