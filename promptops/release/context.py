"""Where release moves are made: one project's ledger and registry, at one moment."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from promptops.config.clock import utc_moment
from promptops.config.registry_location import RegistryLocation
from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound, PromptopsError
from promptops.git.remote import OnTransfer
from promptops.log import PackageLogger
from promptops.registry import RegistryDatabase
from promptops.release.ledger import Ledger
from promptops.release.state_trust import allows_tampering
from promptops.versions.references import Reference, parse_reference, suggest_nearest
from promptops.versions.release_reader import released_names
from promptops.versions.release_state import ChannelState, ReleasedVersion, ReleaseState, Rollout
from promptops.versions.resolve import Version, load_released_version, prompt_names

_LOG = PackageLogger("promptops.release")

PRODUCTION = "production"
EMPTY_CHANNEL = ChannelState()


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One channel of one prompt."""

    prompt: str
    channel: str

    def __str__(self) -> str:
        return f"{self.prompt}:{self.channel}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseContext:
    """``now``: seconds since the epoch. Use ``open_release_context``."""

    settings: Settings
    ledger: Ledger
    registry: RegistryDatabase
    now: float

    def channel(self, target: Target) -> ChannelState:
        return channel_state(self.ledger.head(target.prompt), target.channel)

    def version(self, target: Target, released: ReleasedVersion) -> Version:
        """A released version, from the files that are frozen on the state branch."""
        commit = self.ledger.content_commit()
        wanted = Reference(f"{target.prompt}@{released.version}", target.prompt)
        return load_released_version(self.ledger.repo, str(commit), wanted, released)

    def rollout_salts(self, target: Target) -> dict[str, str]:
        """All rollouts that there have been on a channel: by id, the salt that users were assigned with."""
        salts: dict[str, str] = {}
        for record in self.ledger.log(target.prompt, target.channel):
            if rollout := record.transition.rollout:
                salts.setdefault(record.transition.new_id or rollout.id, rollout.salt)
                salts.setdefault(rollout.id, rollout.salt)
        return salts

    def releases(self) -> Mapping[str, ReleaseState]:
        return self.ledger.releases()


def open_optional_registry(path: RegistryLocation) -> RegistryDatabase:
    """The registry for what can do without it: none is made, a damaged one keeps nobody from a rollback."""
    try:
        return RegistryDatabase.open_existing(path)
    except PromptopsError as error:
        _LOG.warning(f"{error.message}; continuing without the registry")
        return RegistryDatabase.in_memory(path)


@contextmanager
def open_release_context(
    settings: Settings,
    *,
    now: float | None = None,
    local: bool = False,
    propose: str | None = None,
    registry: Callable[[RegistryLocation], RegistryDatabase] = RegistryDatabase.open,
    on_transfer: OnTransfer | None = None,
    actor: str | None = None,
) -> Iterator[ReleaseContext]:
    """``now``: seconds since the epoch; None: this moment, as hosts that share the registry count time.

    ``local``: moves are made without the remote; ``propose``: on a branch of that name.

    ``registry`` opens it: ``RegistryDatabase.open_existing`` for what only reads,
    ``open_optional_registry`` for what can do without it. ``on_transfer``: see there. ``actor``: who moves,
    where that is not whom git knows here.
    """
    with (
        Ledger(settings, local=local, propose=propose, on_transfer=on_transfer) as ledger,
        registry(settings.registry) as opened,
    ):
        if actor:
            ledger.branch.act_as(actor)
        moment = utc_moment() if now is None else now  # the registry is open: its server's clock is known
        yield ReleaseContext(settings=settings, ledger=ledger, registry=opened, now=moment)


def is_tampered(context: ReleaseContext, prompt: str | None = None) -> bool:
    """Whether a file of a prompt, or of any, was changed by hand, and that is not put up with."""
    return not allows_tampering(context.ledger.repo) and bool(context.ledger.tampering(prompt))


