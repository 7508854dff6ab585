"""How a chat begins: from the prompt's first message, or from where an earlier one was left."""

from dataclasses import replace

from promptops.cli.chat_input import ChatInput
from promptops.cli.chat_session import ChatSession
from promptops.cli.earlier_run import find_earlier_turn
from promptops.cli.options.common import read_inputs
from promptops.cli.planned_call import RunOptions
from promptops.cli.run_execution import RunExecution
from promptops.console import note_dimly
from promptops.errors import WrongUsage
from promptops.prompt.conversation import awaited_input
from promptops.prompt.render import validate_inputs
from promptops.registry import new_run_id
from promptops.reports.numbers import pluralize
from promptops.runner.conversation import SESSION
from promptops.versions.resolve import Version, resolve_version


def start_chat(execution: RunExecution, reference: str, options: RunOptions, earlier: str | None) -> int:
    """``earlier``: the run that it goes on from, "" for one's own last."""
    if options.inputs_file == "-" or any(pair.endswith("=@-") for pair in options.inputs or ()):
        raise WrongUsage("stdin has the messages of a chat, and no input", hint="give a file: -i NAME=@FILE")
    version = resolve_version(reference, execution.settings)  # what is wrong with it is said at once
    chat = ChatInput()
    if earlier is not None:
        session = _continued(execution, version, options, earlier)
    else:
        session = _new(execution, version, options)
    session.is_terminal = chat.is_terminal
    if chat.is_terminal and not execution.quiet:
        note_dimly(f"{version.pasteable}, {_model(session, version)}: !help explains, quit or Ctrl-D ends")
    return session.hold(chat)


def _new(execution: RunExecution, version: Version, options: RunOptions) -> ChatSession:
    prompt = version.prompt
    given = read_inputs(prompt, options.inputs, options.inputs_file, stdin=False)
    if version.channel is None:  # a canary may take others
        optional = {name: replace(one, required=False) for name, one in prompt.inputs.items()}
        validate_inputs(replace(prompt, inputs=optional), given)
    metadata = {SESSION: new_run_id(), **options.metadata}
    return ChatSession(
        execution=execution,
        reference=version.reference,
        options=replace(options, metadata=metadata),
        opening=awaited_input(version.prompt, given),
    )


def _continued(execution: RunExecution, version: Version, options: RunOptions, run: str) -> ChatSession:
    if options.inputs or options.inputs_file:
        raise WrongUsage(
            "inputs are of the first message, and a conversation that goes on has one",
            hint="leave -i and --inputs out, or leave -c and --run out",
        )
    earlier = find_earlier_turn(execution.settings, version.prompt.name, run)
    if not execution.quiet:
        sent = pluralize(len(earlier.messages) + 1, "message")
        note_dimly(f"going on from run {earlier.started.run_id}, behind {sent}")
    return ChatSession(
        execution=execution,
        reference=version.reference,
        options=options,
        opening=None,
        earlier=earlier,
    )


def _model(session: ChatSession, version: Version) -> str:
    before = session.earlier.overrides.get("model") if session.earlier else None
    return str(session.options.model or before or version.prompt.model)
