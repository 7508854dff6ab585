"""One line of what ``promptops doctor`` finds."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Finding:
    about: str
    state: State
    text: str
    hint: str = ""