def channel_state(state: ReleaseState | None, channel: str) -> ChannelState:
    return state.channels.get(channel, EMPTY_CHANNEL) if state else EMPTY_CHANNEL


def parse_target(text: str, settings: Settings, channel: str | None = None) -> Target:
    """``NAME`` or ``NAME:CHANNEL``; without a channel ``channel``, else production."""
    reference = parse_reference(text, settings)
    if reference.rev is not None:
        raise Invalid(
            f"`{text}` names a revision, and this is about what a channel serves",
            hint=f"{reference.name}, or {reference.name}:{channel or PRODUCTION}",
        )
    return Target(prompt=reference.name, channel=reference.channel or resolve_channel(channel, settings))


def resolve_target(context: ReleaseContext, text: str, channel: str | None = None) -> Target:
    """As ``parse_target``; raises NotFound, with the nearest names, where there is no such prompt."""
    target = parse_target(text, context.settings, channel)
    require_prompt(context, target.prompt)
    return target


def require_prompt(context: ReleaseContext, prompt: str) -> None:
    """Raise NotFound for a name that is neither in the working tree nor released."""
    names = prompt_names(context.settings)
    if prompt in names:
        return
    try:
        names = sorted({*names, *_released_names(context)})
    except Invalid:  # a branch that has diverged or is damaged is not a reason to doubt the name
        return
    if prompt not in names:
        hint = suggest_nearest(prompt, names, "promptops list shows the prompts of this project")
        raise NotFound(f"no prompt `{prompt}`", hint=hint)


def _released_names(context: ReleaseContext) -> Iterator[str]:
    commit = context.ledger.commit_id()
    yield from released_names(context.ledger.repo, commit) if commit else ()


def resolve_channel(channel: str | None, settings: Settings) -> str:
    if channel is None:
        return PRODUCTION
    if channel not in settings.channels:
        raise NotFound(f"no channel `{channel}`", hint=suggest_nearest(channel, settings.channels, ""))
    return channel


def resolve_targets(texts: Sequence[str], context: ReleaseContext, *, active: bool = False) -> list[Target]:
    """The channels that are meant; of a name alone, and of no name, all that serve something.

    ``active``: only those with a canary, unless a channel is named outright. Raises NotFound for a name
    under which nothing is released.
    """
    found: list[Target] = []
    for text in texts:
        reference = parse_reference(text, context.settings)
        if reference.channel is not None or reference.rev is not None:
            found.append(parse_target(text, context.settings))
            continue
        state = context.ledger.head(reference.name)
        if state is None:
            require_prompt(context, reference.name)
            raise not_released_error(Target(prompt=reference.name, channel=PRODUCTION))
        found += _released_targets(state, active=active)
    if not texts:
        found = [
            each for state in context.releases().values() for each in _released_targets(state, active=active)
        ]
    return list(dict.fromkeys(found))


def _released_targets(state: ReleaseState, *, active: bool) -> list[Target]:
    return [
        Target(prompt=state.prompt, channel=name)
        for name, each in state.channels.items()
        if each.rollout or (each.stable and not active)
    ]


def active_rollout(state: ChannelState, target: Target) -> Rollout:
    if state.rollout is None:
        if state.stable is None:
            raise not_released_error(target)
        raise NotFound(
            f"{target} has no active canary; {state.stable.version} serves all calls",
            hint=f"promptops canary {target.prompt}@REV --to {target.channel} starts one",
        )
    return state.rollout


def wrong_phase_error(rollout: Rollout, target: Target, phase: str) -> Invalid:
    return Invalid(
        f"the canary {rollout.canary.version} is {rollout.phase}, not in the phase {phase}",
        hint=f"promptops status {target} shows what is next",
    )


def not_released_error(target: Target) -> NotFound:
    return NotFound(
        f"{target.prompt} has no release on {target.channel}",
        hint=f"promptops promote {target.prompt}@REV --to {target.channel} releases a first version",
    )
