"""The status as a comment that CI posts, fit for readers who run no commands.

Whatever is not a plain word goes into a code span: GitHub makes mentions and links of the rest.
"""

from collections.abc import Iterator, Sequence

from promptops.cli.reports.markdown import code_span, fence_for, plain_words
from promptops.cli.reports.release import view as facts
from promptops.cli.reports.release.text_plot import bars
from promptops.cli.reports.release.view import line
from promptops.release.analysis.findings import MetricFinding
from promptops.release.status_view import Event, StatusView
from promptops.stats.verdicts import Verdict

MARKER = "<!-- promptops status -->"  # by which a comment that is to be brought up to date is found
_SIGNS = {Verdict.WORSE: "❌", Verdict.NOT_WORSE: "✅", Verdict.BETTER: "✅", Verdict.UNDECIDED: "❔"}
_PHASES = {"progressing": "🟢", "paused": "🟡", "awaiting": "🟡", "inconclusive": "🟡", "invalid": "🔴"}
_DONE = {"done": "✔ {}", "now": "**{}**", "later": "{}"}
_PICTURE = 64  # columns
_MOST_EVENTS = 10
_LONGEST = 60_000  # characters; GitHub takes 65,536


def markdown(views: Sequence[StatusView]) -> str:
    parts, left, room = [f"{MARKER}\n"], 0, _LONGEST
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
    yield f"### {sign} {code_span(line(view.name))}: {prose(facts.headline(view))}\n"
    yield from (f"> {prose(note)}\n" for note in view.notes)
    if view.rollout:
        yield from _standing(view)
    yield from _metrics(view)
    yield from _next(view)
    yield from _history(view)


def _standing(view: StatusView) -> Iterator[str]:
    if said := facts.why(view):
        yield f"Why: {prose(said)}\n"
    path = " → ".join(_DONE[state].format(name) for name, state in facts.steps(view))
    yield from [f"{path}\n"] if path else []
    yield f"Since {prose(facts.since(view))}.\n"
    met = [said for said in (facts.exposure(view), *facts.counted(view)) if said]
    yield from [f"Exposure: {prose('; '.join(met))}.\n"] if met else []


def _metrics(view: StatusView) -> Iterator[str]:
    found = facts.findings(view)
    if not found:
        return
    yield "| | metric | what the evidence says | still needed |"
    yield "|---|---|---|---|"
    yield from (_row(one) for one in found)
    yield ""
    if any(one.trail for one in found):
        yield from _pictures(found)


def _row(one: MetricFinding) -> str:
    role = {"signal": " (watched only)", "goal": " (must be better)"}.get(one.metric.role, "")
    said = "; ".join([facts.sentence(one), *facts.asides(one)])
    cells = [f"{code_span(line(one.metric.name))}{role}", prose(said), prose(facts.needed(one)) or "–"]
    # a bar ends a cell, also within code; another stroke looks the same
    return f"| {_SIGNS[one.verdict]} | " + " | ".join(cell.replace("|", "¦") for cell in cells) + " |"


def _pictures(found: Sequence[MetricFinding]) -> Iterator[str]:
    drawn = [
        text
        for one in found
        if one.trail
        for text in (f"{line(one.metric.name)}:", *(f"  {bar}" for bar in bars(one, _PICTURE)), "")
    ]
    fence = fence_for("\n".join(drawn))
    yield "<details><summary>How the evidence has narrowed</summary>\n"
    yield "\n".join([f"{fence}text", *drawn[:-1], fence])
    yield "\nCalls so far, then where the difference lies: │ is the same, ┃ the limit.\n\n</details>\n"


def _next(view: StatusView) -> Iterator[str]:
    said = facts.following(view)
    if said:
        due = view.decision and view.decision.transition
        yield "**Next**\n" if due else "**It holds, because**\n"
        yield from (f"- {prose(reason)}" for reason in said)
        yield ""
    rows = [f"- {code_span(command)} {prose(does)}" for command, does in facts.commands(view)]
    yield from ["**What can be done**\n", *rows, ""] if rows else []


def _history(view: StatusView) -> Iterator[str]:
    if not view.timeline:
        return
    rows = [_event(event) for event in view.timeline[:_MOST_EVENTS]]
    yield "\n".join(["<details><summary>So far</summary>\n", *rows, "\n</details>", ""])


def _event(event: Event) -> str:
    why = f" ({prose(event.reason)})" if event.reason else ""
    who = f", {code_span(line(event.actor))}" if event.actor else ""
    return f"- {code_span(facts.moment(event.at))} {prose(facts.told(event))}{why}{who}"


def prose(text: str) -> str:
    return plain_words(line(text))
