"""A translated template in pieces: texts, code of Jinja2, and marks where messages begin."""

import re
from collections.abc import Iterable

from promptops.dataclass import dataclass

WRITTEN_MARK = re.compile(r"<<<dotprompt:(?:role:([a-z]+)|(history))>>>")
"""What ``{{role}}`` and ``{{history}}`` write. Some files hold it themselves."""
_CODE_SIGNS = re.compile(r"\{[{%#]")


@dataclass(frozen=True, slots=True)
class Code:
    """Tags of Jinja2, with the texts between them."""

    text: str


@dataclass(frozen=True, slots=True)
class Mark:
    """``kind``: role, history, media or section."""

    kind: str
    name: str
    line: int


Chunk = str | Code | Mark


def join_chunks(chunks: Iterable[str | Code]) -> str:
    """Give the template. What looks like a tag in a text is written so that it is sent as it stands."""
    written: list[str] = []
    for chunk in chunks:
        if isinstance(chunk, str):
            written.append(escape_text(chunk))
        else:
            if written and written[-1].endswith("{"):
                written[-1] = written[-1][:-1] + '{{ "{" }}'
            written.append(chunk.text)
    return "".join(written)


def escape_text(text: str) -> str:
    return _CODE_SIGNS.sub(lambda found: f'{{{{ "{found[0]}" }}}}', text)


def end_template(template: str) -> str:
    """Jinja2 takes a newline from the end of a template."""
    return template + "\n" if template.endswith("\n") else template
