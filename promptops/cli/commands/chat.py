"""``promptops chat``: a conversation in the terminal."""

from promptops.cli.chat_start import start_chat
from promptops.cli.options.common import ReferenceArgument
from promptops.cli.options.groups import with_option_groups
from promptops.cli.options.run_calls import RunCall, read_run_call


@with_option_groups(call=read_run_call)
def chat(reference: ReferenceArgument, *, call: RunCall) -> int:
    """Talk with a version, a message after the other. Each turn is a logged run.

    The prompt renders the first message; for one text that its inputs lack you are asked first. quit, exit
    or Ctrl-D ends, Ctrl-C cuts an answer, !help lists what else there is. From a pipe each line is a message.
    """
    execution, options, earlier = call
    return start_chat(execution, reference, options, earlier)
