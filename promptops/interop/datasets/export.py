"""Writes a data set and its manifest: both whole, or neither."""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import IO, TextIO

from promptops._version import __version__
from promptops.config.clock import utc_now
from promptops.config.safe_writes import WriteTarget
from promptops.dataclass import dataclass
from promptops.errors import NotFound
from promptops.escapes import escape_json
from promptops.interop.datasets.examples import (
    Example,
    Json,
    openai_example,
    table_row,
    trl_example,
    trl_pair,
)
from promptops.interop.datasets.golden_inputs import GoldenInputs
from promptops.interop.datasets.pairs import pair_answers
from promptops.interop.datasets.parquet import lines_to_parquet, require_duckdb, write_parquet
from promptops.interop.datasets.request import DatasetRequest
from promptops.interop.datasets.selection import REASONS, RunSelector
from promptops.registry import RegistryDatabase, iterate_runs, iterate_runs_by_inputs, used_versions

_COPIED = 1_000_000  # bytes at a time


@dataclass(slots=True, kw_only=True)
class DatasetReport:
    """What came of an export. ``doubtful``: examples whose logged answer was rated badly.

    ``unused_edits``: examples of which there is a person's answer, and the logged one was taken.
    """

    manifest: Path
    examples: int = 0
    runs: int = 0
    redacted: int = 0
    doubtful: int = 0
    unused_edits: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Line:
    """An example as it is written, and the runs that it was made of."""

    data: Json
    runs: tuple[Example, ...]


def manifest_path(out: Path) -> Path:
    return out.with_name(f"{out.stem}.manifest.json")


def export_dataset(registry: RegistryDatabase, request: DatasetRequest, out: Path) -> DatasetReport:
    """Write the examples to ``out``, in the order of the log, and a manifest beside it.

    Raises NotFound where no example is left, Invalid for a golden set that cannot be read.
    """
    if request.form == "parquet":
        require_duckdb()
    golden = GoldenInputs(used_versions(registry, request.runs), request.read_cases, request.log)
    report = DatasetReport(manifest=manifest_path(out))
    export = _Export(registry=registry, request=request, golden=golden, report=report)
    with (
        WriteTarget.output(report.manifest).replacing(0o600) as about,
        export,
        WriteTarget.output(out).replacing(0o600) as stream,
    ):
        file = export.write(stream)
        export.finish()
        for piece in export.manifest(out.name, file):
            about.write(piece)
    return report


