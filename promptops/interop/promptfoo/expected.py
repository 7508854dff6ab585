"""What a cell of a column ``__expected`` says, as an assertion."""

import re
from typing import Any

_FORM = re.compile(r"(not-)?([a-z0-9:-]+?)(?:\((\d+(?:\.\d+)?)\))?(?::([\s\S]*))?")
_CODE = {"javascript:": "javascript", "fn:": "javascript", "eval:": "javascript", "python:": "python"}
_LISTS = frozenset(["contains-all", "contains-any", "icontains-all", "icontains-any", "tool-call-f1"])
_WITH_THRESHOLD = frozenset(
    [
        *("answer-relevance", "classifier", "context-faithfulness", "context-recall", "context-relevance"),
        *("cost", "latency", "levenshtein", "perplexity-score", "perplexity", "rouge-n", "similar"),
        *("starts-with", "bleu", "g-eval", "llm-rubric", "factuality", "tool-call-f1"),
    ]
)
KNOWN_TYPES = frozenset(
    [
        *_LISTS,
        *_WITH_THRESHOLD,
        *("contains", "contains-html", "contains-json", "contains-sql", "contains-xml", "equals"),
        *("finish-reason", "gleu", "guardrails", "icontains", "is-html", "is-json", "is-refusal", "is-sql"),
        *("is-valid-function-call", "is-valid-openai-function-call", "is-valid-openai-tools-call", "is-xml"),
        *("max-length", "meteor", "model-graded-closedqa", "model-graded-factuality", "moderation", "pi"),
        *("regex", "ruby", "select-best", "similar:cosine", "webhook", "word-count", "not-contains"),
    ]
)


def assertion_of(cell: str) -> dict[str, Any]:
    """``contains-any:a,b`` as ``{type: contains-any, value: [a, b]}``; a text without a type is equality."""
    for start, kind in _CODE.items():
        if cell.startswith(start):
            return {"type": kind, "value": cell.removeprefix(start).strip()}
    if cell.startswith("grade:"):
        return {"type": "llm-rubric", "value": cell.removeprefix("grade:")}
    if cell.startswith("file://"):
        return {"type": "python" if ".py" in cell else "javascript", "value": cell}
    found = _FORM.fullmatch(cell)
    if found is None or found[2] not in KNOWN_TYPES:
        return {"type": "equals", "value": cell}
    negated, kind, threshold, value = found.groups()
    made: dict[str, Any] = {"type": f"{negated or ''}{kind}"}
    if value is not None:
        made["value"] = [part.strip() for part in value.split(",")] if kind in _LISTS else value.strip()
    if kind in _WITH_THRESHOLD and (threshold or kind in ("similar", "cost", "latency", "levenshtein")):
        number = threshold or (value if kind in ("cost", "latency") else None)
        made["threshold"] = float(number or (0.8 if kind == "similar" else 0.75))
    return made
