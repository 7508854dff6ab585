"""``promptops keys new``: a key for a tenant of the gateway."""

import re
from typing import Annotated

import typer

from promptops.cli.options.flags import rpm_option, tpm_option
from promptops.config.settings import current_registry
from promptops.console import note, print_text
from promptops.errors import Invalid
from promptops.gateway.patterns import check_model_pattern, check_reference_pattern
from promptops.registry import ApiKey, KeyLimits, RegistryDatabase, add_api_key

_ROLES = ("viewer", "reviewer", "approver")
_TENANT = re.compile(r"\w[\w.@-]{0,99}", re.ASCII)
TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="Who calls: logged with each run.")]
AllowOption = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="REF", help="May call these, such as 'support/*:production'; all else."),
]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option("--models", metavar="MODEL", help="May call these models without a prompt, 'openai/*'."),
]
RevisionsOption = Annotated[
    bool, typer.Option("--revisions", help="May call NAME@REV too, which need not be released.")
]
MetricsOption = Annotated[
    bool, typer.Option("--metrics", help="May read /metrics, which count what all tenants use.")
]
RoleOption = Annotated[
    str | None,
    typer.Option("--role", metavar="ROLE", help="Opens pages: viewer, reviewer or approver; for one person."),
]
RequestsOption = Annotated[int | None, rpm_option(min_value=1)]
TokensOption = Annotated[int | None, tpm_option()]
UnitOption = Annotated[
    int | None,
    typer.Option("--unit-rpm", metavar="N", min=1, help="At most so many requests a minute a unit."),
]
BlockedOption = Annotated[
    int | None,
    typer.Option("--unit-blocked", metavar="N", min=1, help="At most so many blocked inputs an hour a unit."),
]
DayOption = Annotated[
    float | None, typer.Option("--usd-per-day", metavar="USD", min=0, help="At most so much a day (UTC).")
]
MonthOption = Annotated[
    float | None, typer.Option("--usd-per-month", metavar="USD", min=0, help="At most so much a month (UTC).")
]
ConcurrencyOption = Annotated[
    int | None, typer.Option("--concurrency", metavar="N", min=1, help="At most so many calls at a time.")
]


def keys_new(
    tenant: TenantArgument,
    allow: AllowOption = None,
    models: ModelsOption = None,
    revisions: RevisionsOption = False,
    metrics: MetricsOption = False,
    role: RoleOption = None,
    requests: RequestsOption = None,
    tokens: TokensOption = None,
    unit: UnitOption = None,
    blocked: BlockedOption = None,
    day: DayOption = None,
    month: MonthOption = None,
    concurrency: ConcurrencyOption = None,
) -> None:
    """Make a key for callers of the gateway and print it, once.

    Only its hash is kept, in the registry. From the first key on every request needs one. With --role it
    opens the pages of `ui` to the person whose address TENANT is, and calls nothing unless --allow says so.
    """
    if not _TENANT.fullmatch(tenant):
        raise Invalid(f"`{tenant}` is not a tenant's name", hint="letters, digits and . _ @ -, at most 100")
    for pattern in allow or ():
        check_reference_pattern(pattern, revisions=revisions)
    for pattern in models or ():
        check_model_pattern(pattern)
    _check_role(role, tenant)
    limits = KeyLimits(
        allow=tuple(allow or (() if role else ("*",))),
        models=tuple(models or ()),
        revisions=revisions,
        metrics=metrics,
        role=role,
        requests_per_minute=requests,
        tokens_per_minute=tokens,
        unit_requests_per_minute=unit,
        unit_blocked_per_hour=blocked,
        usd_per_day=day,
        usd_per_month=month,
        concurrency=concurrency,
    )
    key, secret = ApiKey.create(tenant, limits)
    with RegistryDatabase.open(current_registry()) as registry:
        add_api_key(registry, key)
    print_text(secret)
    note(f"key {key.key_id} of {tenant}: it is not shown again")


def _check_role(role: str | None, tenant: str) -> None:
    """What is approved with a key is recorded as its person's: nobody shares one."""
    if role is not None and role not in _ROLES:
        raise Invalid(f"`{role}` is not a role", hint=f"--role {', '.join(_ROLES)}")
    if role is not None and "@" not in tenant.strip("@"):
        raise Invalid(
            f"`{tenant}` is not a person's address", hint="promptops keys new ada@example.org --role viewer"
        )
