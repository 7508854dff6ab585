"""What a reviewer says of an answer, as it is kept: within bounds, and redacted as what people say is."""

from collections.abc import Iterable
from dataclasses import replace

from promptops.config.settings import LogSettings
from promptops.errors import Invalid
from promptops.registry import (
    RegistryDatabase,
    ReviewLabel,
    RunOutcome,
    add_label,
    get_item,
    get_queue,
    outcome_redaction,
)
from promptops.review.rubric import check_code

MAX_NOTE = 10_000
MAX_ANSWER = 200_000
MAX_CODES = 20


def label_item(registry: RegistryDatabase, item: int, label: ReviewLabel, log: LogSettings) -> bool:
    """Log a label by the rubric of its queue; False where it says nothing new. See ``add_label``."""
    if len(label.note) > MAX_NOTE or len(label.answer) > MAX_ANSWER or len(label.codes) > MAX_CODES:
        raise Invalid(
            "this label is too long",
            hint=f"at most {MAX_NOTE:,} characters of a note, {MAX_ANSWER:,} of an answer, {MAX_CODES} codes",
        )
    redact = outcome_redaction(registry, log)

    def clean(text: str) -> str:
        return redact(RunOutcome(run_id="", name="review.pass", value=1.0, text=text.strip())).text

    rubric = get_queue(registry, get_item(registry, item).queue).rubric
    kept = replace(
        label,
        rubric=rubric,
        note=clean(label.note),
        codes=parse_codes(label.codes),
        answer=clean(label.answer) if log.outputs == "full" else "",
    )
    return add_label(registry, item, kept)


def parse_codes(texts: Iterable[str]) -> tuple[str, ...]:
    """Codes of fields that may hold several, with commas between."""
    words = (word for text in texts for word in text.split(","))
    return tuple(dict.fromkeys(check_code(word) for word in words if word.strip()))
