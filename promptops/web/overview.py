"""The first page: what needs a person, then every prompt on every channel with how it did in 30 days."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from urllib.parse import urlencode

from aiohttp import web

from promptops.config.clock import utc_now
from promptops.dataclass import dataclass
from promptops.errors import PromptopsError
from promptops.monitoring.alarm import Alarm
from promptops.registry import (
    RegistryDatabase,
    ReviewQueue,
    RunCell,
    RunFilter,
    StoredAlarm,
    list_alarms,
    list_queues,
    parse_time,
    read_cells,
)
from promptops.release.context import ReleaseContext, resolve_targets
from promptops.release.status import statuses_of
from promptops.release.status_view import StatusView
from promptops.reports import channel as facts
from promptops.reports.numbers import NO_VALUE, format_percent, format_usd, format_weight
from promptops.reports.usage import Usage, usage_filter
from promptops.web.context import PROJECT
from promptops.web.pages import render_view
from promptops.web.query import read_number, read_query

SPAN = "30d"
MAX_ROWS = 100  # of a page, which has at most 300 KB
_MAX_QUEUES = 20
_MAX_ALARMS = 20
_SERVING_MOVES = {"release", "start", "advance", "promote", "rollback", "abort"}
_WAITS = {
    "awaiting": "waits for approval",
    "paused": "is paused",
    "invalid": "is held: its evidence is invalid",
    "inconclusive": "is undecided at its deadline",
}
_HEADERS = (
    "Calls", "Errors", "Checks passed", "Grounded", "p50", "p95",
    "USD a day", "Per approved", "From cache", "Thumbs up",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRow:
    """A prompt on a channel, or on none. ``view`` is None where nothing is released there."""

    prompt: str
    channel: str | None
    view: StatusView | None
    usage: Usage

    @property
    def calls(self) -> int:
        return int(self.usage.whole["calls"])

    @property
    def texts(self) -> tuple[str, ...]:
        """The figures of ``_HEADERS``."""
        known = {name: value for name, value, _ in self.usage.figures}
        counted, good = self.usage.outcomes.get(("check", "grounded"), (0, 0))
        spent = self.usage.whole["spent_usd"]
        return (
            known["Calls"],
            known["Errors"],
            known["Checks passed"],
            format_percent(good / counted) if counted else NO_VALUE,
            known["Latency, half below"],
            known["Latency, 95 % below"],
            NO_VALUE if spent is None else format_usd(spent / self._days),
            known["Per approved answer"],
            known["From the cache"],
            known["Thumbs up"],
        )

    @property
    def _days(self) -> int:
        """Since the first call that is counted, today included."""
        first = min((cell["day"] for cell in self.usage.cells), default=self.usage.until)
        return (date.fromisoformat(self.usage.until[:10]) - date.fromisoformat(first[:10])).days + 1


@dataclass(frozen=True, slots=True)
class NeededAction:
    """Something that waits for a person. ``path``: of the page where it is done."""

    path: str
    name: str
    text: str


async def _show(request: web.Request) -> web.StreamResponse:
    project = request.app[PROJECT]
    said = ""
    views: tuple[StatusView, ...] = ()
    try:
        views = await project.releases(_look)
    except PromptopsError as error:
        said = f"What is released cannot be read: {error.message}."
    since, skipped = parse_time(SPAN), read_number(read_query(request, ("from",)), "from")

    def read(registry: RegistryDatabase) -> tuple[list[ChannelRow], int, list[NeededAction]]:
        cells = read_cells(registry, usage_filter(RunFilter(since=since)), outcomes=True)
        rows = _rows(cells, views, since)
        shown = rows[skipped : skipped + MAX_ROWS]
        for row in shown:  # here, where the event loop does not wait for it
            _ = row.texts
        waiting = [*_alarms(list_alarms(registry)), *_reviews(list_queues(registry, limit=_MAX_QUEUES))]
        return shown, len(rows), waiting

    rows, total, waiting = await project.read(read)
    return render_view(
        request,
        "overview.html",
        rows=rows,
        skipped=skipped,
        following=skipped + MAX_ROWS if skipped + MAX_ROWS < total else 0,
        total=total,
        needed=[*_decisions(views), *waiting],
        headers=_HEADERS,
        since=since,
        facts=facts,
        format_weight=format_weight,
        said=said,
    )


def _look(context: ReleaseContext) -> tuple[StatusView, ...]:
    pending = context.ledger.pending()
    with context.ledger.branch.pinned():
        return tuple(statuses_of(context, resolve_targets([], context), pending))


def _rows(cells: Iterable[RunCell], views: Iterable[StatusView], since: str) -> list[ChannelRow]:
    """The most called first; what is released and was not called is there too."""
    until = utc_now()
    known: dict[tuple[str, str | None], StatusView] = {(view.prompt, view.channel): view for view in views}
    groups: dict[tuple[str, str | None], list[RunCell]] = defaultdict(list)
    for cell in cells:
        groups[cell["prompt"], cell["channel"]].append(cell)
    rows = []
    for prompt, channel in dict.fromkeys((*known, *groups)):
        view = known.get((prompt, channel))
        releases = [
            (event.at, event.text)
            for event in reversed(view.timeline if view else ())
            if event.move in _SERVING_MOVES
        ]
        own = groups.get((prompt, channel), [])
        usage = Usage(own, since=since, until=until, group="version", releases=releases)
        rows.append(ChannelRow(prompt=prompt, channel=channel, view=view, usage=usage))
    return sorted(rows, key=lambda row: (-row.calls, row.prompt, row.channel or ""))


def _decisions(views: Sequence[StatusView]) -> Iterable[NeededAction]:
    for view in views:
        path = f"/releases/{view.name}"
        if view.rollout and view.rollout.phase in _WAITS:
            text = f"{facts.version_label(view.rollout.canary)} {_WAITS[view.rollout.phase]}"
            reason = facts.hold_reason(view)
            yield NeededAction(path, view.name, f"{text}: {reason}" if reason else text)
        elif view.decision and view.decision.transition:
            yield NeededAction(path, view.name, "; ".join(facts.next_steps(view)))
        for note in view.notes:
            yield NeededAction(path, view.name, note)


def _alarms(alarms: Sequence[StoredAlarm]) -> Iterable[NeededAction]:
    """What `monitor check` has found and has not seen end, the latest first."""
    for stored in alarms[: -_MAX_ALARMS - 1 : -1]:
        alarm = Alarm.from_json(stored.content)
        path = f"/trends?{urlencode({'prompt': alarm.prompt, 'channel': alarm.channel})}"
        text = f"alarm: {alarm.title}: {alarm.size}, since {alarm.since}; {alarm.advice}"
        yield NeededAction(path, alarm.target, text)


def _reviews(queues: Sequence[ReviewQueue]) -> Iterable[NeededAction]:
    for queue in queues:
        if queue.left:
            where = f"{queue.prompt}:{queue.channel}" if queue.channel else queue.prompt
            yield NeededAction(
                "/review", where, f"{queue.left:,} of {queue.items:,} answers wait for a review"
            )


TAB = ("Overview", "/")
ROUTES = (web.get("/", _show),)
