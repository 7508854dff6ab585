"""``POST /v1/feedback`` and ``GET /v1/runs/ID``: runs of the caller, and what is said of them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import NotFound
from promptops.gateway.access import Access, Caller
from promptops.gateway.answers import json_answer
from promptops.gateway.body import read_object, text_in, wrong_type
from promptops.gateway.errors import ApiError
from promptops.registry import (
    ULID_LENGTH,
    RegistryDatabase,
    RunRecord,
    get_run,
    outcomes_of_feedback,
    without_held_text,
    without_rejected_text,
)
from promptops.service import Service

if TYPE_CHECKING:
    from promptops.registry import Feedback

_KEYS = frozenset({"run_id", "thumbs", "metric", "value", "comment", "edit", "occurred_at"})
_TEXTS = ("run_id", "metric", "comment", "edit", "occurred_at")
_MAX_ITEMS = 1_000
_MAX_TEXT = 100_000


@dataclass(frozen=True, slots=True)
class RunRecords:
    """What is logged of runs, for those who made them."""

    service: Service
    access: Access
    settings: Settings

    async def get(self, request: web.Request) -> web.Response:
        caller, run_id = self.access.caller(request), request.match_info["run_id"]
        return json_answer(
            await self.service.journal.with_registry(
                lambda registry: without_held_text(
                    registry, without_rejected_text(own_run(registry, caller, run_id))
                )
            )
        )

    async def add_feedback(self, request: web.Request) -> web.Response:
        """One outcome, or ``{"feedback": [...]}``: all are looked at before the first is logged."""
        caller, body = self.access.caller(request), await read_object(request)
        many = body.get("feedback")
        items = [body] if many is None else many
        if (
            not isinstance(items, list)
            or len(items) > _MAX_ITEMS
            or not all(isinstance(each, dict) for each in items)
        ):
            raise wrong_type("feedback", f"a list of at most {_MAX_ITEMS:,} objects")
        outcomes_by_run = [(str(each.get("run_id")), self._outcomes(each)) for each in items]

        def check(registry: RegistryDatabase) -> None:
            for run_id, _ in outcomes_by_run:
                own_run(registry, caller, run_id)

        await self.service.journal.with_registry(check)
        new = 0
        for run_id, outcomes in outcomes_by_run:
            new += await self.service.feedback(run_id, outcomes)
        return json_answer({"new": new, "known": sum(len(outcomes) for _, outcomes in outcomes_by_run) - new})

    def _outcomes(self, item: Mapping[str, Any]) -> Any:
        if unknown := item.keys() - _KEYS:
            raise ApiError(400, f"feedback has no key `{min(unknown)[:60]}`", "unknown_parameter")
        texts = {name: text_in(item, name, longest=_MAX_TEXT) for name in _TEXTS}
        feedback = {name: value for name, value in {**item, **texts}.items() if value is not None}
        return outcomes_of_feedback(feedback.pop("run_id", ""), cast("Feedback", feedback), self.settings.log)


def own_run(registry: RegistryDatabase, caller: Caller, run_id: str) -> RunRecord:
    """Raises ApiError for a run of somebody else as for none: its id tells nothing."""
    said = f"no run {run_id[:ULID_LENGTH]}; give a whole run id, of X-Promptops-Run-Id"
    problem = ApiError(404, said, "run_not_found", "run_id")
    if len(run_id) != ULID_LENGTH:
        raise problem
    try:
        run = get_run(registry, run_id)
    except NotFound:
        raise problem from None
    if caller.key is not None and run["tenant"] != caller.tenant:
        raise problem
    return run
