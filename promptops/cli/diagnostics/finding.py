"""One line of what ``promptops doctor`` finds."""

from dataclasses import dataclass
from typing import Literal

DoctorState = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    about: str
    state: DoctorState
    text: str
    hint: str = ""
