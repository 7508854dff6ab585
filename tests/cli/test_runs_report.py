"""``runs report`` says what ``runs stats`` says, in every form."""

import json
import random
import re
import time
from typing import Any

import pytest

from promptops.config.clock import utc_text
from promptops.registry import RegistryDatabase, add_outcome
from support.front_door import Cli, Repo
from support.html_pages import HtmlPage
from support.logged_runs import a_failure, a_run, an_end, check

HOSTILE = '<script>alert(1)</script>"\n\\{}'


@pytest.fixture
def logged(repo: Repo) -> Repo:
    """Runs of three prompts over the last eight days."""
    rng, now = random.Random(1), time.time()
    with RegistryDatabase.open(repo.registry) as registry:
        runs = []
        for number in range(80):
            run = a_run(
                started_at=utc_text(now - rng.random() * 8 * 86_400),
                prompt=rng.choice(["support/triage", "support/reply", "summarize"]),
                version=rng.choice(["v1", "v2", HOSTILE]),
                request_model=rng.choice(["m", "n"]),
                channel="production",
                kind=rng.choice(["run", "run", "run", "batch", "eval"]),
            )
            end = an_end(
                cost_usd=rng.random() / 7,
                latency_ms=rng.random() * 3000,
                checks=(check(passed=rng.random() < 0.8),),
            )
            runs.append((run, a_failure() if number % 9 == 0 else end))
        registry.record(runs)
        for run, _ in runs[:20]:
            add_outcome(registry, run.run_id, "thumbs", rng.choice(["up", "down"]))
    return repo


def told(cli: Cli, *arguments: str) -> Any:
    done = cli(*arguments)
    assert done.code == 0, done.err
    return json.loads(done.out)


@pytest.mark.parametrize(
    "words", [(), ("support/triage",), ("support/*", "--model", "m"), ("--kind", "eval")]
)
def test_the_json_has_the_rows_of_stats_to_the_digit(words: tuple[str, ...], cli: Cli, logged: Repo) -> None:
    report = told(cli, "runs", "report", *words, "--since", "5d", "--format", "json")
    assert report["total"]["calls"] == sum(row["calls"] for row in report["by_prompt"]) > 0
    for by in ("prompt", "version", "model", "day"):
        stats = told(cli, "runs", "stats", *words, "--since", report["since"], "--by", by, "--json")
        assert (report[f"by_{by}"], report["apart"]) == (stats["rows"], stats["apart"])


def test_several_names_are_counted_once(cli: Cli, logged: Repo) -> None:
    report = told(cli, "runs", "report", "support/*", "support/triage", "--format", "json")
    alone = told(cli, "runs", "report", "support/*", "--format", "json")
    assert report["total"] == alone["total"]


def test_html_is_one_file_in_which_texts_are_texts(cli: Cli, logged: Repo) -> None:
    done = cli("runs", "report", "support/triage", "--format", "html", "--out", "report.html")
    assert (done.code, done.err) == (0, "written to report.html\n")
    text = (logged.path / "report.html").read_text("utf-8")
    page = HtmlPage(text)
    assert "default-src 'none'" in text
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in page.tags}
    assert "alert(1)" in page.text
    drawings = [attrs["aria-label"] or "" for tag, attrs in page.tags if tag == "svg" and attrs.get("role")]
    assert [each.partition(",")[0] for each in drawings] == [
        "Calls", "Spent", "Tokens", "Latency", "Checks passed", "Errors", "Thumbs",
    ]  # fmt: skip
    assert all("From 20" in each for each in drawings)
    assert len(text) < 300_000


def test_a_file_for_prometheus(cli: Cli, logged: Repo) -> None:
    text = cli("runs", "report", "--format", "prometheus").out
    report = told(cli, "runs", "report", "--format", "json")
    sample = re.compile(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\["\\n])*",?)*\})? -?[\d.e+-]+')
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(sample.fullmatch(line) for line in samples)
    assert len({line.rpartition(" ")[0] for line in samples}) == len(samples)
    for row in report["by_version"]:
        prompt, _, version = row["key"].partition("@")
        escaped = version.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
        labels = f'{{prompt="{prompt}",version="{escaped}"}}'
        assert f"promptops_report_calls{labels} {row['calls']}\n" in text
        assert f"promptops_report_spent_usd{labels} {row['spent_usd']!r}\n" in text


def test_series_for_prometheus_are_bounded(cli: Cli, repo: Repo) -> None:
    with RegistryDatabase.open(repo.registry) as registry:
        registry.record([(a_run(digest=f"{number:012x}" + "0" * 52), an_end()) for number in range(520)])
    text = cli("runs", "report", "--format", "prometheus").out
    calls = [line for line in text.splitlines() if line.startswith("promptops_report_calls")]
    assert len(calls) == 501
    assert 'promptops_report_calls{prompt="other",version="other"} 20' in calls


def test_markdown_for_a_terminal(cli: Cli, logged: Repo) -> None:
    text = cli("runs", "report").out
    total = told(cli, "runs", "report", "--format", "json")["total"]
    assert f"### `All prompts`: {total['calls']:,} calls, {total['errors']:,} errors" in text
    assert "#### By version" in text
    assert not re.search(r"(?<!`)support/triage@<script>", text)


def test_releases_are_marked(cli: Cli, greeting: Repo) -> None:
    assert cli("promote", "greet@HEAD", "--yes").code == 0
    with RegistryDatabase.open(greeting.registry) as registry:
        registry.record([(a_run(prompt="greet", channel="production"), an_end())])
    report = told(cli, "runs", "report", "greet", "--format", "json")
    assert [each["text"] for each in report["releases"]] == ["production: v1"]
    html = cli("runs", "report", "greet", "--format", "html").out
    assert html.count('<line class="release"') == html.count('role="img"')


@pytest.mark.parametrize("form", ["html", "markdown", "json", "prometheus"])
def test_where_nothing_is_logged(form: str, cli: Cli, repo: Repo) -> None:
    done = cli("runs", "report", "--format", form)
    assert (done.code, done.err) == (0, "")
    assert done.out
