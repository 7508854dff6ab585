"""What was answered: runs found by many filters, and one run in full."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, PromptopsError
from promptops.prompt.chat import message_text
from promptops.prompt.tool_calls import answer_text
from promptops.registry import (
    FoundRuns,
    RegistryDatabase,
    RunFilter,
    RunRecord,
    find_runs,
    get_run,
    last_runs,
    read_shadows_of,
    rebuild_messages,
)
from promptops.reports.numbers import format_milliseconds, format_usd
from promptops.reports.texts import value_text
from promptops.web.context import PROJECT
from promptops.web.pages import BASE, render_view
from promptops.web.query import address, read_choice, read_moment, read_query
from promptops.web.shown_texts import fit_text, fit_texts

PAGE_SIZE = 30
_TEXTS = ("prompt", "version", "arm", "channel", "model", "tenant", "kind", "check", "error", "q")
_NAMES = (*_TEXTS, "since", "until", "thumbs", "min_cost", "min_latency", "before")
_CHOICES = {
    "arm": ("", "stable", "canary", "control", "candidate"),
    "kind": ("", "all", "run", "batch", "eval", "shadow", "judge", "probe"),
    "thumbs": ("", "up", "down"),
}
_MAX_LISTED = 1_200  # bytes of the inputs or the answer of a run in the list
_MAX_TEXT = 60_000  # bytes of the inputs or the answer of one run
_MAX_MESSAGE_BYTES = 90_000  # of the messages of one run
_MAX_SHOWN = 600  # bytes of a detail
_MAX_MARKS, _MAX_MARK = 8, 120
_MAX_ROWS = 50  # checks or feedback
_MAX_SHADOWS = 3
_MAX_MESSAGES = 60  # of a conversation: the first and the last
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run as pages show it."""

    record: RunRecord
    inputs: Sequence[tuple[str, str]]
    answer: str
    marks: Sequence[tuple[str, str]]  # what stands out, with its tone: good, bad or none

    @property
    def version(self) -> str:
        record = self.record
        return str(record["version"] or f"sha256:{record['digest'].removeprefix('sha256:')[:12]}")

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Name and value, without those that there are not."""
        record = self.record
        tokens = f"{record['input_tokens']} in, {record['output_tokens']} out"
        found = {
            "Run": record["run_id"],
            "Started": record["started_at"],
            "Version": f"{record['prompt']}@{self.version}",
            "Digest": record["digest"],
            "Commit": record["commit_sha"],
            "Channel": record["channel"],
            "Arm": record["arm"],
            "Kind": record["kind"],
            "Model": record["response_model"] or record["request_model"],
            "Parameters": _json_text(record["parameters"]),
            "Finish": record["finish_reason"],
            "Tokens": None if record["input_tokens"] is None else tokens,
            "Cost": format_usd(record["cost_usd"]),
            "Spent": format_usd(record["spent_usd"]),
            "Latency": format_milliseconds(record["latency_ms"]),
            "From the cache": record["cache"] and record["cache"]["run_id"],
            "Tenant": record["tenant"],
            "Metadata": _json_text(record["metadata"]),
            "Redacted": _json_text(record["redacted"]),
        }
        return [(name, fit_text(str(value), _MAX_SHOWN)) for name, value in found.items() if value]


def run_view(record: RunRecord, limit: int) -> RunView:
    """``limit``: bytes that its inputs, and its answer, take of a page."""
    inputs = record["inputs"]
    answer = answer_text(record["output"], record["tool_calls"])
    return RunView(
        record=record,
        inputs=fit_texts([(name, value_text(value)) for name, value in (inputs or {}).items()], limit),
        answer=fit_text(answer, limit) if answer else "",
        marks=_marks(record),
    )


def _marks(record: RunRecord) -> list[tuple[str, str]]:
    marks: list[tuple[str, str]] = []
    if record["error"]:
        marks.append((f"error: {record['error']['type']}", "bad"))
    elif record["state"] != "finished":
        marks.append((record["state"], ""))
    marks += [(f"failed {check['name']}", "bad") for check in record["checks"] if not check["pass"]]
    acted = (guard for guard in record["guards"] if guard["did"] != "passed")
    marks += [(f"guard {guard['guard']}: {guard['did']}", "") for guard in acted]
    if record["checks"] and all(check["pass"] for check in record["checks"]):
        marks.append(("checks passed", "good"))
    for outcome in record["outcomes"]:
        if outcome["name"] == "thumbs":
            marks.append(("thumbs up", "good") if outcome["value"] > 0 else ("thumbs down", "bad"))
    return [(fit_text(text, _MAX_MARK), tone) for text, tone in dict.fromkeys(marks)][:_MAX_MARKS]


def _json_text(value: Any) -> str:
    return value_text(value) if value else ""


# ---- the list


async def _list(request: web.Request) -> web.StreamResponse:
    query = read_query(request, _NAMES)
    for name, choices in _CHOICES.items():
        read_choice(query, name, choices, "")
    chosen, before = _filter(query), _whole_number(query, "before")

    def read(registry: RegistryDatabase) -> tuple[FoundRuns, list[str]]:
        found = find_runs(registry, chosen, limit=PAGE_SIZE, words=query.get("q", ""), before=before)
        return found, sorted(last_runs(registry))

    found, prompts = await request.app[PROJECT].read(read)
    given = {name: value for name, value in query.items() if name != "before"}
    prompt = query.get("prompt")
    return render_view(
        request,
        "answers.html",
        runs=[run_view(record, _MAX_LISTED) for record in found.runs],
        note=found.note,
        query={name: query.get(name, "") for name in _NAMES},
        prompts=[prompt, *prompts] if prompt and prompt not in prompts else prompts,
        choices=_CHOICES,
        is_filtered=bool(given),
        first=address(BASE, "/answers", given) if before is not None else None,
        more=address(BASE, "/answers", {**given, "before": str(found.before)}) if found.before else None,
    )


def _filter(query: Mapping[str, str]) -> RunFilter:
    kind = query.get("kind", "")
    return RunFilter(
        prompt=query.get("prompt"),
        version=query.get("version"),
        arm=query.get("arm"),
        channel=query.get("channel"),
        model=query.get("model"),
        key_tenant=query.get("tenant"),
        failed_check=query.get("check"),
        error=query.get("error"),
        thumbs=query.get("thumbs"),
        since=read_moment(query, "since"),
        until=read_moment(query, "until"),
        min_cost=_number(query, "min_cost"),
        min_latency=_number(query, "min_latency"),
        kind=kind if kind not in ("", "all") else None,
        traffic=None if kind else True,
    )


def _number(query: Mapping[str, str], name: str) -> float | None:
    try:
        number = float(query[name]) if name in query else None
    except ValueError:
        number = -1.0
    if number is not None and not 0 <= number <= _LARGEST:
        raise Invalid(f"{name}: {query[name]!r:.80} is not a number of nought or more")
    return number


def _whole_number(query: Mapping[str, str], name: str) -> int | None:
    number = _number(query, name)
    return None if number is None else int(number)


# ---- one run


@dataclass(frozen=True, slots=True, kw_only=True)
class _RunPage:
    view: RunView
    messages: Sequence[tuple[str, str]]  # role and text
    problem: str  # why there are no messages
    shadows: Sequence[RunView]


async def _one(request: web.Request) -> web.StreamResponse:
    project = request.app[PROJECT]
    prefix = request.match_info["run"]
    page = await project.read(lambda registry: _read_run(registry, prefix, project.settings))
    record = page.view.record
    return render_view(
        request,
        "answer.html",
        page=page,
        fit=lambda text: fit_text(text, _MAX_SHOWN),
        format_usd=format_usd,
        max_rows=_MAX_ROWS,
        attempts=[_attempt(number, each) for number, each in enumerate(record["attempts"][:20], 1)],
        others=address(BASE, "/answers", {"prompt": record["prompt"], "version": record["version"]}),
    )


def _read_run(registry: RegistryDatabase, prefix: str, settings: Settings) -> _RunPage:
    record = get_run(registry, prefix)
    messages, problem = _messages(registry, record, settings)
    shadows = read_shadows_of(registry, record["run_id"])
    return _RunPage(
        view=run_view(record, _MAX_TEXT),
        messages=messages,
        problem=problem,
        shadows=[run_view(each, _MAX_TEXT // 4) for each in shadows[:_MAX_SHADOWS]],
    )


def _messages(
    registry: RegistryDatabase, record: RunRecord, settings: Settings
) -> tuple[list[tuple[str, str]], str]:
    """The exact messages that were sent, or why they are not known."""
    from promptops.versions.resolve import resolve_version

    try:
        sent = rebuild_messages(registry, record, lambda name: resolve_version(name, settings).prompt)
    except PromptopsError as error:
        return [], error.message
    half = _MAX_MESSAGES // 2
    shown = sent if len(sent) <= _MAX_MESSAGES else [*sent[:half], *sent[-half:]]
    texts = [
        (str(each["role"]), fit_text(message_text(each), _MAX_MESSAGE_BYTES // len(shown))) for each in shown
    ]
    left = len(sent) - len(shown)
    return texts, f"{left:,} messages in the middle are not shown" if left else ""


def _attempt(number: int, attempt: Mapping[str, Any]) -> tuple[int, str]:
    """What is known of one attempt, without texts that are too long for a line."""
    known = {
        name: value
        for name, value in attempt.items()
        if not isinstance(value, str) or len(value) < _MAX_SHOWN
    }
    return number, fit_text(value_text(known), _MAX_SHOWN)


TAB = ("Answers", "/answers")
ROUTES = (web.get("/answers", _list), web.get("/answers/{run:[0-9A-Za-z]{10,26}}", _one))
