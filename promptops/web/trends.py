"""How a prompt, or all of them, did over time: figures, plots and tables by version, model or channel."""

import asyncio

from aiohttp import web

from promptops.config.clock import utc_now
from promptops.errors import PromptopsError
from promptops.registry import (
    RegistryDatabase,
    RunFilter,
    StatsKey,
    last_runs,
    parse_time,
    read_cells,
)
from promptops.release.context import ReleaseContext
from promptops.reports.releases import list_releases
from promptops.reports.usage import TABLE_HEADERS, Usage, usage_filter
from promptops.web.context import PROJECT
from promptops.web.pages import render_view
from promptops.web.query import read_choice, read_moment, read_query

SPANS = {"1d": "a day", "7d": "7 days", "30d": "30 days", "90d": "90 days", "365d": "a year"}
GROUPS: dict[str, StatsKey] = {
    "version": "version", "model": "model", "channel": "channel", "prompt": "prompt",
}  # fmt: skip
_NAMES = ("prompt", "channel", "since", "by", "per")
_DAYS_OF_HOURS = "7d"  # so many at most are shown hour by hour
_RELEASES_TIMEOUT_S = 2.0


async def _show(request: web.Request) -> web.StreamResponse:
    query = read_query(request, _NAMES)
    prompt = query.get("prompt")
    by = GROUPS[read_choice(query, "by", GROUPS, "version" if prompt else "prompt")]
    hours = read_choice(query, "per", ("day", "hour"), "day") == "hour"
    since = read_moment(query, "since", "7d" if hours else "30d")
    if hours:
        since = max(since or "", parse_time(_DAYS_OF_HOURS))
    chosen = RunFilter(prompt=prompt, channel=query.get("channel"), since=since)
    releases, said = await _releases(request, prompt)
    until = utc_now()

    def read(registry: RegistryDatabase) -> tuple[Usage, list[str]]:
        cells = read_cells(registry, usage_filter(chosen), hours=hours, outcomes=True)
        usage = Usage(cells, since=since, until=until, group=by, hours=hours, releases=releases)
        _prepare(usage)
        return usage, sorted(last_runs(registry))

    usage, prompts = await request.app[PROJECT].read(read)
    return render_view(
        request,
        "trends.html",
        usage=usage,
        query={
            "prompt": "",
            "channel": "",
            "since": "7d" if hours else "30d",
            **query,
            "by": by,
            "per": "hour" if hours else "day",
        },
        prompts=[prompt, *prompts] if prompt and prompt not in prompts else prompts,
        spans=SPANS,
        headers=TABLE_HEADERS,
        said=said,
    )


def _prepare(usage: Usage) -> None:
    """Sum up here, where the event loop does not wait for it; what is summed up is kept."""
    usage.rows(usage.group)
    usage.rows("hour" if usage.hours else "day")
    for name in ("figures", "outcomes", "plots"):
        getattr(usage, name)


async def _releases(request: web.Request, prompt: str | None) -> tuple[list[tuple[str, str]], str]:
    """What was released of one prompt, and what is to be said where that cannot be read."""
    if not prompt:
        return [], ""

    def read(context: ReleaseContext) -> list[tuple[str, str]]:
        return list_releases(context, prompt)

    try:
        async with asyncio.timeout(_RELEASES_TIMEOUT_S):
            return await request.app[PROJECT].releases(read), ""
    except PromptopsError as error:
        return [], f"Releases are not marked: {error.message}."
    except TimeoutError:
        return [], "Releases are not marked: reading them takes long just now."


TAB = ("Trends", "/trends")
ROUTES = (web.get("/trends", _show),)
