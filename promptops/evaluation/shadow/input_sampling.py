"""Which inputs are replayed: real ones from the log, each once, one per unit; or those of a file."""

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import Any, Literal

from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.evaluation.shadow.pair import tags_in
from promptops.prompt import Input
from promptops.prompt.cases import Case, iter_lines, read_cases
from promptops.prompt.csv_rows import is_csv
from promptops.registry import (
    RegistryDatabase,
    ReusableInput,
    RunFilter,
    RunRecord,
    find_reusable_inputs,
    runs_by_seq,
    search_runs,
    tags_of,
)
from promptops.runner.batch.input_file import InputLine, parse_line

DEFAULT_LAST = 200  # inputs, unless something else is asked for
TRAFFIC_KINDS = ("run", "batch")
_MAX_HITS = 100_000
_PAGE_SIZE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplingPlan:
    """What is asked for: the last so many, or a sample of all that match."""

    filter: RunFilter
    words: str = ""
    last: int | None = None
    sample: int | None = None
    stratify: Literal["tag", "channel"] | None = None
    since: str | None = None  # as it was written
    redacted: bool = False  # also inputs that were redacted before they were logged

    @property
    def limit(self) -> int | None:
        if self.last is None and self.sample is None:
            return None if self.filter.since else DEFAULT_LAST
        return self.sample if self.last is None else self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayInput:
    """Inputs that both versions are to answer. ``run`` is the one they come from."""

    number: int
    case: Case
    run: RunRecord | None = None


@dataclass(slots=True)
class SampledInputs:
    """What was chosen, in the order in which it is replayed, and what was left out."""

    seqs: list[int] = field(default_factory=list)
    file: Path | None = None
    file_hash: str = ""
    considered: int = 0
    doubled: int = 0
    of_same_unit: int = 0
    redacted: int = 0


def sample_inputs(registry: RegistryDatabase, choice: SamplingPlan, seed: int) -> SampledInputs:
    """Inputs of the log, none twice, the latest of each unit.

    They are in random order, so that any prefix stands for the rest.
    """
    sampled = SampledInputs()
    hits = _search_hits(registry, choice) if choice.words else None
    kinds = (choice.filter.kind,) if choice.filter.kind else TRAFFIC_KINDS
    enough = choice.limit if choice.sample is None and not choice.stratify else None
    pool: list[ReusableInput] = []
    for each in _distinct(
        find_reusable_inputs(registry, choice.filter, kinds), sampled, redacted=choice.redacted
    ):
        if hits is None or each.seq in hits:
            pool.append(each)
        if enough is not None and len(pool) == enough:
            break
    draw = random.Random(seed)  # noqa: S311 - an order, no secret
    if choice.sample is not None:
        draw.shuffle(pool)
    if choice.stratify:
        pool = _stratify(registry, pool, choice.stratify)
    sampled.seqs = [each.seq for each in pool[: choice.limit]]
    sampled.seqs.sort()
    draw.shuffle(sampled.seqs)
    return sampled


def _search_hits(registry: RegistryDatabase, choice: SamplingPlan) -> set[int]:
    return {
        hit.run["seq"] for hit in search_runs(registry, choice.words, choice.filter, limit=_MAX_HITS).hits
    }


def _distinct(
    runs: Iterable[ReusableInput], sampled: SampledInputs, *, redacted: bool
) -> Iterator[ReusableInput]:
    inputs: set[str] = set()
    units: set[str] = set()
    for each in runs:
        sampled.considered += 1
        if each.redacted and not redacted:
            sampled.redacted += 1
        elif each.inputs_hash is not None and each.inputs_hash in inputs:
            sampled.doubled += 1
        elif each.unit_hash is not None and each.unit_hash in units:
            sampled.of_same_unit += 1
        else:
            inputs.add(each.inputs_hash or f"#{each.seq}")
            units.add(each.unit_hash or f"#{each.seq}")
            yield each


