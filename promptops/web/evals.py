"""One eval or shadow run: every answer, cases by versions, filtered, sorted, and as CSV."""

from itertools import islice

from aiohttp import web

from promptops.dataclass import dataclass
from promptops.evaluation.shadow.stored import side_infos, stored_pairs, stored_summary
from promptops.evaluation.stored_answers import MAX_STORED_CASES, read_stored_answers
from promptops.registry import ULID_LENGTH, RegistryDatabase, find_eval, get_shadow_run
from promptops.reports.texts import clip
from promptops.web.answer_table import FILTERS, ORDERS, AnswerTable, eval_table, shadow_table
from promptops.web.context import PROJECT
from promptops.web.pages import render_view
from promptops.web.query import read_choice, read_number, read_query

_MAX_ANSWER, _MAX_INPUT = 400, 160  # characters that a page shows of one
_MAX_INPUTS = 4
_MAX_ID = 2 * ULID_LENGTH


@dataclass(frozen=True, slots=True, kw_only=True)
class _Comparison:
    """One eval or shadow run as its page shows it."""

    kind: str
    identity: str
    prompt: str
    verdict: str
    sentence: str
    started_at: str
    finished_at: str | None
    left_out: int
    table: AnswerTable


async def _eval(request: web.Request) -> web.StreamResponse:
    identity = _identity(request)
    return await _show(request, await request.app[PROJECT].read(lambda log: _read_eval(log, identity)))


async def _shadow(request: web.Request) -> web.StreamResponse:
    identity = _identity(request)
    return await _show(request, await request.app[PROJECT].read(lambda log: _read_shadow(log, identity)))


def _read_eval(registry: RegistryDatabase, identity: str) -> _Comparison:
    answers = read_stored_answers(registry, identity)
    record = find_eval(registry, identity)
    verdicts = record.verdicts if record else {}
    return _Comparison(
        kind="eval",
        identity=identity,
        prompt=answers.sides[-1].prompt,
        verdict=verdicts.get("verdict", ""),
        sentence=verdicts.get("sentence", ""),
        started_at=record.started_at if record else "",
        finished_at=record.finished_at if record else None,
        left_out=answers.left_out,
        table=eval_table(answers),
    )


def _read_shadow(registry: RegistryDatabase, identity: str) -> _Comparison:
    row = get_shadow_run(registry, identity)
    stored = stored_pairs(registry, row)
    pairs = list(islice(stored, MAX_STORED_CASES))
    left_out = sum(1 for _ in stored)
    summary = stored_summary(registry, row)
    return _Comparison(
        kind="shadow run",
        identity=row.shadow_id,
        prompt=row.prompt,
        verdict=summary["verdict"],
        sentence=summary["sentence"],
        started_at=row.started_at,
        finished_at=row.finished_at,
        left_out=left_out,
        table=shadow_table([side.label for side in side_infos(row.about)], pairs),
    )


async def _show(request: web.Request, found: _Comparison) -> web.StreamResponse:
    query = read_query(request, ("format", "show", "sort", "page"))
    if query.get("format") == "csv":
        name = f"{found.kind.split(maxsplit=1)[0]}-{found.identity}.csv"
        return web.Response(
            text=found.table.csv(),
            content_type="text/csv",
            charset="utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
    show, order = read_choice(query, "show", FILTERS, "all"), read_choice(query, "sort", ORDERS, "differ")
    page = found.table.page(show=show, order=order, number=read_number(query, "page", least=1))
    return render_view(
        request,
        "answer_table.html",
        found=found,
        page=page,
        counts=found.table.counts(),
        passed=found.table.passed(),
        show=show,
        order=order,
        orders=tuple(ORDERS),
        here=request.path,
        answer=lambda text: clip(text, _MAX_ANSWER),
        given=lambda text: clip(text, _MAX_INPUT),
        max_inputs=_MAX_INPUTS,
    )


def _identity(request: web.Request) -> str:
    return request.match_info["identity"][:_MAX_ID]


ROUTES = (web.get("/evals/{identity}", _eval), web.get("/shadow/{identity}", _shadow))
