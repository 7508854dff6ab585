"""The status as a comment that CI posts, fit for readers who run no commands.

Whatever is not a plain word goes into a code span: GitHub makes mentions and links of the rest.
"""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.markdown import code_span, escape_prose, fence_for
from promptops.cli.reports.release import view as facts
from promptops.cli.reports.release.text_plot import interval_bars
from promptops.cli.reports.release.view import flat_line
from promptops.release.analysis.findings import MetricFinding
from promptops.release.status_view import StatusView, TimelineEvent
from promptops.stats.verdicts import Verdict

MARKER = "<!-- promptops status -->"  # by which a comment that is to be brought up to date is found
_SIGNS = {Verdict.WORSE: "❌", Verdict.NOT_WORSE: "✅", Verdict.BETTER: "✅", Verdict.UNDECIDED: "❔"}
_PHASES = {"progressing": "🟢", "paused": "🟡", "awaiting": "🟡", "inconclusive": "🟡", "invalid": "🔴"}
_DONE = {"done": "✔ {}", "now": "**{}**", "later": "{}"}
_PLOT_WIDTH = 64  # columns
_MAX_EVENTS = 10
_MAX_COMMENT_LENGTH = 60_000  # characters; GitHub takes 65,536


def render_status_markdown(views: Sequence[StatusView]) -> str:
    parts, left, room = [f"{MARKER}\n"], 0, _MAX_COMMENT_LENGTH
    for view in views:
        told = "\n".join(_channel(view)) + "\n"
        if len(told) > room:
            left += 1
            continue
        parts.append(told)
        room -= len(told)
    if not views:
        parts.append("Nothing is released yet.\n")
    if left:
        parts.append(f"_Left out, as the comment would be too long: {left:,} channels._\n")
    return "\n".join(parts)


def _channel(view: StatusView) -> Iterator[str]:
    sign = _PHASES.get(view.rollout.phase, "⚪") if view.rollout else "⚫"
    yield f"### {sign} {code_span(flat_line(view.name))}: {_prose(facts.status_headline(view))}\n"
    yield from (f"> {_prose(note)}\n" for note in view.notes)
    if view.rollout:
        yield from _rollout_details(view)
    yield from _metrics(view)
    yield from _next_steps(view)
    yield from _history(view)


def _rollout_details(view: StatusView) -> Iterator[str]:
    if said := facts.hold_reason(view):
        yield f"Why: {_prose(said)}\n"
    path = " → ".join(_DONE[state].format(name) for name, state in facts.step_states(view))
    yield from [f"{path}\n"] if path else []
    yield f"Since {_prose(facts.step_timing(view))}.\n"
    met = [said for said in (facts.exposure_text(view), *facts.exclusion_notes(view)) if said]
    yield from [f"Exposure: {_prose('; '.join(met))}.\n"] if met else []


def _metrics(view: StatusView) -> Iterator[str]:
    found = facts.sorted_findings(view)
    if not found:
        return
    yield "| | metric | what the evidence says | still needed |"
    yield "|---|---|---|---|"
    yield from (_row(one) for one in found)
    yield ""
    if any(one.trail for one in found):
        yield from _text_plots(found)


def _row(one: MetricFinding) -> str:
    role = {"signal": " (watched only)", "goal": " (must be better)"}.get(one.metric.role, "")
    said = "; ".join([facts.finding_sentence(one), *facts.finding_caveats(one)])
    cells = [
        f"{code_span(flat_line(one.metric.name))}{role}",
        _prose(said),
        _prose(facts.needed_calls_text(one)) or "–",
    ]
    # a bar ends a cell, also within code; another stroke looks the same
    return f"| {_SIGNS[one.verdict]} | " + " | ".join(cell.replace("|", "¦") for cell in cells) + " |"


def _text_plots(found: Sequence[MetricFinding]) -> Iterator[str]:
    drawn = [
        text
        for one in found
        if one.trail
        for text in (
            f"{flat_line(one.metric.name)}:",
            *(f"  {bar}" for bar in interval_bars(one, _PLOT_WIDTH)),
            "",
        )
    ]
    fence = fence_for("\n".join(drawn))
    yield "<details><summary>How the evidence has narrowed</summary>\n"
    yield "\n".join([f"{fence}text", *drawn[:-1], fence])
    yield "\nCalls so far, then where the difference lies: │ is the same, ┃ the limit.\n\n</details>\n"


def _next_steps(view: StatusView) -> Iterator[str]:
    said = facts.next_steps(view)
    if said:
        due = view.decision and view.decision.transition
        yield "**Next**\n" if due else "**It holds, because**\n"
        yield from (f"- {_prose(reason)}" for reason in said)
        yield ""
    rows = [f"- {code_span(command)} {_prose(does)}" for command, does in facts.available_commands(view)]
    yield from ["**What can be done**\n", *rows, ""] if rows else []


def _history(view: StatusView) -> Iterator[str]:
    if not view.timeline:
        return
    rows = [_event(event) for event in view.timeline[:_MAX_EVENTS]]
    yield "\n".join(["<details><summary>So far</summary>\n", *rows, "\n</details>", ""])


def _event(event: TimelineEvent) -> str:
    why = f" ({_prose(event.reason)})" if event.reason else ""
    who = f", {code_span(flat_line(event.actor))}" if event.actor else ""
    return f"- {code_span(facts.format_moment(event.at))} {_prose(facts.event_text(event))}{why}{who}"


def _prose(text: str) -> str:
    return escape_prose(flat_line(text))
