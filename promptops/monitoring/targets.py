"""Which channels are looked at, and what each serves."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from promptops.config.settings import Settings
from promptops.errors import Invalid, NotFound, PromptopsError
from promptops.git.repo import GitRepo
from promptops.monitoring.alarm import Alarm
from promptops.monitoring.look import ServedVersion
from promptops.monitoring.shutdown_dates import refresh_shutdown_dates, shutdown_date
from promptops.providers.catalog import Catalog
from promptops.registry import (
    RegistryDatabase,
    find_channels,
    newest_stable_run,
)
from promptops.versions.references import parse_reference
from promptops.versions.release_state import ReleasedVersion, ReleaseState
from promptops.versions.trusted_releases import trusted_releases

Target = tuple[str, str]
Releases = Mapping[str, ReleaseState]
_RETIREMENT_DAYS = 90
_RETIREMENT_ADVICE = "`promptops shadow migrate NAME --model OLD=NEW` compares a successor on logged inputs"


def released_states(settings: Settings) -> Releases:
    """Of every prompt; none where there is no git repository, or nothing is released."""
    if settings.top is None and settings.git_dir is None:
        return {}
    with GitRepo(settings) as repo:
        trusted = trusted_releases(repo)
        return trusted.releases() if trusted else {}


def find_targets(
    registry: RegistryDatabase, settings: Settings, releases: Releases, names: Sequence[str]
) -> list[Target]:
    """The channels that names mean (NAME or NAME:CHANNEL); without names all that serve or were called."""
    known = sorted({*find_channels(registry), *_released(releases)})
    if not names:
        return known
    found: list[Target] = []
    for name in names:
        reference = parse_reference(name, settings)
        if reference.rev is not None:
            raise Invalid(f"{name} names a revision; monitoring needs a channel", hint=reference.name)
        if reference.channel is not None:
            some = [(reference.name, reference.channel)]
        else:
            some = [target for target in known if target[0] == reference.name]
        if not some:
            raise NotFound(
                f"no channel serves {reference.name}, and no call of one is logged",
                hint=f"promptops promote {reference.name}@REV; calls without a channel are not watched",
            )
        found += [each for each in some if each not in found]
    return found


def _released(releases: Releases) -> list[Target]:
    return [
        (prompt, channel)
        for prompt, state in releases.items()
        for channel, serving in state.channels.items()
        if serving.stable is not None
    ]


def slices_of(settings: Settings, target: Target) -> tuple[str, ...]:
    """The tags that promptops.yaml names for a channel, else for its prompt."""
    prompt, channel = target
    return tuple(settings.slices.get(f"{prompt}:{channel}", settings.slices.get(prompt, ())))


def find_released(releases: Releases, prompt: str, channel: str) -> ReleasedVersion | None:
    """What a channel serves to most, by the state branch."""
    state = releases.get(prompt)
    serving = state.channels.get(channel) if state else None
    return serving.stable if serving else None


def find_served(registry: RegistryDatabase, releases: Releases, target: Target) -> ServedVersion | None:
    """The stable version by the state branch; else by the log, where that is another repository's."""
    prompt, channel = target
    stable = find_released(releases, prompt, channel)
    if stable is not None:
        return ServedVersion(stable.digest, stable.since or "", stable.version)
    newest = newest_stable_run(registry, prompt, channel)
    return ServedVersion(newest["digest"], "", newest["version"] or "") if newest else None


def ask_for_retirements(
    registry: RegistryDatabase, targets: Iterable[Target], env: Mapping[str, str], now: float
) -> dict[str, PromptopsError]:
    """Ask the providers of what channels call when they end it; why one did not answer, by its name."""
    newest = (newest_stable_run(registry, *target) for target in targets)
    return refresh_shutdown_dates(registry, {run["request_model"] for run in newest if run}, env, now)


def retirement_alarm(
    registry: RegistryDatabase, settings: Settings, target: Target, today: str
) -> Alarm | None:
    """Where the catalogue or the provider says that the model that a channel asks retires soon, or has."""
    prompt, channel = target
    newest = newest_stable_run(registry, prompt, channel)
    model = newest["request_model"] if newest else ""
    day = shutdown_date(registry, model) or Catalog.load(settings).deprecation_date(model)
    if newest is None or day is None:
        return None
    left = (date.fromisoformat(day) - date.fromisoformat(today)).days
    if left > int(settings.lint.get("retirement_days", _RETIREMENT_DAYS)):
        return None
    return Alarm(
        key=f"{prompt}:{channel}/retirement/{model}/{day}",
        prompt=prompt,
        channel=channel,
        metric="retirement",
        family="provider",
        title=f"retirement of {model}",
        direction="fall",
        since=day,
        size=f"in {left} days" if left > 0 else f"{-left} days ago",
        before=None,
        now=None,
        runs=0,
        examples=(),
        advice=_RETIREMENT_ADVICE.replace("NAME", prompt).replace("OLD", model),
    )
