"""Inputs that belong to a golden set: what is trained on them can no longer be measured by them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from promptops.config.settings import LogSettings
from promptops.errors import Invalid
from promptops.interop.datasets.request import ReadCases
from promptops.prompt import Prompt
from promptops.prompt.canonical_json import sha256_hex
from promptops.prompt.render import validate_inputs
from promptops.registry import RunRecord, UsedVersion, redact_value

_Names = tuple[str, ...]


class GoldenInputs:
    """The golden sets of prompts, in the working tree and at the commits of the versions that ran."""

    def __init__(self, used: Iterable[UsedVersion], read_cases: ReadCases, log: LogSettings) -> None:
        self._log = log
        self.read: list[str] = []
        self.unread: dict[str, str] = {}
        self._cases: dict[str, dict[str, Mapping[str, Any]]] = {}
        self._known: dict[str, Mapping[_Names, frozenset[str]]] = {}
        for name, commits in _commits(used).items():
            cases = self._cases[name] = {}
            self._add(cases, read_cases, name)
            for commit in commits:
                try:
                    self._add(cases, read_cases, f"{name}@{commit}")
                except Invalid as error:  # one of long ago that was broken or is gone holds up nothing
                    self.unread[f"{name}@{commit}"] = error.message

    def _add(self, cases: dict[str, Mapping[str, Any]], read_cases: ReadCases, reference: str) -> None:
        count = 0
        for count, case in enumerate(read_cases(reference), 1):  # noqa: B007 - the last one is their number
            cases.setdefault(hash_inputs(case.inputs), case.inputs)
        if count:
            self.read.append(reference)

    def contain(self, run: RunRecord, prompt: Prompt) -> bool:
        """Whether a run had the inputs of a case, as far as its version has such inputs."""
        digest = run["digest"]
        if digest not in self._known:
            cases = self._cases.get(run["prompt"], {}).values()
            self._known[digest] = _accepted(self._as_logged(cases, prompt), prompt)
        inputs = run["inputs"]
        return any(
            hash_inputs({name: inputs.get(name) for name in names}) in hashes
            for names, hashes in self._known[digest].items()
        )

    def _as_logged(self, cases: Iterable[Mapping[str, Any]], prompt: Prompt) -> Iterator[Mapping[str, Any]]:
        """Each case as it is, and as a run of it would be redacted."""
        log = self._log.with_prompt(prompt.log)
        for case in cases:
            yield case
            redacted = redact_value(case, log)
            if redacted is not None and redacted != case:
                yield redacted


def _commits(used: Iterable[UsedVersion]) -> dict[str, Sequence[str]]:
    found: dict[str, dict[str, None]] = {}
    for each in used:
        commits = found.setdefault(each.prompt, {})
        if each.commit_sha:
            commits[each.commit_sha] = None
    return {name: list(commits) for name, commits in found.items()}


def _accepted(cases: Iterable[Mapping[str, Any]], prompt: Prompt) -> Mapping[_Names, frozenset[str]]:
    """Hashes of the cases' inputs as this version takes them, by the names that are compared."""
    known: dict[_Names, set[str]] = {}
    for case in cases:
        inputs = accept_inputs(case, prompt)
        if inputs or not prompt.inputs:
            known.setdefault(tuple(sorted(inputs)), set()).add(hash_inputs(inputs))
    return {names: frozenset(hashes) for names, hashes in known.items()}


def accept_inputs(case: Mapping[str, Any], prompt: Prompt) -> Mapping[str, Any]:
    """A case's inputs as a version takes them; those that it has of them where it needs others too."""
    given = {name: value for name, value in case.items() if name in prompt.inputs}
    if not given:
        return given
    try:
        return validate_inputs(prompt, given)
    except Invalid:
        return given


def hash_inputs(inputs: Mapping[str, Any]) -> str:
    """The same for texts that differ in spaces or in upper and lower case alone."""
    text = json.dumps(_plain(inputs), sort_keys=True, default=str)
    return sha256_hex(text.encode())


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(value.split()).casefold()
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
