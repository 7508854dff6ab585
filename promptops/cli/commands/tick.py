"""``promptops tick``: evaluate active canaries and advance, hold or roll back each."""

import sys
from typing import Annotated, Any

from promptops.cli.alerting import tell_people
from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import all_option, exit_code_option
from promptops.cli.options.release import (
    LocalOption,
    TargetsArgument,
    project_release_context,
    transition_data,
)
from promptops.console import note, note_traceback, print_json_line, print_text, print_wrapped
from promptops.errors import ExitCode, Invalid, PromptopsError, Unavailable
from promptops.redaction import redact
from promptops.release.context import ReleaseContext, Target, is_tampered, resolve_targets
from promptops.release.plan.quality import quality_notes
from promptops.release.reconcile import TickResult, score_long_logs
from promptops.release.reconcile import tick_channel as tick_

_WORST_FIRST = (
    ExitCode.PIPE_CLOSED,
    ExitCode.BUG,
    ExitCode.INVALID,
    ExitCode.UNAVAILABLE,
    ExitCode.NO,
    ExitCode.UNDECIDED,
    ExitCode.OK,
)
AllOption = Annotated[
    bool, all_option("Every active canary; one JSON object a line where no terminal reads.")
]
ExitCodeOption = Annotated[bool, exit_code_option("Exit 3 while a canary is undecided.")]


def tick(
    names: TargetsArgument = None,
    every: AllOption = False,
    exit_code: ExitCodeOption = False,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> int:
    """Evaluate active canaries and advance, hold or roll back each (at most one step).

    It calls no model and may be run as often as one likes. Exit code 0 says that it did its work, also
    when a canary is held; 1 that one was rolled back, 4 that evidence is invalid or that the state branch was
    changed by hand, 5 that the remote was not reached.
    """
    if every and names:
        raise Invalid("--all is every canary; no names beside it", hint="promptops tick --all")
    as_json = as_json or (every and not sys.stdout.isatty())
    with project_release_context(local=local) as context:
        codes = [_refresh(context)]
        targets = resolve_targets(names or [], context, active=not names)
        if not targets:
            note("no canary is active")
        scored = score_long_logs(context, targets)
        codes += [_tick_safely(context, target, exit_code=exit_code, as_json=as_json) for target in scored]
    tell_people(context.settings)
    return next(code for code in _WORST_FIRST if code in codes or code == ExitCode.OK)


def _refresh(context: ReleaseContext) -> int:
    """Fetch what others did. Without the remote a harmful canary is still found, and rolled back here."""
    try:
        context.ledger.refresh()
    except Unavailable as error:
        note(f"promptops: {error.message}\n  {error.hint}")
        return error.exit_code
    return 0


def _tick_safely(context: ReleaseContext, target: Target, *, exit_code: bool, as_json: bool) -> int:
    """The exit code of one canary, whatever it meets: the others are looked at all the same."""
    try:
        return _tick(context, target, exit_code=exit_code, as_json=as_json)
    except PromptopsError as error:
        note(f"promptops: {target}: {error.message}\n  {error.hint}")
        return _report_failure(target, error.message, error.exit_code, as_json=as_json)
    except BrokenPipeError:  # nobody reads any more, and what was due has been done
        return ExitCode.PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - a bug that one canary meets must not leave harm in another
        note_traceback()
        note(f"promptops: {target}: this is a bug. Please report it with the lines above.")
        return _report_failure(target, repr(error), ExitCode.BUG, as_json=as_json)


def _report_failure(target: Target, message: str, code: int, *, as_json: bool) -> int:
    if as_json:
        failed = {"prompt": target.prompt, "channel": target.channel, "error": redact(message), "code": code}
        print_json_line(failed)
    return code


def _tick(context: ReleaseContext, target: Target, *, exit_code: bool, as_json: bool) -> int:
    done = tick_(context, target)
    code = done.code(exit_code=exit_code)
    if code != ExitCode.NO and is_tampered(context, target.prompt):  # which was said when it was read
        code = ExitCode.INVALID
    if as_json:
        print_json_line({**_tick_data(done), "code": code})
    else:
        _print_tick(done)
    for each in quality_notes(done.look.plan) if done.look.plan else ():
        note(f"{target}: {each}")
    return code


def _print_tick(done: TickResult) -> None:
    if done.move and done.written and done.written.transition:
        print_text(done.written.message)
        print_text(f"  {done.written.transition.reason}")
        if done.written.pushed is False:
            note("  on this machine only; retry: promptops release sync")
        return
    rollout = done.look.rollout
    what = (
        f"{rollout.canary.version} stays at {rollout.weight_bp / 100:g}% ({rollout.phase})" if rollout else ""
    )
    print_text(f"{done.target}: {what or 'no canary is active'}")
    for hold in done.holds if rollout else ():
        print_wrapped(hold, indent=2)


def _tick_data(done: TickResult) -> dict[str, Any]:
    rollout, written = done.after.rollout, done.written
    base = (
        transition_data(done.target, written)
        if written
        else {
            "prompt": done.target.prompt,
            "channel": done.target.channel,
            "changed": False,
            "move": None,
            "stable": done.after.stable.version if done.after.stable else None,
            "canary": rollout.canary.version if rollout else None,
            "rollout": rollout.id if rollout else None,
            "phase": rollout.phase if rollout else None,
            "step": rollout.step if rollout else None,
            "weight_bp": rollout.weight_bp if rollout else 0,
        }
    )
    due = written.transition if written and written.changed else None
    return {
        **base,
        "reason": due.reason if due else None,
        "holds": list(done.holds),
        "calls": done.look.findings.calls if done.look.findings else None,
        "canary_calls": done.look.findings.canary_calls if done.look.findings else None,
    }
