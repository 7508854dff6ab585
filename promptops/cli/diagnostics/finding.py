"""One line of what ``promptops doctor`` finds."""

from typing import Literal

from promptops.dataclass import dataclass

DoctorState = Literal["ok", "note", "warning", "error"]


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    about: str
    state: DoctorState
    text: str
    hint: str = ""
