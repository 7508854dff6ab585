import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from promptops.cli.reports.release import StatusFormatName, print_status, render_status
from promptops.cli.reports.release.text_plot import interval_bars
from promptops.config.clock import format_timestamp
from promptops.escapes import escape_line
from promptops.registry import (
    RegistryDatabase,
    count_exposure,
    read_exposure,
    save_analysis_state,
    save_exposure,
)
from promptops.release.analysis import SUMMARY, load_findings
from promptops.release.analysis.findings_json import encode_findings
from promptops.release.plan import decode_plan
from promptops.release.rules import Move, RolloutDecision, Transition
from promptops.release.status_view import CanaryExposure, StatusView, TimelineEvent, canary_exposure
from promptops.reports.channel import (
    available_commands,
    exclusion_notes,
    next_steps,
    status_headline,
    step_states,
)
from promptops.reports.svg import sample_points
from promptops.stats.verdicts import Verdict
from promptops.versions.release_state import ReleasedVersion
from support.html_pages import HtmlPage
from support.logged_runs import a_run
from support.status_views import CANARY, NOW, PLAN, STABLE, findings, idle, metric, shadowed, view

FORMS: list[StatusFormatName] = list(get_args(StatusFormatName))
PHASES = ["eval", "shadow", "progressing", "awaiting", "paused", "invalid", "inconclusive"]
NASTY = [
    "<script>alert(1)</script>",
    "</table><b>",
    "@team see #12 and www.example.org",
    "a | b ` c ``` d",
    "line\nbreak\x1b[31m red \x9b \u202e turned",
    "half \ud83d a smile",
    "long " * 100,
    "unbroken" * 40,
    "'\"&amp; --> -->",
]


def in_phase(phase: str) -> StatusView:
    weight = 0 if phase in ("eval", "shadow") else 2500
    plan = decode_plan("default", {"shadow": {}}) if phase == "shadow" else PLAN
    if phase == "awaiting":
        plan = decode_plan("default", {"steps": [{"weight": 25}, {"approval": "manual"}]})
    step = 0 if not weight else 1
    return view(plan, phase=phase, weight_bp=weight, step=step, reason=None if weight else "as it is")


def with_text(text: str) -> StatusView:
    """A view that says this text wherever a stranger's text can get to."""
    shown = view(phase="paused", reason=text, canary=ReleasedVersion(text, "b" * 64), unit=text)
    seen = findings(
        metrics=tuple(replace(one, sentence=text) for one in findings().metrics), excluded={text: 3}
    )
    return replace(
        shown,
        prompt=text,
        stable=ReleasedVersion(text, "a" * 64),
        findings=seen,
        decision=RolloutDecision(holds=(text,)),
        timeline=(TimelineEvent(NOW_TEXT, "advance", text, text, text), TimelineEvent(text, "advance", text)),
        notes=(text,),
    )


NOW_TEXT = format_timestamp(NOW)
VIEWS = [*(in_phase(phase) for phase in PHASES), idle(), idle(stable=None), shadowed()]


# ---- words


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (in_phase("eval"), "v13 waits for its eval; everyone is served v12"),
        (in_phase("shadow"), "v13 is tried on logged calls; everyone is served v12"),
        (in_phase("progressing"), "v13 is tried on 25 % of sessions, the others are served v12"),
        (in_phase("awaiting"), "v13 waits for a person on 25 % of sessions, the others are served v12"),
        (in_phase("paused"), "v13 is paused on 25 % of sessions, the others are served v12"),
        (idle(), "v12 serves everyone since 2027-01-11 14:00 UTC"),
        (idle(stable=None, previous=None), "nothing is released to staging yet"),
        (idle(stable=ReleasedVersion("", "a" * 64)), "sha256:aaaaaaaaaaaa serves everyone"),
        (view(unit="tenant"), "v13 is tried on 25 % of values of tenant, the others are served v12"),
    ],
)
def test_the_headline_says_who_is_served_what(shown: StatusView, said: str) -> None:
    assert status_headline(shown) == said
    for form in FORMS:
        assert said in re.sub(r"\s+", " ", render_status([shown], form).replace("`", ""))


