"""``promptops shadow on``: a version answers a sample of a channel's calls as well; users do not see it."""

from typing import Annotated

import typer

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import sample_option
from promptops.cli.options.release import (
    LocalOption,
    ProposeOption,
    ReasonOption,
    TargetArgument,
    UnreviewedOption,
    print_transition,
    project_release_context,
)
from promptops.console import note
from promptops.errors import Invalid
from promptops.release.actions.candidate import ReleaseCandidate
from promptops.release.actions.shadow import EnableShadowRequest, enable_shadow, shadow_candidate
from promptops.release.context import ReleaseContext, resolve_target

VersionOption = Annotated[
    str, typer.Option("--version", metavar="REV", help="The version: a commit, a tag, v13 or NAME:staging.")
]
SampleOption = Annotated[
    float, sample_option("The share of calls, as 0.1.", metavar="P", min_value=0.0001, max_value=1.0)
]
MaxOption = Annotated[
    float, typer.Option("--max-usd", metavar="X", min=0.0, help="What all its answers may cost.")
]


def shadow_on(
    name: TargetArgument,
    version: VersionOption,
    sample: SampleOption,
    max_usd: MaxOption,
    unreviewed: UnreviewedOption = False,
    reason: ReasonOption = "",
    local: LocalOption = False,
    propose: ProposeOption = None,
    as_json: JsonOption = False,
) -> int:
    """Have a version answer a sample of a channel's calls too, after the users' answers are out.

    Nobody sees its answers, and its failures touch no user's. `shadow status` says what has come of it.
    """
    with project_release_context(local=local, propose=propose) as context:
        request = EnableShadowRequest(
            target=resolve_target(context, name),
            revision=version,
            sample=sample,
            max_usd=max_usd,
            unreviewed=unreviewed,
            reason=reason,
        )
        candidate = shadow_candidate(context, request)
        _check_cost(context, candidate)
        code = print_transition(request.target, enable_shadow(context, request, candidate), as_json=as_json)
        if context.settings.log.inputs != "full":
            note("inputs are not kept (log.inputs), so only the Python API can have them answered again")
        return code


def _check_cost(context: ReleaseContext, candidate: ReleaseCandidate) -> None:
    from promptops.runner.batch import BatchOptions, CostEstimator

    with CostEstimator(context.settings, BatchOptions(cache="off")) as estimate:
        try:
            estimate.check(candidate.version.prompt)
        except Invalid as error:
            raise Invalid(
                error.message.replace("--max-cost", "--max-usd"),
                hint="set parameters.max_tokens, and give prices under `models:` where they are unknown",
            ) from None
