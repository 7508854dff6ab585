"""Where release moves are made: one project's ledger and registry, at one moment."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from promptops.config.settings import Settings
from promptops.console import note
from promptops.errors import Invalid, NotFound, PromptopsError
from promptops.registry.store import Registry
from promptops.release.ledger import Ledger
from promptops.versions.references import Reference, nearest, parse_reference
from promptops.versions.release_state import ChannelState, Released, ReleaseState, Rollout, read_releases
from promptops.versions.resolve import Version, prompt_names, released_version

PRODUCTION = "production"
EMPTY = ChannelState()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One channel of one prompt."""

    prompt: str
    channel: str

    def __str__(self) -> str:
        return f"{self.prompt}:{self.channel}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """``now``: seconds since the epoch. Use ``open_desk``."""

    settings: Settings
    ledger: Ledger
    registry: Registry
    now: float

    def channel(self, target: Target) -> ChannelState:
        return channel_of(self.ledger.head(target.prompt), target.channel)

    def version(self, target: Target, released: Released) -> Version:
        """A released version, from the files that are frozen on the state branch."""
        commit = self.ledger.commit_id()
        wanted = Reference(f"{target.prompt}@{released.version}", target.prompt)
        return released_version(self.ledger.repo, str(commit), wanted, released)

    def rollouts(self, target: Target) -> list[str]:
        """Ids of all rollouts that there have been on a channel."""
        done = [record.transition for record in self.ledger.log(target.prompt, target.channel)]
        return [
            *(each.rollout.id for each in done if each.rollout),
            *(each.new_id for each in done if each.new_id),
        ]

    def releases(self) -> Mapping[str, ReleaseState]:
        self.ledger.commit_id()  # where nothing is known here the remote is asked
        return read_releases(self.ledger.repo)


def at_hand(path: Path) -> Registry:
    """The registry for what can do without it: none is made, a damaged one keeps nobody from a rollback."""
    try:
        return Registry.open_existing(path)
    except PromptopsError as error:
        note(f"promptops: {error.message}; this goes on without it")
        return Registry.in_memory(path)


@contextmanager
def open_desk(
    settings: Settings,
    *,
    now: float,
    local: bool = False,
    propose: str | None = None,
    registry: Callable[[Path], Registry] = Registry.open,
) -> Iterator[Desk]:
    """``local``: moves are made without the remote; ``propose``: on a branch of that name.

    ``registry`` opens it: ``Registry.open_existing`` for what only reads, ``at_hand`` for what needs it not.
    """
    with (
        Ledger(settings, local=local, propose=propose) as ledger,
        registry(settings.registry) as opened,
    ):
        yield Desk(settings=settings, ledger=ledger, registry=opened, now=now)


def channel_of(state: ReleaseState | None, channel: str) -> ChannelState:
    return state.channels.get(channel, EMPTY) if state else EMPTY


def target_of(text: str, settings: Settings, channel: str | None = None) -> Target:
    """``NAME`` or ``NAME:CHANNEL``; without a channel ``channel``, else production."""
    reference = parse_reference(text, settings)
    if reference.rev is not None:
        raise Invalid(
            f"`{text}` names a revision, and this is about what a channel serves",
            hint=f"{reference.name}, or {reference.name}:{channel or PRODUCTION}",
        )
    return Target(prompt=reference.name, channel=reference.channel or known_channel(channel, settings))


def named_target(desk: Desk, text: str, channel: str | None = None) -> Target:
    """As ``target_of``; raises NotFound, with the nearest names, where there is no such prompt."""
    target = target_of(text, desk.settings, channel)
    must_exist(desk, target.prompt)
    return target


def must_exist(desk: Desk, prompt: str) -> None:
    """Raise NotFound for a name that is neither in the working tree nor released."""
    names = prompt_names(desk.settings)
    if prompt in names:
        return
    try:
        names = sorted({*names, *_released_names(desk)})
    except Invalid:  # a branch that has diverged or is damaged is no reason to doubt the name
        return
    if prompt not in names:
        hint = nearest(prompt, names, "promptops list shows the prompts of this project")
        raise NotFound(f"no prompt `{prompt}`", hint=hint)


def _released_names(desk: Desk) -> Iterator[str]:
    commit = desk.ledger.commit_id()
    for entry in desk.ledger.repo.list_files(commit, "releases") if commit else ():
        yield entry.path.removeprefix("releases/").removesuffix(".yaml")


def known_channel(channel: str | None, settings: Settings) -> str:
    if channel is None:
        return PRODUCTION
    if channel not in settings.channels:
        raise NotFound(f"no channel `{channel}`", hint=nearest(channel, settings.channels, ""))
    return channel


def targets_of(texts: Sequence[str], desk: Desk, *, active: bool = False) -> list[Target]:
    """The channels that are meant; of a name alone, and of no name, all that serve something.

    ``active``: only those with a canary, unless a channel is named outright. Raises NotFound for a name
    under which nothing is released.
    """
    found: list[Target] = []
    for text in texts:
        reference = parse_reference(text, desk.settings)
        if reference.channel is not None or reference.rev is not None:
            found.append(target_of(text, desk.settings))
            continue
        state = desk.ledger.head(reference.name)
        if state is None:
            must_exist(desk, reference.name)
            raise unreleased(Target(prompt=reference.name, channel=PRODUCTION))
        found += _served(state, active=active)
    if not texts:
        found = [each for state in desk.releases().values() for each in _served(state, active=active)]
    return list(dict.fromkeys(found))


def _served(state: ReleaseState, *, active: bool) -> list[Target]:
    return [
        Target(prompt=state.prompt, channel=name)
        for name, each in state.channels.items()
        if each.rollout or (each.stable and not active)
    ]


def active_rollout(state: ChannelState, target: Target) -> Rollout:
    if state.rollout is None:
        stable = f"{state.stable.version} serves all calls" if state.stable else "it serves nothing"
        raise NotFound(
            f"{target} has no active canary; {stable}",
            hint=f"promptops canary {target.prompt}@REV --to {target.channel} starts one",
        )
    return state.rollout


def unreleased(target: Target) -> NotFound:
    return NotFound(
        f"nothing of {target.prompt} is released on {target.channel}",
        hint=f"promptops promote {target.prompt}@REV --to {target.channel} releases a first version",
    )
