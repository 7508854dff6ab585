"""Results of a comparison taken one after another, whatever they come from, until the verdict is in."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from promptops.dataclass import dataclass
from promptops.errors import OverBudget
from promptops.runner.batch import BatchEngine, OnProgress, interruptible

Result = TypeVar("Result")


@dataclass(slots=True)
class ComparisonLoop:
    """``runs``: how many there will be at most."""

    engine: BatchEngine
    runs: int
    on_progress: OnProgress | None = None
    interrupted: bool = False
    over_budget: OverBudget | None = None

    async def consume(
        self, results: AsyncGenerator[Result, None], count: Callable[[Result], Awaitable[bool]]
    ) -> None:
        """``count`` says whether no further call is needed.

        What is under way then still counts: the evidence may be looked at at any time.
        """
        with interruptible(self.engine, self):
            try:
                async with aclosing(results) as stream:
                    async for result in stream:
                        if await count(result):
                            self.engine.stop()
                        if self.on_progress:
                            self.on_progress(self.engine.tally, self.runs)
            except OverBudget as error:
                self.over_budget = error
        self.over_budget = self.over_budget or self.engine.over_budget
