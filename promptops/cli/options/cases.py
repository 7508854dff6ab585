"""What the verbs on golden sets share."""

from typing import Annotated

import typer

from promptops.cli.options.flags import tag_option

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A prompt, such as support/triage.")]
TagOption = Annotated[list[str] | None, tag_option("Only cases with this tag.")]
