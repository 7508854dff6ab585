"""Which runs may go into a data set, and for each other one why not."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from promptops.errors import Invalid
from promptops.interop.datasets.examples import Example
from promptops.interop.datasets.golden_inputs import GoldenInputs
from promptops.interop.datasets.ratings import passed_checks, rating, reaches
from promptops.interop.datasets.request import DatasetRequest
from promptops.prompt import Prompt
from promptops.prompt.mock_parameters import MOCK
from promptops.providers.types import TRUNCATED
from promptops.registry import (
    RegistryDatabase,
    RunRecord,
    UsedVersion,
    better_answers,
    load_run_prompt,
    messages_as_sent,
    redact_value,
    without_held_text,
)

REASONS = {
    "judge": "calls of a judge",
    "golden": "inputs of a golden set",
    "no_answer": "no answer",
    "mock": "made-up answers",
    "held": "waiting for a reviewer, or rejected by one",
    "not_kept": "texts not kept or erased",
    "cut_off": "answers cut off",
    "caller_tools": "tools of a caller, which are not logged",
    "redacted": "redacted; --redacted takes them as they are kept",
    "not_redacted": "texts that a rule could not look at",
    "check_failed": "a check failed, or none was made",
    "below_minimum": "below --min, or not rated",
    "edit_not_json": "a better answer that is not JSON",
    "not_rebuilt": "messages that could not be made again",
    "not_text": "images or files",
    "not_json": "characters or numbers that JSON does not have",
    "duplicate": "the same again",
    "no_pair": "no other answer to compare with",
}
"""Why a run is left out, in the order in which it is looked at."""

_KEPT_PROMPTS = 64
_CHUNK = 100


def describe_reason(name: str) -> str:
    return REASONS[name]


class _LeftOutError(Exception):
    """Says why by one of ``REASONS``."""


class RunSelector:
    """Makes examples of runs, and counts what is left out."""

    def __init__(self, registry: RegistryDatabase, request: DatasetRequest, golden: GoldenInputs) -> None:
        self.left_out: Counter[str] = Counter()
        self.runs = self.redacted = self.unused_edits = 0
        self._registry = registry
        self._request = request
        self._golden = golden
        self._load = lru_cache(maxsize=_KEPT_PROMPTS)(self._load_prompt)

    def examples(self, runs: Iterable[RunRecord]) -> Iterator[Example]:
        """An example of each run that may have one, a chunk of runs at a time."""
        remaining = iter(runs)
        while chunk := list(islice(remaining, _CHUNK)):
            edits = better_answers(self._registry, [run["seq"] for run in chunk])
            for run in chunk:
                self.runs += 1
                try:
                    yield self._example(run, edits.get(run["seq"]))
                except _LeftOutError as reason:
                    self.left_out[str(reason)] += 1

    def prompt_of(self, run: RunRecord) -> Prompt | None:
        """The version of a run; None where it is neither in the registry nor in git."""
        in_git = not run["dirty"] and not run["overrides"]
        return self._load(run["prompt"], run["digest"], run["commit_sha"] if in_git else None)

    def prompt_of_version(self, used: UsedVersion) -> Prompt | None:
        return self._load(used.prompt, f"sha256:{used.digest}", used.commit_sha)

    def _load_prompt(self, name: str, digest: str, commit_sha: str | None) -> Prompt | None:
        version = {"run_id": name, "prompt": name, "digest": digest, "commit_sha": commit_sha}
        about: RunRecord = {**version, "dirty": False, "overrides": {}}
        try:
            return load_run_prompt(self._registry, about, self._request.load)
        except Invalid:
            return None

    def _example(self, run: RunRecord, edit: str | None) -> Example:
        _require(run["kind"] != "judge" or self._request.runs.kind == "judge", "judge")
        _require(run["kind"] != "eval" and run["case_id"] is None, "golden")
        run = self._with_kept_answer(run)
        prompt = self.prompt_of(run)
        if prompt is None:
            raise _LeftOutError("not_rebuilt")
        _require(not self._golden.contain(run, prompt), "golden")
        _require(run["finish_reason"] != TRUNCATED or (self._request.edits and edit), "cut_off")
        _require("caller_tools" not in run["overrides"], "caller_tools")
        run, written = self._redacted(run, edit, prompt)
        edit = self._usable_edit(written, prompt)
        self._require_quality(run, edit)
        example = Example(
            run=run,
            prompt=prompt,
            messages=_messages(prompt, run),
            edit=edit,
            rating=rating(run, self._request.minimums),
        )
        fits = example.is_text_or_image if self._request.form == "openai-jsonl" else example.is_text
        _require(fits, "not_text")
        self.redacted += bool(run["redacted"])
        self.unused_edits += bool(written) and edit is None
        return example

    def _with_kept_answer(self, run: RunRecord) -> RunRecord:
        _require(run["excluded"] != MOCK, "mock")
        _require(run["held"] in (None, "released"), "held")
        _require(run["state"] == "finished" and run["error"] is None, "no_answer")
        run = without_held_text(self._registry, run)
        _require(run["inputs"] is not None, "not_kept")
        _require(run["output"] or run["tool_calls"], "no_answer" if run["output"] == "" else "not_kept")
        return run

    def _redacted(self, run: RunRecord, edit: str | None, prompt: Prompt) -> tuple[RunRecord, str | None]:
        """A run without what the rules of today replace, which may be more than those of its time."""
        texts: dict[str, Any] = {name: run[name] for name in ("inputs", "output", "tool_calls")}
        texts["edit"] = edit
        kept = redact_value(texts, self._request.log.with_prompt(prompt.log))
        _require(kept is not None, "not_redacted")
        inputs = kept["inputs"] != texts["inputs"]
        if kept != texts:
            counts = run["redacted"] or {}
            marks = {**counts, **({"inputs": {"now": 1}} if inputs else {}), "outputs": {"now": 1}}
            run = {
                **run,
                **{name: kept[name] for name in ("inputs", "output", "tool_calls")},
                "redacted": marks,
            }
        _require(not run["redacted"] or self._request.redacted, "redacted")
        return run, kept["edit"]

    def _usable_edit(self, edit: str | None, prompt: Prompt) -> str | None:
        """A person's answer, where one is wanted; JSON where the prompt's answers are."""
        wanted = self._request.edits or self._request.form == "trl-dpo"
        if not edit or not wanted:
            return None
        if prompt.output is not None and not _is_json(edit):
            raise _LeftOutError("edit_not_json")
        return edit

    def _require_quality(self, run: RunRecord, edit: str | None) -> None:
        """Checks and ratings are of the logged answer, which a person's answer takes the place of."""
        if self._request.form == "trl-dpo" or edit is not None:
            return
        _require(not self._request.passed or passed_checks(run), "check_failed")
        _require(reaches(run, self._request.minimums), "below_minimum")


def _require(holds: object, reason: str) -> None:
    if not holds:
        raise _LeftOutError(reason)


def _messages(prompt: Prompt, run: RunRecord) -> Sequence[dict[str, Any]]:
    try:
        return messages_as_sent(prompt, run)
    except Invalid:
        raise _LeftOutError("not_rebuilt") from None


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
