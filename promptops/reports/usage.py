"""What a prompt, or all prompts, did over a time: figures, plots and tables, for reports and pages alike.

All of it is put together from the same cells as ``runs stats``, so its figures are those of ``runs stats``.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

from promptops.config.clock import utc_seconds
from promptops.registry import (
    RunCell,
    RunFilter,
    StatsKey,
    StatsRow,
    cell_key,
    sum_cells,
    sum_outcomes,
    sum_up,
)
from promptops.reports.numbers import (
    format_integer,
    format_milliseconds,
    format_percent,
    format_usd,
    short_count,
)
from promptops.reports.time_plot import MAX_SERIES, PlotKind, ReleaseMarker, TimePlot, TimeSeries, time_plot

MAX_BUCKETS = 400  # of a plot; the latest are shown
APPROVALS = (("person", "thumbs"), ("person", "review.pass"))
"""What people say of an answer that they approve of."""

_DAY, _HOUR = len("2026-01-01"), len("2026-01-01T09")
_OTHERS = "others"
Value = Callable[[StatsRow], float | None]
Outcomes = Mapping[tuple[str, str], tuple[int, int]]


class Usage:
    """``since`` and ``until``: UTC text; ``group``: what plots tell apart; ``releases``: moment and text."""

    def __init__(
        self,
        cells: Sequence[RunCell],
        *,
        since: str | None,
        until: str,
        group: StatsKey,
        hours: bool = False,
        releases: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.cells = cells
        self.since = since or min((cell["day"] for cell in cells), default=until)
        self.until = until
        self.group: StatsKey = group
        self.hours = hours
        self._rows: dict[StatsKey, list[StatsRow]] = {}
        self.buckets = _buckets(self.since, until, hours=hours)
        start, end = _moment(self.buckets[0]).timestamp(), utc_seconds(until)
        self.releases = [each for each in releases if start <= utc_seconds(each[0]) <= end]

    @cached_property
    def whole(self) -> StatsRow:
        """The figures of all of it."""
        return sum_up(self.cells)

    @cached_property
    def outcomes(self) -> Outcomes:
        """By source and name: how many there are that say something, and how many are good."""
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        for own in sum_outcomes(self.cells, "kind").values():
            for name, (counted, good) in own.items():
                before = sums.get(name, (0, 0))
                sums[name] = before[0] + counted, before[1] + good
        return dict(sorted(sums.items()))

    def rows(self, by: StatsKey) -> list[StatsRow]:
        """As ``runs stats --by`` has them."""
        if by not in self._rows:
            self._rows[by] = sum_cells(self.cells, by)
        return self._rows[by]

    @cached_property
    def figures(self) -> list[tuple[str, str, str]]:
        """Name, value and what it is made of."""
        row = self.whole
        up, told = _good(self.outcomes, APPROVALS[:1])
        approved, _ = _good(self.outcomes, APPROVALS)
        answered = row["calls"] - row["errors"]
        tokens = f"{short_count(row['input_tokens'])} in, {short_count(row['output_tokens'])} out"
        per_approved = row["spent_usd"] / approved if approved and row["spent_usd"] is not None else None
        return [
            ("Calls", format_integer(row["calls"]), f"{row['unfinished']:,} not ended"),
            ("Errors", format_percent(error_rate(row)), f"{row['errors']:,} of {row['calls']:,}"),
            (
                "Checks passed",
                format_percent(checks_pass_rate(row)),
                f"{_passed(row):,} of {row['checked']:,} answers",
            ),
            ("Latency, half below", format_milliseconds(row["p50_ms"]), "of calls that a model answered"),
            ("Latency, 95 % below", format_milliseconds(row["p95_ms"]), "of calls that a model answered"),
            ("Spent", format_usd(row["spent_usd"]), f"{format_usd(row['cost_usd'])} without the cache"),
            ("Per approved answer", format_usd(per_approved), f"{approved:,} thumbs up or passed in review"),
            ("Tokens", short_count((row["input_tokens"] or 0) + (row["output_tokens"] or 0)), tokens),
            (
                "From the cache",
                format_percent(_share(row["cache_hits"], answered)),
                f"{row['cache_hits']:,} answers",
            ),
            ("Thumbs up", format_percent(_share(up, told)), f"{up:,} of {told:,}"),
        ]

    def table(self, by: StatsKey) -> list[tuple[str, tuple[str, ...]]]:
        """A name and the texts of ``TABLE_HEADERS`` for each row; days newest first."""
        rows = self.rows(by)
        return [(str(row["key"]), _texts(row)) for row in (reversed(rows) if by in ("day", "hour") else rows)]

    def checks(self) -> list[tuple[str, str, str]]:
        """Each check, judge and kind of feedback: source, name, and how many are good of how many."""
        return [
            (source, name, f"{good:,} of {counted:,} ({format_percent(_share(good, counted))})")
            for (source, name), (counted, good) in self.outcomes.items()
        ]

    @cached_property
    def plots(self) -> list[TimePlot]:
        """Those that have something to show."""
        drawn = [
            self._grouped("Calls", "a {bucket}", lambda row: row["calls"], format_integer),
            self._grouped("Spent", "USD a {bucket}", lambda row: row["spent_usd"], format_usd),
            self._tokens(),
            self._grouped(
                "Latency",
                "95 % of calls below, a {bucket}",
                lambda row: row["p95_ms"],
                format_milliseconds,
                "lines",
            ),
            self._grouped(
                "Checks passed",
                "share of checked answers",
                checks_pass_rate,
                format_percent,
                "lines",
                rate=True,
            ),
            self._grouped("Errors", "calls a {bucket}", lambda row: row["errors"] or None, format_integer),
            self._thumbs(),
        ]
        return [each for each in drawn if each]

    def sparkline(self) -> TimePlot | None:
        """Calls a day, with the releases."""
        sums = {bucket: sum(cell["calls"] for cell in cells) for bucket, cells in self._by_bucket.items()}
        values = TimeSeries("", [sums.get(bucket) for bucket in self.buckets])
        return self._plot("Calls", "a {bucket}", [values], format_integer)

    def _grouped(
        self,
        title: str,
        unit: str,
        value: Value,
        write: Callable[[float | None], str],
        kind: PlotKind = "bars",
        *,
        rate: bool = False,
    ) -> TimePlot | None:
        series = [
            TimeSeries(name, [value(rows[bucket]) if bucket in rows else None for bucket in self.buckets])
            for name, rows in self._rows_by_group.items()
        ]
        return self._plot(title, unit, series, write, kind, rate=rate)

    def _tokens(self) -> TimePlot | None:
        rows = {bucket: sum_up(cells) for bucket, cells in self._by_bucket.items()}
        series = [
            TimeSeries(name, [rows[bucket][column] if bucket in rows else None for bucket in self.buckets])
            for name, column in (("input", "input_tokens"), ("output", "output_tokens"))
        ]
        return self._plot("Tokens", "a {bucket}", series, _write_count)

    def _thumbs(self) -> TimePlot | None:
        sums = sum_outcomes(self.cells, "hour" if self.hours else "day")
        counts = [sums.get(bucket, {}).get(("person", "thumbs"), (0, 0)) for bucket in self.buckets]
        series = [
            TimeSeries("up", [good or None for _, good in counts]),
            TimeSeries("down", [counted - good or None for counted, good in counts]),
        ]
        return self._plot("Thumbs", "a {bucket}, by the day of the answer", series, format_integer)

    def _plot(
        self,
        title: str,
        unit: str,
        series: Sequence[TimeSeries],
        write: Callable[[float | None], str],
        kind: PlotKind = "bars",
        *,
        rate: bool = False,
    ) -> TimePlot | None:
        return time_plot(
            title,
            unit.format(bucket="hour" if self.hours else "day"),
            self.buckets,
            series,
            write,
            kind=kind,
            markers=self._markers,
            is_rate=rate,
        )

    @cached_property
    def _markers(self) -> list[ReleaseMarker]:
        step = timedelta(hours=1) if self.hours else timedelta(days=1)
        start, span = _moment(self.buckets[0]), step * len(self.buckets)
        return [
            ReleaseMarker(
                (datetime.fromtimestamp(utc_seconds(at), UTC) - start) / span,
                f"{at[:16].replace('T', ' ')} {text}",
            )
            for at, text in self.releases
        ]

    @cached_property
    def _by_bucket(self) -> dict[str, list[RunCell]]:
        return _group(self.cells, lambda cell: cell["day"])

    @cached_property
    def _rows_by_group(self) -> dict[str, dict[str, StatsRow]]:
        """Of the groups with the most calls, and of the others together: the figures of each bucket."""
        groups = [str(row["key"]) for row in self.rows(self.group)]
        shown = groups if len(groups) <= MAX_SERIES else groups[: MAX_SERIES - 1]
        named = self._names(shown)
        cells: dict[str, list[RunCell]] = {name: [] for name in named.values()}
        for cell in self.cells:
            key = str(cell_key(cell, self.group))
            cells.setdefault(named.get(key, _OTHERS), []).append(cell)
        return {
            name: {bucket: sum_up(some) for bucket, some in _group(own, lambda cell: cell["day"]).items()}
            for name, own in cells.items()
        }

    def _names(self, keys: Collection[str]) -> dict[str, str]:
        """A version of the only prompt there is goes without the prompt's name."""
        if self.group != "version" or len({cell["prompt"] for cell in self.cells}) > 1:
            return {key: key for key in keys}
        return {key: key.partition("@")[2] for key in keys}


