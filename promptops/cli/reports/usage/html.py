"""A report on usage as one HTML file."""

from promptops.cli.reports.html import render_page
from promptops.cli.reports.usage.view import TABLES, UsageReport, usage_headline
from promptops.reports.usage import TABLE_HEADERS


def render_usage_html(report: UsageReport) -> str:
    usage = report.usage
    several = len({cell["prompt"] for cell in usage.cells}) > 1
    return render_page(
        "usage.html.j2",
        title=report.title,
        headline=usage_headline(report),
        counted=report.counted,
        usage=usage,
        tables=[(by, name) for by, name in TABLES if several or by != "prompt"],
        headers=TABLE_HEADERS,
    )
