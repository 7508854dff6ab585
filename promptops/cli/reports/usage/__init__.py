"""The forms of a report on usage: pure functions from figures to text."""

from typing import Literal

from promptops.cli.reports.usage.view import TABLES, UsageReport

UsageFormatName = Literal["html", "markdown", "json", "prometheus"]


def render_usage(report: UsageReport, form: UsageFormatName) -> str:
    """The whole text of one form."""
    if form == "html":
        from promptops.cli.reports.usage.html import render_usage_html as render
    elif form == "markdown":
        from promptops.cli.reports.usage.markdown import render_usage_markdown as render
    elif form == "prometheus":
        from promptops.cli.reports.usage.prometheus import render_usage_prometheus as render
    else:
        return _json(report)
    return render(report)


def _json(report: UsageReport) -> str:
    from promptops.cli.reports.json_data import report_json

    usage = report.usage
    return report_json({
        "since": usage.since,
        "until": usage.until,
        "filters": report.filters,
        "total": usage.whole,
        **{f"by_{by}": usage.rows(by) for by, _ in TABLES},
        "apart": report.apart,
        "outcomes": [
            {"source": source, "name": name, "counted": counted, "good": good}
            for (source, name), (counted, good) in usage.outcomes.items()
        ],
        "releases": [{"at": at, "text": text} for at, text in usage.releases],
    })  # fmt: skip
