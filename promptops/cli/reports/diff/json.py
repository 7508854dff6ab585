"""Changes of prompts as data for scripts."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from promptops.cli.reports.diff.data import DiffReport
from promptops.cli.reports.json_data import to_json_data
from promptops.prompt.diff import TextDiff
from promptops.versions.rendered_preview import RenderedPreview
from promptops.versions.snapshots import PromptSnapshot


def diff_data(reports: Sequence[DiffReport]) -> list[dict[str, Any]]:
    return [_prompt(one) for one in reports]


def _prompt(one: DiffReport) -> dict[str, Any]:
    review = one.review
    inputs = next((change for change in review.changes if change.kind == "inputs"), None)
    old, new = one.estimates
    return {
        "prompt": review.pair.name,
        "status": review.pair.status,
        "old": _side(review.pair.old),
        "new": _side(review.pair.new),
        "same_digest": review.same_digest,
        "through": list(review.pair.through),
        "kinds": [change.kind for change in review.changes],
        "callers": inputs.effect if inputs else None,
        "changes": [
            {
                "kind": change.kind,
                "lines": list(change.lines),
                "texts": [_text(text) for text in change.texts],
            }
            for change in review.changes
        ],
        "files": [_text(text) for text in review.files],
        "notes": list(review.notes),
        "estimate": {
            "old": asdict(old) if old else None,
            "new": asdict(new) if new else None,
            "prices": one.prices_from,
        },
        "rendered": [_preview(each) for each in one.previews],
        "shadow": _shadow(one),
    }


def _shadow(one: DiffReport) -> Any:
    """As ``shadow show --json`` has it."""
    return to_json_data(one.shadow)


def _side(side: PromptSnapshot) -> dict[str, Any] | None:
    if not side.present:
        return None
    return {
        "prompt": side.name,
        "reference": side.reference,
        "path": side.prompt.path if side.prompt else next(iter(side.files), None),
        "digest": f"sha256:{side.prompt.digest}" if side.prompt else None,
        "model": side.prompt.model if side.prompt else None,
        "problem": side.problem or None,
    }


def _text(text: TextDiff) -> dict[str, Any]:
    added, removed = text.counts
    return {
        "where": text.where,
        "words_added": added,
        "words_removed": removed,
        "segments": [[segment.tag, segment.text] for segment in text.segments],
    }


def _preview(one: RenderedPreview) -> dict[str, Any]:
    return {
        "case": one.label or None,
        "notes": list(one.notes),
        "lines": list(one.lines),
        "texts": [_text(text) for text in one.texts],
        "input_tokens": {"old": one.tokens[0], "new": one.tokens[1]},
    }
