"""``promptops render``: the messages a version sends."""

import os
from collections.abc import Mapping
from typing import Annotated, Any

from promptops.cli.options.common import InputOption, InputsOption, JsonOption, ReferenceArgument, read_inputs
from promptops.cli.options.flags import watch_option
from promptops.config.settings import current_settings
from promptops.console import print_json, print_styled, print_text
from promptops.prompt import Prompt
from promptops.prompt.chat import message_text
from promptops.prompt.render import render_prompt as render_messages
from promptops.prompt.untrusted import NO_NONCE
from promptops.versions.resolve import resolve_version

WatchOption = Annotated[bool, watch_option("Print again whenever a file of the prompt or an input is saved.")]


def render(
    reference: ReferenceArgument,
    given: InputOption = None,
    inputs: InputsOption = None,
    watch: WatchOption = False,
    as_json: JsonOption = False,
) -> int:
    """Print the messages a version sends for given inputs. Nothing is called or logged."""
    settings = current_settings()
    if not watch:
        prompt = resolve_version(reference, settings).prompt
        _print(prompt, read_inputs(prompt, given, inputs), as_json=as_json)
        return 0
    from promptops.cli.watching import WatchedFiles
    from promptops.cli.watching import watch as watch_files

    files = WatchedFiles(settings, reference, given, inputs)

    def again() -> None:
        prompt = resolve_version(reference, settings).prompt
        files.loaded(prompt.closure)
        _print(prompt, read_inputs(prompt, given, inputs, stdin=False), as_json=as_json)

    return watch_files(files, again)


def _print(prompt: Prompt, values: Mapping[str, Any], *, as_json: bool) -> None:
    nonce = os.urandom(len(NO_NONCE) // 2).hex() if prompt.untrusted_inputs else NO_NONCE
    rendered = render_messages(prompt, values, nonce)
    if as_json:
        print_json(list(rendered.messages))
        return
    for message in rendered.messages:
        print_styled([(f"── {message['role']}", "bold")])
        print_text(message_text(message))