class _Export:
    """One export under way. Ids of runs wait on disk, so that memory stays flat."""

    def __init__(
        self,
        *,
        registry: RegistryDatabase,
        request: DatasetRequest,
        golden: GoldenInputs,
        report: DatasetReport,
    ) -> None:
        self.report = report
        self._registry = registry
        self._request = request
        self._golden = golden
        self._selector = RunSelector(registry, request, golden)
        self._versions: Counter[tuple[str, str, str | None]] = Counter()

    def __enter__(self) -> None:
        self._ids: TextIO = tempfile.TemporaryFile("w+", encoding="utf-8")

    def __exit__(self, *_: object) -> None:
        self._ids.close()

    def write(self, stream: TextIO) -> "_HashedFile":
        """All examples; for Parquet as lines first."""
        file = _HashedFile(stream.buffer)
        if self._request.form != "parquet":
            for data in self._lines():
                file.write(data)
            return file
        with lines_to_parquet() as (lines, table):
            longest = 0
            for data in self._lines():
                longest = max(longest, len(data))
                lines.write(data)
            lines.flush()
            write_parquet(Path(lines.name), table, longest=longest)
            with table.open("rb") as whole:
                while piece := whole.read(_COPIED):
                    file.write(piece)
        return file

    def _lines(self) -> Iterator[bytes]:
        """Each example once: the same again, from another run, teaches nothing new."""
        made = self._pairs() if self._request.form == "trl-dpo" else self._answers()
        seen: set[int] = set()
        for line in made:
            data, key = _encode(line.data), _key(line.data)
            if data is None or key in seen:
                reason = "not_json" if data is None else "duplicate"
                self._selector.left_out[reason] += len({*_ids(line)})
                continue
            seen.add(key)
            self._note(line)
            yield data

    def _note(self, line: _Line) -> None:
        ids, first = _ids(line), line.runs[0]
        pairs = self._request.form == "trl-dpo"
        self._ids.write(json.dumps(ids if pairs else ids[0]) + "\n")
        self._versions[first.run["prompt"], first.run["digest"], first.run["version"]] += 1
        self.report.examples += 1
        self.report.doubtful += not pairs and first.edit is None and first.rating is False

    def _answers(self) -> Iterator[_Line]:
        tools = self._have_tools()
        for example in self._selector.examples(iterate_runs(self._registry, self._request.runs)):
            edited = example.edit is not None
            match self._request.form:
                case "openai-jsonl":
                    data = openai_example(example, edited=edited)
                case "parquet":
                    data = table_row(example, edited=edited)
                case _:
                    data = trl_example(example, edited=edited, tools=tools)
            yield _Line(data, (example,))

    def _pairs(self) -> Iterator[_Line]:
        tools = self._have_tools()
        examples = self._selector.examples(iterate_runs_by_inputs(self._registry, self._request.runs))
        for pairs, unpaired in pair_answers((each.run["group"], each) for each in examples):
            if unpaired:
                self._selector.left_out["no_pair"] += unpaired
            for pair in pairs:
                data = trl_pair(pair.chosen, pair.rejected, edited=pair.edited, tools=tools)
                yield _Line(data, (pair.chosen, pair.rejected))

    def _have_tools(self) -> bool:
        """Whether a version that ran has tools: then each line says which."""
        prompts = map(self._selector.prompt_of_version, used_versions(self._registry, self._request.runs))
        return any(prompt is not None and prompt.tools for prompt in prompts)

    def finish(self) -> None:
        """Raise NotFound where there is nothing to learn from, so that no empty file stays."""
        report, selector = self.report, self._selector
        report.runs, report.redacted = selector.runs, selector.redacted
        report.unused_edits = selector.unused_edits
        report.left_out = {name: selector.left_out[name] for name in REASONS if selector.left_out[name]}
        report.unread = self._golden.unread
        if not report.examples:
            why = "; ".join(f"{count:,} {REASONS[name]}" for name, count in report.left_out.items())
            what = "pair of answers" if self._request.form == "trl-dpo" else "example"
            raise NotFound(
                f"no {what} in {report.runs:,} runs" + (f": {why}" if why else ""),
                hint="promptops runs list shows the runs; nothing was written",
            )

    def manifest(self, name: str, file: "_HashedFile") -> Iterator[str]:
        """JSON in pieces: the runs are those of the lines, in their order."""
        report, request = self.report, self._request
        head = {
            "file": name,
            "format": request.form,
            "examples": report.examples,
            "sha256": file.sha256.hexdigest(),
            "bytes": file.size,
            "created_at": utc_now(),
            "promptops": __version__,
            "filters": dict(request.filters),
            "versions": [
                {"prompt": prompt, "digest": digest, "version": version, "examples": count}
                for (prompt, digest, version), count in self._versions.items()
            ],
            "golden_sets": {"read": self._golden.read, "unread": dict(report.unread)},
            "runs_looked_at": report.runs,
            "left_out": dict(report.left_out),
            "redacted": report.redacted,
        }
        yield escape_json(json.dumps(head, ensure_ascii=False, indent=2))[:-2] + ',\n  "runs": [\n    '
        self._ids.seek(0)
        between = ""
        for line in self._ids:
            yield between + line.rstrip("\n")
            between = ",\n    "
        yield "\n  ]\n}\n"


class _HashedFile:
    """Writes bytes, and knows their sum and number."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        self._stream.write(data)
        self.sha256.update(data)
        self.size += len(data)


def _encode(data: Json) -> bytes | None:
    """A line; None where it would hold half of a surrogate pair, or a number that is none."""
    try:
        text = json.dumps(data, ensure_ascii=False, allow_nan=False)
        text.encode()
    except ValueError:
        return None
    return escape_json(text).encode() + b"\n"


def _ids(line: _Line) -> list[str]:
    return [example.run["run_id"] for example in line.runs]


def _key(data: Json) -> int:
    """Eight bytes of a hash: among a million lines two share them once in thirty million exports."""
    said = [data.get("messages") or data["prompt"], *map(data.get, ("chosen", "rejected", "tools"))]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:8], "big")
