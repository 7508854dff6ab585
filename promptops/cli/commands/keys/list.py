"""``promptops keys list``: the keys of the gateway."""

from dataclasses import asdict

from promptops.cli.options.common import JsonOption
from promptops.cli.reports.run_tables import format_age
from promptops.config.settings import current_registry
from promptops.console import note, print_json, print_table
from promptops.registry import ApiKey, KeyLimits, RegistryDatabase, list_api_keys

_UNITS = {
    "requests_per_minute": "{}/min",
    "tokens_per_minute": "{} tokens/min",
    "unit_requests_per_minute": "{}/min a unit",
    "unit_blocked_per_hour": "{} blocked/h a unit",
    "usd_per_day": "${:g}/day",
    "usd_per_month": "${:g}/month",
    "concurrency": "{} at a time",
}


def keys_list(as_json: JsonOption = False) -> None:
    """List the keys of the gateway, with what each may do. Their secrets are kept nowhere."""
    with RegistryDatabase.open_existing(current_registry()) as registry:
        keys = list_api_keys(registry)
    if as_json:
        print_json([_as_json(key) for key in keys])
    elif not keys:
        note("no keys: promptops keys new TENANT makes one")
    else:
        rows = [
            (key.key_id, key.tenant, format_age(key.created_at), _state(key), _limits(key.limits))
            for key in keys
        ]
        print_table(("KEY", "TENANT", "AGE", "STATE", "MAY"), rows)


def _as_json(key: ApiKey) -> dict[str, object]:
    return {name: value for name, value in asdict(key).items() if name != "secret_hash"}


def _state(key: ApiKey) -> str:
    return "revoked" if key.revoked_at else "active"


def _limits(limits: KeyLimits) -> str:
    bounds = [
        form.format(value) for name, form in _UNITS.items() if (value := getattr(limits, name)) is not None
    ]
    callable_ = " ".join((*limits.allow, *limits.models))
    role = [f"{limits.role} on pages"] if limits.role else []
    return ", ".join(
        [*filter(None, [callable_]), *role, *(["any revision"] if limits.revisions else []), *bounds]
    )
