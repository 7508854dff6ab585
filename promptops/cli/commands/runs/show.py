"""``promptops runs show``: all that is known of one run, with the exact messages that it sent."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from promptops.cli.last_run import find_logged_run
from promptops.cli.options.common import JsonOption, RunArgument
from promptops.cli.options.flags import reasoning_option
from promptops.cli.reports.run_tables import guard_deed, run_result, run_version
from promptops.config.settings import Settings, current_settings
from promptops.console import print_json, print_text
from promptops.errors import PromptopsError
from promptops.prompt.chat import message_text, summarize_data_urls
from promptops.prompt.tool_calls import answer_text
from promptops.registry import RegistryDatabase, RunRecord, rebuild_messages
from promptops.reports.numbers import integer_cell, usd_cell

MessagesOption = Annotated[
    bool, typer.Option("--messages", help="Print the rebuilt messages alone, as JSON.")
]
ReasoningOption = Annotated[bool, reasoning_option("Show what the model thought aloud too.")]


def runs_show(
    run: RunArgument,
    messages: MessagesOption = False,
    reasoning: ReasoningOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show one run with the exact messages it sent.

    Messages are not stored: they are made again from the version and the inputs, and shown only when their
    hash is the one that was logged.
    """
    settings = current_settings()
    with RegistryDatabase.open_existing(settings.registry) as registry:
        record = find_logged_run(registry, run, settings)
        if messages:
            print_json(_rebuilt(registry, record, settings))
            return
        try:
            sent, problem = _rebuilt(registry, record, settings), None
        except PromptopsError as error:
            sent, problem = None, error.message
    if as_json:
        print_json({**record, "messages": sent, "messages_problem": problem})
    else:
        _print(record, sent, problem, reasoning=reasoning)


def _rebuilt(registry: RegistryDatabase, run: RunRecord, settings: Settings) -> list[dict[str, Any]]:
    from promptops.versions.resolve import resolve_version

    return rebuild_messages(registry, run, lambda reference: resolve_version(reference, settings).prompt)


def _print(
    run: RunRecord, messages: list[dict[str, Any]] | None, problem: str | None, *, reasoning: bool
) -> None:
    for name, value in _facts(run):
        if value not in (None, "", {}):
            print_text(f"{name:<10} {value}")
    for message in messages or ():
        print_text(f"\n--- {message['role']}\n{message_text(message)}")
    if problem:
        print_text(f"\n--- messages\n{problem}")
        if run["inputs"] is not None:
            print_text(summarize_data_urls(json.dumps(run["inputs"], ensure_ascii=False, indent=2)))
    _print_attempts(run["attempts"], reasoning=reasoning)
    if run["output"] is not None or run["tool_calls"]:
        print_text(f"\n=== {'answer' if run['state'] == 'finished' else 'partial answer'}")
        print_text(answer_text(run["output"], run["tool_calls"]))
    for guard in run["guards"]:
        print_text(_guard_line(guard))
    for check in run["checks"]:
        verdict = "passed" if check["pass"] else "FAILED"
        print_text(f"{verdict} {check['name']}{': ' if check['message'] else ''}{check['message']}")


def _guard_line(guard: Mapping[str, Any]) -> str:
    """``guard pii: redacted the input, 0.1 ms: …``; of one that asked a model also what that cost."""
    did = guard_deed(guard["on"], guard["did"]) if guard["did"] != "passed" else f"passed the {guard['on']}"
    cost = f", {usd_cell(guard['usd']) or 'unknown'} USD" if guard["usd"] != 0 else ""
    error = " (it could not say)" if guard["error"] else ""
    why = f": {guard['why']}" if guard["why"] and guard["did"] != "passed" else ""
    return f"guard {guard['guard']}: {did}{error}, {guard['ms']:.1f} ms{cost}{why}"


def _print_attempts(attempts: Sequence[Mapping[str, Any]], *, reasoning: bool) -> None:
    """What came beside the answers."""
    for attempt in attempts if reasoning else ():
        if thoughts := attempt.get("reasoning"):
            print_text(f"\n--- reasoning\n{thoughts}")
    for attempt in attempts:
        if "guarded" in attempt:
            print_text(f"\n--- answer that no guard let pass\n{attempt['output'] or ''}")
    if attempts and (whole := attempts[-1].get("full_text")):
        print_text(f"\n--- full text, of which the answer is the JSON\n{whole}")


def _facts(run: RunRecord) -> list[tuple[str, Any]]:
    """Name and value of each line, in the order in which a person asks for them."""
    error = run["error"]
    return [
        ("run", run["run_id"]),
        ("started", run["started_at"]),
        ("version", run_version(run)),
        ("digest", run["digest"]),
        ("from", _source(run)),
        ("asked as", run["reference"]),
        ("overrides", _json(run["overrides"])),
        ("channel", run["channel"]),
        (
            "rollout",
            run["rollout"] and f"{run['rollout']} ({run['arm']}, {(run['weight_bp'] or 0) / 100:g} %)",
        ),
        ("kind", None if run["kind"] == "run" else run["kind"]),
        ("model", _model(run)),
        ("parameters", _json(run["parameters"])),
        ("result", run_result(run)),
        ("error", error and f"{error['message']}{' (retryable)' if error['retryable'] else ''}"),
        ("tokens", _tokens(run)),
        ("cost", _cost(run)),
        ("latency", _latency(run)),
        ("attempts", len(run["attempts"]) if len(run["attempts"]) > 1 else None),
        ("cache", run["cache"] and f"answer of run {run['cache']['run_id']}"),
        ("nonce", run["nonce"]),
        ("redacted", _redacted(run["redacted"] or {})),
        ("metadata", _json(run["metadata"])),
        *((each["name"], f"{each['value']} {each['text']} ({each['source']})") for each in run["outcomes"]),
    ]


def _source(run: RunRecord) -> str:
    commit = f"commit {run['commit_sha'][:12]}" if run["commit_sha"] else "no commit"
    edits = " with edits that are not committed" if run["dirty"] else ""
    return f"{run['source'] or 'unknown'}, {commit}{edits}"


def _model(run: RunRecord) -> str:
    answered = run["response_model"]
    same = answered is None or run["request_model"].endswith(answered)
    return str(run["request_model"]) + ("" if same else f" (answered: {answered})")


def _tokens(run: RunRecord) -> str | None:
    if run["input_tokens"] is None and run["output_tokens"] is None:
        return None
    return f"{run['input_tokens']} in, {run['output_tokens']} out"


def _cost(run: RunRecord) -> str:
    """What was spent first, then the price of the answer where that is another figure."""
    spent, cost, listed = run["spent_usd"], run["cost_usd"], run["cost_list_usd"]
    text = "unknown" if spent is None or cost is None else f"{usd_cell(spent)} USD"
    price = cost if spent != cost else listed
    return text if price is None or price == spent else f"{text} (list price {usd_cell(price)} USD)"


def _latency(run: RunRecord) -> str | None:
    if run["latency_ms"] is None:
        return None
    first = run["first_token_ms"]
    return f"{integer_cell(run['latency_ms'])} ms" + (
        f", first token after {integer_cell(first)} ms" if first else ""
    )


def _redacted(counts: Mapping[str, Mapping[str, int]]) -> str:
    """``inputs: 2 email, 1 phone; outputs: 1 email``."""
    parts = (
        f"{where}: {', '.join(f'{number} {kind}' for kind, number in found.items())}"
        for where, found in counts.items()
    )
    return "; ".join(parts)


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False) if value else ""
