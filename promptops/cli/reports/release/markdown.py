"""The status as a comment that CI posts, fit for readers who run no commands."""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.markdown import (
    CommentSection,
    code_line,
    details,
    fenced_block,
    markdown_table,
    prose,
    render_comment,
)
from promptops.cli.reports.release.text_plot import interval_bars
from promptops.escapes import escape_line
from promptops.release.analysis.findings import MetricFinding
from promptops.release.status_view import StatusView, TimelineEvent
from promptops.reports import channel as facts
from promptops.reports.labels import PHASE_SYMBOLS, VERDICT_SYMBOLS

_ROLES = {"signal": " (watched only)", "goal": " (must be better)"}
_STEPS = {"done": "✔ {}", "now": "**{}**", "later": "{}"}
_PLOT_WIDTH = 64  # columns
_MAX_EVENTS = 10


def render_status_markdown(views: Sequence[StatusView]) -> str:
    sections = [CommentSection("\n" + "\n".join(_channel(view)) + "\n", "channels") for view in views]
    return render_comment("status", "" if views else "\nNothing is released yet.\n", sections)


def _channel(view: StatusView) -> Iterator[str]:
    symbol = PHASE_SYMBOLS.get(view.rollout.phase, "⚪") if view.rollout else "⚫"
    yield f"### {symbol} {code_line(view.name)}: {prose(facts.status_headline(view))}\n"
    yield from (f"> {prose(note)}\n" for note in view.notes)
    if view.rollout:
        yield from _rollout(view)
    yield from _metrics(view)
    yield from _next_steps(view)
    yield from _history(view)


def _rollout(view: StatusView) -> Iterator[str]:
    if reason := facts.hold_reason(view):
        yield f"Why: {prose(reason)}\n"
    if path := " → ".join(_STEPS[state].format(name) for name, state in facts.step_states(view)):
        yield f"{path}\n"
    yield f"Since {prose(facts.step_timing(view))}.\n"
    if exposure := facts.exposure_notes(view):
        yield f"Exposure: {prose('; '.join(exposure))}.\n"


def _metrics(view: StatusView) -> Iterator[str]:
    findings = facts.sorted_findings(view)
    if not findings:
        return
    heads = ["", "metric", "what the evidence says", "still needed"]
    yield from markdown_table(heads, map(_row, findings))
    yield ""
    drawn = [line for one in findings if one.trail for line in _plot(one)]
    if drawn:
        yield details("How the evidence has narrowed", [
            fenced_block("\n".join(drawn[:-1])),
            "\nCalls so far, then where the difference lies: │ is the same, ┃ the limit.",
        ])  # fmt: skip


def _row(one: MetricFinding) -> tuple[str, ...]:
    return (
        VERDICT_SYMBOLS[str(one.verdict)],
        f"{code_line(one.metric.name)}{_ROLES.get(one.metric.role, '')}",
        prose("; ".join([facts.finding_sentence(one), *facts.finding_caveats(one)])),
        prose(facts.needed_calls_text(one)) or "–",
    )


def _plot(one: MetricFinding) -> Iterator[str]:
    yield f"{escape_line(one.metric.name)}:"
    yield from (f"  {bar}" for bar in interval_bars(one, _PLOT_WIDTH))
    yield ""


def _next_steps(view: StatusView) -> Iterator[str]:
    if reasons := facts.next_steps(view):
        yield f"**{facts.next_title(view)}**\n"
        yield from (f"- {prose(reason)}" for reason in reasons)
        yield ""
    yield "**What can be done**\n"
    yield from (f"- {code_line(command)} {prose(does)}" for command, does in facts.available_commands(view))
    yield ""


def _history(view: StatusView) -> Iterator[str]:
    if view.timeline:
        yield details("So far", map(_event, view.timeline[:_MAX_EVENTS]))


def _event(event: TimelineEvent) -> str:
    why = f" ({prose(event.reason)})" if event.reason else ""
    who = f", {code_line(event.actor)}" if event.actor else ""
    return f"- {code_line(facts.format_moment(event.at))} {prose(facts.event_text(event))}{why}{who}"