def test_where_it_stands() -> None:
    assert step_states(view()) == [
        ("eval", "done"),
        ("5 %", "done"),
        ("25 %", "now"),
        ("50 %", "later"),
        ("everyone", "later"),
    ]
    assert step_states(in_phase("shadow"))[:3] == [("eval", "done"), ("shadow", "now"), ("5 %", "later")]
    assert step_states(in_phase("awaiting"))[1:] == [
        ("25 %", "done"),
        ("approval", "now"),
        ("everyone", "later"),
    ]
    assert step_states(idle()) == []
    reviewed = decode_plan("p", {"eval": None, "steps": [{"weight": 0.5}, {"reviewed": 30}]})
    assert [name for name, _ in step_states(view(reviewed))] == ["0.5 %", "30 reviewed", "everyone"]


@pytest.mark.parametrize(
    ("move", "more", "said"),
    [
        (Move.ROLLBACK, {}, "the next tick rolls v13 back: so it is"),
        (Move.PROMOTE, {}, "the next tick promotes v13 to everyone: so it is"),
        (Move.ADVANCE, {"weight_bp": 5000}, "the next tick moves v13 on to 50 %: so it is"),
        (Move.PHASE, {"phase": "shadow"}, "the next tick moves v13 on to the phase shadow: so it is"),
        (Move.PAUSE, {"reason": ""}, "the next tick pauses it"),
    ],
)
def test_what_a_tick_would_do_is_said(move: Move, more: Any, said: str) -> None:
    transition = Transition(**{"move": move, "reason": "so it is"} | more)
    shown = replace(view(), decision=RolloutDecision(transition=transition))
    assert next_steps(shown) == [said]
    assert ("promptops tick support/triage:production", "does it") in available_commands(shown)
    assert "\nnext\n" in render_status([shown], "text")


@pytest.mark.parametrize(
    ("shown", "first"),
    [
        (in_phase("eval"), "promptops eval a/b@v13 --against v12"),
        (in_phase("progressing"), "promptops tick support/triage:production"),
        (in_phase("awaiting"), "promptops release approve support/triage:production"),
        (in_phase("paused"), "promptops release resume support/triage:production"),
        (in_phase("invalid"), 'promptops release resume support/triage:production --reason "…"'),
        (
            in_phase("inconclusive"),
            'promptops promote support/triage --to production --force --reason "…"',
        ),
        (idle(), "promptops canary support/triage@REV --to staging"),
        (idle(stable=None, previous=None), "promptops promote support/triage@REV --to staging"),
    ],
)
def test_the_command_that_comes_next(shown: StatusView, first: str) -> None:
    assert available_commands(shown)[0][0] == first
    if shown.rollout or shown.previous:
        assert available_commands(shown)[-1][0].startswith("promptops rollback support/triage:")


def test_after_the_deadline_proof_is_promoted_without_force() -> None:
    shown = in_phase("inconclusive")
    assert shown.plan is not None
    last = replace(shown, rollout=replace(shown.rollout, step=len(shown.plan.steps) - 1))
    assert shown.findings is not None
    proven = tuple(replace(each, not_worse=True, worse=False) for each in shown.findings.metrics)
    known = replace(shown.findings, metrics=proven)
    assert available_commands(replace(last, findings=known))[0] == (
        "promptops promote support/triage --to production",
        "releases v13: its proof is in",
    )
    assert "--force" in available_commands(replace(shown, findings=known))[0][0]  # a step is still to come


# ---- text


def test_the_text_shows_what_people_look_for() -> None:
    said = render_status([view()], "text")
    assert said.splitlines()[0] == "support/triage:production" + "progressing".rjust(55)
    for part in (
        "  step    ✓ eval   ✓ 5 %   ● 25 %   ○ 50 %   ○ everyone\n",
        "  since   2027-01-15 05:00 UTC (3 h ago); deadline in 12 d 21 h; plan default\n",
        "  canary  163 of 652 calls (25.0 %), 141 sessions; about 205 calls a day\n",
        "          12 calls wait for their values\n",
        "          3 calls came without a session\n",
        "          20 left out: answered from the cache\n",
        "          1,400 left out: further calls of those who count once\n",
        "  v13 fails at most 1.2 points more often than v12 (95 %), from 640 calls;\n  limit 2\n",
        "  about 1,210 more calls\n",
        "  promptops rollback support/triage:production  rolls v13 back at once\n",
        "2027-01-15 05:00 UTC  advance: production canary v13 5% → 25% (50 canary calls)\n",
    ):
        assert part in said
    assert "override" not in said  # nothing was left out for that


