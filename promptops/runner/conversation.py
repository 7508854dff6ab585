"""A run that goes on from an earlier one: what may be gone on from, and what is sent next.

Each turn is a run of its own, complete by itself: its inputs hold what was said before. Its metadata names
the run before it (``parent``) and the conversation (``session``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound, WrongUsage
from promptops.prompt import short_digest
from promptops.prompt.conversation import ConversationForm, awaited_input, conversation_form
from promptops.registry import (
    PARENT,
    RegistryDatabase,
    RunRecord,
    StartedRun,
    logged_start,
    rebuild_messages,
    without_held_text,
)
from promptops.versions.resolve import Version, resolve_version

SESSION = "session"
ADDED = "conversation"
"""Among a run's overrides: the input that the history was added to its prompt by."""

_OF_ITS_CALL = frozenset({"replay_of", "judged_run", "check", PARENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierTurn:
    """A run that was answered: how it came about, what was sent, and the answer."""

    started: StartedRun
    messages: Sequence[Mapping[str, Any]]
    answer: str

    @property
    def session(self) -> str:
        return str(self.started.metadata.get(SESSION) or self.started.run_id)

    @property
    def overrides(self) -> dict[str, Any]:
        """What ``--model`` and ``--set`` changed; a conversation goes on with that."""
        ours = (ADDED, "caller_tools")
        return {key: value for key, value in self.started.overrides.items() if key not in ours}

    def metadata(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What is logged with the next turn: what was logged with this one, and what is given now."""
        kept = {key: value for key, value in self.started.metadata.items() if key not in _OF_ITS_CALL}
        return {**kept, SESSION: self.session, **given, PARENT: self.started.run_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTurn:
    """What is sent; ``added``: the input of a history that the prompt itself lacks."""

    version: Version
    inputs: Mapping[str, Any]
    added: str | None = None
    change: str = ""  # since the earlier turn

    @property
    def overrides(self) -> dict[str, Any]:
        return {ADDED: self.added} if self.added else {}


def read_earlier_turn(registry: RegistryDatabase, run: RunRecord, settings: Settings) -> EarlierTurn:
    """A logged run to go on from. Raises Invalid for one whose texts are not there as they were."""
    run = without_held_text(registry, run)
    run_id = run["run_id"]
    if problem := unanswered(run):
        raise Invalid(f"run {run_id} {problem}", hint="name another one: --run RUN")
    if (run["redacted"] or {}).get("outputs"):
        raise NotFound(
            f"the answer of run {run_id} was redacted before it was logged: nothing can go on from it",
            hint="name another one: --run RUN, or begin again",
        )
    messages = rebuild_messages(registry, run, lambda name: resolve_version(name, settings).prompt)
    return EarlierTurn(started=logged_start(registry, run_id), messages=messages, answer=run["output"])


def unanswered(run: RunRecord) -> str:
    """Why nothing can go on from a run, as the end of a sentence that begins with it; "" where it can."""
    if run["held"] not in (None, "released"):
        return f"has an answer that is held ({run['held']}): nothing goes on from it before it is released"
    if run["tool_calls"]:
        return "asks for tools, and promptops runs none: give their results as an input of type messages"
    if run["state"] == "started":
        return "has not been answered"
    if not run["output"]:
        failed = run["error"] and f"failed: {run['error']['message'] or run['error']['type']}"
        return failed or "has no answer in the log: it was empty, not stored, or erased"
    return "" if run["state"] in ("finished", "interrupted") else f"failed: {run['error']['message']}"


def first_turn(version: Version, text: str | None, given: Mapping[str, Any]) -> NextTurn:
    """What is sent first: the prompt with its inputs, one of which ``text`` may be, or ``text`` behind it."""
    form = conversation_form(version.prompt)
    name = awaited_input(version.prompt, given)
    inputs = dict(given) if form.added else {form.history: [], **given}
    if text is None:
        return NextTurn(version=version, inputs=inputs)
    if name:
        return NextTurn(version=version, inputs={**inputs, name: text})
    added = form.history if form.added else None
    longer = replace(version, prompt=form.prompt) if form.added else version
    return NextTurn(version=longer, inputs=form.first_inputs(inputs, text), added=added)


def next_turn(version: Version, earlier: EarlierTurn, text: str | None, given: Mapping[str, Any]) -> NextTurn:
    """What is sent behind an earlier turn: ``text``, in the prompt's own input for it where there is one."""
    form = conversation_form(version.prompt)
    added = form.history if form.added else None
    before = earlier.started.overrides.get(ADDED)
    if before is not None and before != added:
        raise Invalid(
            f"{version.prompt.name} takes a conversation in another way than at run {earlier.started.run_id}",
            hint="begin another conversation, or name the version that it was: NAME@REV",
        )
    inputs = form.next_inputs(earlier.started.inputs or {}, earlier.messages, earlier.answer)
    inputs = _with_message(form, inputs, text, given)
    changed = form.prompt.digest if before is not None else version.prompt.digest
    prompt = form.prompt if form.added else version.prompt
    return NextTurn(
        version=replace(version, prompt=prompt),
        inputs=inputs,
        added=added,
        change="" if changed == earlier.started.digest else _describe_change(version, earlier),
    )


def _with_message(
    form: ConversationForm, inputs: Mapping[str, Any], text: str | None, given: Mapping[str, Any]
) -> dict[str, Any]:
    name = form.prompt.name
    if given and form.added:
        raise WrongUsage(
            f"{name} has no place for a chat history, so its inputs are those of the first message",
            hint="give the next message as it is: promptops run -c MESSAGE",
        )
    if form.text is not None and text is None and form.text in given:
        return {**inputs, **given}
    if text is None or (form.text is not None and form.text in given):
        twice = text is not None
        raise WrongUsage(
            f"the next message is given twice, as words and as `{form.text}`" if twice else "what is next?",
            hint=f"promptops run {name} -c MESSAGE",
        )
    return form.first_inputs({**inputs, **given}, text)


def _describe_change(version: Version, earlier: EarlierTurn) -> str:
    now = version.version or short_digest(version.prompt.digest)
    was = (version.version and earlier.started.version) or short_digest(earlier.started.digest)
    name, run_id = version.prompt.name, earlier.started.run_id
    return f"{name} is another version now than at run {run_id}: {now}, and {was} then"
