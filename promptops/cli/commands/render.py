"""``promptops render``: the messages a version sends."""

import os

from promptops.cli.options.common import InputOption, InputsOption, JsonOption, ReferenceArgument, read_inputs
from promptops.config.settings import current_settings
from promptops.console import print_json, print_styled, print_text
from promptops.prompt.chat import message_text
from promptops.prompt.render import render_prompt as render_messages
from promptops.prompt.untrusted import NO_NONCE
from promptops.versions.resolve import resolve_version


def render(
    reference: ReferenceArgument,
    given: InputOption = None,
    inputs: InputsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the messages a version sends for given inputs. Nothing is called or logged."""
    prompt = resolve_version(reference, current_settings()).prompt
    nonce = os.urandom(len(NO_NONCE) // 2).hex() if prompt.untrusted_inputs else NO_NONCE
    rendered = render_messages(prompt, read_inputs(prompt, given, inputs), nonce)
    if as_json:
        print_json(list(rendered.messages))
        return
    for message in rendered.messages:
        print_styled([(f"── {message['role']}", "bold")])
        print_text(message_text(message))