def test_what_holds_it_is_said() -> None:
    seen = findings(step_canary_calls=20)
    harmless = tuple(replace(one, worse=False) for one in seen.metrics)
    shown = view(seen=replace(seen, metrics=harmless))
    assert "it holds because\n  - 130 more canary calls in this step (150 are due)\n" in render_status(
        [shown], "text"
    )


def test_exposure_without_units_or_calls() -> None:
    one = replace(view(), findings=findings(waiting=1, without_unit=1))
    assert exclusion_notes(one)[:2] == ["1 call waits for its value", "1 call came without a session"]
    shown = replace(view(), exposure=None)
    assert "160 of 640 calls (25.0 %); about 205 calls a day" in render_status([shown], "text")
    none = replace(view(), exposure=CanaryExposure(calls=7, canary_calls=0))
    assert "no call has met v13 yet, of 7 looked at" in render_status([none], "text")
    assert "  canary  " not in render_status([replace(view(), exposure=None, findings=None)], "text")


def test_exposure_as_the_log_has_it(tmp_path: Path) -> None:
    active = view().rollout
    assert active is not None
    with RegistryDatabase.open(tmp_path / "r.db") as registry:
        assert canary_exposure(read_exposure(registry, active.id), active, NOW) == CanaryExposure(
            calls=0, canary_calls=0, canary_units=0
        )
        placed = [("canary", "a"), ("canary", "a"), ("canary", "b"), ("canary", None), ("stable", "c")]
        for arm, unit in placed:
            begun = format_timestamp(NOW - 12 * 3600)
            registry.start(a_run(rollout=active.id, arm=arm, unit_hash=unit, weight_bp=500, started_at=begun))
        registry.start(a_run(rollout=active.id, arm="canary", excluded="override"))
        registry.start(a_run(rollout="r-2", arm="canary"))
        seen = canary_exposure(read_exposure(registry, active.id), active, NOW)
        assert seen == CanaryExposure(calls=5, canary_calls=4, canary_units=2, per_day=10.0)
        assert (
            canary_exposure(
                read_exposure(registry, active.id), replace(active, unit="call"), NOW
            ).canary_units
            is None
        )


def test_exposure_is_counted_on_from_the_last_tick(tmp_path: Path) -> None:
    active = view().rollout
    assert active is not None
    with RegistryDatabase.open(tmp_path / "r.db") as registry:
        for last in range(4):
            for unit in ("a", f"b{last}", None):
                for arm in ("canary", "stable"):
                    begun = format_timestamp(NOW - 12 * 3600 + last)
                    run = a_run(rollout=active.id, arm=arm, unit_hash=unit, weight_bp=500, started_at=begun)
                    registry.start(run)
            seen = read_exposure(registry, active.id)
            with registry.write():
                save_exposure(registry, active.id, count_exposure(registry, active.id))
                save_exposure(registry, active.id, count_exposure(registry, active.id))
            assert read_exposure(registry, active.id) == seen
        assert (seen.calls, seen.canary_calls, seen.canary_units, seen.through) == (24, 12, 5, 24)
        assert seen.first == format_timestamp(NOW - 12 * 3600)


def test_more_calls_than_can_be_counted_in_passing_wait_for_a_tick(tmp_path: Path) -> None:
    active = view().rollout
    assert active is not None
    with RegistryDatabase.open(tmp_path / "r.db") as registry:
        many = [a_run(rollout=active.id, arm="stable", weight_bp=500) for _ in range(2_001)]
        registry.start_all(many)
        waiting = canary_exposure(read_exposure(registry, active.id), active, NOW)
        said = "2,001 more calls wait for a tick"
        assert said in render_status([replace(view(), exposure=waiting)], "text")
        with registry.write():
            save_exposure(registry, active.id, count_exposure(registry, active.id))
        registry.start(a_run(rollout=active.id, arm="canary", weight_bp=500))
        seen = canary_exposure(read_exposure(registry, active.id), active, NOW)
        assert (seen.calls, seen.canary_calls, seen.uncounted) == (2_002, 1, 0)


def test_a_step_that_has_just_begun_has_no_calls_yet(tmp_path: Path) -> None:
    active, seen = view().rollout, findings()
    assert active is not None
    with RegistryDatabase.open(tmp_path / "r.db") as registry:
        assert load_findings(registry, active) is None
        seen = replace(seen, step_started=active.step_started)
        with registry.write():
            save_analysis_state(registry, active.id, SUMMARY, encode_findings(seen), seen.watermark)
        assert load_findings(registry, active) == seen
        moved = replace(active, step=2, step_started=format_timestamp(NOW))
        assert load_findings(registry, moved) == replace(
            seen, step_canary_calls=0, step_started=format_timestamp(NOW)
        )


