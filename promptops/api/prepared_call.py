"""A call that is handed out, to be made by a client of the application's own."""

import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from promptops.errors import Invalid
from promptops.runner import PreparedRun, ReportedResult, Run

Finish = Callable[[PreparedRun, ReportedResult], Run]
AsyncFinish = Callable[[PreparedRun, ReportedResult], Awaitable[Run]]


class CallReport(TypedDict, total=False):
    """What the application knows of a call that it made."""

    output: str | None
    tool_calls: Sequence[Mapping[str, Any]] | None
    input_tokens: int | None
    output_tokens: int | None
    error: str | BaseException | None
    response_model: str | None


class PreparedCall:
    """A call that the application makes itself.

    ``digest`` is the version's; ``arm`` is stable or canary while there is a canary, else None.
    """

    def __init__(self, prepared: PreparedRun, finish: Finish, afinish: AsyncFinish) -> None:
        prompt = prepared.version.prompt
        self.run_id = prepared.started.run_id
        self.messages = list(prepared.rendered.messages)
        self.model = prompt.model
        self.parameters = dict(prompt.parameters)
        self.tools = [dict(tool) for tool in prompt.tools]
        self.output_schema = prompt.output_schema
        self.digest = f"sha256:{prompt.digest}"
        self.version = prepared.version.version
        self.arm = prepared.started.arm
        self._finish = finish
        self._afinish = afinish
        self._prepared: PreparedRun | None = prepared
        self._lock = threading.Lock()

    def finish(self, **report: Unpack[CallReport]) -> Run:
        """Log how it ended: with an ``output`` or ``tool_calls``, which are checked, or an ``error``. Once.

        ``tool_calls`` are those of an answer as OpenAI writes them, [] for none; without them checks on calls
        cannot say. Also ``input_tokens``, ``output_tokens`` and ``response_model``, as far as they are known.
        """
        result = _reported_result(**report)
        return self._finish(self._take(), result)

    async def afinish(self, **report: Unpack[CallReport]) -> Run:
        result = _reported_result(**report)
        return await self._afinish(self._take(), result)

    def _take(self) -> PreparedRun:
        with self._lock:
            prepared, self._prepared = self._prepared, None
        if prepared is None:
            raise Invalid(f"run {self.run_id} has ended already", hint=f"promptops runs show {self.run_id}")
        return prepared


def _reported_result(
    output: str | None = None,
    tool_calls: Sequence[Mapping[str, Any]] | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    error: str | BaseException | None = None,
    response_model: str | None = None,
) -> ReportedResult:
    return ReportedResult(
        output=output,
        tool_calls=tool_calls,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        error=None if error is None else str(error) or type(error).__name__,
        response_model=response_model,
    )
