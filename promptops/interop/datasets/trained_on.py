"""Cases whose inputs are in a data set: a model that was trained on it has seen them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from promptops.config.json_text import parse_strict_json
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.interop.datasets.golden_inputs import accept_inputs, hash_inputs
from promptops.prompt import Prompt
from promptops.prompt.cases import Case
from promptops.registry import RegistryDatabase, inputs_of_runs

MAX_MANIFEST = 200_000_000  # bytes: some six million runs
_HINT = "name the .manifest.json beside a data set that `runs export` has written"


@dataclass(frozen=True, slots=True)
class TrainedCase:
    case: Case
    run_id: str


def read_manifest_runs(path: Path) -> list[str]:
    """The ids of the runs that a data set is made of. Raises Invalid for what is no manifest."""
    try:
        if path.stat().st_size > MAX_MANIFEST:
            raise Invalid(f"{path}: more than {MAX_MANIFEST:,} bytes", hint=_HINT)
        with path.open("rb") as stream:
            data = stream.read(MAX_MANIFEST)
    except OSError as error:
        raise Invalid(f"cannot read {path}: {error.strerror}", hint=_HINT) from None
    try:
        manifest = parse_strict_json(data)
    except ValueError as error:
        raise Invalid(f"{path}: not JSON: {error}", hint=_HINT) from None
    runs = manifest.get("runs") if isinstance(manifest, dict) else None
    lines = runs if isinstance(runs, list) else [None]
    ids = [each for line in lines for each in (line if isinstance(line, list) else [line])]
    known = dict.fromkeys(each for each in ids if isinstance(each, str))
    if not all(isinstance(each, str) for each in ids):
        raise Invalid(f"{path}: it does not say of which runs a data set is made", hint=_HINT)
    return list(known)


def find_trained_cases(
    registry: RegistryDatabase, prompt: Prompt, cases: Iterable[Case], run_ids: Sequence[str]
) -> Iterator[TrainedCase]:
    """Each case with a run that had its inputs; those are compared that the run's version has too."""
    accepted = [(case, accept_inputs(case.inputs, prompt)) for case in cases]
    known: dict[tuple[str, ...], Mapping[str, Case]] = {}
    found: set[str] = set()
    for run_id, inputs in inputs_of_runs(registry, prompt.name, run_ids):
        names = tuple(name for name in prompt.inputs if name in inputs)
        if names not in known:
            known[names] = {_key(given, names): case for case, given in accepted}
        case = known[names].get(_key(inputs, names)) if names else None
        if case and case.where not in found:
            found.add(case.where)
            yield TrainedCase(case, run_id)


def _key(inputs: Mapping[str, Any], names: Sequence[str]) -> str:
    return hash_inputs({name: inputs[name] for name in names if name in inputs})
