"""A conversation in the terminal: each turn is a run that goes on from the one before."""

import asyncio
from dataclasses import field, replace

from promptops.cli.chat_input import ChatCommand, ChatInput
from promptops.cli.planned_call import RunOptions
from promptops.cli.run_execution import RunExecution
from promptops.config.text import InvalidAt
from promptops.console import note, note_error, print_text
from promptops.dataclass import dataclass
from promptops.errors import ExitCode, OverBudget, PromptopsError, Undecided
from promptops.prompt.render import estimate_tokens
from promptops.providers.types import ModelError
from promptops.redaction import redact_sent_keys
from promptops.reports.numbers import pluralize
from promptops.runner import PreparedRun, Run
from promptops.runner.conversation import EarlierTurn

_NOT_BEGUN = "the first message has not been answered yet: !retry sends it again"


@dataclass(slots=True, kw_only=True)
class ChatSession:
    """``opening``: the input that the first words are, "" for a message, None where none are needed."""

    execution: RunExecution
    reference: str
    options: RunOptions
    opening: str | None
    earlier: EarlierTurn | None = None
    is_terminal: bool = False  # a person is there, who may cut an answer and go on
    code: int = 0  # of the last turn
    unsent: str | None = None  # what !retry sends
    prepared: list[PreparedRun] = field(default_factory=list)  # the turn under way

    def hold(self, chat: ChatInput) -> int:
        """Take turns until the person ends it; the exit code. For a script that of the last turn."""
        with asyncio.Runner() as loop:
            if self.earlier is None and self.opening is None:
                self._turn(loop, None)
            while (said := chat.next(self._label())) is not ChatCommand.END:
                self._answer(loop, said)
        return 0 if self.is_terminal else self.code

    def _label(self) -> str:
        return self.opening or "" if self.earlier is None else ""

    def _answer(self, loop: asyncio.Runner, said: str | ChatCommand) -> None:
        begins = self.earlier is None and self.opening is None
        if isinstance(said, str) and not begins:
            self._turn(loop, said)
        elif isinstance(said, str):
            note(_NOT_BEGUN)
        elif begins or self.unsent is not None:
            self._turn(loop, self.unsent)
        else:
            note("every message has been answered")

    def _turn(self, loop: asyncio.Runner, text: str | None) -> None:
        """One run. What fails is said, and the chat goes on, but without money or an answer to go on from."""
        self.unsent = text
        try:
            self.code = self._make(loop, text)
        except (OverBudget, Undecided):
            raise
        except PromptopsError as error:
            if text is None and not isinstance(error, ModelError):
                raise  # nothing that is said next makes it better
            self.code = error.exit_code
            note_error(error)
            self._note_length(error)
        except KeyboardInterrupt:
            if not self.is_terminal:
                raise
            note("\ninterrupted; !retry sends the message again")

    def _make(self, loop: asyncio.Runner, text: str | None) -> int:
        execution = self.execution
        given = replace(self.options, earlier=self.earlier, text=text, converses=True)
        if self.earlier is not None:  # they are of the first message
            given = replace(given, inputs=None, inputs_file=None)
        self.prepared.clear()
        heard: list[str] = []
        with execution.plan(self.reference, given) as call:
            execution = replace(execution, before=self.prepared.append)
            try:
                done, streamed = loop.run(execution.make(call, heard))
            except KeyboardInterrupt:
                if not "".join(heard).strip():
                    raise
                return self._cut("".join(heard))
        try:
            return execution.print(done, streamed=streamed)
        finally:
            self._go_on(done)
            if execution.log:
                call.answered(done)

    def _cut(self, partial: str) -> int:
        """Ctrl-C: what had come stays in the conversation, as the person has read it."""
        if not self.is_terminal:
            raise KeyboardInterrupt
        print_text("")
        self._advance(redact_sent_keys(partial, cut=True))
        note("interrupted: the conversation goes on from what had come")
        return ExitCode.INTERRUPTED

    def _go_on(self, done: Run) -> None:
        if done.tool_calls:
            note("the answer asks for tools, and promptops runs none: this turn is left out of what follows")
        elif done.error is None and done.text and not done.held:
            self._advance(done.text)
        elif done.error is None and not done.held:
            note("there is no answer: this turn is left out of what follows")

    def _advance(self, answer: str) -> None:
        (prepared,) = self.prepared
        self.unsent = None
        self.earlier = EarlierTurn(
            started=prepared.started, messages=prepared.rendered.messages, answer=answer
        )

    def _note_length(self, error: PromptopsError) -> None:
        """What to do about a conversation that no longer fits."""
        full = isinstance(error, ModelError) and error.type == "context_exceeded"
        if not full and not (isinstance(error, InvalidAt) and error.problem.rule == "budget"):
            return
        about = f" ({_size(self.prepared[-1])})" if self.prepared else ""
        note(
            f"the conversation{about} is too long for the model: shorten the message, begin another chat, "
            "or go on with a model that takes more: promptops chat NAME -c --model MODEL"
        )


def _size(prepared: PreparedRun) -> str:
    messages = prepared.rendered.messages
    return f"{pluralize(len(messages), 'message')}, about {pluralize(estimate_tokens(messages), 'token')}"
