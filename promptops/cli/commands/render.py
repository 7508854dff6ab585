"""``promptops render``: the messages a version sends."""

from promptops.cli.options.common import InputOption, InputsOption, JsonOption, ReferenceArgument, read_inputs
from promptops.config.settings import current_settings
from promptops.console import print_json, print_styled, print_text
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
        print_text(_shown(message["content"]))


def _shown(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(part.get("text") or _image(part) for part in content)
    return str(content)


def _image(part: dict[str, dict[str, str]]) -> str:
    kind, _, data = part["image_url"]["url"].partition(";base64,")
    size = len(data) * 3 // 4 - data[-2:].count("=")
    return f"[{kind.removeprefix('data:')}, {size} bytes]"
