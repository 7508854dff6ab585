"""``promptops release forecast``: how long a canary would take."""

from contextlib import suppress
from dataclasses import asdict

from promptops.cli.options.common import JsonOption
from promptops.cli.options.release import (
    PlanOption,
    ReleaseArgument,
    ToOption,
    UnreviewedOption,
    project_release_context,
)
from promptops.console import note, print_json, print_text
from promptops.errors import Unavailable
from promptops.registry import RegistryDatabase
from promptops.release.actions.canary import CanaryRequest, forecast_canary, prepare_canary
from promptops.release.actions.candidate import ReleaseCandidate
from promptops.release.analysis.forecast import Forecast
from promptops.release.plan.quality import quality_notes


def release_forecast(
    reference: ReleaseArgument,
    to: ToOption = None,
    plan: PlanOption = None,
    unreviewed: UnreviewedOption = False,
    as_json: JsonOption = False,
) -> None:
    """Estimate how many calls and days a canary would take, from the channel's logged traffic."""
    reason = "only a forecast" if unreviewed else ""
    start = CanaryRequest(
        reference=reference, channel=to, plan=plan, supersede=True, unreviewed=unreviewed, reason=reason
    )
    with project_release_context(registry=RegistryDatabase.open_existing) as context:
        with suppress(Unavailable):  # what was fetched before will do
            context.ledger.refresh()
        prepared = prepare_canary(context, start, fresh=True, forecast=True)
        if isinstance(prepared, ReleaseCandidate):
            forecast = Forecast(
                sentence=f"{prepared.target} serves nothing yet: the first version needs no evidence"
            )
        else:
            forecast = forecast_canary(context, prepared)
            for each in quality_notes(prepared.plan):
                note(each)
    if as_json:
        print_json(asdict(forecast))
    else:
        print_text(forecast.sentence)
        if forecast.advice:
            print_text(forecast.advice)
