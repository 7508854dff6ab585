"""The status as one HTML file that needs nothing else: no network, no script, no font.

Every value goes through ``Markup.format``, which escapes what is not markup.
"""

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from promptops.cli.reports.html_page import PAGE_TEMPLATE
from promptops.cli.reports.release import view as facts
from promptops.cli.reports.release.plot import confidence_plot
from promptops.cli.reports.release.style import STYLE
from promptops.cli.reports.release.view import flat_line
from promptops.config.clock import format_timestamp
from promptops.release.analysis.findings import MetricFinding
from promptops.release.status_view import StatusView, TimelineEvent


def render_status_html(views: Sequence[StatusView]) -> str:
    title = flat_line(views[0].name) if len(views) == 1 else f"{len(views)} channels"
    body = Markup("\n").join(_channel(view) for view in views) or Markup("<p>Nothing is released yet.</p>")
    return str(PAGE_TEMPLATE.format(title=f"Releases: {title}", style=STYLE, body=body))


def _channel(view: StatusView) -> Markup:
    parts = [
        _header(view),
        *(_metric(one) for one in facts.sorted_findings(view)),
        _next_steps(view),
        *_history(view),
    ]
    return Markup('<section class="channel">\n{}\n</section>').format(Markup("\n").join(parts))


def _header(view: StatusView) -> Markup:
    phase = view.rollout.phase if view.rollout else "idle"
    return Markup(
        '<header><p class="eyebrow"><code>{}</code><span>as of {}</span></p>'
        '<h1><span class="badge {}">{}</span> {}</h1>{}</header>'
    ).format(
        flat_line(view.name),
        facts.format_moment(format_timestamp(view.now)),
        phase,
        phase,
        facts.status_headline(view),
        Markup("").join(_status_details(view)),
    )


def _status_details(view: StatusView) -> Iterator[Markup]:
    for note in view.notes:
        yield Markup('<p class="alert">{}</p>').format(flat_line(note))
    if held := facts.hold_reason(view):
        yield Markup('<p class="why">{}</p>').format(held)
    if path := facts.step_states(view):
        items = Markup("").join(
            Markup('<li class="{}"{}>{}</li>').format(
                state, Markup(' aria-current="step"') if state == "now" else "", name
            )
            for name, state in path
        )
        yield Markup('<ol class="path">{}</ol>').format(items)
    if view.rollout:
        yield Markup('<p class="about">Since {}</p>').format(facts.step_timing(view))
    said = [text for text in (facts.exposure_text(view), *facts.exclusion_notes(view)) if text]
    if said:
        yield Markup('<p class="about">Exposure: {}</p>').format("; ".join(said))


def _metric(one: MetricFinding) -> Markup:
    word = str(one.verdict)
    more = Markup("").join(
        Markup("<p><small>{}</small></p>").format(text)
        for text in (facts.needed_calls_text(one), *facts.finding_caveats(one))
        if text
    )
    return Markup(
        '<article><h2><code>{}</code> <small>{}</small><span class="verdict {}">{}</span></h2>'
        "<p>{}</p>{}{}</article>"
    ).format(
        flat_line(one.metric.name),
        one.metric.role,
        word.replace(" ", "-"),
        word,
        facts.finding_sentence(one),
        more,
        confidence_plot(one),
    )


def _next_steps(view: StatusView) -> Markup:
    said, commands = facts.next_steps(view), facts.available_commands(view)
    due = view.decision and view.decision.transition
    title = Markup("<h2>{}</h2>").format("Next" if due else "It holds, because") if said else Markup("")
    reasons = Markup("").join(Markup("<li>{}</li>").format(reason) for reason in said)
    rows = Markup("").join(
        Markup("<dt><code>{}</code></dt><dd>{}</dd>").format(command, does) for command, does in commands
    )
    listed = Markup("<ul>{}</ul>").format(reasons) if said else Markup("")
    return Markup('<article class="next">{}{}<dl>{}</dl></article>').format(title, listed, rows)


def _history(view: StatusView) -> Iterator[Markup]:
    if not view.timeline:
        return
    rows = Markup("").join(_event(event) for event in view.timeline)
    yield Markup("<article><h2>So far</h2><table><tbody>{}</tbody></table></article>").format(rows)


def _event(event: TimelineEvent) -> Markup:
    who = flat_line(event.actor)
    return Markup(
        '<tr><th scope="row">{}</th><td>{}</td><td><small>{}</small></td><td title="{}">{}</td></tr>'
    ).format(
        facts.format_moment(event.at),
        facts.event_text(event),
        flat_line(event.reason),
        who,
        who.partition(" <")[0],  # the address is in the way of what was done
    )