def _stratify(registry: RegistryDatabase, pool: Sequence[ReusableInput], by: str) -> list[ReusableInput]:
    """One of each stratum in turn, for as long as each has some."""
    tags: dict[int, tuple[str, ...]] = {}
    if by == "tag":
        for at in range(0, len(pool), 500):
            tags |= tags_of(registry, [each.seq for each in pool[at : at + 500]])
    groups: dict[str, list[ReusableInput]] = {}
    for each in pool:
        stratum = (tags.get(each.seq) or ("",))[0] if by == "tag" else each.channel or ""
        groups.setdefault(stratum, []).append(each)
    longest = max(map(len, groups.values()), default=0)
    return [group[place] for place in range(longest) for group in groups.values() if place < len(group)]


def inputs_from_log(registry: RegistryDatabase, seqs: Sequence[int]) -> Iterator[ReplayInput]:
    """The inputs of these runs, numbered from 1; one that is gone meanwhile leaves its number empty."""
    for at in range(0, len(seqs), _PAGE_SIZE):
        part = seqs[at : at + _PAGE_SIZE]
        runs = {run["seq"]: run for run in runs_by_seq(registry, part)}
        for number, seq in enumerate(part, at + 1):
            if run := runs.get(seq):
                case = Case(
                    id=run["run_id"],
                    inputs=run["inputs"] or {},
                    tags=tags_in(run["metadata"]),
                    where=run["run_id"],
                )
                yield ReplayInput(number=number, case=case, run=run)


def inputs_from_file(file: Path, declared: Mapping[str, Input], seed: int) -> tuple[str, list[ReplayInput]]:
    """The hash of a file, and its inputs in random order. Lines are those of a batch, or cases.

    Cells of CSV are read by the schemas of the ``declared`` inputs.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise Invalid(f"--inputs: cannot read {file}: {error.strerror}") from None
    cases = list(_cases(file, list(iter_lines(data)), declared))
    if not cases:
        raise NotFound(f"{file} holds no inputs", hint='each line is {"inputs": {"NAME": "VALUE"}}')
    random.Random(seed).shuffle(cases)  # noqa: S311 - an order, no secret
    return hashlib.sha256(data).hexdigest(), [
        ReplayInput(number=n, case=case) for n, case in enumerate(cases, 1)
    ]


def _cases(file: Path, lines: Iterable[bytes], declared: Mapping[str, Input]) -> Iterator[Case]:
    """A case may have what only a batch's line has: of each unit the first counts, its tags are tags."""
    logged: dict[str, InputLine] = {}
    units: set[str] = set()
    jsonl = not (is_csv(file.name) or file.suffix.lower() in (".yaml", ".yml"))
    lines = _as_cases(file, lines, logged) if jsonl else lines
    for case in read_cases(str(file), lines, declared):
        line = logged.pop(case.where, None)
        if line is None or line.unit is None or line.unit not in units:
            units.update([line.unit] if line and line.unit is not None else ())
            yield replace(case, tags=(*case.tags, *tags_in(line.metadata))) if line else case


def _as_cases(file: Path, lines: Iterable[bytes], logged: dict[str, InputLine]) -> Iterator[bytes]:
    for number, raw in enumerate(lines, 1):
        about, rest = _split_batch_fields(raw)
        if about:
            with_inputs = {"inputs": rest.get("inputs"), **about}
            logged[f"{file}:{number}"] = parse_line(json.dumps(with_inputs).encode(), number, str(file))
        yield json.dumps(rest).encode() if about else raw


def _split_batch_fields(raw: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """What only a batch's line has, and what is left of it."""
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError):
        return {}, {}  # the cases' reader says what is wrong
    if not isinstance(data, dict):
        return {}, {}
    return {name: data.pop(name) for name in ("unit", "metadata") if name in data}, data


def sampling_key(choice: SamplingPlan | None) -> Mapping[str, Any]:
    """What was asked for, as it identifies a shadow run that is to go on."""
    if choice is None:
        return {}
    names = (
        "prompt",
        "digest",
        "model",
        "error",
        "min_cost",
        "min_latency",
        "channel",
        "tag",
        "kind",
        "state",
    )
    chosen = {name: getattr(choice.filter, name) for name in names}
    return {
        **chosen,
        "words": choice.words,
        "last": choice.last,
        "sample": choice.sample,
        "stratify": choice.stratify,
        "since": choice.since,
        **({"redacted": True} if choice.redacted else {}),
    }
