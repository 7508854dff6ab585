"""``promptops runs replay``: the same request once more, and how the answers differ."""

import asyncio
import difflib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from promptops.cli.last_run import find_logged_run
from promptops.cli.options.common import JsonOption, RunArgument
from promptops.cli.options.flags import redacted_option
from promptops.config.settings import Settings, current_settings
from promptops.console import note, print_json, print_styled, print_text
from promptops.errors import NotFound
from promptops.prompt.tool_calls import answer_text, comparable_answer
from promptops.registry import RegistryDatabase, load_run_prompt, rebuild_messages
from promptops.registry import RunRecord as LoggedRun
from promptops.runner import Run, RunContext
from promptops.runner.run import BLOCKED
from promptops.runner.session import Session
from promptops.versions.resolve import Version, resolve_version

RedactedOption = Annotated[bool, redacted_option("Send redacted inputs as they are kept.")]


def runs_replay(run: RunArgument, redacted: RedactedOption = False, as_json: JsonOption = False) -> int:
    """Send a run's exact request again and compare the answers. Exit 1 when they differ.

    The messages are rebuilt and must have the logged hash. The replay is logged as a run of its own.
    """
    settings = current_settings()
    with RegistryDatabase.open_existing(settings.registry) as registry:
        before = find_logged_run(registry, run, settings)
        if before["error"] and before["error"]["type"] in BLOCKED:
            raise NotFound(
                f"a guard blocked run {before['run_id']}, so there is no answer to compare with",
                hint=f"promptops run {before['reference']} makes a new run of it",
            )
        if before["state"] == "finished" and before["output"] is None and not before["tool_calls"]:
            raise NotFound(
                f"the answer of run {before['run_id']} was not stored, so there is nothing to compare with",
                hint="`log: {outputs: full}` in promptops.yaml keeps answers from now on",
            )
        version = _version(registry, before, settings, redacted=redacted)
    after = asyncio.run(_send_again(settings, version, before))
    same = after.error is None and _comparable(after.as_json()) == _comparable(before)
    if as_json:
        print_json({"same": same, "before": before, "after": after.as_json()})
    elif after.error is None:
        _print(before, after, same=same)
    if after.error:
        raise after.error
    return 0 if same else 1


def _comparable(run: Mapping[str, Any]) -> str:
    return comparable_answer(run["output"], run["tool_calls"]) or ""


def _version(registry: RegistryDatabase, before: LoggedRun, settings: Settings, *, redacted: bool) -> Version:
    def load(reference: str) -> Any:
        return resolve_version(reference, settings).prompt

    if before["redacted"] and not redacted:
        raise NotFound(
            f"run {before['run_id']} was redacted before it was logged, so it cannot be sent as it was",
            hint="--redacted sends what is kept, which is another request",
        )
    if not (before["redacted"] or {}).get("inputs"):
        rebuild_messages(registry, before, load)  # refuses what would not be the same request
    return Version(
        prompt=load_run_prompt(registry, before, load),
        reference=before["reference"],
        source=before["source"],
        pasteable=before["reference"],
        commit_sha=before["commit_sha"],
        dirty=before["dirty"],
        version=before["version"],
    )


async def _send_again(settings: Settings, version: Version, before: LoggedRun) -> Run:
    origin = RunContext(
        overrides=before["overrides"],
        metadata={"replay_of": before["run_id"]},
        redacted=(before["redacted"] or {}).get("inputs"),
    )
    async with Session(settings) as session:
        return await session.run(version, before["inputs"], origin=origin)


def _print(before: LoggedRun, after: Run, *, same: bool) -> None:
    if same:
        print_text(after.answer)
        note("the same answer again")
        return
    for line in _difference(
        answer_text(before["output"], before["tool_calls"]),
        after.answer,
        before["run_id"],
        after.started.run_id,
    ):
        print_styled([(line, {"-": "red", "+": "green"}.get(line[0], ""))])


def _difference(old: str, new: str, old_name: str, new_name: str) -> Iterator[str]:
    return difflib.unified_diff(old.splitlines(), new.splitlines(), old_name, new_name, lineterm="")
