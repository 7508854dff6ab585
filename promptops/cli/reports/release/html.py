"""The status of releases as one HTML file."""

from collections.abc import Sequence

from promptops.cli.reports import svg
from promptops.cli.reports.html import render_page
from promptops.cli.reports.release import view
from promptops.release.analysis.findings import MetricFinding
from promptops.release.status_view import StatusView


def render_status_html(views: Sequence[StatusView]) -> str:
    return render_page("status.html.j2", views=views, facts=view, confidence_band=_confidence_band)


def _confidence_band(finding: MetricFinding) -> svg.BandPlot | None:
    metric, calls = finding.metric, finding.trail[-1][0] if finding.trail else 0
    label = f"{metric.name}: the interval of the difference over {calls:,} calls; upwards is worse"
    return svg.confidence_band(label, finding.trail, metric.margin, ratio=metric.kind == "ratio")
