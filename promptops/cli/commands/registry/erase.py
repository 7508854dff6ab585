"""``promptops registry erase``: erase what the log holds of a person."""

from dataclasses import asdict
from functools import partial
from typing import Annotated

from promptops.cli.options.common import JsonOption
from promptops.cli.options.flags import dry_run_option, tenant_option, unit_option
from promptops.cli.options.release import YesOption, require_confirmation
from promptops.config.settings import current_settings
from promptops.console import note, print_json, print_text
from promptops.errors import WrongUsage
from promptops.registry import (
    ErasureResult,
    RegistryDatabase,
    Spool,
    erase_person,
    erase_shared_answers,
    known_unit_hashes,
    open_with_waiting_runs,
)
from promptops.reports.numbers import pluralize

UnitOption = Annotated[
    str | None, unit_option("Whom: the unit as it was given to run, batch or an application.", metavar="U")
]
TenantOption = Annotated[
    str | None, tenant_option("All runs of this tenant: by key, or by `tenant` in the metadata.")
]
DryRunOption = Annotated[bool, dry_run_option("Show what would be erased.")]


def registry_erase(
    unit: UnitOption = None,
    tenant: TenantOption = None,
    dry_run: DryRunOption = False,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Erase inputs, outputs, feedback, metadata, cached answers and index entries of a person or tenant.

    Runs stay as counts, so that verdicts can be computed again; whose they are is forgotten. The registry is
    written again, and the next search makes its index again.
    """
    if (unit is None) == (tenant is None):
        raise WrongUsage("whose texts are to be erased?", hint="give --unit U, or --tenant T")
    settings = current_settings()
    with open_with_waiting_runs(settings) as registry:
        planned = _erase(registry, unit, tenant, dry_run=True)
        erased = planned
        if not dry_run and planned.runs:
            question = f"Erase what is held in {pluralize(planned.runs, 'run')}?"
            require_confirmation(question, yes=yes, needed=True)
            erased = _erase(registry, unit, tenant, dry_run=False)
    if as_json:
        print_json({**asdict(erased), "dry_run": dry_run})
    else:
        _print(erased, dry_run=dry_run)
    if damaged := len(Spool(settings.registry).damaged()):
        note(f"{pluralize(damaged, 'file')} beside the registry could not be read: look at them yourself")


def _erase(
    registry: RegistryDatabase, unit: str | None, tenant: str | None, *, dry_run: bool
) -> ErasureResult:
    hashes = [] if unit is None else known_unit_hashes(registry, unit)
    forget = partial(erase_shared_answers, registry.path)
    return erase_person(registry, unit_hashes=hashes, tenant=tenant, dry_run=dry_run, forget=forget)


def _print(erased: ErasureResult, *, dry_run: bool) -> None:
    if not erased.runs:
        print_text("nothing is held")
        return
    print_text(f"{pluralize(erased.runs, 'run')}:")
    for name, count in erased.held.items():
        left = "" if dry_run else f", {erased.left[name]:,} left"
        print_text(f"  {name:<16} {'' if dry_run else 'erased '}{count:,}{left}")
    if erased.waiting:
        note("another process is reading the registry; what it reads goes from the disk when it has finished")
    if erased.under_way:
        note(f"{pluralize(erased.under_way, 'run')} under way: erase again when they have ended")
