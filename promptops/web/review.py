"""Review: queues of answers, one answer at a time, and what the labels say.

The page of an answer has nothing from which its version, its arm or a judge's score could be known.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from aiohttp import web

from promptops.errors import Invalid, PromptopsError
from promptops.registry import (
    RegistryDatabase,
    ReviewItem,
    ReviewLabel,
    ReviewQueue,
    ReviewReason,
    RunRecord,
    claim_item,
    count_left,
    defer_item,
    frequent_codes,
    get_item,
    get_queue,
    get_rubric,
    label_of_item,
    last_runs,
    list_queues,
    merge_codes,
    runs_by_seq,
)
from promptops.release.context import resolve_targets
from promptops.review.check_draft import draft_as_diff, draft_check, write_draft
from promptops.review.follow_up import make_cases
from promptops.review.labels import label_item, parse_codes
from promptops.review.queue import QueueRequest, start_queue
from promptops.review.rubric import Rubric, check_code, load_rubric, rubric_of_content
from promptops.review.summary import count_codes, summarize_reviews
from promptops.versions.resolve import resolve_version
from promptops.web.context import PROJECT, Forbidden, Project, Viewer, require_role, viewer_of
from promptops.web.forms import read_form
from promptops.web.pages import BASE, render_view
from promptops.web.query import read_query
from promptops.web.shown_texts import MAX_TEXTS, fit_text, fitting_length

TAB = ("Review", "/review")
_MAX_SHOWN = 60_000  # bytes of the inputs or the answer; the page stays below 300 KB
_MAX_CODES = 20
_MAX_TARGETS = 300
_MAX_COUNTED, _MAX_NOTED = 100, 30  # codes among the results, and those of them with their notes
_MAX_VERSIONS = 12
_CODE = "code:"
_REASONS: tuple[tuple[ReviewReason, str], ...] = (
    ("failed", "that failed a check"),
    ("held", "that nobody gets before they have passed"),
    ("unsure", "on which a judge's votes differ"),
)
_SPANS = (("1d", "1 day"), ("7d", "7 days"), ("30d", "30 days"), ("365d", "a year"))
_VERDICTS = {"pass": True, "fail": False}


class ShownText(NamedTuple):
    """A text of a model or a user. ``hidden``: characters at its end that are not shown."""

    name: str
    text: str
    hidden: int


class ShownItem(NamedTuple):
    """What a reviewer sees of an item, and nothing else of its run."""

    item: ReviewItem
    queue: ReviewQueue
    rubric: Rubric
    codes: list[tuple[str, str]]
    inputs: list[ShownText]
    answer: ShownText | None
    label: ReviewLabel | None
    left: int


# ---- queues


async def _show_queues(request: web.Request) -> web.StreamResponse:
    project = request.app[PROJECT]
    queues, logged = await project.read(
        lambda registry: (list_queues(registry, limit=50), sorted(last_runs(registry)))
    )
    targets = [*await _channels(project), *logged]
    prompts = sorted({each.prompt for each in queues})
    return render_view(
        request,
        "review.html",
        queues=queues,
        prompts=prompts,
        targets=targets[:_MAX_TARGETS],
        spans=_SPANS,
        reasons=_REASONS,
    )


async def _channels(project: Project) -> list[str]:
    """What is released, as a queue is asked for; nothing where that cannot be read."""
    try:
        return await project.releases(lambda context: [str(each) for each in resolve_targets([], context)])
    except PromptopsError:
        return []


async def _start(request: web.Request) -> web.StreamResponse:
    viewer, form = require_role(request, "reviewer"), await read_form(request)
    sample = form.get("sample", "30").strip()
    if not sample.isascii() or not sample.isdigit() or len(sample) > 6:
        raise Invalid(f"{sample!r:.40} is not a number of answers")
    wanted = QueueRequest(
        target=form.get("target", "").strip(),
        by=_reviewer(viewer),
        sample=int(sample),
        since=form.get("since", "1d"),
        reasons=tuple(reason for reason, _ in _REASONS if form.get(reason)),
    )
    settings = request.app[PROJECT].settings
    queue = await request.app[PROJECT].write(lambda registry: start_queue(registry, settings, wanted))
    raise web.HTTPSeeOther(f"{BASE}/review/{queue.id}")


# ---- one answer at a time


async def _next_item(request: web.Request) -> web.StreamResponse:
    """Lend the reviewer an answer. Whoever may only look, or where nothing is left, sees how far it is."""
    project, queue, viewer = request.app[PROJECT], _number(request, "queue"), viewer_of(request)
    done = read_query(request, ("done", "deferred"))
    if project.read_only or not viewer.may("reviewer"):
        return render_view(request, "review_end.html", queue=await project.read(_queue(queue)), left=None)

    def claim(registry: RegistryDatabase) -> ShownItem | tuple[ReviewQueue, tuple[int, int]]:
        who = _reviewer(viewer)
        found = get_queue(registry, queue)
        item = claim_item(registry, queue, who, deferred="deferred" in done)
        if item is None:
            return found, count_left(registry, queue, who)
        return _shown(registry, item, who)

    shown = await project.write(claim)
    if isinstance(shown, ShownItem):
        return _item_page(request, shown, done.get("done", ""))
    return render_view(request, "review_end.html", queue=shown[0], left=shown[1])


def _queue(number: int) -> Callable[[RegistryDatabase], ReviewQueue]:
    return lambda registry: get_queue(registry, number)


async def _show_item(request: web.Request) -> web.StreamResponse:
    """An answer that the reviewer has labelled, to say something else of it."""
    who, number = _reviewer(require_role(request, "reviewer")), _number(request, "item")

    def read(registry: RegistryDatabase) -> ShownItem:
        shown = _shown(registry, get_item(registry, number), who)
        if shown.label is None or shown.label.reviewer != who:
            raise Forbidden("only whoever has labelled an answer can change the label")
        return shown

    return _item_page(request, await request.app[PROJECT].read(read), "")


def _item_page(request: web.Request, shown: ShownItem, done: str) -> web.Response:
    before = done if done.isascii() and done.isdigit() else ""
    return render_view(request, "review_item.html", shown=shown, before=before)


def _shown(registry: RegistryDatabase, item: ReviewItem, who: str) -> ShownItem:
    queue = get_queue(registry, item.queue)
    rubric = rubric_of_content(get_rubric(registry, queue.rubric) or {"questions": []})
    (run,) = runs_by_seq(registry, [item.seq])
    known = dict(rubric.codes)
    used = [code for code in frequent_codes(registry, queue.prompt, _MAX_CODES) if code not in known]
    return ShownItem(
        item=item,
        queue=queue,
        rubric=rubric,
        codes=[*known.items(), *((code, "") for code in used)][:_MAX_CODES],
        inputs=_inputs(run["inputs"] or {}),
        answer=_answer(run),
        label=label_of_item(registry, item),
        left=count_left(registry, queue.id, who)[0],
    )


def _answer(run: RunRecord) -> ShownText | None:
    """The answer with its tool calls; None where it was not kept."""
    if run["output"] is None and not run["tool_calls"]:
        return None
    calls = _text("", run["tool_calls"], _MAX_SHOWN // 2).text if run["tool_calls"] else ""
    text = run["output_json"] if run["output_json"] is not None else run["output"] or ""
    whole = _text("", text, _MAX_SHOWN)
    return whole._replace(text="\n\n".join(filter(None, (whole.text, calls))))


def _inputs(inputs: Mapping[str, Any]) -> list[ShownText]:
    shown = list(inputs.items())[:MAX_TEXTS]
    found = [_text(name, value, _MAX_SHOWN // len(shown)) for name, value in shown]
    left = len(inputs) - len(shown)
    return [*found, ShownText("…", f"{left:,} more inputs are not shown", 0)] if left else found


def _text(name: str, value: Any, most: int) -> ShownText:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    size = fitting_length(text, most)
    return ShownText(fit_text(name, 200), text[:size], len(text) - size)


async def _label(request: web.Request) -> web.StreamResponse:
    """Log what a reviewer says. It is on disk before the next answer is shown."""
    who, number = _reviewer(require_role(request, "reviewer")), _number(request, "item")
    form, log = await read_form(request), request.app[PROJECT].settings.log
    verdict = form.get("verdict", "")
    if verdict not in (*_VERDICTS, "defer"):
        raise Invalid("pass, fail or defer?")

    def write(registry: RegistryDatabase) -> int:
        queue = get_item(registry, number).queue
        if verdict == "defer":
            defer_item(registry, number, who)
            return queue
        codes = [name.removeprefix(_CODE) for name in form if name.startswith(_CODE)]
        said = ReviewLabel(
            passed=_VERDICTS[verdict],
            reviewer=who,
            rubric="",
            note=form.get("note", "").replace("\r\n", "\n"),
            codes=parse_codes([*codes, form.get("codes", "")]),
            answer=form.get("answer", "").replace("\r\n", "\n"),
        )
        label_item(registry, number, said, log)
        return queue

    queue = await request.app[PROJECT].write(write)
    raise web.HTTPSeeOther(f"{BASE}/review/{queue}" + (f"?done={number}" if verdict != "defer" else ""))


# ---- what the labels say


async def _show_results(request: web.Request) -> web.StreamResponse:
    project = request.app[PROJECT]
    prompt = read_query(request, ("prompt",)).get("prompt", "")
    summary = await project.read(lambda registry: summarize_reviews(registry, prompt))
    codes = await project.read(lambda registry: count_codes(registry, prompt))
    try:
        asks: Rubric | None = load_rubric(prompt, project.settings)
    except PromptopsError:  # the prompt has gone since, or its rubric cannot be read
        asks = None
    versions = list(dict.fromkeys(version for each in codes for version in each.versions))[:_MAX_VERSIONS]
    others = sum(n for digest, n in summary.rubrics.items() if asks and digest != asks.digest)
    return render_view(
        request,
        "review_results.html",
        summary=summary,
        codes=codes[:_MAX_COUNTED],
        more_codes=max(0, len(codes) - _MAX_COUNTED),
        noted=_MAX_NOTED,
        versions=versions,
        others=others,
        fit=lambda text: fit_text(text, 600),
    )


async def _merge(request: web.Request) -> web.StreamResponse:
    require_role(request, "reviewer")
    form = await read_form(request)
    prompt, old, new = form.get("prompt", ""), form.get("old", ""), check_code(form.get("new", ""))
    await request.app[PROJECT].write(lambda registry: merge_codes(registry, prompt, old, new))
    raise web.HTTPSeeOther(_results(prompt))


async def _make_cases(request: web.Request) -> web.StreamResponse:
    """Failures of one code become cases in the working tree; nothing is committed."""
    require_role(request, "reviewer")
    form, project = await read_form(request), request.app[PROJECT]
    prompt, code = form.get("prompt", ""), form.get("code", "")
    version = await project.releases(lambda _: resolve_version(prompt, project.settings))
    made = await project.write(lambda registry: make_cases(registry, project.settings, version, code=code))
    problems = Counter(each.problem for each in made if each.problem).most_common()
    return render_view(request, "review_cases.html", prompt=prompt, code=code, made=made, problems=problems)


async def _show_check(request: web.Request) -> web.StreamResponse:
    """A check that would look for a kind of failures, as a diff; sent as a form it is written."""
    posted = request.method == "POST"
    if posted:
        require_role(request, "reviewer")
    asked = await read_form(request) if posted else read_query(request, ("prompt", "code"))
    project, prompt, code = request.app[PROJECT], asked.get("prompt", ""), asked.get("code", "")
    settings = project.settings
    version = await project.releases(lambda _: resolve_version(prompt, settings))
    files = await project.read(lambda registry: draft_check(registry, settings, version, code))
    if posted:
        await project.releases(lambda _: write_draft(settings, files))
    return render_view(
        request,
        "review_check.html",
        prompt=prompt,
        code=code,
        judge=files[0].path.removesuffix(".yaml"),
        lines=draft_as_diff(files, settings.prompts_path).splitlines(),
        written=posted,
    )


def _results(prompt: str) -> str:
    return f"{BASE}/review/results?prompt={quote(prompt, safe='')}"


def _reviewer(viewer: Viewer) -> str:
    return viewer.actor or viewer.name


def _number(request: web.Request, name: str) -> int:
    return int(request.match_info[name])


_NUMBER = r"{%s:\d{1,15}}"
ROUTES = (
    web.get("/review", _show_queues),
    web.post("/review", _start),
    web.get("/review/results", _show_results),
    web.post("/review/codes", _merge),
    web.post("/review/cases", _make_cases),
    web.get("/review/check", _show_check),
    web.post("/review/check", _show_check),
    web.get(f"/review/{_NUMBER % 'queue'}", _next_item),
    web.get(f"/review/items/{_NUMBER % 'item'}", _show_item),
    web.post(f"/review/items/{_NUMBER % 'item'}", _label),
)
