"""``NAME.rubric.yaml``: by which questions the answers of a prompt are judged, and the codes of failures.

    questions:
      - Does the reply name the team that has to act?
    codes:
      wrong-team: it names another team

A rubric has a digest, and each label has that of its rubric: when criteria change, old labels say so.
"""

import json
from typing import Any

from promptops.config.settings import Settings
from promptops.config.yaml import InvalidAt, parse_yaml
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.prompt.canonical_json import canonical_json, sha256_hex
from promptops.prompt.json_schema import document_problems, validator_for
from promptops.versions.working_tree import working_tree_reader

MAX_CODE = 60
_TEXT = {"type": "string", "minLength": 1, "maxLength": 500}
RUBRIC_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "questions": {
            "type": "array",
            "minItems": 1,
            "maxItems": 20,
            "items": _TEXT,
            "description": "What a reviewer asks of every answer. It passes where all are answered by yes.",
        },
        "codes": {
            "type": "object",
            "maxProperties": 100,
            "additionalProperties": _TEXT,
            "description": "Kinds of failures: a short name each, and what it means.",
        },
    },
    "required": ["questions"],
    "additionalProperties": False,
}
_DEFAULT = ("Would you send this answer as it is?",)


@dataclass(frozen=True, slots=True)
class Rubric:
    """``codes``: name and meaning. ``path`` is empty where the prompt has no file of its own."""

    questions: tuple[str, ...]
    codes: tuple[tuple[str, str], ...] = ()
    path: str = ""

    @property
    def digest(self) -> str:
        return sha256_hex(canonical_json(self.content))

    @property
    def content(self) -> dict[str, Any]:
        return {"questions": list(self.questions), "codes": dict(self.codes)}


def rubric_of_content(content: dict[str, Any]) -> Rubric:
    """A rubric as the registry keeps it."""
    return Rubric(tuple(content["questions"]), tuple(content.get("codes", {}).items()))


def load_rubric(name: str, settings: Settings) -> Rubric:
    """The rubric of a prompt in the working tree; one plain question where it has none. Raises Invalid."""
    if settings.top is None:
        return Rubric(_DEFAULT)
    path = f"{name}.rubric.yaml"
    shown = f"{settings.prompts_path}/{path}"
    try:
        document = parse_yaml(working_tree_reader(settings)(path), shown)
    except NotFound:
        return Rubric(_DEFAULT)
    for problem in document_problems(document, RUBRIC_SCHEMA, validator_for(json.dumps(RUBRIC_SCHEMA))):
        raise InvalidAt(problem)
    codes: dict[str, str] = document.data.get("codes") or {}
    for code in codes:
        check_code(code, shown)
    return Rubric(tuple(document.data["questions"]), tuple(codes.items()), shown)


def check_code(code: str, where: str = "") -> str:
    """Raises Invalid for what cannot be the name of a kind of failures."""
    code = " ".join(code.split())
    if not code or len(code) > MAX_CODE or not code.isprintable() or "," in code:
        raise Invalid(
            f"{f'{where}: ' if where else ''}{code!r:.80} cannot be the name of a code",
            hint=f"a few words without commas, at most {MAX_CODE} characters",
        )
    return code
