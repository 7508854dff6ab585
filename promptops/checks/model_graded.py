"""Checks that cost further calls: what a judge says, and whether an answer depends on what it must not."""

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, TypeVar

from promptops.checks.json import parse_json
from promptops.checks.judge import (
    PAIR_INPUTS,
    Judge,
    JudgeReplyError,
    Label,
    judge_from_prompt,
    judge_inputs,
    parse_label,
)
from promptops.checks.types import (
    CheckError,
    CheckSubject,
    CheckVerdict,
    GraderCall,
    GraderClient,
    GraderReply,
    to_text,
    truncate_line,
)
from promptops.dataclass import dataclass
from promptops.errors import Invalid
from promptops.prompt import Check
from promptops.prompt.canonical_json import compact_json

T = TypeVar("T")
MAJORITY = 0.5
JUDGE_SCHEMA: Mapping[str, Any] = {
    "type": ["string", "object"],
    "properties": {
        "prompt": {"type": "string"},
        "votes": {"type": "integer", "minimum": 1, "maximum": 101},
        "inputs": {"type": "object"},
        "pass": {"type": ["string", "array"], "minItems": 1, "items": {"type": "string"}},
        "against": {"type": "string"},
    },
    "required": ["prompt"],
    "additionalProperties": False,
}
INVARIANT_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}, "values": {"type": "array", "minItems": 1}},
    "required": ["input", "values"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class JudgeVotes:
    """What a judge said, and why the calls that said nothing did not."""

    votes: tuple[Label, ...]
    failures: tuple[str, ...] = ()

    @property
    def asked(self) -> int:
        return len(self.votes) + len(self.failures)


@dataclass(frozen=True, slots=True)
class PairwiseVotes:
    """A comparison in both orders: 1 where the first output won, 0 the second, 0.5 a tie.

    ``flipped`` counts votes where the judge chose the same place in both orders, whatever stood there: they
    count as ties, and say how much the judge goes by position.
    """

    votes: tuple[float, ...]
    failures: tuple[str, ...] = ()
    flipped: int = 0


async def ask_judge(
    judge: Judge,
    reference: str,
    offered: Mapping[str, Any],
    grader: GraderClient,
    *,
    check: str,
    votes: int = 1,
) -> JudgeVotes:
    """So many votes on one output; those that are no verdict are failures, never a 0."""
    inputs = judge_inputs(judge.prompt, offered)
    calls = (_vote(judge, reference, inputs, grader, check, number) for number in range(votes))
    results = await _gather(calls)
    return JudgeVotes(
        tuple(each for each in results if not isinstance(each, JudgeReplyError)),
        tuple(str(each) for each in results if isinstance(each, JudgeReplyError)),
    )


async def compare_pair(
    judge: Judge,
    reference: str,
    offered: Mapping[str, Any],
    grader: GraderClient,
    *,
    check: str,
    votes: int = 1,
) -> PairwiseVotes:
    """Compare the outputs ``a`` and ``b``, each vote in both orders."""
    inputs = judge_inputs(judge.prompt, offered)
    first, second = PAIR_INPUTS
    swapped = {**inputs, first: inputs[second], second: inputs[first]}
    calls = [
        _vote(judge, reference, given, grader, check, number)
        for number in range(votes)
        for given in (inputs, swapped)
    ]
    results = await _gather(calls)
    pairs = list(zip(results[::2], results[1::2], strict=True))
    failures = [str(each) for pair in pairs for each in pair if isinstance(each, JudgeReplyError)]
    whole = [
        (str(one).lower(), str(other).lower())
        for one, other in pairs
        if not isinstance(one, JudgeReplyError) and not isinstance(other, JudgeReplyError)
    ]
    return PairwiseVotes(
        tuple(_pair_score(*pair) for pair in whole),
        tuple(failures),
        sum(one == other and one in PAIR_INPUTS for one, other in whole),
    )


def _pair_score(as_given: str, swapped: str) -> float:
    first, second = PAIR_INPUTS
    return {(first, second): 1.0, (second, first): 0.0}.get((as_given, swapped), 0.5)


async def _vote(
    judge: Judge, reference: str, inputs: Mapping[str, Any], grader: GraderClient, check: str, number: int
) -> Label | JudgeReplyError:
    call = GraderCall(check=check, inputs=inputs, reference=reference, trial=number)
    reply = await grader.ask(call)
    try:
        return parse_label(judge.scale, _parse_reply(reply))
    except JudgeReplyError as failure:
        return failure


def _parse_reply(reply: GraderReply) -> Any:
    if reply.error:
        raise JudgeReplyError(reply.error)
    try:
        return parse_json(reply.output)
    except ValueError as error:
        raise JudgeReplyError(f"the judge's reply is not JSON: {error}") from None


def judge_for_check(check: Check, grader: GraderClient) -> Judge:
    """The judge of a check, which must fit it. Raises Invalid; call it before anything is spent."""
    given = _argument(check.argument)
    judge = judge_from_prompt(grader.prompt(given["prompt"]))
    passing = _passing_choices(given)
    if judge.pairwise or judge.scale.kind == "score":
        if passing:
            raise Invalid(f"the check {check.name}: `pass` is for choices, and {judge.prompt.name} has none")
        if check.threshold is None and not judge.pairwise:
            raise Invalid(
                f"the check {check.name}: {judge.prompt.name} gives scores ({judge.scale})",
                hint="say which score passes: `threshold: 4` beside the check",
            )
    elif not passing or not passing <= set(map(str, judge.scale.values)):
        raise Invalid(
            f"the check {check.name}: which choices of {judge.prompt.name} pass?",
            hint=f"judge: {{prompt: {given['prompt']}, pass: CHOICE}}, of {judge.scale}",
        )
    return judge


async def run_judge(subject: CheckSubject, argument: Any, name: str, grader: GraderClient) -> CheckVerdict:
    """The mean score, or the share of votes for a choice that passes; of a pair, the share of wins."""
    given = _argument(argument)
    reference, votes = given["prompt"], given.get("votes", 1)
    found = judge_from_prompt(grader.prompt(reference))
    offered = {
        **subject.inputs,
        "inputs": dict(subject.inputs),
        "output": subject.output,
        "expected": subject.expected_value,
        **given.get("inputs", {}),
    }
    if found.pairwise:
        against = given.get("against", subject.expected_value)
        if against is None:
            raise CheckError(
                f"{reference} compares, and there is nothing to compare with: nothing is expected"
            )
        pair = await compare_pair(
            found,
            reference,
            {**offered, "a": subject.output, "b": to_text(against)},
            grader,
            check=name,
            votes=votes,
        )
        return _verdict_from_votes(list(pair.votes), pair.failures, 2 * votes)
    ballot = await ask_judge(found, reference, offered, grader, check=name, votes=votes)
    passing = _passing_choices(given)
    values = [float(vote in passing) if isinstance(vote, str) else vote for vote in ballot.votes]
    return _verdict_from_votes(values, ballot.failures, votes)


def _verdict_from_votes(values: list[float], failures: tuple[str, ...], asked: int) -> CheckVerdict:
    if not values:
        return CheckVerdict(
            None, f"the judge gave no verdict: {failures[0]}", asked=asked, failed=len(failures)
        )
    unusable = f"; {len(failures)} of {asked} replies were no verdict" if failures else ""
    mean = sum(values) / len(values)
    return CheckVerdict(None, f"the judge{unusable or ' says so'}", mean, asked, len(failures))


def _argument(argument: Any) -> Mapping[str, Any]:
    return {"prompt": argument} if isinstance(argument, str) else argument


def _passing_choices(given: Mapping[str, Any]) -> set[str]:
    wanted = given.get("pass", [])
    return {wanted} if isinstance(wanted, str) else set(wanted)


async def run_invariant(
    subject: CheckSubject, argument: Any, name: str, grader: GraderClient
) -> CheckVerdict:
    """The share of other values of an input with which the same version gives the same answer."""
    which, own = argument["input"], subject.inputs.get(argument["input"])
    if which not in subject.inputs:
        raise CheckError(f"there is no input `{which}` to vary")
    others = [value for value in argument["values"] if value != own]
    calls = [GraderCall(check=name, inputs={**subject.inputs, which: value}) for value in others]
    replies = await _gather(map(grader.ask, calls))
    failed = [reply.error for reply in replies if reply.error]
    if failed:
        raise CheckError(
            f"{len(failed)} of {len(others)} further calls failed: {truncate_line(failed[0], 160)}"
        )
    changed = [
        f"{which}={truncate_line(compact_json(value), 30)} gives {truncate_line(reply.output, 40)!r}"
        for value, reply in zip(others, replies, strict=True)
        if _normalized_answer(reply.output) != _normalized_answer(subject.output)
    ]
    value = 1 - len(changed) / len(others) if others else 1.0
    return CheckVerdict(None, "; ".join(changed[:3]), value, asked=len(others))


def _normalized_answer(output: str) -> Any:
    """What an answer says: its JSON, else its words in any case."""
    try:
        return parse_json(output)
    except ValueError:
        return " ".join(output.casefold().split())


async def _gather(calls: Iterable[Awaitable[T]]) -> list[T]:
    """All of them, whatever becomes of one. Raises the first error."""
    import asyncio  # which lint, that looks at checks and calls nothing, need not load

    tasks = [asyncio.ensure_future(call) for call in calls]
    await asyncio.gather(*tasks, return_exceptions=True)
    return [task.result() for task in tasks]
