"""``promptops runs finish``: log how a call ended that somebody else has made."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from promptops.cli.last_run import resolve_run_id
from promptops.cli.options.common import JsonOption, RunArgument
from promptops.cli.options.flags import from_option
from promptops.config.settings import current_settings
from promptops.console import note, print_json
from promptops.errors import Invalid
from promptops.runner import Run
from promptops.runner.external_run import EXPECTED_KEYS, finish_external_run, parse_reported_result
from promptops.runner.routing import GitSource, Router

FromOption = Annotated[
    str,
    from_option(f"JSON of {EXPECTED_KEYS}; - is stdin."),
]


def runs_finish(run: RunArgument, source: FromOption = "-", as_json: JsonOption = False) -> int:
    """Log how a run ended that `run --prepare` has begun.

    The prompt's checks are made, and cost and latency filled in. Exits with 1 when a check fails.
    """
    settings = current_settings()
    reported = parse_reported_result(_read(source), "stdin" if source == "-" else source)
    done = finish_external_run(settings, resolve_run_id(run, settings), reported)
    with Router(GitSource(settings), settings.registry) as serving:
        serving.ended(done)
    if as_json:
        print_json(done.as_json())
    return _print_outcome(done)


def _print_outcome(run: Run) -> int:
    end = run.finished
    if end.error_type == "invalid_output":
        note(f"invalid output: {end.error_message}")
    for check in end.checks:
        if not check.passed:
            note(f"check {'error' if check.error else 'failed'}: {check.name}: {check.message}")
    return 0 if run.passed or end.state != "finished" else 1


def _read(source: str) -> Any:
    where = "stdin" if source == "-" else source
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return json.loads(data)
    except OSError as error:
        raise Invalid(f"--from: cannot read {where}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        hint = f"--from takes one JSON object: {EXPECTED_KEYS}"
        raise Invalid(f"{where}: not JSON: {error}", hint=hint) from None
