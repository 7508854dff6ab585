"""The status as one HTML file that needs nothing else: no network, no script, no font.

Every value goes through ``Markup.format``, which escapes what is not markup.
"""

from collections.abc import Iterator, Sequence

from markupsafe import Markup

from promptops.cli.reports.html_page import PAGE
from promptops.cli.reports.release import view as facts
from promptops.cli.reports.release.plot import plot
from promptops.cli.reports.release.style import STYLE
from promptops.cli.reports.release.view import line
from promptops.release.analysis.findings import MetricFinding
from promptops.release.status_view import Event, StatusView
from promptops.release.timestamps import iso


def html(views: Sequence[StatusView]) -> str:
    title = line(views[0].name) if len(views) == 1 else f"{len(views)} channels"
    body = Markup("\n").join(_channel(view) for view in views) or Markup("<p>Nothing is released yet.</p>")
    return str(PAGE.format(title=f"Releases: {title}", style=STYLE, body=body))


def _channel(view: StatusView) -> Markup:
    parts = [_head(view), *(_metric(one) for one in facts.findings(view)), _next(view), *_history(view)]
    return Markup('<section class="channel">\n{}\n</section>').format(Markup("\n").join(parts))


def _head(view: StatusView) -> Markup:
    phase = view.rollout.phase if view.rollout else "idle"
    return Markup(
        '<header><p class="eyebrow"><code>{}</code><span>as of {}</span></p>'
        '<h1><span class="badge {}">{}</span> {}</h1>{}</header>'
    ).format(
        line(view.name),
        facts.moment(iso(view.now)),
        phase,
        phase,
        facts.headline(view),
        Markup("").join(_about(view)),
    )


def _about(view: StatusView) -> Iterator[Markup]:
    for note in view.notes:
        yield Markup('<p class="alert">{}</p>').format(line(note))
    if held := facts.why(view):
        yield Markup('<p class="why">{}</p>').format(held)
    if path := facts.steps(view):
        items = Markup("").join(
            Markup('<li class="{}"{}>{}</li>').format(
                state, Markup(' aria-current="step"') if state == "now" else "", name
            )
            for name, state in path
        )
        yield Markup('<ol class="path">{}</ol>').format(items)
    if view.rollout:
        yield Markup('<p class="about">Since {}</p>').format(facts.since(view))
    said = [text for text in (facts.exposure(view), *facts.counted(view)) if text]
    if said:
        yield Markup('<p class="about">Exposure: {}</p>').format("; ".join(said))


def _metric(one: MetricFinding) -> Markup:
    word = str(one.verdict)
    more = Markup("").join(
        Markup("<p><small>{}</small></p>").format(text)
        for text in (facts.needed(one), *facts.asides(one))
        if text
    )
    return Markup(
        '<article><h2><code>{}</code> <small>{}</small><span class="verdict {}">{}</span></h2>'
        "<p>{}</p>{}{}</article>"
    ).format(
        line(one.metric.name),
        one.metric.role,
        word.replace(" ", "-"),
        word,
        facts.sentence(one),
        more,
        plot(one),
    )


def _next(view: StatusView) -> Markup:
    said, commands = facts.following(view), facts.commands(view)
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


def _event(event: Event) -> Markup:
    who = line(event.actor)
    return Markup(
        '<tr><th scope="row">{}</th><td>{}</td><td><small>{}</small></td><td title="{}">{}</td></tr>'
    ).format(
        facts.moment(event.at),
        facts.told(event),
        line(event.reason),
        who,
        who.partition(" <")[0],  # the address is in the way of what was done
    )
