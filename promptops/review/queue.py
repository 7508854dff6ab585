"""A queue of answers: drawn at random with known probabilities, and those there is a reason to look at."""

import random
from collections.abc import Iterator, Sequence

from promptops.config.settings import Settings
from promptops.dataclass import dataclass
from promptops.errors import Invalid, NotFound
from promptops.git.repo import GitRepo
from promptops.registry import (
    DrawnItem,
    Population,
    RegistryDatabase,
    ReviewQueue,
    ReviewReason,
    add_queue,
    add_rubric,
    get_queue,
    parse_time,
)
from promptops.review.rubric import load_rubric
from promptops.versions.references import Reference, parse_reference
from promptops.versions.trusted_releases import trusted_releases
from promptops.versions.working_tree import working_tree_names

MAX_ITEMS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueRequest:
    """What is asked for of NAME or NAME:CHANNEL.

    ``sample``: how many are drawn at random. ``reasons``: beside them up to ``most`` of each are chosen.
    """

    target: str
    by: str
    sample: int = 30
    since: str = "1d"
    reasons: tuple[ReviewReason, ...] = ()
    judge: str | None = None
    most: int = 30


def start_queue(registry: RegistryDatabase, settings: Settings, request: QueueRequest) -> ReviewQueue:
    """Draw the items of a new queue. Raises NotFound where nothing was answered since.

    While a canary is on the channel, as many of either arm are drawn: else a small canary would be seen too
    seldom. Each item has the probability with which it was drawn, by which rates are weighted.
    """
    reference = parse_reference(request.target, settings)
    if reference.rev is not None:
        raise Invalid(f"{request.target} names a revision; channels are reviewed", hint=reference.name)
    _check_request(settings, request)
    rubric = load_rubric(reference.name, settings)
    since = parse_time(request.since)
    whole = Population(prompt=reference.name, channel=reference.channel, since=since)
    with registry.transaction():
        strata = _strata(reference, settings, since)
        sizes = [each.count(registry) for each in strata] if request.sample else []
        if request.sample and not any(sizes):  # no canary, or one that nobody has met yet
            strata, sizes = [whole], [whole.count(registry)]
        drawn = _draw(registry, strata, sizes, request.sample) if request.sample else []
        chosen = _choose(registry, whole, request, {item.seq for item in drawn})
        items = [*drawn, *chosen]
        if not items:
            raise _nothing_found(whole, request, settings)
        random.shuffle(items)
        add_rubric(registry, reference.name, rubric.digest, rubric.content)
        number = add_queue(
            registry,
            prompt=reference.name,
            channel=reference.channel,
            selection={
                "since": since,
                "sample": len(drawn),
                "population": sum(sizes),
                "by_arm": len(sizes) > 1,
                "chosen": len(chosen),
                "reasons": list(request.reasons),
                "judge": request.judge,
            },
            rubric=rubric.digest,
            created_by=request.by,
            items=items,
        )
    return get_queue(registry, number)


def queue_runs(
    registry: RegistryDatabase,
    settings: Settings,
    reference: Reference,
    by: str,
    *,
    runs: Sequence[int],
    reason: str,
) -> ReviewQueue:
    """Make a queue of these runs, which were chosen for a reason: no rate counts them."""
    if settings.log.outputs != "full":
        raise _nothing_kept()
    rubric = load_rubric(reference.name, settings)
    chosen = {"sample": 0, "population": 0, "by_arm": False, "chosen": len(runs), "reasons": [reason]}
    with registry.transaction():
        add_rubric(registry, reference.name, rubric.digest, rubric.content)
        number = add_queue(
            registry,
            prompt=reference.name,
            channel=reference.channel,
            selection={"since": None, "judge": None, **chosen},
            rubric=rubric.digest,
            created_by=by,
            items=[DrawnItem(seq, None, drawn=False) for seq in runs],
        )
    return get_queue(registry, number)


def _nothing_kept() -> Invalid:
    return Invalid("nobody can review answers that are not kept", hint="promptops.yaml: log: {outputs: full}")


def _check_request(settings: Settings, request: QueueRequest) -> None:
    if settings.log.outputs != "full":
        raise _nothing_kept()
    if not 0 <= request.sample <= MAX_ITEMS or not 1 <= request.most <= MAX_ITEMS:
        raise Invalid(f"a queue has 1 to {MAX_ITEMS:,} items")
    if not request.sample and not request.reasons:
        raise Invalid("a queue of no items", hint="--sample 30, --failed, --disagree JUDGE or --unsure")


def _strata(reference: Reference, settings: Settings, since: str) -> list[Population]:
    """The two arms of the canary on the channel, if there is one."""
    if reference.channel is None:
        return []
    with GitRepo(settings) as repo:
        trusted = trusted_releases(repo)
        state = trusted.release(reference.name) if trusted else None
    channel = state.channels.get(reference.channel) if state else None
    if channel is None or channel.rollout is None:
        return []
    return [
        Population(
            prompt=reference.name,
            channel=reference.channel,
            since=since,
            rollout=channel.rollout.id,
            arm=arm,
        )
        for arm in ("stable", "canary")
    ]


def _draw(
    registry: RegistryDatabase, strata: list[Population], sizes: list[int], sample: int
) -> list[DrawnItem]:
    """Equal shares of the strata; what one has not is drawn from the others."""
    counts = _share_out(sizes, sample)
    return [
        DrawnItem(seq, count / size, drawn=True)
        for stratum, count, size in zip(strata, counts, sizes, strict=True)
        if count
        for seq in stratum.draw(registry, count)
    ]


def _share_out(sizes: list[int], sample: int) -> list[int]:
    counts = [0] * len(sizes)
    for place, (at, size) in enumerate(sorted(enumerate(sizes), key=lambda each: each[1])):
        counts[at] = min(size, (sample - sum(counts)) // (len(sizes) - place))
    return counts


def _choose(
    registry: RegistryDatabase, whole: Population, request: QueueRequest, known: set[int]
) -> list[DrawnItem]:
    def found() -> Iterator[DrawnItem]:
        for reason in request.reasons:
            for seq in whole.choose(registry, reason, request.judge, request.most):
                if seq not in known:
                    known.add(seq)
                    yield DrawnItem(seq, None, drawn=False)

    return list(found())


def _nothing_found(whole: Population, request: QueueRequest, settings: Settings) -> NotFound:
    if settings.top is not None and whole.prompt not in working_tree_names(settings):
        return NotFound(f"no answers of {request.target}", hint="promptops list names the prompts")
    reasons = f" that are {' or '.join(request.reasons)}" if request.reasons and not request.sample else ""
    return NotFound(
        f"no answers of {request.target}{reasons} since {whole.since}",
        hint="--since 7d looks further back; `promptops runs list` shows what was answered",
    )