def test_missing_and_late_values_are_said() -> None:
    one = metric(PLAN, "checks", canary_missing=4, stable_missing=9, late=2)
    said = render_status([view(seen=findings(metrics=(one,)))], "text")
    assert "no value for 4 canary and 9 stable calls\n" in said
    assert "2 came too late to count\n" in said


def test_a_deadline_that_has_passed_and_none() -> None:
    assert "deadline passed" in render_status([view(deadline=format_timestamp(NOW - 5))], "text")
    assert "deadline" not in render_status([view(deadline=None)], "text")
    quick = decode_plan("quick", {})
    for form in FORMS[:1] + FORMS[2:]:  # JSON has the plan itself
        said = render_status([view(quick, step=0, weight_bp=5000)], form)
        assert "plan quick, for trials" in " ".join(said.split())


@pytest.mark.parametrize("shown", [*VIEWS, *map(with_text, NASTY)])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_line_is_wider_than_the_terminal(shown: StatusView, width: int) -> None:
    from promptops.cli.reports.release.text import render_status_text

    lines = render_status_text([shown], width).splitlines()
    # a command is not cut: it is there to be pasted
    wide = [one for one in lines if len(one) > width and not one.startswith("  promptops ")]
    assert wide == []


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_printed_as_it_is_written(
    form: StatusFormatName, capsys: pytest.CaptureFixture[str]
) -> None:
    print_status(VIEWS, form)
    assert capsys.readouterr().out == render_status(VIEWS, form)


def test_several_channels_stand_under_each_other() -> None:
    said = render_status([view(), idle()], "text")
    assert said.index("support/triage:production") < said.index("\n\nsupport/triage:staging\n")
    assert render_status([], "text") == "\n"


# ---- the picture


def test_the_picture_narrows() -> None:
    drawn = interval_bars(metric(PLAN, "error_rate"), 60)
    assert [one.split()[0] for one in drawn] == ["50", "200", "400", "640"]
    assert drawn[2].count("─") > drawn[3].count("─") > 3
    assert all("◂" in one and "▸" in one for one in drawn[:2])  # wider than what is drawn
    assert all(one.index("│") == drawn[0].index("│") < one.index("┃") for one in drawn)
    assert drawn[3].rstrip().endswith("┃")  # all of it is below the limit: not worse
    assert interval_bars(metric(PLAN, "cost"), 60) == []


def test_worse_lies_beyond_the_same() -> None:
    last = interval_bars(metric(PLAN, "latency"), 60)[-1]
    assert "─" not in last[: last.index("┃")]


@pytest.mark.parametrize(
    "trail",
    [
        ((1, -1.0, 1.0),),
        ((1, 0.0, 0.0), (2, 0.3, 0.1)),  # what was ruled out early may be what holds later
        tuple((calls, -0.5, 0.5) for calls in range(1, 2000)),
        ((0, 0.02, 0.02),),
    ],
)
@pytest.mark.parametrize("width", [20, 76])
def test_any_trail_is_drawn(trail: Any, width: int) -> None:
    one = metric(PLAN, "error_rate", trail=trail)
    drawn = interval_bars(one, width)
    assert 1 <= len(drawn) <= 4
    assert all(len(text) <= width for text in drawn)
    assert "<svg" in render_status([view(seen=findings(metrics=(one,)))], "html")


def test_points_are_sampled_with_the_first_and_the_latest() -> None:
    trail = [(calls, 0.0, 1.0) for calls in range(100)]
    assert [calls for calls, _, _ in sample_points(trail, 4)] == [0, 33, 66, 99]
    assert sample_points(trail[:3], 4) == trail[:3]


# ---- JSON


@pytest.mark.parametrize("shown", [*VIEWS, *map(with_text, NASTY)])
def test_json_is_json(shown: StatusView, capsys: pytest.CaptureFixture[str]) -> None:
    print_status([shown], "json")
    data = json.loads(capsys.readouterr().out)[0]
    assert data["headline"] == status_headline(shown)
    assert data["prompt"] == shown.prompt or "\ud83d" in shown.prompt


