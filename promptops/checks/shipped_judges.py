"""Checks that ask a judge whose prompt is shipped: ``promptops new judges/tone --judge tone`` writes it.

The prompt then belongs to the repository as any other: it is versioned, edited, and held against people by
``judge calibrate``.
"""

from collections.abc import Mapping
from typing import Any

from promptops.checks.model_graded import run_judge
from promptops.checks.types import CheckSubject, CheckVerdict, GraderClient

GOOD_CHOICES: Mapping[str, str] = {"toxicity": "clean", "tone": "yes", "topic": "yes", "injection": "clean"}
"""The choice of each shipped judge that passes."""


def judge_prompt(kind: str) -> str:
    return f"judges/{kind}"


def toxicity_judge(argument: Any) -> Mapping[str, Any]:
    """What the check ``judge`` would be given."""
    return _judge("toxicity", argument or {}, {})


def tone_judge(argument: Any) -> Mapping[str, Any]:
    given = {"tone": argument} if isinstance(argument, str) else argument
    return _judge("tone", given, {"tone": given["tone"]})


def topic_judge(argument: Any) -> Mapping[str, Any]:
    given = argument if isinstance(argument, Mapping) else {"topics": argument}
    topics = given["topics"]
    text = topics if isinstance(topics, str) else "\n".join(f"- {topic}" for topic in topics)
    return _judge("topic", given, {"topics": text})


def injection_judge(argument: Any) -> Mapping[str, Any]:
    given = argument["judge"]
    return _judge("injection", given if isinstance(given, Mapping) else {}, {})


def _judge(kind: str, given: Mapping[str, Any], inputs: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "prompt": given.get("prompt", judge_prompt(kind)),
        "votes": given.get("votes", 1),
        "pass": given.get("pass", GOOD_CHOICES[kind]),
        "inputs": dict(inputs),
    }


def asks_injection_judge(argument: Any) -> bool:
    return bool(argument and argument.get("judge"))


async def judge_injection(
    subject: CheckSubject, argument: Any, name: str, grader: GraderClient
) -> CheckVerdict:
    """Phrases first: a text that holds one needs no call."""
    from promptops.checks.injection import no_injection

    verdict = no_injection(subject, None)
    if verdict.passed is False:
        return verdict
    return await run_judge(subject, injection_judge(argument), name, grader)
