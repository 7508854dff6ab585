"""Flags that several verbs share and each explains in its own words. A flag is spelt here and nowhere else.

Where verbs mean the same by a flag they share an ``…Option`` of the files beside this one.
"""

from typing import Any

import typer


def against_option(help_text: str) -> Any:
    return typer.Option("--against", metavar="REF", help=help_text)


def all_option(help_text: str) -> Any:
    return typer.Option("--all", help=help_text)


def before_option(help_text: str) -> Any:
    return typer.Option("--before", metavar="WHEN", help=help_text)


def cases_option(help_text: str, *, metavar: str | None = None, min_value: int | None = None) -> Any:
    return typer.Option("--cases", metavar=metavar, min=min_value, help=help_text)


def code_option(help_text: str) -> Any:
    return typer.Option("--code", metavar="CODE", help=help_text)


def assume_cost_option() -> Any:
    return typer.Option(
        "--assume-cost", metavar="USD", min=0, help="What a call costs where no price is known."
    )


def continue_option(help_text: str) -> Any:
    return typer.Option("-c", "--continue", help=help_text)


def dry_run_option(help_text: str) -> Any:
    return typer.Option("--dry-run", help=help_text)


def exit_code_option(help_text: str) -> Any:
    return typer.Option("--exit-code", help=help_text)


def force_option(help_text: str) -> Any:
    return typer.Option("--force", help=help_text)


def format_option(help_text: str, *, metavar: str | None = None) -> Any:
    return typer.Option("--format", metavar=metavar, help=help_text)


def from_option(help_text: str) -> Any:
    return typer.Option("--from", metavar="FILE", help=help_text)


def host_option() -> Any:
    return typer.Option("--host", metavar="ADDRESS", help="Listen on this address.")


def id_option(help_text: str) -> Any:
    return typer.Option("--id", help=help_text)


def inputs_option(help_text: str) -> Any:
    return typer.Option("--inputs", metavar="FILE", help=help_text)


def jobs_option(help_text: str = "Maximum concurrent calls.", *, max_value: int = 1024) -> Any:
    return typer.Option("-j", "--jobs", min=1, max=max_value, help=help_text)


def judge_option(help_text: str, *, metavar: str | None = None) -> Any:
    return typer.Option("--judge", metavar=metavar, help=help_text)


def limit_option(help_text: str) -> Any:
    return typer.Option("-n", "--limit", metavar="N", min=1, help=help_text)


def port_option() -> Any:
    return typer.Option(
        "--port", metavar="PORT", min=0, max=65535, help="Listen on this port; 0 takes a free one."
    )


def semantic_option(help_text: str) -> Any:
    return typer.Option("--semantic", metavar="MODEL", help=help_text)


def read_only_option(help_text: str) -> Any:
    return typer.Option("--read-only", help=help_text)


def redacted_option(help_text: str) -> Any:
    return typer.Option("--redacted", help=help_text)


def plan_option(help_text: str, *, metavar: str = "PLAN") -> Any:
    return typer.Option("--plan", metavar=metavar, help=help_text)


def max_cost_option(help_text: str = "Call nothing that may cost more in all.") -> Any:
    return typer.Option("--max-cost", metavar="USD", min=0, help=help_text)


def meta_option() -> Any:
    return typer.Option("--meta", metavar="KEY=VALUE", help="Log this with the run.")


def model_option(help_text: str, *, metavar: str = "MODEL") -> Any:
    return typer.Option("--model", metavar=metavar, help=help_text)


def no_worse_option(help_text: str) -> Any:
    return typer.Option("--no-worse-than", metavar="MARGIN", min=0.0, max=0.99, help=help_text)


def older_than_option(help_text: str) -> Any:
    return typer.Option("--older-than", metavar="AGE", help=help_text)


def on_option() -> Any:
    return typer.Option(
        "--on",
        metavar="PLACE",
        help="Make the calls on a Ray cluster: ray (of this machine), or ray://HOST:10001.",
    )


def out_option(help_text: str) -> Any:
    return typer.Option("--out", metavar="FILE", help=help_text)


def quiet_option() -> Any:
    return typer.Option("-q", "--quiet", help="Leave out the line below an answer on a terminal.")


def reasoning_option(help_text: str) -> Any:
    return typer.Option("--reasoning", help=help_text)


def restart_option() -> Any:
    return typer.Option("--restart", help="Begin again instead of carrying on.")


def retries_option() -> Any:
    return typer.Option("--retries", min=0, help="Retries after a transient failure.")


def rpm_option(*, min_value: float) -> Any:
    return typer.Option("--rpm", metavar="N", min=min_value, help="Requests a minute at most.")


def run_option(help_text: str, *, metavar: str | None = None) -> Any:
    return typer.Option("--run", metavar=metavar, help=help_text)


def sample_option(help_text: str, *, metavar: str, min_value: float, max_value: float | None = None) -> Any:
    return typer.Option("--sample", metavar=metavar, min=min_value, max=max_value, help=help_text)


def set_option(help_text: str) -> Any:
    return typer.Option("--set", metavar="KEY=VALUE", help=help_text)


def staged_option(help_text: str) -> Any:
    return typer.Option("--staged", help=help_text)


def shard_option(help_text: str) -> Any:
    return typer.Option("--shard", metavar="I/N", help=help_text)


def since_option(help_text: str, *, metavar: str = "WHEN") -> Any:
    return typer.Option("--since", metavar=metavar, help=help_text)


def strict_option(help_text: str = "Warnings count as errors do.") -> Any:
    return typer.Option("--strict", help=help_text)


def tag_option(help_text: str) -> Any:
    return typer.Option("--tag", metavar="TAG", help=help_text)


def tenant_option(help_text: str) -> Any:
    return typer.Option("--tenant", metavar="TENANT", help=help_text)


def timeout_option(help_text: str, *, metavar: str | None = None, min_value: float | None = None) -> Any:
    return typer.Option("--timeout", metavar=metavar, min=min_value, help=help_text)


def to_option(help_text: str, *, metavar: str) -> Any:
    return typer.Option("--to", metavar=metavar, help=help_text)


def unit_option(help_text: str, *, metavar: str) -> Any:
    return typer.Option("--unit", metavar=metavar, help=help_text)


def tpm_option() -> Any:
    return typer.Option("--tpm", metavar="N", min=1, help="Tokens a minute at most.")


def wait_option(help_text: str) -> Any:
    return typer.Option("--wait", help=help_text)


def watch_option(help_text: str) -> Any:
    return typer.Option("--watch", help=help_text)


def write_option(help_text: str) -> Any:
    return typer.Option("--write", help=help_text)