def test_json_has_the_names_of_the_view() -> None:
    odd = metric(PLAN, "checks", log_e_worse=float("inf"))
    data = json.loads(render_status([view(seen=findings(metrics=(odd,)))], "json"))[0]
    assert data["rollout"]["phase"] == "progressing"
    assert data["rollout"]["canary"]["digest"] == CANARY.digest
    assert data["stable"]["version"] == STABLE.version
    assert data["plan"]["steps"][1]["weight_bp"] == 2500
    assert "content" not in data["plan"]
    (one,) = data["findings"]["metrics"]
    assert (one["metric"]["name"], one["verdict"], one["log_e_worse"]) == ("checks", "undecided", None)
    assert data["commands"][0] == ["promptops tick support/triage:production", "looks at new evidence"]
    assert data["exposure"]["canary_units"] == 141


# ---- Markdown


def outside_code(text: str) -> str:
    text = re.sub(r"^(`{3,}).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", "", text)


def test_the_comment_can_be_read_by_a_product_manager() -> None:
    said = render_status([view()], "markdown")
    assert said.startswith("<!-- promptops status -->\n\n### 🟢 `support/triage:production`: v13 is tried on")
    assert "✔ eval → ✔ 5 % → **25 %** → 50 % → everyone\n" in said
    assert "| ✅ | `error_rate` | v13 fails at most 1.2 points more often than v12 (95 %)" in said
    assert "| ❌ | `latency` |" in said
    assert "`cost` (watched only)" in said
    assert "- `promptops rollback support/triage:production` rolls v13 back at once" in said


@pytest.mark.parametrize("text", NASTY)
def test_nothing_in_a_comment_mentions_links_or_breaks_out(text: str) -> None:
    said = render_status([with_text(text)], "markdown")
    left = outside_code(said)
    for sign in ("@", "#12", "www.", "<script", "</table", "<b>", "\x1b", "\u202e"):
        assert sign not in left
    said.encode()
    rows = [row for row in said.splitlines() if row.startswith("| ")]
    assert {row.count("|") for row in rows} == {5}


def test_a_long_comment_is_cut_and_says_so() -> None:
    said = render_status([view()] * 60, "markdown")
    assert len(said) < 65_536
    assert re.search(r"_Left out, as the comment would be too long: \d+ channels\._", said)
    assert "Nothing is released yet." in render_status([], "markdown")


# ---- HTML


def test_the_page_stands_alone_and_can_be_read_aloud() -> None:
    page = HtmlPage(render_status(VIEWS, "html"))
    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "img", "iframe", "a"}
    assert not any(name in attrs for _, attrs in page.tags for name in ("src", "href", "onload"))
    parts = [attrs for tag, attrs in page.tags if tag == "svg" and attrs.get("aria-hidden") != "true"]
    drawings = [attrs for attrs in parts if "preserveaspectratio" not in attrs]  # that is a part of one
    assert drawings
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawings)
    assert "v13 fails at most 1.2 points more often than v12 (95 %), from 640 calls; limit 2" in page.text
    assert sum(attrs.get("aria-current") == "step" for _, attrs in page.tags) == len(PHASES)


@pytest.mark.parametrize("text", NASTY)
def test_nothing_breaks_out_of_the_page(text: str) -> None:
    said = render_status([with_text(text)], "html")
    said.encode()
    usual = {tag for tag, _ in HtmlPage(render_status([view()], "html")).tags}
    page = HtmlPage(said)
    assert {tag for tag, _ in page.tags} <= usual | {"p"}
    assert escape_line(text, 40).rstrip("…") in page.text


def test_bands_stay_within_their_drawing() -> None:
    for name in ("error_rate", "checks", "latency"):
        page = render_status([view(seen=findings(metrics=(metric(PLAN, name),)))], "html")
        (points,) = re.findall(r'points="([^"]+)"', page)
        across, down = zip(*(map(float, pair.split(",")) for pair in points.split()), strict=True)
        assert 0 == min(across) < max(across) == 1000  # one look alone makes a band as well
        assert 0 <= min(down) < max(down) <= 150


def test_a_verdict_has_its_sign() -> None:
    for verdict, sign in ((Verdict.BETTER, "✓"), (Verdict.UNDECIDED, "?"), (Verdict.WORSE, "✗")):
        shown = view(seen=findings(metrics=(metric(PLAN, "error_rate", verdict=verdict),)))
        assert f"\n{sign} error_rate  guard" in render_status([shown], "text")
