"""``promptops render``: the messages a version sends."""

from promptops.cli.options.common import InputOption, InputsOption, JsonOption, ReferenceArgument, read_inputs
from promptops.config.settings import current_settings
from promptops.console import print_json, print_styled, print_text
from promptops.prompt.chat import message_text
from promptops.prompt.render import render_prompt as render_messages
from promptops.versions.resolve import resolve_version


def render(
    reference: ReferenceArgument,
    given: InputOption = None,
    inputs: InputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the messages a version sends for given inputs. Nothing is called or logged."""
    prompt = resolve_version(reference, current_settings()).prompt
    rendered = render_messages(prompt, read_inputs(prompt, given, inputs))
    if as_json:
        print_json(list(rendered.messages))
        return
    for message in rendered.messages:
        print_styled([(f"── {message['role']}", "bold")])
        print_text(message_text(message))
