"""Releases: each channel with its canary as it is now, and what people with the role decide of it."""

import re
from collections.abc import Callable, Mapping

from aiohttp import web

from promptops.errors import Invalid
from promptops.release.actions.manual import approve, pause, resume
from promptops.release.actions.rollback import roll_back
from promptops.release.actions.seen import channel_position
from promptops.release.analysis.findings import MetricFinding
from promptops.release.context import ReleaseContext, parse_target, resolve_target, resolve_targets
from promptops.release.status import statuses_of
from promptops.release.status_view import StatusView
from promptops.reports import channel as facts
from promptops.reports.interval_plot import interval_plot
from promptops.reports.numbers import (
    format_integer,
    format_milliseconds,
    format_percent,
    format_score,
    format_usd,
)
from promptops.web.context import PROJECT, require_role
from promptops.web.forms import read_form
from promptops.web.pages import BASE, render_view
from promptops.web.query import address

Decision = Callable[..., object]

_DECISIONS: Mapping[str, tuple[Decision, str]] = {
    "approve": (approve, "Approved. The canary goes on to its next step."),
    "pause": (pause, "Paused. The canary keeps its share, and is still rolled back where it does harm."),
    "resume": (resume, "Resumed. The canary goes on at the step where it was."),
    "rollback": (roll_back, "Rolled back. What served before serves everybody again."),
}
_BY_PHASE = {
    "progressing": ("pause",),
    "awaiting": ("approve",),
    "paused": ("resume",),
    "invalid": ("resume",),
}
_MAX_REASON = 500


async def _list(request: web.Request) -> web.StreamResponse:
    views = await request.app[PROJECT].releases(_all_channels)
    return render_view(request, "releases.html", views=views, facts=facts)


async def _show(request: web.Request) -> web.StreamResponse:
    name = request.match_info["target"]

    def look(context: ReleaseContext) -> tuple[StatusView, str]:
        target = resolve_target(context, name)
        pending = context.ledger.pending()
        with context.ledger.branch.pinned():
            [view] = statuses_of(context, [target], pending, recompute=True)
            return view, channel_position(context.channel(target))

    view, seen = await request.app[PROJECT].releases(look)
    _, done = _DECISIONS.get(request.query.get("done", ""), (None, ""))
    phase = view.rollout.phase if view.rollout else ""
    return render_view(
        request,
        "release.html",
        view=view,
        seen=seen,
        done=done,
        facts=facts,
        actions=_BY_PHASE.get(phase, ()),
        can_roll_back=bool(view.rollout or view.previous),
        arms=_arms,
        links=_links(view),
        interval_plot=interval_plot,
        forecast=_forecast(view),
        without_command=_without_command,
        max_reason=_MAX_REASON,
    )


async def _decide(request: web.Request) -> web.StreamResponse:
    """One decision of a person, on what they have seen."""
    viewer = require_role(request, "approver")
    form, project = await read_form(request), request.app[PROJECT]
    target = parse_target(request.match_info["target"], project.settings)
    if form.get("action") not in _DECISIONS or not form.get("seen"):
        raise Invalid("this form says neither what to do nor what was seen", hint="load the page again")
    action, _ = _DECISIONS[form["action"]]
    reason = " ".join(form.get("reason", "").split())[:_MAX_REASON]

    def move(context: ReleaseContext) -> None:
        action(context, target, reason=reason, seen=form["seen"])

    await project.releases(move, viewer)
    raise web.HTTPSeeOther(f"{BASE}/releases/{target}?done={form['action']}")


def _all_channels(context: ReleaseContext) -> list[StatusView]:
    pending = context.ledger.pending()
    with context.ledger.branch.pinned():
        return statuses_of(context, resolve_targets([], context), pending)


def _arms(one: MetricFinding) -> tuple[str, str]:
    """What canary and stable have to show for a metric, in raw counts."""
    return (
        _arm(one, one.canary_calls, one.canary_bad, one.canary_mean),
        _arm(one, one.stable_calls, one.stable_bad, one.stable_mean),
    )


def _arm(one: MetricFinding, calls: int, bad: int | None, mean: float | None) -> str:
    if not calls:
        return "no calls yet"
    if one.metric.kind == "binary":
        return f"{format_integer(bad)} of {calls:,} ({format_percent((bad or 0) / calls)})"
    return f"{_writer(one.metric.source)(mean)} on average of {calls:,}"


def _writer(source: str) -> Callable[[float | None], str]:
    """How a mean of such values is written."""
    if "latency" in source or "first_token" in source:
        return format_milliseconds
    return format_usd if "cost" in source else format_score


def _without_command(text: str) -> str:
    """A sentence without the command that it ends with: the page has a button for it."""
    return re.sub(r": promptops [^;]*$", "", text)


def _links(view: StatusView) -> list[tuple[str, str]]:
    """Pages that tell more, with what each is asked for."""
    here = {"prompt": view.prompt, "channel": view.channel}
    if not view.rollout:
        return [
            ("Answers", address(BASE, "/answers", here)),
            ("Trends", address(BASE, "/trends", here)),
        ]
    canary = facts.version_label(view.rollout.canary)
    met = {**here, "arm": "canary", "version": view.rollout.canary.version}
    compared = {"prompt": view.prompt, "from": f":{view.channel}", "to": view.rollout.canary.version}
    return [
        (f"What {canary} changes", address(BASE, "/compare", compared)),
        (f"Answers of {canary}", address(BASE, "/answers", met)),
        ("Those with a thumb down", address(BASE, "/answers", {**met, "thumbs": "down"})),
        ("Trends", address(BASE, "/trends", here)),
    ]


def _forecast(view: StatusView) -> str:
    """When the evidence could be in, if the canary is as good as stable and traffic stays as it is."""
    found = [one for one in facts.sorted_findings(view) if facts.needed_calls_text(one)]
    if not found or view.findings is None:
        return ""
    if any(one.calls_needed is None for one in found):
        names = ", ".join(one.metric.name for one in found if one.calls_needed is None)
        return f"at this rate {names} will never be shown to be good enough"
    calls = max(one.calls_needed or 0 for one in found)
    pace = view.known_exposure.per_day if view.known_exposure else None
    days = f", in about {calls / pace:,.1f} days at {pace:,.0f} calls a day" if pace else ""
    return f"the evidence could be in after about {max(1, round(calls)):,} more calls{days}"


TAB = ("Releases", "/releases")
ROUTES = (
    web.get("/releases", _list),
    web.get("/releases/{target:.+}", _show),
    web.post("/releases/{target:.+}", _decide),
)
