"""``promptops release verify``: make every transition again, and compute every verdict again."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import project_release_context
from promptops.console import note, print_json, print_text
from promptops.errors import ExitCode
from promptops.registry import RegistryDatabase
from promptops.release.actions.verify import VerificationResult, verify_all, verify_branch
from promptops.release.context import require_prompt
from promptops.release.tampering import Tampering
from promptops.versions.references import parse_reference

NameArgument = Annotated[
    str | None, typer.Argument(metavar="NAME[:CHANNEL]", help="Without one: all.", show_default=False)
]


def release_verify(name: NameArgument = None, as_json: JsonOption = False) -> int:
    """Check every file of the state branch, and recompute all committed verdicts from the logged data.

    Exit code 1 says that a file is not what its transitions left, or that a verdict does not follow from the
    observations in the registry; 3 that its calls are in another registry.
    """
    with project_release_context(registry=RegistryDatabase.open_existing) as context:
        reference = parse_reference(name, context.settings) if name else None
        if reference:
            require_prompt(context, reference.name)
        prompt, channel = (reference.name, reference.channel) if reference else (None, None)
        tampering = verify_branch(context, prompt)
        results = list(verify_all(context, prompt, channel))
    if as_json:
        print_json([*map(_tampering_data, tampering), *map(_verification_data, results)])
    else:
        _print_branch(tampering)
        for each in results:
            _print_verification(each)
    if not results:
        note("no transition rests on evidence yet")
    if tampering or any(each.mismatches for each in results):
        return ExitCode.NO
    return ExitCode.UNDECIDED if any(each.elsewhere for each in results) else ExitCode.OK


def _print_branch(tampering: Sequence[Tampering]) -> None:
    for each in tampering:
        print_text(f"tampered  {each.sentence}")
    if tampering:
        note("  promptops release recover brings back what the transitions left")
    else:
        print_text("ok        every file of promptops-state is what its transitions left")


def _print_verification(each: VerificationResult) -> None:
    record = each.record
    if each.elsewhere:
        print_text(f"not here  {record.at}  {record.subject}")
        note(f"  its calls are in the registry {each.elsewhere}: verify it there")
        return
    print_text(f"{'differs' if each.mismatches else 'ok':<8}  {record.at}  {record.subject}")
    for one in each.mismatches:
        of = f"{one.metric}: " if one.metric else ""
        print_text(f"  {of}{one.what}: committed {one.committed}, from the observations {one.recomputed}")


def _tampering_data(each: Tampering) -> dict[str, Any]:
    return {
        "path": each.path,
        "commit": each.commit,
        "author": each.author,
        "problem": each.problem,
        "prompts": None if each.prompts is None else sorted(each.prompts),
    }


def _verification_data(each: VerificationResult) -> dict[str, Any]:
    return {
        "prompt": each.record.prompt,
        "channel": each.record.channel,
        "generation": each.record.generation,
        "at": each.record.at,
        "subject": each.record.subject,
        "evidence": each.record.evidence,
        "elsewhere": each.elsewhere or None,
        "mismatches": [asdict(one) for one in each.mismatches],
    }