TABLE_HEADERS = (
    "Calls",
    "Errors",
    "Checks passed",
    "p50",
    "p95",
    "Tokens in",
    "Tokens out",
    "Spent",
    "From cache",
)


def _texts(row: StatsRow) -> tuple[str, ...]:
    return (
        format_integer(row["calls"]),
        format_integer(row["errors"]),
        format_percent(checks_pass_rate(row)),
        format_milliseconds(row["p50_ms"]),
        format_milliseconds(row["p95_ms"]),
        format_integer(row["input_tokens"]),
        format_integer(row["output_tokens"]),
        format_usd(row["spent_usd"]),
        format_integer(row["cache_hits"]),
    )


def checks_pass_rate(row: StatsRow) -> float | None:
    """Of the answers that were checked, the share that passed all checks."""
    return _share(_passed(row), row["checked"])


def error_rate(row: StatsRow) -> float | None:
    return _share(row["errors"], row["calls"])


def usage_filter(chosen: RunFilter) -> RunFilter:
    """The runs that ``runs stats`` counts first: what served somebody, unless a kind is asked for."""
    return replace(chosen, traffic=None if chosen.kind else True)


def _passed(row: StatsRow) -> int:
    return int(row["checked"] - row["checks_failed"])


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _good(outcomes: Outcomes, names: Collection[tuple[str, str]]) -> tuple[int, int]:
    """How many outcomes of these names are good, and how many there are."""
    found = [outcomes.get(name, (0, 0)) for name in names]
    return sum(good for _, good in found), sum(counted for counted, _ in found)


def _write_count(value: float | None) -> str:
    return short_count(None if value is None else round(value))


def _group(cells: Sequence[RunCell], key: Callable[[RunCell], str]) -> dict[str, list[RunCell]]:
    groups: dict[str, list[RunCell]] = defaultdict(list)
    for cell in cells:
        groups[key(cell)].append(cell)
    return groups


def _buckets(since: str, until: str, *, hours: bool) -> list[str]:
    """Every day, or every hour, of a time, also those in which nothing was called; the latest, if many."""
    length, step = (_HOUR, timedelta(hours=1)) if hours else (_DAY, timedelta(days=1))
    last = _moment(until[:length])
    first = max(min(_moment(since[:length]), last), last - step * (MAX_BUCKETS - 1))
    count = round((last - first) / step) + 1
    return [(first + step * index).isoformat()[:length] for index in range(count)]


def _moment(text: str) -> datetime:
    """When a bucket begins."""
    return datetime.fromisoformat(text if len(text) == _DAY else f"{text[:_HOUR]}:00").replace(tzinfo=UTC)
