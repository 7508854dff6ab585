"""Options that several verbs share, and how inputs are read from the command line."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from promptops.cli.options.flags import inputs_option, model_option, out_option, set_option
from promptops.config.json_text import parse_strict_json
from promptops.config.text import decode_input, refuse_lfs_pointer
from promptops.console import note
from promptops.errors import Invalid

if TYPE_CHECKING:  # verbs that look at runs need no prompt
    from promptops.prompt import Input, Prompt

OutOption = Annotated[Path | None, out_option("Write to this file instead of to stdout.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]
REFERENCE_HELP = "NAME, NAME@REV, NAME:CHANNEL or a prompt file."
ReferenceArgument = Annotated[str, typer.Argument(metavar="REF", help=REFERENCE_HELP)]
RUN_HELP = "A run's id, or the start of it; last is your own last run."
RunArgument = Annotated[str, typer.Argument(metavar="RUN", help=RUN_HELP)]
InputOption = Annotated[
    list[str] | None,
    typer.Option(
        "-i",
        "--input",
        metavar="NAME=VALUE",
        help="An input; =@FILE reads a file, =@- stdin, =@@ stands for a leading @.",
    ),
]
InputsOption = Annotated[str | None, inputs_option("All inputs as one JSON object; - is stdin.")]
ModelOption = Annotated[str | None, model_option("Use this model instead of the pinned one.")]
SetOption = Annotated[
    list[str] | None,
    set_option("Override, such as parameters.temperature=0.2."),
]


def read_inputs(
    prompt: "Prompt", pairs: Sequence[str] | None, file: str | None, *, stdin: bool = True
) -> dict[str, Any]:
    """The inputs of one call. Stdin, unless a terminal, fills the one required string that is missing."""
    inputs = _read_inputs_file(file) if file else {}
    for pair in pairs or ():
        name, equals, value = pair.partition("=")
        if not equals:
            raise Invalid(f"-i {pair}: an input is NAME=VALUE", hint=f"-i {name}=@FILE reads a file")
        inputs[name] = _parse_input(prompt.inputs.get(name), name, value)
    missing = [each for each in prompt.inputs.values() if each.required and each.name not in inputs]
    reads = stdin and file != "-" and not sys.stdin.isatty()
    if reads and len(missing) == 1 and missing[0].accepts_text:
        text = decode_input(sys.stdin.buffer.read(), "stdin")
        if text:  # an empty stdin, such as a cron job's, gives nothing
            inputs[missing[0].name] = text
    return inputs


_JSON_EXAMPLES = {
    "array": '["a", "b"]',
    "object": '{"key": "value"}',
    "integer": "3",
    "number": "0.5",
    "boolean": "true",
    "messages": '[{"role": "user", "content": "Hello"}]',
}


def _read_inputs_file(file: str) -> dict[str, Any]:
    where = "stdin" if file == "-" else file
    try:
        inputs = parse_strict_json(decode_input(_read_bytes(file, "--inputs"), where))
    except ValueError as error:
        raise Invalid(f"{where}: not JSON: {error}", hint="--inputs takes one JSON object") from None
    if not isinstance(inputs, dict):
        raise Invalid(f"{where}: not an object", hint="--inputs takes one JSON object of input names")
    return inputs


def _parse_input(declared: "Input | None", name: str, text: str) -> Any:
    if text.startswith("@@"):
        text = text[1:]
    elif text.startswith("@"):
        data = _read_bytes(text[1:], f"-i {name}")
        if declared and declared.kind == "image":
            return data
        text = decode_input(data, text[1:])
    if declared is None or declared.accepts_text or declared.kind == "image":
        return text
    try:
        return parse_strict_json(text)
    except ValueError as error:
        raise Invalid(f"-i {name}: not JSON: {error}", hint=_json_hint(declared)) from None


def _json_hint(declared: "Input") -> str:
    example = _JSON_EXAMPLES.get(str(declared.schema.get("type", declared.kind)))
    such_as = f", such as -i {declared.name}='{example}'" if example else ""
    return f"inputs other than strings are JSON{such_as}"


def _read_bytes(file: str, option: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise Invalid(f"{option}: cannot read {file}: {error.strerror}") from None
    refuse_lfs_pointer(data, file)
    return data


def parse_overrides(pairs: Sequence[str] | None) -> Mapping[str, Any]:
    """What ``--set KEY=VALUE`` says: values are JSON where they can be read as such, else text."""
    settings: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, text = pair.partition("=")
        if not equals:
            raise Invalid(f"--set {pair}: an override is KEY=VALUE", hint="--set parameters.temperature=0.2")
        try:
            settings[key] = json.loads(text)
        except (ValueError, RecursionError):
            settings[key] = text
    return settings


def write_report(file: Path, text: str) -> None:
    from promptops.config.safe_writes import WriteTarget

    WriteTarget.output(file).write(text.encode())
    note(f"written to {file}")
