"""Which version a client may name: what a channel serves, or a number that was released."""

import re

from promptops.errors import NotFound
from promptops.versions.references import INDEX, is_version_number

_REFERENCE = re.compile(
    r"(?P<name>\w[\w.-]*(?:/\w[\w.-]*)*)(?:(?P<mark>[:@])(?P<rest>\w[\w./:~^-]*))?", re.ASCII
)
_MAX_LENGTH = 300
_EXPECTED = "write NAME:CHANNEL or NAME@vN; GET /v1/models lists what is served"


def check_served_reference(text: str, *, revisions: bool = False) -> str:
    """The reference itself. Raises NotFound where it is none that is served to clients.

    With ``revisions`` any commit may be named too.

    It is looked at before anything else is: a name that comes over the network reaches no file system.
    """
    found = _REFERENCE.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if found is None or found["name"].endswith((".yaml", ".yml")):
        raise NotFound(f"`{text[:_MAX_LENGTH]}` is not the name of a prompt", hint=_EXPECTED)
    if found["mark"] is None:
        raise NotFound(f"`{text}` names no released version", hint=_EXPECTED)
    if found["rest"] == INDEX:
        raise NotFound(f"`{text}`: what is staged is not served", hint=_EXPECTED)
    if found["mark"] == "@" and not revisions and not is_version_number(found["rest"]):
        raise NotFound(f"`{text}`: only released versions are served", hint=_EXPECTED)
    return text
