"""The status of releases as one HTML file."""

from collections.abc import Sequence

from promptops.cli.reports.html import render_page
from promptops.release.analysis.findings import MetricFinding
from promptops.release.status_view import StatusView
from promptops.reports import channel
from promptops.reports.interval_plot import IntervalPlot, interval_plot


def render_status_html(views: Sequence[StatusView]) -> str:
    def plot_of(view: StatusView, finding: MetricFinding) -> IntervalPlot | None:
        return interval_plot(finding, prefix=f"channel-{views.index(view)}-")

    return render_page("status.html.j2", views=views, facts=channel, plot_of=plot_of)
