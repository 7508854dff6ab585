"""The calls that checks ask for during an eval: within its budget and pace, and found again in the cache."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from promptops.checks import GraderCall, GraderReply
from promptops.errors import OverBudget
from promptops.prompt import Prompt
from promptops.runner import RunContext
from promptops.runner.batch import BatchEngine, BatchItem
from promptops.runner.model_graded import JudgeResolver
from promptops.versions.resolve import Version

_MAX_VOTES = 101


@dataclass(slots=True, kw_only=True)
class BatchGraderClient:
    """Makes further calls for one answer. A judge never learns which side that was."""

    engine: BatchEngine
    judges: JudgeResolver
    version: Version
    eval_id: str
    run_id: str
    trial: int
    spent_usd: float = 0.0
    over_budget: OverBudget | None = None  # a check that cannot say is an error; this is none of the case's

    def prompt(self, reference: str) -> Prompt:
        return self.judges.version(reference).prompt

    async def ask(self, call: GraderCall) -> GraderReply:
        version = self.version if call.reference is None else self.judges.version(call.reference)
        origin = RunContext(
            kind="judge",
            trial=self.trial * _MAX_VOTES + call.trial,
            metadata={"judged_run": self.run_id, "check": call.check},
            eval_id=self.eval_id,
        )
        try:
            run = await self.engine.run(BatchItem(version=version, inputs=call.inputs, origin=origin))
        except OverBudget as error:
            self.over_budget = error
            raise
        end = run.finished
        self.spent_usd += end.spent_usd or 0.0
        problem = f"{end.error_type}: {end.error_message}" if end.error_type else ""
        return GraderReply(output=end.output or "", error=problem)

    async def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        from promptops.providers.embeddings import embed

        return await embed(model, texts, os.environ)
