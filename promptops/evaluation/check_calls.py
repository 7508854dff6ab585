"""The calls that checks ask for during an eval: within its budget and pace, and found again in the cache."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from promptops.checks import FurtherCall, FurtherReply
from promptops.errors import OverBudget
from promptops.prompt import Prompt
from promptops.runner import Origin
from promptops.runner.batch import Engine, Item
from promptops.runner.model_graded import Judges
from promptops.versions.resolve import Version

_MOST_VOTES = 101


@dataclass(slots=True, kw_only=True)
class Asking:
    """Makes further calls for one answer. A judge never learns which side that was."""

    engine: Engine
    judges: Judges
    version: Version
    eval_id: str
    run_id: str
    trial: int
    spent_usd: float = 0.0
    over_budget: OverBudget | None = None  # a check that cannot say is an error; this is none of the case's

    def prompt(self, reference: str) -> Prompt:
        return self.judges.version(reference).prompt

    async def ask(self, call: FurtherCall) -> FurtherReply:
        version = self.version if call.reference is None else self.judges.version(call.reference)
        origin = Origin(
            kind="judge",
            trial=self.trial * _MOST_VOTES + call.trial,
            metadata={"judged_run": self.run_id, "check": call.check},
            eval_id=self.eval_id,
        )
        try:
            run = await self.engine.run(Item(version=version, inputs=call.inputs, origin=origin))
        except OverBudget as error:
            self.over_budget = error
            raise
        end = run.finished
        self.spent_usd += end.spent_usd or 0.0
        problem = f"{end.error_type}: {end.error_message}" if end.error_type else ""
        return FurtherReply(output=end.output or "", error=problem)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        from promptops.providers.embeddings import embed

        return await embed(model, texts, os.environ)
