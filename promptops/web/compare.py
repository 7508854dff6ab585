"""Compare: what differs between two versions of a prompt, and which evals and shadow runs there are."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from aiohttp import web

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.prompt import short_digest
from promptops.prompt.diff import DiffGap, PromptFieldChange, TextDiff, compare_prompts, hunk_lines
from promptops.registry import list_evals, list_shadow_runs
from promptops.release.context import ReleaseContext
from promptops.versions.release_state import ReleaseState
from promptops.versions.resolve import Version, prompt_names, resolve_version
from promptops.web.context import PROJECT, require_role
from promptops.web.eval_jobs import EVAL_JOBS, MAX_TRIALS, MAX_USD, WantedEval
from promptops.web.forms import read_form
from promptops.web.pages import BASE, render_view

T = TypeVar("T", int, float)
TAB = ("Compare", "/compare")
WORKING_TREE = "working tree"
_MAX_LISTED = 50
_MAX_TEXT = 200_000  # characters of one text whose words are compared
_MAX_REVISION = 200


@dataclass(frozen=True, slots=True)
class VersionChoices:
    """What a person may choose from: prompts, and the versions of the one that is chosen."""

    prompts: Sequence[str]
    prompt: str
    versions: Sequence[str]
    suggested: tuple[str, str]  # to compare first


@dataclass(frozen=True, slots=True)
class PromptDiff:
    old: Version
    new: Version
    changes: Sequence[PromptFieldChange]

    @property
    def digests(self) -> tuple[str, str]:
        return short_digest(self.old.prompt.digest), short_digest(self.new.prompt.digest)


async def _show(request: web.Request) -> web.StreamResponse:
    project = request.app[PROJECT]
    query = request.query
    prompt = query.get("prompt", "")[:_MAX_REVISION]
    choices = await project.releases(lambda context: _choices(context, prompt))
    old, new = (query.get(name, "")[:_MAX_REVISION].strip() for name in ("from", "to"))
    if not old and not new:
        old, new = choices.suggested
    diff = None
    if "prompt" in query and choices.prompt:
        diff = await project.releases(lambda _: _diff(project.settings, choices.prompt, old, new))
    only = choices.prompt if "prompt" in query else None
    evals = await project.read(lambda registry: list_evals(registry, only, limit=_MAX_LISTED))
    shadows = await project.read(lambda registry: list_shadow_runs(registry, only, limit=_MAX_LISTED))
    return render_view(
        request,
        "compare.html",
        choices=choices,
        old=old,
        new=new,
        diff=diff,
        only=only,
        evals=evals,
        shadows=shadows,
        hunks=_hunks,
        limit=_MAX_LISTED,
        running=request.app[EVAL_JOBS].running(),
        max_trials=MAX_TRIALS,
        max_usd=MAX_USD,
    )


def _choices(context: ReleaseContext, prompt: str) -> VersionChoices:
    """Raises NotFound for a prompt that is neither here nor released."""
    releases = context.releases()
    names = sorted({*prompt_names(context.settings), *releases})
    if prompt and prompt not in names:
        raise NotFound(f"there is no prompt {prompt}", hint="choose one of the list")
    chosen = prompt or (names[0] if names else "")
    state = releases.get(chosen)
    return VersionChoices(names, chosen, _versions(state), _suggested(state))


def _versions(state: ReleaseState | None) -> list[str]:
    """As the fields of the form take them: channels and released versions first, what is at work last."""
    channels = [f":{name}" for name in sorted(state.channels)] if state else []
    released = {found.version for found in state.named()} if state else set()
    return [*channels, *sorted(released), "HEAD", WORKING_TREE]


def _suggested(state: ReleaseState | None) -> tuple[str, str]:
    """What is live, and what comes next: a canary, else the working tree."""
    channels = sorted(state.channels.items()) if state else []
    for name, channel in channels:
        if channel.canary:
            return f":{name}", channel.canary.version
    return (f":{channels[0][0]}" if channels else "HEAD"), WORKING_TREE


async def _start_eval(request: web.Request) -> web.StreamResponse:
    """Evaluate one version against another: it spends money, so that it takes who may release."""
    viewer = require_role(request, "approver")
    form, project = await read_form(request), request.app[PROJECT]
    prompt = form.get("prompt")
    if not prompt:
        raise Invalid("the form names no prompt", hint="load the page again")
    choices = await project.releases(lambda context: _choices(context, prompt))
    old, new = (form.get(name, "")[:_MAX_REVISION].strip() for name in ("from", "to"))
    wanted = WantedEval(
        candidate=_reference(choices.prompt, new),
        control=_reference(choices.prompt, old),
        trials=_number(form, "trials", 1, MAX_TRIALS),
        max_usd=_number(form, "max_usd", 0, MAX_USD),
    )
    job = request.app[EVAL_JOBS].start(wanted, viewer.name)
    raise web.HTTPSeeOther(f"{BASE}/compare/evals/{job.identity}")


async def _show_job(request: web.Request) -> web.StreamResponse:
    job = request.app[EVAL_JOBS].find(request.match_info["identity"])
    if job.eval_id:
        raise web.HTTPSeeOther(f"{BASE}/evals/{job.eval_id}")
    answer = render_view(request, "eval_job.html", job=job)
    if not job.ended:
        answer.headers["Refresh"] = "2"
    return answer


def _number(form: Mapping[str, str], name: str, least: float, most: T) -> T:
    """Raises Invalid for what is no number within its bounds."""
    try:
        value = type(most)(form.get(name, ""))
    except ValueError:
        value = None
    if value is None or not least <= value <= most:
        raise Invalid(f"{name} is a number from {least:g} to {most:g}")
    return value


def _diff(settings: Settings, prompt: str, old: str, new: str) -> PromptDiff:
    before, after = (resolve_version(_reference(prompt, each), settings) for each in (old, new))
    return PromptDiff(before, after, compare_prompts(before.prompt, after.prompt))


def _reference(prompt: str, version: str) -> str:
    """``:production`` is a channel, anything else a version or a revision of git."""
    if version in ("", WORKING_TREE):
        return prompt
    return f"{prompt}{version}" if version[:1] in ("@", ":") else f"{prompt}@{version}"


def _hunks(text: TextDiff) -> list[dict[str, Any]]:
    """Lines of segments, and gaps of unchanged lines."""
    if max(len(text.old or ""), len(text.new or "")) > _MAX_TEXT:
        return [{"gap": (text.old or "").count("\n") + 1, "segments": ()}]
    return [
        {"gap": line.lines, "segments": ()}
        if isinstance(line, DiffGap)
        else {"gap": 0, "segments": line.segments}
        for line in hunk_lines(text.segments)
    ]


ROUTES = (
    web.get("/compare", _show),
    web.post("/compare/evals", _start_eval),
    web.get("/compare/evals/{identity}", _show_job),
)
