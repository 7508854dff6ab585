"""How a person names a version: ``NAME``, ``NAME@REV``, ``NAME:CHANNEL``, or the path of its file."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.prompt import check_prompt_name

INDEX = "INDEX"
MIN_DIGEST_LENGTH = 6
_LONGEST_DIGEST = 64
_CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference taken apart; ``rev`` and ``channel`` are None for the working tree."""

    text: str
    name: str
    rev: str | None = None
    channel: str | None = None


def parse_reference(text: str, settings: Settings) -> Reference:
    """Split at the first ``@``, else at the first ``:``. Whether the version exists is not looked at."""
    whole = _name_of_file(text, settings)
    if whole:
        check_prompt_name(whole)
        return Reference(text, whole)
    for mark in "@:":
        written, found, rest = text.partition(mark)
        if found:
            name = _name(written, text, settings)
            return (
                _revision_reference(text, name, rest, settings)
                if mark == "@"
                else _channel_reference(text, name, rest, settings)
            )
    return Reference(text, _name(text, text, settings))


def parse_digest(rev: str) -> str | None:
    """The digits of ``sha256:…``, checked; None where the revision is something else."""
    if not rev.startswith("sha256:"):
        return None
    digits = rev.removeprefix("sha256:").lower()
    if not re.fullmatch(f"[0-9a-f]{{{MIN_DIGEST_LENGTH},{_LONGEST_DIGEST}}}", digits):
        raise Invalid(
            f"`{rev}` is not a digest",
            hint=f"write sha256: and {MIN_DIGEST_LENGTH} to {_LONGEST_DIGEST} hexadecimal digits",
        )
    return digits


def is_version_number(rev: str) -> bool:
    """Whether a revision is a released version's number: ``v13``, never a git tag."""
    return re.fullmatch("v[0-9]+", rev) is not None


def suggest_nearest(wanted: str, known: Sequence[str], otherwise: str) -> str:
    """The next step for a name that is not there: what comes near, else all there are, else ``otherwise``."""
    from difflib import get_close_matches

    near = get_close_matches(wanted, known, n=3)
    if near:
        return f"did you mean {' or '.join(near)}?"
    if not known:
        return otherwise
    more = f" and {len(known) - _CANDIDATES} more" if len(known) > _CANDIDATES else ""
    return f"there are: {', '.join(known[:_CANDIDATES])}{more}"


def _name(written: str, text: str, settings: Settings) -> str:
    if re.search(r"[^/]\.\.", written):
        raise Invalid(f"`{text}` is a range of revisions, not a version", hint="name one version: NAME@REV")
    name = _name_of_file(written, settings) or written
    check_prompt_name(name)
    return name


def _name_of_file(written: str, settings: Settings) -> str | None:
    if not written.endswith((".yaml", ".yml")) or not os.path.isfile(written):  # noqa: PTH113 - of any length
        return None
    given = Path(os.path.abspath(written))  # noqa: PTH100 - resolve() would follow a linked prompt file
    for path in (given, given.parent.resolve() / given.name):
        if path.is_relative_to(settings.prompts):
            return path.relative_to(settings.prompts).with_suffix("").as_posix()
    raise Invalid(
        f"{written} is not below {settings.prompts}", hint="promptops list shows the prompts of this project"
    )


def _revision_reference(text: str, name: str, rev: str, settings: Settings) -> Reference:
    if not rev:
        raise Invalid(f"`{text}` names no revision after the @", hint=f"{name}@HEAD, for example")
    if rev in settings.channels:
        raise Invalid(
            f"`{text}`: {rev} is a channel",
            hint=f"{name}:{rev} is what is live there; {name}@refs/heads/{rev} is the branch of that name",
        )
    parse_digest(rev)
    return Reference(text, name, rev=rev)


def _channel_reference(text: str, name: str, channel: str, settings: Settings) -> Reference:
    if channel not in settings.channels:
        near = suggest_nearest(channel, settings.channels, "")
        raise NotFound(
            f"`{text}`: no channel `{channel}`",
            hint=f"{near}; a revision is written {name}@{channel or 'REV'}",
        )
    return Reference(text, name, channel=channel)
